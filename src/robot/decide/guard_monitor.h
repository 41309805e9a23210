/* What only a sequence shows: a camera that repeats itself, an object that jumps, a value that moves faster than it can, a
 * robot that gets no usable result any more. Pure; the history is the caller's, fixed size, one per stream. Each look is
 * switched on by its limit (struct ctl_limits) and off by 0.
 *
 *   guard_monitor_frame    when a frame is seen       STALE (too old), FROZEN, or INTERVENTION_COUNT
 *   guard_check_result     ... the result itself: guard_check.h ...
 *   guard_monitor_result   a sound result             RATE, or INTERVENTION_COUNT: then it becomes the history
 *   guard_monitor_verdict  after every verdict        true: too many in a row without a result: a FAULT
 *
 * Temporal consistency of detections: a detection is compared with the nearest one of its label in the last accepted
 * result, only where both results hold equally many of that label (things come and go), and only over at most a second.
 */
#ifndef MUSTER_ROBOT_DECIDE_GUARD_MONITOR_H
#define MUSTER_ROBOT_DECIDE_GUARD_MONITOR_H

#include "robot/ctl/ctl.h"
#include "stats/detection.h"

enum { GUARD_MAX_DETECTIONS = 128, GUARD_MAX_VALUES = 768 };

/* A result's payload: the caller's copy. */
struct guard_payload {
    bool is_values;
    uint32_t count;
    const struct detection *detections;
    const float *values;
};

struct guard_monitor {
    uint64_t picture;      /* fingerprint of the last frame */
    uint32_t same_pictures; /* in a row */
    uint32_t unusable;     /* verdicts in a row */
    int64_t last_ns;       /* capture of the last accepted result; 0: none */
    uint64_t generation;   /* that gave it: another one starts anew */
    bool is_values;
    uint32_t count;
    union {
        struct detection detections[GUARD_MAX_DETECTIONS];
        float values[GUARD_MAX_VALUES];
    };
};

void guard_monitor_init(struct guard_monitor *monitor);
enum intervention guard_monitor_frame(struct guard_monitor *monitor, uint64_t picture, int64_t capture_ns,
                                      const struct ctl_limits *limits, int64_t now_ns);
enum intervention guard_monitor_result(struct guard_monitor *monitor, const struct guard_payload *payload,
                                       uint64_t generation, int64_t capture_ns, uint32_t width, uint32_t height,
                                       const struct ctl_limits *limits);
bool guard_monitor_verdict(struct guard_monitor *monitor, bool usable, const struct ctl_limits *limits);

/* A fingerprint of a picture from a sample of it: FNV-1a over up to 512 words, evenly spread. */
uint64_t guard_picture(const void *pixels, size_t bytes);

/* Whether a shadowing result says the same as the active one's: as many detections, each with a partner of its label at
 * IoU ≥ 0.5; values: the same largest one (`by_rank`, classes) or a relative distance (L2) ≤ 5 %. */
bool guard_agree(const struct guard_payload *active, const struct guard_payload *shadow);

#endif
