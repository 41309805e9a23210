#include "infer/convert.h"

#if defined(__x86_64__)
#define HAVE_AVX2_COPY 1
#else
#define HAVE_AVX2_COPY 0
#endif

#define LOOP static inline __attribute__((always_inline)) void

LOOP planes_loop(const uint8_t *restrict rgb, size_t pixels, const struct convert_channel channels[3])
{
    float *restrict out0 = channels[0].out, *restrict out1 = channels[1].out,
                    *restrict out2 = channels[2].out;
    const float mul0 = channels[0].mul, mul1 = channels[1].mul, mul2 = channels[2].mul;
    const float add0 = channels[0].add, add1 = channels[1].add, add2 = channels[2].add;
    for (size_t i = 0; i < pixels; i++) {
        out0[i] = (float)rgb[3 * i] * mul0 + add0;
        out1[i] = (float)rgb[3 * i + 1] * mul1 + add1;
        out2[i] = (float)rgb[3 * i + 2] * mul2 + add2;
    }
}

LOOP best_loop(const float *restrict row, size_t count, int32_t label, float *restrict best,
               int32_t *restrict labels)
{
    for (size_t i = 0; i < count; i++) {
        bool better = row[i] > best[i];
        labels[i] = better ? label : labels[i];
        best[i] = better ? row[i] : best[i];
    }
}

static void planes_plain(const uint8_t *rgb, size_t pixels, const struct convert_channel channels[3])
{
    planes_loop(rgb, pixels, channels);
}

static void best_plain(const float *row, size_t count, int32_t label, float *best, int32_t *labels)
{
    best_loop(row, count, label, best, labels);
}

#if HAVE_AVX2_COPY
__attribute__((target("avx2"))) static void planes_avx2(const uint8_t *rgb, size_t pixels,
                                                        const struct convert_channel channels[3])
{
    planes_loop(rgb, pixels, channels);
}

__attribute__((target("avx2"))) static void best_avx2(const float *row, size_t count, int32_t label,
                                                      float *best, int32_t *labels)
{
    best_loop(row, count, label, best, labels);
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}
#else
#define planes_avx2 planes_plain
#define best_avx2 best_plain
static bool has_avx2(void)
{
    return false;
}
#endif

void convert_planes(const uint8_t *rgb, size_t pixels, const struct convert_channel channels[3])
{
    (has_avx2() ? planes_avx2 : planes_plain)(rgb, pixels, channels);
}

void convert_keep_best(const float *row, size_t count, int32_t label, float *best, int32_t *labels)
{
    (has_avx2() ? best_avx2 : best_plain)(row, count, label, best, labels);
}

bool convert_any_nonfinite(const float *values, size_t count)
{
    const uint32_t exponent = 0x7f800000U;
    const uint32_t *bits = (const uint32_t *)(const void *)values; /* built with -fno-strict-aliasing */
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++)
        found |= (bits[i] & exponent) == exponent ? 1U : 0U;
    return found != 0;
}
