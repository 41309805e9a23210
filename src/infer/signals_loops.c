#include "infer/signals_loops.h"

#include "base/mem.h"

#include <stdbool.h>

#define LOOP static inline __attribute__((always_inline))

/* A plain copy and, on x86, one for AVX2. */
#if defined(__x86_64__)
#define COPIES(type, name, parameters, arguments)                                                            \
    static type name##_plain parameters                                                                      \
    {                                                                                                        \
        return name##_loop arguments;                                                                        \
    }                                                                                                        \
    __attribute__((target("avx2"))) static type name##_avx2 parameters                                       \
    {                                                                                                        \
        return name##_loop arguments;                                                                        \
    }                                                                                                        \
    type loops_##name parameters                                                                             \
    {                                                                                                        \
        return (__builtin_cpu_supports("avx2") ? name##_avx2 : name##_plain)arguments;                       \
    }
#else
#define COPIES(type, name, parameters, arguments)                                                            \
    type loops_##name parameters                                                                             \
    {                                                                                                        \
        return name##_loop arguments;                                                                        \
    }
#endif

/* ---- pixels ---- */

enum { ROW = LOOPS_BLOCK + 2, RED = 77, GREEN = 150, BLUE = 29, SATURATION_ONE = 4096 };

LOOP void luma_of(const uint8_t *restrict rgb, size_t count, int16_t *restrict out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (int16_t)((RED * rgb[3 * i] + GREEN * rgb[3 * i + 1] + BLUE * rgb[3 * i + 2]) >> 8);
}

LOOP void sum_luma(const int16_t *restrict up, const int16_t *restrict at, const int16_t *restrict down,
                   size_t count, uint8_t *restrict before, struct loops_sums *out)
{
    int32_t sum = 0, squared = 0, laplacian = 0, change = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t luma = at[i + 1], was = before[i];
        int32_t bend = 4 * luma - at[i] - at[i + 2] - up[i + 1] - down[i + 1];
        sum += luma;
        squared += luma * luma;
        laplacian += bend * bend;
        change += luma > was ? luma - was : was - luma;
        before[i] = (uint8_t)luma;
    }
    out->luma = sum;
    out->luma_squared = squared;
    out->laplacian_squared = laplacian;
    out->change = change;
}

LOOP void sum_colour(const uint8_t *restrict rgb, size_t count, struct loops_sums *out)
{
    int32_t saturation = 0, clipped = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t red = rgb[3 * i], green = rgb[3 * i + 1], blue = rgb[3 * i + 2];
        int32_t most = red > green ? red : green, least = red > green ? green : red;
        most = most > blue ? most : blue;
        least = least < blue ? least : blue;
        saturation += (int32_t)((float)(SATURATION_ONE * (most - least)) / (float)(most > 0 ? most : 1));
        clipped += (most == 255) | (most == 0);
    }
    out->saturation = saturation;
    out->clipped = clipped;
}

LOOP void rows_loop(const struct loops_rows *rows, struct loops_sums *out)
{
    int16_t luma[3][ROW];
    for (int i = 0; i < 3; i++)
        luma_of(rows->rgb[i], rows->count + 2, luma[i]);
    sum_luma(luma[0], luma[1], luma[2], rows->count, rows->luma, out);
    sum_colour(rows->rgb[1] + 3, rows->count, out);
}
COPIES(void, rows, (const struct loops_rows *rows, struct loops_sums *out), (rows, out))

/* ---- floats ---- */

