/* From an RGB8 frame of any size to the model's float input.
 *
 *     frame ──resize (letterbox: keep the shape, centre, pad · stretch: fill)──▶ staging RGB8 of the input's
 * size staging ──x = (u8 * scale - mean[c]) / std[c], channels in the model's order──▶ tensor A frame that
 * has the input's size already skips the staging.
 */
#ifndef MUSTER_INFER_PREPROCESS_H
#define MUSTER_INFER_PREPROCESS_H

#include "base/err.h"
#include "infer/resize.h"
#include "wire/release.h"

#include <stdint.h>

enum { FRAME_MAX_SIDE = 16384 };

/* Where the frame lies in the input: input = frame * scale + offset, both in pixels. */
struct placement {
    float scale_x, scale_y, offset_x, offset_y;
};

struct preprocess {
    int width, height; /* of the input */
    enum resize_mode mode;
    enum color_order color;
    enum tensor_layout layout;
    uint8_t pad;
    float mul[3], add[3]; /* per channel of the tensor */
    struct resize resize;
    uint8_t *staging; /* owned; width * height * 3 */
    struct placement placement;
    size_t inner_offset; /* bytes in staging where the resized frame begins */
};

/* Errors: UNSUPPORTED unless the release has one float32 image input of three channels. */
int preprocess_init(struct preprocess *pre, const struct release *release, struct err *err) must_check;
void preprocess_fini(struct preprocess *pre);

/* Fills `out` (3 * width * height floats); pre->placement then belongs to this frame. */
int preprocess_run(struct preprocess *pre, const uint8_t *rgb, int width, int height, float *out,
                   struct err *err) must_check;

#endif
