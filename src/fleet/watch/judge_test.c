#include "fleet/watch/judge.h"

#include "base/mem.h"
#include "base/testing.h"

#include <math.h>

enum { ROBOTS = 100 };

static const struct watch_limits limits = {
    .robot_arl = 1e6, .fleet_arl = 1e5, .share = 0.02, .false_discoveries = 0.1};

static struct watch_voice voices[ROBOTS];
static double logs[ROBOTS];
static size_t order[ROBOTS], found[ROBOTS];
static struct watch_finding finding;

static void calm(void)
{
    for (size_t i = 0; i < ROBOTS; i++)
        voices[i] = (struct watch_voice){.log10_e = 0.5 + (double)(i % 5) * 0.3};
}

static void judge(void)
{
    watch_judge(voices, ROBOTS, &limits, logs, order, found, &finding);
}

static void a_calm_fleet_is_left_alone(void **state)
{
    calm();
    judge();
    assert_false(finding.common);
    assert_int_equal(finding.count, 0);
}

/* One robot, however loud: itself, not the fleet. */
static void one_that_shouts_is_pointed_at_alone(void **state)
{
    const double shouts[] = {9, 40, 1e300, (double)INFINITY};
    for (size_t i = 0; i < ARRAY_LEN(shouts); i++) {
        calm();
        voices[17].log10_e = shouts[i];
        voices[17].cause = DRIFT_SENSOR;
        judge();
        assert_false(finding.common);
        assert_int_equal(finding.count, 1);
        assert_int_equal(found[0], 17);
        assert_int_equal(finding.cause, DRIFT_SENSOR);
    }
}

static void a_common_cause_is_one_finding(void **state)
{
    calm();
    for (size_t i = 0; i < 10; i++)
        voices[i * 7] = (struct watch_voice){.log10_e = 9, .cause = DRIFT_NOVELTY};
    judge();
    assert_true(finding.common);
    assert_int_equal(finding.cause, DRIFT_NOVELTY);
    assert_true(finding.count >= 10);
    for (size_t i = 1; i < finding.count; i++)
        assert_true(found[i - 1] < found[i]);
}

static void nonsense_counts_for_nothing(void **state)
{
    calm();
    for (size_t i = 0; i < ROBOTS; i += 2)
        voices[i].log10_e = NAN;
    voices[3].cause = (enum drift_cause)77;
    voices[3].alarm = true;
    judge();
    assert_false(finding.common);
    assert_int_equal(finding.count, 1);
    assert_int_equal(finding.cause, DRIFT_NONE);
    watch_judge(voices, 0, &limits, logs, order, found, &finding);
    assert_false(finding.common);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_calm_fleet_is_left_alone),
        cmocka_unit_test(one_that_shouts_is_pointed_at_alone),
        cmocka_unit_test(a_common_cause_is_one_finding),
        cmocka_unit_test(nonsense_counts_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
