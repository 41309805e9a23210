#include "stats/drift/fleet.h"

#include "base/mem.h"
#include "base/testing.h"

#include <math.h>

static void the_average_is_of_what_is_known(void **unused)
{
    const double values[] = {2, NAN, 2, 2}, mixed[] = {3, -99, NAN}, huge[] = {400, 400, -INFINITY},
                 none[] = {NAN, NAN}, low[] = {-INFINITY, -INFINITY};
    assert_true(fabs(fleet_drift_average(values, 4) - 2) < 1e-12);
    assert_true(fabs(fleet_drift_average(mixed, 3) - log10(500)) < 1e-12);
    assert_true(fabs(fleet_drift_average(huge, 3) - (400 + log10(2.0 / 3))) < 1e-9);
    assert_true(isinf(fleet_drift_average(none, 2)) && isinf(fleet_drift_average(low, 2)));
    assert_true(isinf(fleet_drift_average(none, 0)));
}

static void something_common_needs_a_share_of_the_robots(void **unused)
{
    double values[100];
    for (int i = 0; i < 100; i++)
        values[i] = 0;
    for (int i = 0; i < 3; i++)
        values[i] = 50;
    assert_true(fleet_drift_average(values, 100) > 40);
    assert_true(fleet_drift_common(values, 100, 1e5, 0.04) < 5);
    values[3] = values[4] = 7;
    assert_true(fleet_drift_common(values, 100, 1e5, 0.04) >= 5);
    assert_true(fabs(fleet_drift_common(values + 10, 50, 1e5, 0.04) - fleet_drift_average(values + 10, 50)) <
                1e-12);
}

static uint64_t state = 7;

static double uniform(void)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return ((double)(state >> 11) + 0.5) / (double)(1ULL << 53);
}

static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

static void those_that_stand_out_are_pointed_at(void **unused)
{
    /* arl 100, q 0.1, 5 robots: e ≥ 100 · 5 / (0.1 · k) */
    const double values[] = {3.5, -2, 4, 0, NAN, 3.1};
    size_t order[6];
    assert_int_equal(fleet_drift_point(values, 6, 0.1, 100, order), 2);
    assert_int_equal(order[0], 2);
    assert_int_equal(order[1], 0);
    assert_int_equal(fleet_drift_point(values, 6, 0.5, 100, order), 3);
    assert_int_equal(order[2], 5);
    assert_int_equal(fleet_drift_point(values, 0, 0.1, 100, order), 0);
}

/* e-BH keeps the share of false discoveries below q whatever depends on what: here every robot shares a common noise, and a fifth has drift. */
static void the_false_discovery_rate_holds_under_dependence(void **unused)
{
    enum { RUNS = 4000, ROBOTS = 50, DRIFTED = 10 };
    const double q = 0.2, lambda = 3, rho = 0.7;
    double false_share = 0, found = 0, values[ROBOTS];
    size_t order[ROBOTS];
    for (int run = 0; run < RUNS; run++) {
        double common = normal();
        for (int i = 0; i < ROBOTS; i++) {
            double z = sqrt(rho) * common + sqrt(1 - rho) * normal() + (i < DRIFTED ? 4 : 0);
            values[i] = (lambda * z - lambda * lambda / 2) / M_LN10;
        }
        size_t count = fleet_drift_point(values, ROBOTS, q, 1, order), wrong = 0;
        for (size_t i = 0; i < count; i++)
            wrong += order[i] >= DRIFTED;
        found += (double)(count - wrong) / DRIFTED;
        false_share += count ? (double)wrong / (double)count : 0;
    }
    assert_true(false_share / RUNS <= q);
    assert_true(found / RUNS > 0.3); /* it finds something */
}

/* The average of e-values is one, whatever depends on what: P(average ≥ 20) ≤ 1/20. */
static void the_average_holds_under_dependence(void **unused)
{
    enum { RUNS = 20000, ROBOTS = 20 };
    for (int step = 0; step < 3; step++) {
        double rho = step / 2.0, values[ROBOTS];
        int exceeded = 0;
        for (int run = 0; run < RUNS; run++) {
            double common = normal();
            for (int i = 0; i < ROBOTS; i++)
                values[i] = (1.5 * (sqrt(rho) * common + sqrt(1 - rho) * normal()) - 1.125) / M_LN10;
            exceeded += fleet_drift_average(values, ROBOTS) >= log10(20);
        }
        assert_true(exceeded <= RUNS / 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_average_is_of_what_is_known),
        cmocka_unit_test(something_common_needs_a_share_of_the_robots),
        cmocka_unit_test(those_that_stand_out_are_pointed_at),
        cmocka_unit_test(the_false_discovery_rate_holds_under_dependence),
        cmocka_unit_test(the_average_holds_under_dependence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
