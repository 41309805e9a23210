#include "robot/decide/guard_fsm.h"

#include <assert.h>

#define EV(name) [GUARD_EV_##name]

static const enum guard_state table[GUARD_STATE_COUNT][GUARD_EVENT_COUNT] = {
    [GUARD_INIT] = {EV(STARTED) = GUARD_STANDBY, EV(PRIMARY_READY) = GUARD_INIT,
                    EV(PRIMARY_LOST_WITH_FALLBACK) = GUARD_INIT, EV(PRIMARY_LOST_ALONE) = GUARD_INIT,
                    EV(FALLBACK_READY) = GUARD_INIT, EV(FALLBACK_LOST) = GUARD_INIT,
                    EV(DEACTIVATED) = GUARD_INIT},
    [GUARD_STANDBY] = {EV(STARTED) = GUARD_STANDBY, EV(PRIMARY_READY) = GUARD_AUTO,
                       EV(PRIMARY_LOST_WITH_FALLBACK) = GUARD_STANDBY, EV(PRIMARY_LOST_ALONE) = GUARD_STANDBY,
                       EV(FALLBACK_READY) = GUARD_STANDBY, EV(FALLBACK_LOST) = GUARD_STANDBY,
                       EV(DEACTIVATED) = GUARD_STANDBY},
    [GUARD_AUTO] = {EV(STARTED) = GUARD_AUTO, EV(PRIMARY_READY) = GUARD_AUTO,
                    EV(PRIMARY_LOST_WITH_FALLBACK) = GUARD_FALLBACK, EV(PRIMARY_LOST_ALONE) = GUARD_SAFE_STOP,
                    EV(FALLBACK_READY) = GUARD_AUTO, EV(FALLBACK_LOST) = GUARD_AUTO,
                    EV(DEACTIVATED) = GUARD_STANDBY},
    [GUARD_FALLBACK] = {EV(STARTED) = GUARD_FALLBACK, EV(PRIMARY_READY) = GUARD_AUTO,
                        EV(PRIMARY_LOST_WITH_FALLBACK) = GUARD_FALLBACK,
                        EV(PRIMARY_LOST_ALONE) = GUARD_SAFE_STOP, EV(FALLBACK_READY) = GUARD_FALLBACK,
                        EV(FALLBACK_LOST) = GUARD_SAFE_STOP, EV(DEACTIVATED) = GUARD_STANDBY},
    [GUARD_SAFE_STOP] = {EV(STARTED) = GUARD_SAFE_STOP, EV(PRIMARY_READY) = GUARD_AUTO,
                         EV(PRIMARY_LOST_WITH_FALLBACK) = GUARD_FALLBACK,
                         EV(PRIMARY_LOST_ALONE) = GUARD_SAFE_STOP, EV(FALLBACK_READY) = GUARD_FALLBACK,
                         EV(FALLBACK_LOST) = GUARD_SAFE_STOP, EV(DEACTIVATED) = GUARD_STANDBY},
};

static const char *const state_names[GUARD_STATE_COUNT] = {
    [GUARD_INIT] = "init",         [GUARD_STANDBY] = "standby",     [GUARD_AUTO] = "auto",
    [GUARD_FALLBACK] = "fallback", [GUARD_SAFE_STOP] = "safe_stop",
};

static const char *const event_names[GUARD_EVENT_COUNT] = {
    EV(STARTED) = "started",
    EV(PRIMARY_READY) = "primary ready",
    EV(PRIMARY_LOST_WITH_FALLBACK) = "primary lost, fallback hot",
    EV(PRIMARY_LOST_ALONE) = "primary lost, no fallback",
    EV(FALLBACK_READY) = "fallback ready",
    EV(FALLBACK_LOST) = "fallback lost",
    EV(DEACTIVATED) = "deactivated",
};

enum guard_state guard_fsm_next(enum guard_state state, enum guard_event event)
{
    assert((unsigned)state < GUARD_STATE_COUNT && (unsigned)event < GUARD_EVENT_COUNT);
    return table[state][event];
}

enum guard_answer guard_fsm_answer(enum guard_state state)
{
    static const enum guard_answer answers[GUARD_STATE_COUNT] = {
        [GUARD_AUTO] = GUARD_ANSWER_PRIMARY, [GUARD_FALLBACK] = GUARD_ANSWER_FALLBACK}; /* all others: 0, safe
                                                                                         */
    assert((unsigned)state < GUARD_STATE_COUNT);
    return answers[state];
}

const char *guard_state_name(enum guard_state state)
{
    return (unsigned)state < GUARD_STATE_COUNT ? state_names[state] : "unknown";
}

const char *guard_event_name(enum guard_event event)
{
    return (unsigned)event < GUARD_EVENT_COUNT ? event_names[event] : "unknown";
}
