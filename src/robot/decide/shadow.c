#include "robot/decide/shadow.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

static enum shadow_verdict fail_early(const struct shadow_limits *limits, const struct shadow_evidence *seen,
                                      char *reason, size_t size)
{
    if (seen->unsound > 0) {
        snprintf(reason, size, "on live frames %" PRIu64 " of its results were unsound", seen->unsound);
        return SHADOW_FAIL;
    }
    if (seen->runner_losses > limits->max_runner_losses) {
        snprintf(reason, size, "its runner crashed or hung %u times on live frames, %u are tolerated",
                 seen->runner_losses, limits->max_runner_losses);
        return SHADOW_FAIL;
    }
    return SHADOW_WAIT;
}

/* Of `frames` in all: enough even if every one that is still to come disagrees, or too few even if all agree. */
static enum shadow_verdict judge_agreement(const struct shadow_limits *limits,
                                           const struct shadow_evidence *seen, uint64_t frames, char *reason,
                                           size_t size)
{
    uint64_t agreed = MIN(seen->agreed, seen->compared), to_come = frames - MIN(frames, seen->compared);
    double needed = limits->min_agreement * (double)MAX(frames, seen->compared);
    if ((double)(agreed + to_come) + 1e-9 < needed) {
        snprintf(reason, size,
                 "on live frames it agreed with the release that answers on %" PRIu64 " of %" PRIu64
                 ", %.1f %% have to",
                 agreed, seen->compared, 100 * limits->min_agreement);
        return SHADOW_FAIL;
    }
    if (to_come > 0)
        return SHADOW_WAIT;
    snprintf(reason, size, "%" PRIu64 " live frames, agreed on %" PRIu64, seen->compared, agreed);
    return SHADOW_PASS;
}

static enum shadow_verdict skip(const struct shadow_limits *limits, const struct shadow_evidence *seen,
                                char *reason, size_t size)
{
    if (seen->alone)
        snprintf(reason, size, "not shadowed: no release answers beside it");
    else
        snprintf(reason, size, "not shadowed: %" PRIu64 " of %" PRIu64 " live frames came within %.0f s",
                 seen->compared, limits->frames, (double)seen->elapsed_ms / 1000);
    return SHADOW_SKIP;
}

enum shadow_verdict shadow_judge(const struct shadow_limits *limits, const struct shadow_evidence *evidence,
                                 char *reason, unsigned reason_size)
{
    reason[0] = 0;
    if (limits->frames == 0)
        return SHADOW_PASS;
    if (fail_early(limits, evidence, reason, reason_size) == SHADOW_FAIL)
        return SHADOW_FAIL;
    bool over = evidence->elapsed_ms >= limits->total_ms && evidence->compared > 0;
    uint64_t frames = over ? MIN(evidence->compared, limits->frames) : limits->frames;
    enum shadow_verdict verdict = judge_agreement(limits, evidence, frames, reason, reason_size);
    if (verdict == SHADOW_WAIT &&
        (evidence->alone || evidence->idle_ms >= limits->wait_ms || evidence->elapsed_ms >= limits->total_ms))
        return skip(limits, evidence, reason, reason_size);
    return verdict;
}
