#include "robot/watch/core_testing.h"

#include "base/str.h"
#include "wire/decision.h"

#include <math.h>
#include <string.h>

static const struct otlp_point *point(const char *name, const char *word)
{
    for (size_t i = 0; i < told.points.count; i++)
        if (str_eq(told.points.points[i].name, name) && (!word || str_eq(told.points.points[i].word, word)))
            return &told.points.points[i];
    return NULL;
}

static void a_shift_is_told_with_its_cause(void **state)
{
    (void)state;
    struct drift_report report;
    struct decision alarm;
    struct err err = {0};
    cleanup_core struct core *core = begin(false);
    int64_t at = 0;
    for (; at < 200; at++)
        minute(core, at, SIGNAL_SHARPNESS, 0);
    assert_true(core_drift(core, &release, &report) && !report.alarm);
    assert_int_equal(told.count[MAILBOX_EVENT], 0);
    for (; at < 260 && told.count[MAILBOX_EVENT] == 0; at++)
        minute(core, at, SIGNAL_SHARPNESS, -3);
    assert_int_equal(told.count[MAILBOX_EVENT], 1);
    assert_ok(decision_parse(told.last_event, strlen(told.last_event), &alarm, &err), err);
    assert_int_equal(alarm.who, DECIDER_DRIFT);
    assert_string_equal(alarm.subject, "sharpness");
    assert_string_equal(alarm.rule, "sensor");
    assert_true(alarm.value >= alarm.limit && alarm.margin <= 0);
    assert_true(alarm.otherwise[0] != 0 && strstr(alarm.because, "fell"));
    minute(core, at + 1, SIGNAL_SHARPNESS, -3); /* said once */
    minute(core, at + 2, SIGNAL_SHARPNESS, -3);
    assert_int_equal(told.count[MAILBOX_EVENT], 1);
}

static void windows_add_up_while_nobody_reads(void **state)
{
    (void)state;
    struct core_counts counts;
    cleanup_core struct core *core = begin(false);
    verdict.kind = RING_DETECTIONS;
    verdict.count = 1;
    verdict.detections[0] = (struct detection){.score = 0.8f, .label = 1};
    minute(core, 0, SIGNAL_LUMA, 0);
    told.full = true;
    for (int64_t at = 1; at < 20; at++)
        minute(core, at, SIGNAL_LUMA, 0);
    told.full = false;
    core_end(core, 20 * MINUTE_MS, 1700000000000 + 20 * MINUTE_MS);
    core_read(core, &counts);
    assert_int_equal(counts.verdicts, 20 * FRAMES_PER_MINUTE);
    assert_true(counts.windows_waiting > 10);
    /* the last export is that of the machine; the one before held the labels of 19 minutes and was parsed over */
    assert_int_equal(told.count[MAILBOX_METRIC], 2);
    const struct otlp_point *verdicts = point("muster.watch.verdicts", NULL);
    assert_non_null(verdicts);
    assert_true(verdicts->value == 20.0 * FRAMES_PER_MINUTE);
}

static void twice_and_late_frames_count_once(void **state)
{
    (void)state;
    struct core_counts counts;
    cleanup_core struct core *core = begin(false);
    static const uint64_t order[] = {1, 2, 2, 5, 4, 3, 3, 5, 200, 100, 199, 199};
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        verdict.seq = order[i];
        core_verdict(core, &verdict, (int64_t)i, (int64_t)i);
    }
    core_read(core, &counts);
    assert_int_equal(counts.verdicts, 7); /* 1 2 5 4 3 200 199 */
    assert_int_equal(counts.duplicates, 4);
    assert_int_equal(counts.too_old, 1);
    verdict.stream = 2; /* a robot program begins anew */
    verdict.seq = 1;
    core_verdict(core, &verdict, 100, 100);
    core_read(core, &counts);
    assert_int_equal(counts.verdicts, 8);
}

static void a_clock_that_jumps_is_told_and_changes_no_window(void **state)
{
    (void)state;
    struct core_counts counts;
    cleanup_core struct core *core = begin(false);
    core_tick(core, 1000, 1700000001000);
    core_tick(core, 2000, 1700000002000 - 86400000);
    core_tick(core, 3000, 1700000003000 - 86400000);
    core_read(core, &counts);
    assert_int_equal(counts.clock_jumps, 1);
    assert_int_equal(told.count[MAILBOX_EVENT], 1);
    assert_non_null(strstr(told.last_event, "\"rule\":\"clock\""));
    assert_int_equal(counts.windows, 0);
    core_tick(core, MINUTE_MS, 1700000000000 + MINUTE_MS - 86400000);
    core_read(core, &counts);
    assert_int_equal(counts.windows, 1);
}

/* Whatever bits a runner says: counted, never fatal, and drift is not fooled into an alarm. */
static void nonsense_numbers_are_counted(void **state)
{
    (void)state;
    struct core_counts counts;
    struct drift_report report;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    cleanup_core struct core *core = begin(false);
    for (int64_t at = 0; at < 60; at++)
        minute(core, at, SIGNAL_LUMA, 0);
    for (int i = 0; i < 2000; i++) {
        verdict.seq++;
        for (int s = 0; s < SIGNALS; s++)
            verdict.signals.values[s] = bad[(i + s) % 3];
        core_verdict(core, &verdict, 60 * MINUTE_MS + i, 60 * MINUTE_MS + i);
    }
    core_end(core, 62 * MINUTE_MS, 1700000000000 + 62 * MINUTE_MS);
    core_read(core, &counts);
    assert_true(counts.bad_numbers >= 2000 * SIGNALS / 2);
    assert_true(core_drift(core, &release, &report) && !report.alarm);
}

