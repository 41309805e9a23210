/* Burn-in: what is usual here, in each context. Every number that is learned is bounded by the reference, so that an error that was there from the first
 * day stays drift:
 *
 *     deviation of a context from the reference, shrunk by what chance would make of it (James and Stein),
 *     at most site_sd + context_sd, and its mean over contexts at most site_sd
 *
 * Null replay: had the blocks of burn-in been independent, sums of 2, 4, 8 and 16 residuals in a row would vary 2, 4, 8 and 16 times as much as one. By
 * what they vary more, the variance is inflated. And the e-values that these blocks would have had are averaged (in the second half, when mean and variance
 * are about right): where the average is above 1 because the tails are heavier than normal ones, e-values are divided by it. */
#include "stats/drift/state.h"

#include "base/mem.h"

#include <math.h>

enum { PRIOR_BLOCKS = 8, POOL_BLOCKS = 16, REPLAY_LEAST = 16, SHARES_LEAST = 8 };
static const double LEAST_SHARE = 0.005;

/* Of the mean of a whole block, if the signal's memory is that of an autoregression. */
static double reference_variance(const struct drift *drift, const struct channel *channel)
{
    double n = drift->options.block_frames, memory = channel->reference.memory;
    double phi = (memory - 1) / (memory + 1);
    double factor = memory - 2 * phi * (1 - pow(phi, n)) / (n * (1 - phi) * (1 - phi));
    return channel->reference.sd * channel->reference.sd / n * fmax(factor, 1 / n);
}

bool learn_known(const struct drift *drift, const struct channel *channel, uint32_t context)
{
    return channel->learned[context].blocks >= drift->options.burn_in;
}

/* ---- null replay ---- */

static void replay_add(struct replay *replay, double residual)
{
    double sum = residual;
    for (int level = 0; level < REPLAY_LEVELS; level++) {
        replay->count[level]++;
        replay->squares[level] += sum * sum;
        if (!(replay->waiting >> level & 1)) {
            replay->half[level] = sum;
            replay->waiting |= 1U << level;
            return;
        }
        sum += replay->half[level];
        replay->waiting &= ~(1U << level);
    }
}

/* Less one standard error each: the largest of several estimates is large by chance alone. */
static double replay_inflation(const struct replay *replay)
{
    double most = 1, single = replay->count[0] ? replay->squares[0] / replay->count[0] : 0;
    for (int level = 1; level < REPLAY_LEVELS && single > 0; level++) {
        double count = replay->count[level];
        if (count < REPLAY_LEAST)
            break;
        double ratio = replay->squares[level] / count / (double)(1U << level) / single;
        most = fmax(most, ratio * (1 - sqrt(2 / count)));
    }
    return fmin(most, 1U << (REPLAY_LEVELS - 1));
}

/* ---- what is expected ---- */

/* All contexts together, with the reference as some blocks' worth of knowledge. */
static double pooled_variance(const struct drift *drift, const struct channel *channel, double prior)
{
    double squares = PRIOR_BLOCKS * prior, count = PRIOR_BLOCKS;
    for (uint32_t i = 0; i < drift->options.contexts; i++) {
        squares += channel->learned[i].m2;
        count += channel->learned[i].blocks ? channel->learned[i].blocks - 1 : 0;
    }
    return squares / count;
}

static double context_variance(const struct learned *learned, double pooled, double prior)
{
    double count = POOL_BLOCKS + (learned->blocks ? learned->blocks - 1 : 0);
    double variance = (POOL_BLOCKS * pooled + learned->m2) / count;
    return fmax(variance * (1 + sqrt(0.5 / count)), prior / 16); /* half a standard error more */
}

