#include "forge/profile/embed.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/profile/principal.h"
#include "infer/novelty.h"

#include <math.h>
#include <stdlib.h>

void embed_init(struct embed *embed, size_t channels)
{
    *embed = (struct embed){.channels = channels};
}

void embed_fini(struct embed *embed)
{
    free(embed->values);
    free(embed->labels);
    free(embed->held);
    *embed = (struct embed){0};
}

static int grow(struct embed *embed, struct err *err)
{
    const size_t room = MIN(MAX(2 * embed->room, (size_t)512), (size_t)EMBED_MAX_VECTORS);
    float *values = mem_grow(embed->values, room, embed->channels * sizeof *values);
    embed->values = values ? values : embed->values;
    uint16_t *labels = mem_grow(embed->labels, room, sizeof *labels);
    embed->labels = labels ? labels : embed->labels;
    bool *held = mem_grow(embed->held, room, sizeof *held);
    embed->held = held ? held : embed->held;
    if (!values || !labels || !held)
        return err_no_memory(err);
    embed->room = room;
    return 0;
}

int embed_add(struct embed *embed, const float *features, size_t stride, uint32_t label, bool held,
              struct err *err)
{
    if (embed->count == EMBED_MAX_VECTORS)
        return 0;
    if (embed->count == embed->room && grow(embed, err) < 0)
        return -1;
    float *to = embed->values + embed->count * embed->channels;
    for (size_t i = 0; i < embed->channels; i++) {
        if (!isfinite(features[i * stride]))
            return 0;
        to[i] = features[i * stride];
    }
    embed->labels[embed->count] = (uint16_t)MIN(label, (uint32_t)PROFILE_NO_LABEL);
    embed->held[embed->count++] = held;
    return 0;
}

/* ---- projection ---- */

static size_t count_of(const struct embed *embed, bool held)
{
    size_t count = 0;
    for (size_t i = 0; i < embed->count; i++)
        count += embed->held[i] == held;
    return count;
}

static float *fitting_vectors(const struct embed *embed, size_t count)
{
    float *out = mem_zalloc(count * embed->channels, sizeof *out);
    for (size_t i = 0, at = 0; out && i < embed->count; i++)
        if (!embed->held[i])
            memcpy(out + at++ * embed->channels, embed->values + i * embed->channels,
                   embed->channels * sizeof *out);
    return out;
}

static int fit_projection(const struct embed *embed, struct profile *profile, struct err *err)
{
    const size_t size = embed->channels, count = count_of(embed, false);
    cleanup_free float *vectors = fitting_vectors(embed, count);
    cleanup_free double *basis = mem_zalloc(PROFILE_DIMS * size, sizeof *basis),
                        *mean = mem_zalloc(size, sizeof *mean);
    profile->channels = (uint32_t)size;
    profile->projection = mem_zalloc(PROFILE_DIMS * size, sizeof *profile->projection);
    if (!vectors || !basis || !mean || !profile->projection ||
        !principal_of(vectors, count, size, PROFILE_DIMS, basis, mean))
        return err_no_memory(err);
    for (size_t d = 0; d < PROFILE_DIMS; d++) {
        double offset = 0;
        for (size_t i = 0; i < size; i++) {
            profile->projection[d * size + i] = (float)basis[d * size + i];
            offset -= basis[d * size + i] * mean[i];
        }
        profile->offset[d] = (float)offset;
    }
    return 0;
}

/* ---- prototypes ---- */

struct points {
    size_t count;
    int8_t (*at)[PROFILE_DIMS]; /* owned */
    uint16_t *labels;           /* owned */
    float *nearest;             /* to a prototype so far, squared; owned */
};

static void points_fini(struct points *points)
{
    free(points->at);
    free(points->labels);
    free(points->nearest);
}
#define cleanup_points __attribute__((cleanup(points_fini)))

static int embed_fitting(const struct embed *embed, const struct profile *profile, struct points *out,
                         struct err *err)
{
    const size_t count = count_of(embed, false);
    *out = (struct points){.at = mem_zalloc(count, sizeof *out->at),
                           .labels = mem_zalloc(count, sizeof *out->labels),
                           .nearest = mem_zalloc(count, sizeof *out->nearest)};
    if (!out->at || !out->labels || !out->nearest)
        return err_no_memory(err);
    for (size_t i = 0; i < embed->count; i++) {
        if (embed->held[i])
            continue;
        novelty_embed(profile, embed->values + i * embed->channels, 1, out->at[out->count]);
        out->nearest[out->count] = INFINITY;
        out->labels[out->count++] = embed->labels[i];
    }
    return 0;
}

