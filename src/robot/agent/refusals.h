/* What was refused is said once: a memory of refusals, so that a server that says the same thing every second does not fill the log, and one that
 * says something else every second does not either.
 *
 *     key = SHA-256 of the rule and of what it refused
 *
 * - The last REFUSALS_KEPT keys are remembered; the newest one also outlives the agent (robot/store/state.h: trust.refused).
 * - At most REFUSALS_BURST new ones at once, then one per REFUSALS_PACE_MS; those in between are counted, and the next report says how many.
 *
 * Pure: the time is an argument. */
#ifndef MUSTER_ROBOT_AGENT_REFUSALS_H
#define MUSTER_ROBOT_AGENT_REFUSALS_H

#include "base/digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REFUSALS_KEPT = 64, REFUSALS_BURST = 32, REFUSALS_PACE_MS = 60000 };

struct refusals {
    struct digest kept[REFUSALS_KEPT]; /* zero: empty */
    size_t next;
    int tokens;
    int64_t filled_ms; /* monotonic */
    unsigned untold;
};

void refusals_init(struct refusals *refusals, const struct digest *last,
                   int64_t now_ms); /* `last`: zero or what was kept */
/* True: it is to be reported now. *out_untold: how many were not, since the last one that was. */
bool refusals_is_new(struct refusals *refusals, const struct digest *key, int64_t now_ms,
                     unsigned *out_untold);
/* It is well again: the next refusal of this kind is news. */
void refusals_forget(struct refusals *refusals, const struct digest *key);

#endif
