#include "forge/prune/select.h"

#include "base/mem.h"
#include "base/testing.h"
#include "stats/linear.h"

#include <math.h>
#include <string.h>

static uint64_t state = 3;

static double uniform(void)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (double)(int64_t)(state >> 11) / (double)(1ULL << 52) - 1;
}

enum { CHANNELS = 6, BLOCK = 2, N = CHANNELS * BLOCK, M = 3, COLUMNS = 60 };

static const size_t first[CHANNELS] = {0, 2, 4, 6, 8, 10}, size[CHANNELS] = {2, 2, 2, 2, 2, 2};

static void fill(double g[N * N], double w[N * M])
{
    float x[N * COLUMNS];
    for (size_t k = 0; k < COLUMNS; k++) {
        double common = uniform();
        for (size_t i = 0; i < N; i++)
            x[i * COLUMNS + k] = (float)(common + uniform());
    }
    memset(g, 0, N * N * sizeof *g);
    linear_gram_add(g, x, N, COLUMNS);
    linear_mirror(g, N);
    for (size_t i = 0; i < N * M; i++)
        w[i] = uniform();
}

/* The least ‖W'X - V'X‖² over all V whose rows of the channels that are gone are zeros. */
static double least_error(const double *g, const double *w, const bool gone[CHANNELS])
{
    double kept[N * N], c[N * M], v[N * M];
    size_t rows[N], n = 0;
    for (size_t i = 0; i < N; i++)
        if (!gone[i / BLOCK])
            rows[n++] = i;
    double error = 0;
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            for (size_t o = 0; o < M; o++)
                error += w[i * M + o] * g[i * N + j] * w[j * M + o];
    memset(c, 0, sizeof c);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++)
            kept[i * n + j] = g[rows[i] * N + rows[j]];
        for (size_t o = 0; o < M; o++)
            for (size_t j = 0; j < N; j++)
                c[i * M + o] += g[rows[i] * N + j] * w[j * M + o];
    }
    memcpy(v, c, sizeof v);
    assert_true(linear_cholesky(kept, n));
    linear_solve(kept, n, v, M);
    for (size_t i = 0; i < n * M; i++)
        error -= c[i] * v[i];
    return error;
}

static void losses_are_those_of_the_best_weights_without_the_channels(void **unused)
{
    (void)unused;
    for (int round = 0; round < 20; round++) {
        double g[N * N], h[N * N], w[N * M], left[N * M], loss[CHANNELS], sum = 0;
        size_t order[CHANNELS];
        struct err err = {0};
        fill(g, w);
        memcpy(h, g, sizeof h);
        memcpy(left, w, sizeof left);
        assert_true(linear_invert(h, N));
        struct select_term term = {
            .n = N, .m = M, .h = h, .w = left, .first = first, .size = size, .scale = 1};
        assert_ok(select_channels(&term, 1, CHANNELS, CHANNELS - 1, order, loss, &err), err);
        bool gone[CHANNELS] = {false};
        for (size_t i = 0; i < CHANNELS - 1; i++) {
            double least = INFINITY;
            for (size_t k = 0; k < CHANNELS; k++) { /* no other channel would have been cheaper */
                if (gone[k])
                    continue;
                gone[k] = true;
                least = fmin(least, least_error(g, w, gone));
                gone[k] = false;
            }
            assert_false(gone[order[i]]);
            gone[order[i]] = true;
            sum += loss[i];
            assert_true(fabs(sum - least) <= 1e-7 * (1 + least));
        }
    }
}

