#include "infer/novelty.h"

#include "base/mem.h"
#include "infer/signals_inside.h"
#include "infer/signals_loops.h"

#include <float.h>
#include <math.h>

_Static_assert((int)PROFILE_DIMS == (int)LOOPS_DIMS, "the loops are made for it");
_Static_assert((int)PROFILE_MAX_PROTOTYPES % (int)LOOPS_BLOCK == 0, "whole blocks");
_Static_assert((int)NOVELTY_NEIGHBOURS == (int)LOOPS_TOP, "as many as are found");
#define UNIT 127

void novelty_quantize(const float in[PROFILE_DIMS], int8_t out[PROFILE_DIMS])
{
    float squared = 0;
    for (size_t i = 0; i < PROFILE_DIMS; i++)
        squared += in[i] * in[i];
    const float length = sqrtf(squared);
    const bool sound =
        isfinite(length) && squared >= FLT_MIN; /* below it a length is too coarse to divide by */
    for (size_t i = 0; i < PROFILE_DIMS; i++)
        out[i] = sound ? (int8_t)(in[i] / length * UNIT + (in[i] < 0 ? -0.5f : 0.5f)) : 0;
}

void novelty_embed(const struct profile *profile, const float *features, size_t stride,
                   int8_t out[PROFILE_DIMS])
{
    float projected[PROFILE_DIMS];
    for (size_t d = 0; d < PROFILE_DIMS; d++) {
        const float *row = profile->projection + d * profile->channels;
        float sum = 0;
        for (size_t c = 0; c < profile->channels; c++)
            sum += row[c] * features[c * stride];
        projected[d] = sum + profile->offset[d];
    }
    novelty_quantize(projected, out);
}

/* ---- the nearest ---- */

struct nearest {
    const int16_t *dots;
    size_t count;
    uint32_t at[NOVELTY_NEIGHBOURS];
};

/* Kept in order; of equal ones the first. */
static void offer(struct nearest *nearest, uint32_t at)
{
    const int16_t dot = nearest->dots[at];
    size_t i = nearest->count;
    if (i == NOVELTY_NEIGHBOURS && dot <= nearest->dots[nearest->at[--i]])
        return;
    nearest->count = i + 1;
    for (; i > 0 && nearest->dots[nearest->at[i - 1]] < dot; i--)
        nearest->at[i] = nearest->at[i - 1];
    nearest->at[i] = at;
}

float novelty_mean_distance(const int16_t *dots, size_t count)
{
    int32_t sum = 0;
    if (count == 0)
        return 2;
    for (size_t i = 0; i < count; i++)
        sum += dots[i];
    float mean = (float)sum / (float)count / (UNIT * UNIT);
    return 1 - MIN(mean, 1.0f);
}

float novelty_distance(const struct profile *profile, const int8_t embedded[PROFILE_DIMS],
                       uint32_t out_nearest[NOVELTY_NEIGHBOURS])
{
    int16_t dots[PROFILE_MAX_PROTOTYPES], most[NOVELTY_NEIGHBOURS];
    struct nearest nearest = {.dots = dots};
    const uint32_t count = MIN(profile->prototype_count, (uint32_t)PROFILE_MAX_PROTOTYPES);
    for (uint32_t i = 0; i < count; i++) {
        int32_t sum = 0;
        for (size_t d = 0; d < PROFILE_DIMS; d++)
            sum += profile->prototypes[i][d] * embedded[d];
        dots[i] = (int16_t)sum;
        offer(&nearest, i);
    }
    for (size_t i = 0; i < nearest.count; i++)
        most[i] = dots[nearest.at[i]];
    if (out_nearest)
        memcpy(out_nearest, nearest.at, sizeof nearest.at);
    return novelty_mean_distance(most, nearest.count);
}

/* The first one that is at least as large: all from there on are. */
static size_t first_as_large(const float *quantiles, size_t count, float distance)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (quantiles[middle] < distance)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

double novelty_p(const struct profile *profile, float distance)
{
    const size_t count = profile->quantile_count;
    size_t as_large = count - first_as_large(profile->quantiles, count, distance);
    return (double)(1 + as_large) / (double)(1 + count);
}
