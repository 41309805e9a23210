/* What a runner gives up before it touches a frame: it loads a model that others made, with an engine that
 * others wrote.
 *
 *   core-limit          no core files
 *   no-new-privileges   no set-uid program can raise it
 *   landlock            no new files, no writing to old ones, no reading; devices excepted
 *   seccomp             socket() knows AF_UNIX only; no exec, no new process, no signals, no namespaces, no
 *                       io_uring, no bpf, no keys, no ptrace of others, no taking of their descriptors, no change
 *                       of its own image
 *   seccomp-open        of files only directories can be opened, and paths walked: so the next guard is found
 *
 * Where there is an accelerator (its device is in sight) its driver may go on reading files and opening devices.
 * This is the last wall, after the model has been loaded; what stands before that is robot/jail's business.
 *
 * Each layer that the kernel lacks is named in `out_missing` and is no error: a container or unit file may
 * give more.
 */
#ifndef MUSTER_ROBOT_RUNNER_CONFINE_H
#define MUSTER_ROBOT_RUNNER_CONFINE_H

#include <stddef.h>

/* Writes a list like "landlock" into out_missing ("" if all held). */
void confine_self(char *out_missing, size_t size);

/* What a process that builds an engine (build.h), and all that it starts, gives up: writing anything but below `dir` and devices, every
 * network, new privileges, a look into other processes. It may start programs and read what its user may. */
void confine_build(const char *dir, char *out_missing, size_t size);

#endif
