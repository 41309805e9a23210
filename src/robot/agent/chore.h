/* Slow work beside the agent's one loop: hashing gigabytes must not keep an operator's stop waiting.
 *
 *     agent ──fork──▶ child: work(arg, out), answer into a pipe, exit
 *       │                        │
 *       └── chore_poll ◀─────────┘      SIGCHLD wakes the loop; whoever asked polls in his next tick
 *
 * - The child sees the agent's memory as it was, keeps none of its descriptors (no lock, no connection), runs at a low
 *   priority and dies with the agent. What it learns goes into `out` alone; what it changes, it changes on the disk.
 * - The work may be killed at any instant and is then repeated, as every step of the installer: it has to bear that.
 * - A zeroed struct is a chore that does not run. One work at a time in each. */
#ifndef MUSTER_ROBOT_AGENT_CHORE_H
#define MUSTER_ROBOT_AGENT_CHORE_H

#include "base/err.h"

#include <sys/types.h>

enum { CHORE_OUT_BYTES = 64 };

struct chore {
    pid_t pid; /* 0: nothing runs */
    int fd;    /* where its answer comes */
};

enum chore_state { CHORE_RUNNING, CHORE_DONE, CHORE_FAILED };

/* `out` holds CHORE_OUT_BYTES, zeroed. */
typedef int chore_work(void *arg, void *out, struct err *err);

int chore_start(struct chore *chore, chore_work *work, void *arg, struct err *err) must_check;
/* Never waits. DONE: *out (CHORE_OUT_BYTES; NULL: not wanted) is what the work left; FAILED: *err is its error, or IO if the
 * child ended without a word. After either nothing runs. */
enum chore_state chore_poll(struct chore *chore, void *out, struct err *err);
/* Whatever runs is killed; its process is left to whoever reaps. */
void chore_cancel(struct chore *chore);

#endif
