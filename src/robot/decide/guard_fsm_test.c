#include "base/testing.h"
#include "robot/decide/guard_fsm.h"

/* A world with two runners that come and go; the machine is told what a guard would tell it. */
struct world {
    bool started, active, primary, fallback;
};

static enum guard_event primary_lost(const struct world *world)
{
    return world->fallback ? GUARD_EV_PRIMARY_LOST_WITH_FALLBACK : GUARD_EV_PRIMARY_LOST_ALONE;
}

static enum guard_state change(struct world *world, enum guard_state state, uint32_t choice)
{
    switch (choice % 5) {
    case 0: /* the agent activates or deactivates */
        world->active = !world->active;
        if (!world->active)
            return guard_fsm_next(state, GUARD_EV_DEACTIVATED);
        return guard_fsm_next(state, world->primary ? GUARD_EV_PRIMARY_READY : primary_lost(world));
    case 1:
        world->primary = !world->primary;
        if (!world->active)
            return state;
        return guard_fsm_next(state, world->primary ? GUARD_EV_PRIMARY_READY : primary_lost(world));
    case 2:
        world->fallback = !world->fallback;
        if (!world->active)
            return state;
        return guard_fsm_next(state, world->fallback ? GUARD_EV_FALLBACK_READY : GUARD_EV_FALLBACK_LOST);
    default:
        return state;
    }
}

/* Invariants: a model answers only while its runner lives; the best living one answers; nothing answers
 * unless the agent activated something. The one exception is an activation whose primary is not there yet:
 * the guard stays in STANDBY. */
static void no_walk_lets_a_dead_runner_answer(void **state)
{
    uint32_t random = 12345;
    for (int walk = 0; walk < 2000; walk++) {
        struct world world = {0};
        enum guard_state now = guard_fsm_next(GUARD_INIT, GUARD_EV_STARTED);
        for (int step = 0; step < 60; step++) {
            random = random * 1664525u + 1013904223u;
            now = change(&world, now, random >> 16);
            enum guard_answer answer = guard_fsm_answer(now);
            if (answer == GUARD_ANSWER_PRIMARY)
                assert_true(world.active && world.primary);
            if (answer == GUARD_ANSWER_FALLBACK)
                assert_true(world.active && world.fallback && !world.primary);
            if (world.active && world.primary)
                assert_int_equal(answer, GUARD_ANSWER_PRIMARY);
            if (!world.active)
                assert_int_equal(answer, GUARD_ANSWER_SAFE);
        }
    }
}

static void nothing_leaves_init_but_started(void **state)
{
    for (int event = 0; event < GUARD_EVENT_COUNT; event++)
        assert_int_equal(guard_fsm_next(GUARD_INIT, event),
                         event == GUARD_EV_STARTED ? GUARD_STANDBY : GUARD_INIT);
    for (int from = GUARD_STANDBY; from < GUARD_STATE_COUNT; from++)
        for (int event = 0; event < GUARD_EVENT_COUNT; event++)
            assert_int_not_equal(guard_fsm_next(from, event), GUARD_INIT);
}

static void everything_has_a_name(void **state)
{
    for (int s = 0; s < GUARD_STATE_COUNT; s++)
        assert_string_not_equal(guard_state_name(s), "unknown");
    for (int e = 0; e < GUARD_EVENT_COUNT; e++)
        assert_string_not_equal(guard_event_name(e), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_walk_lets_a_dead_runner_answer),
        cmocka_unit_test(nothing_leaves_init_but_started),
        cmocka_unit_test(everything_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