/* The share of the contexts' deviations that is not chance. */
static double shrinkage(const struct drift *drift, const struct channel *channel, double variance)
{
    double squares = 0, chance = 0;
    for (uint32_t i = 0; i < drift->options.contexts; i++) {
        const struct learned *learned = &channel->learned[i];
        if (!learned->blocks || !learn_known(drift, channel, i))
            continue;
        double deviation = learned->mean - channel->reference.mean;
        squares += deviation * deviation;
        chance += variance / learned->blocks;
    }
    return squares > chance ? 1 - chance / squares : 0;
}

static double within(double value, double limit)
{
    return fmin(fmax(value, -limit), limit);
}

static void settle_context(const struct drift *drift, const struct channel *channel, uint32_t context,
                           double pooled, double shrink, struct null *out)
{
    const struct drift_reference *reference = &channel->reference;
    const struct learned *learned = &channel->learned[context];
    double prior = reference_variance(drift, channel);
    double reach = (drift->options.site_sd + drift->options.context_sd) * reference->sd;
    *out = (struct null){.mean = reference->mean, .sd = sqrt(prior), .tolerance = reference->tolerance};
    out->known = learn_known(drift, channel, context);
    if (!drift->options.burn_in)
        return;
    if (!out->known) {
        out->sd = sqrt(fmax(prior, pooled) * channel->inflation);
        out->tolerance += reach;
        return;
    }
    double variance = context_variance(learned, pooled, prior) * channel->inflation;
    out->sd = sqrt(variance);
    out->mean += shrink * within(learned->mean - reference->mean, reach);
    out->tolerance =
        sqrt(reference->tolerance * reference->tolerance + 4 * shrink * variance / learned->blocks);
}

/* The mean over contexts may lie no farther from the reference than a site's may. */
static void hold_site(const struct drift *drift, struct channel *channel)
{
    double sum = 0, count = 0;
    for (uint32_t i = 0; i < drift->options.contexts; i++)
        if (channel->null[i].known) {
            sum += channel->null[i].mean - channel->reference.mean;
            count++;
        }
    double mean = count > 0 ? sum / count : 0;
    double excess = mean - within(mean, drift->options.site_sd * channel->reference.sd);
    for (uint32_t i = 0; i < drift->options.contexts; i++)
        if (channel->null[i].known)
            channel->null[i].mean -= excess;
}

/* Tails that were seen. Prior: 8 blocks of a normal one. */
static void replay_tails(const struct drift *drift, struct channel *channel, const struct learned *learned,
                         double residual)
{
    double n = learned->blocks, prior = reference_variance(drift, channel);
    double variance = pooled_variance(drift, channel, prior) * channel->inflation;
    double z = residual * sqrt(n / (n + 1)) / sqrt(fmax(variance, prior / 16)), up[SIZES], down[SIZES];
    evidence_values(z, up);
    evidence_values(-z, down);
    for (int i = 0; i < SIZES; i++) {
        channel->tails.sum[i] += up[i];
        channel->tails.sum[SIZES + i] += down[i];
    }
    channel->tails.count++;
}

/* Less one standard error of normal blocks, and at most a tenth: chance alone costs no power. */
static void settle_tails(struct channel *channel)
{
    double count = PRIOR_BLOCKS + (double)channel->tails.count;
    for (int i = 0; i < TRACKS; i++) {
        double size = evidence_sizes[i % SIZES], chance = sqrt(expm1(size * size) / count);
        double mean = (PRIOR_BLOCKS + channel->tails.sum[i]) / count;
        channel->discount[i] = 1 / fmax(mean - fmin(chance, 0.1), 1);
        channel->log_discount[i] = log(channel->discount[i]);
    }
}

void learn_settle(const struct drift *drift, struct channel *channel)
{
    if (!channel->watched)
        return;
    channel->inflation = replay_inflation(&channel->replay);
    settle_tails(channel);
    double pooled = pooled_variance(drift, channel, reference_variance(drift, channel));
    double shrink = shrinkage(drift, channel, pooled * channel->inflation);
    for (uint32_t i = 0; i < drift->options.contexts; i++)
        settle_context(drift, channel, i, pooled, shrink, &channel->null[i]);
    if (drift->cycle && drift->options.burn_in)
        hold_site(drift, channel);
}

