/* In which order the channels of a group would go, and what that costs. */
#include "forge/prune/prune_inside.h"
#include "forge/prune/select.h"

#include "stats/linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RIDGE 1e-4 /* of the mean diagonal */
/* More, times inputs per column: where columns are few, anything seems to be a mixture of the rest. */
#define RIDGE_FEW 0.03
enum { HESSIANS_MAX_BYTES = 32 << 20, RANK_COLUMNS = 4, RANK_COLUMNS_LEAST = 1024, RANK_SAMPLES_LEAST = 32 };

/* ---- by second order ---- */

/* The consumer's weights in the order of `rows`; `as` is how it is looked at. */
static double *weights_of(struct pruner *pruner, const struct consumer *consumer, const struct consumer *as,
                          const struct rows *rows, struct err *err)
{
    cleanup_free double *all = mem_zalloc(consumer->n * consumer->m, sizeof *all);
    cleanup_free double *bias = mem_zalloc(consumer->m, sizeof *bias);
    double *picked = mem_zalloc(rows->count * as->m, sizeof *picked);
    if (!all || !bias || !picked) {
        err_no_memory(err);
    } else if (consumer_read(pruner->graph, consumer, all, bias, err) == 0) {
        for (size_t i = 0; i < rows->count; i++)
            memcpy(picked + i * as->m, all + rows->rows[i] * as->m, as->m * sizeof *picked);
        return picked;
    }
    free(picked);
    return NULL;
}

/* tr(W' G W): what a consumer says that is looked at pointwise, its kernel positions each for itself. */
static double energy_of(const struct moments *moments, const double *w, size_t m)
{
    double energy = 0;
    for (size_t i = 0; i < moments->n; i++)
        for (size_t j = 0; j < moments->n; j++) {
            double product = 0;
            for (size_t o = 0; o < m; o++)
                product += w[i * m + o] * w[j * m + o];
            energy += product * moments->g[i * moments->n + j];
        }
    return energy;
}

/* To choose, fewer columns will do than to rebuild. */
static size_t enough_samples(const struct consumer *consumer)
{
    size_t columns = MAX((size_t)RANK_COLUMNS * consumer->n, (size_t)RANK_COLUMNS_LEAST);
    return MAX(columns / consumer->count + 1, (size_t)RANK_SAMPLES_LEAST);
}

static int term_of(struct pruner *pruner, const struct consumer *consumer, const struct consumer *as,
                   const char *model_path, const struct rows *rows, struct select_term *out, struct err *err)
{
    cleanup_moments struct moments moments = {0};
    struct feed feed = pruner->feed;
    feed.samples_wanted = enough_samples(as);
    if (consumer != as)
        feed.targets = -1; /* they are of other positions */
    *out = (struct select_term){.n = rows->count, .m = as->m, .first = rows->first, .size = rows->size};
    out->w = weights_of(pruner, consumer, as, rows, err);
    if (!out->w ||
        moments_of(&feed, MOMENTS_INPUT, model_path, as, rows->rows, rows->count, &moments, err) < 0)
        return -1;
    double energy = consumer != as ? energy_of(&moments, out->w, out->m) : moments.energy;
    double few = RIDGE_FEW * (double)moments.n / (double)moments.columns;
    double ridge = (RIDGE + few) * linear_mean_diagonal(moments.g, moments.n);
    for (size_t i = 0; i < moments.n; i++)
        moments.g[i * moments.n + i] += ridge > 0 ? ridge : 1;
    if (!linear_invert(moments.g, moments.n))
        return err_set(err, ERR_INVALID, "%s: its input is not finite", consumer->node);
    out->scale = energy > 0 ? 1 / energy : 0;
    out->h = TAKE_PTR(moments.g);
    return 0;
}

/* All inverse Hessians of a group are in memory at once. */
static bool too_wide(const struct part *part)
{
    size_t bytes = 0;
    for (size_t i = 0; i < part->group->consumer_count; i++)
        bytes += part->consumers[i].n * part->consumers[i].n * sizeof(double);
    return bytes > HESSIANS_MAX_BYTES;
}

