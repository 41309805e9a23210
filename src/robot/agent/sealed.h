/* Sealed releases on the robot (docs/confidential.md): where the grant lies, and how a runner gets the content key.
 *
 *     STATE_DIR/grants/HEX.json       HEX: the release's digest; wire/grant.h, as the offline targets name it
 *         └─ unwrapped with the device key ──▶ pipe ──▶ descriptor 3 of the runner, which reads it and closes it
 *
 * The content key is in no file, no argument and no environment; this process wipes it when the pipe has it.
 */
#ifndef MUSTER_ROBOT_AGENT_SEALED_H
#define MUSTER_ROBOT_AGENT_SEALED_H

#include "base/digest.h"
#include "base/err.h"
#include "release/image.h"

struct sealed_options {
    const char *grants;     /* the folder; borrowed, as all of it. NULL: sealed releases do not run here */
    const char *robot;      /* this robot's id */
    const char *device_key; /* PEM */
};

/* "GRANTS/HEX.json"; free() it; NULL: out of memory. */
char *sealed_grants_path(const char *grants, const struct digest *release);
/* *out_fd: -1 for a release that is not sealed, else where its content key is read from; the caller closes it. Errors: NOT_FOUND
 * without grants, or with none for this robot; INVALID; UNTRUSTED. */
int sealed_content_key(const struct sealed_options *options, const struct image *image, int *out_fd,
                       struct err *err) must_check;

#endif
