/* Child processes.
 *
 *     const char *const argv[] = {"muster-guard", "--run-dir", dir, NULL};
 *     struct proc_options options = {.argv = argv, .log_path = log};
 *     if (proc_spawn(&options, &pid, &err) < 0) …
 *
 * - A child begins clean: descriptors 0, 1, 2 and the one it was given, default signal dispositions, nothing
 * blocked. Its stdin is /dev/null.
 * - Whoever starts a process reaps it (waitpid), detached or not. A detached child of a process that has
 * ended is reaped by init.
 * - die_with_parent means the *thread* that called proc_spawn: start such children from the main thread.
 */
#ifndef MUSTER_SYS_PROC_H
#define MUSTER_SYS_PROC_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_options {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH if it holds no slash */
    const char *log_path;    /* stdout and stderr are appended there; NULL: inherited */
    bool detach;             /* own session, survives the parent (setsid) */
    bool die_with_parent;    /* PR_SET_PDEATHSIG SIGKILL; not together with detach */
    int keep_fd;             /* stays open in the child as descriptor 3; -1 or 0: none */
    unsigned namespaces;     /* CLONE_NEWPID, CLONE_NEWUSER …: the child is born in new ones; 0: none. With
                                CLONE_NEWUSER it is root there, which out here is this user */
};

/* Starts a process. All other descriptors are closed in the child, signal masks and dispositions reset.
 * Returns after the program has been executed.
 * Errors: NOT_FOUND or DENIED if it cannot be executed (reported by the parent, not by a dead child); what clone
 * says where namespaces are not allowed. */
int proc_spawn(const struct proc_options *options, pid_t *out_pid, struct err *err) must_check;

/* Runs to the end and collects stdout (NULL: thrown away); stderr is inherited.
 * *out_status: the exit status, or 128 + signal.
 * Errors: TIMEOUT after timeout_ms (0: none), TOO_BIG if stdout passes out->max; the child is killed in both
 * cases. */
int proc_run(const char *const *argv, int64_t timeout_ms, struct buf *out, int *out_status,
             struct err *err) must_check;

/* The directory of the running executable (where the sister programs are), e.g. "/usr/bin". free() it. */
char *proc_self_dir(void);

bool proc_alive(pid_t pid); /* false for one that has ended but is not reaped yet */

/* Current resident set size in bytes from /proc/PID/status (VmRSS); 0 if the process is gone. */
uint64_t proc_rss_bytes(pid_t pid);

#endif
