#include "forge/profile/reference.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 8, MIN_VALUES = 30, MAX_LAG = 2000 };
#define LEAST_SD 0.01      /* of a signal that never moved here: a robot's will, a little */
#define MOST_TOLERANCE 0.5 /* sd */

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static size_t sort_finite(const struct reference_series *series, float *sorted)
{
    size_t count = 0;
    for (size_t i = 0; i < series->count; i++)
        if (isfinite(series->values[i]))
            sorted[count++] = series->values[i];
    if (count)
        qsort(sorted, count, sizeof *sorted, by_value);
    return count;
}

static void moments(const float *values, size_t count, double *out_mean, double *out_sd)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]))
            sum += (double)values[i];
    size_t finite = 0;
    for (size_t i = 0; i < count; i++)
        finite += isfinite(values[i]) != 0;
    *out_mean = finite ? sum / (double)finite : 0;
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]))
            squares += pow((double)values[i] - *out_mean, 2);
    *out_sd = finite > 1 ? sqrt(squares / (double)(finite - 1)) : 0;
}

/* ---- memory ---- */

/* Against the mean of its own sequence: that sites differ is no memory, it is in the tolerance. */
static double covariance(const struct reference_series *series, const double *means, size_t lag)
{
    double sum = 0;
    size_t pairs = 0;
    for (size_t i = lag; i < series->count; i++) {
        const size_t k = i - lag;
        if (series->sequence[i] != series->sequence[k] || !isfinite(series->values[i]) ||
            !isfinite(series->values[k]))
            continue;
        const double mean = means[series->sequence[i]];
        sum += ((double)series->values[i] - mean) * ((double)series->values[k] - mean);
        pairs++;
    }
    return pairs ? sum / (double)pairs : 0;
}

static double *sequence_means(const struct reference_series *series)
{
    uint32_t last = 0;
    for (size_t i = 0; i < series->count; i++)
        last = MAX(last, series->sequence[i]);
    double *means = mem_zalloc((size_t)last + 1, sizeof *means);
    cleanup_free uint32_t *counts = mem_zalloc((size_t)last + 1, sizeof *counts);
    for (size_t i = 0; means && counts && i < series->count; i++) {
        if (!isfinite(series->values[i]))
            continue;
        const uint32_t s = series->sequence[i];
        counts[s]++;
        means[s] += ((double)series->values[i] - means[s]) / counts[s];
    }
    return means;
}

double reference_memory(const struct reference_series *series)
{
    cleanup_free double *means = sequence_means(series);
    const double variance = means ? covariance(series, means, 0) : 0;
    double memory = 1;
    if (variance <= 1e-12)
        return memory;
    for (size_t lag = 1; lag < MIN(series->count, (size_t)MAX_LAG); lag++) {
        if ((double)lag > 5 * memory)
            break;
        memory += 2 * covariance(series, means, lag) / variance;
        memory = fmax(memory, 1);
    }
    return memory;
}

/* ---- the rest ---- */

static double spread_of_shards(const struct reference_series *series)
{
    double sum = 0, squares = 0, ignored;
    for (size_t i = 0; i < SHARDS; i++) {
        const size_t from = series->count * i / SHARDS, to = series->count * (i + 1) / SHARDS;
        double mean;
        moments(series->values + from, to - from, &mean, &ignored);
        sum += mean;
        squares += mean * mean;
    }
    return sqrt(fmax(squares / SHARDS - pow(sum / SHARDS, 2), 0) * SHARDS / (SHARDS - 1));
}

void reference_of(const struct reference_series *series, double memory, float *sorted,
                  struct drift_reference *out)
{
    *out = (struct drift_reference){0};
    const size_t count = sort_finite(series, sorted);
    if (count < MIN_VALUES)
        return;
    moments(sorted, count, &out->mean, &out->sd);
    out->sd = fmax(out->sd, LEAST_SD);
    out->memory = memory > 0 ? memory : reference_memory(series);
    const double unsure = 2 * out->sd * sqrt(fmin(out->memory / (double)count, 1));
    out->tolerance = fmin(fmax(unsure, spread_of_shards(series)), MOST_TOLERANCE * out->sd);
    for (size_t i = 0; i < DRIFT_BINS - 1; i++)
        out->edges[i] = sorted[MIN(count * (i + 1) / DRIFT_BINS, count - 1)];
}
