#include "robot/store/reports.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/file.h"

#include "base/hex.h"
#include "sys/hash.h"

#include <string.h>

static char dir[] = "/tmp/muster-reports-XXXXXX";
static char *path, *old_path;
static struct forward *forward;

static int make_dir(void **state)
{
    assert_non_null(mkdtemp(dir));
    path = file_join(dir, "forward");
    old_path = file_join(dir, "reports.log");
    return 0;
}

static int remove_dir(void **state)
{
    struct err err = {0};
    free(path);
    free(old_path);
    assert_ok(file_remove_tree(dir, &err), err);
    return 0;
}

static int clear(void **state)
{
    struct err err = {0};
    assert_ok(file_remove_tree(path, &err), err);
    return 0;
}

static struct report_log *open_log(void)
{
    struct report_log *log = NULL;
    struct err err = {0};
    const struct forward_options options = {.dir = path, .quota_bytes = 4 << 20};
    assert_ok(forward_open(&options, 1000, &forward, &err), err);
    assert_ok(report_log_open(forward, old_path, &log, &err), err);
    return log;
}

static void close_log(struct report_log *log)
{
    report_log_free(log);
    forward_free(forward);
}

static void append(struct report_log *log, int number)
{
    struct err err = {0};
    struct api_report report = {
        .time_ms = 1000 + number, .kind = REPORT_ACTIVATED, .bytes = (uint64_t)number};
    memset(report.release.bytes, number + 1, sizeof report.release.bytes);
    str_copy(report.version, sizeof report.version, "1.2.3");
    snprintf(report.text, sizeof report.text, "number %d", number);
    assert_ok(report_log_append(log, &report, &err), err);
}

static struct api_reports *batch(struct report_log *log)
{
    struct err err = {0};
    struct api_reports *reports = mem_zalloc(1, sizeof *reports);
    assert_ok(report_log_batch(log, reports, &err), err);
    return reports;
}

static void what_was_appended_is_offered_until_acknowledged(void **state)
{
    struct err err = {0};
    struct report_log *log = open_log();
    for (int i = 0; i < 5; i++)
        append(log, i);
    assert_int_equal(report_log_pending(log), 5);
    assert_ok(report_log_ack(log, 2, 0, &err), err);
    cleanup_free struct api_reports *first = batch(log);
    assert_int_equal(first->count, 3);
    assert_int_equal(first->records[0].seq, 3);
    assert_string_equal(first->records[0].text, "number 2");
    close_log(log);

    log = open_log();
    cleanup_free struct api_reports *again = batch(log);
    assert_int_equal(again->count, 3);
    assert_string_equal(again->stream, first->stream);
    for (int i = 2; i < 5; i++) {
        const struct api_report *record = &again->records[i - 2];
        assert_int_equal(record->seq, i + 1);
        assert_int_equal(record->bytes, i);
        assert_int_equal(record->kind, REPORT_ACTIVATED);
        assert_string_equal(record->version, "1.2.3");
        assert_int_equal(record->release.bytes[31], i + 1);
    }
    close_log(log);
}

static void a_batch_has_a_limit(void **state)
{
    struct report_log *log = open_log();
    for (int i = 0; i < API_MAX_RECORDS + 10; i++)
        append(log, 1);
    cleanup_free struct api_reports *reports = batch(log);
    assert_int_equal(reports->count, API_MAX_RECORDS);
    close_log(log);
}

static void what_cannot_be_read_stands_in_nobodys_way(void **state)
{
    struct err err = {0};
    struct report_log *log = open_log();
    static const char watched[] = "\1\2\3\4\5\6\7\10{\"time_ms\":7,\"who\":\"drift\",\"because\":\"darker\"}";
    append(log, 1);
    assert_ok(forward_append(forward, FORWARD_EVENT, REPORT_RECORD, 5, "nonsense", 8, &err), err);
    assert_ok(forward_append(forward, FORWARD_EVENT, 77, 5, "x", 1, &err), err);
    assert_ok(forward_append(forward, FORWARD_EVENT, REPORT_WATCHED, 5, watched, sizeof watched - 1, &err),
              err);
    cleanup_free struct api_reports *reports = batch(log);
    assert_int_equal(reports->count, 4);
    assert_int_equal(reports->records[1].kind, REPORT_GAP);
    assert_int_equal(reports->records[2].kind, REPORT_GAP);
    assert_int_equal(reports->records[3].kind, REPORT_DRIFT);
    assert_string_equal(reports->records[3].text, "darker");
    cleanup_free char *text = api_reports_format(reports);
    struct api_reports *parsed = mem_zalloc(1, sizeof *parsed);
    assert_ok(api_reports_parse(text, strlen(text), parsed, &err), err);
    free(parsed);
    close_log(log);
}

