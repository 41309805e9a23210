#include "base/mem.h"
#include "fleet/decide/rollout.h"
#include "stats/bound.h"
#include "stats/review.h"
#include "stats/sequential.h"

#include <math.h>

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
                                .low = NAN,
                                .high = NAN,
                                .evidence = members,
                                .verdict = failed > (uint64_t)limit ? GATE_FAIL : GATE_PASS};
}

static struct gate_result share_gate(const char *name, uint64_t bad, uint64_t total, double limit,
                                     double alpha)
{
    struct gate_result gate = {.name = name, .limit = limit, .low = NAN, .high = NAN, .evidence = total};
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

/* The limit is on the good share; the test is on the bad one. */
static struct gate_result good_share_gate(const char *name, uint64_t good, uint64_t bad, double least,
                                          double alpha)
{
    struct gate_result gate = share_gate(name, bad, good + bad, 1 - least, alpha);
    bound_share_anytime(good, good + bad, alpha, &gate.low, &gate.high);
    gate.limit = least;
    gate.value = gate.evidence ? 1 - gate.value : 0;
    return gate;
}

/* Staged drills, where everything is known; and ordinary days, of which people know what was announced and what they report as missed. */
static struct gate_result recall_gate(const struct rollout_evidence *sum, const struct rollout_alarms *alarms,
                                      double least, double alpha)
{
    return good_share_gate("recall", sum->tp + alarms->judged_true, sum->fn + alarms->missed, least, alpha);
}

static double hours(const struct rollout_alarms *alarms)
{
    return (double)alarms->operating_ms / 3.6e6;
}

static struct gate_result rate_gate(const struct rollout_alarms *alarms, double most, double alpha)
{
    struct review_estimate rate;
    review_rate(alarms->judged_false, hours(alarms), alpha, &rate);
    struct gate_result gate = {.name = "false_alarms_per_hour",
                               .value = alarms->operating_ms ? rate.value : 0,
                               .limit = most,
                               .low = rate.low,
                               .high = rate.high,
                               .evidence = alarms->operating_ms > 0 ? alarms->judged_false + 1 : 0,
                               .verdict = GATE_PASS};
    if (rate.low > most)
        gate.verdict = GATE_FAIL;
    else if (alarms->operating_ms == 0 || gate.value > most)
        gate.verdict = GATE_WAITING;
    return gate;
}

/* Given how many false alarms there were in all, those of the new release are a binomial share of them: p = r·t / (r·t + t_before) where its rate is r times
 * the old one's (the conditional test of two Poisson rates; Przyborowski and Wilenski, 1940), here with a confidence sequence. */
static double ratio_of_share(double share, double new_h, double old_h)
{
    return share >= 1 ? (double)INFINITY : share / (1 - share) * old_h / new_h;
}

static struct gate_result ratio_gate(const struct rollout_alarms *now, const struct rollout_alarms *before,
                                     double most, double alpha)
{
    uint64_t total = now->judged_false + before->judged_false;
    struct gate_result gate = {.name = "false_alarm_ratio",
                               .limit = most,
                               .low = NAN,
                               .high = NAN,
                               .evidence = total,
                               .verdict = GATE_WAITING};
    double new_h = hours(now), old_h = hours(before), low, high;
    if (!total || new_h <= 0 || old_h <= 0)
        return gate;
    bound_share_anytime(now->judged_false, total, alpha, &low, &high);
    gate.value = ratio_of_share((double)now->judged_false / (double)total, new_h, old_h);
    gate.low = ratio_of_share(low, new_h, old_h);
    gate.high = ratio_of_share(high, new_h, old_h);
    gate.verdict = gate.low > most ? GATE_FAIL : gate.high <= most ? GATE_PASS : GATE_WAITING;
    return gate;
}

static void add_alarms(struct rollout_alarms *sum, const struct rollout_alarms *one)
{
    add(&sum->judged_true, one->judged_true);
    add(&sum->judged_false, one->judged_false);
    add(&sum->missed, one->missed);
    sum->operating_ms = MIN(sum->operating_ms + MIN(one->operating_ms, INT64_MAX / 8), INT64_MAX / 4);
}

/* Those that need people's verdicts. */
static size_t people_gates(const struct rollout_gates *gates, const struct rollout_evidence *sum,
                           const struct fleet_view *view, struct gate_result *out)
{
    struct rollout_alarms now = {0}, before = {0};
    size_t count = 0;
    for (size_t i = 0; i < view->count; i++) {
        if (view->robots[i].wave < 0)
            continue;
        add_alarms(&now, &view->robots[i].alarms);
        add_alarms(&before, &view->robots[i].alarms_before);
    }
    if (gates->min_recall >= 0)
        out[count++] = recall_gate(sum, &now, gates->min_recall, gates->alpha);
    if (gates->min_precision >= 0)
        out[count++] = good_share_gate("precision", now.judged_true, now.judged_false, gates->min_precision,
                                       gates->alpha);
    if (gates->max_false_alarms_per_hour >= 0)
        out[count++] = rate_gate(&now, gates->max_false_alarms_per_hour, gates->alpha);
    if (gates->max_false_alarm_ratio >= 0)
        out[count++] = ratio_gate(&now, &before, gates->max_false_alarm_ratio, gates->alpha);
    return count;
}

/* What robots' watchers found is a reason to wait for people, not to take a release back: they acknowledge it, or stop the rollout. */
static struct gate_result drift_gate(int64_t most, uint64_t open, uint64_t members)
{
    return (struct gate_result){.name = "drift",
                                .value = (double)open,
                                .limit = (double)most,
                                .low = NAN,
                                .high = NAN,
                                .evidence = members,
                                .verdict = open > (uint64_t)most ? GATE_WAITING : GATE_PASS};
}

static struct gate_result evidence_gate(int64_t least, const struct fleet_view *view)
{
    struct gate_result gate = {
        .name = "evidence", .limit = (double)least, .low = NAN, .high = NAN, .verdict = GATE_PASS};
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
    count += people_gates(gates, &sum, view, out + count);
    if (gates->max_drift >= 0)
        out[count++] = drift_gate(gates->max_drift, view->drift, members);
    out[count++] = evidence_gate(gates->min_frames, view);
    return count;
}
