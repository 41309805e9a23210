#include "base/mem.h"
#include "base/testing.h"
#include "robot/decide/install.h"

static struct install_slot slot_of(int number)
{
    struct install_slot slot = {.manifest_size = 100};
    memset(slot.release.bytes, number, sizeof slot.release.bytes);
    snprintf(slot.name, sizeof slot.name, "detector");
    snprintf(slot.version, sizeof slot.version, "%d.0.0", number);
    return slot;
}

static int number_of(const struct install_slot *slot)
{
    return slot->release.bytes[0];
}

static enum install_action step(struct install *install, enum install_event_kind kind)
{
    struct install_event event = {.kind = kind, .slot = install->candidate, .now_ms = 1000};
    enum install_action action;
    install_step(install, &event, &action);
    assert_true(install_valid(install));
    return action;
}

static enum install_action assign(struct install *install, int number, bool rollback)
{
    struct install_event event = {.kind = INSTALL_EV_ASSIGNED,
                                  .slot = slot_of(number),
                                  .counter = install->assignment_counter + 1,
                                  .rollback = rollback};
    enum install_action action;
    assert_true(install_step(install, &event, &action));
    assert_true(install_valid(install));
    return action;
}

static void run_to_probation(struct install *install, int number)
{
    assert_int_equal(assign(install, number, false), INSTALL_DO_FETCH);
    assert_int_equal(step(install, INSTALL_EV_FETCHED), INSTALL_DO_VERIFY);
    assert_int_equal(step(install, INSTALL_EV_VERIFIED), INSTALL_DO_SELF_TEST);
    assert_int_equal(step(install, INSTALL_EV_SELF_TESTED), INSTALL_DO_SHADOW);
    assert_int_equal(step(install, INSTALL_EV_SHADOWED), INSTALL_DO_ACTIVATE);
    assert_int_equal(step(install, INSTALL_EV_ACTIVATED), INSTALL_DO_WATCH);
    assert_int_equal(number_of(&install->current), number);
}

static void the_whole_way_and_back(void **state)
{
    struct install install = {.next_generation = 1};
    run_to_probation(&install, 1);
    step(&install, INSTALL_EV_PROBATION_PASSED);
    run_to_probation(&install, 2);
    step(&install, INSTALL_EV_PROBATION_PASSED);
    uint64_t hot = install.current.generation;
    run_to_probation(&install, 3);
    step(&install, INSTALL_EV_PROBATION_FAILED);
    assert_int_equal(number_of(&install.current), 2);
    assert_int_equal(install.current.generation, hot); /* the hot runner answers again: no new start */
    assert_int_equal(install.blocked.bytes[0], 3);
    assert_int_equal(assign(&install, 2, true),
                     INSTALL_DO_NOTHING); /* the server comes to the same conclusion */
}

static void a_server_rollback_to_the_hot_release_is_one_switch(void **state)
{
    struct install install = {.next_generation = 1};
    run_to_probation(&install, 1);
    step(&install, INSTALL_EV_PROBATION_PASSED);
    run_to_probation(&install, 2);
    step(&install, INSTALL_EV_PROBATION_PASSED);
    assert_int_equal(assign(&install, 1, false), INSTALL_DO_REFUSE_OLDER);
    assert_int_equal(number_of(&install.current), 2);
    assert_int_equal(assign(&install, 1, true), INSTALL_DO_ACTIVATE);
    assert_int_equal(step(&install, INSTALL_EV_ACTIVATED), INSTALL_DO_NOTHING);
    assert_int_equal(number_of(&install.current), 1);
    assert_int_equal(install.phase, INSTALL_IDLE);
    assert_true(digest_is_zero(&install.previous.release));
}

static void a_rollback_ordered_during_probation_returns_to_the_proven_release(void **state)
{
    struct install install = {.next_generation = 1};
    run_to_probation(&install, 2);
    step(&install, INSTALL_EV_PROBATION_PASSED);
    run_to_probation(&install, 3);
    assert_int_equal(assign(&install, 2, true), INSTALL_DO_NOTHING);
    assert_int_equal(number_of(&install.current), 2);
    assert_int_equal(install.phase, INSTALL_IDLE);
}

static void a_failed_step_leaves_what_runs_alone(void **state)
{
    static const enum install_event_kind way[] = {INSTALL_EV_FETCHED, INSTALL_EV_VERIFIED,
                                                  INSTALL_EV_SELF_TESTED, INSTALL_EV_SHADOWED};
    for (size_t upto = 0; upto <= ARRAY_LEN(way); upto++) {
        struct install install = {.next_generation = 1};
        run_to_probation(&install, 1);
        step(&install, INSTALL_EV_PROBATION_PASSED);
        struct install_slot before = install.current;
        assign(&install, 2, false);
        for (size_t i = 0; i < upto; i++)
            step(&install, way[i]);
        step(&install, INSTALL_EV_FAILED);
        assert_int_equal(install.phase, INSTALL_IDLE);
        assert_memory_equal(&install.current, &before, sizeof before);
        assert_int_equal(install.blocked.bytes[0], 2);
    }
}

