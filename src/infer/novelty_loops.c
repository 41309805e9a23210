/* The nearest of many prototypes. Vectors of length 127 have sums that fit into int16; of longer ones they wrap, the same everywhere. */
#include "base/mem.h"
#include "infer/signals_copies.h"
#include "infer/signals_loops.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

_Static_assert(LOOPS_DIMS % 2 == 0 && LOOPS_BLOCK == 32 && LOOPS_TOP == 5, "written out below");

/* ---- into the space of the prototypes ---- */

LOOP void project_loop(const float *restrict rows, const float *restrict x, size_t count, float *restrict out)
{
    lanes_f32 first = {0}, second = {0}, third = {0}, fourth = {0};
    for (size_t c = 0; c < count; c++, rows += LOOPS_DIMS) {
        const lanes_f32 *row = (const lanes_f32 *)(const void *)rows;
        first += row[0] * x[c];
        second += row[1] * x[c];
        third += row[2] * x[c];
        fourth += row[3] * x[c];
    }
    lanes_f32 *sums = (lanes_f32 *)(void *)out;
    sums[0] = first;
    sums[1] = second;
    sums[2] = third;
    sums[3] = fourth;
}
COPIES(void, project, (const float *rows, const float *x, size_t count, float out[LOOPS_DIMS]),
       (rows, x, count, out))

/* ---- how near each of them is ---- */

void loops_dots_plain(const int8_t *blocks, size_t padded, const int8_t queries[LOOPS_QUERIES][LOOPS_DIMS],
                      int16_t *const out[LOOPS_QUERIES])
{
    enum { STEP = 16 };
    for (size_t from = 0; from < padded; from += STEP) {
        lanes_u16 first = {0}, second = {0};
        const int8_t *at = blocks + loops_place(from, 0);
        for (size_t d = 0; d < LOOPS_DIMS; d += 2, at += 2 * LOOPS_BLOCK) {
            const lanes_i16 both = *(const lanes_i16 *)(const void *)at;
            const lanes_u16 low = (lanes_u16)((lanes_i16)((lanes_u16)both << 8) >> 8),
                            high = (lanes_u16)(both >> 8);
            first += low * (uint16_t)queries[0][d] + high * (uint16_t)queries[0][d + 1];
            second += low * (uint16_t)queries[1][d] + high * (uint16_t)queries[1][d + 1];
        }
        *(lanes_u16 *)(void *)(out[0] + from) = first;
        *(lanes_u16 *)(void *)(out[1] + from) = second;
    }
}

#if defined(__x86_64__)
/* A query as the instruction wants it, which multiplies by numbers without sign: a prototype's numbers get the signs, -x as ~x + 1. */
struct wide_query {
    __m256i size[LOOPS_DIMS / 2], flip[LOOPS_DIMS / 2]; /* one pair of numbers, all over */
    __m256i ones;                                       /* Σ 1 * size of what is flipped */
};

AVX2 static void widen(const int8_t query[LOOPS_DIMS], struct wide_query *out)
{
    int sum = 0;
    for (size_t d = 0; d < LOOPS_DIMS; d += 2) {
        int16_t both;
        memcpy(&both, query + d, sizeof both);
        const __m256i pair = _mm256_set1_epi16(both);
        out->size[d / 2] = _mm256_abs_epi8(pair);
        out->flip[d / 2] = _mm256_cmpgt_epi8(_mm256_setzero_si256(), pair);
        sum -= (query[d] < 0 ? query[d] : 0) + (query[d + 1] < 0 ? query[d + 1] : 0);
    }
    out->ones = _mm256_set1_epi16((int16_t)sum);
}

/* Σ over a pair is at most 2 * 127 * 128: it never saturates. */
AVX2 static inline __m256i add_pairs(__m256i sum, __m256i pairs, const struct wide_query *query, size_t i)
{
    return _mm256_add_epi16(sum,
                            _mm256_maddubs_epi16(query->size[i], _mm256_xor_si256(pairs, query->flip[i])));
}

AVX2 static inline void store(int16_t *to, __m256i low, __m256i high)
{
    _mm256_storeu_si256((__m256i *)(void *)to, low);
    _mm256_storeu_si256((__m256i *)(void *)to + 1, high);
}

