#include "robot/decide/probation.h"
#include "stats/sequential.h"

#include <inttypes.h>
#include <stddef.h>

static bool too_slow(const struct probation_limits *limits, const struct probation_evidence *seen,
                     char *reason, size_t size)
{
    if (!sequential_exceeds(seen->over_budget, seen->inferences, limits->max_over_budget_share,
                            limits->alpha))
        return false;
    snprintf(reason, size,
             "latency p99 %.0f ms is over the budget of %.0f ms (%" PRIu64 " of %" PRIu64
             " inferences were slower)",
             seen->latency_p99_ms, limits->latency_budget_ms, seen->over_budget, seen->inferences);
    return true;
}

static bool too_many_interventions(const struct probation_limits *limits,
                                   const struct probation_evidence *seen, char *reason, size_t size)
{
    if (!sequential_exceeds(seen->interventions, seen->frames, limits->max_intervention_share, limits->alpha))
        return false;
    snprintf(reason, size,
             "the guard had to step in on %" PRIu64 " of %" PRIu64 " frames, %.1f %% are tolerated",
             seen->interventions, seen->frames, 100 * limits->max_intervention_share);
    return true;
}

static bool lost_too_often(const struct probation_limits *limits, const struct probation_evidence *seen,
                           char *reason, size_t size)
{
    if (seen->runner_losses <= limits->max_runner_losses)
        return false;
    snprintf(reason, size, "its runner crashed or hung %u times, %u are tolerated", seen->runner_losses,
             limits->max_runner_losses);
    return true;
}

enum probation_verdict probation_judge(const struct probation_limits *limits,
                                       const struct probation_evidence *evidence, char *reason,
                                       unsigned reason_size)
{
    if (too_slow(limits, evidence, reason, reason_size) ||
        too_many_interventions(limits, evidence, reason, reason_size) ||
        lost_too_often(limits, evidence, reason, reason_size))
        return PROBATION_FAIL;
    if (evidence->elapsed_ms < limits->duration_ms)
        return PROBATION_WAIT;
    if (evidence->program_attached && evidence->frames < limits->min_frames)
        return PROBATION_WAIT;
    return PROBATION_PASS;
}
