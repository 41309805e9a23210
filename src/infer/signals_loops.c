#include "infer/signals_loops.h"

#include "base/mem.h"
#include "infer/signals_copies.h"

#include <math.h>
#include <stdbool.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* ---- pixels ---- */

enum { SATURATION_ONE = 4096 };

LOOP int32_t change_of(const uint8_t *restrict at, const uint8_t *restrict before, size_t count)
{
    int32_t change = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t moved = at[i] - before[i];
        change += moved < 0 ? -moved : moved;
    }
    return change;
}

LOOP void sums_of(const uint8_t *restrict at, size_t count, struct loops_sums *out)
{
    int32_t sum = 0, squared = 0;
    for (size_t i = 0; i < count; i++) {
        int16_t value = at[i];
        sum += value;
        squared += (int32_t)value * value;
    }
    out->sum = sum;
    out->squared = squared;
}

LOOP int32_t bend_of(const uint8_t *restrict up, const uint8_t *restrict at, const uint8_t *restrict down,
                     size_t count)
{
    int32_t squared = 0;
    for (size_t i = 0; i < count; i++) {
        int16_t bend = (int16_t)(4 * at[i] - at[(ptrdiff_t)i - 3] - at[i + 3] - up[i] - down[i]);
        squared += (int32_t)bend * bend;
    }
    return squared;
}

LOOP void sum_run(const struct loops_run *run, size_t count, struct loops_sums *out)
{
    sums_of(run->at, count, out);
    out->bend_squared = bend_of(run->up, run->at, run->down, count);
    out->change = change_of(run->at, run->before, count);
    memcpy(run->before, run->at, count);
}

void loops_run_plain(const struct loops_run *run, struct loops_sums *out)
{
    sum_run(run, run->count, out);
}

#if defined(__x86_64__)
AVX2 static inline __m256i wide(const uint8_t *bytes)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)bytes));
}

/* Added up: the squares of sixteen numbers. */
AVX2 static inline __m256i add_squares(__m256i sum, __m256i values)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(values, values));
}

AVX2 static inline __m256i bend_at(const struct loops_run *run, size_t i, __m256i at)
{
    const __m256i beside = _mm256_add_epi16(wide(run->at + i - 3), wide(run->at + i + 3));
    const __m256i above = _mm256_add_epi16(wide(run->up + i), wide(run->down + i));
    return _mm256_sub_epi16(_mm256_slli_epi16(at, 2), _mm256_add_epi16(beside, above));
}

AVX2 static inline int32_t total(__m256i sums)
{
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
}

/* Nearly every run is as long as can be: this one is for those. */
AVX2 static void run_avx2(const struct loops_run *run, struct loops_sums *out)
{
    const __m256i none = _mm256_setzero_si256();
    __m256i sum = none, squared = none, bend_squared = none, change = none;
    if (run->count != LOOPS_RUN) {
        loops_run_plain(run, out);
        return;
    }
    for (size_t i = 0; i < LOOPS_RUN; i += 32) {
        const __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)(run->at + i));
        __m256i *before = (__m256i *)(void *)(run->before + i);
        sum = _mm256_add_epi32(sum, _mm256_sad_epu8(bytes, none));
        change = _mm256_add_epi32(change, _mm256_sad_epu8(bytes, _mm256_loadu_si256(before)));
        _mm256_storeu_si256(before, bytes);
        for (size_t k = i; k < i + 32; k += 16) {
            const __m256i at = wide(run->at + k);
            squared = add_squares(squared, at);
            bend_squared = add_squares(bend_squared, bend_at(run, k, at));
        }
    }
    *out = (struct loops_sums){total(sum), total(squared), total(bend_squared), total(change)};
}
#endif
CHOICE(void, run, loops_run_plain, (const struct loops_run *run, struct loops_sums *out), (run, out))

/* Of three bytes from each byte on: two of three are of no use, and yet that is quicker than to take the channels apart. */
LOOP void extremes_of(const uint8_t *restrict rgb, size_t count, uint8_t *restrict most,
                      uint8_t *restrict least)
{
    for (size_t i = 0; i + 2 < 3 * count; i++) {
        const uint8_t first = rgb[i], second = rgb[i + 1], third = rgb[i + 2];
        const uint8_t larger = first > second ? first : second, smaller = first > second ? second : first;
        most[i] = larger > third ? larger : third;
        least[i] = smaller < third ? smaller : third;
    }
}