static void what_is_learned_survives(void **state)
{
    (void)state;
    struct drift_report before, after;
    struct core *core = begin(true);
    for (int64_t at = 0; at < 40; at++)
        minute(core, at, SIGNAL_LUMA, 0);
    core_end(core, 40 * MINUTE_MS, 1700000000000);
    assert_true(core_drift(core, &release, &before) && before.blocks > 0);
    core_free(core);
    core = begin(true);
    verdict.seq = 1;
    core_verdict(core, &verdict, 0, 0);
    assert_true(core_drift(core, &release, &after));
    assert_int_equal(after.blocks, before.blocks);
    core_free(core);
}

static void a_damaged_memory_is_set_aside(void **state)
{
    (void)state;
    struct err err = {0};
    struct drift_report report;
    struct core *core = begin(true);
    for (int64_t at = 0; at < 30; at++)
        minute(core, at, SIGNAL_LUMA, 0);
    core_end(core, 30 * MINUTE_MS, 1700000000000);
    core_free(core);
    struct digest_text text = digest_format(&release);
    cleanup_free char *path = mem_printf("%s/%s.drift", dir, digest_hex(&text));
    cleanup_free char *aside = mem_printf("%s.damaged", path);
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
    assert_ok(file_read(path, &bytes, &err), err);
    bytes.data[bytes.len / 2] ^= 4;
    assert_ok(file_replace(path, bytes.data, bytes.len, 0600, &err), err);
    core = begin(true);
    verdict.seq = 1;
    core_verdict(core, &verdict, 0, 0);
    assert_true(core_drift(core, &release, &report));
    assert_int_equal(report.blocks, 0);
    assert_int_equal(told.count[MAILBOX_EVENT], 1);
    assert_non_null(strstr(told.last_event, "damaged"));
    assert_true(file_exists(aside) && !file_exists(path));
    core_free(core);
}

/* Robots go to and fro between releases: each goes on where it was. */
static void at_most_two_are_watched_at_once(void **state)
{
    (void)state;
    struct drift_report report;
    cleanup_core struct core *core = begin(true);
    for (int64_t at = 0; at < 90; at++) {
        release.bytes[31] = verdict.release.bytes[31] = (uint8_t)(at / 30);
        minute(core, at, SIGNAL_LUMA, 0);
    }
    release.bytes[31] = verdict.release.bytes[31] = 0;
    assert_false(core_drift(core, &release, &report)); /* it made room */
    minute(core, 90, SIGNAL_LUMA, 0);
    assert_true(core_drift(core, &release, &report));
    assert_true(report.blocks >= 18);
    release.bytes[31] = 0;
}

static void without_a_profile_windows_are_told(void **state)
{
    (void)state;
    struct drift_report report;
    no_release = true;
    cleanup_core struct core *core = begin(false);
    for (int64_t at = 0; at < 3; at++)
        minute(core, at, SIGNAL_LUMA, 0);
    assert_false(core_drift(core, &release, &report));
    assert_true(told.count[MAILBOX_METRIC] >= 3);
    assert_null(point("muster.drift.log_e", NULL));
}

static void an_alarm_comes_with_its_input(void **state)
{
    (void)state;
    is_event = true;
    cleanup_core struct core *core = begin(false);
    verdict.kind = RING_VALUES;
    verdict.count = verdict.label_count = 1;
    for (int i = 0; i < 100; i++) {
        int64_t now_ms = i * 200;
        verdict.seq++;
        verdict.values[0] = i >= 40 && i < 50 ? 0.6f + 0.02f * (float)(i - 40) : 0.05f;
        series[0] = (float)i;
        core_verdict(core, &verdict, now_ms, 1700000000000 + now_ms);
        core_tick(core, now_ms, 1700000000000 + now_ms);
    }
    assert_int_equal(told.count[MAILBOX_SAMPLE], 1);
    assert_int_equal(told.sample.reason, SAMPLE_ALARM);
    assert_true(told.sample.probability == 1);
    assert_int_equal(told.sample.from_ms, 1700000000000 + 40 * 200);
    assert_int_equal(told.sample.until_ms, 1700000000000 + 49 * 200);
    assert_int_equal(told.sample.picture_bytes, sizeof series);
    assert_true(told.sample.values[0] > 0.77f);
}

static void a_frame_that_is_gone_is_counted(void **state)
{
    (void)state;
    struct core_counts counts;
    cleanup_core struct core *core = begin(false);
    frame_gone = true;
    core_ask(core);
    verdict.seq++;
    core_verdict(core, &verdict, 0, 0);
    frame_gone = false;
    core_ask(core);
    verdict.seq++;
    core_verdict(core, &verdict, 0, 1000);
    core_read(core, &counts);
    assert_int_equal(counts.samples_without_frame, 1);
    assert_int_equal(counts.samples, 1);
    assert_int_equal(told.sample.reason, SAMPLE_OPERATOR);
    assert_int_equal(told.sample.width, 160);
    assert_true(told.sample.picture_bytes > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_shift_is_told_with_its_cause, set_up, tear_down),
        cmocka_unit_test_setup_teardown(windows_add_up_while_nobody_reads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(twice_and_late_frames_count_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_clock_that_jumps_is_told_and_changes_no_window, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense_numbers_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_learned_survives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_memory_is_set_aside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_most_two_are_watched_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_profile_windows_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_alarm_comes_with_its_input, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_frame_that_is_gone_is_counted, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