LOOP float sum_of(const float lanes[LOOPS_LANES])
{
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

LOOP void floats_loop(const float *restrict x, const float *restrict before, size_t count,
                      struct loops_floats *out)
{
    float sum[LOOPS_LANES] = {0}, squared[LOOPS_LANES] = {0}, bend[LOOPS_LANES] = {0},
          change[LOOPS_LANES] = {0}, least[LOOPS_LANES], most[LOOPS_LANES];
    for (size_t k = 0; k < LOOPS_LANES; k++)
        least[k] = most[k] = x[k];
    for (size_t i = 0; i < count; i += LOOPS_LANES)
        for (size_t k = 0; k < LOOPS_LANES; k++) {
            float at = x[i + k], second = 2 * at - x[i + k - 1] - x[i + k + 1], moved = at - before[i + k];
            sum[k] += at;
            squared[k] += at * at;
            bend[k] += second * second;
            change[k] += moved < 0 ? -moved : moved;
            least[k] = at < least[k] ? at : least[k];
            most[k] = at > most[k] ? at : most[k];
        }
    for (size_t k = 1; k < LOOPS_LANES; k++) {
        least[0] = least[k] < least[0] ? least[k] : least[0];
        most[0] = most[k] > most[0] ? most[k] : most[0];
    }
    *out =
        (struct loops_floats){sum_of(sum), sum_of(squared), sum_of(bend), sum_of(change), least[0], most[0]};
}
COPIES(void, floats, (const float *x, const float *before, size_t count, struct loops_floats *out),
       (x, before, count, out))

LOOP uint32_t count_equal_loop(const float *restrict x, size_t count, float a, float b)
{
    uint32_t equal = 0;
    for (size_t i = 0; i < count; i++)
        equal += (x[i] == a) | (x[i] == b);
    return equal;
}
COPIES(uint32_t, count_equal, (const float *x, size_t count, float a, float b), (x, count, a, b))

LOOP float dot_loop(const float *restrict a, const float *restrict b, size_t count)
{
    float lanes[LOOPS_LANES] = {0};
    size_t i = 0;
    for (; i + LOOPS_LANES <= count; i += LOOPS_LANES)
        for (size_t k = 0; k < LOOPS_LANES; k++)
            lanes[k] += a[i + k] * b[i + k];
    for (size_t k = 0; i < count; i++, k++)
        lanes[k] += a[i] * b[i];
    return sum_of(lanes);
}
COPIES(float, dot, (const float *a, const float *b, size_t count), (a, b, count))

/* ---- scores: floats that are not negative compare like the integers that their bits are ---- */

static int32_t bits_of(float value)
{
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(int32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

struct score_limits {
    int32_t threshold, low, high;
};

LOOP void score_block(const int32_t *restrict bits, size_t count, struct score_limits limits,
                      int32_t *restrict out_most, int32_t *restrict out_below, int32_t *restrict unsure)
{
    int32_t most = 0, below = 0, between = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t at = bits[i], under = at < limits.threshold ? at : 0;
        most = at > most ? at : most;
        below = under > below ? under : below;
        between += (at >= limits.low) & (at <= limits.high);
    }
    *out_most = most;
    *out_below = below;
    *unsure += between;
}

LOOP void scores_loop(const float *restrict scores, size_t count, float threshold, float *restrict out_most,
                      float *restrict out_below, uint32_t *restrict out_unsure)
{
    const int32_t *bits = (const int32_t *)(const void *)scores; /* built with -fno-strict-aliasing */
    const struct score_limits limits = {bits_of(threshold), bits_of(0.25f), bits_of(0.5f)};
    int32_t most, below, unsure = 0;
    size_t block = 0;
    for (; (block + 1) * LOOPS_BLOCK <= count; block++) {
        score_block(bits + block * LOOPS_BLOCK, LOOPS_BLOCK, limits, &most, &below, &unsure);
        out_most[block] = float_of(most);
        out_below[block] = float_of(below);
    }
    if (block * LOOPS_BLOCK < count) {
        score_block(bits + block * LOOPS_BLOCK, count - block * LOOPS_BLOCK, limits, &most, &below, &unsure);
        out_most[block] = float_of(most);
        out_below[block] = float_of(below);
    }
    *out_unsure = (uint32_t)unsure;
}
COPIES(void, scores,
       (const float *scores, size_t count, float threshold, float *out_most, float *out_below,
        uint32_t *out_unsure),
       (scores, count, threshold, out_most, out_below, out_unsure))

/* ---- prototypes ---- */

LOOP void dots_loop(const int8_t *restrict columns, size_t padded, const int8_t query[LOOPS_DIMS],
                    int16_t *restrict out)
{
    for (size_t block = 0; block < padded; block += LOOPS_BLOCK) {
        int16_t sums[LOOPS_BLOCK] = {0};
        for (size_t d = 0; d < LOOPS_DIMS; d++) {
            const int8_t *restrict at = columns + d * padded + block;
            const int16_t by = query[d];
            for (size_t i = 0; i < LOOPS_BLOCK; i++)
                sums[i] =
                    (int16_t)(sums[i] + by * at[i]); /* whatever is carried away on the way comes back */
        }
        memcpy(out + block, sums, sizeof sums);
    }
}
COPIES(void, dots, (const int8_t *columns, size_t padded, const int8_t query[LOOPS_DIMS], int16_t *out),
       (columns, padded, query, out))

LOOP int16_t most_loop(const int16_t *values)
{
    int16_t most = values[0];
    for (size_t i = 1; i < LOOPS_BLOCK; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}
COPIES(int16_t, most, (const int16_t *values), (values))