static void a_gap_of_windows_is_a_report(void **state)
{
    struct err err = {0};
    static uint8_t window[8000];
    struct report_log *log = open_log();
    for (int i = 0; i < 600; i++)
        assert_ok(forward_append(forward, FORWARD_METRIC, 1, i, window, sizeof window, &err), err);
    cleanup_free struct api_reports *reports = batch(log);
    assert_true(reports->count > 0);
    assert_int_equal(reports->records[0].kind, REPORT_GAP);
    assert_non_null(strstr(reports->records[0].text, "metrics: no room"));
    assert_non_null(strstr(reports->records[0].detail, "\"numbers\":"));
    cleanup_free char *text = api_reports_format(reports);
    assert_non_null(strstr(text, "\"detail\":{\"class\":\"metric\""));
    close_log(log);
}

static void any_text_and_version_can_be_kept(void **state)
{
    struct err err = {0};
    struct report_log *log = open_log();
    const struct api_report report = {
        .kind = REPORT_FAILED, .time_ms = -5, .version = "no name!", .who = "nobody", .text = "a\nb\xff"};
    assert_ok(report_log_append(log, &report, &err), err);
    cleanup_free struct api_reports *reports = batch(log);
    assert_int_equal(reports->records[0].kind, REPORT_FAILED);
    assert_string_equal(reports->records[0].version, "");
    close_log(log);
}

static void a_server_that_lost_or_invented_reports_gets_a_new_stream(void **state)
{
    struct err err = {0};
    struct report_log *log = open_log();
    for (int i = 0; i < 300; i++)
        append(log, 1);
    cleanup_free struct api_reports *before = batch(log);
    assert_ok(report_log_ack(log, 301, 5, &err), err);
    cleanup_free struct api_reports *invented = batch(log);
    assert_string_not_equal(invented->stream, before->stream);
    assert_int_equal(invented->records[0].seq, 1);
    assert_int_equal(invented->records[0].kind, REPORT_RESTARTED);
    assert_int_equal(report_log_pending(log), 301);

    assert_ok(report_log_ack(log, report_log_last_seq(log), 5, &err), err);
    assert_ok(report_log_ack(log, 3, 5, &err), err);
    cleanup_free struct api_reports *lost = batch(log);
    assert_string_not_equal(lost->stream, invented->stream);
    assert_non_null(strstr(lost->records[0].text, "lost"));
    close_log(log);
}

/* The format before, as it was written. */

static void put(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static void seal(uint8_t *bytes, size_t len)
{
    struct digest digest = hash_bytes(bytes, len - 8);
    memcpy(bytes + len - 8, digest.bytes, 8);
}

static void write_old(uint64_t first, int count, size_t cut)
{
    static uint8_t file[40 + 10 * 292];
    struct err err = {0};
    memset(file, 0, sizeof file);
    memcpy(file, "MREPORT1", 8);
    memset(file + 8, 0xab, 16);
    put(file + 24, first, 8);
    seal(file, 40);
    for (int i = 0; i < count; i++) {
        uint8_t *record = file + 40 + i * 292;
        put(record, first + (uint64_t)i, 8);
        put(record + 8, 1000, 8);
        put(record + 16, REPORT_GUARD, 2);
        put(record + 18, API_GUARD_HOLD, 2);
        memcpy(record + 52, "alice", 5);
        snprintf((char *)record + 124, 160, "old %d", i);
        seal(record, 292);
    }
    assert_ok(file_replace(old_path, file, 40 + (size_t)count * 292 - cut, 0600, &err), err);
}

static void an_old_log_is_taken_over_with_its_numbers(void **state)
{
    write_old(7, 4, 100); /* the last one torn */
    for (int life = 0; life < 2; life++) {
        struct report_log *log = open_log();
        cleanup_free struct api_reports *reports = batch(log);
        assert_string_equal(reports->stream, "abababababababababababababababab");
        assert_int_equal(reports->count, 3);
        assert_int_equal(reports->records[0].seq, 7);
        assert_int_equal(reports->records[2].seq, 9);
        assert_string_equal(reports->records[2].text, "old 2");
        assert_string_equal(reports->records[2].who, "alice");
        assert_int_equal(reports->records[2].guard, API_GUARD_HOLD);
        assert_false(file_exists(old_path));
        close_log(log);
        write_old(7, 3, 0); /* as if the power had gone before it was removed */
    }
    struct err err = {0};
    assert_int_equal(unlink(old_path), 0);
    assert_ok(file_replace(old_path, "rubbish", 7, 0600, &err), err);
    struct report_log *log = open_log();
    assert_int_equal(report_log_pending(log), 3);
    assert_false(file_exists(old_path));
    close_log(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_appended_is_offered_until_acknowledged, clear),
        cmocka_unit_test_setup(a_batch_has_a_limit, clear),
        cmocka_unit_test_setup(what_cannot_be_read_stands_in_nobodys_way, clear),
        cmocka_unit_test_setup(a_gap_of_windows_is_a_report, clear),
        cmocka_unit_test_setup(any_text_and_version_can_be_kept, clear),
        cmocka_unit_test_setup(a_server_that_lost_or_invented_reports_gets_a_new_stream, clear),
        cmocka_unit_test_setup(an_old_log_is_taken_over_with_its_numbers, clear),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
