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

struct made_model {
    uint64_t bytes; /* of a frame; not less than MADE_PART_BYTES unless reads_all */
    bool reads_all;
    bool remembers;    /* a model with memory: the sum over all frames; its queue is lossless */
    bool wrong_golden; /* its golden output is not what it gives */
};

/* Makes the layout DIR/means-…; the same again is the same. *out_store: its path, free() it. */
int made_release(const char *dir, const struct made_model *what, char **out_store,
                 struct err *err) must_check;

#endif
