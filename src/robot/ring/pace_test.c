#include "base/testing.h"
#include "robot/ring/pace.h"

static uint64_t random_state = 1;

static int64_t random_below(int64_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((random_state >> 33) % (uint64_t)limit);
}

static struct pace after(int count, int64_t mean_ns, int64_t spread_ns)
{
    struct pace pace = {0};
    for (int i = 0; i < count; i++)
        pace_observe(&pace, mean_ns - spread_ns + (spread_ns ? random_below(2 * spread_ns) : 0));
    return pace;
}

static void a_steady_pace_is_looked_out_for(void **state)
{
    struct pace pace = after(100, 33000000, 20000);
    assert_in_range(pace.mean_ns, 32970000, 33030000);
    assert_in_range(pace_window_ns(&pace), PACE_MIN_WINDOW_NS, 60000);
    pace = after(100, 5000000, 0);
    assert_int_equal(pace_window_ns(&pace), PACE_MIN_WINDOW_NS);
}

static void an_unsteady_one_is_slept_for(void **state)
{
    struct pace pace = after(100, 33000000, 2000000);
    assert_int_equal(pace_window_ns(&pace), 0);
    pace = after(PACE_MIN_SEEN - 1, 33000000, 0);
    assert_int_equal(pace_window_ns(&pace), 0);
}

/* Whatever is observed, the window is 0 or within its limits. */
static void the_window_is_bounded(void **state)
{
    struct pace pace = {0};
    for (int i = 0; i < 100000; i++) {
        int64_t took_ns = random_below(4) ? random_below(300000) : random_below(INT64_MAX) - INT64_MAX / 2;
        pace_observe(&pace, took_ns);
        int64_t window_ns = pace_window_ns(&pace);
        assert_true(window_ns == 0 || (window_ns >= PACE_MIN_WINDOW_NS && window_ns <= PACE_MAX_WINDOW_NS));
        assert_true(pace.mean_ns >= 0);
    }
}

static void it_follows_a_new_pace(void **state)
{
    struct pace pace = after(100, 100000, 0);
    for (int i = 0; i < 400; i++)
        pace_observe(&pace, 20000000);
    assert_in_range(pace.mean_ns, 19900000, 20000000);
    assert_int_equal(pace_window_ns(&pace), PACE_MIN_WINDOW_NS);
}

static void a_bell_that_rang_is_never_waited_for(void **state)
{
    struct err err = {0};
    struct ring ring;
    struct ring_control body = {.stream = 1};
    struct pace pace = after(100, 1000000, 0);
    assert_ok(ring_create(&ring, RING_CONTROL, 2, 0, &err), err);
    uint32_t seen = ring_bell(&ring);
    assert_true(ring_put(&ring, 1, &body, sizeof body));
    /* Without end if it slept: the alarm of ctest would end it. */
    for (int64_t since_ns = 0; since_ns < 3; since_ns++)
        pace_wait(&pace, &ring, seen, INT64_MAX / 2, INT64_MAX / 2);
    pace_wait(&pace, &ring, seen, 0, INT64_MAX / 2);
    ring_fini(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_pace_is_looked_out_for),
        cmocka_unit_test(an_unsteady_one_is_slept_for),
        cmocka_unit_test(the_window_is_bounded),
        cmocka_unit_test(it_follows_a_new_pace),
        cmocka_unit_test(a_bell_that_rang_is_never_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
