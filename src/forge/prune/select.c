#include "forge/prune/select.h"

#include "base/mem.h"
#include "stats/linear.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

struct work {
    struct select_term *terms;
    size_t term_count, channels;
    bool *gone;
    double *block, *rows, *scratch; /* as large as the largest term needs */
};

static int work_init(struct work *work, struct select_term *terms, size_t count, size_t channels,
                     struct err *err)
{
    size_t block = 0, rows = 0, scratch = 0;
    for (size_t t = 0; t < count; t++)
        for (size_t k = 0; k < channels; k++) {
            size_t size = terms[t].size[k];
            block = MAX(block, size * size);
            rows = MAX(rows, size * terms[t].m);
            scratch = MAX(scratch, size * (terms[t].n + size + 4));
        }
    *work = (struct work){.terms = terms,
                          .term_count = count,
                          .channels = channels,
                          .gone = mem_zalloc(channels, sizeof(bool)),
                          .block = mem_zalloc(block, sizeof(double)),
                          .rows = mem_zalloc(rows, sizeof(double)),
                          .scratch = mem_zalloc(scratch, sizeof(double))};
    return work->gone && work->block && work->rows && work->scratch ? 0 : err_no_memory(err);
}

static void work_fini(struct work *work)
{
    free(work->gone);
    free(work->block);
    free(work->rows);
    free(work->scratch);
}

/* rows = ([H⁻¹]_kk)⁻¹ W_k, size × m. */
static bool solve_block(struct work *work, const struct select_term *term, size_t k)
{
    size_t first = term->first[k], size = term->size[k];
    for (size_t r = 0; r < size; r++)
        memcpy(work->block + r * size, term->h + (first + r) * term->n + first, size * sizeof(double));
    memcpy(work->rows, term->w + first * term->m, size * term->m * sizeof(double));
    if (!linear_cholesky(work->block, size))
        return false;
    linear_solve(work->block, size, work->rows, term->m);
    return true;
}

/* INFINITY: a term's block is not positive definite. */
static double loss_of(struct work *work, size_t k)
{
    double loss = 0;
    for (size_t t = 0; t < work->term_count; t++) {
        const struct select_term *term = &work->terms[t];
        const double *w = term->w + term->first[k] * term->m;
        if (!solve_block(work, term, k))
            return INFINITY;
        double sum = 0;
        for (size_t i = 0; i < term->size[k] * term->m; i++)
            sum += w[i] * work->rows[i];
        loss += sum * term->scale;
    }
    return loss;
}

static void take(struct work *work, size_t k)
{
    for (size_t t = 0; t < work->term_count; t++) {
        struct select_term *term = &work->terms[t];
        size_t first = term->first[k], size = term->size[k];
        if (!solve_block(work, term, k))
            continue;
        for (size_t i = 0; i < term->n; i++)
            for (size_t r = 0; r < size; r++) {
                double factor = term->h[i * term->n + first + r];
                for (size_t c = 0; factor != 0 && c < term->m; c++)
                    term->w[i * term->m + c] -= factor * work->rows[r * term->m + c];
            }
        memset(term->w + first * term->m, 0, size * term->m * sizeof(double));
        if (!linear_eliminate(term->h, term->n, first, size, work->scratch))
            continue;
    }
    work->gone[k] = true;
}

int select_channels(struct select_term *terms, size_t term_count, size_t channels, size_t count,
                    size_t *out_order, double *out_loss, struct err *err)
{
    __attribute__((cleanup(work_fini))) struct work work;
    if (work_init(&work, terms, term_count, channels, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        size_t best = channels;
        double least = INFINITY;
        for (size_t k = 0; k < channels; k++) {
            double loss = work.gone[k] ? INFINITY : loss_of(&work, k);
            if (loss < least) {
                least = loss;
                best = k;
            }
        }
        if (best == channels)
            return err_set(err, ERR_INVALID, "activations are not finite, nothing can be chosen");
        out_order[i] = best;
        out_loss[i] = MAX(least, 0);
        take(&work, best);
    }
    return 0;
}

/* ---- budget ---- */

static size_t best_option(const struct budget_group *group, double price)
{
    size_t best = 0;
    for (size_t i = 1; i < group->option_count; i++)
        if (group->loss[i] - price * group->gain[i] < group->loss[best] - price * group->gain[best])
            best = i;
    return best;
}

static double given(const struct budget_group *groups, size_t count)
{
    double amount = 0;
    for (size_t g = 0; g < count; g++)
        amount += groups[g].amount[groups[g].chosen];
    return amount;
}

static double choose_at(struct budget_group *groups, size_t count, double price)
{
    for (size_t g = 0; g < count; g++)
        groups[g].chosen = best_option(&groups[g], price);
    return given(groups, count);
}

/* The cheapest single step that still fits; false: none does. */
static bool step_within(struct budget_group *groups, size_t count, double left)
{
    struct budget_group *best = NULL;
    size_t option = 0;
    double price = INFINITY;
    for (size_t g = 0; g < count; g++)
        for (size_t i = groups[g].chosen + 1; i < groups[g].option_count; i++) {
            double gain = groups[g].gain[i] - groups[g].gain[groups[g].chosen];
            double loss = groups[g].loss[i] - groups[g].loss[groups[g].chosen];
            double amount = groups[g].amount[i] - groups[g].amount[groups[g].chosen];
            if (gain > 0 && amount <= left && loss / gain < price) {
                price = loss / gain;
                best = &groups[g];
                option = i;
            }
        }
    if (best)
        best->chosen = option;
    return best != NULL;
}

void budget_choose(struct budget_group *groups, size_t count, double target)
{
    double low = 0, high = 1e-12;
    while (high < 1e12 && choose_at(groups, count, high) < target)
        high *= 4;
    for (int i = 0; i < 100; i++) {
        double middle = (low + high) / 2;
        if (choose_at(groups, count, middle) <= target)
            low = middle;
        else
            high = middle;
    }
    choose_at(groups, count, low);
    while (step_within(groups, count, target - given(groups, count)))
        continue;
}
