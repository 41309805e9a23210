#include "robot/recorder/trigger.h"

#include "base/mem.h"

#include <stdio.h>

static const struct {
    const char *name;
    int severity;
} causes[CAUSE_COUNT] = {
    [CAUSE_INTERVENTIONS] = {"interventions", 0},
    [CAUSE_RUNNER_LOST] = {"runner_lost", 1},
    [CAUSE_FALLBACK] = {"fallback", 1},
    [CAUSE_FORCED] = {"forced", 1},
    [CAUSE_HOLD] = {"hold", 1},
    [CAUSE_OVERRIDE] = {"override", 2},
    [CAUSE_OPERATOR] = {"operator", 2},
    [CAUSE_GUARD_LOST] = {"guard_lost", 2},
    [CAUSE_SAFE_STOP] = {"safe_stop", 3},
    [CAUSE_ESTOP] = {"estop", 3},
};

int recorder_cause_severity(enum recorder_cause cause)
{
    return causes[cause].severity;
}

const char *recorder_cause_name(enum recorder_cause cause)
{
    return causes[cause].name;
}

void trigger_init(struct trigger *trigger, const struct trigger_options *options)
{
    *trigger = (struct trigger){.options = *options, .state = GUARD_STATE_COUNT};
    trigger->options.interventions = MIN(options->interventions, (uint32_t)TRIGGER_MAX_INTERVENTIONS);
}

void trigger_pull(struct trigger *trigger, enum recorder_cause cause, const struct trigger_why *why,
                  int64_t now_ns)
{
    const struct trigger_options *options = &trigger->options;
    if (!trigger->open) {
        trigger->open = true;
        trigger->first_ns = now_ns;
    }
    if (trigger->first_ns == now_ns || cause > trigger->cause) {
        trigger->cause = cause;
        trigger->at_ns = now_ns;
        trigger->why = why ? *why : (struct trigger_why){0};
    }
    trigger->until_ns = MIN(now_ns + options->after_ns, trigger->first_ns + options->longest_ns);
}

static enum recorder_cause cause_of_state(uint32_t state)
{
    switch (state) {
    case GUARD_FALLBACK:
        return CAUSE_FALLBACK;
    case GUARD_FORCED:
        return CAUSE_FORCED;
    case GUARD_HOLD:
        return CAUSE_HOLD;
    case GUARD_OVERRIDE:
        return CAUSE_OVERRIDE;
    case GUARD_SAFE_STOP:
        return CAUSE_SAFE_STOP;
    case GUARD_ESTOP:
        return CAUSE_ESTOP;
    default:
        return CAUSE_COUNT;
    }
}

void trigger_state(struct trigger *trigger, uint32_t state, const struct trigger_why *why, int64_t now_ns)
{
    bool entered = trigger->state < GUARD_STATE_COUNT && state != trigger->state;
    trigger->state = state;
    enum recorder_cause cause = cause_of_state(state);
    if (entered && cause != CAUSE_COUNT)
        trigger_pull(trigger, cause, why, now_ns);
}

/* What is a state of its own (nobody there, a human in control) has its own trigger. */
static bool counts(enum intervention reason)
{
    return reason < INTERVENTION_COUNT && reason != INTERVENED_RUNNER_LOST && reason != INTERVENED_OVERSIGHT;
}

void trigger_intervention(struct trigger *trigger, enum intervention reason, int64_t now_ns)
{
    uint32_t many = trigger->options.interventions;
    if (many == 0 || !counts(reason))
        return;
    trigger->times[trigger->next] = now_ns;
    trigger->next = (trigger->next + 1) % many;
    int64_t oldest_ns = trigger->times[trigger->next];
    if (oldest_ns == 0 || now_ns - oldest_ns > trigger->options.window_ns || now_ns < trigger->quiet_until_ns)
        return;
    struct trigger_why why = {0};
    snprintf(why.text, sizeof why.text, "%u interventions in %.1f s", many,
             (double)(now_ns - oldest_ns) / 1e9);
    trigger->quiet_until_ns = now_ns + trigger->options.quiet_ns;
    trigger_pull(trigger, CAUSE_INTERVENTIONS, &why, now_ns);
}

bool trigger_due(const struct trigger *trigger, int64_t now_ns)
{
    return trigger->open && now_ns >= trigger->until_ns;
}

void trigger_close(struct trigger *trigger)
{
    trigger->open = false;
}
