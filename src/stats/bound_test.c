#include "base/mem.h"
#include "base/testing.h"
#include "stats/bound.h"

#include <math.h>

static uint64_t random_state = 7;

static double uniform(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (double)(random_state >> 11) / 9007199254740992.0;
}

static double binomial(uint64_t k, uint64_t n, double p)
{
    double a = (double)k, b = (double)(n - k);
    return exp(lgamma(a + b + 1) - lgamma(a + 1) - lgamma(b + 1) + a * log(p) + b * log1p(-p));
}

static void incomplete_beta_has_its_known_values_and_symmetry(void **state)
{
    assert_true(fabs(bound_incomplete_beta(1, 1, 0.3) - 0.3) < 1e-14);
    assert_true(fabs(bound_incomplete_beta(2, 3, 0.4) - 0.5248) < 1e-12); /* 1 - P(at most 1 of 4) */
    assert_true(fabs(bound_incomplete_beta(0.5, 0.5, 0.5) - 0.5) < 1e-13);
    for (double a = 0.5; a < 2000; a *= 3)
        for (double b = 0.5; b < 2000; b *= 3)
            for (double x = 0.05; x < 1; x += 0.1)
                assert_true(fabs(bound_incomplete_beta(a, b, x) + bound_incomplete_beta(b, a, 1 - x) - 1) <
                            1e-9);
}

static void shares_have_the_published_bounds(void **state)
{
    static const struct {
        uint64_t k, n;
        double lower, upper; /* Clopper and Pearson, 95 % on both sides together */
    } rows[] = {{1, 10, 0.0025, 0.4450},    {5, 10, 0.1871, 0.8129}, {10, 20, 0.2720, 0.7280},
                {0, 10, 0, 0.3085},         {10, 10, 0.6915, 1},     {90, 100, 0.8238, 0.9510},
                {900, 1000, 0.8797, 0.9179}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(fabs(bound_share_lower(rows[i].k, rows[i].n, 0.025) - rows[i].lower) < 6e-5);
        assert_true(fabs(bound_share_upper(rows[i].k, rows[i].n, 0.025) - rows[i].upper) < 6e-5);
    }
    assert_true(bound_share_lower(0, 0, 0.05) == 0 && bound_share_upper(0, 0, 0.05) == 1);
    double million = bound_share_lower(970000, 1000000, 0.05);
    assert_true(million > 0.9697 && million < 0.97);
}

static void shares_are_covered_for_every_n_and_every_truth(void **state)
{
    const double alpha = 0.05;
    for (uint64_t n = 1; n <= 60; n++) {
        double lower[61];
        for (uint64_t k = 0; k <= n; k++)
            lower[k] = bound_share_lower(k, n, alpha);
        for (double p = 0.0125; p < 1; p += 0.0125) {
            double missed = 0;
            for (uint64_t k = 0; k <= n; k++)
                missed += lower[k] > p ? binomial(k, n, p) : 0;
            assert_true(missed <= alpha + 1e-12);
        }
        for (uint64_t k = 1; k < n;
             k++) { /* and tight: at its own bound a share is missed with exactly alpha */
            double missed = 0;
            for (uint64_t j = k; j <= n; j++)
                missed += binomial(j, n, lower[k]);
            assert_true(fabs(missed - alpha) < 1e-9);
        }
    }
}

static void it_takes_as_many_samples_as_are_told(void **state)
{
    assert_int_equal(bound_samples_needed(0.95, 0.05), 59);
    assert_int_equal(bound_samples_needed(0.9, 0.05), 29);
    for (double share = 0.05; share < 1; share += 0.05) {
        uint64_t n = bound_samples_needed(share, 0.05);
        assert_true(bound_share_lower(n, n, 0.05) >= share - 1e-12);
        assert_true(n == 1 || bound_share_lower(n - 1, n - 1, 0.05) < share);
    }
}

/* ---- means ---- */

static void all_ones_are_clopper_and_pearsons(void **state)
{
    double ones[512];
    for (size_t n = 1; n <= ARRAY_LEN(ones); n++) {
        ones[n - 1] = 1;
        assert_true(bound_mean_lower(ones, n, 0.05) == bound_share_lower(n, n, 0.05));
    }
    double nearly[40]; /* and continuously so: the bound of values that are nearly 1 is nearly that */
    for (size_t i = 0; i < ARRAY_LEN(nearly); i++)
        nearly[i] = 1 - 1e-9;
    assert_true(fabs(bound_mean_lower(nearly, 40, 0.05) - bound_share_lower(40, 40, 0.05)) < 0.02);
}

