/* Waiting for something that comes at a steady pace: sleep until shortly before it is due, look out for it
 * without sleeping while it is due, then sleep again.
 *
 *        sleep             look out          sleep
 *   ├──────────────┤·······due·······├────────────────────▶ until_ns
 *                   window     window
 *
 * Waking another core costs 15 to 60 us on small machines and virtual ones; looking out costs none of it. But
 * it is done only while it pays: the window follows the observed deviation, and where that passes
 * PACE_MAX_WINDOW_NS there is no looking out at all. So it never takes more than twice that from a core for
 * one event.
 */
#ifndef MUSTER_ROBOT_RING_PACE_H
#define MUSTER_ROBOT_RING_PACE_H

#include "robot/ring/ring.h"

enum { PACE_MAX_WINDOW_NS = 250000, PACE_MIN_WINDOW_NS = 20000, PACE_MIN_SEEN = 8 };

struct pace { /* all zero: nothing seen yet */
    int64_t mean_ns, deviation_ns;
    uint32_t seen;
};

/* How long it took this time. */
void pace_observe(struct pace *pace, int64_t took_ns);

/* The half width of the window around pace->mean_ns; 0: do not look out. */
int64_t pace_window_ns(const struct pace *pace);

/* As ring_wait, for a bell that is due pace->mean_ns after since_ns. */
void pace_wait(const struct pace *pace, const struct ring *ring, uint32_t seen, int64_t since_ns,
               int64_t until_ns);

#endif
