/* Limits of memory, tasks and processor share, by cgroup v2 or, as on older boards, v1: whatever is mounted and
 * writable at /sys/fs/cgroup. A group is named after the jail (jail.id) and empty once the runner has ended;
 * empty ones are taken away by the next runner that starts (cgroup_sweep).
 */
#ifndef MUSTER_ROBOT_JAIL_CGROUP_H
#define MUSTER_ROBOT_JAIL_CGROUP_H

#include "robot/jail/jail.h"
#include "robot/jail/missing.h"

struct cgroup_had { /* what is in force */
    bool memory, tasks, cpu;
};

/* This process goes in. No error: what cannot be had is told. */
struct cgroup_had cgroup_join(const struct jail *jail);
/* Takes away the empty groups of this robot, and old empty ones of others. `id`: of any of its jails. */
void cgroup_sweep(const char *id);
/* crun does not work where v1 and v2 are mixed. For this process and its children the v2 part is unmounted, in a
 * mount namespace of their own; where nothing is mixed nothing is done. */
void cgroup_hide_unified(void);

#endif
