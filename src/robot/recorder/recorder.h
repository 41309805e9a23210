/* muster-recorder: the robot's black box.
 *
 *   guard.sock ──notices, verdicts, frames──▶ arena (memory of fixed size, before + after)
 *                                               │ trigger.h: a state, many interventions, a lost guard, a human
 *                                               ▼ after_ms later
 *                                             fork ──▶ seal.h ──▶ STATE_DIR/incidents/ID.mcap ──▶ the agent sends it
 *
 * Its own process at the lowest priority, an observer that nobody waits for: if it is slow it misses something, and says so in
 * the recording; if it dies the agent starts it again and only the memory is lost. One per RUN_DIR (RUN_DIR/recorder.lock).
 *
 * RUN_DIR/recorder.sock takes datagrams of text: `muster-recorder --trigger "…"`. SIGUSR1 is a trigger, too. SIGTERM seals an
 * open event at once and ends.
 *
 * Frames are kept as JPEG as often as `cpu_percent` of one core and the memory allow (governor.h); verdicts and notices all.
 */
#ifndef MUSTER_ROBOT_RECORDER_RECORDER_H
#define MUSTER_ROBOT_RECORDER_RECORDER_H

#include "base/err.h"

#include <stdint.h>

struct recorder_options { /* 0: default */
    const char *run_dir, *state_dir;
    int64_t memory_mib;                      /* 32 */
    int64_t before_ms, after_ms, longest_ms; /* 15 s, 10 s, 40 s: of an event */
    int64_t frame_rate;                      /* 30: at most */
    int64_t frame_side;     /* 640: the longer side of a kept picture is at most so many pixels */
    int64_t quality;        /* 70 */
    double cpu_percent;     /* 1.5 of one core; after a trigger five times as much */
    int64_t interventions;  /* 10 within 10 s are a trigger; -1: never */
    int64_t keep, keep_mib; /* 64 events, 512 MiB */
};

int recorder_run(const struct recorder_options *options, struct err *err) must_check;

/* Pulls the trigger of the recorder of a run directory. Errors: UNREACHABLE if there is none. */
int recorder_trigger(const char *run_dir, const char *text, struct err *err) must_check;

#endif
