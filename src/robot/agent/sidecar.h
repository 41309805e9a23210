/* Keeps an observer of the guard running, muster-recorder or muster-watch: started in a session of its own, so that it outlives the agent; started again
 * with back-off when it ends. Nothing else depends on it. One that a former agent started is left alone: it holds RUN_DIR/NAME.lock. What it says is in
 * RUN_DIR/NAME.log. */
#ifndef MUSTER_ROBOT_AGENT_SIDECAR_H
#define MUSTER_ROBOT_AGENT_SIDECAR_H

#include "robot/agent/backoff.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SIDECAR_ARGS = 32 };

struct sidecar { /* plain data; fields are private */
    const char *name, *run_dir;
    const char *argv[SIDECAR_ARGS + 1]; /* borrowed */
    size_t argc;
    char number[24];
    char *words; /* owned */
    bool off;
    pid_t child; /* 0: none of ours */
    int64_t since_ms, next_ms;
    struct backoff backoff;
};

/* PROGRAM --run-dir RUN_DIR --state-dir STATE_DIR; all borrowed. */
void sidecar_init(struct sidecar *sidecar, const char *name, const char *program, const char *run_dir,
                  const char *state_dir);
void sidecar_fini(struct sidecar *sidecar);       /* what runs goes on */
void sidecar_switch_off(struct sidecar *sidecar); /* it is not wanted */
void sidecar_add(struct sidecar *sidecar, const char *option, const char *value);
void sidecar_add_number(struct sidecar *sidecar, const char *option, int64_t value); /* one of them */
void sidecar_add_words(struct sidecar *sidecar, const char *words); /* split at blanks; once */

void sidecar_tick(struct sidecar *sidecar, int64_t now_ms);
int64_t sidecar_next_ms(const struct sidecar *sidecar);
bool sidecar_reaped(struct sidecar *sidecar, pid_t pid, int64_t now_ms); /* it was ours */

/* Ends the one of a run directory, if there is one; what it has open is finished first. */
void sidecar_stop(const char *run_dir, const char *name);

#endif
