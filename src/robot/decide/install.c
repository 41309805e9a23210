#include "robot/decide/install.h"
#include "base/mem.h"
#include "wire/release.h"

static const char *const phase_names[INSTALL_PHASE_COUNT] = {"idle",      "fetch",    "verify",
                                                             "self_test", "activate", "probation"};

static const struct install_slot empty_slot;

static bool is_empty(const struct install_slot *slot)
{
    return digest_is_zero(&slot->release);
}

/* The action that belongs to a phase: what a restarted agent has to do again. */
static enum install_action action_of(const struct install *install)
{
    static const enum install_action actions[INSTALL_PHASE_COUNT] = {
        [INSTALL_IDLE] = INSTALL_DO_NOTHING,      [INSTALL_FETCH] = INSTALL_DO_FETCH,
        [INSTALL_VERIFY] = INSTALL_DO_VERIFY,     [INSTALL_SELF_TEST] = INSTALL_DO_SELF_TEST,
        [INSTALL_ACTIVATE] = INSTALL_DO_ACTIVATE, [INSTALL_PROBATION] = INSTALL_DO_WATCH,
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

/* A newer assignment ends a probation: what was proven before answers again until the new one is in place. */
static void give_up_probation(struct install *install)
{
    if (!is_empty(&install->previous)) {
        install->current = install->previous;
        install->previous = empty_slot;
    }
    go_idle(install);
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
        install->candidate = install->previous; /* still hot, proven and verified: one switch away */
        install->phase = INSTALL_ACTIVATE;
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
    advance(install, INSTALL_SELF_TEST, out_action);
}

static void self_tested(struct install *install, enum install_action *out_action)
{
    install->candidate.generation = install->next_generation++;
    advance(install, INSTALL_ACTIVATE, out_action);
}

static void activated(struct install *install, int64_t now_ms, enum install_action *out_action)
{
    bool proven = install->rollback;
    install->previous = proven ? empty_slot : install->current;
    install->current = install->candidate;
    if (proven) { /* the release that was left is no fallback for the one it was left for */
        go_idle(install);
        return;
    }
    install->candidate = empty_slot;
    install->probation_since_ms = now_ms;
    advance(install, INSTALL_PROBATION, out_action);
}

static void roll_back(struct install *install)
{
    block(install, &install->current);
    install->current = install->previous; /* its runner is still hot: the same generation answers again */
    install->previous = empty_slot;
    go_idle(install);
}

bool install_step(struct install *install, const struct install_event *event, enum install_action *out_action)
{
    const enum install_phase phase = install->phase;
    const bool installing = phase >= INSTALL_FETCH && phase <= INSTALL_ACTIVATE;
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
        if (!installing)
            return false;
        block(install, &install->candidate);
        go_idle(install);
        return true;
    case INSTALL_EV_FETCHED:
        if (phase != INSTALL_FETCH)
            return false;
        advance(install, INSTALL_VERIFY, out_action);
        return true;
    case INSTALL_EV_VERIFIED:
        if (phase != INSTALL_VERIFY)
            return false;
        verified(install, event, out_action);
        return true;
    case INSTALL_EV_SELF_TESTED:
        if (phase != INSTALL_SELF_TEST)
            return false;
        self_tested(install, out_action);
        return true;
    case INSTALL_EV_ACTIVATED:
        if (phase != INSTALL_ACTIVATE)
            return false;
        activated(install, event->now_ms, out_action);
        return true;
    case INSTALL_EV_PROBATION_PASSED:
        if (phase != INSTALL_PROBATION)
            return false;
        go_idle(install);
        return true;
    case INSTALL_EV_PROBATION_FAILED:
        if (phase != INSTALL_PROBATION)
            return false;
        roll_back(install);
        return true;
    }
    return false;
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
    return is_empty(&install->current) || install->current.generation > 0;
}

const char *install_phase_name(enum install_phase phase)
{
    return (unsigned)phase < INSTALL_PHASE_COUNT ? phase_names[phase] : "unknown";
}
