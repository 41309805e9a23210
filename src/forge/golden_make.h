/* Runs a model on its golden pictures and writes golden.bin (wire/golden.h). */
#ifndef MUSTER_FORGE_GOLDEN_MAKE_H
#define MUSTER_FORGE_GOLDEN_MAKE_H

#include "base/buf.h"
#include "base/err.h"
#include "infer/pipeline.h"

#include <stddef.h>

enum { GOLDEN_MAX_BYTES = 128 << 20 };

/* The outputs are computed twice; a model that does not repeat itself within `tolerance` is REFUSED: no robot
 * could test itself against it. `out` needs a max of GOLDEN_MAX_BYTES. */
int golden_make(struct pipeline *pipeline, size_t output_count, double tolerance, char *const *pictures,
                size_t count, struct buf *out, struct err *err) must_check;

#endif
