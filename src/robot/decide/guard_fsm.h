/* The guard's state machine: one table, states × events.
 *
 *            STARTED          PRIMARY_READY
 *   INIT ───────────▶ STANDBY ─────────────▶ AUTO ──PRIMARY_LOST, fallback hot──▶ FALLBACK
 *                        ▲                   │ ▲                                   │  │
 *                        │      PRIMARY_LOST,│ │PRIMARY_READY      PRIMARY_READY   │  │ FALLBACK_LOST
 *                        │      no fallback  ▼ │      ◀─────── AUTO ───────────────┘  ▼
 *                        └──DEACTIVATED── SAFE_STOP ◀──────────────────────────── SAFE_STOP
 *
 * Who answers a frame follows from the state alone: AUTO the primary, FALLBACK the fallback, every other
 * state the safe state. SAFE_STOP ends by itself when a runner is ready again; latching stops and human
 * leases belong to the oversight states that design.md names and this table does not have yet. States are
 * enum guard_state of robot/ctl/ctl.h.
 */
#ifndef MUSTER_ROBOT_DECIDE_GUARD_FSM_H
#define MUSTER_ROBOT_DECIDE_GUARD_FSM_H

#include "robot/ctl/ctl.h"

enum guard_event {
    GUARD_EV_STARTED,       /* set-up is complete */
    GUARD_EV_PRIMARY_READY, /* the active generation has a live runner (just activated, or it came back) */
    GUARD_EV_PRIMARY_LOST_WITH_FALLBACK, /* its runner crashed, hung or left; the fallback's is live */
    GUARD_EV_PRIMARY_LOST_ALONE,         /* … and there is no live fallback */
    GUARD_EV_FALLBACK_READY,             /* the fallback generation has a live runner now */
    GUARD_EV_FALLBACK_LOST,              /* the fallback's runner is gone */
    GUARD_EV_DEACTIVATED,                /* the agent took the active generation away */
    GUARD_EVENT_COUNT
};

enum guard_answer { GUARD_ANSWER_SAFE, GUARD_ANSWER_PRIMARY, GUARD_ANSWER_FALLBACK };

enum guard_state guard_fsm_next(enum guard_state state, enum guard_event event);
enum guard_answer guard_fsm_answer(enum guard_state state);
const char *guard_state_name(enum guard_state state); /* "auto" */
const char *guard_event_name(enum guard_event event);

#endif
