/* e-SR: M ← (M + 1)·e. One for each direction and size of shift, one for the shape; their weighted average is an e-detector again, whatever
 * depends on what. No e-value of one block is larger than log_cap allows (less than an e-value is one too), so that one block alone, a person in front of
 * the camera, raises no alarm. M itself stops a million times above the threshold: nothing overflows, and what ended is forgotten in a bounded time. */
#include "stats/drift/state.h"

#include <math.h>

const double evidence_sizes[SIZES] = {0.25, 0.5, 1, 2, 3.5}; /* in sd of a block mean */
static const double gauss[SIZES] = {0.9692332344763441, 0.8824969025845955, 0.6065306597126334,
                                    0.1353352832366127, 0.0021874911181828855}; /* exp(-size²/2) */
static const double DIRECTION_WEIGHT = 0.375, SHAPE_WEIGHT = 0.25;
static const double MOST_RUN = 1000;                    /* log */
static const double SHAPE_FADE = 0.92, SHAPE_PRIOR = 2; /* blocks */
/* Of a block. Real signals have heavier tails than normal ones: no single block is to prove much. */
static const double LEAST_Z = -20, MOST_Z = 4;

static double grow(const struct drift *drift, double m, double e)
{
    return fmin((m + 1) * e, drift->most_m);
}

double evidence_log10(double m)
{
    return m > 1e-99 ? log10(m) : -99;
}

/* ---- the mean ---- */

static void track_add(const struct drift *drift, struct track *track, double e, double log_e, double residual)
{
    if (track->run <= 0) {
        track->run = track->sum = 0;
        track->count = 0;
        track->since = (uint32_t)drift->blocks;
    }
    track->m = grow(drift, track->m, e);
    track->run = fmin(track->run + log_e, MOST_RUN);
    track->sum += residual;
    track->count++;
}

static double bounded(double z)
{
    return fmin(fmax(z, LEAST_Z), MOST_Z);
}

/* From one exp(): the sizes are whole multiples of the first. */
void evidence_values(double z, double out[SIZES])
{
    double step = exp(evidence_sizes[0] * bounded(z));
    double step2 = step * step, step4 = step2 * step2, step8 = step4 * step4;
    const double raised[SIZES] = {step, step2, step4, step8, step8 * step4 * step2};
    for (int i = 0; i < SIZES; i++)
        out[i] = raised[i] * gauss[i];
}

static void judge_direction(const struct drift *drift, struct channel *channel, int first, double z,
                            double residual)
{
    double e[SIZES];
    evidence_values(z, e);
    for (int i = 0; i < SIZES; i++) {
        double log_e = evidence_sizes[i] * bounded(z) - evidence_sizes[i] * evidence_sizes[i] / 2 +
                       channel->log_discount[first + i];
        track_add(drift, &channel->tracks[first + i],
                  fmin(e[i] * channel->discount[first + i], drift->most_e), fmin(log_e, drift->log_cap),
                  residual);
    }
}

static void judge_mean(const struct drift *drift, struct channel *channel, const struct null *null,
                       const struct block *block)
{
    double residual = block->mean - null->mean;
    double sd = null->sd * sqrt((double)drift->options.block_frames / block->frames);
    double up = (residual - null->tolerance) / sd, down = (-residual - null->tolerance) / sd;
    judge_direction(drift, channel, 0, up, residual);
    judge_direction(drift, channel, SIZES, down, residual);
    channel->recent.z[drift->blocks % RECENT_BLOCKS] = null->known ? (float)(residual / sd) : NAN;
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
        if (expected[i] <= 0)
            continue;
        double ratio = instead[i] / expected[i];
        sum += share[i] > 0 ? share[i] * log(ratio) : 0;
        low = fmin(low, ratio);
        high = fmax(high, ratio);
    }
    return sum - log1p(tolerance * (high - low));
}

