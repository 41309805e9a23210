/* Bilinear resizing of RGB8 frames with pixel centres at half positions (what OpenCV calls INTER_LINEAR), in
 * integers: the same pixels on every machine. A plan is made once per pair of sizes; running it allocates
 * nothing. */
#ifndef MUSTER_INFER_RESIZE_H
#define MUSTER_INFER_RESIZE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct resize_tap {
    uint32_t near, far; /* pixel indices; equal at the border */
    uint32_t weight;    /* of `far`, 0..RESIZE_ONE */
};

enum { RESIZE_BITS = 11, RESIZE_ONE = 1 << RESIZE_BITS };

struct resize {
    int from_width, from_height, to_width, to_height;
    int max_width, max_height;
    struct resize_tap *columns, *rows; /* owned; to_width, to_height of them in use */
};

int resize_init(struct resize *resize, int max_to_width, int max_to_height, struct err *err) must_check;
void resize_fini(struct resize *resize);

/* to_* must be within what resize_init was told; all sizes ≥ 1. */
void resize_plan(struct resize *resize, int from_width, int from_height, int to_width, int to_height);

/* Writes to_height rows of to_width pixels, `stride_bytes` apart. */
void resize_run(const struct resize *resize, const uint8_t *rgb, uint8_t *out, size_t stride_bytes);

#endif
