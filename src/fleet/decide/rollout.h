/* The rollout engine, pure: what is the case goes in, what is to be done comes out. The shell around it
 * (fleet/…) loads the view, carries the actions out in one transaction and calls again; so a server that is
 * killed between any two decisions goes on where it was.
 *
 *                    gate failed (on_failure: rollback), or abort
 *   RUNNING ──────────────────────────────────────────────────────▶ ROLLING_BACK ──all back──▶ ROLLED_BACK
 *    │  ▲  └─ gate failed (on_failure: pause), or pause ─▶ PAUSED ─────────┘ abort
 *    │  │└────────────────── resume ──────────────────────────┘
 *    │  └── nothing withholds it any more ── WAITING ◀── something withholds it, and robots are to be taken in
 *    └── last wave passed ─▶ DONE
 *
 * What withholds a release is the offline keys' word: it is not among the published targets, or approvals that its terms
 * ask for are missing. A release whose terms ask for approval of the plan is rolled out exactly as planned: which robot in which
 * wave was settled when the rollout was made, and nobody is taken in whom the plan does not name.
 *
 * A wave passes when every member has committed the release, each has shown min_frames of evidence, every
 * gate that is asked for holds, and bake_s have gone by since the last commit. Gates are looked at on every
 * call over all members: shares by an anytime-valid test (stats/sequential.h), so looking often costs no
 * false stop. A share on the wrong
 * side of its limit that is not refuted yet is GATE_WAITING: it stops nothing, but no wave passes with it.
 */
#ifndef MUSTER_FLEET_DECIDE_ROLLOUT_H
#define MUSTER_FLEET_DECIDE_ROLLOUT_H

#include "base/digest.h"
#include "base/err.h"
#include "wire/rollout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rollout_state {
    ROLLOUT_RUNNING,
    ROLLOUT_PAUSED,
    ROLLOUT_ROLLING_BACK,
    ROLLOUT_ROLLED_BACK,
    ROLLOUT_DONE,
    ROLLOUT_WAITING, /* for approvals, or for the release itself to be published */
    ROLLOUT_STATE_COUNT
};

struct rollout { /* persisted by the shell */
    uint64_t id;
    struct rollout_spec spec;
    struct digest release;
    struct digest plan; /* zero: robots are taken in as they are found */
    enum rollout_state state;
    size_t wave; /* index into spec.waves while RUNNING */
    int64_t wave_started_ms;
    int64_t bake_started_ms; /* when the wave's last member committed with enough evidence; 0: not yet */
    char reason[160];        /* why it was paused or rolled back; "" if it was not */
};

/* What one robot showed on the rollout's release. */
struct rollout_evidence {
    uint64_t frames, interventions;
    uint64_t inferences, over_budget;
    uint64_t tp, fp, fn; /* on labelled frames */
};

/* What people said about what one robot's release announced and did not. */
struct rollout_alarms {
    uint64_t judged_true, judged_false;
    uint64_t missed; /* reported */
    int64_t operating_ms;
};

struct fleet_robot { /* a robot that the rollout's selector matches */
    const char *id;
    bool live;             /* heard of lately; live robots are taken first into a wave */
    int wave;              /* the wave that took it in; -1: none yet */
    int planned;           /* with a plan: the wave that is to take it in; -1: none */
    struct digest running; /* last reported; zero: unknown */
    struct digest target;  /* present assignment; zero: none */
    struct digest before;  /* its assignment when the rollout took it in; zero: none */
    bool committed;        /* runs `running` past its probation */
    bool failed;           /* reported failed or rolled back for the rollout's release */
    struct rollout_evidence evidence;
    struct rollout_alarms alarms, alarms_before; /* of the rollout's release; of `before` */
};

struct fleet_view {
    const struct fleet_robot *robots; /* in a stable order (by id) */
    size_t count;
    const char *withheld; /* why no robot may be taken in; NULL: nothing stands against it */
    uint64_t drift;       /* open findings about the release: novelty, model */
};

struct rollout_assign {
    size_t robot; /* index into view->robots */
    struct digest release;
    bool rollback;
    int wave; /* to store with the robot; -1 when rolling back: unchanged */
};

enum gate_verdict { GATE_WAITING, GATE_PASS, GATE_FAIL };
struct gate_result {
    const char
        *name; /* "failures", "over_budget_share", "intervention_share", "accuracy", "recall", "precision",
                         "false_alarms_per_hour", "false_alarm_ratio", "drift", "evidence" */
    double value, limit;
    double low, high;  /* a confidence sequence for the value, where there is one (peek-safe); else NaN */
    uint64_t evidence; /* observations behind the value */
    enum gate_verdict verdict;
};
enum { ROLLOUT_MAX_GATES = 12 };

struct rollout_actions {
    struct rollout_assign *assigns; /* given by the caller, room for view->count */
    size_t assign_count;
    bool changed; /* `next` differs from what went in and must be stored */
    struct rollout next;
    size_t gate_count;
    struct gate_result gates[ROLLOUT_MAX_GATES];
};

/* Fills *out (but out->assigns, which only receives). Errors: INVALID for a spec without waves. */
int rollout_decide(const struct rollout *rollout, const struct fleet_view *view, int64_t now_ms,
                   struct rollout_actions *out, struct err *err) must_check;

/* A person's wishes. Errors: CONFLICT if the state does not allow it. */
int rollout_pause(struct rollout *rollout, const char *who, struct err *err) must_check;
int rollout_resume(struct rollout *rollout, int64_t now_ms, struct err *err) must_check;
int rollout_abort(struct rollout *rollout, const char *who, struct err *err) must_check;

/* How many of `robots` the wave holds in total, it and those before it: at least one more than the wave
 * before. */
size_t rollout_wave_size(const struct rollout_spec *spec, size_t wave, size_t robots);

/* Settles for each robot of the view which wave takes it in: live ones first, as a rollout without a plan would do now. */
void rollout_plan(const struct rollout_spec *spec, struct fleet_robot *robots, size_t count);

/* Whether a robot with these labels is selected. */
bool rollout_selects(const struct rollout_spec *spec, const struct api_label *labels, size_t label_count);

const char *rollout_state_name(enum rollout_state state); /* "rolling_back" */
bool rollout_state_from_name(const char *name, enum rollout_state *out);

/* gates.c: the gates over all members, in a fixed order; returns how many. */
size_t rollout_gates(const struct rollout *rollout, const struct fleet_view *view,
                     struct gate_result out[ROLLOUT_MAX_GATES]);

#endif
