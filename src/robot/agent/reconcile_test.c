/* A guard and its runners played by a few lines; whatever state they are in, repeating the orders leads to
 * the wanted state and then there are no more orders. */
#include "robot/agent/reconcile.h"

#include "base/testing.h"

static uint32_t random_state = 7;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

static struct digest release(int number)
{
    struct digest digest;
    memset(digest.bytes, number, sizeof digest.bytes);
    return digest;
}

static struct ctl_runner_status *slot(struct ctl_status *status, uint64_t generation)
{
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++)
        if (status->runners[i].generation == generation)
            return &status->runners[i];
    return NULL;
}

/* As the guard does it: see ctl.h. */
static void play(struct ctl_status *status, const struct wanted *wanted, const struct order *order)
{
    struct ctl_runner_status *runner = order->generation ? slot(status, order->generation) : NULL;
    switch (order->kind) {
    case ORDER_ADMIT:
        if (!runner)
            runner = slot(status, 0);
        if (!runner)
            return;
        runner->generation = order->generation;
        runner->release = wanted->items[order->item].release;
        runner->admitted = 1;
        break;
    case ORDER_SPAWN:
        if (runner)
            runner->connected = 1;
        break;
    case ORDER_KILL:
        fail_msg("nothing is overdue here");
        break;
    case ORDER_SHADOW:
        if (!runner || !runner->connected || order->generation == status->active_generation)
            fail_msg("SHADOW of a generation that cannot");
        runner->shadow_frames = order->count;
        break;
    case ORDER_ACTIVATE:
        if (order->generation && !(runner && runner->connected && runner->admitted))
            fail_msg("ACTIVATE of a generation that does not live");
        status->active_generation = order->generation;
        status->fallback_generation = order->fallback;
        status->state = order->generation ? GUARD_AUTO : GUARD_STANDBY;
        break;
    case ORDER_RETIRE:
        if (order->generation == status->active_generation)
            fail_msg("RETIRE of what answers");
        if (runner)
            *runner = (struct ctl_runner_status){0};
        break;
    }
}

static struct wanted draw_wanted(void)
{
    struct wanted wanted = {.count = draw(WANTED_MAX + 1)};
    for (size_t i = 0; i < wanted.count; i++)
        wanted.items[i] = (struct wanted_item){
            .generation = 20 - i * 3, .release = release((int)(1 + (i + draw(2)) % 3)), .may_spawn = true};
    for (size_t i = 0; i < wanted.count; i++)
        wanted.items[i].alone = draw(3) == 0;
    if (wanted.count > 0 && draw(2)) {
        wanted.items[wanted.count - 1].standby = true;
        wanted.items[wanted.count - 1].shadow = draw(30);
    }
    return wanted;
}

static struct ctl_status draw_status(const struct wanted *wanted)
{
    struct ctl_status status = {.state = draw(GUARD_STATE_COUNT)};
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++) {
        if (draw(3) == 0)
            continue;
        bool known = draw(2) && i < wanted->count;
        status.runners[i].generation = known ? wanted->items[i].generation : 1 + i;
        status.runners[i].release = known ? wanted->items[i].release : release(1 + (int)draw(4));
        status.runners[i].connected = draw(2) != 0;
        status.runners[i].admitted = draw(2) != 0;
        if (draw(3) == 0)
            status.active_generation = status.runners[i].generation;
    }
    return status;
}

static void from_any_state_the_wanted_one_is_reached(void **state)
{
    for (int round = 0; round < 20000; round++) {
        struct wanted wanted = draw_wanted();
        struct ctl_status status = draw_status(&wanted);
        struct orders orders;
        int turns = 0;
        if (status.state == GUARD_FORCED)
            continue; /* a human stands above it: below */
        size_t answering = wanted.count;
        if (wanted.count > 0 && wanted.items[wanted.count - 1].standby)
            answering--;
        for (;; turns++) {
            reconcile(&wanted, &status, &orders);
            if (orders.count == 0)
                break;
            if (turns > 8)
                fail_msg("round %d: no end of orders", round);
            for (size_t i = 0; i < orders.count; i++)
                play(&status, &wanted, &orders.items[i]);
        }
        assert_int_equal(status.active_generation, answering ? wanted.items[0].generation : 0);
        for (size_t i = 0; i < wanted.count; i++) {
            assert_non_null(slot(&status, wanted.items[i].generation));
            assert_true(slot(&status, wanted.items[i].generation)->connected);
        }
        if (answering > 1)
            assert_int_equal(status.fallback_generation, wanted.items[1].generation);
        if (answering > 0 && answering < wanted.count)
            assert_int_equal(slot(&status, wanted.items[answering].generation)->shadow_frames,
                             wanted.items[answering].shadow);
        size_t known = 0;
        for (size_t i = 0; i < CTL_MAX_RUNNERS; i++)
            known += status.runners[i].generation != 0;
        assert_int_equal(known, wanted.count);
    }
}

