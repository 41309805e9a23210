#include "base/testing.h"
#include "stats/sequential.h"

#include <math.h>

static uint64_t random_state = 99;

static bool chance(double share)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (double)(random_state >> 11) / 9007199254740992.0 < share;
}

/* How many of `runs` series of up to `length` are stopped when looked at after every observation. */
static int stops(double truth, double limit, int runs, int length, double alpha, double *out_mean_used)
{
    int stopped = 0;
    double used = 0;
    for (int run = 0; run < runs; run++) {
        uint64_t bad = 0;
        for (int n = 1; n <= length; n++) {
            bad += chance(truth);
            if (sequential_exceeds(bad, (uint64_t)n, limit, alpha)) {
                stopped++;
                used += n;
                break;
            }
        }
    }
    *out_mean_used = stopped ? used / stopped : 0;
    return stopped;
}

static void the_false_stop_rate_holds_although_looked_at_every_time(void **state)
{
    double used;
    /* At the very edge of the null, alpha 5 %: Ville allows 5 % of 2000; a binomial slack of 4 sigma on top.
     */
    int stopped = stops(0.05, 0.05, 2000, 500, 0.05, &used);
    assert_true(stopped <= 100 + 4 * 10);
    assert_int_equal(stops(0.01, 0.05, 500, 500, 0.01, &used), 0);
}

static void a_clear_violation_is_found_soon(void **state)
{
    double used;
    assert_int_equal(stops(0.5, 0.05, 500, 500, 0.01, &used), 500);
    assert_true(used < 12);
    assert_true(stops(0.15, 0.05, 500, 1000, 0.01, &used) > 495);
}

static void evidence_grows_with_bad_and_shrinks_with_good(void **state)
{
    for (uint64_t n = 1; n < 60; n++)
        for (uint64_t bad = 0; bad < n; bad++) {
            assert_true(sequential_log_e(bad + 1, n, 0.1) > sequential_log_e(bad, n, 0.1));
            assert_true(sequential_log_e(bad, n + 1, 0.1) < sequential_log_e(bad, n, 0.1));
        }
    assert_true(sequential_exceeds(1, 1000000, 0, 0.01));
    assert_false(sequential_exceeds(0, 10, 0, 0.01));
    assert_false(sequential_exceeds(10, 10, 1, 0.01));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_false_stop_rate_holds_although_looked_at_every_time),
        cmocka_unit_test(a_clear_violation_is_found_soon),
        cmocka_unit_test(evidence_grows_with_bad_and_shrinks_with_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
