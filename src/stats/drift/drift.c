/* What is assumed. An e-value of a block is exp(λ·z - λ²/2) of its standardized residual z, less the tolerance: its mean is at most 1 for every mean
 * within the tolerance if block means are normal, or lighter in their tails, given the past, and vary no more than they did in burn-in. Blocks that are
 * long against the signal's memory make it so, nearly; what remains of memory between blocks is measured in burn-in and inflates the variance (learn.c).
 * No theorem holds on a camera: bench-drift measures what comes of it. */
#include "stats/drift/state.h"

#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static_assert(sizeof(struct drift) <= DRIFT_STATE_MAX, "the state is too big");

enum { BLOCK_LEAST = 50, BLOCK_MOST = 1 << 20, BLOCK_MEMORIES = 4 };
static const double WINSOR_SD = 12; /* a single frame counts for no more */
static const double SITE_SD = 0.5, CONTEXT_SD = 2;
static const double ONE_BLOCK = 0.75;  /* the share of the threshold, in logs, that one block may bring */
static const double MOST_BEYOND = 1e6; /* evidence stops growing so far above the threshold */
static const double family_weights[FAMILIES] = {
    [FAMILY_SENSOR] = 3, [FAMILY_RESULT] = 4, [FAMILY_NOVELTY] = 2, [FAMILY_MACHINE] = 1};

double drift_budget(double alarms, double robots, double days, double block_s)
{
    double blocks = robots * days * 86400 / block_s;
    return fmax(blocks / alarms, 1);
}

size_t drift_size(void)
{
    return sizeof(struct drift);
}

/* ---- beginning ---- */

static int check_reference(const struct drift_reference *reference, enum signal signal, struct err *err)
{
    const char *name = signal_infos[signal].name;
    if (!(reference->sd >= 0) || reference->sd > 1e30)
        return err_set(err, ERR_INVALID, "reference of %s: sd is no number from 0; make the profile again",
                       name);
    if (reference->sd <= 0)
        return 0;
    bool fine = fabs(reference->mean) < 1e30 && reference->tolerance >= 0 && reference->tolerance < 1e30 &&
                reference->memory >= 0 && reference->memory < 1e9;
    for (int i = 0; i < DRIFT_BINS - 1; i++)
        fine = fine && fabsf(reference->edges[i]) < 1e30F &&
               (i == 0 || reference->edges[i] >= reference->edges[i - 1]);
    return fine ? 0
                : err_set(err, ERR_INVALID,
                          "reference of %s: not finite, or edges that do not ascend; make the profile again",
                          name);
}

static int take_options(struct drift *drift, const struct drift_options *options, struct err *err)
{
    struct drift_options *own = &drift->options;
    *own = *options;
    own->contexts = own->contexts ? own->contexts : 1;
    if (own->contexts > DRIFT_CONTEXTS)
        return err_set(err, ERR_INVALID, "%u contexts; at most %d", own->contexts, DRIFT_CONTEXTS);
    if (!(own->arl_blocks >= 1) || own->arl_blocks > 1e30)
        return err_set(err, ERR_INVALID, "a false alarm in %g blocks is no budget; see drift_budget",
                       own->arl_blocks);
    if (!(own->site_sd >= 0 && own->site_sd <= 100 && own->context_sd >= 0 && own->context_sd <= 100))
        return err_set(err, ERR_INVALID, "site_sd and context_sd are from 0 to 100");
    own->site_sd = own->site_sd > 0 ? own->site_sd : SITE_SD;
    own->context_sd = own->context_sd > 0 ? own->context_sd : CONTEXT_SD;
    drift->log_cap = ONE_BLOCK * log(own->arl_blocks);
    drift->most_e = exp(drift->log_cap);
    drift->most_m = own->arl_blocks * MOST_BEYOND;
    return 0;
}

static void take_references(struct drift *drift, const struct drift_reference references[SIGNALS])
{
    double memory = 1;
    for (int i = 0; i < SIGNALS; i++) {
        struct channel *channel = &drift->channels[i];
        channel->reference = references[i];
        channel->watched = references[i].sd > 0;
        channel->continuous = true;
        for (int k = 1; k < DRIFT_BINS - 1; k++)
            channel->continuous &= references[i].edges[k] > references[i].edges[k - 1];
        channel->reference.memory = fmax(references[i].memory, 1);
        if (channel->watched)
            memory = fmax(memory, channel->reference.memory);
    }
    if (!drift->options.block_frames)
        drift->options.block_frames =
            (uint32_t)fmin(fmax(BLOCK_LEAST, ceil(BLOCK_MEMORIES * memory)), BLOCK_MOST);
}

/* Families share as their weights say, signals within a family equally. */
static void share_weights(struct drift *drift)
{
    double count[FAMILIES] = {0}, total = 0;
    for (int i = 0; i < SIGNALS; i++)
        count[signal_infos[i].family] += drift->channels[i].watched;
    for (int i = 0; i < FAMILIES; i++)
        total += count[i] > 0 ? family_weights[i] : 0;
    for (int i = 0; i < SIGNALS; i++) {
        enum signal_family family = signal_infos[i].family;
        drift->weight[i] = drift->channels[i].watched ? family_weights[family] / count[family] / total : 0;
    }
}

/* FNV-1a of every number that was given, so that a state is not taken for another's. */
static void print_add(uint64_t *print, const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        *print = (*print ^ ((const uint8_t *)data)[i]) * 0x100000001b3U;
}

