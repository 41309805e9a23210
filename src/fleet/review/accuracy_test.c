#include "base/testing.h"

#include "base/str.h"
#include "fleet/review/accuracy.h"
#include "fleet/review/duty.h"

#include <math.h>
#include <string.h>

static const double ALPHA = 0.05;

static struct accuracy *make(void)
{
    struct accuracy *accuracy = NULL;
    struct err err = {0};
    assert_ok(accuracy_new(&accuracy, &err), err);
    return accuracy;
}

static struct review_row row_of(const char *site, enum sample_reason reason, enum review_verdict verdict)
{
    struct review_row row = {
        .reason = reason, .verdict = verdict, .count = 1, .probability = reason == SAMPLE_AUDIT ? 5e-4 : 1};
    str_copy(row.site, sizeof row.site, site);
    return row;
}

static void add(struct accuracy *accuracy, const char *site, enum sample_reason reason,
                enum review_verdict verdict, uint32_t missed, size_t times)
{
    struct err err = {0};
    struct review_row row = row_of(site, reason, verdict);
    row.missed = missed;
    while (times--)
        assert_ok(accuracy_add_review(accuracy, &row, &err), err);
}

static void add_missed(struct accuracy *accuracy, const char *site, size_t times)
{
    struct missed_row row = {0};
    str_copy(row.site, sizeof row.site, site);
    while (times--)
        accuracy_add_missed(accuracy, &row);
}

static void assert_inside(const struct review_estimate *estimate, double value)
{
    assert_true(fabs(estimate->value - value) < 1e-9);
    assert_true(estimate->low < value && value < estimate->high);
}

static void nothing_said_is_nothing_known(void **state)
{
    cleanup_accuracy struct accuracy *accuracy = make();
    struct accuracy_words words;
    accuracy_judge(accuracy, 0, NULL, ALPHA, &words);
    assert_int_equal(accuracy_count(accuracy), 1);
    assert_true(isnan(words.alarm_precision.value) && isnan(words.alarm_recall.low));
    assert_true(isnan(words.false_alarms_per_hour.value));
    assert_true(isnan(words.frame_precision.value) && isnan(words.frame_recall.value));
    assert_false(words.unlabelled.valid);
    assert_non_null(words.unlabelled.because);
}

static void alarms_count_as_they_are(void **state)
{
    cleanup_accuracy struct accuracy *accuracy = make();
    const struct telemetry_row work = {.operating_ms = 20 * 3600 * 1000, .score_tp = 3};
    struct accuracy_words words;
    add(accuracy, "north", SAMPLE_ALARM, REVIEW_TRUE, 0, 45);
    add(accuracy, "north", SAMPLE_ALARM, REVIEW_FALSE, 0, 5);
    add(accuracy, "north", SAMPLE_ALARM, REVIEW_UNSURE, 0, 7);
    add(accuracy, "north", SAMPLE_ALARM, REVIEW_OPEN, 0, 9);
    add_missed(accuracy, "north", 15);
    accuracy_add_work(accuracy, "north", &work);
    for (size_t i = 0; i < 2; i++) { /* the one site is the fleet */
        accuracy_judge(accuracy, i, NULL, ALPHA, &words);
        assert_inside(&words.alarm_precision, 0.9);
        assert_inside(&words.alarm_recall, 0.75);
        assert_inside(&words.false_alarms_per_hour, 0.25);
        assert_true(accuracy_at(accuracy, i)->alarms == 66 && accuracy_at(accuracy, i)->alarms_open == 9);
        assert_int_equal(accuracy_at(accuracy, i)->drill_tp, 3);
    }
}

/* What was chosen since the model was unsure of it says nothing about all frames. */
static void only_audits_speak_of_all_frames(void **state)
{
    cleanup_accuracy struct accuracy *accuracy = make();
    struct accuracy_words words;
    add(accuracy, "", SAMPLE_UNSURE, REVIEW_FALSE, 1, 200);
    add(accuracy, "", SAMPLE_NOVEL, REVIEW_FALSE, 1, 200);
    accuracy_judge(accuracy, 0, NULL, ALPHA, &words);
    assert_true(isnan(words.frame_precision.value));
    add(accuracy, "", SAMPLE_AUDIT, REVIEW_TRUE, 0, 80);
    add(accuracy, "", SAMPLE_AUDIT, REVIEW_TRUE, 2, 10); /* something missed */
    add(accuracy, "", SAMPLE_AUDIT, REVIEW_FALSE, 0,
        10); /* something wrong, nothing missed: no word about recall */
    add(accuracy, "", SAMPLE_AUDIT, REVIEW_UNSURE, 0, 30);
    accuracy_judge(accuracy, 0, NULL, ALPHA, &words);
    assert_inside(&words.frame_precision, 0.9);
    assert_inside(&words.frame_recall, 80.0 / 90);
    assert_int_equal(accuracy_at(accuracy, 0)->chosen, 400);
    assert_int_equal(accuracy_at(accuracy, 0)->audits_unsure, 30);
}