static float apart(const int8_t a[PROFILE_DIMS], const int8_t b[PROFILE_DIMS])
{
    int32_t sum = 0;
    for (size_t d = 0; d < PROFILE_DIMS; d++)
        sum += (a[d] - b[d]) * (a[d] - b[d]);
    return (float)sum;
}

static void keep_point(struct points *points, size_t which, struct profile *profile)
{
    memcpy(profile->prototypes[profile->prototype_count], points->at[which], PROFILE_DIMS);
    profile->prototype_labels[profile->prototype_count++] = points->labels[which];
    for (size_t i = 0; i < points->count; i++)
        points->nearest[i] = fminf(points->nearest[i], apart(points->at[i], points->at[which]));
}

/* By chance, as likely as it is far from all that were taken. count: all lie on prototypes. */
static size_t draw(const struct points *points, uint64_t *state)
{
    double sum = 0;
    for (size_t i = 0; i < points->count; i++)
        sum += (double)points->nearest[i];
    if (sum <= 0)
        return points->count;
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    double left = (double)(*state >> 11) / 9007199254740992.0 * sum;
    size_t last = 0;
    for (size_t i = 0; i < points->count; i++) {
        if (points->nearest[i] <= 0)
            continue;
        last = i;
        left -= (double)points->nearest[i];
        if (left < 0)
            break;
    }
    return last;
}

static int fit_prototypes(const struct embed *embed, struct profile *profile, struct err *err)
{
    cleanup_points struct points points = {0};
    uint64_t state = 1;
    if (embed_fitting(embed, profile, &points, err) < 0)
        return -1;
    const size_t most = MIN(points.count, (size_t)PROFILE_MAX_PROTOTYPES);
    profile->prototypes = mem_zalloc(most, sizeof *profile->prototypes);
    profile->prototype_labels = mem_zalloc(most, sizeof *profile->prototype_labels);
    if (!profile->prototypes || !profile->prototype_labels)
        return err_no_memory(err);
    for (size_t which = 0; profile->prototype_count < most && which < points.count;
         which = draw(&points, &state))
        keep_point(&points, which, profile);
    return 0;
}

/* ---- distances ---- */

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Of each part the largest, so that a p-value is never smaller than that of all distances. */
static void thin(const float *sorted, size_t count, struct profile *profile)
{
    const size_t kept = MIN(count, (size_t)PROFILE_MAX_QUANTILES);
    for (size_t i = 0; i < kept; i++)
        profile->quantiles[i] = sorted[((i + 1) * count + kept - 1) / kept - 1];
    profile->quantile_count = (uint32_t)kept;
}

static int fit_distances(const struct embed *embed, struct profile *profile, struct err *err)
{
    cleanup_free float *distances = mem_zalloc(embed->count, sizeof *distances);
    size_t count = 0;
    profile->quantiles = mem_zalloc(PROFILE_MAX_QUANTILES, sizeof *profile->quantiles);
    if (!distances || !profile->quantiles)
        return err_no_memory(err);
    for (size_t i = 0; i < embed->count; i++) {
        int8_t point[PROFILE_DIMS];
        if (!embed->held[i])
            continue;
        novelty_embed(profile, embed->values + i * embed->channels, 1, point);
        distances[count++] = fmaxf(novelty_distance(profile, point, NULL), 0);
    }
    qsort(distances, count, sizeof *distances, by_value);
    thin(distances, count, profile);
    return 0;
}

int embed_fit(const struct embed *embed, const char *tap, struct profile *profile, struct err *err)
{
    const size_t fitting = count_of(embed, false), held = count_of(embed, true);
    if (fitting < EMBED_MIN_VECTORS || held < EMBED_MIN_VECTORS)
        return err_set(
            err, ERR_INVALID,
            "%zu candidates to learn from and %zu to try it on, of each %d are needed; take more frames "
            "with objects in them",
            fitting, held, EMBED_MIN_VECTORS);
    str_copy(profile->tap, sizeof profile->tap, tap);
    if (fit_projection(embed, profile, err) < 0 || fit_prototypes(embed, profile, err) < 0)
        return -1;
    return fit_distances(embed, profile, err);
}
