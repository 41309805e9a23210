/* The shell around decide/rollout.h: loads what is the case, asks, and carries the answer out in one
 * transaction.
 *
 *     timer 250 ms ─▶ anything new? ─▶ for each open rollout: view ◀─ store ─▶ rollout_decide ─▶ assign,
 * state, events
 *
 * All state is in the store, so a server that dies between two decisions goes on where it was.
 */
#ifndef MUSTER_FLEET_ENGINE_ENGINE_H
#define MUSTER_FLEET_ENGINE_ENGINE_H

#include "base/err.h"
#include "base/mem.h"
#include "fleet/core/fleet.h"
#include "fleet/decide/rollout.h"
#include "wire/json_stream.h"

#include <stddef.h>
#include <stdint.h>

struct engine;

int engine_start(struct fleet *fleet, struct engine **out,
                 struct err *err) must_check; /* runs on the fleet's loop */
void engine_stop(struct engine *engine);
MUSTER_CLEANUP(struct engine *, engine_stop)
#define cleanup_engine __attribute__((cleanup(engine_stopp)))

/* One look at every open rollout; what the timer does. One that fails does not stop the others; the first
 * error is told. */
int engine_step(struct fleet *fleet, struct err *err) must_check;

/* The robots a rollout's selector matches, with the evidence of its members. */
struct engine_robot {
    char id[API_ID_SIZE];
    struct rollout_robot_row member; /* wave -1: not taken in yet */
    struct digest target_plan;       /* the plan of its present assignment; zero: none */
    struct rollout_evidence shown;   /* on the release, over all time */
    bool newly_failed;
};
struct engine_view {
    struct fleet_view view;
    struct fleet_robot *robots;
    struct engine_robot *more; /* beside robots */
    size_t cap;
};
int engine_view_load(struct fleet *fleet, const struct rollout *rollout, struct engine_view *out,
                     struct err *err) must_check;
void engine_view_fini(struct engine_view *view);
#define cleanup_engine_view __attribute__((cleanup(engine_view_fini)))

/* The gates as JSON: an array, docs/api.md. */
void engine_write_gates(struct json_writer *w, const char *key, const struct gate_result *gates,
                        size_t count);

/* Writes: between group_enter and group_leave. */

/* Starts a rollout; one whose release wants approvals waits for them, and one whose release wants approval of the plan has its plan made here
 * (wire/assignment.h), kept as a blob, and followed. Errors: NOT_FOUND for an unknown release, CONFLICT if another open rollout has one of its
 * robots or the release is withdrawn, INVALID if no robot is selected. */
int engine_begin(struct fleet *fleet, const struct rollout_spec *spec, const char *who, uint64_t *out_id,
                 struct err *err) must_check;

enum engine_wish { ENGINE_PAUSE, ENGINE_RESUME, ENGINE_ABORT };
int engine_wish(struct fleet *fleet, uint64_t id, enum engine_wish wish, const char *who,
                struct err *err) must_check;

/* What happens to a rollout goes on record: `who` did it, NULL: the engine itself. */
int engine_record(struct fleet *fleet, const struct rollout *rollout, const char *who, const char *what,
                  struct err *err) must_check;
/* Why it moved on, or was stopped: a decision record (wire/decision.h). Nothing if neither happened. */
int engine_why(struct fleet *fleet, const struct rollout *old, const struct rollout_actions *actions,
               struct err *err) must_check;

#endif