static void judge_shape(const struct drift *drift, struct channel *channel, uint32_t context,
                        const struct block *block)
{
    struct shape *shape = &channel->shape;
    double expected[DRIFT_BINS], instead[DRIFT_BINS], moved;
    if (!learn_shares(drift, channel, context, expected, &moved))
        return;
    double independent = block->frames / shape_dispersion(channel);
    double tolerance = shape_tolerance(channel, context, independent) + moved;
    alternative(shape, expected, instead);
    double log_e = independent * shape_log_e(expected, instead, block->share, tolerance);
    log_e = fmin(fmax(log_e, -99), drift->log_cap);
    if (shape->run <= 0) {
        shape->run = 0;
        shape->since = (uint32_t)drift->blocks;
    }
    shape->m = grow(drift, shape->m, exp(log_e));
    shape->run = fmin(shape->run + log_e, MOST_RUN);
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

void evidence_recent_clear(struct channel *channel)
{
    for (int i = 0; i < RECENT_BLOCKS; i++)
        channel->recent.z[i] = NAN;
}

void evidence_clear(struct drift *drift)
{
    for (int i = 0; i < SIGNALS; i++) {
        struct channel *channel = &drift->channels[i];
        for (int k = 0; k < TRACKS; k++)
            channel->tracks[k] = (struct track){.since = (uint32_t)drift->blocks};
        struct shape *shape = &channel->shape;
        evidence_recent_clear(channel);
        shape->m = shape->run = shape->weight = 0;
        shape->since = (uint32_t)drift->blocks;
        for (int k = 0; k < DRIFT_BINS; k++)
            shape->excess[k] = 0;
    }
}

/* ---- recent blocks ---- */

uint32_t evidence_recent(const struct drift *drift, const struct channel *channel, uint32_t blocks,
                         double *out_sum)
{
    uint32_t count = 0;
    *out_sum = 0;
    for (uint32_t ago = 0; ago < blocks && ago < RECENT_BLOCKS && ago < drift->blocks; ago++) {
        float z = channel->recent.z[(drift->blocks - 1 - ago) % RECENT_BLOCKS];
        if (isfinite(z)) {
            *out_sum += (double)z;
            count++;
        }
    }
    return count;
}

/* ---- averages ---- */

static double direction_average(const struct track tracks[SIZES])
{
    double sum = 0;
    for (int i = 0; i < SIZES; i++)
        sum += tracks[i].m;
    return sum / SIZES;
}

double evidence_signal(const struct channel *channel)
{
    return DIRECTION_WEIGHT * direction_average(channel->tracks) +
           DIRECTION_WEIGHT * direction_average(channel->tracks + SIZES) + SHAPE_WEIGHT * channel->shape.m;
}

double evidence_total(const struct drift *drift)
{
    double sum = 0;
    for (int i = 0; i < SIGNALS; i++)
        if (drift->channels[i].watched)
            sum += drift->weight[i] * evidence_signal(&drift->channels[i]);
    return sum;
}

double evidence_family(const struct drift *drift, enum signal_family family)
{
    double sum = 0, count = 0;
    for (int i = 0; i < SIGNALS; i++)
        if (drift->channels[i].watched && signal_infos[i].family == family) {
            sum += evidence_signal(&drift->channels[i]);
            count++;
        }
    return count > 0 ? sum / count : 0;
}

/* ---- one signal ---- */

static const struct track *strongest(const struct track tracks[SIZES])
{
    const struct track *best = tracks;
    for (int i = 1; i < SIZES; i++)
        if (tracks[i].m > best->m)
            best = &tracks[i];
    return best;
}

void evidence_report(const struct drift *drift, enum signal signal, struct drift_signal_report *out,
                     uint32_t *out_since)
{
    const struct channel *channel = &drift->channels[signal];
    double up = direction_average(channel->tracks), down = direction_average(channel->tracks + SIZES);
    const struct track *best = strongest(channel->tracks + (up >= down ? 0 : SIZES));
    double mean = fmax(up, down) * DIRECTION_WEIGHT, shape = channel->shape.m * SHAPE_WEIGHT;
    *out_since = (uint32_t)drift->blocks;
    *out = (struct drift_signal_report){
        .log10_e = evidence_log10(fmax(mean, shape)), .mean = NAN, .expected = NAN};
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

enum signal evidence_worst(const struct drift *drift, uint32_t *out_since)
{
    struct drift_signal_report report;
    enum signal worst = 0;
    double most = -1;
    *out_since = (uint32_t)drift->blocks;
    for (int i = 0; i < SIGNALS; i++) {
        double share = drift->weight[i] * evidence_signal(&drift->channels[i]);
        if (!drift->channels[i].watched || share <= most)
            continue;
        most = share;
        worst = (enum signal)i;
        evidence_report(drift, worst, &report, out_since);
    }
    return worst;
}
