/* Runs a model on its golden frames and writes golden.bin (wire/golden.h). */
#ifndef MUSTER_FORGE_GOLDEN_MAKE_H
#define MUSTER_FORGE_GOLDEN_MAKE_H

#include "base/buf.h"
#include "base/err.h"
#include "infer/pipeline.h"

#include <stddef.h>

enum { GOLDEN_MAX_BYTES = 128 << 20 };

/* `paths`: pictures, or files of floats (forge/floats.h) where the release takes frames of floats; one of these may give several
 * cases. All are one sequence. The outputs are computed twice; a model that does not repeat itself within the release's
 * tolerance is REFUSED: no robot could test itself against it. `out` needs a max of GOLDEN_MAX_BYTES. */
int golden_make(struct pipeline *pipeline, const struct release *release, char *const *paths, size_t count,
                struct buf *out, size_t *out_cases, struct err *err) must_check;

#endif
