/* Numbers on a grid: real = scale * (q - zero). Pure.
 *
 * Activations: per tensor. Ranges by minimum mean square error over the histogram, among clips from the whole range down; a range pinned
 * at zero keeps ReLU and Clip absorbable (zero point = the type's minimum, docs/quantization.md).
 * Weights: per output channel, symmetric, zero point 0, clip of minimum mean square error, 8 bits in [-127, 127] or 7 in [-63, 63].
 * Every grid can represent 0 exactly; scales are normal floats, never 0.
 */
#ifndef MUSTER_FORGE_QUANT_GRID_H
#define MUSTER_FORGE_QUANT_GRID_H

#include "forge/calib/observe.h"
#include "wire/release.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quant_grid {
    enum tensor_dtype dtype; /* UINT8 or INT8 */
    float scale;
    int zero; /* in the type's range */
};

struct grid_wish {
    enum tensor_dtype dtype;
    bool symmetric; /* zero point in the middle of an INT8: 0 */
    bool
        pin_low; /* nothing below 0 has to be represented: zero = the type's minimum (behind a ReLU or Clip from 0) */
    float limit; /* > 0 with pin_low: scale * 255 ≤ limit (behind a Clip to 6) */
    bool fixed;  /* the range is known: [low, high], no search (Sigmoid: 0..1) */
    float low, high;
};

struct quant_grid grid_choose(const struct observed *seen, const struct grid_wish *wish);
float grid_error(const struct observed *seen,
                 const struct quant_grid *grid);           /* mean square error over the histogram */
int grid_round(const struct quant_grid *grid, float real); /* saturates; half to even */
float grid_real(const struct quant_grid *grid, int q);

/* weights[channel][k] where channel is `axis` of dims; out: same layout. */
struct weight_view {
    const float *data;
    size_t dim_count;
    const int64_t *dims;
    size_t axis;
};
/* One scale per channel. bits 7 or 8. */
void grid_weight_scales(const struct weight_view *weights, int bits, float *out_scales);
void grid_round_weights(const struct weight_view *weights, const float *scales, int bits, int8_t *out);

#endif
