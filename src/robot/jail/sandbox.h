/* The built-in walls, where there is no container runtime, or none is wanted.
 *
 *     clone with a new PID (and, without root, user) namespace     by whoever starts muster-jail: sys/proc.h
 *     sandbox_unshare    mount, network, IPC and UTS namespaces
 *     jail_plan          what is let in
 *     sandbox_enter      cgroup ▸ tmpfs with bind mounts ▸ pivot_root ▸ limits ▸ user, no capabilities ▸
 *                        no_new_privs ▸ Landlock ▸ seccomp ▸ exec of the runner
 *
 * The process that becomes the runner does all this to itself: no supervisor stays behind, the pid that the
 * starter got is the runner's. What the kernel or the rights of this user do not allow is added to `missing` and
 * left out; the rest is done all the same. The mount tree is a tmpfs in a namespace of its own: it is gone with
 * the runner, however that ends.
 */
#ifndef MUSTER_ROBOT_JAIL_SANDBOX_H
#define MUSTER_ROBOT_JAIL_SANDBOX_H

#include "robot/jail/jail.h"
#include "robot/jail/missing.h"

struct sandbox {
    bool mapped; /* in a user namespace of our own: root there only, and no other user to become */
    bool mounts; /* in a mount namespace of our own */
    struct missing missing;
};

/* `mapped`: we were started as root of a new user namespace (sys/proc.h). */
void sandbox_unshare(struct sandbox *sandbox, bool mapped);

/* Limits and the mount tree. `base`: an existing directory that is covered by the tmpfs. */
int sandbox_build(struct sandbox *sandbox, const struct jail *jail, const char *base,
                  struct err *err) must_check;
/* Gives everything up. From here on only the runner may be executed. */
int sandbox_drop(struct sandbox *sandbox, const struct jail *jail, struct err *err) must_check;
/* Returns only with an error. */
int sandbox_exec(const struct jail *jail, struct err *err) must_check;

#endif
