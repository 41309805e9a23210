/* What decided about a frame, in numbers: the guard writes it into every verdict, and whoever explains one reads it there. The verdict's reason says what
 * kind of decision it was; this says by how much.
 *
 *   rule          value                                  limit                       index
 *   TIME          ms from capture to the decision        ms that were allowed        0
 *   AGE           ms from capture to being handed over   the most that is allowed    0
 *   REPEATS       how often the picture came in a row    the most that is allowed    0
 *   SIZE          detections or values                   the most, or how many       0
 *   KIND          1: values came; 0: detections          the other one               0
 *   BOX           the edge of a box, pixels              that it went beyond         detection
 *   SCORE         score                                  min_score or 1              detection
 *   LABEL         label                                  the last one that there is  detection
 *   VALUE         value                                  that it went beyond         value
 *   RATE          change since the last result           the most in that time       value
 *   JUMP          pixels since the last result           the most in that time       detection
 *
 * With NOT_FINITE the value, or the edge beside it that is named as its limit, is NaN or infinite; TIME where the runner itself said so. TIME stands
 * wherever nothing else decided: with a result that was passed on, a runner that was lost, a human's order.
 */
#ifndef MUSTER_STATS_CAUSE_H
#define MUSTER_STATS_CAUSE_H

#include <stdint.h>

enum cause_rule {
    CAUSE_TIME,
    CAUSE_AGE,
    CAUSE_REPEATS,
    CAUSE_SIZE,
    CAUSE_KIND,
    CAUSE_BOX,
    CAUSE_SCORE,
    CAUSE_LABEL,
    CAUSE_VALUE,
    CAUSE_RATE,
    CAUSE_JUMP,
    CAUSE_RULES
};

struct frame_cause {
    uint32_t rule; /* enum cause_rule */
    uint32_t index;
    float value, limit;
};

struct cause_info {
    const char *name, *unit; /* "score", "1"; "time", "ms" */
    const char *subject;     /* what `index` counts: "detection", "value"; NULL: nothing */
};
extern const struct cause_info cause_infos[CAUSE_RULES];

#endif