static void run_to_idle(struct install *install, int number)
{
    run_to_probation(install, number);
    step(install, INSTALL_EV_PROBATION_PASSED);
}

static void up_to_the_self_test(struct install *install, int number)
{
    assign(install, number, false);
    step(install, INSTALL_EV_FETCHED);
    assert_int_equal(step(install, INSTALL_EV_VERIFIED), INSTALL_DO_SELF_TEST);
    assert_true(install->candidate.generation > install->current.generation);
}

/* Without room the previous release leaves first, then the current one; there is an end to it. */
static void room_is_made_step_by_step(void **state)
{
    struct install install = {.next_generation = 1};
    run_to_idle(&install, 1);
    run_to_idle(&install, 2);
    assert_true(install_previous_hot(&install));
    up_to_the_self_test(&install, 3);
    assert_int_equal(step(&install, INSTALL_EV_NO_ROOM), INSTALL_DO_SELF_TEST);
    assert_false(install_previous_hot(&install));
    assert_false(install.gap);
    assert_int_equal(step(&install, INSTALL_EV_NO_ROOM), INSTALL_DO_SELF_TEST);
    assert_true(install.gap);
    assert_int_equal(step(&install, INSTALL_EV_NO_ROOM), INSTALL_DO_NOTHING);
    step(&install, INSTALL_EV_SELF_TESTED);
    step(&install, INSTALL_EV_SHADOWED);
    step(&install, INSTALL_EV_ACTIVATED);
    assert_int_equal(number_of(&install.previous), 2);
    assert_false(install_previous_hot(&install)); /* it left: two do not fit */
    step(&install, INSTALL_EV_PROBATION_FAILED);
    assert_int_equal(number_of(&install.current), 2);
    assert_true(install.gap); /* on the way back too */
}

static void a_release_that_asks_for_the_gap_leaves_the_hot_one_to_serve_it(void **state)
{
    struct install install = {.next_generation = 1};
    run_to_idle(&install, 1);
    run_to_idle(&install, 2);
    up_to_the_self_test(&install, 3);
    struct install_event event = {.kind = INSTALL_EV_NO_ROOM, .by_policy = true};
    enum install_action action;
    assert_true(install_step(&install, &event, &action));
    assert_true(install.gap);
    assert_true(install_previous_hot(&install));
    step(&install, INSTALL_EV_FAILED);
    assert_int_equal(number_of(&install.current), 2);
    assert_true(install_previous_hot(&install));
    up_to_the_self_test(&install, 4);
    assert_false(install.gap); /* each release decides anew */
}

static void after_its_hold_time_the_previous_release_is_cold_but_known(void **state)
{
    struct install install = {.next_generation = 1};
    run_to_idle(&install, 1);
    run_to_probation(&install, 2);
    assert_int_equal(step(&install, INSTALL_EV_HOLD_OVER), INSTALL_DO_NOTHING);
    assert_true(install_previous_hot(&install)); /* on probation it is always hot */
    step(&install, INSTALL_EV_PROBATION_PASSED);
    assert_int_equal(install.committed_ms, 1000);
    step(&install, INSTALL_EV_HOLD_OVER);
    assert_false(install_previous_hot(&install));
    assert_int_equal(assign(&install, 1, true), INSTALL_DO_SELF_TEST); /* loaded again, not fetched again */
    assert_int_equal(step(&install, INSTALL_EV_SELF_TESTED), INSTALL_DO_ACTIVATE); /* proven: no shadow */
    step(&install, INSTALL_EV_ACTIVATED);
    assert_int_equal(number_of(&install.current), 1);
    assert_int_equal(install.phase, INSTALL_IDLE);
}

