#include "base/testing.h"
#include "robot/decide/shadow.h"

static const struct shadow_limits limits = {
    .frames = 20, .min_agreement = 0.9, .wait_ms = 10000, .total_ms = 600000, .max_runner_losses = 1};

static enum shadow_verdict judge(struct shadow_evidence evidence)
{
    char reason[160];
    enum shadow_verdict verdict = shadow_judge(&limits, &evidence, reason, sizeof reason);
    assert_int_equal(verdict == SHADOW_WAIT, reason[0] == 0);
    return verdict;
}

static void enough_frames_that_agree_pass(void **state)
{
    for (uint64_t n = 0; n <= 20; n++) {
        struct shadow_evidence good = {.compared = n, .agreed = n > 1 ? n - 1 : n};
        assert_int_equal(judge(good), n < 20 ? SHADOW_WAIT : SHADOW_PASS);
    }
    struct shadow_evidence just = {.compared = 20, .agreed = 18}, more = {.compared = 23, .agreed = 21};
    assert_int_equal(judge(just), SHADOW_PASS);
    assert_int_equal(judge(more), SHADOW_PASS);
}

static void it_fails_as_soon_as_agreement_is_out_of_reach(void **state)
{
    for (uint64_t wrong = 0; wrong < 20; wrong++) {
        struct shadow_evidence odd = {.compared = wrong};
        assert_int_equal(judge(odd), wrong > 2 ? SHADOW_FAIL : SHADOW_WAIT);
    }
}

static void one_unsound_result_is_enough_and_a_lost_runner_is_not(void **state)
{
    struct shadow_evidence unsound = {.compared = 20, .agreed = 20, .unsound = 1};
    struct shadow_evidence crashed = {.compared = 20, .agreed = 20, .runner_losses = 1}, often = crashed;
    often.runner_losses = 2;
    assert_int_equal(judge(unsound), SHADOW_FAIL);
    assert_int_equal(judge(crashed), SHADOW_PASS);
    assert_int_equal(judge(often), SHADOW_FAIL);
}

static void without_frames_it_goes_on_and_says_so(void **state)
{
    struct shadow_evidence alone = {.alone = true}, early = {.elapsed_ms = 9999, .idle_ms = 9999};
    struct shadow_evidence idle = {.elapsed_ms = 20000, .idle_ms = 10000, .compared = 5, .agreed = 5};
    assert_int_equal(judge(alone), SHADOW_SKIP);
    assert_int_equal(judge(early), SHADOW_WAIT);
    assert_int_equal(judge(idle), SHADOW_SKIP);
    idle.agreed = 2; /* what came was enough to refuse it */
    assert_int_equal(judge(idle), SHADOW_FAIL);
}

static void when_time_is_over_the_frames_there_are_decide(void **state)
{
    struct shadow_evidence slow = {.elapsed_ms = 600000, .idle_ms = 100, .compared = 10, .agreed = 9};
    assert_int_equal(judge(slow), SHADOW_PASS);
    slow.agreed = 8;
    assert_int_equal(judge(slow), SHADOW_FAIL);
    slow.compared = slow.agreed = 0;
    assert_int_equal(judge(slow), SHADOW_SKIP);
}

static void none_wanted_is_passed_at_once(void **state)
{
    char reason[160];
    const struct shadow_limits none = {.min_agreement = 1};
    const struct shadow_evidence bad = {.unsound = 3};
    assert_int_equal(shadow_judge(&none, &bad, reason, sizeof reason), SHADOW_PASS);
    assert_string_equal(reason, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enough_frames_that_agree_pass),
        cmocka_unit_test(it_fails_as_soon_as_agreement_is_out_of_reach),
        cmocka_unit_test(one_unsound_result_is_enough_and_a_lost_runner_is_not),
        cmocka_unit_test(without_frames_it_goes_on_and_says_so),
        cmocka_unit_test(when_time_is_over_the_frames_there_are_decide),
        cmocka_unit_test(none_wanted_is_passed_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
