/* Played against a simulated second: the share is kept whatever a frame costs, and memory lasts. */
#include "base/testing.h"

#include "robot/recorder/governor.h"

static const struct governor_options usual = {
    .share = 0.02, .boost = 5, .max_rate = 30, .bytes_per_s = 1e6, .boost_bytes_per_s = 5e5};

struct played {
    double rate, share, bytes_per_s;
};

static struct played play(int64_t cost_ns, uint64_t bytes, double other, bool boosted)
{
    struct governor g;
    governor_init(&g, &usual);
    int64_t cpu_ns = 0, next_ns = 0, frames = 0;
    const int64_t step_ns = 1000000, end_ns = 60000000000;
    for (int64_t now_ns = step_ns; now_ns < end_ns; now_ns += step_ns) {
        cpu_ns += (int64_t)(other * (double)step_ns);
        governor_cpu(&g, cpu_ns, now_ns);
        if (now_ns < next_ns)
            continue;
        cpu_ns += cost_ns;
        governor_frame(&g, cost_ns, bytes);
        next_ns = now_ns + governor_interval_ns(&g, boosted);
        frames++;
    }
    return (struct played){(double)frames / 60, (double)cpu_ns / (double)end_ns,
                           (double)frames * (double)bytes / 60};
}

static void test_cheap_frames_come_at_the_highest_rate(void **state)
{
    struct played p = play(100000, 10000, 0.001, false);
    assert_true(p.rate > 28 && p.rate < 31);
}

static void test_the_share_is_kept(void **state)
{
    for (int64_t cost_ns = 500000; cost_ns < 50000000; cost_ns *= 2) {
        struct played p = play(cost_ns, 10000, 0.003, false);
        assert_true(p.share < 0.022);
        assert_true(p.rate > 0.01);
    }
    struct played busy =
        play(3000000, 10000, 0.5, false); /* the rest takes it all: a few frames nevertheless */
    assert_true(busy.rate > 0.5 && busy.rate < 2);
}

static void test_memory_lasts(void **state)
{
    struct played p = play(100000, 500000, 0, false), boosted = play(100000, 500000, 0, true);
    assert_true(p.bytes_per_s < 1.1e6);
    assert_true(boosted.bytes_per_s < 0.6e6);
}

static void test_more_after_a_trigger(void **state)
{
    assert_true(play(4000000, 10000, 0.002, true).rate > 3 * play(4000000, 10000, 0.002, false).rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cheap_frames_come_at_the_highest_rate),
        cmocka_unit_test(test_the_share_is_kept),
        cmocka_unit_test(test_memory_lasts),
        cmocka_unit_test(test_more_after_a_trigger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