static uint64_t print_of(const struct drift *drift)
{
    uint64_t print = 0xcbf29ce484222325U;
    const struct drift_options *options = &drift->options;
    print_add(&print, &options->block_frames, sizeof options->block_frames);
    print_add(&print, &options->contexts, sizeof options->contexts);
    print_add(&print, &options->burn_in, sizeof options->burn_in);
    print_add(&print, &options->arl_blocks, sizeof options->arl_blocks);
    print_add(&print, &options->site_sd, sizeof options->site_sd);
    print_add(&print, &options->context_sd, sizeof options->context_sd);
    for (int i = 0; i < SIGNALS; i++) {
        const struct drift_reference *reference = &drift->channels[i].reference;
        if (!drift->channels[i].watched)
            continue;
        print_add(&print, &i, sizeof i);
        print_add(&print, &reference->mean, sizeof reference->mean);
        print_add(&print, &reference->sd, sizeof reference->sd);
        print_add(&print, &reference->tolerance, sizeof reference->tolerance);
        print_add(&print, &reference->memory, sizeof reference->memory);
        print_add(&print, reference->edges, sizeof reference->edges);
    }
    return print;
}

int drift_init(void *memory, const struct drift_reference references[SIGNALS],
               const struct drift_options *options, struct drift **out, struct err *err)
{
    struct drift *drift = memory;
    memset(drift, 0, sizeof *drift);
    if (take_options(drift, options, err) < 0)
        return -1;
    for (int i = 0; i < SIGNALS; i++)
        if (check_reference(&references[i], (enum signal)i, err) < 0)
            return -1;
    take_references(drift, references);
    share_weights(drift);
    drift->print = print_of(drift);
    drift->cycle = drift->options.burn_in == 0;
    evidence_clear(drift);
    for (int i = 0; i < SIGNALS; i++)
        learn_settle(drift, &drift->channels[i]);
    *out = drift;
    return 0;
}

/* ---- frames and blocks ---- */

static void add_value(struct channel *channel, float value)
{
    const struct drift_reference *reference = &channel->reference;
    double reach = WINSOR_SD * reference->sd;
    channel->sum += fmin(fmax(value, reference->mean - reach), reference->mean + reach);
    channel->frames++;
    int bin = 0;
    for (int i = 0; i < DRIFT_BINS - 1; i++)
        bin += value > reference->edges[i];
    channel->bins[bin]++;
}

static void close_channel(struct drift *drift, struct channel *channel)
{
    struct block block = {.frames = channel->frames};
    channel->recent.z[drift->blocks % RECENT_BLOCKS] = NAN;
    if (block.frames && block.frames >= drift->options.block_frames / 4) {
        block.mean = channel->sum / block.frames;
        for (int i = 0; i < DRIFT_BINS; i++)
            block.share[i] = (double)channel->bins[i] / block.frames;
        evidence_judge(drift, channel, drift->context, &block);
        learn_block(drift, channel, drift->context, &block);
    }
    channel->sum = 0;
    channel->frames = 0;
    memset(channel->bins, 0, sizeof channel->bins);
}

static void close_block(struct drift *drift)
{
    learn_cycle(drift, drift->context);
    for (int i = 0; i < SIGNALS; i++)
        if (drift->channels[i].watched)
            close_channel(drift, &drift->channels[i]);
    drift->last_context = drift->context;
    drift->open_frames = 0;
    drift->blocks++;
    drift->alarm = drift->alarm || evidence_total(drift) >= drift->options.arl_blocks;
    if (!drift->alarm)
        return;
    bool results_moved;
    enum drift_cause cause = triage(drift, &results_moved);
    if (cause == DRIFT_NONE)
        return;
    drift->cause = cause;
    drift->results_moved = results_moved;
}

bool drift_frame(struct drift *drift, const float values[SIGNALS], uint32_t context)
{
    if (!drift->open_frames)
        drift->context = MIN(context, drift->options.contexts - 1);
    for (int i = 0; i < SIGNALS; i++) {
        struct channel *channel = &drift->channels[i];
        if (!channel->watched)
            continue;
        if (isfinite(values[i]))
            add_value(channel, values[i]);
        else
            drift->ignored++;
    }
    if (++drift->open_frames < drift->options.block_frames)
        return false;
    close_block(drift);
    return true;
}

void drift_acknowledge(struct drift *drift)
{
    evidence_clear(drift);
    drift->alarm = drift->results_moved = false;
    drift->cause = DRIFT_NONE;
}

uint64_t drift_ignored(const struct drift *drift)
{
    return drift->ignored;
}

/* ---- what came of it ---- */

void drift_read(const struct drift *drift, struct drift_report *out)
{
    *out = (struct drift_report){.blocks = drift->blocks,
                                 .log10_e = evidence_log10(evidence_total(drift)),
                                 .alarm = drift->alarm,
                                 .learning = drift->seen[drift->last_context] < drift->options.burn_in,
                                 .cause = drift->alarm ? drift->cause : DRIFT_NONE,
                                 .results_moved = drift->alarm && drift->results_moved};
    for (int i = 0; i < FAMILIES; i++)
        out->log10_family[i] = evidence_log10(evidence_family(drift, (enum signal_family)i));
    uint32_t since;
    for (int i = 0; i < SIGNALS; i++)
        evidence_report(drift, (enum signal)i, &out->signals[i], &since);
    out->worst = evidence_worst(drift, &since);
    out->since_blocks = (uint32_t)drift->blocks - since;
}
