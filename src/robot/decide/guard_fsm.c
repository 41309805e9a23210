#include "robot/decide/guard_fsm.h"

enum answer_word {
    SAFE = GUARD_ANSWER_SAFE,
    PRIMARY = GUARD_ANSWER_PRIMARY,
    FALLBACK = GUARD_ANSWER_FALLBACK
};
enum latch_word { PASSING, LATCHED };
enum source_word {
    FROM_GUARD = GUARD_FROM_GUARD,
    FROM_AGENT = GUARD_FROM_AGENT,
    FROM_HARDWARE = GUARD_FROM_HARDWARE,
    FROM_HUMAN = GUARD_FROM_HUMAN
};

static const struct state_row {
    enum answer_word answer;
    int severity;
    enum latch_word latch;
} states[GUARD_STATE_COUNT] = {
#define STATE(name, answer, severity, latch) [GUARD_##name] = {answer, severity, latch},
#include "robot/decide/guard_table.def"
};

enum clears_word { STANDS, CLEARS };

static const struct event_row {
    enum source_word source;
    enum clears_word clears;
} events[GUARD_EVENT_COUNT] = {
#define EVENT(name, source, clears) [GUARD_EV_##name] = {source, clears},
#include "robot/decide/guard_table.def"
};

/* 0: the event says nothing in this state. Else the next state + 1. */
static const unsigned char moves[GUARD_STATE_COUNT][GUARD_EVENT_COUNT] = {
#define MOVE(from, event, to) [GUARD_##from][GUARD_EV_##event] = GUARD_##to + 1,
#define KEEP(from, event) [GUARD_##from][GUARD_EV_##event] = GUARD_##from + 1,
#include "robot/decide/guard_table.def"
};

struct guard_step guard_fsm_step(enum guard_state state, enum guard_event event)
{
    if ((unsigned)state >= GUARD_STATE_COUNT || (unsigned)event >= GUARD_EVENT_COUNT)
        return (struct guard_step){.next = GUARD_SAFE_STOP};
    unsigned char to = moves[state][event];
    if (to == 0)
        return (struct guard_step){.next = state, .accepted = events[event].source != FROM_HUMAN};
    return (struct guard_step){.next = (enum guard_state)(to - 1), .accepted = true};
}

enum guard_answer guard_fsm_answer(enum guard_state state)
{
    return (unsigned)state < GUARD_STATE_COUNT ? (enum guard_answer)states[state].answer : GUARD_ANSWER_SAFE;
}

int guard_fsm_severity(enum guard_state state)
{
    return (unsigned)state < GUARD_STATE_COUNT ? states[state].severity : states[GUARD_SAFE_STOP].severity;
}

bool guard_fsm_latched(enum guard_state state)
{
    return (unsigned)state >= GUARD_STATE_COUNT || states[state].latch == LATCHED;
}

enum guard_source_of_event guard_fsm_source(enum guard_event event)
{
    return (unsigned)event < GUARD_EVENT_COUNT ? (enum guard_source_of_event)events[event].source
                                               : GUARD_FROM_GUARD;
}

bool guard_fsm_clears(enum guard_event event)
{
    return (unsigned)event < GUARD_EVENT_COUNT && events[event].clears == CLEARS;
}

static const char *const state_texts[GUARD_STATE_COUNT] = {
    [GUARD_INIT] = "init",         [GUARD_STANDBY] = "standby",   [GUARD_AUTO] = "auto",
    [GUARD_DEGRADED] = "degraded", [GUARD_FALLBACK] = "fallback", [GUARD_FORCED] = "forced",
    [GUARD_HOLD] = "hold",         [GUARD_OVERRIDE] = "override", [GUARD_SAFE_STOP] = "safe_stop",
    [GUARD_ESTOP] = "estop",       [GUARD_ACK_WAIT] = "ack_wait", [GUARD_SERVICE] = "service",
};

static const char *const event_texts[GUARD_EVENT_COUNT] = {
    [GUARD_EV_STARTED] = "started",
    [GUARD_EV_PRIMARY_READY] = "primary_ready",
    [GUARD_EV_PRIMARY_DEGRADED] = "primary_degraded",
    [GUARD_EV_PRIMARY_LOST] = "primary_lost",
    [GUARD_EV_FALLBACK_READY] = "fallback_ready",
    [GUARD_EV_FALLBACK_LOST] = "fallback_lost",
    [GUARD_EV_DEACTIVATED] = "deactivated",
    [GUARD_EV_FAULT] = "fault",
    [GUARD_EV_LEASE_LOST] = "lease_lost",
    [GUARD_EV_ESTOP_PRESSED] = "estop_pressed",
    [GUARD_EV_ESTOP_RELEASED] = "estop_released",
    [GUARD_EV_HOLD] = "hold",
    [GUARD_EV_RELEASE] = "release",
    [GUARD_EV_OVERRIDE] = "override",
    [GUARD_EV_RENEW] = "renew",
    [GUARD_EV_FORCE_FALLBACK] = "force_fallback",
    [GUARD_EV_STOP] = "stop",
    [GUARD_EV_RESET] = "reset",
    [GUARD_EV_RESTART] = "restart",
    [GUARD_EV_SERVICE] = "service",
};

const char *guard_state_name(enum guard_state state)
{
    return (unsigned)state < GUARD_STATE_COUNT ? state_texts[state] : "unknown";
}

const char *guard_event_name(enum guard_event event)
{
    return (unsigned)event < GUARD_EVENT_COUNT ? event_texts[event] : "unknown";
}
