/* Which frames a person should look at, and with what probability each was taken: the estimates of precision and recall rest on that
 * (stats/review.h), so it is fixed before a frame is seen, and said with it. Pure.
 *
 *   reason         who is eligible                                        kept per hour, on average
 *   audit          every frame, whatever it shows                         20, and never more often than `audit` (1 / 2000)
 *   unsure         a score within 0.05 of the threshold                   12
 *   novel          SIGNAL_NOVELTY ≥ 2: one in a hundred ordinary frames   12
 *   intervention   the guard did not pass the result on                   8
 *   operator       the frame after somebody asked for one                 all
 *   alarm          an event's score rose over its threshold               all
 *
 * A reason's probability follows how many frames were eligible in the windows before, so that the average is kept; a flood inside of one window is cut off
 * at twice the hour's number, and what is cut off is counted. A frame that several reasons want goes to the first of audit, operator, intervention,
 * novel, unsure: so the audits are a fair sample of all frames.
 */
#ifndef MUSTER_ROBOT_WATCH_CHOICE_H
#define MUSTER_ROBOT_WATCH_CHOICE_H

#include "robot/ring/ring.h"
#include "wire/sample.h"

#include <stdbool.h>
#include <stdint.h>

struct choice_options {      /* 0: default */
    double audit;            /* probability, at most */
    double scale;            /* of all numbers per hour; 1 */
    uint64_t bytes_per_hour; /* 4 MiB; samples beyond are cut off */
    uint64_t seed;
};

struct choice_stratum {
    double probability, eligible_per_s; /* of the windows before, smoothed; NaN: none yet */
    uint64_t eligible;                  /* in this window */
    double tokens;                      /* samples that may still be taken */
};

struct choice {
    struct choice_options options;
    struct choice_stratum strata[SAMPLE_REASONS];
    uint64_t random;
    double byte_tokens;
    bool asked;
    uint64_t cut_off; /* since the start */
};

struct choice_pick {
    enum sample_reason reason;
    double probability;
};

void choice_init(struct choice *choice, const struct choice_options *options);
void choice_ask(struct choice *choice); /* an operator wants the next frame */
/* `threshold`: of the release's scores; NaN: none. */
bool choice_frame(struct choice *choice, const struct ring_verdict *verdict, double threshold,
                  struct choice_pick *out);
bool choice_alarm(struct choice *choice, struct choice_pick *out); /* an alarm is there; false: too many */
void choice_spent(struct choice *choice, uint64_t bytes);          /* of the sample that came of a pick */
void choice_window(struct choice *choice, double seconds);         /* a window has ended */

#endif
