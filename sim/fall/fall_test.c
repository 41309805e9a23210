/* The world of falls: what makes its truth a truth. */
#include "sim/fall/fall.h"

#include "base/mem.h"
#include "base/testing.h"

#define GOLDEN_HASH 0xb2959b56e76cfc3eu

static void same_numbers_in_any_order(void **state)
{
    struct fall_world a, b;
    float early[FALL_CHANNELS], late[FALL_CHANNELS], again[FALL_CHANNELS];
    fall_init(&a, 7);
    fall_init(&b, 7);
    fall_sample(&a, 1234, early);
    fall_sample(&a, 99999, late);
    fall_sample(&b, 99999, again);
    assert_memory_equal(late, again, sizeof late);
    fall_sample(&b, 1234, again);
    assert_memory_equal(early, again, sizeof early);
}

static void seeds_differ(void **state)
{
    struct fall_world a, b;
    float x[FALL_CHANNELS], y[FALL_CHANNELS];
    fall_init(&a, 7);
    fall_init(&b, 8);
    fall_sample(&a, 500, x);
    fall_sample(&b, 500, y);
    assert_memory_not_equal(x, y, sizeof x);
}

/* FNV-1a over a minute's samples: the bytes that models were trained on. Who changes them on purpose trains the models anew. */
static void the_same_bytes_on_every_machine(void **state)
{
    struct fall_world world;
    float sample[FALL_CHANNELS];
    uint64_t hash = 0xcbf29ce484222325u;
    fall_init(&world, 424242);
    for (int64_t i = 0; i < 60 * FALL_RATE_HZ; i++) {
        fall_sample(&world, i, sample);
        const uint8_t *bytes = (const uint8_t *)sample;
        for (size_t k = 0; k < sizeof sample; k++)
            hash = (hash ^ bytes[k]) * 0x100000001b3u;
    }
    print_message("hash 0x%016jx\n", (uintmax_t)hash);
    assert_true(hash == GOLDEN_HASH);
}

static void acts_end_inside_of_their_slot(void **state)
{
    struct fall_world world;
    int kinds[ACT_KINDS] = {0}, drills = 0;
    fall_init(&world, 3);
    for (int64_t slot = 0; slot < 3000; slot++) {
        struct fall_act act;
        fall_act(&world, slot * FALL_SLOT + FALL_SLOT / 2, &act);
        kinds[act.kind]++;
        drills += act.drill;
        assert_true(act.from >= slot * FALL_SLOT && act.from <= act.impact && act.impact <= act.until);
        assert_true(act.until + 2 * FALL_RATE_HZ <= (slot + 1) * FALL_SLOT);
    }
    assert_int_equal(drills, 3000 / FALL_DRILL_EVERY);
    for (int kind = 0; kind < ACT_KINDS; kind++)
        assert_true(kinds[kind] > 50);
}

/* Who has fallen lies: gravity is no longer along the body. Who was pushed stands again. */
static void a_fall_ends_lying(void **state)
{
    struct fall_world world;
    fall_init(&world, 5);
    for (int64_t slot = 0; slot < 300; slot++) {
        struct fall_act act;
        float sample[FALL_CHANNELS];
        fall_act(&world, slot * FALL_SLOT, &act);
        fall_sample(&world, act.until - 5, sample);
        if (act.kind < FALL_SLOW)
            assert_true(sample[2] < 0.6f);
        fall_sample(&world, (slot + 1) * FALL_SLOT - 5, sample);
        assert_true(sample[2] > 0.2f); /* upright, maybe walking */
    }
}

static void windows_see_what_is_in_them(void **state)
{
    struct fall_world world;
    fall_init(&world, 5);
    for (int64_t slot = 1; slot < 300; slot++) {
        struct fall_act act;
        fall_act(&world, slot * FALL_SLOT, &act);
        bool is_fall = act.kind < FALL_KINDS;
        assert_true(fall_in_window(&world, act.impact + FALL_RATE_HZ) == is_fall);
        assert_false(fall_in_window(&world, act.impact - 1));
        assert_false(fall_in_window(&world, act.impact + 2 * FALL_RATE_HZ));
    }
}

static void a_window_is_the_samples_channel_by_channel(void **state)
{
    struct fall_world world;
    float window[FALL_CHANNELS * FALL_WINDOW], sample[FALL_CHANNELS];
    fall_init(&world, 9);
    fall_window(&world, 5000, window);
    for (int i = 0; i < FALL_WINDOW; i++) {
        fall_sample(&world, 5000 - FALL_WINDOW + 1 + i, sample);
        for (int c = 0; c < FALL_CHANNELS; c++)
            assert_true(window[c * FALL_WINDOW + i] == sample[c]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_numbers_in_any_order),
        cmocka_unit_test(seeds_differ),
        cmocka_unit_test(the_same_bytes_on_every_machine),
        cmocka_unit_test(acts_end_inside_of_their_slot),
        cmocka_unit_test(a_fall_ends_lying),
        cmocka_unit_test(windows_see_what_is_in_them),
        cmocka_unit_test(a_window_is_the_samples_channel_by_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
