/* The two inner loops over whole frames and tensors, written for the vectoriser (this file is compiled with
 * -O3; on x86 there is an AVX2 copy, chosen at run time). No fused multiply-add is used, so every machine
 * gets the same bits. */
#ifndef MUSTER_INFER_CONVERT_H
#define MUSTER_INFER_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct convert_channel {
    float *out; /* this channel's plane */
    float mul, add;
};

/* RGB8 interleaved → three float planes: out[i] = rgb[3 i + c] * mul + add, for c = 0, 1, 2. */
void convert_planes(const uint8_t *rgb, size_t pixels, const struct convert_channel channels[3]);

/* Whether there is a NaN or an infinity among the values. */
bool convert_any_nonfinite(const float *values, size_t count);

/* best[i] = max(best[i], row[i]); where it grew, label[i] = `label`. A NaN never wins. */
void convert_keep_best(const float *row, size_t count, int32_t label, float *best, int32_t *labels);

#endif
