/* From what robots' watchers say to what people should hear: one thing that is wrong in common, and the robots that it is to be found on. Pure.
 *
 *     log10(e) of each robot of a release ─▶ capped ─▶ average over the fleet ≥ budget: common         (a robot alone cannot lift it: stats/drift/fleet.h)
 *                                                   └▶ e-BH: these robots
 *     alarms that robots raised by themselves ───────▶ these robots, too, and what they take it for
 *
 * What a robot sends may be any bits: NaN counts for nothing, and nobody counts for more than the cap.
 */
#ifndef MUSTER_FLEET_WATCH_JUDGE_H
#define MUSTER_FLEET_WATCH_JUDGE_H

#include "stats/drift/drift.h"

#include <stdbool.h>
#include <stddef.h>

struct watch_voice {
    double log10_e;         /* of all signals together */
    bool alarm;             /* it told so itself */
    enum drift_cause cause; /* what it takes it for; NONE: it does not say */
};

struct watch_limits {
    double robot_arl, fleet_arl; /* blocks to a false alarm: of one robot; of the average */
    double share;                /* of the robots that have to speak for something common */
    double false_discoveries;    /* of the robots pointed at, at most this share wrongly */
};

struct watch_finding {
    bool common;
    double log10_e;         /* of the average */
    enum drift_cause cause; /* what most of the robots found say; NONE: none of them says */
    size_t count;           /* robots found */
};

/* `found`: room for `count` indices, ascending after the call; scratch: likewise. */
void watch_judge(const struct watch_voice *voices, size_t count, const struct watch_limits *limits,
                 double *logs, size_t *order, size_t *found, struct watch_finding *out);

#endif