static bool ordered(const struct orders *orders, enum order_kind kind, uint64_t generation)
{
    for (size_t i = 0; i < orders->count; i++)
        if (orders->items[i].kind == kind && orders->items[i].generation == generation)
            return true;
    return false;
}

static void a_rollback_answers_at_once_from_the_hot_runner(void **state)
{
    struct wanted wanted = {.count = 1,
                            .items = {{.generation = 9, .release = release(1), .may_spawn = true}}};
    struct ctl_status status = {.state = GUARD_AUTO, .active_generation = 8, .fallback_generation = 7};
    status.runners[0] =
        (struct ctl_runner_status){.generation = 7, .release = release(1), .connected = 1, .admitted = 1};
    status.runners[1] =
        (struct ctl_runner_status){.generation = 8, .release = release(2), .connected = 1, .admitted = 1};
    struct orders orders;
    reconcile(&wanted, &status, &orders);
    assert_true(ordered(&orders, ORDER_ACTIVATE, 7));
    assert_true(ordered(&orders, ORDER_RETIRE, 8));
    assert_true(ordered(&orders, ORDER_SPAWN, 9));
    assert_false(ordered(&orders, ORDER_RETIRE, 7));
}

static void a_release_that_is_not_wanted_stops_even_without_a_successor(void **state)
{
    struct wanted wanted = {.count = 1,
                            .items = {{.generation = 9, .release = release(1), .may_spawn = false}}};
    struct ctl_status status = {.state = GUARD_AUTO, .active_generation = 8};
    status.runners[0] =
        (struct ctl_runner_status){.generation = 8, .release = release(2), .connected = 1, .admitted = 1};
    struct orders orders;
    reconcile(&wanted, &status, &orders);
    assert_true(ordered(&orders, ORDER_ACTIVATE, 0));
}

static void what_the_guard_does_by_itself_is_left_alone(void **state)
{
    struct wanted wanted = {.count = 2,
                            .items = {{.generation = 9, .release = release(2), .runner_on_its_way = true},
                                      {.generation = 8, .release = release(1)}}};
    struct ctl_status status = {.state = GUARD_FALLBACK, .active_generation = 9, .fallback_generation = 8};
    status.runners[0] = (struct ctl_runner_status){.generation = 9, .release = release(2), .admitted = 1};
    status.runners[1] =
        (struct ctl_runner_status){.generation = 8, .release = release(1), .connected = 1, .admitted = 1};
    struct orders orders;
    reconcile(&wanted, &status, &orders);
    assert_int_equal(orders.count, 0);
}

static const struct ctl_runner_status one_up = {
    .generation = 7, .connected = 1, .admitted = 1, .release = {{1}}};
static const struct ctl_runner_status two_up = {
    .generation = 8, .connected = 1, .admitted = 1, .release = {{2}}};

static void one_that_has_to_be_alone_waits_until_the_others_have_left(void **state)
{
    struct wanted wanted = {.count = 1,
                            .items = {{.generation = 9, .release = {{3}}, .may_spawn = true, .alone = true}}};
    struct ctl_status status = {.state = GUARD_AUTO, .active_generation = 8, .runners = {one_up, two_up}};
    struct orders orders;
    reconcile(&wanted, &status, &orders);
    assert_true(ordered(&orders, ORDER_ACTIVATE, 0));
    assert_true(ordered(&orders, ORDER_RETIRE, 7) && ordered(&orders, ORDER_RETIRE, 8));
    assert_false(ordered(&orders, ORDER_SPAWN, 9));
    status = (struct ctl_status){.state = GUARD_STANDBY};
    wanted.leaving = true;
    reconcile(&wanted, &status, &orders);
    assert_false(ordered(&orders, ORDER_SPAWN, 9));
    wanted.leaving = false;
    reconcile(&wanted, &status, &orders);
    assert_true(ordered(&orders, ORDER_SPAWN, 9));
}