struct terms {
    size_t count;
    struct select_term *terms;
    struct rows *rows;
};

static void terms_fini(struct terms *terms)
{
    for (size_t i = 0; i < terms->count; i++) {
        free(terms->terms[i].h);
        free(terms->terms[i].w);
        rows_fini(&terms->rows[i]);
    }
    free(terms->terms);
    free(terms->rows);
}

static int rank_second_order(struct pruner *pruner, struct part *part, size_t count, const char *model_path,
                             struct err *err)
{
    size_t consumers = part->group->consumer_count;
    __attribute__((cleanup(terms_fini))) struct terms terms = {
        .terms = mem_zalloc(consumers, sizeof(struct select_term)),
        .rows = mem_zalloc(consumers, sizeof(struct rows))};
    if (!terms.terms || !terms.rows)
        return err_no_memory(err);
    bool wide = too_wide(part);
    for (size_t i = 0; i < consumers; i++) {
        const struct consumer *consumer = &part->consumers[i];
        struct consumer pointwise = consumer_pointwise(consumer, samples_calibrate(pruner->feed.samples));
        const struct consumer *as = wide ? &pointwise : consumer;
        terms.count = i + 1;
        if (rows_of(pruner, part, as, &terms.rows[i], err) < 0 ||
            term_of(pruner, consumer, as, model_path, &terms.rows[i], &terms.terms[i], err) < 0)
            return -1;
    }
    return select_channels(terms.terms, consumers, part->group->count, count, part->order, part->loss, err);
}

/* ---- by magnitude: the sum of the filters' absolute weights (Li 2017, arXiv 1608.08710), each maker's relative to its mean ---- */

static void add_norms(struct pruner *pruner, const struct part *part, const struct onnx_node *maker,
                      double *norms)
{
    const struct channels *out = couple_channels(pruner->couple, maker->outputs[0]);
    size_t count = 0;
    cleanup_free float *w = graph_floats(pruner->graph, maker->inputs[1], &count);
    if (!w || !out)
        return;
    size_t each = count / out->count;
    bool outputs_lead =
        graph_is_op(maker, "Conv") || (graph_is_op(maker, "Gemm") && onnx_node_int(maker, "transB", 0));
    double mean = 0;
    for (size_t i = 0; i < count; i++)
        mean += fabs((double)w[i]) / (double)out->count;
    for (size_t c = 0; c < part->group->count; c++)
        for (size_t o = 0; o < out->count; o++)
            for (size_t i = 0; couple_number(pruner->couple, out, o) == part->group->numbers[c] && i < each;
                 i++)
                norms[c] +=
                    fabs((double)w[outputs_lead ? o * each + i : i * out->count + o]) / MAX(mean, 1e-30);
}

static int rank_magnitude(struct pruner *pruner, struct part *part, size_t count, struct err *err)
{
    size_t channels = part->group->count;
    cleanup_free double *norms = mem_zalloc(channels, sizeof *norms);
    if (!norms)
        return err_no_memory(err);
    for (size_t i = 0; i < part->group->maker_count; i++)
        add_norms(pruner, part, part->group->makers[i], norms);
    for (size_t i = 0; i < count; i++) {
        size_t best = 0;
        for (size_t c = 1; c < channels; c++)
            if (norms[c] < norms[best])
                best = c;
        part->order[i] = best;
        part->loss[i] = 1 / (double)channels; /* the same share of each group goes */
        norms[best] = INFINITY;
    }
    return 0;
}

/* ---- both ---- */

int rank_part(struct pruner *pruner, struct part *part, size_t count, const char *model_path, struct err *err)
{
    int result = pruner->job->how == PRUNE_OBS ? rank_second_order(pruner, part, count, model_path, err)
                                               : rank_magnitude(pruner, part, count, err);
    if (result < 0)
        return -1;
    for (size_t i = 1; i < count; i++)
        part->loss[i] += part->loss[i - 1];
    return 0;
}
