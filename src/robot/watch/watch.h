/* muster-watch: notices on the robot that a model goes wrong.
 *
 *   guard.sock ──verdicts with signals, frames──▶ core.h ──▶ RUN_DIR/watch/ (mailbox.h) ──▶ muster-agent ──▶ fleet
 *   /proc, /sys (robot/board) once a second ─────▶
 *   STATE_DIR/store: reference profiles ─────────▶
 *   RUN_DIR/watch.seen (seen_file.h) ────────────▶         what people acknowledged at the fleet
 *
 * Its own process at the lowest priority, an observer that nobody waits for, like muster-recorder: if it is slow it misses verdicts and says how many;
 * if it dies the agent starts it again and it goes on from STATE_DIR/watch/. One per RUN_DIR (RUN_DIR/watch.lock).
 *
 * SIGUSR1: the next frame is one for people. SIGUSR2: somebody saw the alarms. SIGTERM: the open windows are told, all is kept, and it ends.
 */
#ifndef MUSTER_ROBOT_WATCH_WATCH_H
#define MUSTER_ROBOT_WATCH_WATCH_H

#include "base/err.h"
#include "robot/watch/catalog.h"
#include "robot/watch/core.h"

struct watch_options {
    const char *run_dir, *state_dir;
    struct catalog catalog; /* none: STATE_DIR/store */
    const char *board_root; /* "": this machine */
    struct core_options core;
};

int watch_run(const struct watch_options *options, struct err *err) must_check;
/* Sends a signal to the one of a run directory. Errors: UNREACHABLE without one. */
int watch_signal(const char *run_dir, int signal_number, struct err *err) must_check;

#endif
