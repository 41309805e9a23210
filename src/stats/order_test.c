#include "stats/order.h"

#include "base/testing.h"

#include <math.h>

static void assert_near(double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%.12g is not %.12g", a, b);
}

static void the_binomial_is_the_sum_of_its_terms(void **state)
{
    static const double shares[] = {0.01, 0.3, 0.5, 0.99};
    for (size_t s = 0; s < 4; s++)
        for (size_t n = 0; n <= 40; n++) {
            double sum = 0;
            for (size_t k = 0; k < n; k++) {
                sum += exp(lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1)) *
                       pow(shares[s], (double)k) * pow(1 - shares[s], (double)(n - k));
                assert_near(order_binomial(k, n, shares[s]), sum, 1e-12);
            }
            assert_near(order_binomial(n, n, shares[s]), 1, 0);
        }
}

/* By counting: the chance that both bounds hold is at least 1 - alpha, and one rank tighter it is not on that side. */
static void bounds_hold_and_are_as_tight_as_can_be(void **state)
{
    static const double quantiles[] = {0.5, 0.9, 0.99};
    const double alpha = 0.05;
    for (size_t q = 0; q < 3; q++)
        for (size_t n = 1; n <= 600; n += 7) {
            ptrdiff_t low, high;
            order_bounds(n, quantiles[q], alpha, &low, &high);
            double below = low < 0 ? 0 : order_binomial((size_t)low, n, quantiles[q]);
            double above = (size_t)high >= n ? 0 : 1 - order_binomial((size_t)high, n, quantiles[q]);
            assert_true(below <= alpha / 2 && above <= alpha / 2);
            assert_true(low + 1 >= (ptrdiff_t)n ||
                        order_binomial((size_t)(low + 1), n, quantiles[q]) > alpha / 2);
            assert_true(high == 0 || 1 - order_binomial((size_t)(high - 1), n, quantiles[q]) > alpha / 2);
        }
}

static void few_observations_bound_nothing(void **state)
{
    ptrdiff_t low, high;
    order_bounds(20, 0.99, 0.05, &low, &high);
    assert_int_equal(high, 20);
    order_bounds(0, 0.5, 0.05, &low, &high);
    assert_int_equal(low, -1);
}

/* Garwood's table, 95 %: 0 → 0..3.689, 1 → 0.0253..5.572, 10 → 4.795..18.39, 100 → 81.36..121.6 */
static void rates_are_those_of_the_table(void **state)
{
    static const struct {
        uint64_t events;
        double low, high;
    } rows[] = {{0, 0, 3.689}, {1, 0.0253, 5.572}, {10, 4.795, 18.391}, {100, 81.364, 121.627}};
    for (size_t i = 0; i < 4; i++) {
        double low, high;
        order_rate_bounds(rows[i].events, 2, 0.05, &low, &high);
        assert_near(2 * low, rows[i].low, 0.001);
        assert_near(2 * high, rows[i].high, 0.001);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_binomial_is_the_sum_of_its_terms),
        cmocka_unit_test(bounds_hold_and_are_as_tight_as_can_be),
        cmocka_unit_test(few_observations_bound_nothing),
        cmocka_unit_test(rates_are_those_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
