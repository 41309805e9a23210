/* How a runner is started: behind which walls the program that loads a model runs (docs/isolation.md).
 *
 *     auto      a container where an OCI runtime is here and the release carries its engine, else the sandbox,
 *               else none
 *     oci       a container always (of this robot's own files where the release has no engine)
 *     sandbox   namespaces, Landlock, seccomp, limits by muster-jail itself
 *     none      only what muster-runner takes from itself (robot/runner/confine.h)
 *
 *   agent ──spawn──▶ muster-jail ──exec──▶ muster-runner          sandbox: one process, its pid is the runner's
 *                                └─runtime─▶ muster-runner        oci: muster-jail waits for it and ends with it
 *
 * The golden self-test is the runner's own first act, so it is behind the same walls: nobody else opens a model.
 */
#ifndef MUSTER_ROBOT_AGENT_SPAWN_H
#define MUSTER_ROBOT_AGENT_SPAWN_H

#include "base/digest.h"
#include "base/err.h"

#include "robot/agent/sealed.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum isolation { ISOLATION_AUTO, ISOLATION_OCI, ISOLATION_SANDBOX, ISOLATION_NONE };

struct spawn_options {
    const char *run_dir, *layout, *runner; /* borrowed */
    const char *engines;                   /* borrowed; where engines of releases are unpacked */
    const char *derived; /* borrowed; below it a folder for each release: what this robot derived from it */
    struct sealed_options sealed;        /* for releases whose weights are sealed */
    const char *isolation, *runner_user; /* borrowed; "" for the default */
    const char *
        runner_cpus; /* borrowed; the cores that models run on ("1", "0-1"); NULL or "": all. On the core of the one that
                                answers a candidate, at the lowest priority, gets what that one leaves, and disturbs it least */

    /* Found out by spawn_prepare. */
    enum isolation wall;    /* AUTO: decided by each release */
    char jail[PATH_MAX];    /* muster-jail */
    char runtime[PATH_MAX]; /* crun or runc; "": there is none */
    uid_t uid;              /* of runners; our own where we may not change it */
    gid_t gid;
    unsigned namespaces; /* that a sandboxed runner is born in */
    char told[160];      /* "sandbox", "sandbox without memory cgroup, …": for reports */
};

struct spawn_job {
    const struct digest *release;
    uint64_t generation; /* 0: a self-test, which ends with the agent */
    const char *log_path;
    bool cpu_only; /* no accelerator: with one it did not come up */
    bool low;      /* another one serves meanwhile: at the lowest priority until it is to answer */
};

/* Once, before the first runner: tries the walls out (some 30 ms). Errors: USAGE for an unknown isolation or user;
 * UNSUPPORTED if the walls that were asked for cannot be had. */
int spawn_prepare(struct spawn_options *options, struct err *err) must_check;

/* The child is to be reaped by the caller. Errors: as proc_spawn; as sealed_content_key for sealed weights. */
int spawn_runner(const struct spawn_options *options, const struct spawn_job *job, pid_t *out_pid,
                 struct err *err) must_check;

/* Starts the building of the engine that the release wants here (muster-runner --build-engine) into its folder; behind its own walls, as
 * the user of runners. It outlives the agent. */
int spawn_build(const struct spawn_options *options, const struct digest *release, const char *log_path,
                pid_t *out_pid, struct err *err) must_check;
/* The folder of a release, "DERIVED/HEX"; NULL: out of memory; free() it. */
char *spawn_derived(const struct spawn_options *options, const struct digest *release);

/* A guard has come: runners behind walls find it from now on. */
void spawn_guard_came(const struct spawn_options *options);

/* Whether `runner`, a process that the guard knows, is the one that was started as `child`. */
bool spawn_is(pid_t child, pid_t runner);
void spawn_kill(pid_t child);

#endif
