/* Decision records of rollouts (wire/decision.h): which gate decided, by how much, and what would have been otherwise. */
#include "fleet/engine/engine.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/decision.h"

#include <math.h>

enum { KEEP_DECISIONS = 10000, PRUNE_EVERY = 8 };

/* "at least" gates name what is wanted; the others what is the most. */
static bool wants_more(const char *name)
{
    static const char *const names[] = {"accuracy", "recall", "precision", "evidence"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(name, names[i]))
            return true;
    return false;
}

static double margin_of(const struct gate_result *gate)
{
    return wants_more(gate->name) ? gate->value - gate->limit : gate->limit - gate->value;
}

/* What stopped it; else what was nearest to stopping it. */
static const struct gate_result *deciding(const struct rollout_actions *actions)
{
    const struct gate_result *best = NULL;
    double least = INFINITY;
    for (size_t i = 0; i < actions->gate_count; i++) {
        const struct gate_result *gate = &actions->gates[i];
        double relative = margin_of(gate) / (fabs(gate->limit) > 0 ? fabs(gate->limit) : 1);
        if (gate->verdict == GATE_FAIL)
            return gate;
        if (relative < least) {
            least = relative;
            best = gate;
        }
    }
    return best;
}

static void contrast(const struct gate_result *gate, bool stopped, char *out, size_t size)
{
    const char *side =
        wants_more(gate->name) ? (stopped ? "of at least" : "below") : (stopped ? "of at most" : "over");
    snprintf(out, size, "%s %s %.4g: it would %s", gate->name, side, gate->limit,
             stopped ? "have gone on" : "not have passed");
}

static void fill_gate(struct decision *decision, const struct gate_result *gate, bool stopped)
{
    str_copy(decision->rule, sizeof decision->rule, gate->name);
    decision->value = gate->evidence ? gate->value : (double)NAN;
    decision->limit = gate->limit;
    decision->margin = gate->evidence ? margin_of(gate) : (double)NAN;
    decision->count = gate->evidence ? gate->evidence : 1;
    contrast(gate, stopped, decision->otherwise, sizeof decision->otherwise);
}

static int keep(struct fleet *fleet, const struct rollout *next, const struct decision *decision,
                struct err *err)
{
    cleanup_free char *text = decision_format(decision);
    struct decision_row row = {.release = next->release,
                               .rollout = next->id,
                               .time_ms = decision->time_ms,
                               .received_ms = decision->time_ms,
                               .detail = text};
    uint64_t id = 0;
    if (!text)
        return err_no_memory(err);
    str_copy(row.who, sizeof row.who, decider_name(decision->who));
    str_copy(row.rule, sizeof row.rule, decision->rule);
    if (fleet->store->ops->decision_add(fleet->store, &row, &id, err) < 0)
        return -1;
    return id % PRUNE_EVERY ? 0 : fleet->store->ops->decision_prune(fleet->store, "", KEEP_DECISIONS, err);
}

int engine_why(struct fleet *fleet, const struct rollout *old, const struct rollout_actions *actions,
               struct err *err)
{
    const struct rollout *next = &actions->next;
    bool moved = next->state != old->state, waved = next->wave != old->wave;
    bool stopped = next->state == ROLLOUT_ROLLING_BACK || next->state == ROLLOUT_PAUSED;
    const struct gate_result *gate = deciding(actions);
    struct decision decision = {
        .time_ms = clock_wall_ms(), .who = DECIDER_ROLLOUT, .release = next->release, .count = 1};
    if (!moved && !waved)
        return 0;
    decision.value = decision.limit = decision.margin = NAN;
    str_copy(decision.rule, sizeof decision.rule, moved ? rollout_state_name(next->state) : "wave");
    if (gate && (stopped || waved || next->state == ROLLOUT_DONE))
        fill_gate(&decision, gate, stopped);
    snprintf(decision.subject, sizeof decision.subject, "rollout %llu, wave %s", (unsigned long long)next->id,
             old->spec.waves[old->wave].name);
    if (next->reason[0])
        str_copy(decision.because, sizeof decision.because, next->reason);
    else if (waved)
        snprintf(decision.because, sizeof decision.because, "every gate of wave %s holds",
                 old->spec.waves[old->wave].name);
    else
        snprintf(decision.because, sizeof decision.because, "it is %s", rollout_state_name(next->state));
    return keep(fleet, next, &decision, err);
}
