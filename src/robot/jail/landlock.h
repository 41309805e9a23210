/* Landlock: what the files of the jail may be used for, also where there is no mount namespace, and once more
 * where there is one. The door is not named: its files cannot be opened, only connected to. */
#ifndef MUSTER_ROBOT_JAIL_LANDLOCK_H
#define MUSTER_ROBOT_JAIL_LANDLOCK_H

#include "robot/jail/jail.h"

/* After the files are in their places, and no_new_privs is set. Errors: UNSUPPORTED where the kernel has no
 * Landlock. */
int landlock_apply(const struct jail *jail, struct err *err) must_check;

#endif
