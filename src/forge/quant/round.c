#include "forge/quant/round.h"

#include "base/mem.h"
#include "stats/linear.h"

#include <math.h>
#include <stdlib.h>

#define RIDGE 0.01 /* of the mean diagonal */

struct order {
    size_t column;
    double weight;
};

static int by_weight(const void *a, const void *b)
{
    const struct order *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->column < y->column ? -1 : x->column > y->column;
}

static struct order *order_columns(const double *g, size_t n)
{
    struct order *order = mem_zalloc(n, sizeof *order);
    if (!order)
        return NULL;
    for (size_t i = 0; i < n; i++)
        order[i] = (struct order){.column = i, .weight = g[i * n + i]};
    qsort(order, n, sizeof *order, by_weight);
    return order;
}

/* Rows and columns of a symmetric matrix in another order, in place but for one row: cycles of the permutation, first rows, then columns. */
static bool permute(double *g, size_t n, const struct order *order)
{
    cleanup_free double *row = mem_zalloc(n, sizeof *row);
    cleanup_free bool *done = mem_zalloc(n, sizeof *done);
    if (!row || !done)
        return false;
    for (size_t start = 0; start < n; start++) {
        if (done[start])
            continue;
        memcpy(row, g + start * n, n * sizeof *row);
        for (size_t to = start;;) {
            size_t from = order[to].column;
            done[to] = true;
            memcpy(g + to * n, from == start ? row : g + from * n, n * sizeof *row);
            if (from == start)
                break;
            to = from;
        }
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(row, g + i * n, n * sizeof *row);
        for (size_t k = 0; k < n; k++)
            g[i * n + k] = row[order[k].column];
    }
    return true;
}

/* The upper factor U of (G + ridge)⁻¹ = UᵀU, in g's upper triangle. */
static bool factor_inverse(double *g, size_t n)
{
    double mean = linear_mean_diagonal(g, n);
    if (!isfinite(mean) || !(mean > 0))
        return false;
    for (size_t i = 0; i < n; i++)
        g[i * n + i] += RIDGE * mean;
    if (!linear_invert(g, n) || !linear_cholesky(g, n))
        return false;
    linear_mirror(g, n);
    return true;
}

static int8_t nearest(float weight, float scale, float top)
{
    float q = rintf(weight / scale);
    return (int8_t)(isnan(q) ? 0 : fminf(fmaxf(q, -top), top));
}

/* One filter, its weights already in order. */
static void round_filter(float *w, const double *u, size_t n, float scale, float top,
                         const struct order *order, int8_t *out)
{
    for (size_t j = 0; j < n; j++) {
        int8_t q = nearest(w[j], scale, top);
        out[order[j].column] = q;
        const double *row = u + j * n;
        const float lost = (float)((double)(w[j] - (float)q * scale) / row[j]);
        for (size_t k = j + 1; k < n; k++)
            w[k] -= lost * (float)row[k];
    }
}

bool round_second_order(const struct round_job *job, double *g, int8_t *out)
{
    const size_t n = job->n;
    cleanup_free struct order *order = order_columns(g, n);
    cleanup_free float *w = mem_zalloc(n, sizeof *w);
    if (!order || !w || !permute(g, n, order) || !factor_inverse(g, n))
        return false;
    for (size_t f = 0; f < job->filters; f++) {
        for (size_t k = 0; k < n; k++)
            w[k] = job->w[f * n + order[k].column];
        round_filter(w, g, n, job->scales[f], job->bits == 7 ? 63 : 127, order, out + f * n);
    }
    return true;
}

double round_loss(const struct round_job *job, const double *g, const int8_t *q)
{
    const size_t n = job->n;
    double sum = 0;
    for (size_t f = 0; f < job->filters; f++)
        for (size_t i = 0; i < n; i++) {
            double di = (double)(job->w[f * n + i] - (float)q[f * n + i] * job->scales[f]);
            double part = di * g[i * n + i] / 2;
            for (size_t k = 0; k < i; k++)
                part += g[i * n + k] * (double)(job->w[f * n + k] - (float)q[f * n + k] * job->scales[f]);
            sum += 2 * di * part;
        }
    return sum;
}