/* An audit of a busy hour stands for more frames than one of a quiet hour. */
static void audits_weigh_what_they_stand_for(void **state)
{
    cleanup_accuracy struct accuracy *accuracy = make();
    struct accuracy_words words;
    struct err err = {0};
    struct review_row rare = row_of("", SAMPLE_AUDIT, REVIEW_TRUE),
                      often = row_of("", SAMPLE_AUDIT, REVIEW_FALSE);
    rare.probability = 1e-4;
    often.probability = 3e-4;
    for (int i = 0; i < 100; i++) {
        assert_ok(accuracy_add_review(accuracy, &rare, &err), err);
        assert_ok(accuracy_add_review(accuracy, &often, &err), err);
    }
    accuracy_judge(accuracy, 0, NULL, ALPHA, &words);
    assert_inside(&words.frame_precision, 0.75);
}

static void an_empty_frame_is_no_precision(void **state)
{
    cleanup_accuracy struct accuracy *accuracy = make();
    struct accuracy_words words;
    struct err err = {0};
    struct review_row empty = row_of("", SAMPLE_AUDIT, REVIEW_TRUE);
    empty.count = 0;
    assert_ok(accuracy_add_review(accuracy, &empty, &err), err);
    accuracy_judge(accuracy, 0, NULL, ALPHA, &words);
    assert_true(isnan(words.frame_precision.value) && isnan(words.frame_recall.value));
    empty.missed = 1;
    assert_ok(accuracy_add_review(accuracy, &empty, &err), err);
    accuracy_judge(accuracy, 0, NULL, ALPHA, &words);
    assert_true(isnan(words.frame_precision.value) && words.frame_recall.value == 0);
}

static void sites_are_sorted_and_bounded(void **state)
{
    cleanup_accuracy struct accuracy *accuracy = make();
    for (int i = 99; i >= 0; i--) {
        char site[16];
        snprintf(site, sizeof site, "s%02d", i);
        add(accuracy, site, SAMPLE_ALARM, REVIEW_TRUE, 0, 1);
    }
    assert_int_equal(accuracy_count(accuracy), 1 + ACCURACY_SITES);
    assert_int_equal(accuracy_at(accuracy, 0)->alarms, 100);
    for (size_t i = 1; i < accuracy_count(accuracy); i++) {
        assert_int_equal(accuracy_at(accuracy, i)->alarms, 1);
        assert_true(strcmp(accuracy_at(accuracy, i - 1)->site, accuracy_at(accuracy, i)->site) < 0);
    }
}

static void answers_and_drift_are_of_their_site(void **state)
{
    cleanup_accuracy struct accuracy *accuracy = make();
    struct labelfree_copy copy = {0};
    struct labelfree_reference reference;
    struct accuracy_words words;
    for (int i = 0; i < 1000; i++)
        labelfree_add(&copy, 0.9, i % 10 != 0);
    labelfree_fit(&copy, 1, &reference);
    accuracy_add_answers(accuracy, "north", labelfree_bin(0.9), 500);
    accuracy_add_answers(accuracy, "south", labelfree_bin(0.9), 10);
    accuracy_add_answers(accuracy, "south", 1000, 10); /* a bin that does not exist */
    accuracy_judge(accuracy, 1, &reference, ALPHA, &words);
    assert_true(words.unlabelled.valid && fabs(words.unlabelled.accuracy - 0.9) < 0.02);
    accuracy_judge(accuracy, 2, &reference, ALPHA, &words);
    assert_false(words.unlabelled.valid);
    accuracy_add_drift(accuracy, "north");
    accuracy_judge(accuracy, 1, &reference, ALPHA, &words);
    assert_false(words.unlabelled.valid);
    accuracy_judge(accuracy, 0, &reference, ALPHA, &words);
    assert_false(words.unlabelled.valid);
    assert_int_equal(words.unlabelled.answers, 510);
}

