/* For `muster sign --model-key`: the model's signature that other tools understand (cli/oms.c). */
#ifndef MUSTER_CLI_OMS_H
#define MUSTER_CLI_OMS_H

#include "base/err.h"
#include "release/image.h"

/* Signs the release's files with the key at `key_path` (EC, PEM, 0600) and puts the bundle beside the release, in place of an older one. */
int oms_sign_release(const struct image *image, const char *key_path, struct err *err) must_check;

#endif
