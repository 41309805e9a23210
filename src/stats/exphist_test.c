#include "base/mem.h"
#include "base/testing.h"
#include "stats/exphist.h"

#include <math.h>

static uint64_t random_state = 1;

static double random_unit(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (double)(random_state >> 11) / 9007199254740992.0;
}

static double random_latency(void)
{
    return exp(6 * random_unit() - 2); /* e^-2 … e^4 ms */
}

static void fill(struct exphist *hist, int count)
{
    exphist_init(hist);
    for (int i = 0; i < count; i++)
        assert_true(exphist_add(hist, random_latency(), 1));
}

static void counts_equal(const struct exphist *a, const struct exphist *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->zero_count, b->zero_count);
    assert_int_equal(a->scale, b->scale);
    assert_int_equal(a->offset, b->offset);
    assert_int_equal(a->used, b->used);
    assert_memory_equal(a->counts, b->counts, a->used * sizeof a->counts[0]);
}

static void every_value_is_counted_once_in_its_bucket(void **state)
{
    for (int scale_span = 1; scale_span < 600; scale_span += 37) {
        struct exphist hist;
        exphist_init(&hist);
        for (int i = 0; i < 500; i++) {
            double value = exp2((random_unit() - 0.5) * scale_span);
            assert_true(exphist_add(&hist, value, 1 + (uint64_t)i % 3));
            assert_true(exphist_valid(&hist));
            struct exphist one;
            exphist_init(&one);
            exphist_add(&one, value, 1);
            double edge = exphist_quantile(&one, 1);
            assert_true(edge == value); /* clamped to max */
        }
    }
}

static void powers_of_two_sit_at_upper_edges(void **state)
{
    for (int exponent = -40; exponent < 40; exponent++) {
        struct exphist hist;
        exphist_init(&hist);
        exphist_add(&hist, ldexp(1, exponent), 1);
        exphist_add(&hist, ldexp(1, exponent + 1), 1); /* forces no common bucket at any scale >= 0 */
        assert_true(exphist_count_above(&hist, ldexp(1, exponent)) == 1);
        assert_true(exphist_count_above(&hist, ldexp(1, exponent + 1)) == 0);
    }
}

static void quantiles_are_within_the_bucket_error(void **state)
{
    enum { COUNT = 5000 };
    static double values[COUNT];
    struct exphist hist;
    exphist_init(&hist);
    for (int i = 0; i < COUNT; i++) {
        values[i] = random_latency();
        exphist_add(&hist, values[i], 1);
    }
    for (int i = 1; i < COUNT; i++) /* insertion sort is enough here */
        for (int j = i; j > 0 && values[j - 1] > values[j]; j--) {
            double swap = values[j];
            values[j] = values[j - 1];
            values[j - 1] = swap;
        }
    double growth = exp2(ldexp(1, -hist.scale));
    for (int percent = 1; percent <= 100; percent++) {
        double truth = values[(int)ceil(percent / 100.0 * COUNT) - 1];
        double estimate = exphist_quantile(&hist, percent / 100.0);
        assert_true(estimate >= truth * (1 - 1e-12) && estimate <= truth * growth * (1 + 1e-12));
    }
}

static void merging_is_commutative_associative_and_lossless(void **state)
{
    for (int round = 0; round < 50; round++) {
        struct exphist parts[3], left, right, whole;
        exphist_init(&whole);
        for (int p = 0; p < 3; p++) {
            exphist_init(&parts[p]);
            int count = (int)(random_unit() * 60);
            for (int i = 0; i < count; i++) {
                double value = random_unit() < 0.1 ? 0 : random_latency() * (p + 1);
                exphist_add(&parts[p], value, 1);
                exphist_add(&whole, value, 1);
            }
        }
        left = parts[0];
        exphist_merge(&left, &parts[1]);
        exphist_merge(&left, &parts[2]);
        right = parts[2];
        struct exphist tail = parts[1];
        exphist_merge(&tail, &parts[0]);
        exphist_merge(&right, &tail);
        assert_true(exphist_valid(&left));
        counts_equal(&left, &right);
        counts_equal(&left, &whole);
        assert_true(left.min == whole.min && left.max == whole.max);
    }
}

