/* The filter of system calls: an allow-list (seccomp_calls.def), EPERM for the rest, death for a foreign
 * architecture. It stays on through exec and for every thread; muster-runner itself narrows it further once the
 * model is loaded (robot/runner/confine.h).
 *
 * Conditions:
 *   UNIX_ONLY      first argument AF_UNIX: no other family of sockets
 *   THREADS_ONLY   flags with CLONE_THREAD and no CLONE_NEW…: a thread, no process
 *   OWN_IMAGE      prctl but PR_SET_MM (the guard knows a runner by its image) and PR_SET_SECCOMP's strict mode
 *   SELF_ONLY      pid 0: its own limits
 *   ONCE           execve: for the jail to become the runner. There is one program in the jail, and the runner
 *                  forbids it to itself
 *   UNKNOWN        ENOSYS, so that glibc goes back to clone, whose flags a filter can see
 */
#ifndef MUSTER_ROBOT_JAIL_SECCOMP_H
#define MUSTER_ROBOT_JAIL_SECCOMP_H

#include "base/err.h"

#include <stddef.h>

struct sock_filter;

enum seccomp_rule {
    SECCOMP_ALWAYS,
    SECCOMP_UNIX_ONLY,
    SECCOMP_THREADS_ONLY,
    SECCOMP_OWN_IMAGE,
    SECCOMP_SELF_ONLY,
    SECCOMP_ONCE,
    SECCOMP_UNKNOWN
};

struct seccomp_call {
    const char *name;
    int number;
    enum seccomp_rule rule;
};

/* The list of this architecture. */
const struct seccomp_call *seccomp_calls(size_t *out_count);

/* The instructions; *out_count of them, to be freed. NULL: out of memory. */
struct sock_filter *seccomp_program(size_t *out_count);

/* For this thread and all that it starts. no_new_privs has to be set. Errors: UNSUPPORTED. */
int seccomp_apply(struct err *err) must_check;

#endif