/* A distribution on a few points, enumerated: every sequence of counts with its probability. */
struct points {
    size_t count;
    double at[3], share[3];
};

static double missed_exactly(const struct points *law, size_t n, double alpha)
{
    double mean = 0, missed = 0, values[32];
    for (size_t i = 0; i < law->count; i++)
        mean += law->at[i] * law->share[i];
    for (size_t a = 0; a <= n; a++)
        for (size_t b = 0; a + b <= n; b++) {
            size_t c = n - a - b;
            for (size_t i = 0; i < n; i++)
                values[i] = law->at[i < a ? 0 : i < a + b ? 1 : 2];
            double log_chance =
                lgamma((double)n + 1) - lgamma((double)a + 1) - lgamma((double)b + 1) - lgamma((double)c + 1);
            double chance = exp(log_chance) * pow(law->share[0], (double)a) * pow(law->share[1], (double)b) *
                            pow(law->share[2], (double)c);
            if (chance > 0 && bound_mean_lower(values, n, alpha) > mean)
                missed += chance;
        }
    return missed;
}

static void means_are_covered_exactly_on_three_points(void **state)
{
    static const double middles[] = {0.02, 0.3, 0.5, 0.8, 0.97};
    static const double shares[][3] = {{0.05, 0.05, 0.9}, {0.01, 0.19, 0.8},   {0.3, 0.3, 0.4}, {0.1, 0.9, 0},
                                       {0.02, 0, 0.98},   {0.001, 0.5, 0.499}, {0.6, 0.2, 0.2}};
    static const size_t sizes[] = {1, 2, 5, 11, 24};
    double worst = 0;
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++)
        for (size_t m = 0; m < ARRAY_LEN(middles); m++)
            for (size_t k = 0; k < ARRAY_LEN(shares); k++) {
                struct points law = {.count = 3, .at = {0, middles[m], 1}};
                for (int i = 0; i < 3; i++)
                    law.share[i] = shares[k][i];
                double missed = missed_exactly(&law, sizes[s], 0.05);
                assert_true(missed <= 0.05);
                worst = fmax(worst, missed);
            }
    assert_true(worst > 0.01); /* not only because it is timid */
}

static double beta_like(int kind)
{
    double u = uniform();
    switch (kind) {
    case 0:
        return 1 - u * u * u * 0.3; /* mostly close to 1: mean 0.925 */
    case 1:
        return u < 0.9 ? 1 : uniform(); /* 0.95 */
    case 2:
        return u < 0.5 ? 0.9 : 0.98; /* 0.94 */
    case 3:
        return u; /* 0.5 */
    default:
        return u < 0.02 ? 0 : 0.95 + 0.05 * uniform(); /* 0.98 * 0.975 */
    }
}

static void means_are_covered_in_simulation(void **state)
{
    static const double means[] = {0.925, 0.95, 0.94, 0.5, 0.9555};
    enum { RUNS = 1500, MAX = 200 };
    static const size_t sizes[] = {8, 40, MAX};
    for (int kind = 0; kind < (int)ARRAY_LEN(means); kind++)
        for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
            int missed = 0;
            double values[MAX], width = 0;
            for (int run = 0; run < RUNS; run++) {
                for (size_t i = 0; i < sizes[s]; i++)
                    values[i] = beta_like(kind);
                double lower = bound_mean_lower(values, sizes[s], 0.05);
                missed += lower > means[kind];
                width += (means[kind] - lower) / RUNS;
            }
            assert_true(missed <= 0.05 * RUNS);
            assert_true(width < 3.2 / sqrt((double)sizes[s])); /* shrinks */
        }
}

