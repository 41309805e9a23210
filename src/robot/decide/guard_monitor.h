/* What only a sequence shows: a camera that repeats itself, an object that jumps, a value that moves faster than it can, a
 * robot that gets no usable result any more. Pure; the history is the caller's, fixed size, one per stream. Each look is
 * switched on by its limit (struct ctl_limits) and off by 0; what it finds it says in *why.
 *
 *   guard_monitor_frame    when a frame is seen       STALE (too old), FROZEN, or INTERVENTION_COUNT
 *   guard_check_result     ... the result itself: guard_check.h ...
 *   guard_monitor_result   a sound result             RATE, or INTERVENTION_COUNT: then it becomes the history
 *   guard_monitor_verdict  after every verdict        true: too many in a row without a result: a FAULT
 *
 * A result is compared with the last accepted one of the same generation, kind and count. What is allowed grows with the
 * time between their captures; where none has passed, or it ran backwards, nothing may have moved. A refused result does
 * not become the history, so that a lasting change is believed after the time that it would have taken.
 *
 * Temporal consistency of detections: a detection is compared with the nearest one of its label in the last accepted
 * result, only where both results hold equally many of that label (things come and go), and only over at most a second.
 */
#ifndef MUSTER_ROBOT_DECIDE_GUARD_MONITOR_H
#define MUSTER_ROBOT_DECIDE_GUARD_MONITOR_H

#include "robot/ctl/ctl.h"
#include "stats/cause.h"
#include "stats/detection.h"

enum { GUARD_MAX_DETECTIONS = 128, GUARD_MAX_VALUES = 768 };

/* A result's payload: the caller's copy. */
struct guard_payload {
    bool is_values;
    bool by_rank;   /* values: scores of classes, of which only the largest one counts; guard_agree */
    uint32_t count; /* within the limits below */
    const struct detection *detections;
    const float *values;
};

struct guard_monitor {
    uint64_t picture;       /* fingerprint of the last frame */
    uint32_t same_pictures; /* in a row */
    uint32_t unusable;      /* verdicts in a row */
    bool known;             /* a result has been accepted */
    int64_t last_ns;        /* its capture */
    uint64_t generation;    /* that gave it: another one starts anew */
    bool is_values;
    uint32_t count;
    union {
        struct detection detections[GUARD_MAX_DETECTIONS];
        float values[GUARD_MAX_VALUES];
    };
};

/* All of it is 0: a stream begins. */
void guard_monitor_init(struct guard_monitor *monitor);
enum intervention guard_monitor_frame(struct guard_monitor *monitor, uint64_t picture, int64_t capture_ns,
                                      const struct ctl_limits *limits, int64_t now_ns,
                                      struct frame_cause *why);
enum intervention guard_monitor_result(struct guard_monitor *monitor, const struct guard_payload *payload,
                                       uint64_t generation, int64_t capture_ns, uint32_t width,
                                       uint32_t height, const struct ctl_limits *limits,
                                       struct frame_cause *why);
/* True once per run of latch_after verdicts; the next run counts from 0. */
bool guard_monitor_verdict(struct guard_monitor *monitor, bool usable, const struct ctl_limits *limits);

/* A fingerprint of a picture from a sample of it: FNV-1a over up to 512 words of 8 bytes, evenly spread, the last bytes
 * that fill no word, and the size. The bytes may change meanwhile: any number is an answer. */
uint64_t guard_picture(const void *pixels, size_t bytes);

/* Whether a shadowing result says the same as the active one's: as many detections, each with a partner of its label at
 * IoU ≥ 0.5; values: the same largest one (active->by_rank) or else a distance (L2) of at most 5 % of the active one's length.
 * Payloads of different kinds or sizes never agree. */
bool guard_agree(const struct guard_payload *active, const struct guard_payload *shadow);

#endif
