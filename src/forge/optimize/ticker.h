/* How far the whole is, of steps that know only how far they are themselves. Each has a share of the whole, guessed before; a step that was done
 * already gives its share at once. Never goes back. Pure. */
#ifndef MUSTER_FORGE_OPTIMIZE_TICKER_H
#define MUSTER_FORGE_OPTIMIZE_TICKER_H

#include <stddef.h>

enum { TICKER_MAX = 1000 };

struct ticker {
    double total, before, current; /* shares: of all steps, of those done, of the one at work */
    size_t shown;                  /* of TICKER_MAX */
};

void ticker_add(struct ticker *ticker, double share);   /* one more step to come */
void ticker_begin(struct ticker *ticker, double share); /* this step is at work now */
void ticker_end(struct ticker *ticker);                 /* and is done */
/* For steps whose parts are not known before: shares up to here are done, whichever parts there were. */
double ticker_goal(const struct ticker *ticker, double share);
void ticker_reach(struct ticker *ticker, double goal);
/* Of TICKER_MAX. A step may have several rounds: within it progress does not go back either. */
size_t ticker_at(struct ticker *ticker, size_t done, size_t total);

#endif
