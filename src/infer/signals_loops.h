/* The inner loops of signals and novelty, written for the vectoriser as those of convert.h: this file is compiled with -O3, and on x86 there is an AVX2 copy,
 * chosen at run time. Sums are of integers, or in eight lanes, so that every machine gets the same bits. Private to this room. */
#ifndef MUSTER_INFER_SIGNALS_LOOPS_H
#define MUSTER_INFER_SIGNALS_LOOPS_H

#include <stddef.h>
#include <stdint.h>

enum { LOOPS_BLOCK = 64, LOOPS_LANES = 8, LOOPS_DIMS = 32 };

/* Three rows of `count` + 2 pixels, side by side and one above the other; the points are the inner ones of the middle row. */
struct loops_rows {
    const uint8_t *rgb[3];
    size_t count;  /* ≤ LOOPS_BLOCK */
    uint8_t *luma; /* in: one frame ago; out: now */
};
struct loops_sums {
    int32_t luma, luma_squared, laplacian_squared, change; /* in 1/255 */
    int32_t saturation;                                    /* in 1/4096 */
    int32_t clipped;                                       /* points */
};
void loops_rows(const struct loops_rows *rows, struct loops_sums *out);

/* Sums over x[0 … count), count a multiple of LOOPS_LANES; x[-1] and x[count] are read too. */
struct loops_floats {
    float sum, squared, bend_squared, change; /* bend: second difference; change: |x - before| */
    float least, most;
};
void loops_floats(const float *x, const float *before, size_t count, struct loops_floats *out);
uint32_t loops_count_equal(const float *x, size_t count, float a, float b);

/* Of scores ≥ 0, in blocks of LOOPS_BLOCK: the largest one, and the largest below the threshold; and how many lie in [0.25, 0.5]. */
void loops_scores(const float *scores, size_t count, float threshold, float *out_most, float *out_below,
                  uint32_t *out_unsure);

/* out[i] = Σ query[d] * columns[d * padded + i]; `padded` is a multiple of LOOPS_BLOCK. Sums are within int16 for vectors of length 127. */
void loops_dots(const int8_t *columns, size_t padded, const int8_t query[LOOPS_DIMS], int16_t *out);
/* The largest of LOOPS_BLOCK. */
int16_t loops_most(const int16_t *values);

/* Σ a[i] * b[i] */
float loops_dot(const float *a, const float *b, size_t count);

#endif
