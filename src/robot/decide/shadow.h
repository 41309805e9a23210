/* Judges a candidate by live frames that it computed beside the release that answers. Nobody used its results; what
 * counts is that each was sound, and how often it said the same as the other one did.
 *
 *   every result sound, `frames` compared, share that agreed ≥ min_agreement   PASS
 *   one unsound result, runner lost too often, agreement out of reach          FAIL: the release is refused
 *   nothing to compare with, or no frame came for wait_ms                      SKIP: goes on unproven, and says so
 *   total_ms are over                                                          judged by the frames there are
 *
 * A model with memory builds its memory meanwhile, from the very stream that it will answer.
 */
#ifndef MUSTER_ROBOT_DECIDE_SHADOW_H
#define MUSTER_ROBOT_DECIDE_SHADOW_H

#include <stdbool.h>
#include <stdint.h>

struct shadow_limits {
    uint64_t frames;      /* 0: none are wanted: PASS at once */
    double min_agreement; /* share of the compared frames; 0: they only have to be sound */
    int64_t wait_ms;      /* this long without a compared frame: SKIP */
    int64_t total_ms;
    uint32_t max_runner_losses;
};

struct shadow_evidence {
    int64_t elapsed_ms; /* since the shadowing began */
    int64_t idle_ms;    /* since the last compared frame, or the begin */
    bool alone;         /* no other release can answer meanwhile (first release, or a declared gap) */
    uint64_t compared, agreed, unsound;
    uint32_t runner_losses;
};

enum shadow_verdict { SHADOW_WAIT, SHADOW_PASS, SHADOW_SKIP, SHADOW_FAIL };

/* `reason`: one line with the figures, for all but WAIT; "" for a PASS without frames. */
enum shadow_verdict shadow_judge(const struct shadow_limits *limits, const struct shadow_evidence *evidence,
                                 char *reason, unsigned reason_size);

#endif
