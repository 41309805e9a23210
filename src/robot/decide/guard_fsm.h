/* The guard's state machine. Its one source is guard_table.def: states, events, moves. The C table here, the Promela model,
 * the complete test suite and the diagram of docs/guard.md are all made from it.
 *
 *      ┌──────── the models' side ────────┐        ┌──────────────── the humans' side ────────────────┐
 *   INIT ─▶ STANDBY ◀─▶ AUTO ◀─▶ DEGRADED          HOLD   FORCED   OVERRIDE ──lease lost──▶ SAFE_STOP ◀─ FAULT, STOP
 *              ▲ │        ▲                                           │release                │reset      ▲
 *              │ └─▶ FALLBACK                                         ▼                       ▼           │released
 *              └────────────────restart───────────────────────────ACK_WAIT ◀───────────────────         ESTOP
 *
 * Who answers a frame follows from the state alone: AUTO and DEGRADED the primary, FALLBACK and FORCED the fallback, every
 * other state the safe state. What a latch keeps survives the guard and the robot (guard_fsm_latched; robot/guard/latch.h).
 * The functions are total: any state, any event.
 */
#ifndef MUSTER_ROBOT_DECIDE_GUARD_FSM_H
#define MUSTER_ROBOT_DECIDE_GUARD_FSM_H

#include "robot/ctl/ctl.h"

enum guard_event {
#define EVENT(name, source, clears) GUARD_EV_##name,
#include "robot/decide/guard_table.def"
    GUARD_EVENT_COUNT
};

enum guard_answer { GUARD_ANSWER_SAFE, GUARD_ANSWER_PRIMARY, GUARD_ANSWER_FALLBACK };
enum guard_source_of_event { GUARD_FROM_GUARD, GUARD_FROM_AGENT, GUARD_FROM_HARDWARE, GUARD_FROM_HUMAN };

struct guard_step {
    enum guard_state next;
    bool accepted; /* false: nothing happens; a human is told so */
};

struct guard_step guard_fsm_step(enum guard_state state, enum guard_event event);
enum guard_answer guard_fsm_answer(enum guard_state state);
int guard_fsm_severity(enum guard_state state);
bool guard_fsm_latched(enum guard_state state);
enum guard_source_of_event guard_fsm_source(enum guard_event event);
bool guard_fsm_clears(enum guard_event event);        /* may lead to a less severe state */
const char *guard_state_name(enum guard_state state); /* "auto" */
const char *guard_event_name(enum guard_event event); /* "primary_lost" */

#endif
