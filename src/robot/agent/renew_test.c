/* When a certificate is renewed. That it is, over a real server and through kills, is tests/test_identity.py. */
#include "base/testing.h"

#include "robot/agent/renew.h"
#include "trust/ca.h"

enum { ISSUED_S = 1800000000, DAY_S = 86400, DAY_MS = DAY_S * 1000 };

static int64_t delay(int64_t life_s, int64_t wall_s, uint32_t random)
{
    return renew_delay_ms(ISSUED_S - CERT_BACKDATE_S, ISSUED_S + life_s, wall_s, random);
}

/* Whatever is drawn, and whenever the agent starts: never before 45 % of the life, never after 55 %. */
static void test_at_half_of_its_life(void **state)
{
    int64_t least = INT64_MAX, most = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        int64_t passed_s = i % (DAY_S * 9 / 20);
        int64_t at_ms = passed_s * 1000 + delay(DAY_S, ISSUED_S + passed_s, i * 2654435761u);
        least = at_ms < least ? at_ms : least;
        most = at_ms > most ? at_ms : most;
    }
    assert_in_range(least, DAY_MS / 100 * 45, DAY_MS / 100 * 46);
    assert_in_range(most, DAY_MS / 100 * 54, DAY_MS / 100 * 55);
}

static void test_what_is_late_is_due_now(void **state)
{
    assert_int_equal(delay(DAY_S, ISSUED_S + DAY_S * 3 / 5, 7), 0);
    assert_int_equal(delay(DAY_S, ISSUED_S + DAY_S, 7), 0);
    assert_int_equal(delay(DAY_S, ISSUED_S + 40 * DAY_S, 7), 0); /* over: there is the grace */
}

/* A clock that stands before the certificate's beginning, or behind its end, says nothing. */
static void test_a_clock_that_is_wrong(void **state)
{
    assert_int_equal(delay(DAY_S, 0, 7), 0);
    assert_int_equal(delay(DAY_S, ISSUED_S - CERT_BACKDATE_S - 1, 7), 0);
    assert_true(delay(DAY_S, ISSUED_S - CERT_BACKDATE_S, 7) > 0); /* a little slow */
    assert_true(delay(DAY_S, ISSUED_S - CERT_BACKDATE_S, 7) <= DAY_MS / 100 * 55);
}

/* Lives of seconds, as in tests, and of years. */
static void test_any_life(void **state)
{
    for (int64_t life_s = 1; life_s < 100LL * 365 * DAY_S; life_s = life_s * 3 + 1) {
        int64_t at_ms = delay(life_s, ISSUED_S, (uint32_t)life_s * 40503u);
        assert_in_range(at_ms, life_s * 450, life_s * 550);
    }
}

/* A server cannot raise the floor under the clock beyond what the offline keys' root allows; clocks that stand, and roots that are over, still pass. */
static void test_how_far_ahead_it_may_begin(void **state)
{
    int64_t root_s = ISSUED_S + 365LL * DAY_S, far_s = ISSUED_S + 10 * 365LL * DAY_S;
    assert_true(renew_latest_s(ISSUED_S, root_s) < far_s);
    assert_true(renew_latest_s(0, root_s) > ISSUED_S); /* woke in 1970 */
    assert_true(renew_latest_s(0, root_s) < far_s);
    assert_true(renew_latest_s(ISSUED_S, ISSUED_S - 200LL * DAY_S) >
                ISSUED_S);                                            /* root is over, the clock goes */
    assert_true(renew_latest_s(0, ISSUED_S - 30 * DAY_S) > ISSUED_S); /* root is over, the clock stands */
    assert_true(renew_latest_s(ISSUED_S, 0) > far_s);                 /* no root: nothing to hold on to */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_half_of_its_life),        cmocka_unit_test(test_what_is_late_is_due_now),
        cmocka_unit_test(test_a_clock_that_is_wrong),      cmocka_unit_test(test_any_life),
        cmocka_unit_test(test_how_far_ahead_it_may_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
