/* What a runner gives up before it touches a frame: it loads a model that others made, with an engine that
 * others wrote.
 *
 *   no_new_privs     no set-uid program can raise it
 *   no core files, no new files: writing is denied below / by Landlock where the kernel has it (devices
 * excepted: GPUs) seccomp filter   socket() knows AF_UNIX only; no io_uring, no ptrace of others, no bpf, no
 * exec
 *
 * Each layer that the kernel lacks is named in `out_missing` and is no error: a container or unit file may
 * give more.
 */
#ifndef MUSTER_ROBOT_RUNNER_CONFINE_H
#define MUSTER_ROBOT_RUNNER_CONFINE_H

#include <stddef.h>

/* Writes a list like "landlock" into out_missing ("" if all held). */
void confine_self(char *out_missing, size_t size);

#endif
