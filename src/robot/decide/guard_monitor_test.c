#include "base/mem.h"
#include "base/testing.h"
#include "robot/decide/guard_monitor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define S 1000000000LL

static const struct ctl_limits off;
static struct frame_cause why;

static void an_old_frame_is_stale(void **state)
{
    struct guard_monitor monitor;
    guard_monitor_init(&monitor);
    const struct ctl_limits limits = {.max_age_us = 50};
    static const struct {
        int64_t capture_ns, now_ns;
        enum intervention want;
    } cases[] = {
        {0, 50000, INTERVENTION_COUNT},
        {0, 50001, INTERVENED_STALE},
        {1, 50001, INTERVENTION_COUNT},
        {7, 7, INTERVENTION_COUNT},
        {9, 0, INTERVENTION_COUNT},
        {INT64_MAX, INT64_MIN, INTERVENTION_COUNT},
        {INT64_MIN, INT64_MAX, INTERVENED_STALE},
        {INT64_MIN, INT64_MIN + 50000, INTERVENTION_COUNT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(
            guard_monitor_frame(&monitor, i, cases[i].capture_ns, &limits, cases[i].now_ns, &why),
            cases[i].want);
        assert_int_equal(guard_monitor_frame(&monitor, i, cases[i].capture_ns, &off, cases[i].now_ns, &why),
                         INTERVENTION_COUNT);
    }
}

static void a_repeated_picture_is_frozen(void **state)
{
    const struct ctl_limits limits = {.frozen_frames = 3};
    struct guard_monitor monitor;
    guard_monitor_init(&monitor);
    for (int turn = 0; turn < 3; turn++) /* 0 first: also a picture of that fingerprint counts as one */
        for (int i = 1; i <= 5; i++)
            assert_int_equal(guard_monitor_frame(&monitor, (uint64_t)turn, 0, &limits, 0, &why),
                             i >= 3 ? INTERVENED_FROZEN : INTERVENTION_COUNT);
    monitor.same_pictures = UINT32_MAX;
    assert_int_equal(guard_monitor_frame(&monitor, 2, 0, &limits, 0, &why), INTERVENED_FROZEN);
    assert_int_equal(monitor.same_pictures, UINT32_MAX);
    assert_int_equal(guard_monitor_frame(&monitor, 3, 0, &limits, 0, &why), INTERVENTION_COUNT);
    assert_int_equal(monitor.same_pictures, 1);
}

static enum intervention values(struct guard_monitor *monitor, float a, float b, uint64_t generation,
                                int64_t capture_ns, float max_rate)
{
    const float both[2] = {a, b};
    const struct guard_payload payload = {.is_values = true, .count = 2, .values = both};
    const struct ctl_limits limits = {.value_count = 2, .max_rate = max_rate};
    return guard_monitor_result(monitor, &payload, generation, capture_ns, 0, 0, &limits, &why);
}

static void a_value_that_moves_too_fast(void **state)
{
    struct guard_monitor monitor;
    guard_monitor_init(&monitor);
    assert_int_equal(values(&monitor, 0, 0, 1, 0, 2), INTERVENTION_COUNT);
    assert_int_equal(values(&monitor, 0, 2.5f, 1, S, 2), INTERVENED_RATE);
    assert_int_equal(values(&monitor, 2.5f, 0, 1, S, 2), INTERVENED_RATE);
    assert_int_equal(values(&monitor, 2, -2, 1, S, 2), INTERVENTION_COUNT);
    assert_int_equal(values(&monitor, 2, 1, 1, 2 * S, 2), INTERVENED_RATE);
    assert_int_equal(values(&monitor, 2, NAN, 1, 9 * S, 2), INTERVENED_RATE);
    /* A refused result is no history: what stays where it went is believed in the end. */
    assert_int_equal(values(&monitor, 2, 4, 1, 3 * S, 2), INTERVENED_RATE);
    assert_int_equal(values(&monitor, 2, 4, 1, 4 * S, 2), INTERVENTION_COUNT);
    /* No time, or time backwards: nothing may have moved. */
    assert_int_equal(values(&monitor, 2, 4.01f, 1, 4 * S, 2), INTERVENED_RATE);
    assert_int_equal(values(&monitor, 2, 4.01f, 1, 1 * S, 2), INTERVENED_RATE);
    assert_int_equal(values(&monitor, 2, 4.01f, 1, INT64_MIN, 2), INTERVENED_RATE);
    assert_int_equal(values(&monitor, 2, 4, 1, 4 * S, 2), INTERVENTION_COUNT);
    assert_int_equal(values(&monitor, 90, 4, 2, 4 * S, 2), INTERVENTION_COUNT); /* another generation */
    assert_int_equal(values(&monitor, 0, 4, 2, 5 * S, 0), INTERVENTION_COUNT);  /* not looked at */
    assert_int_equal(values(&monitor, 0, 4, 2, 5 * S, -1), INTERVENTION_COUNT);
    assert_int_equal(values(&monitor, 0, 4, 2, INT64_MAX, 2), INTERVENTION_COUNT); /* time enough */
}

static void another_kind_or_count_starts_anew(void **state)
{
    struct guard_monitor monitor;
    guard_monitor_init(&monitor);
    const struct ctl_limits limits = {.max_rate = 1, .max_jump = 1};
    float many[GUARD_MAX_VALUES + 1] = {0};
    struct detection things[GUARD_MAX_DETECTIONS + 1] = {{.label = 1}};
    struct guard_payload payload = {.is_values = true, .count = 3, .values = many};
    assert_int_equal(guard_monitor_result(&monitor, &payload, 1, 0, 9, 9, &limits, &why), INTERVENTION_COUNT);
    many[0] = 1000;
    payload.count = 2;
    assert_int_equal(guard_monitor_result(&monitor, &payload, 1, 0, 9, 9, &limits, &why), INTERVENTION_COUNT);
    const struct guard_payload boxes = {.count = 2, .detections = things};
    assert_int_equal(guard_monitor_result(&monitor, &boxes, 1, 0, 9, 9, &limits, &why), INTERVENTION_COUNT);
    assert_false(monitor.is_values);
    many[0] = -1000;
    assert_int_equal(guard_monitor_result(&monitor, &payload, 1, 0, 9, 9, &limits, &why), INTERVENTION_COUNT);
    const struct guard_payload nothing = {0};
    assert_int_equal(guard_monitor_result(&monitor, &nothing, 1, 0, 9, 9, &limits, &why), INTERVENTION_COUNT);
    assert_int_equal(monitor.count, 0);
    /* More than there is room for is not remembered. */
    payload.count = GUARD_MAX_VALUES + 1;
    assert_int_equal(guard_monitor_result(&monitor, &payload, 1, 0, 9, 9, &limits, &why),
                     INTERVENED_TOO_MANY);
    payload = (struct guard_payload){.count = GUARD_MAX_DETECTIONS + 1, .detections = things};
    assert_int_equal(guard_monitor_result(&monitor, &payload, 1, 0, 9, 9, &limits, &why),
                     INTERVENED_TOO_MANY);
    payload.count = GUARD_MAX_DETECTIONS;
    assert_int_equal(guard_monitor_result(&monitor, &payload, 1, 0, 9, 9, &limits, &why), INTERVENTION_COUNT);
    assert_int_equal(monitor.count, GUARD_MAX_DETECTIONS);
    payload = (struct guard_payload){.is_values = true, .count = GUARD_MAX_VALUES, .values = many};
    assert_int_equal(guard_monitor_result(&monitor, &payload, 1, 0, 9, 9, &limits, &why), INTERVENTION_COUNT);
    assert_int_equal(monitor.count, GUARD_MAX_VALUES);
}

static struct detection thing(float x, float y, uint32_t label)
{
    return (struct detection){
        .x0 = x - 1, .y0 = y - 2, .x1 = x + 1, .y1 = y + 2, .score = 0.9f, .label = label};
}

/* The frame is 30 x 40: its diagonal is 50, and an object may go half of it in a second. */
static enum intervention things(struct guard_monitor *monitor, const struct detection *items, uint32_t count,
                                int64_t capture_ns, float max_jump)
{
    const struct guard_payload payload = {.count = count, .detections = items};
    const struct ctl_limits limits = {.max_jump = max_jump};
    return guard_monitor_result(monitor, &payload, 1, capture_ns, 30, 40, &limits, &why);
}

static void an_object_that_jumps(void **state)
{
    struct guard_monitor monitor;
    guard_monitor_init(&monitor);
    struct detection two[2] = {thing(5, 5, 1), thing(20, 20, 1)};
    assert_int_equal(things(&monitor, two, 2, S, 0.5f), INTERVENTION_COUNT);
    struct detection swapped[2] = {two[1], two[0]}; /* the order says nothing */
    assert_int_equal(things(&monitor, swapped, 2, S, 0.5f), INTERVENTION_COUNT);
    struct detection near[2] = {thing(5, 5, 1), thing(23, 24, 1)};
    assert_int_equal(things(&monitor, near, 2, S + S / 5 - 1, 0.5f),
                     INTERVENED_RATE); /* 5 in 0.2 s is just allowed */
    assert_int_equal(things(&monitor, near, 2, S + S / 5, 0.5f), INTERVENTION_COUNT);
    struct detection one = thing(12, 39, 1); /* one has gone: not compared */
    assert_int_equal(things(&monitor, &one, 1, S + S / 5, 0.5f), INTERVENTION_COUNT);
    struct detection other = thing(1, 1, 2); /* another label */
    assert_int_equal(things(&monitor, &other, 1, S + S / 5, 0.5f), INTERVENTION_COUNT);
    struct detection far = thing(29, 39, 2);
    assert_int_equal(things(&monitor, &far, 1, S + S / 5, 0.5f), INTERVENED_RATE);
    assert_int_equal(things(&monitor, &far, 1, 2 * S + S / 5, 0.5f), INTERVENED_RATE);
    assert_int_equal(things(&monitor, &far, 1, 2 * S + S / 5 + 1, 0.5f),
                     INTERVENTION_COUNT);                                    /* over a second */
    assert_int_equal(things(&monitor, &other, 1, 0, 0.5f), INTERVENED_RATE); /* time backwards */
    assert_int_equal(things(&monitor, &other, 1, 2 * S + S / 5 + 1, 0),
                     INTERVENTION_COUNT); /* not looked at */
    struct detection nowhere = thing(NAN, 0, 2);
    assert_int_equal(things(&monitor, &nowhere, 1, 3 * S, 0.5f), INTERVENED_RATE);
}

static void assert_cause(enum cause_rule rule, uint32_t index, float value, float limit)
{
    assert_int_equal(why.rule, rule);
    assert_int_equal(why.index, index);
    assert_float_equal(why.value, value, 1e-4);
    assert_float_equal(why.limit, limit, 1e-4);
}

static void a_finding_says_its_number_and_its_limit(void **state)
{
    struct guard_monitor monitor;
    guard_monitor_init(&monitor);
    const struct ctl_limits limits = {.max_age_us = 50000, .frozen_frames = 3};
    assert_int_equal(guard_monitor_frame(&monitor, 1, S, &limits, S + 75000000, &why), INTERVENED_STALE);
    assert_cause(CAUSE_AGE, 0, 75, 50);
    for (int i = 0; i < 3; i++)
        (void)guard_monitor_frame(&monitor, 2, S, &limits, S, &why);
    assert_cause(CAUSE_REPEATS, 0, 3, 2);
    assert_int_equal(values(&monitor, 0, 0, 1, 0, 2), INTERVENTION_COUNT);
    assert_int_equal(values(&monitor, 1, -2.5f, 1, S, 2), INTERVENED_RATE);
    assert_cause(CAUSE_RATE, 1, 2.5f, 2);
    guard_monitor_init(&monitor);
    const struct detection before[2] = {thing(5, 5, 1), thing(20, 20, 2)},
                           after[2] = {before[0], thing(23, 24, 2)};
    assert_int_equal(things(&monitor, before, 2, S, 0.5f), INTERVENTION_COUNT);
    assert_int_equal(things(&monitor, after, 2, S + S / 10, 0.5f), INTERVENED_RATE);
    assert_cause(CAUSE_JUMP, 1, 5, 2.5f);
}

/* A thing that moves in both directions alike: distance is that of the plane. */
static void distances_are_euclidean(void **state)
{
    static const float steps[][2] = {{3, 4}, {-3, 4}, {3, -4}, {-3, -4}, {5, 0}, {0, 5}, {0, -5}};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        for (int over = 0; over < 2; over++) {
            struct guard_monitor monitor;
            guard_monitor_init(&monitor);
            float f = over ? 1.01f : 0.99f;
            struct detection from = thing(15, 20, 0),
                             to = thing(15 + f * steps[i][0], 20 + f * steps[i][1], 0);
            assert_int_equal(things(&monitor, &from, 1, 0, 0.1f), INTERVENTION_COUNT);
            assert_int_equal(things(&monitor, &to, 1, S, 0.1f), over ? INTERVENED_RATE : INTERVENTION_COUNT);
        }
}

static void too_many_in_a_row_is_a_fault(void **state)
{
    struct guard_monitor monitor;
    guard_monitor_init(&monitor);
    const struct ctl_limits limits = {.latch_after = 3};
    for (int turn = 0; turn < 3; turn++) {
        assert_false(guard_monitor_verdict(&monitor, false, &limits));
        assert_false(guard_monitor_verdict(&monitor, false, &limits));
        assert_false(guard_monitor_verdict(&monitor, true, &limits));
        assert_false(guard_monitor_verdict(&monitor, false, &limits));
        assert_false(guard_monitor_verdict(&monitor, false, &limits));
        assert_true(guard_monitor_verdict(&monitor, false, &limits));
    }
    monitor.unusable = UINT32_MAX;
    assert_false(guard_monitor_verdict(&monitor, false, &off));
    assert_int_equal(monitor.unusable, UINT32_MAX);
    assert_true(guard_monitor_verdict(&monitor, false, &limits));
}

static void a_fingerprint_sees_its_sample(void **state)
{
    enum { SMALL = 4096 + 5, LARGE = 512 * 8 * 10 + 3 };
    unsigned char *pixels = calloc(1, LARGE);
    uint64_t small = guard_picture(pixels, SMALL), large = guard_picture(pixels, LARGE);
    for (size_t i = 0; i < SMALL; i++) { /* small enough: each byte counts */
        pixels[i] ^= 1;
        assert_true(guard_picture(pixels, SMALL) != small);
        pixels[i] ^= 1;
    }
    unsigned seen = 0;
    for (size_t word = 0; word < LARGE / 8; word++) {
        pixels[word * 8 + 7] ^= 128;
        seen += guard_picture(pixels, LARGE) != large;
        pixels[word * 8 + 7] ^= 128;
    }
    assert_int_equal(seen, 512);
    for (size_t part = 0; part < 8; part++) { /* evenly: each eighth of the picture is looked at */
        memset(pixels + part * (LARGE / 8), 1, LARGE / 8);
        assert_true(guard_picture(pixels, LARGE) != large);
        memset(pixels, 0, LARGE);
    }
    pixels[LARGE - 1] = 1;
    assert_true(guard_picture(pixels, LARGE) != large);
    memset(pixels, 0, LARGE);
    assert_true(guard_picture(pixels, 16) != guard_picture(pixels, 24));
    assert_true(guard_picture(pixels, 0) != guard_picture(pixels, 1));
    assert_true(guard_picture(pixels, 7) != guard_picture(pixels, 8));
    free(pixels);
}

/* The sum that other implementations of FNV-1a give for the size (as one word) and the last bytes. */
static void a_fingerprint_is_fnv(void **state)
{
    uint64_t want = (0xcbf29ce484222325u ^ 2) * 0x100000001b3u;
    want = (want ^ 'a') * 0x100000001b3u;
    want = (want ^ 'b') * 0x100000001b3u;
    assert_true(guard_picture("ab", 2) == want);
}

static bool agree(const struct detection *a, uint32_t a_count, const struct detection *b, uint32_t b_count)
{
    const struct guard_payload active = {.count = a_count, .detections = a},
                               shadow = {.count = b_count, .detections = b};
    return guard_agree(&active, &shadow);
}

static void detections_agree(void **state)
{
    struct detection a[2] = {thing(5, 5, 1), thing(20, 20, 1)}, b[2] = {a[1], a[0]};
    assert_true(agree(a, 2, b, 2));
    assert_true(agree(a, 0, b, 0));
    assert_false(agree(a, 2, b, 1));
    assert_false(agree(a, 1, b, 2));
    b[0] = a[0]; /* both at one place: the other has no partner */
    assert_false(agree(a, 2, b, 2));
    b[0] = a[1];
    b[0].label = 2;
    assert_false(agree(a, 2, b, 2));
    b[0] = thing(20.6f, 20, 1); /* IoU 0.54 */
    assert_true(agree(a, 2, b, 2));
    b[0] = thing(20.8f, 20, 1); /* IoU 0.43 */
    assert_false(agree(a, 2, b, 2));
    b[0] = a[1];
    b[0].score = 0;
    assert_true(agree(a, 2, b, 2));
}

static bool same(const float *a, const float *b, uint32_t count, bool by_rank)
{
    const struct guard_payload active = {.is_values = true, .by_rank = by_rank, .count = count, .values = a},
                               shadow = {.is_values = true, .count = count, .values = b};
    return guard_agree(&active, &shadow);
}

static void values_agree(void **state)
{
    const float a[4] = {1, 5, 2, 3}, ranked[4] = {9, 10, -4, 0}, close[4] = {1.1f, 5.2f, 1.9f, 3.1f},
                far[4] = {1.1f, 5.3f, 1.9f, 3.1f}, zero[4] = {0}, lost[4] = {1, NAN, 2, 3},
                tie[4] = {5, 5, 0, 0};
    assert_true(same(a, ranked, 4, true));
    assert_false(same(a, ranked, 4, false));
    assert_true(same(a, close, 4, false)); /* 0.26 of 6.24 */
    assert_false(same(a, far, 4, false));  /* 0.35 of 6.24 */
    assert_false(same(a, lost, 4, false));
    assert_true(same(zero, zero, 4, false));
    assert_false(same(zero, a, 4, false));
    assert_false(same(tie, a, 4, true)); /* of equals the first one counts */
    assert_true(same(a, a, 0, false));
    assert_false(same(a, zero, 2, true));
    const float last[4] = {0, 0, 0, 1}, third[5] = {0, 0, 1, 0, 9}, beyond[5] = {0, 0, 1, 0, 0},
                small[4] = {0, 0.01f, 0, 0}, first[4] = {2, 5, 2, 3};
    assert_false(same(third, last, 4, true));
    assert_true(same(third, beyond, 4, true)); /* what is beyond the count is not looked at */
    assert_true(same(third, beyond, 4, false));
    assert_false(same(zero, small, 4, false));
    assert_false(same(a, first, 4, false));
    assert_true(same(last, last, 4, true));
    assert_false(same(a, last, 4, true));
    struct guard_payload values = {.is_values = true, .count = 0}, boxes = {.count = 0};
    assert_false(guard_agree(&values, &boxes));
    assert_false(guard_agree(&boxes, &values));
    values.count = 1;
    struct guard_payload more = {.is_values = true, .count = 2};
    assert_false(guard_agree(&values, &more));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_old_frame_is_stale),
        cmocka_unit_test(a_repeated_picture_is_frozen),
        cmocka_unit_test(a_value_that_moves_too_fast),
        cmocka_unit_test(another_kind_or_count_starts_anew),
        cmocka_unit_test(an_object_that_jumps),
        cmocka_unit_test(a_finding_says_its_number_and_its_limit),
        cmocka_unit_test(distances_are_euclidean),
        cmocka_unit_test(too_many_in_a_row_is_a_fault),
        cmocka_unit_test(a_fingerprint_sees_its_sample),
        cmocka_unit_test(a_fingerprint_is_fnv),
        cmocka_unit_test(detections_agree),
        cmocka_unit_test(values_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