static void what_robots_claim_does_not_overflow(void **state)
{
    cleanup_accuracy struct accuracy *accuracy = make();
    const struct telemetry_row much = {.operating_ms = INT64_MAX, .score_fn = UINT64_MAX};
    struct accuracy_words words;
    for (int i = 0; i < 40; i++)
        accuracy_add_work(accuracy, "north", &much);
    assert_true(accuracy_at(accuracy, 0)->operating_ms > 0);
    accuracy_judge(accuracy, 0, NULL, ALPHA, &words);
    assert_true(isnan(words.false_alarms_per_hour.value) || words.false_alarms_per_hour.value < 1e-9);
}

/* ---- duty ---- */

enum { MINUTE_MS = 60000, HOUR_MS = 60 * MINUTE_MS };

static struct review_row alarm_at(uint64_t id, int64_t received_ms, const char *who, int64_t decided_ms)
{
    struct review_row row = {.id = id,
                             .reason = SAMPLE_ALARM,
                             .received_ms = received_ms,
                             .decided_ms = decided_ms,
                             .verdict = decided_ms ? REVIEW_FALSE : REVIEW_OPEN};
    str_copy(row.decided_by, sizeof row.decided_by, who);
    return row;
}

static void alarms_that_wait_are_late_in_time(void **state)
{
    cleanup_free struct duty *duty = mem_zalloc(1, sizeof *duty);
    const int64_t now_ms = 100LL * HOUR_MS;
    const struct review_row rows[] = {alarm_at(7, now_ms - DUTY_LATE_MS, "", 0),
                                      alarm_at(9, now_ms - DUTY_LATE_MS + 1, "", 0),
                                      alarm_at(5, now_ms - 2 * DUTY_LATE_MS, "", 0)};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        duty_add(duty, &rows[i], 0, now_ms);
    assert_true(duty->open == 3 && duty->unseen == 3 && duty->late == 2);
    assert_true(duty->late_newest == 7 && duty->oldest.id == 5);
    assert_true(isnan(duty_fatigue(duty)));
}

static void fatigue_is_of_hours_in_which_somebody_answered(void **state)
{
    cleanup_free struct duty *duty = mem_zalloc(1, sizeof *duty);
    const int64_t now_ms = 100LL * HOUR_MS;
    for (int i = 0; i < 30; i++) { /* ann in one hour, bob in two */
        struct review_row row =
            alarm_at(1, 0, i % 3 ? "bob" : "ann", 50LL * HOUR_MS + (i % 3 == 2 ? HOUR_MS : 0) + i);
        duty_add(duty, &row, 0, now_ms);
    }
    struct review_row old = alarm_at(1, 0, "eve", 10 * HOUR_MS), frame = old;
    frame.reason = SAMPLE_AUDIT;
    frame.decided_ms = now_ms;
    duty_add(duty, &old, 20LL * HOUR_MS, now_ms);
    duty_add(duty, &frame, 20LL * HOUR_MS, now_ms);
    assert_true(duty->answered == 30 && duty->operator_hours == 3);
    assert_true(fabs(duty_fatigue(duty) - 10) < 1e-9);
}

static void operator_hours_are_bounded(void **state)
{
    cleanup_free struct duty *duty = mem_zalloc(1, sizeof *duty);
    for (int i = 0; i < DUTY_HOURS + 10; i++) {
        struct review_row row = alarm_at(1, 0, "ann", (int64_t)(i + 1) * HOUR_MS);
        duty_add(duty, &row, 0, 0);
    }
    assert_true(duty->overflow && duty->operator_hours == DUTY_HOURS && duty->answered == DUTY_HOURS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_is_nothing_known),
        cmocka_unit_test(alarms_count_as_they_are),
        cmocka_unit_test(only_audits_speak_of_all_frames),
        cmocka_unit_test(audits_weigh_what_they_stand_for),
        cmocka_unit_test(an_empty_frame_is_no_precision),
        cmocka_unit_test(sites_are_sorted_and_bounded),
        cmocka_unit_test(answers_and_drift_are_of_their_site),
        cmocka_unit_test(what_robots_claim_does_not_overflow),
        cmocka_unit_test(alarms_that_wait_are_late_in_time),
        cmocka_unit_test(fatigue_is_of_hours_in_which_somebody_answered),
        cmocka_unit_test(operator_hours_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
