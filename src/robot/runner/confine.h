/* What a runner gives up before it touches a frame: it loads a model that others made, with an engine that
 * others wrote.
 *
 *   core-limit          no core files
 *   no-new-privileges   no set-uid program can raise it
 *   landlock            no new files, no writing to old ones; devices excepted (GPUs)
 *   seccomp             socket() knows AF_UNIX only; no exec, no io_uring, no bpf, no ptrace of others, no
 * taking of their descriptors, no change of its own image
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
