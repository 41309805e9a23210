/* The way of a release on one robot, as a pure machine over a small state that the agent persists after every
 * step.
 *
 *   IDLE ─assigned─▶ FETCH ─fetched─▶ VERIFY ─verified─▶ SELF_TEST ─passed─▶ SHADOW ─judged─▶ ACTIVATE ─active─▶ PROBATION
 *    ▲                 │                │                   │ ▲                │                │                  │  │
 *    │                 └────────────────┴───── failed ──────┼─┼────────────────┴────────────────┘      roll back   │  │ passed:
 *    │          (candidate blocked; what ran goes on)       └─┘ no room: something leaves              (blocked)   │  │ commit
 *    └─────────────────────────────────────────────────────────────────────────────────────────────────────────────┴──┘
 *
 * SELF_TEST: the candidate's runner loads, warms up and runs its golden cases, before the guard ever hears of it. Where
 * memory does not hold it beside the others, the previous release leaves first, then the current one (`gap`: what is
 * still hot, or the safe state, answers until the candidate does). A release may ask for the gap (NO_ROOM by policy).
 * SHADOW: it computes live frames that nobody uses; judged by shadow.h.
 *
 * A rollback that the server orders goes the same way but without SHADOW and PROBATION: its release is proven. If that
 * is `previous` and its runner is still hot, it is one switch away (IDLE → ACTIVATE). A rollback that a human orders is
 * the one of a failed probation, from any phase: at once, and what was left is blocked.
 *
 * RELOAD (an engine for the accelerator is ready): current gets a new generation; the old one answers until the new one does. Release and
 * phase stay.
 *
 * Slots: `current` is what answers (during probation: the candidate has become current and `previous` is its hot
 * fallback). After the commit `previous` stays hot for its hold time, then it is cold: known, in the store, not loaded.
 * Invariants: current is left only for a newer assignment, after a failed probation or for a human, then for what ran
 * before; a blocked release is not tried again until a newer assignment names it; generations grow. A restart
 * (EV_RESTARTED) at any step leads to the same end: every step may be repeated.
 */
#ifndef MUSTER_ROBOT_DECIDE_INSTALL_H
#define MUSTER_ROBOT_DECIDE_INSTALL_H

#include "base/digest.h"

#include <stdbool.h>
#include <stdint.h>

enum install_phase {
    INSTALL_IDLE,
    INSTALL_FETCH,
    INSTALL_VERIFY,
    INSTALL_SELF_TEST,
    INSTALL_SHADOW,
    INSTALL_ACTIVATE,
    INSTALL_PROBATION,
    INSTALL_PHASE_COUNT
};

struct install_slot {
    struct digest release;  /* zero: empty */
    uint64_t manifest_size; /* bytes */
    uint64_t generation;    /* 0 until it is to run */
    char name[64];
    char version[64];
};

struct install {
    enum install_phase phase;
    struct install_slot current, previous, candidate;
    uint64_t next_generation;    /* starts at 1 */
    uint64_t assignment_counter; /* of the assignment last looked at */
    struct digest blocked;       /* the assigned release that failed here; zero: none */
    uint64_t blocked_counter;    /* the assignment it failed under */
    bool rollback;               /* the candidate may be older than current */
    int64_t
        probation_since_ms; /* wall clock; the agent judges with probation.h; moves on while a human stands above */
    int64_t committed_ms; /* wall clock; the hold time of `previous` counts from here */
    bool previous_cold;   /* its runner is not kept loaded */
    bool gap;             /* candidate and current are never loaded together; also on the way back */
};

enum install_event_kind {
    INSTALL_EV_ASSIGNED, /* slot, counter, rollback */
    INSTALL_EV_FETCHED,
    INSTALL_EV_VERIFIED, /* slot.name and slot.version as release.json says */
    INSTALL_EV_SELF_TESTED,
    INSTALL_EV_SHADOWED,  /* passed, or there was nothing to compare with */
    INSTALL_EV_NO_ROOM,   /* SELF_TEST: `by_policy`, or memory does not hold it beside what is loaded */
    INSTALL_EV_ACTIVATED, /* the guard answers with the candidate's generation; now_ms */
    INSTALL_EV_FAILED,    /* the step of this phase failed for good */
    INSTALL_EV_PROBATION_PASSED,
    INSTALL_EV_PROBATION_FAILED,
    INSTALL_EV_PROBATION_PAUSED, /* for pause_ms a human stood above the model: that time does not count */
    INSTALL_EV_HOLD_OVER,        /* IDLE: the previous release need not be hot any more */
    INSTALL_EV_ROLL_BACK,        /* a human says so */
    INSTALL_EV_RELOAD, /* IDLE: current is loaded once more, as another generation, for what was derived from it */
    INSTALL_EV_RESTARTED, /* the agent came up and loaded this state */
};

struct install_event {
    enum install_event_kind kind;
    struct install_slot slot;
    uint64_t counter;
    bool rollback, by_policy;
    int64_t now_ms, pause_ms;
};

/* What the agent has to do next; at most one. */
enum install_action {
    INSTALL_DO_NOTHING,
    INSTALL_DO_FETCH,        /* candidate: manifest, signature, blobs */
    INSTALL_DO_VERIFY,       /* candidate: every check of release/image.h */
    INSTALL_DO_SELF_TEST,    /* candidate: make room, start its runner, which runs the golden cases */
    INSTALL_DO_SHADOW,       /* candidate: live frames beside the current one */
    INSTALL_DO_ACTIVATE,     /* candidate: switch the guard */
    INSTALL_DO_WATCH,        /* current is on probation */
    INSTALL_DO_REFUSE_OLDER, /* the assignment named an older version without `rollback`: report it */
};

/* Applies an event. True if the state changed and must be persisted before *out_action is carried out. Events
 * that do not fit the phase (a late answer after a restart) change nothing. */
bool install_step(struct install *install, const struct install_event *event,
                  enum install_action *out_action);

/* After a state was loaded: false if it is inconsistent (then the agent starts from an empty one and
 * re-adopts). */
bool install_valid(const struct install *install);

/* Whether the previous release's runner is to be loaded. */
bool install_previous_hot(const struct install *install);

const char *install_phase_name(enum install_phase phase);

#endif
