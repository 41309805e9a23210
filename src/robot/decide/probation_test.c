#include "base/testing.h"
#include "robot/decide/probation.h"

static const struct probation_limits limits = {
    .duration_ms = 10000,
    .min_frames = 50,
    .latency_budget_ms = 40,
    .max_over_budget_share = 0.05,
    .max_intervention_share = 0.05,
    .max_runner_losses = 3,
    .alpha = 0.001,
};

static enum probation_verdict judge(struct probation_evidence evidence)
{
    char reason[160] = "";
    enum probation_verdict verdict = probation_judge(&limits, &evidence, reason, sizeof reason);
    assert_int_equal(verdict == PROBATION_FAIL, reason[0] != 0);
    return verdict;
}

static void a_healthy_release_passes_after_time_and_evidence(void **state)
{
    struct probation_evidence good = {.program_attached = true};
    for (int second = 0; second < 20; second++) {
        good.elapsed_ms = second * 1000;
        good.frames = good.inferences = (uint64_t)second * 5;
        bool enough = good.elapsed_ms >= limits.duration_ms && good.frames >= limits.min_frames;
        assert_int_equal(judge(good), enough ? PROBATION_PASS : PROBATION_WAIT);
    }
    struct probation_evidence idle = {.elapsed_ms = 10000};
    assert_int_equal(judge(idle), PROBATION_PASS); /* nobody gives frames: time alone decides */
}

static void each_criterion_fails_alone(void **state)
{
    struct probation_evidence good = {
        .elapsed_ms = 20000, .program_attached = true, .frames = 200, .inferences = 200};
    struct probation_evidence slow = good, meddled = good, crashing = good;
    slow.over_budget = 180;
    meddled.interventions = 60;
    crashing.runner_losses = 4;
    assert_int_equal(judge(good), PROBATION_PASS);
    assert_int_equal(judge(slow), PROBATION_FAIL);
    assert_int_equal(judge(meddled), PROBATION_FAIL);
    assert_int_equal(judge(crashing), PROBATION_FAIL);
}

static void a_clearly_slow_release_fails_within_a_few_frames(void **state)
{
    for (uint64_t frames = 0; frames < 30; frames++) {
        struct probation_evidence slow = {
            .program_attached = true, .frames = frames, .inferences = frames, .over_budget = frames};
        if (judge(slow) == PROBATION_FAIL) {
            assert_in_range(frames, 2, 10);
            return;
        }
    }
    fail_msg("never failed");
}

static void one_hiccup_is_no_regression(void **state)
{
    struct probation_evidence hiccup = {.elapsed_ms = 1000,
                                        .program_attached = true,
                                        .frames = 5,
                                        .inferences = 5,
                                        .over_budget = 1,
                                        .interventions = 1};
    assert_int_equal(judge(hiccup), PROBATION_WAIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_healthy_release_passes_after_time_and_evidence),
        cmocka_unit_test(each_criterion_fails_alone),
        cmocka_unit_test(a_clearly_slow_release_fails_within_a_few_frames),
        cmocka_unit_test(one_hiccup_is_no_regression),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
