#include "base/mem.h"
#include "base/testing.h"
#include "robot/decide/guard_check.h"

#include <math.h>

static const struct ctl_limits limits = {
    .deadline_us = 60000, .max_detections = 4, .label_count = 5, .min_score = 0.25f};
static const struct guard_frame frame = {.seq = 7,
                                         .stream = 3,
                                         .generation = 2,
                                         .capture_ns = 1000,
                                         .deadline_ns = 5000,
                                         .width = 160,
                                         .height = 128};
static struct frame_cause why;
static const struct detection sound = {.x0 = 10, .y0 = 20, .x1 = 30, .y1 = 60, .score = 0.5f, .label = 4};

/* Wherever it stands among sound ones. */
static enum intervention check_one(struct detection item)
{
    enum intervention found[4];
    for (size_t at = 0; at < 4; at++) {
        struct detection items[4] = {sound, sound, sound, sound};
        items[at] = item;
        struct guard_result result = {
            .seq = 7, .stream = 3, .generation = 2, .count = 4, .room = 4, .detections = items};
        found[at] = guard_check_result(&result, &frame, &limits, 4000, &why);
        assert_int_equal(found[at], found[0]);
    }
    return found[0];
}

static void a_sound_result_passes(void **state)
{
    assert_int_equal(check_one(sound), INTERVENTION_COUNT);
    struct guard_result nothing = {.seq = 7, .stream = 3, .generation = 2};
    assert_int_equal(guard_check_result(&nothing, &frame, &limits, 5000, &why), INTERVENTION_COUNT);
}

/* Each field of a detection, driven over its edge alone, is found. */
static void each_field_over_its_edge_is_found(void **state)
{
    static const struct {
        float low, high;
        size_t offset;
    } edges[] = {
        {-2.5f, 31, offsetof(struct detection, x0)},       {-2.5f, 61, offsetof(struct detection, y0)},
        {9, 162.5f, offsetof(struct detection, x1)},       {19, 130.5f, offsetof(struct detection, y1)},
        {0.24f, 1.01f, offsetof(struct detection, score)},
    };
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        struct detection item = sound;
        float *field = (float *)(void *)((char *)&item + edges[i].offset);
        *field = edges[i].low;
        assert_int_equal(check_one(item), INTERVENED_RANGE);
        *field = edges[i].high;
        assert_int_equal(check_one(item), INTERVENED_RANGE);
        for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
            *field = bad[k];
            assert_int_equal(check_one(item), INTERVENED_NOT_FINITE);
        }
    }
    struct detection item = sound;
    item.label = 5;
    assert_int_equal(check_one(item), INTERVENED_RANGE);
    item.label = UINT32_MAX;
    assert_int_equal(check_one(item), INTERVENED_RANGE);
}

static void edges_themselves_pass(void **state)
{
    struct detection item = {.x0 = -2, .y0 = -2, .x1 = 162, .y1 = 130, .score = 1.0f, .label = 0};
    assert_int_equal(check_one(item), INTERVENTION_COUNT);
    item.score = 0.25f;
    item.x1 = item.x0;
    assert_int_equal(check_one(item), INTERVENTION_COUNT);
}

static void a_result_for_another_frame_is_out_of_sequence(void **state)
{
    struct guard_result good = {.seq = 7, .stream = 3, .generation = 2}, result = good;
    result.seq = 8;
    assert_int_equal(guard_check_result(&result, &frame, &limits, 4000, &why), INTERVENED_SEQUENCE);
    result = good;
    result.stream = 4;
    assert_int_equal(guard_check_result(&result, &frame, &limits, 4000, &why), INTERVENED_SEQUENCE);
    result = good;
    result.generation = 1;
    assert_int_equal(guard_check_result(&result, &frame, &limits, 4000, &why), INTERVENED_SEQUENCE);
    struct guard_frame decided = frame;
    decided.decided = true;
    assert_int_equal(guard_check_result(&good, &decided, &limits, 4000, &why), INTERVENED_SEQUENCE);
}

