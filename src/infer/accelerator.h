/* Which accelerators this machine has, and whether a release gets the one it wants. */
#ifndef MUSTER_INFER_ACCELERATOR_H
#define MUSTER_INFER_ACCELERATOR_H

#include "wire/release.h"

#include <stdbool.h>
#include <stddef.h>

/* The hardware is there: a device node of NVIDIA's drivers (workstation or Jetson). Always true for the CPU. `dev`: "/dev". */
bool accelerator_present(const char *dev, enum provider provider);

/* Empties `out`, or says why the release runs degraded: a provider that it prefers to `used` is not in use although its hardware is
 * here. */
void accelerator_degraded(const char *dev, const struct release *release, enum provider used, char *out,
                          size_t size);

#endif
