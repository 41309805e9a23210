#include "forge/calib/tally.h"

#include "base/mem.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { LANES = 16, BLOCK = 256 };

static bool all_finite(const float *values, size_t count)
{
    uint32_t worst = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits &= UINT32_C(0x7f800000);
        worst = bits > worst ? bits : worst;
    }
    return worst != UINT32_C(0x7f800000);
}

/* LANES numbers wide, so that a compiler can use vectors without changing the order of any sum. */
static void add_finite(struct tally *tally, const float *values, size_t count)
{
    float low[LANES], high[LANES];
    double sum[LANES] = {0}, square[LANES] = {0};
    for (int k = 0; k < LANES; k++)
        low[k] = high[k] = values[0];
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float value = values[i + (size_t)k];
            low[k] = value < low[k] ? value : low[k];
            high[k] = value > high[k] ? value : high[k];
            sum[k] += (double)value;
            square[k] += (double)value * (double)value;
        }
    for (int k = 0; i < count; i++, k++) {
        low[k] = fminf(low[k], values[i]);
        high[k] = fmaxf(high[k], values[i]);
        sum[k] += (double)values[i];
        square[k] += (double)values[i] * (double)values[i];
    }
    if (tally->count == 0)
        tally->min = tally->max = values[0];
    for (int k = 0; k < LANES; k++) {
        tally->min = fminf(tally->min, low[k]);
        tally->max = fmaxf(tally->max, high[k]);
        tally->sum += sum[k];
        tally->sum_square += square[k];
    }
    tally->count += count;
}

void tally_add(struct tally *tally, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i += BLOCK) {
        size_t block = MIN(count - i, (size_t)BLOCK);
        if (all_finite(values + i, block)) {
            add_finite(tally, values + i, block);
            continue;
        }
        for (size_t k = i; k < i + block; k++) {
            if (isfinite(values[k]))
                add_finite(tally, &values[k], 1);
            else
                tally->broken++;
        }
    }
}

/* Four tables in turn: equal values, of which there are many, do not wait for each other. */
static void count_finite(uint64_t bins[TALLY_BINS], double min, double scale, const float *values,
                         size_t count)
{
    enum { TABLES = 4 };
    uint32_t tables[TABLES][TALLY_BINS] = {{0}};
    for (size_t i = 0; i < count; i++) {
        double place = ((double)values[i] - min) * scale;
        place = place < 0 ? 0 : place > TALLY_BINS - 1 ? TALLY_BINS - 1 : place;
        tables[i % TABLES][(uint32_t)place]++;
    }
    for (size_t t = 0; t < TABLES; t++)
        for (size_t b = 0; b < TALLY_BINS; b++)
            bins[b] += tables[t][b];
}

void tally_count(uint64_t bins[TALLY_BINS], float min, float max, const float *values, size_t count)
{
    enum { PIECE = 1 << 20 };
    double scale = max > min ? TALLY_BINS / ((double)max - (double)min) : 0;
    if (all_finite(values, count)) {
        for (size_t i = 0; i < count; i += PIECE)
            count_finite(bins, (double)min, scale, values + i, MIN(count - i, (size_t)PIECE));
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i])) {
            double place = ((double)values[i] - (double)min) * scale;
            bins[(size_t)fmax(0, fmin(place, TALLY_BINS - 1))]++;
        }
}
