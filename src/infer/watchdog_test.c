#include "infer/watchdog.h"

#include "base/testing.h"

#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int fired;

static void count(void *arg)
{
    atomic_fetch_add(&fired, 1);
    assert_ptr_equal(arg, &fired);
}

static void nap_ns(int64_t ns)
{
    clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = ns}, NULL);
}

static struct watchdog *start(void)
{
    struct watchdog *watchdog = NULL;
    struct err err = {0};
    atomic_store(&fired, 0);
    assert_ok(watchdog_start(count, &fired, &watchdog, &err), err);
    return watchdog;
}

static void await_fired(int want)
{
    for (int i = 0; i < 20000 && atomic_load(&fired) < want; i++)
        nap_ns(1000000);
    assert_int_equal(atomic_load(&fired), want);
}

static void what_is_late_is_told_once_each_time(void **state)
{
    struct watchdog *watchdog = start();
    for (int round = 1; round <= 50; round++) {
        int64_t now = clock_mono_ns();
        watchdog_arm(watchdog, now, now + (round % 3) * 1000000);
        await_fired(round);
        assert_true(watchdog_disarm(watchdog));
        assert_false(watchdog_disarm(watchdog));
    }
    watchdog_stop(watchdog);
}

static void what_is_in_time_is_left_alone_and_costs_no_wake_up(void **state)
{
    struct watchdog *watchdog = start();
    for (int frame = 0; frame < 200; frame++) { /* a pace of 1 ms, deadlines 10 s ahead */
        int64_t now = clock_mono_ns();
        watchdog_arm(watchdog, now, now + 10000000000ll);
        assert_false(watchdog_disarm(watchdog));
        nap_ns(1000000);
    }
    assert_int_equal(atomic_load(&fired), 0);
    assert_true(watchdog_wakes(watchdog) <= 1); /* from its first sleep */
    int64_t now = clock_mono_ns();
    watchdog_arm(watchdog, now, now + 1000000); /* sooner than it expects */
    await_fired(1);
    assert_true(watchdog_disarm(watchdog));
    assert_true(watchdog_wakes(watchdog) <= 2);
    watchdog_stop(watchdog);
}

/* Whether it fired or not, disarm knows, at any timing. */
static void firing_and_disarming_never_disagree(void **state)
{
    struct watchdog *watchdog = start();
    int told = 0;
    for (int round = 0; round < 3000; round++) {
        int64_t now = clock_mono_ns(), until = now + round % 200 * 500;
        watchdog_arm(watchdog, now, now + round % 97 * 1000);
        while (clock_mono_ns() < until)
            ;
        told += watchdog_disarm(watchdog);
        assert_int_equal(atomic_load(&fired), told);
    }
    watchdog_stop(watchdog);
}

static void it_stops_from_any_sleep(void **state)
{
    for (int round = 0; round < 20; round++) {
        struct watchdog *watchdog = start();
        if (round % 2) {
            int64_t now = clock_mono_ns();
            watchdog_arm(watchdog, now, now + 1000000000000ll);
            assert_false(watchdog_disarm(watchdog));
        }
        watchdog_stop(watchdog);
    }
    watchdog_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_late_is_told_once_each_time),
        cmocka_unit_test(what_is_in_time_is_left_alone_and_costs_no_wake_up),
        cmocka_unit_test(firing_and_disarming_never_disagree),
        cmocka_unit_test(it_stops_from_any_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