LOOP void colour_loop(const uint8_t *restrict rgb, size_t count, int32_t *out_saturation,
                      int32_t *out_clipped)
{
    uint8_t most[LOOPS_RUN], least[LOOPS_RUN];
    int32_t all[LOOPS_RUN / 3], spread[LOOPS_RUN / 3], saturation = 0, clipped = 0;
    extremes_of(rgb, count, most, least);
    for (size_t i = 0; i < count; i++) {
        all[i] = most[3 * i];
        spread[i] = most[3 * i] - least[3 * i];
    }
    for (size_t i = 0; i < count; i++) {
        const int32_t black = all[i] == 0;
        saturation += (int32_t)((float)(SATURATION_ONE * spread[i]) / (float)(all[i] + black));
        clipped += black + (all[i] == 255);
    }
    *out_saturation = saturation;
    *out_clipped = clipped;
}
COPIES(void, colour, (const uint8_t *rgb, size_t count, int32_t *out_saturation, int32_t *out_clipped),
       (rgb, count, out_saturation, out_clipped))

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

/* ---- scores: floats that are not negative compare like the integers that their bits are ---- */

static int32_t bits_of(float value)
{
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

struct score_limits {
    int32_t threshold, low, high;
};

struct score_lanes {
    lanes_i32 most, below, unsure;
};

/* Lane by lane, so that the compiler sees what the one instruction for it does. */
LOOP void take_larger(lanes_i32 *restrict most, const lanes_i32 *restrict at)
{
    for (size_t k = 0; k < LOOPS_LANES; k++)
        (*most)[k] = (*at)[k] > (*most)[k] ? (*at)[k] : (*most)[k];
}

/* Between two limits in one comparison: all is moved up so far that what lies above the upper one becomes negative. */
LOOP void count_between(lanes_i32 *restrict count, const lanes_i32 *restrict at,
                        const struct score_limits *limits)
{
    const uint32_t up = (uint32_t)(INT32_MAX - limits->high);
    *count -= (lanes_i32)((lanes_u32)*at + up) > (int32_t)((uint32_t)limits->low + up - 1);
}

/* Every second row has sums of its own, so that none waits for the one before it. `unsure` is counted on. */
LOOP void score_chunk(const int32_t *restrict bits, const struct score_limits *limits,
                      struct score_lanes *restrict lanes)
{
    const lanes_i32 *row = (const lanes_i32 *)(const void *)bits;
    lanes_i32 most = {0}, most_other = {0}, below = {0}, below_other = {0}, unsure = lanes->unsure;
    for (size_t i = 0; i < LOOPS_SCORE_ROWS; i += 2) {
        const lanes_i32 at = row[i], other = row[i + 1];
        const lanes_i32 under = at & (at < limits->threshold),
                        under_other = other & (other < limits->threshold);
        take_larger(&most, &at);
        take_larger(&most_other, &other);
        take_larger(&below, &under);
        take_larger(&below_other, &under_other);
        count_between(&unsure, &at, limits);
        count_between(&unsure, &other, limits);
    }
    take_larger(&most, &most_other);
    take_larger(&below, &below_other);
    lanes->most = most;
    lanes->below = below;
    lanes->unsure = unsure;
}

/* The last chunk is filled up with zeros, which are no score. */
LOOP void scores_loop(const float *restrict scores, size_t count, float threshold, float *restrict out_most,
                      float *restrict out_below, uint32_t *restrict out_unsure)
{
    const int32_t *bits = (const int32_t *)(const void *)scores; /* built with -fno-strict-aliasing */
    const struct score_limits limits = {bits_of(threshold), bits_of(0.25f), bits_of(0.5f)};
    int32_t rest[LOOPS_SCORES];
    struct score_lanes lanes = {0};
    for (size_t from = 0; from < count; from += LOOPS_SCORES) {
        const bool whole = count - from >= LOOPS_SCORES;
        if (!whole) {
            memset(rest, 0, sizeof rest);
            memcpy(rest, bits + from, (count - from) * sizeof *rest);
        }
        score_chunk(whole ? bits + from : rest, &limits, &lanes);
        memcpy(out_most + from / LOOPS_SCORE_ROWS, &lanes.most, sizeof lanes.most);
        memcpy(out_below + from / LOOPS_SCORE_ROWS, &lanes.below, sizeof lanes.below);
    }
    *out_unsure = 0;
    for (size_t k = 0; k < LOOPS_LANES; k++)
        *out_unsure += (uint32_t)lanes.unsure[k];
}
COPIES(void, scores,
       (const float *scores, size_t count, float threshold, float *out_most, float *out_below,
        uint32_t *out_unsure),
       (scores, count, threshold, out_most, out_below, out_unsure))

LOOP float floor_loop(const float *restrict lanes, size_t count, size_t room)
{
    const lanes_i32 *row = (const lanes_i32 *)(const void *)lanes;
    const int32_t beyond = bits_of(INFINITY);
    lanes_i32 all = {0};
    float most[LOOPS_LANES];
    for (size_t i = 0; i < count / LOOPS_LANES; i++) {
        const lanes_i32 number = row[i] & (row[i] <= beyond);
        take_larger(&all, &number);
    }
    memcpy(most, &all, sizeof most);
    for (size_t half = LOOPS_LANES / 2; half >= room; half /= 2)
        for (size_t k = 0; k < half; k++)
            most[k] = most[k + half] > most[k] ? most[k + half] : most[k];
    for (size_t k = 1; k < room; k++)
        most[0] = most[k] < most[0] ? most[k] : most[0];
    return most[0];
}
COPIES(float, floor, (const float *lanes, size_t count, size_t room), (lanes, count, room))

size_t loops_reach(const float *values, size_t count, float least, uint32_t *out)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) { /* no branch: which ones do is any pattern */
        out[found] = (uint32_t)i;
        found += values[i] >= least;
    }
    return found;
}

