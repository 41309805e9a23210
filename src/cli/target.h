/* What `eval` and `bench` work on: a release (folder), a release.yaml that is not packed yet, or a bare ONNX
 * file. Of releases with ":cpu-x86" behind it: that variant; else the model itself. */
#ifndef MUSTER_CLI_TARGET_H
#define MUSTER_CLI_TARGET_H

#include "base/err.h"
#include "release/image.h"
#include "wire/release.h"

struct target {
    struct release release;
    char *model_path;   /* owned */
    char *profile_path; /* the reference profile (wire/profile.h); owned; NULL: it has none */
};

/* The bytes of a packed release are checked against their digests; its signature is not. */
int target_open(const char *path, struct target *out, struct err *err) must_check;
void target_fini(struct target *target);
#define cleanup_target __attribute__((cleanup(target_fini)))

/* image_open for what a person typed: DIR, or DIR@sha256:… where a layout holds several releases (a robot's
 * store). */
int target_image(const char *operand, struct image *out, struct err *err) must_check;

#endif
