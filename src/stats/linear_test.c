#include "stats/linear.h"

#include "base/mem.h"
#include "base/testing.h"

#include <math.h>
#include <string.h>

/* A matrix with every condition that a Gram matrix of `count` samples of `n` mixed variables has. */
static uint64_t state = 1;

static double uniform(void)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (double)(int64_t)(state >> 11) / (double)(1ULL << 52) - 1;
}

static float *samples_of(size_t n, size_t count)
{
    float *x = mem_zalloc(n * count, sizeof *x);
    assert_non_null(x);
    for (size_t k = 0; k < count; k++) {
        double common = uniform();
        for (size_t i = 0; i < n; i++)
            x[i * count + k] = (float)(0.7 * common + uniform());
    }
    return x;
}

static double *gram_of(size_t n, size_t count, double ridge)
{
    cleanup_free float *x = samples_of(n, count);
    double *g = mem_zalloc(n * n, sizeof *g);
    assert_non_null(g);
    linear_gram_add(g, x, n, count);
    for (size_t i = 0; i < n; i++)
        g[i * n + i] += ridge;
    linear_mirror(g, n);
    return g;
}

static const size_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 63, 64, 65, 97, 130};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void a_gram_matrix_is_that_of_a_naive_sum(void **unused)
{
    (void)unused;
    static const size_t counts[] = {1, 7, 8, 9, 511, 512, 513, 1100};
    for (size_t s = 0; s < SIZES; s++)
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
            size_t n = sizes[s], count = counts[k];
            cleanup_free float *x = samples_of(n, count);
            cleanup_free double *g = mem_zalloc(n * n, sizeof *g);
            assert_non_null(g);
            linear_gram_add(g, x, n, count);
            linear_gram_add(g, x, n, count); /* adds */
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < n; j++) {
                    double sum = 0;
                    for (size_t c = 0; c < count; c++)
                        sum += (double)x[i * count + c] * (double)x[j * count + c];
                    assert_true(fabs(g[i * n + j] - (j <= i ? 2 * sum : 0)) <= 1e-9 * (double)count);
                }
        }
}

static void products_of_two_blocks_are_those_of_a_naive_sum(void **unused)
{
    (void)unused;
    for (size_t s = 0; s < SIZES; s++)
        for (size_t m = 1; m < 11; m += 3) {
            size_t n = sizes[s], count = 517;
            cleanup_free float *x = samples_of(n, count), *y = samples_of(m, count);
            cleanup_free double *c = mem_zalloc(n * m, sizeof *c);
            assert_non_null(c);
            linear_cross_add(c, x, n, y, m, count);
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < m; j++) {
                    double sum = 0;
                    for (size_t k = 0; k < count; k++)
                        sum += (double)x[i * count + k] * (double)y[j * count + k];
                    assert_true(fabs(c[i * m + j] - sum) <= 1e-9 * (double)count);
                }
        }
}

static void factors_multiply_back(void **unused)
{
    (void)unused;
    for (size_t s = 0; s < SIZES; s++) {
        size_t n = sizes[s];
        cleanup_free double *a = gram_of(n, 2 * n + 3, 0.01), *l = gram_of(n, 1, 0);
        memcpy(l, a, n * n * sizeof *l);
        assert_true(linear_cholesky(l, n));
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j <= i; j++) {
                double sum = 0;
                for (size_t k = 0; k <= j; k++)
                    sum += l[i * n + k] * l[j * n + k];
                assert_true(fabs(sum - a[i * n + j]) <= 1e-9 * (double)n);
            }
    }
}

