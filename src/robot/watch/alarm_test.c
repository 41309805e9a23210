/* Alarms of drift: told once, known by their times, gone when somebody has seen just them. */
#include "robot/watch/core_testing.h"

#include "wire/decision.h"

/* Until an alarm is told, or so many minutes are over; the time that it was told with, or 0. */
static int64_t minutes_to_alarm(struct core *core, int64_t *at, int64_t most)
{
    struct decision alarm;
    struct err err = {0};
    int before = told.count[MAILBOX_EVENT];
    for (int64_t end = *at + most; *at < end && told.count[MAILBOX_EVENT] == before; ++*at)
        minute(core, *at, SIGNAL_SHARPNESS, -3);
    if (told.count[MAILBOX_EVENT] == before)
        return 0;
    assert_ok(decision_parse(told.last_event, strlen(told.last_event), &alarm, &err), err);
    assert_int_equal(alarm.who, DECIDER_DRIFT);
    assert_true(digest_equal(&alarm.release, &release));
    return alarm.time_ms;
}

static int64_t learn_and_alarm(struct core *core, int64_t *at)
{
    for (; *at < 60; ++*at)
        minute(core, *at, SIGNAL_SHARPNESS, 0);
    int64_t time_ms = minutes_to_alarm(core, at, 200);
    assert_true(time_ms > 0);
    return time_ms;
}

static bool stands(const struct core *core)
{
    struct drift_report report;
    assert_true(core_drift(core, &release, &report));
    return report.alarm;
}

static void say_seen(struct core *core, const struct digest *of, int64_t time_ms)
{
    static struct seen_list list;
    list.items[0] = (struct seen_alarm){.number = 1, .release = *of, .time_ms = time_ms};
    list.count = 1;
    core_seen(core, &list);
}

/* Only the alarm that was seen: not an older one, not a newer one, not that of another release. */
static void who_saw_one_alarm_saw_no_other(void **state)
{
    (void)state;
    int64_t at = 0;
    struct drift_report report;
    struct digest other = {{7}};
    cleanup_core struct core *core = begin(false);
    int64_t first = learn_and_alarm(core, &at);
    say_seen(core, &release, first - 1);
    say_seen(core, &release, first + 1);
    say_seen(core, &other, first);
    assert_true(stands(core));
    say_seen(core, &release, first);
    assert_true(core_drift(core, &release, &report) && !report.alarm);
    assert_true(report.log10_e <= 0); /* the detectors begin anew */
    int64_t second = minutes_to_alarm(core, &at, 200);
    assert_true(second > first);
    say_seen(core, &release, first); /* comes again */
    assert_true(stands(core));
    say_seen(core, &release, second);
    assert_false(stands(core));
}

/* Told again because it looks like something else by now: who saw it as what it was has not seen that. */
static void what_is_told_anew_is_to_be_seen_anew(void **state)
{
    (void)state;
    int64_t at = 0;
    struct decision alarm;
    struct err err = {0};
    cleanup_core struct core *core = begin(false);
    int64_t first = learn_and_alarm(core, &at);
    for (int i = 0; i < 400 && told.count[MAILBOX_EVENT] == 1; i++)
        minute(core, at++, SIGNAL_LUMA, 6);
    assert_int_equal(told.count[MAILBOX_EVENT], 2);
    assert_ok(decision_parse(told.last_event, strlen(told.last_event), &alarm, &err), err);
    assert_string_equal(alarm.rule, "environment");
    say_seen(core, &release, first);
    assert_true(stands(core));
    say_seen(core, &release, alarm.time_ms);
    assert_false(stands(core));
}

static void an_alarm_that_was_told_survives_and_so_does_what_was_seen(void **state)
{
    (void)state;
    int64_t at = 0;
    struct core *core = begin(true);
    int64_t first = learn_and_alarm(core, &at);
    core_free(core); /* killed */
    core = begin(true);
    minute(core, at++, SIGNAL_SHARPNESS, -3);
    minute(core, at++, SIGNAL_SHARPNESS, -3);
    assert_true(stands(core));
    assert_int_equal(told.count[MAILBOX_EVENT], 0); /* it is the one that was told */
    say_seen(core, &release, first);
    assert_false(stands(core));
    core_free(core); /* killed */
    core = begin(true);
    verdict.seq++;
    core_verdict(core, &verdict, at * MINUTE_MS, 1700000000000);
    assert_false(stands(core));
    core_free(core);
}

/* People saw it while the robot was on another release, or while nobody watched. */
static void a_release_that_comes_back_hears_of_it(void **state)
{
    (void)state;
    int64_t at = 0;
    struct core *core = begin(true);
    int64_t first = learn_and_alarm(core, &at);
    core_free(core);
    core = begin(true);
    say_seen(core, &release, first);
    verdict.seq++;
    core_verdict(core, &verdict, at * MINUTE_MS, 1700000000000);
    assert_false(stands(core));
    assert_true(minutes_to_alarm(core, &at, 200) > first);
    assert_true(stands(core));
    core_free(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_saw_one_alarm_saw_no_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_told_anew_is_to_be_seen_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_alarm_that_was_told_survives_and_so_does_what_was_seen, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_release_that_comes_back_hears_of_it, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
