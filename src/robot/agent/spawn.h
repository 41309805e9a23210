/* How a runner is started: behind which walls the program that loads a model runs.
 *
 *     auto      a container where an OCI runtime and an engine image are there, else the sandbox
 *     oci       a container always (without an engine image: of this robot's own files)
 *     sandbox   namespaces, Landlock, seccomp, limits by muster-jail itself
 *     none      only what muster-runner takes from itself (robot/runner/confine.h)
 *
 *   agent ──spawn──▶ muster-jail ──exec──▶ muster-runner          sandbox: one process, its pid is the runner's
 *                                └─runtime─▶ muster-runner        oci: muster-jail waits for it and ends with it
 *
 * The self-test of a release runs behind the same walls: it is the first to open the model. What could not be
 * enforced on this robot is said once per kind of wall, as a note.
 */
#ifndef MUSTER_ROBOT_AGENT_SPAWN_H
#define MUSTER_ROBOT_AGENT_SPAWN_H

#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct spawn_options { /* all borrowed */
    const char *run_dir, *layout, *runner;
};

struct spawn_job {
    const struct digest *release;
    uint64_t generation; /* 0: a self-test, which ends with the agent */
    const char *log_path;
    bool low; /* another one serves meanwhile: at the lowest priority until it is to answer */
};

/* The child is to be reaped by the caller. Errors: as proc_spawn. */
int spawn_runner(const struct spawn_options *options, const struct spawn_job *job, pid_t *out_pid,
                 struct err *err) must_check;

/* Whether `runner`, a process that the guard knows, is the one that was started as `child`. */
bool spawn_is(pid_t child, pid_t runner);
void spawn_kill(pid_t child);

#endif
