#include "base/mem.h"
#include "base/testing.h"
#include "stats/detection.h"

#include <math.h>

static uint32_t random_state = 7;

static float random_unit(void)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (float)(random_state >> 8) / 16777216.0f;
}

static struct detection random_box(uint32_t labels)
{
    float x = random_unit() * 100, y = random_unit() * 100;
    return (struct detection){.x0 = x,
                              .y0 = y,
                              .x1 = x + 2 + random_unit() * 30,
                              .y1 = y + 2 + random_unit() * 30,
                              .score = random_unit(),
                              .label = (uint32_t)(random_unit() * (float)labels)};
}

static void iou_is_symmetric_bounded_and_one_only_for_itself(void **state)
{
    for (int i = 0; i < 2000; i++) {
        struct detection a = random_box(1), b = random_box(1);
        float iou = detection_iou(&a, &b);
        assert_true(iou == detection_iou(&b, &a));
        assert_true(iou >= 0 && iou < 1);
        assert_true(fabsf(detection_iou(&a, &a) - 1) < 1e-6f);
    }
    struct detection left = {0, 0, 10, 10, 1, 0}, right = {5, 0, 15, 10, 1, 0}, empty = {5, 5, 5, 9, 1, 0};
    assert_true(fabsf(detection_iou(&left, &right) - 1.0f / 3) < 1e-6f);
    assert_true(detection_iou(&left, &empty) == 0);
}

/* Against the rule itself, applied to a stable sort: with few distinct scores, so that order among equals
 * shows. */
static void nms_is_the_greedy_rule_on_a_stable_order(void **state)
{
    for (int round = 0; round < 300; round++) {
        struct detection all[50], sorted[50], want[50];
        size_t sorted_count = 0, want_count = 0, max = 1 + (size_t)(random_unit() * 50);
        for (size_t i = 0; i < ARRAY_LEN(all); i++) {
            all[i] = random_box(2);
            all[i].score = floorf(all[i].score * 4) / 4;
            size_t at = sorted_count++;
            for (; at > 0 && sorted[at - 1].score < all[i].score; at--)
                sorted[at] = sorted[at - 1];
            sorted[at] = all[i];
        }
        for (size_t i = 0; i < sorted_count && want_count < max; i++) {
            bool covered = false;
            for (size_t k = 0; k < want_count; k++)
                covered |= want[k].label == sorted[i].label && detection_iou(&want[k], &sorted[i]) > 0.3f;
            if (!covered)
                want[want_count++] = sorted[i];
        }
        assert_int_equal(detection_nms(all, ARRAY_LEN(all), 0.3f, max), want_count);
        assert_memory_equal(all, want, want_count * sizeof want[0]);
    }
    assert_int_equal(detection_nms(NULL, 0, 0.3f, 5), 0);
}

static void nms_keeps_no_overlapping_pair_and_drops_only_covered_ones(void **state)
{
    for (int round = 0; round < 200; round++) {
        struct detection all[60], kept[60];
        for (size_t i = 0; i < ARRAY_LEN(all); i++)
            all[i] = random_box(3);
        memcpy(kept, all, sizeof all);
        size_t count = detection_nms(kept, ARRAY_LEN(kept), 0.4f, 60);
        for (size_t i = 0; i < count; i++)
            for (size_t j = i + 1; j < count; j++) {
                assert_true(kept[i].score >= kept[j].score);
                assert_false(kept[i].label == kept[j].label && detection_iou(&kept[i], &kept[j]) > 0.4f);
            }
        for (size_t i = 0; i < ARRAY_LEN(all); i++) {
            bool explained = false;
            for (size_t k = 0; k < count && !explained; k++)
                explained = memcmp(&kept[k], &all[i], sizeof all[i]) == 0 ||
                            (kept[k].label == all[i].label && kept[k].score >= all[i].score &&
                             detection_iou(&kept[k], &all[i]) > 0.4f);
            assert_true(explained);
        }
        assert_int_equal(detection_nms(all, ARRAY_LEN(all), 0.4f, 5), MIN(count, (size_t)5));
    }
}

static void a_match_accounts_for_everything(void **state)
{
    for (int round = 0; round < 300; round++) {
        struct detection found[20], truth[15];
        for (size_t i = 0; i < ARRAY_LEN(found); i++)
            found[i] = random_box(2);
        for (size_t i = 0; i < ARRAY_LEN(truth); i++)
            truth[i] = random_box(2);
        struct detection_match match = detection_match(found, 20, truth, 15, 0.5f, 0.3f);
        size_t counted = 0;
        for (size_t i = 0; i < ARRAY_LEN(found); i++)
            counted += found[i].score >= 0.5f;
        assert_int_equal(match.tp + match.fp, counted);
        assert_int_equal(match.tp + match.fn, 15);
        struct detection_match self = detection_match(truth, 15, truth, 15, 0, 0.99f);
        assert_int_equal(self.tp, 15);
        assert_int_equal(self.fp + self.fn, 0);
    }
}

static void perfect_detections_give_one_and_noise_lowers_it(void **state)
{
    struct ap_meter *perfect = ap_meter_new(3), *noisy = ap_meter_new(3);
    for (int frame = 0; frame < 50; frame++) {
        struct detection truth[6], found[9];
        for (size_t i = 0; i < ARRAY_LEN(truth); i++)
            truth[i] = random_box(2);
        memcpy(found, truth, sizeof truth);
        for (size_t i = 6; i < 9; i++)
            found[i] = random_box(2);
        assert_int_equal(ap_meter_add(perfect, truth, 6, truth, 6), 0);
        assert_int_equal(ap_meter_add(noisy, found, 9, truth, 6), 0);
    }
    assert_true(fabs(ap_meter_map(perfect, 0.5) - 1) < 1e-9);
    assert_true(ap_meter_map(noisy, 0.5) < 0.99);
    assert_true(isnan(ap_meter_ap(perfect, 2, 0.5))); /* a class nobody saw does not count */
    assert_int_equal(ap_meter_truths(perfect, 0) + ap_meter_truths(perfect, 1), 300);
    ap_meter_free(perfect);
    ap_meter_free(noisy);
}

static void a_worked_example_gives_the_textbook_area(void **state)
{
    /* Two truths; detections by score: hit, miss, hit → precision 1, 1/2, 2/3 → AP = 1/2 * 1 + 1/2 * 2/3. */
    struct detection truth[] = {{0, 0, 10, 10, 1, 0}, {50, 50, 60, 60, 1, 0}};
    struct detection found[] = {
        {0, 0, 10, 10, 0.9f, 0}, {80, 80, 90, 90, 0.8f, 0}, {50, 50, 60, 60, 0.7f, 0}};
    struct ap_meter *meter = ap_meter_new(1);
    assert_int_equal(ap_meter_add(meter, found, 3, truth, 2), 0);
    assert_true(fabs(ap_meter_ap(meter, 0, 0.5) - (0.5 + 0.5 * 2 / 3)) < 1e-9);
    ap_meter_free(meter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iou_is_symmetric_bounded_and_one_only_for_itself),
        cmocka_unit_test(nms_is_the_greedy_rule_on_a_stable_order),
        cmocka_unit_test(nms_keeps_no_overlapping_pair_and_drops_only_covered_ones),
        cmocka_unit_test(a_match_accounts_for_everything),
        cmocka_unit_test(perfect_detections_give_one_and_noise_lowers_it),
        cmocka_unit_test(a_worked_example_gives_the_textbook_area),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