AVX2 static void dots_avx2(const int8_t *blocks, size_t padded,
                           const int8_t queries[LOOPS_QUERIES][LOOPS_DIMS], int16_t *const out[LOOPS_QUERIES])
{
    const __m256i *at = (const __m256i *)(const void *)blocks;
    struct wide_query first, second;
    widen(queries[0], &first);
    widen(queries[1], &second);
    for (size_t from = 0; from < padded; from += LOOPS_BLOCK) {
        __m256i first_low = first.ones, first_high = first.ones, second_low = second.ones,
                second_high = second.ones;
#pragma GCC unroll 4
        for (size_t i = 0; i < LOOPS_DIMS / 2; i++, at += 2) {
            const __m256i low = _mm256_loadu_si256(at), high = _mm256_loadu_si256(at + 1);
            first_low = add_pairs(first_low, low, &first, i);
            first_high = add_pairs(first_high, high, &first, i);
            second_low = add_pairs(second_low, low, &second, i);
            second_high = add_pairs(second_high, high, &second, i);
        }
        store(out[0] + from, first_low, first_high);
        store(out[1] + from, second_low, second_high);
    }
}
#endif
CHOICE(void, dots, loops_dots_plain,
       (const int8_t *blocks, size_t padded, const int8_t queries[LOOPS_QUERIES][LOOPS_DIMS],
        int16_t *const out[LOOPS_QUERIES]),
       (blocks, padded, queries, out))

/* ---- the largest of them ---- */

void loops_top_plain(const int16_t *values, size_t padded, int16_t out[LOOPS_TOP])
{
    for (size_t k = 0; k < LOOPS_TOP; k++)
        out[k] = INT16_MIN;
    for (size_t i = 0; i < padded; i++) {
        size_t at = LOOPS_TOP;
        for (; at > 0 && values[i] > out[at - 1]; at--)
            if (at < LOOPS_TOP)
                out[at] = out[at - 1];
        if (at < LOOPS_TOP)
            out[at] = values[i];
    }
}

#if defined(__x86_64__)
/* Those of each lane, in descending order; no branch depends on the values. Variables of their own stay in registers. */
struct ladder {
    __m256i first, second, third, fourth, fifth;
};

AVX2 static inline __m256i step(__m256i *rung, __m256i value)
{
    const __m256i pushed_out = _mm256_min_epi16(*rung, value);
    *rung = _mm256_max_epi16(*rung, value);
    return pushed_out;
}

AVX2 static inline void climb(struct ladder *top, __m256i value)
{
    value = step(&top->first, value);
    value = step(&top->second, value);
    value = step(&top->third, value);
    value = step(&top->fourth, value);
    step(&top->fifth, value);
}

/* Each lane takes what another one has. */
#define FOLD(top, other)                                                                                     \
    do {                                                                                                     \
        const struct ladder was = top;                                                                       \
        climb(&(top), other(was.first));                                                                     \
        climb(&(top), other(was.second));                                                                    \
        climb(&(top), other(was.third));                                                                     \
        climb(&(top), other(was.fourth));                                                                    \
        climb(&(top), other(was.fifth));                                                                     \
    } while (0)
#define OTHER_8(x) _mm256_permute4x64_epi64(x, 0x4e)
#define OTHER_4(x) _mm256_shuffle_epi32(x, 0x4e)
#define OTHER_2(x) _mm256_shuffle_epi32(x, 0xb1)
#define OTHER_1(x) _mm256_shufflelo_epi16(x, 0xb1)

AVX2 static void top_avx2(const int16_t *values, size_t padded, int16_t out[LOOPS_TOP])
{
    const __m256i *row = (const __m256i *)(const void *)values, none = _mm256_set1_epi16(INT16_MIN);
    struct ladder top = {none, none, none, none, none};
    for (size_t i = 0; i < padded / 16; i++)
        climb(&top, _mm256_loadu_si256(row + i));
    FOLD(top, OTHER_8);
    FOLD(top, OTHER_4);
    FOLD(top, OTHER_2);
    FOLD(top, OTHER_1);
    const __m256i all[LOOPS_TOP] = {top.first, top.second, top.third, top.fourth, top.fifth};
    for (size_t k = 0; k < LOOPS_TOP; k++)
        out[k] = (int16_t)_mm256_extract_epi16(all[k], 0);
}
#endif
CHOICE(void, top, loops_top_plain, (const int16_t *values, size_t padded, int16_t out[LOOPS_TOP]),
       (values, padded, out))
