#include "base/mem.h"
#include "fleet/decide/rollout.h"
#include "stats/sequential.h"

/* Sums stop short of where they, or what is made of them, could overflow: robots may say anything. */
static void add(uint64_t *sum, uint64_t more)
{
    const uint64_t most = INT64_MAX / 8;
    *sum = MIN(*sum + MIN(more, most), most);
}

static void add_up(struct rollout_evidence *sum, const struct rollout_evidence *one)
{
    add(&sum->frames, one->frames);
    add(&sum->interventions, one->interventions);
    add(&sum->inferences, one->inferences);
    add(&sum->over_budget, one->over_budget);
    add(&sum->tp, one->tp);
    add(&sum->fp, one->fp);
    add(&sum->fn, one->fn);
}

static struct gate_result failures_gate(int64_t limit, uint64_t failed, uint64_t members)
{
    return (struct gate_result){.name = "failures",
                                .value = (double)failed,
                                .limit = (double)limit,
                                .evidence = members,
                                .verdict = failed > (uint64_t)limit ? GATE_FAIL : GATE_PASS};
}

static struct gate_result share_gate(const char *name, uint64_t bad, uint64_t total, double limit,
                                     double alpha)
{
    struct gate_result gate = {.name = name, .limit = limit, .evidence = total};
    gate.value = total ? (double)bad / (double)total : 0;
    gate.verdict = GATE_PASS;
    if (sequential_exceeds(bad, total, limit, alpha))
        gate.verdict = GATE_FAIL;
    else if (!total || gate.value > limit) /* on the wrong side, but not yet refuted */
        gate.verdict = GATE_WAITING;
    return gate;
}

/* F1 = 2 tp / (2 tp + e) with e = fp + fn, so F1 >= a means a share of errors e / (tp + e) of at most 1 - a /
 * (2 - a). */
static struct gate_result accuracy_gate(const struct rollout_evidence *sum, double least, double alpha)
{
    uint64_t errors = sum->fp + sum->fn;
    struct gate_result gate =
        share_gate("accuracy", errors, sum->tp + errors, 1 - least / (2 - least), alpha);
    gate.limit = least;
    gate.value = gate.evidence ? 2 * (double)sum->tp / (double)(2 * sum->tp + errors) : 0;
    return gate;
}

static struct gate_result evidence_gate(int64_t least, const struct fleet_view *view)
{
    struct gate_result gate = {.name = "evidence", .limit = (double)least, .verdict = GATE_PASS};
    bool first = true;
    for (size_t i = 0; i < view->count; i++) {
        const struct fleet_robot *robot = &view->robots[i];
        if (robot->wave < 0 || robot->failed) /* a failed one is the failures gate's */
            continue;
        gate.evidence += robot->evidence.frames;
        double frames = (double)robot->evidence.frames;
        gate.value = first || frames < gate.value ? frames : gate.value; /* the robot that showed least */
        first = false;
    }
    if (first || gate.value < gate.limit)
        gate.verdict = GATE_WAITING;
    return gate;
}

size_t rollout_gates(const struct rollout *rollout, const struct fleet_view *view,
                     struct gate_result out[ROLLOUT_MAX_GATES])
{
    const struct rollout_gates *gates = &rollout->spec.gates;
    struct rollout_evidence sum = {0};
    uint64_t members = 0, failed = 0;
    for (size_t i = 0; i < view->count; i++) {
        if (view->robots[i].wave < 0)
            continue;
        members++;
        failed += view->robots[i].failed;
        add_up(&sum, &view->robots[i].evidence);
    }
    size_t count = 0;
    if (gates->max_failures >= 0)
        out[count++] = failures_gate(gates->max_failures, failed, members);
    if (gates->max_over_budget_share >= 0)
        out[count++] = share_gate("over_budget_share", sum.over_budget, sum.inferences,
                                  gates->max_over_budget_share, gates->alpha);
    if (gates->max_intervention_share >= 0)
        out[count++] = share_gate("intervention_share", sum.interventions, sum.frames,
                                  gates->max_intervention_share, gates->alpha);
    if (gates->min_accuracy >= 0)
        out[count++] = accuracy_gate(&sum, gates->min_accuracy, gates->alpha);
    out[count++] = evidence_gate(gates->min_frames, view);
    return count;
}
