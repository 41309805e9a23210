/* The installed header alone: it must compile without any other header of the project, and its handles must
 * be inert without a guard. */
#include "muster/muster.h"

#include "base/testing.h"

#include <string.h>

static void without_a_guard_every_frame_is_safe(void **state)
{
    struct muster_options options = {.run_dir = "/nonexistent/run", .width = 16, .height = 8};
    struct muster *robot = NULL;
    char why[MUSTER_TEXT_SIZE];
    assert_int_equal(muster_open(&options, &robot, why), 0);
    assert_int_equal(muster_connected(robot), 0);
    for (int i = 0; i < 100; i++) {
        struct muster_verdict verdict;
        memset(&verdict, 0xff, sizeof verdict);
        memset(muster_frame_begin(robot), i, 16 * 8 * 3);
        uint64_t seq = muster_frame_submit(robot, 0, 1000000);
        assert_int_equal(muster_verdict_wait(robot, seq, &verdict), MUSTER_SAFE);
        assert_int_equal(verdict.reason, MUSTER_REASON_NO_GUARD);
        assert_int_equal(verdict.count, 0);
        assert_int_equal(verdict.seq, seq);
        for (size_t k = 0; k < MUSTER_MAX_VALUES; k++) /* nothing of an older answer is left to act upon */
            assert_true(verdict.values[k] == 0);
    }
    struct muster_verdict verdict;
    assert_int_equal(muster_verdict_wait(robot, 999, &verdict), MUSTER_SAFE);
    assert_int_equal(verdict.reason, MUSTER_REASON_UNKNOWN);
    assert_int_equal(muster_verdict_wait(robot, 0, &verdict), MUSTER_SAFE);
    muster_close(robot);
}

static void impossible_options_are_refused_with_a_line(void **state)
{
    static const struct muster_options bad[] = {
        {.run_dir = NULL, .width = 16, .height = 16},
        {.run_dir = "/tmp", .width = 0, .height = 16},
        {.run_dir = "/tmp", .width = 16, .height = UINT32_MAX},
        {.run_dir = "/tmp", .width = 16, .height = 16, .slots = 3},
        {.run_dir = "/tmp", .width = 8192, .height = 8192},
        {.run_dir = "/tmp", .width = 16, .height = 16, .floats = 3},
        {.run_dir = "/tmp", .floats = (16 << 20) + 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct muster *robot = NULL;
        char why[MUSTER_TEXT_SIZE] = "";
        assert_int_equal(muster_open(&bad[i], &robot, why), -1);
        assert_null(robot);
        assert_true(strlen(why) > 0);
    }
    muster_close(NULL);
}

static void floats_and_the_stop_work_without_a_guard(void **state)
{
    struct muster_options options = {.run_dir = "/nonexistent/run", .floats = 5, .slots = 2};
    struct muster *robot = NULL;
    struct muster_verdict verdict;
    char why[MUSTER_TEXT_SIZE];
    assert_int_equal(muster_open(&options, &robot, why), 0);
    for (int i = 0; i < 10; i++) {
        float *values = muster_values_begin(robot);
        for (int v = 0; v < 5; v++)
            values[v] = (float)v;
        muster_sequence_end(robot);
        assert_int_equal(muster_estop(robot, i % 2), -1);
        assert_int_equal(muster_verdict_wait(robot, muster_frame_submit(robot, 0, 1000), &verdict),
                         MUSTER_SAFE);
        assert_int_equal(verdict.state, MUSTER_STATE_UNKNOWN);
        assert_int_equal(verdict.value_count, 0);
    }
    muster_close(robot);
}

static void every_name_is_there(void **state)
{
    for (int reason = MUSTER_REASON_DEADLINE; reason <= MUSTER_REASON_INVALID; reason++)
        assert_string_not_equal(muster_reason_name((enum muster_reason)reason), "unknown_");
    assert_string_equal(muster_reason_name(MUSTER_REASON_INVALID), "invalid");
    assert_string_equal(muster_answer_name(MUSTER_SAFE), "safe");
    assert_string_equal(muster_state_name(MUSTER_STATE_INIT), "init");
    assert_string_equal(muster_state_name(MUSTER_STATE_SERVICE), "service");
    assert_string_equal(muster_state_name(MUSTER_STATE_UNKNOWN), "unknown");
    assert_string_equal(muster_answer_name((enum muster_answer)77), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_guard_every_frame_is_safe),
        cmocka_unit_test(impossible_options_are_refused_with_a_line),
        cmocka_unit_test(floats_and_the_stop_work_without_a_guard),
        cmocka_unit_test(every_name_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