static void means_lie_between_nothing_and_the_average(void **state)
{
    for (int run = 0; run < 300; run++) {
        double values[64], sum = 0;
        size_t n = 1 + (size_t)(uniform() * 63);
        for (size_t i = 0; i < n; i++)
            sum += values[i] = beta_like(run % 5);
        double lower = bound_mean_lower(values, n, 0.05);
        assert_true(lower >= 0 && lower <= sum / (double)n);
        double better[64];
        for (size_t i = 0; i < n; i++)
            better[n - 1 - i] = values[i] + (1 - values[i]) * uniform(); /* in another order, too */
        assert_true(bound_mean_lower(better, n, 0.05) >= lower - 1e-9);
        assert_true(bound_mean_lower(values, n, 0.01) <= lower + 1e-9);
    }
}

static void binary_values_lose_little_against_the_exact_bound(void **state)
{
    double values[256];
    for (size_t n = 32; n <= 256; n *= 2)
        for (size_t zeros = 1; zeros <= 4; zeros++) {
            for (size_t i = 0; i < n; i++)
                values[i] = i >= zeros;
            double exact = bound_share_lower(n - zeros, n, 0.05), lower = bound_mean_lower(values, n, 0.05);
            assert_true(lower <= exact + 1e-12);
            assert_true(lower >= exact - 1.6 / (double)n);
        }
}

static void strange_values_are_taken_at_their_worst(void **state)
{
    const double strange[] = {NAN, 1, 1, INFINITY, -INFINITY, 7, -1};
    const double plain[] = {0, 1, 1, 1, 0, 1, 0};
    assert_true(bound_mean_lower(strange, 7, 0.05) == bound_mean_lower(plain, 7, 0.05));
    assert_true(bound_mean_lower(strange, 1, 0.05) == 0);
    assert_true(bound_mean_lower(NULL, 0, 0.05) == 0);
}

/* ---- at any time ---- */

static void a_sequence_looked_at_after_every_label_misses_as_rarely_as_promised(void **state)
{
    enum { RUNS = 10000, LABELS = 400 };
    static double lower[LABELS + 1][LABELS + 1], upper[LABELS + 1][LABELS + 1];
    for (uint64_t n = 1; n <= LABELS; n++)
        for (uint64_t k = 0; k <= n; k++)
            bound_share_anytime(k, n, 0.05, &lower[n][k], &upper[n][k]);
    static const double truths[] = {0.5, 0.9};
    for (size_t t = 0; t < ARRAY_LEN(truths); t++) {
        int missed = 0;
        for (int run = 0; run < RUNS; run++) {
            size_t k = 0;
            for (size_t n = 1; n <= LABELS; n++) {
                k += uniform() < truths[t];
                if (truths[t] < lower[n][k] || truths[t] > upper[n][k]) {
                    missed++;
                    break;
                }
            }
        }
        assert_true(missed <= RUNS / 20);
        assert_true(missed > 10); /* and does miss sometimes: it is no bound of 0 and 1 */
    }
}

static void a_sequence_has_the_widths_that_were_measured_elsewhere(void **state)
{
    double lower, upper;
    bound_share_anytime(90, 100, 0.05, &lower, &upper);
    assert_true(fabs(lower - 0.773) < 0.01 && fabs(upper - 0.971) < 0.01);
    bound_share_anytime(900, 1000, 0.05, &lower, &upper);
    assert_true(fabs(lower - 0.862) < 0.01 && fabs(upper - 0.931) < 0.01);
    bound_share_anytime(0, 0, 0.05, &lower, &upper);
    assert_true(lower == 0 && upper == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(incomplete_beta_has_its_known_values_and_symmetry),
        cmocka_unit_test(shares_have_the_published_bounds),
        cmocka_unit_test(shares_are_covered_for_every_n_and_every_truth),
        cmocka_unit_test(it_takes_as_many_samples_as_are_told),
        cmocka_unit_test(all_ones_are_clopper_and_pearsons),
        cmocka_unit_test(means_are_covered_exactly_on_three_points),
        cmocka_unit_test(means_are_covered_in_simulation),
        cmocka_unit_test(means_lie_between_nothing_and_the_average),
        cmocka_unit_test(binary_values_lose_little_against_the_exact_bound),
        cmocka_unit_test(strange_values_are_taken_at_their_worst),
        cmocka_unit_test(a_sequence_looked_at_after_every_label_misses_as_rarely_as_promised),
        cmocka_unit_test(a_sequence_has_the_widths_that_were_measured_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
