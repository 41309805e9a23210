/* e-SR: M ← (M + 1)·e, in logs. One for each direction and size of shift, one for the shape; their weighted average is an e-detector again, whatever
 * depends on what. No e-value of one block is larger than log_cap allows (less than an e-value is one too), so that one block alone, a person in front of
 * the camera, raises no alarm. */
#include "stats/drift/state.h"

#include <math.h>

static const double sizes[SIZES] = {0.25, 0.5, 1, 2, 3.5}; /* in sd of a block mean */
static const double DIRECTION_WEIGHT = 0.375, SHAPE_WEIGHT = 0.25;
static const double SHAPE_FADE = 0.92, SHAPE_PRIOR = 2; /* blocks */
static const double MOST_BEYOND = 14; /* log: evidence stops growing a million times above the threshold */
static const double MOST_Z = 20;

double evidence_log_add(double a, double b)
{
    double high = fmax(a, b), low = fmin(a, b);
    return low - high > -40 ? high + log1p(exp(low - high)) : high;
}

static double limit(const struct drift *drift, double log_e)
{
    return fmin(log_e, drift->log_cap);
}

static double grow(const struct drift *drift, double log_m, double log_e)
{
    return fmin(evidence_log_add(log_m, 0) + log_e, drift->log_arl + MOST_BEYOND);
}

/* ---- the mean ---- */

static void track_add(const struct drift *drift, struct track *track, double log_e, double residual)
{
    if (track->run <= 0) {
        track->run = track->sum = 0;
        track->count = 0;
        track->since = (uint32_t)drift->blocks;
    }
    track->log_m = grow(drift, track->log_m, log_e);
    track->run = fmin(track->run + log_e, drift->log_arl + MOST_BEYOND);
    track->sum += residual;
    track->count++;
}

static void judge_mean(const struct drift *drift, struct channel *channel, const struct null *null,
                       const struct block *block)
{
    double residual = block->mean - null->mean;
    double sd = null->sd * sqrt((double)drift->options.block_frames / block->frames);
    for (int i = 0; i < TRACKS; i++) {
        double sign = i < SIZES ? 1 : -1, size = sizes[i % SIZES];
        double z = fmin(fmax((sign * residual - null->tolerance) / sd, -MOST_Z), MOST_Z);
        track_add(drift, &channel->tracks[i], limit(drift, size * z - size * size / 2), residual);
    }
}

/* ---- the shape ---- */

/* So many frames of a block are worth one that is independent of the others: from memory, and from how counts were scattered in burn-in. */
static double shape_dispersion(const struct channel *channel)
{
    const double prior = 8;
    const struct shape *shape = &channel->shape;
    double sum = prior * channel->reference.memory + shape->dispersion;
    return fmax(sum / (prior + shape->dispersion_count), 1) * channel->inflation;
}

/* Total variation by which the shares may differ without drift. */
static double shape_tolerance(const struct channel *channel, uint32_t context, double independent)
{
    double wander = 0.4 * channel->reference.tolerance / channel->reference.sd;
    uint32_t learned = channel->learned[context].blocks;
    return wander + (learned ? 1.1 / sqrt(learned * independent) : 0);
}

/* What recent blocks say instead of the expected shares; from the past alone. */
static void alternative(const struct shape *shape, const double expected[DRIFT_BINS], double out[DRIFT_BINS])
{
    double sum = 0;
    for (int i = 0; i < DRIFT_BINS; i++) {
        out[i] = fmax(expected[i] + shape->excess[i] / (shape->weight + SHAPE_PRIOR), expected[i] / 4);
        sum += out[i];
    }
    for (int i = 0; i < DRIFT_BINS; i++)
        out[i] /= sum;
}

/* Per independent frame: the likelihood ratio, over the most that its mean may be within the tolerance. */
static double shape_log_e(const double expected[DRIFT_BINS], const double instead[DRIFT_BINS],
                          const double share[DRIFT_BINS], double tolerance)
{
    double sum = 0, low = INFINITY, high = 0;
    for (int i = 0; i < DRIFT_BINS; i++) {
        double ratio = instead[i] / expected[i];
        sum += share[i] * log(ratio);
        low = fmin(low, ratio);
        high = fmax(high, ratio);
    }
    return sum - log1p(tolerance * (high - low));
}

