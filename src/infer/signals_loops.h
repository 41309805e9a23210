/* The inner loops of signals and novelty, written for the vectoriser as those of convert.h: this file is compiled with -O3, and on x86 there is an AVX2 copy,
 * chosen at run time. Sums are of integers, or in a fixed order, so that every machine gets the same bits. Private to this room. */
#ifndef MUSTER_INFER_SIGNALS_LOOPS_H
#define MUSTER_INFER_SIGNALS_LOOPS_H

#include <stddef.h>
#include <stdint.h>

enum {
    LOOPS_BLOCK = 32,
    LOOPS_LANES = 8,
    LOOPS_DIMS = 32,
    LOOPS_QUERIES = 2,
    LOOPS_TOP = 5,
    LOOPS_RUN = 192,
    LOOPS_SCORE_ROWS = 32,
    LOOPS_SCORES = LOOPS_SCORE_ROWS * LOOPS_LANES
};

/* Of `count` bytes side by side and those above and below them; `at[-3]` and `at[count + 2]` are read too. */
struct loops_run {
    const uint8_t *up, *at, *down;
    size_t count;    /* ≤ LOOPS_RUN */
    uint8_t *before; /* in: one frame ago; out: now */
};
struct loops_sums {
    int32_t sum, squared, bend_squared, change; /* bend: Laplacian of one channel */
};
void loops_run(const struct loops_run *run, struct loops_sums *out);

/* Of `count` pixels, LOOPS_RUN / 3 at most: Σ 4096 (max - min) / max, and how many have 255 in a channel or 0 in all. */
void loops_colour(const uint8_t *rgb, size_t count, int32_t *out_saturation, int32_t *out_clipped);

/* Sums over x[0 … count), count a multiple of LOOPS_LANES; x[-1] and x[count] are read too. */
struct loops_floats {
    float sum, squared, bend_squared, change; /* bend: second difference; change: |x - before| */
    float least, most;
};
void loops_floats(const float *x, const float *before, size_t count, struct loops_floats *out);
uint32_t loops_count_equal(const float *x, size_t count, float a, float b);

/* Of scores ≥ 0, lane by lane: the largest one, and the largest below the threshold; and how many lie in [0.25, 0.5]. Lane k of chunk c, at
 * c * LOOPS_LANES + k, is of scores c * LOOPS_SCORES + k, + LOOPS_LANES, + 2 LOOPS_LANES …: LOOPS_SCORE_ROWS of them, fewer at the end. */
void loops_scores(const float *scores, size_t count, float threshold, float *out_most, float *out_below,
                  uint32_t *out_unsure);

/* Of `count` lanes ≥ 0, whole chunks of LOOPS_LANES, at least `room` are as large as this; room: 1, 2, 4 or 8. What is no number is none of them. */
float loops_floor(const float *lanes, size_t count, size_t room);
/* Which values are ≥ least, in order: how many. `out` has room for one more than all of them. */
size_t loops_reach(const float *values, size_t count, float least, uint32_t *out);

/* Of several columns of `count` rows, all sums in the order of the rows: Σ p, Σ -p log2 p and Σ log2(1 - p), p at most nearly sure there; by signals_log2. */
#define LOOPS_NEARLY_SURE 0.999999f
struct loops_logs {
    float sum[LOOPS_LANES], bits[LOOPS_LANES], rest[LOOPS_LANES];
};
void loops_logs(const float *rows, size_t stride, size_t count, const uint32_t at[LOOPS_LANES],
                struct loops_logs *out);

/* out[d] = Σ rows[c][d] * x[c], in the order of c. */
void loops_project(const float *rows, const float *x, size_t count, float out[LOOPS_DIMS]);

/* out[k][i] = Σ queries[k][d] * prototype i's number d; `padded` is a multiple of LOOPS_BLOCK. Block by block lie the first pair of numbers of each
 * prototype, the second pair of each, …; no query's is -128. Sums are within int16 for vectors of length 127. */
static inline size_t loops_place(size_t i, size_t d)
{
    const size_t block = i / LOOPS_BLOCK, in_block = i % LOOPS_BLOCK;
    return ((block * (LOOPS_DIMS / 2) + d / 2) * LOOPS_BLOCK + in_block) * 2 + d % 2;
}
void loops_dots(const int8_t *blocks, size_t padded, const int8_t queries[LOOPS_QUERIES][LOOPS_DIMS],
                int16_t *const out[LOOPS_QUERIES]);

/* The largest values, in descending order. What is INT16_MIN is none. */
void loops_top(const int16_t *values, size_t padded, int16_t out[LOOPS_TOP]);

/* Where the copies are not of one loop: the plain ones, to be held against the others. */
void loops_run_plain(const struct loops_run *run, struct loops_sums *out);
void loops_dots_plain(const int8_t *blocks, size_t padded, const int8_t queries[LOOPS_QUERIES][LOOPS_DIMS],
                      int16_t *const out[LOOPS_QUERIES]);
void loops_top_plain(const int16_t *values, size_t padded, int16_t out[LOOPS_TOP]);

#endif
