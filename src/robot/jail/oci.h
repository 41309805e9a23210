/* The walls as a container: a bundle for crun or runc, and its life.
 *
 *     BASE/ID/config.json, BASE/ID/rootfs/…      the empty tree; everything in it is a read-only bind mount
 *     BASE/state/                                the runtime's own files
 *
 *   agent ──▶ muster-jail ──run --detach──▶ crun|runc ──▶ muster-runner
 *                  │ waits (it is the subreaper, so the runner becomes its child), ends with the runner's status,
 *                  └ removes container and bundle. SIGTERM: the runner is killed.
 */
#ifndef MUSTER_ROBOT_JAIL_OCI_H
#define MUSTER_ROBOT_JAIL_OCI_H

#include "robot/jail/jail.h"

/* config.json of the runtime specification 1.0.2, canonical; free() it. NULL: out of memory. `rootless`: with a user
 * namespace whose root is `outer_uid`, and without limits, which need rights that we do not have then. */
char *oci_config(const struct jail *jail, bool rootless, uid_t outer_uid, gid_t outer_gid);

/* Runs to the end of the container. `base`: RUN_DIR/jail. *out_status: exit status, or 128 + signal.
 * Errors: UNSUPPORTED if the runtime cannot start it; its own words are in the log. */
int oci_run(const struct jail *jail, const char *runtime, const char *base, int *out_status,
            struct err *err) must_check;

/* The name under which a waiting muster-jail is known in /proc/PID/comm. */
#define OCI_WAITER "muster-warder"

#endif
