#include "forge/calib/tally.h"

#include "base/mem.h"
#include "base/testing.h"

#include <math.h>
#include <string.h>

enum { COUNT = 10007 };

static float values[COUNT];

static void fill(uint32_t seed)
{
    for (int i = 0; i < COUNT; i++) {
        seed = seed * 1664525 + 1013904223;
        values[i] = (float)(seed >> 8) / (1 << 20) - 5;
    }
}

static void moments_are_those_of_the_definition(void **state)
{
    fill(1);
    struct tally tally = {0};
    double sum = 0, square = 0;
    float low = INFINITY, high = -INFINITY;
    for (int i = 0; i < COUNT; i++) {
        sum += values[i];
        square += (double)values[i] * values[i];
        low = fminf(low, values[i]);
        high = fmaxf(high, values[i]);
    }
    tally_add(&tally, values, COUNT);
    assert_int_equal(tally.count, COUNT);
    assert_int_equal(tally.broken, 0);
    assert_float_equal(tally.min, low, 0);
    assert_float_equal(tally.max, high, 0);
    assert_true(fabs(tally.sum - sum) < 1e-6 * fabs(sum));
    assert_true(fabs(tally.sum_square - square) < 1e-6 * square);
}

static void what_is_not_finite_is_left_out_and_counted(void **state)
{
    const float odd[] = {NAN, 3, INFINITY, -2, -INFINITY, 1};
    struct tally tally = {0};
    uint64_t bins[TALLY_BINS] = {0};
    tally_add(&tally, odd, ARRAY_LEN(odd));
    assert_int_equal(tally.count, 3);
    assert_int_equal(tally.broken, 3);
    assert_float_equal(tally.min, -2, 0);
    assert_float_equal(tally.max, 3, 0);
    assert_true(tally.sum == 2 && tally.sum_square == 14);
    tally_count(bins, tally.min, tally.max, odd, ARRAY_LEN(odd));
    assert_int_equal(bins[0], 1);
    assert_int_equal(bins[(size_t)(3.0 / 5 * TALLY_BINS)], 1);
    assert_int_equal(bins[TALLY_BINS - 1], 1);
    struct tally none = {0};
    tally_add(&none, odd, 1);
    assert_true(none.count == 0 && none.min == 0 && none.max == 0 && none.sum == 0);
}

static void bins_hold_every_value_once_where_it_belongs(void **state)
{
    uint64_t bins[TALLY_BINS] = {0}, want[TALLY_BINS] = {0}, total = 0;
    fill(2);
    struct tally tally = {0};
    tally_add(&tally, values, COUNT);
    double width = ((double)tally.max - (double)tally.min) / TALLY_BINS;
    for (int i = 0; i < COUNT; i++)
        want[MIN((size_t)(((double)values[i] - (double)tally.min) / width), (size_t)TALLY_BINS - 1)]++;
    tally_count(bins, tally.min, tally.max, values, COUNT);
    size_t off = 0; /* on an edge between two bins the two ways of dividing may differ */
    for (size_t i = 0; i < TALLY_BINS; i++) {
        total += bins[i];
        off += bins[i] != want[i];
    }
    assert_int_equal(total, COUNT);
    assert_true(off <= 4);
}

static void one_value_only_and_the_widest_range(void **state)
{
    const float same[] = {7, 7, 7}, wide[] = {-3e38F, 3e38F};
    uint64_t bins[TALLY_BINS] = {0};
    tally_count(bins, 7, 7, same, 3);
    assert_int_equal(bins[0], 3);
    memset(bins, 0, sizeof bins);
    tally_count(bins, -3e38F, 3e38F, wide, 2);
    assert_int_equal(bins[0], 1);
    assert_int_equal(bins[TALLY_BINS - 1], 1);
    tally_count(bins, 0, 1, same, 0);
    memset(bins, 0, sizeof bins);
    tally_count(bins, 0, 1, wide, 2); /* beyond both ends */
    assert_int_equal(bins[0] + bins[TALLY_BINS - 1], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_those_of_the_definition),
        cmocka_unit_test(what_is_not_finite_is_left_out_and_counted),
        cmocka_unit_test(bins_hold_every_value_once_where_it_belongs),
        cmocka_unit_test(one_value_only_and_the_widest_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
