#include "robot/watch/cases.h"

#include "base/mem.h"
#include "base/testing.h"
#include "robot/ctl/ctl.h"
#include "stats/cause.h"

#include <math.h>
#include <string.h>

static const struct cases_about about = {"2.0.0", "onnxruntime 1.22.0 cpu"};
static struct cases cases;

static struct ring_verdict refused(enum intervention reason, enum cause_rule rule, float value, float limit)
{
    return (struct ring_verdict){.seq = 1234,
                                 .status = RING_VERDICT_SAFE,
                                 .reason = reason,
                                 .decided_ns = rule == CAUSE_TIME ? (int64_t)((double)value * 1e6) : 0,
                                 .deadline_ns = rule == CAUSE_TIME ? (int64_t)((double)limit * 1e6) : 0,
                                 .cause = {rule, 2, value, limit}};
}

static struct decision only_one(int64_t now_ms)
{
    struct decision out, other;
    assert_true(cases_take(&cases, now_ms, false, &out));
    assert_false(cases_take(&cases, now_ms, false, &other));
    return out;
}

static void a_late_result_is_told_in_numbers(void **state)
{
    (void)state;
    memset(&cases, 0, sizeof cases);
    struct ring_verdict late = refused(INTERVENED_DEADLINE, CAUSE_TIME, 61.2f, 60);
    cases_add(&cases, &late, &about, 0, 1700000000000);
    struct decision d = only_one(1000);
    assert_string_equal(d.rule, "deadline");
    assert_string_equal(d.because, "the result was not there 61.2 ms after its frame; 60.0 ms are allowed");
    assert_string_equal(d.otherwise, "at most 60.0 ms, and it would have passed");
    assert_string_equal(d.subject, "frame 1234");
    assert_string_equal(d.unit, "ms");
    assert_string_equal(d.engine, about.engine);
    assert_true(fabs(d.margin + 1.2) < 1e-4);
    assert_true(fabs(d.value - 61.2) < 1e-4 && d.limit == 60);
}

static void what_is_wrong_in_a_result_is_named(void **state)
{
    (void)state;
    memset(&cases, 0, sizeof cases);
    struct ring_verdict low = refused(INTERVENED_RANGE, CAUSE_SCORE, -0.5f, 0);
    cases_add(&cases, &low, &about, 0, 0);
    struct decision d = only_one(1000);
    assert_string_equal(d.subject, "frame 1234, detection 2");
    assert_true(d.margin == -0.5);
    struct ring_verdict nan = refused(INTERVENED_NOT_FINITE, CAUSE_BOX, NAN, 0);
    cases_add(&cases, &nan, &about, 0, 0);
    d = only_one(1000);
    assert_true(isnan(d.value) && isnan(d.margin));
    assert_non_null(strstr(d.because, "NaN"));
}

/* Any number in the place of reason and rule: a record or none, never nonsense read. */
static void foreign_numbers_do_no_harm(void **state)
{
    (void)state;
    memset(&cases, 0, sizeof cases);
    for (uint32_t reason = 0; reason < 40; reason++)
        for (uint32_t rule = 0; rule < 40; rule++) {
            struct ring_verdict verdict = refused((enum intervention)reason, CAUSE_BOX, INFINITY, NAN);
            struct decision d;
            verdict.cause.rule = rule;
            verdict.decided_ns = INT64_MIN;
            verdict.deadline_ns = INT64_MAX;
            cases_add(&cases, &verdict, &about, 0, 0);
            bool told = cases_take(&cases, 0, true, &d);
            assert_int_equal(told, reason < INTERVENTION_COUNT);
            if (told)
                assert_true(d.because[0] != 0);
        }
}

static void alike_ones_are_one(void **state)
{
    (void)state;
    memset(&cases, 0, sizeof cases);
    struct ring_verdict late = refused(INTERVENED_DEADLINE, CAUSE_TIME, 70, 60);
    struct ring_verdict wild = refused(INTERVENED_RANGE, CAUSE_BOX, 500, 320);
    struct decision d;
    for (int i = 0; i < 30; i++)
        cases_add(&cases, i % 3 ? &late : &wild, &about, 30 * i, 0);
    assert_false(cases_take(&cases, 999, false, &d));
    assert_true(cases_take(&cases, 1030, false, &d));
    assert_int_equal(d.count, 10);
    assert_true(cases_take(&cases, 1030, false, &d));
    assert_int_equal(d.count, 20);
}

/* Every frame of a day fails: nothing is left out of the counts, and it is no flood. */
static void a_long_failure_is_told_ever_more_rarely(void **state)
{
    (void)state;
    memset(&cases, 0, sizeof cases);
    struct ring_verdict late = refused(INTERVENED_DEADLINE, CAUSE_TIME, 70, 60);
    uint64_t records = 0, frames = 0, told = 0;
    for (int64_t now_ms = 0; now_ms < 3600000; now_ms += 100) {
        struct decision d;
        cases_add(&cases, &late, &about, now_ms, 0);
        frames++;
        for (; cases_take(&cases, now_ms, false, &d); records++)
            told += d.count;
    }
    struct decision rest = {0};
    if (cases_take(&cases, 0, true, &rest))
        told += rest.count;
    assert_int_equal(told, frames);
    assert_in_range(records, 10, 75);
}

static void what_could_not_be_told_waits(void **state)
{
    (void)state;
    memset(&cases, 0, sizeof cases);
    struct ring_verdict late = refused(INTERVENED_DEADLINE, CAUSE_TIME, 70, 60);
    cases_add(&cases, &late, &about, 0, 0);
    struct decision d = only_one(1000);
    cases_put_back(&cases, 1000);
    cases_add(&cases, &late, &about, 1500, 0);
    assert_int_equal(cases_due_ms(&cases), 2000);
    d = only_one(2000);
    assert_int_equal(d.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_result_is_told_in_numbers),
        cmocka_unit_test(what_is_wrong_in_a_result_is_named),
        cmocka_unit_test(foreign_numbers_do_no_harm),
        cmocka_unit_test(alike_ones_are_one),
        cmocka_unit_test(a_long_failure_is_told_ever_more_rarely),
        cmocka_unit_test(what_could_not_be_told_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
