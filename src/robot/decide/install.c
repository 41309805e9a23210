#include "robot/decide/install.h"
#include "base/mem.h"
#include "wire/release.h"

static const char *const phase_names[INSTALL_PHASE_COUNT] = {"idle",   "fetch",    "verify",   "self_test",
                                                             "shadow", "activate", "probation"};

static const struct install_slot empty_slot;

static bool is_empty(const struct install_slot *slot)
{
    return digest_is_zero(&slot->release);
}

/* The action that belongs to a phase: what a restarted agent has to do again. */
static enum install_action action_of(const struct install *install)
{
    static const enum install_action actions[INSTALL_PHASE_COUNT] = {
        [INSTALL_IDLE] = INSTALL_DO_NOTHING,    [INSTALL_FETCH] = INSTALL_DO_FETCH,
        [INSTALL_VERIFY] = INSTALL_DO_VERIFY,   [INSTALL_SELF_TEST] = INSTALL_DO_SELF_TEST,
        [INSTALL_SHADOW] = INSTALL_DO_SHADOW,   [INSTALL_ACTIVATE] = INSTALL_DO_ACTIVATE,
        [INSTALL_PROBATION] = INSTALL_DO_WATCH,
    };
    return actions[install->phase];
}

static void go_idle(struct install *install)
{
    install->candidate = empty_slot;
    install->rollback = false;
    install->phase = INSTALL_IDLE;
}

static void block(struct install *install, const struct install_slot *slot)
{
    install->blocked = slot->release;
    install->blocked_counter = install->assignment_counter;
}

static bool is_older(const struct install *install, const struct install_event *event)
{
    return !is_empty(&install->current) && !event->rollback && event->slot.version[0] &&
           version_compare(event->slot.version, install->current.version) < 0;
}

/* What ran before answers again: at once if its runner is still hot, by the same generation. */
static void return_to_previous(struct install *install)
{
    install->current = install->previous;
    install->previous = empty_slot;
    install->previous_cold = false;
    go_idle(install);
}

/* A newer assignment ends a probation: what was proven before answers again until the new one is in place. */
static void give_up_probation(struct install *install)
{
    if (is_empty(&install->previous))
        go_idle(install);
    else
        return_to_previous(install);
}

static void assign(struct install *install, const struct install_event *event,
                   enum install_action *out_action)
{
    install->assignment_counter = event->counter;
    if (install->phase == INSTALL_PROBATION &&
        digest_equal(&event->slot.release, &install->current.release)) {
        *out_action = INSTALL_DO_WATCH;
        return;
    }
    if (is_older(install, event)) {
        if (install->phase != INSTALL_PROBATION)
            go_idle(install);
        *out_action = INSTALL_DO_REFUSE_OLDER;
        return;
    }
    if (install->phase == INSTALL_PROBATION)
        give_up_probation(install);
    go_idle(install);
    if (digest_equal(&event->slot.release, &install->current.release))
        return;
    install->rollback = event->rollback;
    if (event->rollback && digest_equal(&event->slot.release, &install->previous.release)) {
        install->candidate = install->previous; /* proven and verified; hot: one switch away */
        install->phase = install->previous_cold ? INSTALL_SELF_TEST : INSTALL_ACTIVATE;
    } else {
        install->candidate = event->slot;
        install->candidate.generation = 0;
        install->phase = INSTALL_FETCH;
    }
    *out_action = action_of(install);
}

static void advance(struct install *install, enum install_phase to, enum install_action *out_action)
{
    install->phase = to;
    *out_action = action_of(install);
}

static void verified(struct install *install, const struct install_event *event,
                     enum install_action *out_action)
{
    memcpy(install->candidate.name, event->slot.name, sizeof install->candidate.name);
    memcpy(install->candidate.version, event->slot.version, sizeof install->candidate.version);
    install->candidate.generation = install->next_generation++;
    install->gap = false;
    advance(install, INSTALL_SELF_TEST, out_action);
}

/* False: nothing is left that could leave. */
static bool make_room(struct install *install, bool by_policy, enum install_action *out_action)
{
    bool may_gap = !install->gap && !is_empty(&install->current);
    if (may_gap && by_policy)
        install->gap = true;
    else if (install_previous_hot(install))
        install->previous_cold = true;
    else if (may_gap)
        install->gap = true;
    else
        return false;
    *out_action = action_of(install);
    return true;
}

static void activated(struct install *install, int64_t now_ms, enum install_action *out_action)
{
    bool proven = install->rollback;
    install->previous = proven ? empty_slot : install->current;
    install->previous_cold = !proven && install->gap && !is_empty(&install->current);
    install->current = install->candidate;
    if (proven) { /* the release that was left is no fallback for the one it was left for */
        go_idle(install);
        return;
    }
    install->candidate = empty_slot;
    install->probation_since_ms = now_ms;
    advance(install, INSTALL_PROBATION, out_action);
}

static void committed(struct install *install, int64_t now_ms)
{
    install->committed_ms = now_ms;
    go_idle(install);
}