static void solutions_solve(void **unused)
{
    (void)unused;
    static const size_t columns[] = {1, 3, 8, 15, 16, 17, 40};
    for (size_t s = 0; s < SIZES; s++)
        for (size_t k = 0; k < sizeof columns / sizeof *columns; k++) {
            size_t n = sizes[s], m = columns[k];
            cleanup_free double *a = gram_of(n, 2 * n + 3, 1), *l = mem_zalloc(n * n, sizeof *l);
            cleanup_free double *b = mem_zalloc(n * m, sizeof *b), *x = mem_zalloc(n * m, sizeof *x);
            assert_true(l && b && x);
            memcpy(l, a, n * n * sizeof *l);
            for (size_t i = 0; i < n * m; i++)
                x[i] = b[i] = uniform();
            assert_true(linear_cholesky(l, n));
            linear_solve(l, n, x, m);
            for (size_t i = 0; i < n; i++)
                for (size_t c = 0; c < m; c++) {
                    double sum = 0;
                    for (size_t j = 0; j < n; j++)
                        sum += a[i * n + j] * x[j * m + c];
                    assert_true(fabs(sum - b[i * m + c]) <= 1e-8 * (double)n);
                }
        }
}

static void an_inverse_is_one(void **unused)
{
    (void)unused;
    for (size_t s = 0; s < SIZES; s++) {
        size_t n = sizes[s];
        cleanup_free double *a = gram_of(n, 2 * n + 3, 1), *inverse = mem_zalloc(n * n, sizeof *inverse);
        assert_non_null(inverse);
        memcpy(inverse, a, n * n * sizeof *inverse);
        assert_true(linear_invert(inverse, n));
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                double sum = 0;
                for (size_t k = 0; k < n; k++)
                    sum += a[i * n + k] * inverse[k * n + j];
                assert_true(fabs(sum - (i == j)) <= 1e-8 * (double)n);
                assert_true(inverse[i * n + j] == inverse[j * n + i]);
            }
    }
}

static void what_is_not_positive_definite_is_told(void **unused)
{
    (void)unused;
    for (size_t s = 1; s < SIZES; s++) {
        size_t n = sizes[s];
        cleanup_free double *a = gram_of(n, 2 * n + 3, 1), *b = gram_of(n, 2 * n + 3, 1);
        a[n * n - 1] = -1;
        assert_false(linear_cholesky(a, n));
        b[n * n - 1] = NAN;
        assert_false(linear_invert(b, n));
    }
}

/* The inverse of the problem without some variables is the rest of the inverse after they were eliminated. */
static void elimination_leaves_the_inverse_of_the_rest(void **unused)
{
    (void)unused;
    static const struct {
        size_t n, first, size;
    } cases[] = {{9, 0, 1}, {9, 8, 1}, {12, 3, 3}, {33, 9, 9}, {64, 0, 25}, {130, 65, 65}};
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        size_t n = cases[t].n, first = cases[t].first, size = cases[t].size, left = n - size;
        cleanup_free double *a = gram_of(n, 2 * n + 3, 1), *h = mem_zalloc(n * n, sizeof *h);
        cleanup_free double *rest = mem_zalloc(left * left, sizeof *rest);
        cleanup_free double *scratch = mem_zalloc(size * (n + size + 4), sizeof *scratch);
        assert_true(h && rest && scratch);
        memcpy(h, a, n * n * sizeof *h);
        for (size_t i = 0, r = 0; i < n; i++) {
            if (i >= first && i < first + size)
                continue;
            for (size_t j = 0, s = 0; j < n; j++)
                if (j < first || j >= first + size)
                    rest[r * left + s++] = a[i * n + j];
            r++;
        }
        assert_true(linear_invert(h, n) && linear_invert(rest, left));
        assert_true(linear_eliminate(h, n, first, size, scratch));
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                bool gone = (i >= first && i < first + size) || (j >= first && j < first + size);
                size_t r = i < first ? i : i - size, s = j < first ? j : j - size;
                assert_true(fabs(h[i * n + j] - (gone ? 0 : rest[r * left + s])) <= 1e-9);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gram_matrix_is_that_of_a_naive_sum),
        cmocka_unit_test(products_of_two_blocks_are_those_of_a_naive_sum),
        cmocka_unit_test(factors_multiply_back),
        cmocka_unit_test(solutions_solve),
        cmocka_unit_test(an_inverse_is_one),
        cmocka_unit_test(what_is_not_positive_definite_is_told),
        cmocka_unit_test(elimination_leaves_the_inverse_of_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
