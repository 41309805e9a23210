/* A release made by hand, for tests and measurements: frames of floats in, eight means out.
 *
 *     frame [1, N] ──first 64 KiB, or all──▶ eight rows ──mean of each──▶ values      (`remembers`: plus those before)
 */
#ifndef MUSTER_ROBOT_RUNNER_MADE_RELEASE_H
#define MUSTER_ROBOT_RUNNER_MADE_RELEASE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { MADE_MEANS = 8, MADE_PART_BYTES = 64 << 10 };

/* What this machine's variant is like; the release promises a fidelity of 0.95 of all of them. */
enum made_variant {
    MADE_NO_VARIANT,
    MADE_SAME,  /* the model again: no gain */
    MADE_FAST,  /* only looks at the first part of the frame */
    MADE_WRONG, /* other numbers */
    MADE_BROKEN /* no model at all */
};

struct made_model {
    uint64_t bytes; /* of a frame; not less than MADE_PART_BYTES unless reads_all */
    bool reads_all;
    bool remembers;    /* a model with memory: the sum over all frames; its queue is lossless */
    bool wrong_golden; /* its golden output is not what it gives */
    enum made_variant variant;
    bool trt; /* a variant for TensorRT, which is the model again, and one byte more */
};

/* Makes the layout DIR/means-…; the same again is the same. *out_store: its path, free() it. */
int made_release(const char *dir, const struct made_model *what, char **out_store,
                 struct err *err) must_check;

#endif
