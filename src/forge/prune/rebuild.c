/* Channels go, and what stays of their consumers learns to say what they said in the original model. */
#include "forge/prune/prune_inside.h"

#include "stats/linear.h"

#include <stdlib.h>
#include <string.h>

#define RIDGE 1e-3 /* of the mean diagonal: weights stay near where they are */
enum { MAX_ROWS = 2048 };

struct weights {
    double *w, *bias;
};

static void weights_fini(struct weights *weights)
{
    free(weights->w);
    free(weights->bias);
}
#define cleanup_weights __attribute__((cleanup(weights_fini)))

static int read_weights(struct pruner *pruner, const struct consumer *consumer, struct weights *out,
                        struct err *err)
{
    out->w = mem_zalloc(consumer->n * consumer->m, sizeof *out->w);
    out->bias = mem_zalloc(consumer->m, sizeof *out->bias);
    if (!out->w || !out->bias)
        return err_no_memory(err);
    return consumer_read(pruner->graph, consumer, out->w, out->bias, err);
}

/* Rows of channels that are gone become zeros. */
static int silence(struct pruner *pruner, const struct consumer *consumer, struct err *err)
{
    const struct channels *in =
        couple_channels(pruner->couple, graph_tensor(pruner->graph, consumer->input)->name);
    cleanup_weights struct weights weights = {0};
    if (read_weights(pruner, consumer, &weights, err) < 0)
        return -1;
    for (size_t i = 0; i < in->count; i++)
        if (pruner->gone[couple_number(pruner->couple, in, i)])
            memset(weights.w + i * consumer->kernel * consumer->m, 0,
                   consumer->kernel * consumer->m * sizeof *weights.w);
    return consumer_write(pruner->graph, consumer, weights.w, weights.bias, err);
}

/* What the change x leaves of the error. The upper triangle of g is as it was, its diagonal is given. */
static double error_left(const struct moments *moments, const double *diagonal, const double *x)
{
    size_t n = moments->n, m = moments->m;
    double repaired = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t o = 0; o < m; o++) {
            double product = diagonal[i] * x[i * m + o];
            for (size_t j = i + 1; j < n; j++)
                product += 2 * moments->g[i * n + j] * x[j * m + o];
            repaired += x[i * m + o] * (2 * moments->c[i * m + o] - product);
        }
    return moments->energy > 0 ? MAX((moments->error - repaired) / moments->energy, 0) : 0;
}

/* (G + λI) x = C */
static int solve(struct moments *moments, double *x, double *out_error, struct err *err)
{
    size_t n = moments->n;
    double ridge = RIDGE * linear_mean_diagonal(moments->g, n);
    cleanup_free double *diagonal = mem_zalloc(n, sizeof *diagonal);
    if (!diagonal)
        return err_no_memory(err);
    for (size_t i = 0; i < n; i++) {
        diagonal[i] = moments->g[i * n + i];
        moments->g[i * n + i] += ridge > 0 ? ridge : 1;
    }
    memcpy(x, moments->c, n * moments->m * sizeof *x);
    if (!linear_cholesky(moments->g, n))
        return err_set(err, ERR_INVALID, "activations are not finite, nothing can be rebuilt");
    linear_solve(moments->g, n, x, moments->m);
    *out_error = error_left(moments, diagonal, x);
    return 0;
}

/* Some of the rows, the others as they are. */
static int rebuild_rows(struct pruner *pruner, const struct consumer *consumer, const size_t *rows,
                        size_t count, double *out_error, struct err *err)
{
    size_t m = consumer->m;
    cleanup_weights struct weights weights = {0};
    cleanup_moments struct moments moments = {0};
    cleanup_free double *x = mem_zalloc(count * m, sizeof *x);
    if (!x)
        return err_no_memory(err);
    if (graph_save(pruner->graph, pruner->work_path, err) < 0 ||
        moments_of(&pruner->feed, MOMENTS_ERROR, pruner->work_path, consumer, rows, count, &moments, err) < 0)
        return -1;
    if (solve(&moments, x, out_error, err) < 0)
        return err_prefix(err, "%s", consumer->node);
    if (read_weights(pruner, consumer, &weights, err) < 0)
        return -1;
    for (size_t o = 0; o < m; o++)
        weights.bias[o] += moments.mean_error[o];
    for (size_t i = 0; i < count; i++)
        for (size_t o = 0; o < m; o++) {
            weights.w[rows[i] * m + o] += x[i * m + o];
            weights.bias[o] -= moments.mean_x[i] * x[i * m + o];
        }
    return consumer_write(pruner->graph, consumer, weights.w, weights.bias, err);
}

/* All at once, or, where that is too much, block by block. */
static int rebuild(struct pruner *pruner, const struct part *part, const struct consumer *consumer,
                   double *out_error, struct err *err)
{
    cleanup_rows struct rows rows = {0};
    if (rows_of(pruner, part, consumer, &rows, err) < 0)
        return -1;
    size_t blocks = (rows.count + MAX_ROWS - 1) / MAX_ROWS;
    for (size_t b = 0; b < blocks; b++) {
        size_t first = b * rows.count / blocks, end = (b + 1) * rows.count / blocks;
        if (rebuild_rows(pruner, consumer, rows.rows + first, end - first, out_error, err) < 0)
            return -1;
    }
    return 0;
}

int rebuild_part(struct pruner *pruner, struct part *part, struct err *err)
{
    for (size_t i = 0; i < part->take; i++)
        pruner->gone[part->group->numbers[part->order[i]]] = true;
    for (size_t i = 0; i < part->group->consumer_count; i++)
        if (silence(pruner, &part->consumers[i], err) < 0)
            return -1;
    double worst = 0;
    for (size_t i = 0; i < part->group->consumer_count && pruner->job->how != PRUNE_MAGNITUDE; i++) {
        double error = 0;
        if (rebuild(pruner, part, &part->consumers[i], &error, err) < 0)
            return -1;
        worst = MAX(worst, error);
    }
    part->error = worst;
    return 0;
}
