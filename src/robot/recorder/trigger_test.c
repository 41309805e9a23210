#include "base/testing.h"

#include "robot/recorder/trigger.h"

#define S 1000000000ll
static const struct trigger_options usual = {.before_ns = 15 * S,
                                             .after_ns = 10 * S,
                                             .longest_ns = 30 * S,
                                             .interventions = 5,
                                             .window_ns = 10 * S,
                                             .quiet_ns = 60 * S};

static struct trigger make(void)
{
    struct trigger trigger;
    trigger_init(&trigger, &usual);
    return trigger;
}

static void test_a_state_counts_when_it_is_entered(void **state)
{
    struct trigger t = make();
    trigger_state(&t, GUARD_HOLD, NULL, 1 * S); /* it was in it before */
    assert_false(t.open);
    trigger_state(&t, GUARD_AUTO, NULL, 2 * S);
    assert_false(t.open);
    trigger_state(&t, GUARD_HOLD, &(struct trigger_why){.who = "ann"}, 3 * S);
    assert_true(t.open);
    assert_int_equal(t.cause, CAUSE_HOLD);
    assert_string_equal(t.why.who, "ann");
    assert_false(trigger_due(&t, 13 * S - 1));
    assert_true(trigger_due(&t, 13 * S));
    trigger_close(&t);
    trigger_state(&t, GUARD_HOLD, NULL, 20 * S);
    assert_false(t.open);
}

static void test_every_state_that_matters(void **state)
{
    static const uint32_t grave[] = {GUARD_FALLBACK, GUARD_FORCED,    GUARD_HOLD,
                                     GUARD_OVERRIDE, GUARD_SAFE_STOP, GUARD_ESTOP};
    for (uint32_t to = 0; to < GUARD_STATE_COUNT; to++) {
        bool wanted = false;
        for (size_t i = 0; i < sizeof grave / sizeof grave[0]; i++)
            wanted |= grave[i] == to;
        struct trigger t = make();
        trigger_state(&t, GUARD_AUTO, NULL, 1);
        trigger_state(&t, to, NULL, 2);
        assert_int_equal(t.open, wanted && to != GUARD_AUTO);
    }
}

static void test_overlapping_ones_are_one_event_of_bounded_length(void **state)
{
    struct trigger t = make();
    trigger_pull(&t, CAUSE_FALLBACK, NULL, 100 * S);
    trigger_pull(&t, CAUSE_ESTOP, NULL, 105 * S);
    assert_int_equal(t.cause, CAUSE_ESTOP);
    assert_int_equal(t.first_ns, 100 * S);
    assert_int_equal(t.at_ns, 105 * S);
    assert_int_equal(t.until_ns, 115 * S);
    trigger_pull(&t, CAUSE_HOLD, NULL, 112 * S); /* less grave: the end moves, the cause stays */
    assert_int_equal(t.cause, CAUSE_ESTOP);
    assert_int_equal(t.at_ns, 105 * S);
    assert_int_equal(t.until_ns, 122 * S);
    for (int64_t now = 113; now < 130; now++)
        trigger_pull(&t, CAUSE_HOLD, NULL, now * S);
    assert_int_equal(t.until_ns, 130 * S);
    assert_true(trigger_due(&t, 130 * S));
    trigger_close(&t);
    trigger_pull(&t, CAUSE_FALLBACK, NULL, 131 * S); /* a new one, with a cause of its own */
    assert_int_equal(t.cause, CAUSE_FALLBACK);
    assert_int_equal(t.first_ns, 131 * S);
}

static void test_many_interventions(void **state)
{
    struct trigger t = make();
    for (int64_t i = 0; i < 4; i++)
        trigger_intervention(&t, INTERVENED_RANGE, (100 + i) * S);
    assert_false(t.open);
    trigger_intervention(&t, INTERVENED_OVERSIGHT, 104 * S);
    trigger_intervention(&t, INTERVENED_RUNNER_LOST, 104 * S);
    assert_false(t.open);
    trigger_intervention(&t, INTERVENED_DEADLINE, 105 * S);
    assert_true(t.open);
    assert_int_equal(t.cause, CAUSE_INTERVENTIONS);
    trigger_close(&t);
    for (int64_t i = 1060; i < 1640; i++) /* ten a second, but quiet for a minute */
        trigger_intervention(&t, INTERVENED_RANGE, i * S / 10);
    assert_false(t.open);
    for (int64_t i = 1640; i < 1660; i++)
        trigger_intervention(&t, INTERVENED_RANGE, i * S / 10);
    assert_true(t.open);
}

static void test_seldom_interventions_are_none(void **state)
{
    struct trigger t = make();
    for (int64_t i = 1; i < 100; i++)
        trigger_intervention(&t, INTERVENED_RANGE, i * 3 * S);
    assert_false(t.open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_state_counts_when_it_is_entered),
        cmocka_unit_test(test_every_state_that_matters),
        cmocka_unit_test(test_overlapping_ones_are_one_event_of_bounded_length),
        cmocka_unit_test(test_many_interventions),
        cmocka_unit_test(test_seldom_interventions_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