/* ---- learning ---- */

/* Pearson's statistic per degree of freedom: of a signal that has two values there is one. */
static void learn_dispersion(struct channel *channel, const struct learned *learned,
                             const struct block *block)
{
    double sum = 0;
    int bins = 0;
    for (int i = 0; i < DRIFT_BINS; i++) {
        double expected = fmax(learned->share[i], LEAST_SHARE), more = block->share[i] - expected;
        if (learned->share[i] <= 0 && block->share[i] <= 0)
            continue;
        sum += more * more / expected;
        bins++;
    }
    channel->shape.dispersion += sum * block->frames / MAX(bins - 1, 1) / (1 + 1.0 / learned->blocks);
    channel->shape.dispersion_count++;
}

void learn_block(struct drift *drift, struct channel *channel, uint32_t context, const struct block *block)
{
    struct learned *learned = &channel->learned[context];
    if (learn_known(drift, channel, context))
        return;
    double before = learned->blocks, residual = block->mean - learned->mean;
    if (learned->blocks) {
        double sd = sqrt(reference_variance(drift, channel));
        replay_add(&channel->replay, residual * sqrt(before / (before + 1)) / sd);
        if (learned->blocks >= drift->options.burn_in / 2)
            replay_tails(drift, channel, learned, residual);
    }
    if (learned->blocks >= SHARES_LEAST)
        learn_dispersion(channel, learned, block);
    learned->blocks++;
    learned->mean += residual / learned->blocks;
    learned->m2 += residual * (block->mean - learned->mean);
    for (int i = 0; i < DRIFT_BINS; i++)
        learned->share[i] += (float)((block->share[i] - (double)learned->share[i]) / learned->blocks);
    learn_settle(drift, channel);
}

void learn_cycle(struct drift *drift, uint32_t context)
{
    uint32_t burn_in = drift->options.burn_in;
    bool first = drift->seen[context] < burn_in;
    bool changed = drift->options.contexts == 1 || (drift->blocks && context != drift->last_context);
    if (drift->seen[context] < UINT32_MAX)
        drift->seen[context]++;
    if (drift->cycle || first || !changed)
        return;
    for (uint32_t i = 0; i < drift->options.contexts; i++)
        if (drift->seen[i] && drift->seen[i] < burn_in)
            return;
    drift->cycle = true;
    for (int i = 0; i < SIGNALS; i++)
        learn_settle(drift, &drift->channels[i]);
}

/* Of equal edges only the first and the last bin can hold anything: a signal with two values has two. */
static bool bin_exists(const struct channel *channel, int bin)
{
    const float *edges = channel->reference.edges;
    return bin == 0 || bin == DRIFT_BINS - 1 || edges[bin] > edges[bin - 1];
}

bool learn_shares(const struct drift *drift, const struct channel *channel, uint32_t context,
                  double out[DRIFT_BINS], double *out_moved)
{
    const struct learned *learned = &channel->learned[context];
    if (!learn_known(drift, channel, context) || (!learned->blocks && !channel->continuous))
        return false;
    double prior = channel->continuous ? PRIOR_BLOCKS / 2.0 : 0, sum = 0;
    for (int i = 0; i < DRIFT_BINS; i++) {
        double share = prior / DRIFT_BINS + learned->blocks * (double)learned->share[i];
        out[i] = bin_exists(channel, i) ? fmax(share / (prior + learned->blocks), LEAST_SHARE) : 0;
        sum += out[i];
    }
    *out_moved = 0;
    for (int i = 0; i < DRIFT_BINS; i++) {
        out[i] /= sum;
        *out_moved += learned->blocks ? fabs(out[i] - (double)learned->share[i]) / 2 : 0;
    }
    return true;
}