static void judge_shape(const struct drift *drift, struct channel *channel, uint32_t context,
                        const struct block *block)
{
    struct shape *shape = &channel->shape;
    double expected[DRIFT_BINS], instead[DRIFT_BINS];
    if (!learn_shares(drift, channel, context, expected))
        return;
    double independent = block->frames / shape_dispersion(channel);
    double tolerance = shape_tolerance(channel, context, independent);
    alternative(shape, expected, instead);
    double log_e =
        fmax(limit(drift, independent * shape_log_e(expected, instead, block->share, tolerance)), -99);
    if (shape->run <= 0) {
        shape->run = 0;
        shape->since = (uint32_t)drift->blocks;
    }
    shape->log_m = grow(drift, shape->log_m, log_e);
    shape->run = fmin(shape->run + log_e, drift->log_arl + MOST_BEYOND);
    shape->weight = SHAPE_FADE * shape->weight + 1;
    for (int i = 0; i < DRIFT_BINS; i++)
        shape->excess[i] = SHAPE_FADE * shape->excess[i] + block->share[i] - expected[i];
}

void evidence_judge(const struct drift *drift, struct channel *channel, uint32_t context,
                    const struct block *block)
{
    judge_mean(drift, channel, &channel->null[context], block);
    judge_shape(drift, channel, context, block);
}

void evidence_clear(struct drift *drift)
{
    for (int i = 0; i < SIGNALS; i++) {
        struct channel *channel = &drift->channels[i];
        for (int k = 0; k < TRACKS; k++)
            channel->tracks[k] = (struct track){.log_m = -INFINITY, .since = (uint32_t)drift->blocks};
        struct shape *shape = &channel->shape;
        shape->log_m = -INFINITY;
        shape->run = shape->weight = 0;
        shape->since = (uint32_t)drift->blocks;
        for (int k = 0; k < DRIFT_BINS; k++)
            shape->excess[k] = 0;
    }
}

/* ---- averages ---- */

static double direction_average(const struct track tracks[SIZES])
{
    double sum = -INFINITY;
    for (int i = 0; i < SIZES; i++)
        sum = evidence_log_add(sum, tracks[i].log_m);
    return sum - log(SIZES);
}

double evidence_signal(const struct channel *channel)
{
    double up = direction_average(channel->tracks), down = direction_average(channel->tracks + SIZES);
    double mean = evidence_log_add(up, down) + log(DIRECTION_WEIGHT);
    return evidence_log_add(mean, channel->shape.log_m + log(SHAPE_WEIGHT));
}

double evidence_total(const struct drift *drift)
{
    double sum = -INFINITY;
    for (int i = 0; i < SIGNALS; i++)
        if (drift->channels[i].watched)
            sum = evidence_log_add(sum, evidence_signal(&drift->channels[i]) + log(drift->weight[i]));
    return sum;
}

double evidence_family(const struct drift *drift, enum signal_family family)
{
    double sum = -INFINITY, count = 0;
    for (int i = 0; i < SIGNALS; i++)
        if (drift->channels[i].watched && signal_infos[i].family == family) {
            sum = evidence_log_add(sum, evidence_signal(&drift->channels[i]));
            count++;
        }
    return count > 0 ? sum - log(count) : -INFINITY;
}

/* ---- one signal ---- */

static const struct track *strongest(const struct track tracks[SIZES])
{
    const struct track *best = tracks;
    for (int i = 1; i < SIZES; i++)
        if (tracks[i].log_m > best->log_m)
            best = &tracks[i];
    return best;
}

void evidence_report(const struct drift *drift, enum signal signal, struct drift_signal_report *out,
                     uint32_t *out_since)
{
    const struct channel *channel = &drift->channels[signal];
    double up = direction_average(channel->tracks), down = direction_average(channel->tracks + SIZES);
    const struct track *best = strongest(channel->tracks + (up >= down ? 0 : SIZES));
    double mean = fmax(up, down) + log(DIRECTION_WEIGHT), shape = channel->shape.log_m + log(SHAPE_WEIGHT);
    *out_since = (uint32_t)drift->blocks;
    *out = (struct drift_signal_report){.log10_e = fmax(fmax(mean, shape) / M_LN10, -99)};
    if (!channel->watched)
        return;
    out->direction = shape > mean ? 0 : up >= down ? 1 : -1;
    out->expected = channel->null[drift->last_context].mean;
    out->mean = out->expected + (best->count ? best->sum / best->count : 0);
    out->shift = (out->mean - out->expected) / channel->reference.sd;
    double run = shape > mean ? channel->shape.run : best->run;
    if (run > 0)
        *out_since = shape > mean ? channel->shape.since : best->since;
}
