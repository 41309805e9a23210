/* Is this result one that a robot may act upon? The guard's judgement, pure: the same inputs give the same
 * answer in the guard, in the simulator that audits it and in a replay.
 *
 * The first finding counts, in this order:
 *
 *   SEQUENCE    not a frame that this generation was asked about, or already decided
 *   DEADLINE    decided too late to be of use
 *   TOO_MANY    more detections than the envelope allows, more values than the release has
 *   then number by number, the first that is wrong:
 *   NOT_FINITE  NaN or infinity in a box, score or value
 *   RANGE       a box outside the frame or turned inside out, a score outside [min_score, 1], an unknown label; a value
 *               outside [value_min, value_max], too few values, values for detections or detections for values
 */
#ifndef MUSTER_ROBOT_DECIDE_GUARD_CHECK_H
#define MUSTER_ROBOT_DECIDE_GUARD_CHECK_H

#include "robot/ctl/ctl.h"
#include "stats/cause.h"
#include "stats/detection.h"

/* Boxes may reach this far over the edge of the frame: rounding of the letterbox. */
#define GUARD_CHECK_MARGIN_PX 2.0

/* What the guard knows about a frame; from the robot program, copied. */
struct guard_frame {
    uint64_t seq, stream;
    uint64_t generation; /* that is to answer it */
    int64_t capture_ns, deadline_ns;
    uint32_t width, height;
    bool decided;
};

/* What a runner says about it; a private copy. */
struct guard_result {
    uint64_t seq, stream, generation;
    uint32_t count; /* hostile; `detections` or `values` holds at most `room` */
    uint32_t room;
    bool is_values;
    const struct detection *detections;
    const float *values;
};

/* INTERVENTION_COUNT: the result is sound. Else the first finding, and in *why what was found; SEQUENCE and DEADLINE, where the frame's own
 * numbers say it all, leave it as it is. */
enum intervention guard_check_result(const struct guard_result *result, const struct guard_frame *frame,
                                     const struct ctl_limits *limits, int64_t now_ns,
                                     struct frame_cause *why);

/* The part that looks at the detections only. Neither reads further than what it allows. */
enum intervention guard_check_detections(const struct detection *items, uint32_t count, uint32_t width,
                                         uint32_t height, const struct ctl_limits *limits,
                                         struct frame_cause *why);

/* The same for values: exactly limits->value_count. */
enum intervention guard_check_values(const float *values, uint32_t count, const struct ctl_limits *limits,
                                     struct frame_cause *why);

/* low ≤ value ≤ high, which no NaN is. If not, *why says so; else it stays as it is. */
bool guard_within(struct frame_cause *why, enum cause_rule rule, uint32_t index, double value, double low,
                  double high);

/* When the frame's time is up: the sooner of what the robot program and the release allow. */
int64_t guard_frame_deadline_ns(int64_t capture_ns, int64_t program_deadline_ns, uint32_t limit_us);

#endif