/* The sum too, and min and max: the whole struct. */
static void merge_range(const struct exphist *parts, const size_t *order, size_t from, size_t to,
                        struct exphist *out)
{
    if (to - from == 1) {
        *out = parts[order[from]];
        return;
    }
    struct exphist right;
    size_t cut = from + 1 + (size_t)(random_unit() * (double)(to - from - 1));
    merge_range(parts, order, from, cut, out);
    merge_range(parts, order, cut, to, &right);
    exphist_merge(out, &right);
}

static void shuffle(size_t *order, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)(random_unit() * (double)i), swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
}

static void any_partition_in_any_order_is_equal_bit_for_bit(void **state)
{
    enum { PARTS = 40, ROUNDS = 50 };
    static struct exphist parts[PARTS], first, again;
    size_t order[PARTS];
    for (int round = 0; round < ROUNDS; round++) {
        double reach = round % 5 == 4 ? 1e30 : 1; /* also sums that a double cannot hold */
        struct exphist whole;
        exphist_init(&whole);
        for (size_t p = 0; p < PARTS; p++) {
            exphist_init(&parts[p]);
            order[p] = p;
            for (int i = 0; i < 45; i++) {
                double value =
                    random_unit() < 0.05 ? 0 : random_latency() * (random_unit() < 0.1 ? reach : 1);
                uint64_t times = 1 + (uint64_t)(random_unit() * 3);
                exphist_add(&parts[p], value, times);
                exphist_add(&whole, value, times);
            }
        }
        merge_range(parts, order, 0, PARTS, &first);
        assert_memory_equal(&first, &whole, sizeof first);
        for (int again_round = 0; again_round < 20; again_round++) {
            shuffle(order, PARTS);
            merge_range(parts, order, 0, PARTS, &again);
            assert_memory_equal(&first, &again, sizeof first);
        }
    }
}

static void the_sum_is_right(void **state)
{
    struct exphist hist;
    exphist_init(&hist);
    exphist_add(&hist, 0.5, 1000000000);
    exphist_add(&hist, 1.25, 3);
    assert_true(hist.sum == 500000003.75 && hist.sum_rest == 0);
    exphist_add(&hist, ldexp(1, 70), 1);
    exphist_add(&hist, ldexp(1, 1000), UINT64_MAX / 4);
    assert_true(isfinite(hist.sum) && hist.sum > ldexp(1, 70) && exphist_valid(&hist));
    struct exphist self = hist;
    exphist_merge(&hist, &self);
    assert_true(hist.sum == self.sum); /* it stays at its end */
}

static void what_is_no_latency_is_refused_or_zero(void **state)
{
    struct exphist hist;
    fill(&hist, 10);
    assert_false(exphist_add(&hist, NAN, 1));
    assert_false(exphist_add(&hist, INFINITY, 1));
    assert_int_equal(hist.count, 10);
    assert_true(exphist_add(&hist, -3, 2));
    assert_int_equal(hist.zero_count, 2);
    assert_true(exphist_valid(&hist));
    hist.counts[0]++;
    assert_false(exphist_valid(&hist));
    struct exphist foreign = {.scale = 0, .offset = 5000, .used = 1, .count = 1, .counts = {1}};
    assert_false(exphist_valid(&foreign)); /* 2^5000 is no double */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_is_counted_once_in_its_bucket),
        cmocka_unit_test(powers_of_two_sit_at_upper_edges),
        cmocka_unit_test(quantiles_are_within_the_bucket_error),
        cmocka_unit_test(merging_is_commutative_associative_and_lossless),
        cmocka_unit_test(any_partition_in_any_order_is_equal_bit_for_bit),
        cmocka_unit_test(the_sum_is_right),
        cmocka_unit_test(what_is_no_latency_is_refused_or_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