/* ---- logarithms ---- */

#define CHOSEN(mask, yes, no) ((lanes_f32)(((mask) & (lanes_i32)(yes)) | (~(mask) & (lanes_i32)(no))))

/* signals_log2, step by step. */
LOOP void log2_of(const lanes_f32 *restrict x, lanes_f32 *restrict out)
{
    const lanes_u32 bits = (lanes_u32)*x;
    lanes_i32 exponent = (lanes_i32)(bits >> 23) - 127;
    const lanes_u32 one_up = (bits & 0x7fffff) | 0x3f800000;
    const lanes_i32 large = (lanes_f32)one_up > 1.41421356f;
    const lanes_f32 m = (lanes_f32)(one_up + ((lanes_u32)large << 23)); /* halved */
    exponent -= large;
    const lanes_f32 t = (m - 1) / (m + 1), t2 = t * t;
    const lanes_f32 log = __builtin_convertvector(exponent, lanes_f32) +
                          2.88539008f * t * (1 + t2 * (1.0f / 3 + t2 * (0.2f + t2 / 7)));
    *out = CHOSEN(*x >= 1.1754944e-38f, log, (lanes_f32){0} - 126);
}

LOOP void logs_loop(const float *restrict rows, size_t stride, size_t count, const uint32_t *restrict at,
                    struct loops_logs *restrict out)
{
    const lanes_f32 none = {0};
    lanes_f32 sum = none, bits = none, rest = none, log;
    for (size_t i = 0; i < count; i++, rows += stride) {
        const lanes_f32 p = {rows[at[0]], rows[at[1]], rows[at[2]], rows[at[3]],
                             rows[at[4]], rows[at[5]], rows[at[6]], rows[at[7]]};
        const lanes_f32 left = 1 - CHOSEN(p < LOOPS_NEARLY_SURE, p, none + LOOPS_NEARLY_SURE);
        log2_of(&p, &log);
        sum += p;
        bits += CHOSEN(p > 0, 0 - p * log, none);
        log2_of(&left, &log);
        rest += log;
    }
    memcpy(out->sum, &sum, sizeof sum);
    memcpy(out->bits, &bits, sizeof bits);
    memcpy(out->rest, &rest, sizeof rest);
}
COPIES(void, logs,
       (const float *rows, size_t stride, size_t count, const uint32_t at[LOOPS_LANES],
        struct loops_logs *out),
       (rows, stride, count, at, out))