static void a_channel_that_others_make_up_for_goes_first(void **unused)
{
    (void)unused;
    enum { COUNT = 5 };
    static const size_t firsts[COUNT] = {0, 1, 2, 3, 4}, sizes[COUNT] = {1, 1, 1, 1, 1};
    float x[COUNT * COLUMNS];
    for (size_t k = 0; k < COLUMNS; k++) {
        for (size_t i = 0; i < COUNT; i++)
            x[i * COLUMNS + k] = (float)uniform();
        x[3 * COLUMNS + k] = x[0 * COLUMNS + k] - 2 * x[4 * COLUMNS + k];
    }
    double g[COUNT * COUNT] = {0}, w[COUNT] = {0.1, 0.1, 0.1, 9, 0.1}, loss[1];
    size_t order[1];
    struct err err = {0};
    linear_gram_add(g, x, COUNT, COLUMNS);
    linear_mirror(g, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        g[i * COUNT + i] += 1e-9;
    assert_true(linear_invert(g, COUNT));
    struct select_term term = {
        .n = COUNT, .m = 1, .h = g, .w = w, .first = firsts, .size = sizes, .scale = 1};
    assert_ok(select_channels(&term, 1, COUNT, 1, order, loss, &err), err);
    assert_true(order[0] == 0 || order[0] == 3 || order[0] == 4);
    assert_true(loss[0] < 1e-6);
}

static void activations_that_are_not_finite_are_told(void **unused)
{
    (void)unused;
    double h[1] = {NAN}, w[1] = {1}, loss[1];
    const size_t start = 0, one = 1;
    size_t order[1];
    struct err err = {0};
    struct select_term term = {.n = 1, .m = 1, .h = h, .w = w, .first = &start, .size = &one, .scale = 1};
    assert_fails(select_channels(&term, 1, 1, 1, order, loss, &err), err, ERR_INVALID);
}

/* ---- budget ---- */

enum { GROUPS = 4, OPTIONS = 6 };

static void budgets_are_kept_and_no_single_step_is_left_out(void **unused)
{
    (void)unused;
    for (int round = 0; round < 200; round++) {
        double loss[GROUPS][OPTIONS] = {{0}}, gain[GROUPS][OPTIONS] = {{0}}, all = 0, taken = 0;
        struct budget_group groups[GROUPS];
        for (size_t g = 0; g < GROUPS; g++) {
            for (size_t i = 1; i < OPTIONS; i++) {
                loss[g][i] = loss[g][i - 1] + fabs(uniform());
                gain[g][i] = gain[g][i - 1] + 8;
            }
            groups[g] = (struct budget_group){
                .option_count = OPTIONS, .loss = loss[g], .gain = gain[g], .amount = gain[g]};
            all += gain[g][OPTIONS - 1];
        }
        double target = fabs(uniform()) * all;
        budget_choose(groups, GROUPS, target);
        for (size_t g = 0; g < GROUPS; g++)
            taken += gain[g][groups[g].chosen];
        assert_true(taken <= target);
        assert_true(taken + 8 > target);
    }
}

static void the_cheapest_group_gives(void **unused)
{
    (void)unused;
    const double cheap[] = {0, 0.001, 0.002, 0.004}, dear[] = {0, 1, 2, 4}, gain[] = {0, 8, 16, 24};
    struct budget_group groups[] = {{4, dear, gain, gain, 0}, {4, cheap, gain, gain, 0}};
    budget_choose(groups, 2, 24);
    assert_int_equal(groups[0].chosen, 0);
    assert_int_equal(groups[1].chosen, 3);
    budget_choose(groups, 2, 0);
    assert_int_equal(groups[0].chosen + groups[1].chosen, 0);
    budget_choose(groups, 2, 1000);
    assert_int_equal(groups[0].chosen + groups[1].chosen, 6);
}

static void what_saves_more_gives_first(void **unused)
{
    (void)unused;
    const double loss[] = {0, 1, 2, 4}, little[] = {0, 0.1, 0.2, 0.3}, much[] = {0, 1, 2, 3},
                 amount[] = {0, 8, 16, 24};
    struct budget_group groups[] = {{4, loss, little, amount, 0}, {4, loss, much, amount, 0}};
    budget_choose(groups, 2, 16);
    assert_int_equal(groups[0].chosen, 0);
    assert_int_equal(groups[1].chosen, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_those_of_the_best_weights_without_the_channels),
        cmocka_unit_test(a_channel_that_others_make_up_for_goes_first),
        cmocka_unit_test(activations_that_are_not_finite_are_told),
        cmocka_unit_test(budgets_are_kept_and_no_single_step_is_left_out),
        cmocka_unit_test(the_cheapest_group_gives),
        cmocka_unit_test(what_saves_more_gives_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
