/* A decision record: why something stepped in, in numbers, at no extra inference. One for every kind of guard intervention on a robot (muster-watch; many
 * alike within a second are one, with their count) and for every decision of a rollout (musterd).
 *
 * {"time_ms", "who": "guard|rollout|drift|agent", "robot", "release": "sha256:…", "version", "engine": "onnxruntime 1.22.0 cpu", "rule": "deadline",
 *  "subject": "frame 1234, detection 2", "value": 61.2, "limit": 60, "unit": "ms", "margin": -1.2, "count": 1,
 *  "because": "the result came 61.2 ms after its frame; 60 ms are allowed", "otherwise": "at most 60.0 ms, and it would have passed",
 *  "signals": {"luma": 0.4, …}}
 *
 * Left out where there is none: robot, release, version, engine, subject, value, limit, unit, margin, otherwise, signals. Unknown members are passed over.
 * `margin` is how far the value was inside of the limit: negative, outside. `otherwise` is the exact contrast, computed from the rule, not guessed.
 */
#ifndef MUSTER_WIRE_DECISION_H
#define MUSTER_WIRE_DECISION_H

#include "base/digest.h"
#include "base/err.h"
#include "stats/signals.h"

#include <stddef.h>
#include <stdint.h>

enum decider { DECIDER_GUARD, DECIDER_ROLLOUT, DECIDER_DRIFT, DECIDER_AGENT, DECIDERS };
const char *decider_name(enum decider who); /* "guard" */

struct decision {
    int64_t time_ms;
    enum decider who;
    char robot[64], version[64], engine[64], rule[32], subject[64], unit[16];
    struct digest release;
    double value, limit, margin; /* NaN: the rule has none */
    uint64_t count;
    char because[160], otherwise[160];
    struct frame_signals signals; /* valid 0: none */
};

char *decision_format(const struct decision *decision); /* canonical JSON; free() it; NULL: out of memory */
int decision_parse(const void *text, size_t len, struct decision *out, struct err *err) must_check;

#endif