static void a_patient_one_is_neither_started_nor_sent_away(void **state)
{
    struct wanted wanted = {
        .count = 2,
        .items = {{.generation = 8, .release = {{2}}},
                  {.generation = 7, .release = {{1}}, .may_spawn = true, .standby = true, .patient = true}}};
    struct ctl_status status = {.state = GUARD_AUTO, .active_generation = 8, .runners = {one_up, two_up}};
    struct orders orders;
    reconcile(&wanted, &status, &orders);
    assert_int_equal(orders.count, 0);
    status.runners[0] = (struct ctl_runner_status){0};
    reconcile(&wanted, &status, &orders);
    assert_true(ordered(&orders, ORDER_ADMIT, 7));
    assert_false(ordered(&orders, ORDER_SPAWN, 7));
}

static void only_a_switch_waits_for_the_end_of_a_sequence(void **state)
{
    struct wanted wanted = {.count = 2,
                            .items = {{.generation = 8, .release = {{2}}, .at_sequence_end = true},
                                      {.generation = 7, .release = {{1}}}}};
    struct ctl_status status = {.state = GUARD_AUTO, .active_generation = 7, .runners = {one_up, two_up}};
    struct orders orders;
    reconcile(&wanted, &status, &orders);
    assert_int_equal(orders.count, 1);
    assert_int_equal(orders.items[0].count, 1);
    status.runners[0].connected = 0; /* nobody answers: nothing to wait for */
    wanted.items[1].runner_on_its_way = true;
    reconcile(&wanted, &status, &orders);
    assert_int_equal(orders.items[0].kind, ORDER_ACTIVATE);
    assert_int_equal(orders.items[0].count, 0);
}

static void a_fallback_that_a_human_wants_stays(void **state)
{
    struct wanted wanted = {.count = 3,
                            .items = {{.generation = 9, .release = {{3}}, .may_spawn = true},
                                      {.generation = 8, .release = {{2}}},
                                      {.generation = 7, .release = {{1}}}}};
    struct ctl_status status = {
        .state = GUARD_FORCED,
        .active_generation = 8,
        .fallback_generation = 7,
        .runners = {one_up, two_up, {.generation = 9, .connected = 1, .admitted = 1, .release = {{3}}}}};
    struct orders orders;
    reconcile(&wanted, &status, &orders);
    assert_int_equal(orders.count, 0);
    wanted.count = 2; /* not even if it need not be hot any more */
    reconcile(&wanted, &status, &orders);
    assert_int_equal(orders.count, 0);
    wanted = (struct wanted){.count = 1, .items = {{.generation = 7, .release = {{1}}}}};
    reconcile(&wanted, &status, &orders); /* but the way back to that very release is open */
    assert_true(ordered(&orders, ORDER_ACTIVATE, 7));
    assert_true(ordered(&orders, ORDER_RETIRE, 8));
}

static void while_it_is_unknown_what_should_run_nothing_is_changed(void **state)
{
    for (int round = 0; round < 1000; round++) {
        struct wanted wanted = draw_wanted();
        struct ctl_status status = draw_status(&wanted);
        struct orders orders;
        wanted.unknown = true;
        reconcile(&wanted, &status, &orders);
        assert_int_equal(orders.count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_any_state_the_wanted_one_is_reached),
        cmocka_unit_test(a_rollback_answers_at_once_from_the_hot_runner),
        cmocka_unit_test(a_release_that_is_not_wanted_stops_even_without_a_successor),
        cmocka_unit_test(one_that_has_to_be_alone_waits_until_the_others_have_left),
        cmocka_unit_test(a_patient_one_is_neither_started_nor_sent_away),
        cmocka_unit_test(only_a_switch_waits_for_the_end_of_a_sequence),
        cmocka_unit_test(a_fallback_that_a_human_wants_stays),
        cmocka_unit_test(while_it_is_unknown_what_should_run_nothing_is_changed),
        cmocka_unit_test(what_the_guard_does_by_itself_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
