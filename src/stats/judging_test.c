#include "stats/confusion.h"
#include "stats/events.h"

#include "base/testing.h"

#include <math.h>

static uint32_t seed = 1;

static uint32_t dice(uint32_t sides)
{
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8) % sides;
}

/* ---- classifiers ---- */

static void a_confusion_is_what_counting_one_by_one_gives(void **state)
{
    enum { CLASSES = 4, ROUNDS = 500 };
    uint32_t truth[ROUNDS], said[ROUNDS];
    cleanup_confusion struct confusion *confusion = confusion_new(CLASSES);
    for (size_t i = 0; i < ROUNDS; i++) {
        truth[i] = dice(3); /* the last class never occurs */
        said[i] = dice(2) ? truth[i] : dice(CLASSES);
        confusion_add(confusion, truth[i], said[i]);
    }
    for (size_t label = 0; label < CLASSES; label++) {
        double tp = 0, fp = 0, fn = 0;
        for (size_t i = 0; i < ROUNDS; i++) {
            tp += truth[i] == label && said[i] == label;
            fp += truth[i] != label && said[i] == label;
            fn += truth[i] == label && said[i] != label;
        }
        double precision = tp / (tp + fp), recall = tp / (tp + fn), f1 = 2 * tp / (2 * tp + fp + fn);
        assert_true(fabs(confusion_precision(confusion, label) - precision) < 1e-12);
        assert_true(label == 3 ? isnan(confusion_recall(confusion, label))
                               : fabs(confusion_recall(confusion, label) - recall) < 1e-12);
        assert_true(fabs(confusion_f1(confusion, label) - f1) < 1e-12);
    }
    assert_int_equal(confusion_total(confusion), ROUNDS);
}

static void nothing_seen_has_no_accuracy(void **state)
{
    cleanup_confusion struct confusion *confusion = confusion_new(2);
    assert_true(isnan(confusion_accuracy(confusion)) && isnan(confusion_macro_f1(confusion)));
}

/* ---- events ---- */

enum { FRAMES = 400, MAX_EVENTS = 64 };

/* Whatever the scores: events are in order, apart, and cover exactly the frames over the threshold and the joined gaps. */
static void events_cover_what_is_over_the_threshold(void **state)
{
    for (int round = 0; round < 200; round++) {
        float scores[FRAMES];
        struct event events[FRAMES];
        for (size_t i = 0; i < FRAMES; i++)
            scores[i] = dice(5) ? 0.1F : 0.9F;
        double rate = 1 + dice(50), join = dice(3) * 0.3;
        size_t count = events_find(scores, FRAMES, 1, rate, 0.5F, join, 7, events, FRAMES);
        for (size_t e = 0; e < count; e++) {
            size_t from = (size_t)lround(events[e].from_s * rate), to = (size_t)lround(events[e].to_s * rate);
            assert_true(scores[from] > 0.5F && scores[to] > 0.5F && from <= to && events[e].label == 7);
            if (e)
                assert_true(events[e].from_s - events[e - 1].to_s > join + 1 / rate);
        }
        for (size_t i = 0; i < FRAMES; i++) {
            bool inside = false;
            for (size_t e = 0; e < count; e++)
                inside |=
                    (double)i / rate >= events[e].from_s - 1e-9 && (double)i / rate <= events[e].to_s + 1e-9;
            assert_true(inside || scores[i] < 0.5F);
        }
    }
}

static void nan_is_no_event(void **state)
{
    const float scores[] = {NAN, NAN, NAN};
    assert_int_equal(events_find(scores, 3, 1, 10, 0.5F, 0, 0, NULL, 0), 0);
}

static void too_many_are_counted_and_not_written(void **state)
{
    float scores[20];
    struct event one;
    for (size_t i = 0; i < 20; i++)
        scores[i] = i % 4 == 0;
    assert_int_equal(events_find(scores, 20, 1, 1, 0.5F, 0, 0, &one, 1), 5);
    assert_true(one.from_s == 0 && one.to_s == 0);
}

static void an_alarm_is_right_or_false_and_a_truth_found_or_missed(void **state)
{
    const struct event truth[] = {{0, 10, 12}, {0, 30, 31}, {1, 50, 51}};
    const struct event said[] = {{0, 11, 11.5}, {0, 12.5, 13}, {0, 40, 41}, {0, 50, 50.5}, {1, 50.5, 52}};
    struct event_tally first = {0}, second = {0};
    events_match(truth, 3, said, 5, 0, 1, &first);
    events_match(truth, 3, said, 5, 1, 1, &second);
    assert_int_equal(first.truths, 2);
    assert_int_equal(first.found, 1);
    assert_int_equal(first.said, 4);
    assert_int_equal(first.false_alarms, 2); /* 40 and, of the wrong label, 50 */
    assert_true(fabs(first.delay_sum_s - 1) < 1e-12);
    assert_true(second.found == 1 && second.false_alarms == 0 && fabs(second.delay_sum_s - 0.5) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_confusion_is_what_counting_one_by_one_gives),
        cmocka_unit_test(nothing_seen_has_no_accuracy),
        cmocka_unit_test(events_cover_what_is_over_the_threshold),
        cmocka_unit_test(nan_is_no_event),
        cmocka_unit_test(too_many_are_counted_and_not_written),
        cmocka_unit_test(an_alarm_is_right_or_false_and_a_truth_found_or_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
