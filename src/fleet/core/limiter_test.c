#include "base/testing.h"
#include "fleet/core/limiter.h"

#include <stdio.h>
#include <stdlib.h>

static struct limiter limiter;

/* Over any span no key gets more than burst + rate × span. */
static void test_never_more_than_the_rate(void **state)
{
    (void)state;
    unsigned seed = 1;
    limiter_init(&limiter, 60, 5);
    int64_t now = 1000, begin = now;
    long taken = 0;
    for (int i = 0; i < 20000; i++) {
        now += rand_r(&seed) % 400;
        taken += limiter_take(&limiter, "10.0.0.1", now, NULL);
        assert_true((double)taken <= 5 + (double)(now - begin) / 1000 + 1e-6);
    }
    assert_true((double)taken >= (double)(now - begin) / 1000 * 0.9);
}

static void test_the_wait_is_the_truth(void **state)
{
    (void)state;
    int64_t wait = -1, now = 5;
    limiter_init(&limiter, 30, 2);
    assert_true(limiter_take(&limiter, "a", now, &wait));
    assert_int_equal(wait, 0);
    assert_true(limiter_take(&limiter, "a", now, NULL));
    assert_false(limiter_take(&limiter, "a", now, &wait));
    assert_int_equal(wait, 2000);
    assert_false(limiter_take(&limiter, "a", now + wait - 1, NULL));
    assert_true(limiter_take(&limiter, "a", now + wait, NULL));
}

static void test_one_key_does_not_pay_for_another(void **state)
{
    (void)state;
    limiter_init(&limiter, 1, 1);
    assert_true(limiter_take(&limiter, "a", 0, NULL));
    assert_false(limiter_take(&limiter, "a", 0, NULL));
    assert_true(limiter_take(&limiter, "b", 0, NULL));
}

static void test_a_clock_that_stands_or_goes_back_gives_nothing(void **state)
{
    (void)state;
    limiter_init(&limiter, 60, 3);
    for (int i = 0; i < 3; i++)
        assert_true(limiter_take(&limiter, "a", 10000 - i * 1000, NULL));
    for (int i = 0; i < 100; i++)
        assert_false(limiter_take(&limiter, "a", 9000 - i, NULL));
}

static void test_a_flood_of_keys_is_bounded(void **state)
{
    (void)state;
    limiter_init(&limiter, 60, 1);
    for (int i = 0; i < 100000; i++) {
        char key[32];
        snprintf(key, sizeof key, "%d", i);
        assert_true(limiter_take(&limiter, key, i, NULL));
    }
    assert_false(limiter_take(&limiter, "99999", 99999, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_more_than_the_rate),
        cmocka_unit_test(test_the_wait_is_the_truth),
        cmocka_unit_test(test_one_key_does_not_pay_for_another),
        cmocka_unit_test(test_a_clock_that_stands_or_goes_back_gives_nothing),
        cmocka_unit_test(test_a_flood_of_keys_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