static void roll_back(struct install *install)
{
    block(install, &install->current);
    return_to_previous(install);
}

/* Steps that lead on from one phase only. False: not this phase. */
static bool advance_from(struct install *install, const struct install_event *event,
                         enum install_action *out_action)
{
    static const enum install_phase phases[] = {
        [INSTALL_EV_FETCHED] = INSTALL_FETCH,         [INSTALL_EV_VERIFIED] = INSTALL_VERIFY,
        [INSTALL_EV_SELF_TESTED] = INSTALL_SELF_TEST, [INSTALL_EV_SHADOWED] = INSTALL_SHADOW,
        [INSTALL_EV_ACTIVATED] = INSTALL_ACTIVATE,
    };
    if (install->phase != phases[event->kind])
        return false;
    if (event->kind == INSTALL_EV_FETCHED)
        advance(install, INSTALL_VERIFY, out_action);
    else if (event->kind == INSTALL_EV_VERIFIED)
        verified(install, event, out_action);
    else if (event->kind == INSTALL_EV_SELF_TESTED)
        advance(install, install->rollback ? INSTALL_ACTIVATE : INSTALL_SHADOW, out_action);
    else if (event->kind == INSTALL_EV_SHADOWED)
        advance(install, INSTALL_ACTIVATE, out_action);
    else
        activated(install, event->now_ms, out_action);
    return true;
}

/* What happens to a release on probation. */
static bool probation_step(struct install *install, const struct install_event *event)
{
    if (install->phase != INSTALL_PROBATION)
        return false;
    if (event->kind == INSTALL_EV_PROBATION_PASSED)
        committed(install, event->now_ms);
    else if (event->kind == INSTALL_EV_PROBATION_FAILED)
        roll_back(install);
    else
        install->probation_since_ms += event->pause_ms;
    return true;
}

bool install_step(struct install *install, const struct install_event *event, enum install_action *out_action)
{
    const enum install_phase phase = install->phase;
    *out_action = INSTALL_DO_NOTHING;
    switch (event->kind) {
    case INSTALL_EV_RESTARTED:
        *out_action = action_of(install);
        return false;
    case INSTALL_EV_ASSIGNED:
        if (event->counter <= install->assignment_counter) {
            *out_action = action_of(install);
            return false;
        }
        assign(install, event, out_action);
        return true;
    case INSTALL_EV_FAILED:
        if (phase < INSTALL_FETCH || phase > INSTALL_ACTIVATE)
            return false;
        block(install, &install->candidate);
        go_idle(install);
        return true;
    case INSTALL_EV_FETCHED:
    case INSTALL_EV_VERIFIED:
    case INSTALL_EV_SELF_TESTED:
    case INSTALL_EV_SHADOWED:
    case INSTALL_EV_ACTIVATED:
        return advance_from(install, event, out_action);
    case INSTALL_EV_NO_ROOM:
        return phase == INSTALL_SELF_TEST && make_room(install, event->by_policy, out_action);
    case INSTALL_EV_PROBATION_PASSED:
    case INSTALL_EV_PROBATION_FAILED:
    case INSTALL_EV_PROBATION_PAUSED:
        *out_action = event->kind == INSTALL_EV_PROBATION_PAUSED ? INSTALL_DO_WATCH : INSTALL_DO_NOTHING;
        return probation_step(install, event);
    case INSTALL_EV_HOLD_OVER:
        if (phase != INSTALL_IDLE || !install_previous_hot(install))
            return false;
        install->previous_cold = true;
        return true;
    case INSTALL_EV_RELOAD:
        if (phase != INSTALL_IDLE || is_empty(&install->current))
            return false;
        install->current.generation = install->next_generation++;
        return true;
    case INSTALL_EV_ROLL_BACK:
        if (is_empty(&install->previous))
            return false;
        roll_back(install);
        return true;
    }
    return false;
}

bool install_previous_hot(const struct install *install)
{
    return !is_empty(&install->previous) && !install->previous_cold;
}

bool install_valid(const struct install *install)
{
    if ((unsigned)install->phase >= INSTALL_PHASE_COUNT || install->next_generation == 0)
        return false;
    const struct install_slot *slots[] = {&install->current, &install->previous, &install->candidate};
    for (size_t i = 0; i < ARRAY_LEN(slots); i++)
        if (slots[i]->generation >= install->next_generation)
            return false;
    bool installing = install->phase >= INSTALL_FETCH && install->phase <= INSTALL_ACTIVATE;
    if (installing == is_empty(&install->candidate))
        return false;
    if (install->phase == INSTALL_PROBATION && is_empty(&install->current))
        return false;
    bool runs = install->phase >= INSTALL_SELF_TEST && install->phase <= INSTALL_ACTIVATE;
    if (runs && install->candidate.generation == 0)
        return false;
    return is_empty(&install->current) || install->current.generation > 0;
}

const char *install_phase_name(enum install_phase phase)
{
    return (unsigned)phase < INSTALL_PHASE_COUNT ? phase_names[phase] : "unknown";
}
