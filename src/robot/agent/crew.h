/* The processes of a robot: the guard, and a runner for every wanted generation.
 *
 * The crew carries out what reconcile.h orders. Guard and runners are started in sessions of their own and
 * outlive the agent; a new agent finds them by the guard's socket. A guard whose socket is dead is started
 * again, one that does not answer is killed first. All calls to the guard have a time limit.
 *
 *     crew_tick(crew, &wanted, now_ms)      once per turn of the loop
 *     crew_reaped(crew, pid, status, now_ms)   for each child that ended
 *     crew_guard_speaks(crew)               when epoll says that the guard's socket has something: notices become
 *                                           reports at once
 */
#ifndef MUSTER_ROBOT_AGENT_CREW_H
#define MUSTER_ROBOT_AGENT_CREW_H

#include "base/err.h"
#include "base/mem.h"
#include "robot/agent/reconcile.h"
#include "robot/agent/spawn.h"
#include "robot/ctl/ctl.h"
#include "wire/api.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct crew;

struct crew_options {
    const char *run_dir, *state_dir, *guard; /* borrowed */
    const struct spawn_options *spawn;       /* borrowed */
    int64_t start_ms;
    int epoll_fd; /* the guard's socket is watched there */
    /* Something a person should know: a report. */
    void (*note)(enum report_kind kind, const struct digest *release, const char *text, void *arg);
    /* The guard's state, when it is first seen and when it changes: a report as well. */
    void (*report)(const struct api_report *report, void *arg);
    void *arg;
};

int crew_new(const struct crew_options *options, struct crew **out, struct err *err) must_check;
void crew_free(struct crew *crew); /* the processes go on */
MUSTER_CLEANUP(struct crew *, crew_free)
#define cleanup_crew __attribute__((cleanup(crew_freep)))

/* Asks the guard if it is time, and gives the orders. `hurry`: something is being switched, ask often. */
void crew_tick(struct crew *crew, struct wanted *wanted, bool hurry, int64_t now_ms);
int64_t crew_next_ms(const struct crew *crew, bool hurry); /* monotonic; when crew_tick has something to do */
void crew_look_now(struct crew *crew);                     /* what is wanted has changed */
void crew_guard_speaks(struct crew *crew, int64_t now_ms); /* epoll said so */
bool crew_reaped(struct crew *crew, pid_t pid, int status, int64_t now_ms); /* false: none of ours */
/* The guard's socket, for a command of a human (ctl_command); -1: none is there now. */
int crew_guard_fd(const struct crew *crew);

/* The newest answer of the guard; NULL if it does not answer now. `*out_fresh`: not seen by the last call. */
const struct ctl_status *crew_status(struct crew *crew, bool *out_fresh);
/* How often the runner of this generation ended before it was ever connected. */
unsigned crew_failed_starts(const struct crew *crew, uint64_t generation);
/* Its runner, before it was ever connected, said that the release is at fault (exit status 3). */
bool crew_refused(const struct crew *crew, uint64_t generation);
/* A process of ours runs for it, or is connected to the guard. */
bool crew_has(const struct crew *crew, uint64_t generation);
/* A runner that was told to go is still there. */
bool crew_leaving(const struct crew *crew);
/* What the runner of this release computes on, by its own word ("onnxruntime 1.22.0 cpu", "…; degraded"); "" if none
 * is connected. */
void crew_backend(const struct crew *crew, const struct digest *release, char *out, size_t out_size);
/* The last line that the runner of this generation logged; "" if there is none. */
void crew_last_words(const struct crew *crew, uint64_t generation, char *out, size_t out_size);

/* Makes every runner exit and ends the guard. A robot program gets the safe state from then on. */
int crew_stop_all(const char *run_dir, struct err *err) must_check;

#endif
