/* The table against what it promises. */
#include "base/testing.h"
#include "robot/decide/guard_fsm.h"

static void test_a_lost_primary_never_answers(void **state)
{
    (void)state;
    for (int s = 0; s < GUARD_STATE_COUNT; s++)
        assert_int_not_equal(
            guard_fsm_answer(guard_fsm_step((enum guard_state)s, GUARD_EV_PRIMARY_LOST).next),
            GUARD_ANSWER_PRIMARY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_lost_primary_never_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
