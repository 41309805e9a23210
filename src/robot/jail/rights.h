/* Resource limits, and giving up user and capabilities. */
#ifndef MUSTER_ROBOT_JAIL_RIGHTS_H
#define MUSTER_ROBOT_JAIL_RIGHTS_H

#include "robot/jail/jail.h"
#include "robot/jail/missing.h"

/* No core files, few descriptors, a log that cannot fill the disk; RLIMIT_DATA where no cgroup limits the memory
 * (writable private memory only: ONNX Runtime and CUDA map far more than they use, which RLIMIT_AS would count);
 * RLIMIT_NPROC where asked for. Lets the runner come back from a lower priority (RLIMIT_NICE), if we may. */
int rights_limit(const struct jail *jail, bool memory, bool tasks, struct err *err) must_check;

/* Becomes jail->uid and jail->gid without further groups (where we are root; in a user namespace we are already),
 * without any capability, for good. */
int rights_drop(const struct jail *jail, bool mapped, struct missing *missing, struct err *err) must_check;

#endif
