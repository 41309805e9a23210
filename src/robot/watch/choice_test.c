#include "robot/watch/choice.h"

#include "base/mem.h"
#include "base/testing.h"
#include "robot/ctl/ctl.h"

#include <math.h>

static struct choice choice;

static struct ring_verdict boxes(float score)
{
    return (struct ring_verdict){
        .status = RING_VERDICT_OK, .kind = RING_DETECTIONS, .count = 1, .detections = {{.score = score}}};
}

static void begin(uint64_t seed)
{
    choice_init(&choice, &(struct choice_options){.seed = seed});
}

/* Weighted by one over their probability, the audits stand for all frames: that is what it is all for. */
static void audits_stand_for_all_frames(void **state)
{
    (void)state;
    double estimate = 0, frames = 0;
    begin(1);
    for (int window = 0; window < 3000; window++) {
        int count = 300 + 200 * (window % 7); /* the pace changes all the time */
        for (int i = 0; i < count; i++) {
            struct ring_verdict verdict = boxes(0.9f);
            struct choice_pick pick;
            frames++;
            if (choice_frame(&choice, &verdict, 0.35, &pick)) {
                assert_int_equal(pick.reason, SAMPLE_AUDIT);
                assert_true(pick.probability > 0 && pick.probability <= 1.0 / 2000);
                estimate += 1 / pick.probability;
            }
        }
        choice_window(&choice, 60);
    }
    assert_int_equal(choice.cut_off, 0);
    assert_true(fabs(estimate - frames) < 0.15 * frames); /* some 900 audits: 4.5 standard deviations */
}

/* An hour of frames at this pace and score: how many of the reason are taken. */
static int hour_of(enum sample_reason reason, const struct ring_verdict *verdict, int per_minute)
{
    int taken = 0;
    for (int minute = 0; minute < 60; minute++) {
        for (int i = 0; i < per_minute; i++) {
            struct choice_pick pick;
            taken += choice_frame(&choice, verdict, 0.35, &pick) && pick.reason == reason;
        }
        choice_window(&choice, 60);
    }
    return taken;
}

static void each_reason_keeps_its_budget(void **state)
{
    (void)state;
    struct ring_verdict unsure = boxes(0.36f), novel = boxes(0.9f), refused = boxes(0.9f);
    novel.signals.valid = 1;
    novel.signals.values[SIGNAL_NOVELTY] = 3;
    refused.status = RING_VERDICT_SAFE;
    refused.reason = INTERVENED_RANGE;
    begin(2);
    hour_of(SAMPLE_UNSURE, &unsure, 1800);
    assert_in_range(hour_of(SAMPLE_UNSURE, &unsure, 1800), 2, 30);
    begin(3);
    hour_of(SAMPLE_NOVEL, &novel, 1800);
    assert_in_range(hour_of(SAMPLE_NOVEL, &novel, 1800), 2, 30);
    begin(4);
    hour_of(SAMPLE_INTERVENTION, &refused, 600);
    assert_in_range(hour_of(SAMPLE_INTERVENTION, &refused, 600), 1, 24);
    begin(5);
    hour_of(SAMPLE_NOVEL, &novel, 1);
    assert_in_range(hour_of(SAMPLE_NOVEL, &novel, 1), 5, 24); /* rare ones nearly all */
}

/* A lens gets dirty within one window, and every frame is novel. */
static void a_flood_is_cut_off_and_counted(void **state)
{
    (void)state;
    struct ring_verdict novel = boxes(0.9f);
    int taken = 0;
    novel.signals.valid = 1;
    novel.signals.values[SIGNAL_NOVELTY] = 9;
    begin(6);
    for (int minute = 0; minute < 600; minute++)
        choice_window(&choice, 60); /* none so far: each would be taken */
    for (int i = 0; i < 10000; i++) {
        struct choice_pick pick;
        taken += choice_frame(&choice, &novel, 0.35, &pick) && pick.reason == SAMPLE_NOVEL;
    }
    assert_in_range(taken, 20, 24);
    assert_true(choice.cut_off > 9000);
}

static void bytes_are_a_budget_too(void **state)
{
    (void)state;
    struct choice_pick pick;
    struct ring_verdict verdict = boxes(0.9f);
    choice_init(&choice, &(struct choice_options){.seed = 1, .bytes_per_hour = 1 << 20});
    choice_ask(&choice);
    assert_true(choice_frame(&choice, &verdict, 0.35, &pick));
    choice_spent(&choice, 2 << 20);
    choice_ask(&choice);
    assert_false(choice_frame(&choice, &verdict, 0.35, &pick));
    choice_window(&choice, 3600);
    choice_window(&choice, 3600);
    assert_true(choice_frame(&choice, &verdict, 0.35, &pick));
    assert_int_equal(pick.reason, SAMPLE_OPERATOR);
    assert_true(pick.probability == 1);
    assert_false(choice_frame(&choice, &verdict, 0.35, &pick)); /* asked for one */
}

static void a_word_of_a_human_is_no_case_for_review(void **state)
{
    (void)state;
    struct choice_pick pick;
    struct ring_verdict held = boxes(0.9f);
    held.status = RING_VERDICT_SAFE;
    held.reason = INTERVENED_OVERSIGHT;
    begin(8);
    for (int i = 0; i < 1000; i++)
        assert_true(!choice_frame(&choice, &held, 0.35, &pick) || pick.reason == SAMPLE_AUDIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(audits_stand_for_all_frames),
        cmocka_unit_test(each_reason_keeps_its_budget),
        cmocka_unit_test(a_flood_is_cut_off_and_counted),
        cmocka_unit_test(bytes_are_a_budget_too),
        cmocka_unit_test(a_word_of_a_human_is_no_case_for_review),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