static void late_and_too_many(void **state)
{
    struct guard_result result = {.seq = 7, .stream = 3, .generation = 2};
    assert_int_equal(guard_check_result(&result, &frame, &limits, 5001, &why), INTERVENED_DEADLINE);
    result.count = 5; /* more than there is room for: must not be read */
    assert_int_equal(guard_check_result(&result, &frame, &limits, 4000, &why), INTERVENED_TOO_MANY);
    result.count = UINT32_MAX;
    assert_int_equal(guard_check_result(&result, &frame, &limits, 4000, &why), INTERVENED_TOO_MANY);
    struct detection items[5] = {sound, sound, sound, sound, sound};
    result = (struct guard_result){
        .seq = 7, .stream = 3, .generation = 2, .count = 5, .room = 5, .detections = items};
    assert_int_equal(guard_check_result(&result, &frame, &limits, 4000, &why), INTERVENED_TOO_MANY);
}

static enum intervention check_values(const float *values, uint32_t count)
{
    const struct ctl_limits wanted = {.value_count = 3, .value_min = -1, .value_max = 2};
    struct guard_result result = {.seq = 7,
                                  .stream = 3,
                                  .generation = 2,
                                  .count = count,
                                  .room = 4,
                                  .is_values = true,
                                  .values = values};
    return guard_check_result(&result, &frame, &wanted, 4000, &why);
}

static void values_are_finite_in_range_and_all_there(void **state)
{
    const float edges[4] = {-1, 2, 0, NAN}; /* what is beyond the count is not looked at */
    assert_int_equal(check_values(edges, 3), INTERVENTION_COUNT);
    assert_int_equal(check_values(edges, 2), INTERVENED_RANGE);
    assert_int_equal(check_values(edges, 0), INTERVENED_RANGE);
    assert_int_equal(check_values(edges, 4), INTERVENED_TOO_MANY);
    assert_int_equal(check_values(edges, 5), INTERVENED_TOO_MANY); /* more than there is room for */
    static const float bad[] = {NAN, INFINITY, -INFINITY, -1.01f, 2.01f};
    for (size_t at = 0; at < 3; at++)
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            float values[3] = {0};
            values[at] = bad[i];
            assert_int_equal(check_values(values, 3), i < 3 ? INTERVENED_NOT_FINITE : INTERVENED_RANGE);
        }
    const float both[4] = {0, 9, NAN, 9}; /* the first one that is wrong */
    assert_int_equal(check_values(both, 3), INTERVENED_RANGE);
    assert_int_equal(why.index, 1);
    assert_int_equal(check_values(both + 1, 3), INTERVENED_RANGE);
    assert_int_equal(check_values((const float[]){NAN, 9, 9}, 3), INTERVENED_NOT_FINITE);
}

static void assert_cause(enum cause_rule rule, uint32_t index, float value, float limit)
{
    assert_int_equal(why.rule, rule);
    assert_int_equal(why.index, index);
    assert_true(why.value == value || (isnan(value) && isnan(why.value)));
    assert_true(why.limit == limit);
}

