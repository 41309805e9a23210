#include "infer/novelty.h"

#include "base/mem.h"
#include "infer/signals_inside.h"
#include "infer/signals_loops.h"

#include <math.h>

_Static_assert((int)PROFILE_DIMS == (int)LOOPS_DIMS, "the loops are made for it");
#define UNIT 127

static void gather(const float *features, size_t stride, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = features[i * stride];
}

/* To length 127: numbers that no int8 could hold, NaN and infinity become 0, far from everything. */
static void quantize(const float in[PROFILE_DIMS], int8_t out[PROFILE_DIMS])
{
    float length = sqrtf(loops_dot(in, in, PROFILE_DIMS));
    bool sound = isfinite(length) && length > 0;
    for (size_t i = 0; i < PROFILE_DIMS; i++)
        out[i] = sound ? (int8_t)lrintf(in[i] / length * UNIT) : 0;
}

void novelty_embed(const struct profile *profile, const float *features, size_t stride,
                   int8_t out[PROFILE_DIMS])
{
    float gathered[PROFILE_MAX_CHANNELS], projected[PROFILE_DIMS];
    const size_t channels = MIN(profile->channels, (uint32_t)PROFILE_MAX_CHANNELS);
    gather(features, stride, channels, gathered);
    for (size_t i = 0; i < PROFILE_DIMS; i++)
        projected[i] = loops_dot(profile->projection + i * channels, gathered, channels) + profile->offset[i];
    quantize(projected, out);
}

struct nearest {
    size_t count;
    int16_t dots[NOVELTY_NEIGHBOURS];
    uint32_t at[NOVELTY_NEIGHBOURS];
};

/* Kept in order; of equal ones the first. */
static void offer(struct nearest *nearest, int16_t dot, uint32_t at)
{
    if (nearest->count == NOVELTY_NEIGHBOURS && dot <= nearest->dots[NOVELTY_NEIGHBOURS - 1])
        return;
    size_t i = nearest->count < NOVELTY_NEIGHBOURS ? nearest->count++ : NOVELTY_NEIGHBOURS - 1;
    for (; i > 0 && nearest->dots[i - 1] < dot; i--) {
        nearest->dots[i] = nearest->dots[i - 1];
        nearest->at[i] = nearest->at[i - 1];
    }
    nearest->dots[i] = dot;
    nearest->at[i] = at;
}

static void offer_block(struct nearest *nearest, const int16_t *dots, size_t from, size_t count)
{
    if (count == LOOPS_BLOCK && nearest->count == NOVELTY_NEIGHBOURS &&
        loops_most(dots + from) <= nearest->dots[NOVELTY_NEIGHBOURS - 1])
        return;
    for (size_t i = from; i < from + count; i++)
        offer(nearest, dots[i], (uint32_t)i);
}

float novelty_nearest(const int16_t *dots, size_t count, uint32_t out_nearest[NOVELTY_NEIGHBOURS])
{
    struct nearest nearest = {0};
    int32_t sum = 0;
    for (size_t from = 0; from < count; from += LOOPS_BLOCK)
        offer_block(&nearest, dots, from, MIN((size_t)LOOPS_BLOCK, count - from));
    for (size_t i = 0; i < nearest.count; i++)
        sum += nearest.dots[i];
    if (out_nearest)
        memcpy(out_nearest, nearest.at, sizeof nearest.at);
    if (nearest.count == 0)
        return 2;
    float mean = (float)sum / (float)nearest.count / (UNIT * UNIT);
    return 1 - MIN(mean, 1.0f);
}

float novelty_distance(const struct profile *profile, const int8_t embedded[PROFILE_DIMS],
                       uint32_t out_nearest[NOVELTY_NEIGHBOURS])
{
    int16_t dots[PROFILE_MAX_PROTOTYPES];
    const size_t count = MIN(profile->prototype_count, (uint32_t)PROFILE_MAX_PROTOTYPES);
    for (size_t i = 0; i < count; i++) {
        int32_t sum = 0;
        for (size_t d = 0; d < PROFILE_DIMS; d++)
            sum += profile->prototypes[i][d] * embedded[d];
        dots[i] = (int16_t)sum;
    }
    return novelty_nearest(dots, count, out_nearest);
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
