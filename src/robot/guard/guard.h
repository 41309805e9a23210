/* muster-guard: nothing that a model says reaches the robot program unless the guard has checked it.
 *
 *   frames memfd ──heads──▶ ┌────────────────────────────────────────┐
 *                           │ pending frames, who is to answer them  │ ──verdicts memfd──▶ robot program
 *   results memfd ─copies─▶ │ guard_check_result, guard_fsm          │
 *   (one per runner)        └────────────────────────────────────────┘ ──control memfd──▶ runners
 *                              ▲ RUN_DIR/guard.sock: robot/ctl/ctl.h
 *
 * Every frame that the guard sees gets exactly one verdict: the checked result of the generation that is to
 * answer it (OK), that of the fallback (FALLBACK), or SAFE with the reason: at its deadline, when the check
 * fails, when the runner is lost and nobody else can answer in time, or at once if nobody is there to answer
 * at all. A runner that leaves HANG_FRAMES frames and HANG_MS without any result is hung: it gets SIGKILL and
 * counts as lost.
 *
 * Where a human or a latch decides (decide/oversight.h, guard_fsm.h) every frame is SAFE, reason OVERSIGHT, and held
 * against no release; frames that a model had in hand get that verdict before anything else happens. What is latched is
 * kept in STATE_DIR (guard/latch.h) and is there again after a restart of guard or robot.
 *
 * One thread, one epoll loop, libc only. All memory is in struct guard and in mappings: no heap after
 * guard_open. It wakes for results, for messages, for the death of a peer, at the nearest deadline, and on a tick every 100 ms.
 * Of a frame it learns by its result; while nobody is to answer, and if none came in time, the robot program says that there is
 * one (CTL_FRAME). With `spin` it looks at the rings all the time while frames come.
 */
#ifndef MUSTER_ROBOT_GUARD_H
#define MUSTER_ROBOT_GUARD_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct guard;

enum { GUARD_HANG_FRAMES = 10, GUARD_HANG_MS = 1000, GUARD_MAX_RUNNER_USERS = 8 };

struct guard_options {
    const char *run_dir;   /* guard.sock and guard.lock live there; created (0700) if it is missing */
    uint32_t hang_frames;  /* 0: GUARD_HANG_FRAMES */
    uint32_t hang_ms;      /* 0: GUARD_HANG_MS */
    bool realtime;         /* SCHED_FIFO and locked memory, as far as allowed */
    bool spin;             /* for a core that is free to burn; no SCHED_FIFO then */
    const char *state_dir; /* guard.latch lives there; NULL: what is latched does not outlive the guard */
    uint32_t
        runner_users[GUARD_MAX_RUNNER_USERS]; /* uids that may be runners, and nothing else, beside our own */
    size_t runner_user_count;
};

/* The program: from its command line to its exit status. */
int guard_main(int argc, char **argv);

/* The one guard of this process, in static memory. Errors: BUSY if another guard runs in that directory. */
int guard_open(const struct guard_options *options, struct guard **out, struct err *err) must_check;

/* Serves until SIGTERM or SIGINT. */
int guard_run(struct guard *guard, struct err *err) must_check;

void guard_close(struct guard *guard);

#endif
