/* Keeps muster-recorder running (robot/recorder/recorder.h): started in a session of its own, so that it outlives the agent;
 * started again with back-off when it ends. Nothing else depends on it. One that a former agent started is left alone: it holds
 * RUN_DIR/recorder.lock. */
#ifndef MUSTER_ROBOT_AGENT_BLACKBOX_H
#define MUSTER_ROBOT_AGENT_BLACKBOX_H

#include "robot/agent/backoff.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct blackbox {                              /* plain data; fields are private */
    const char *program, *run_dir, *state_dir; /* borrowed */
    int64_t memory_mib;                        /* 0: no recorder */
    pid_t child;                               /* 0: none of ours */
    int64_t since_ms, next_ms;
    struct backoff backoff;
};

void blackbox_init(struct blackbox *box, const char *program, const char *run_dir, const char *state_dir,
                   int64_t memory_mib);
void blackbox_tick(struct blackbox *box, int64_t now_ms);
int64_t blackbox_next_ms(const struct blackbox *box);
bool blackbox_reaped(struct blackbox *box, pid_t pid, int64_t now_ms); /* it was ours */

/* Ends the recorder of a run directory, if there is one; an open event is sealed first. */
void blackbox_stop(const char *run_dir);

#endif