/* Had the number been at its limit, it would have passed: an exact contrast. */
static void a_finding_says_its_number_and_its_limit(void **state)
{
    static const struct {
        size_t offset;
        float value, limit;
        enum cause_rule rule;
    } cases[] = {
        {offsetof(struct detection, x0), -3, -2, CAUSE_BOX},
        {offsetof(struct detection, x0), 31, 30, CAUSE_BOX},
        {offsetof(struct detection, x1), 170, 162, CAUSE_BOX},
        {offsetof(struct detection, y0), -9, -2, CAUSE_BOX},
        {offsetof(struct detection, y0), 61, 60, CAUSE_BOX},
        {offsetof(struct detection, y1), 131, 130, CAUSE_BOX},
        {offsetof(struct detection, score), 0.125f, 0.25f, CAUSE_SCORE},
        {offsetof(struct detection, score), 1.5f, 1, CAUSE_SCORE},
        {offsetof(struct detection, score), NAN, 1, CAUSE_SCORE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct detection item = sound;
        float *field = (float *)(void *)((char *)&item + cases[i].offset);
        *field = cases[i].value;
        assert_int_not_equal(check_one(item), INTERVENTION_COUNT);
        assert_cause(cases[i].rule, 3, cases[i].value, cases[i].limit); /* check_one: last among four */
        *field = cases[i].limit;
        assert_int_equal(check_one(item), INTERVENTION_COUNT);
    }
    struct detection item = sound;
    item.label = 9;
    assert_int_equal(check_one(item), INTERVENED_RANGE);
    assert_cause(CAUSE_LABEL, 3, 9, 4);
    const float values[4] = {0, 0, 2.5f, 0};
    assert_int_equal(check_values(values, 3), INTERVENED_RANGE);
    assert_cause(CAUSE_VALUE, 2, 2.5f, 2);
    assert_int_equal(check_values(values, 2), INTERVENED_RANGE);
    assert_cause(CAUSE_SIZE, 0, 2, 3);
    assert_int_equal(check_values(values, 4), INTERVENED_TOO_MANY);
    assert_cause(CAUSE_SIZE, 0, 4, 3);
}

static void no_finding_no_cause(void **state)
{
    why = (struct frame_cause){.rule = CAUSE_TIME, .index = 77};
    assert_int_equal(check_one(sound), INTERVENTION_COUNT);
    struct guard_result late = {.seq = 7, .stream = 3, .generation = 2};
    assert_int_equal(guard_check_result(&late, &frame, &limits, 5001, &why), INTERVENED_DEADLINE);
    late.seq = 8;
    assert_int_equal(guard_check_result(&late, &frame, &limits, 4000, &why), INTERVENED_SEQUENCE);
    assert_cause(CAUSE_TIME, 77, 0, 0);
}

static void another_kind_than_the_release_gives(void **state)
{
    const float values[1] = {0};
    struct guard_result result = {
        .seq = 7, .stream = 3, .generation = 2, .count = 1, .room = 1, .is_values = true, .values = values};
    assert_int_equal(guard_check_result(&result, &frame, &limits, 4000, &why), INTERVENED_RANGE);
    const struct ctl_limits wanted = {.value_count = 1, .max_detections = 4, .label_count = 5};
    assert_int_equal(guard_check_result(&result, &frame, &wanted, 4000, &why), INTERVENTION_COUNT);
    result.is_values = false;
    result.detections = &sound;
    assert_int_equal(guard_check_result(&result, &frame, &wanted, 4000, &why), INTERVENED_RANGE);
}

static void the_sooner_deadline_counts(void **state)
{
    assert_int_equal(guard_frame_deadline_ns(1000, 500000, 100), 101000);
    assert_int_equal(guard_frame_deadline_ns(1000, 50000, 100), 50000);
    assert_int_equal(guard_frame_deadline_ns(INT64_MAX - 5, 50000, 100), 50000);
    assert_int_equal(guard_frame_deadline_ns(INT64_MIN, 50000, 0), INT64_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_result_passes),
        cmocka_unit_test(each_field_over_its_edge_is_found),
        cmocka_unit_test(edges_themselves_pass),
        cmocka_unit_test(a_result_for_another_frame_is_out_of_sequence),
        cmocka_unit_test(late_and_too_many),
        cmocka_unit_test(values_are_finite_in_range_and_all_there),
        cmocka_unit_test(a_finding_says_its_number_and_its_limit),
        cmocka_unit_test(no_finding_no_cause),
        cmocka_unit_test(another_kind_than_the_release_gives),
        cmocka_unit_test(the_sooner_deadline_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