static void a_human_goes_back_from_any_phase(void **state)
{
    static const enum install_event_kind way[] = {INSTALL_EV_FETCHED, INSTALL_EV_VERIFIED,
                                                  INSTALL_EV_SELF_TESTED, INSTALL_EV_SHADOWED,
                                                  INSTALL_EV_ACTIVATED};
    for (size_t upto = 0; upto <= ARRAY_LEN(way); upto++) {
        struct install install = {.next_generation = 1};
        run_to_idle(&install, 1);
        struct install alone = install;
        step(&alone, INSTALL_EV_ROLL_BACK);
        assert_memory_equal(&alone, &install, sizeof alone); /* nothing to go back to */
        run_to_idle(&install, 2);
        assign(&install, 3, false);
        for (size_t i = 0; i < upto; i++)
            step(&install, way[i]);
        struct install_slot left = install.current, back = install.previous;
        step(&install, INSTALL_EV_ROLL_BACK);
        assert_int_equal(install.phase, INSTALL_IDLE);
        assert_memory_equal(&install.current, &back, sizeof back);
        assert_true(digest_equal(&install.blocked, &left.release));
    }
}

static void time_under_a_human_does_not_count(void **state)
{
    struct install install = {.next_generation = 1};
    run_to_probation(&install, 1);
    struct install_event event = {.kind = INSTALL_EV_PROBATION_PAUSED, .pause_ms = 500};
    enum install_action action;
    assert_true(install_step(&install, &event, &action));
    assert_int_equal(install.probation_since_ms, 1500);
    assert_int_equal(action, INSTALL_DO_WATCH);
}

/* Random events in random order with restarts thrown in: the invariants hold, only a proven or probationary
 * release ever answers, and generations never go to two releases. */
static void no_walk_breaks_the_invariants(void **state)
{
    uint32_t random = 4711;
    for (int walk = 0; walk < 3000; walk++) {
        struct install install = {.next_generation = 1};
        int owner[200] = {0};
        for (int i = 0; i < 80; i++) {
            random = random * 1664525u + 1013904223u;
            struct install_event event = {.kind = (random >> 8) % (INSTALL_EV_RESTARTED + 1),
                                          .now_ms = i,
                                          .slot = slot_of(1 + (random >> 12) % 4)};
            event.counter = install.assignment_counter + (random >> 20) % 2;
            event.rollback = (random >> 22) % 2;
            event.by_policy = (random >> 23) % 2;
            if (event.kind == INSTALL_EV_VERIFIED)
                event.slot = install.candidate;
            struct install before = install;
            enum install_action action;
            bool changed = install_step(&install, &event, &action);
            assert_true(install_valid(&install));
            if (!changed)
                assert_memory_equal(&before, &install, sizeof install);
            if (!digest_is_zero(&install.current.release)) {
                int *who = &owner[install.current.generation];
                assert_true(*who == 0 || *who == number_of(&install.current));
                *who = number_of(&install.current);
            }
            struct install_event restart = {.kind = INSTALL_EV_RESTARTED};
            enum install_action again;
            assert_false(install_step(&install, &restart, &again)); /* never changes anything */
            bool busy = install.phase != INSTALL_IDLE;
            assert_int_equal(again != INSTALL_DO_NOTHING, busy);
        }
    }
}

static void what_runs_is_loaded_anew_only_when_nothing_else_is_under_way(void **state)
{
    struct install install = {.next_generation = 1};
    struct install_event reload = {.kind = INSTALL_EV_RELOAD};
    enum install_action action;
    assert_false(install_step(&install, &reload, &action)); /* nothing runs */
    run_to_probation(&install, 1);
    assert_false(install_step(&install, &reload, &action));
    step(&install, INSTALL_EV_PROBATION_PASSED);
    run_to_probation(&install, 2);
    step(&install, INSTALL_EV_PROBATION_PASSED);
    struct install before = install;
    assert_true(install_step(&install, &reload, &action));
    assert_true(install_valid(&install));
    assert_int_equal(action, INSTALL_DO_NOTHING);
    assert_true(install.current.generation > before.current.generation);
    assert_int_equal(number_of(&install.current), 2);
    assert_int_equal(install.previous.generation, before.previous.generation);
    assert_true(install_previous_hot(&install));
    assign(&install, 3, false);
    assert_false(install_step(&install, &reload, &action));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_way_and_back),
        cmocka_unit_test(a_server_rollback_to_the_hot_release_is_one_switch),
        cmocka_unit_test(a_rollback_ordered_during_probation_returns_to_the_proven_release),
        cmocka_unit_test(a_failed_step_leaves_what_runs_alone),
        cmocka_unit_test(room_is_made_step_by_step),
        cmocka_unit_test(a_release_that_asks_for_the_gap_leaves_the_hot_one_to_serve_it),
        cmocka_unit_test(after_its_hold_time_the_previous_release_is_cold_but_known),
        cmocka_unit_test(a_human_goes_back_from_any_phase),
        cmocka_unit_test(time_under_a_human_does_not_count),
        cmocka_unit_test(no_walk_breaks_the_invariants),
        cmocka_unit_test(what_runs_is_loaded_anew_only_when_nothing_else_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
