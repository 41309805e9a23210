/* Which device files a runner gets: five harmless ones always, and those of accelerators where the release asks
 * for one (runtime.providers) and the machine has it. */
#ifndef MUSTER_ROBOT_JAIL_DEVICE_H
#define MUSTER_ROBOT_JAIL_DEVICE_H

#include "robot/jail/jail.h"
#include "wire/release.h"

int device_bind(struct jail *jail, const struct release *release, struct err *err) must_check;
/* This machine has a GPU that TensorRT could build engines for. */
bool device_has_gpu(void);
/* One of the five, which container runtimes make by themselves. */
bool device_is_standard(const char *path);

#endif
