#include "robot/store/reports.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/file.h"

#include <signal.h>
#include <sys/resource.h>

static char dir[] = "/tmp/muster-reports-XXXXXX";
static char *path;

static int make_dir(void **state)
{
    assert_non_null(mkdtemp(dir));
    path = file_join(dir, "reports.log");
    return 0;
}

static int remove_dir(void **state)
{
    struct err err = {0};
    free(path);
    assert_ok(file_remove_tree(dir, &err), err);
    return 0;
}

static int clear(void **state)
{
    unlink(path);
    return 0;
}

static struct report_log *open_log(void)
{
    struct report_log *log = NULL;
    struct err err = {0};
    assert_ok(report_log_open(path, 1000, &log, &err), err);
    return log;
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
    report_log_free(log);

    log = open_log(); /* acknowledgements are not kept: offering again is harmless, forgetting is not */
    cleanup_free struct api_reports *again = batch(log);
    assert_int_equal(again->count, 5);
    assert_string_equal(again->stream, first->stream);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(again->records[i].seq, i + 1);
        assert_int_equal(again->records[i].bytes, i);
        assert_int_equal(again->records[i].kind, REPORT_ACTIVATED);
        assert_string_equal(again->records[i].version, "1.2.3");
        assert_int_equal(again->records[i].release.bytes[31], i + 1);
    }
    report_log_free(log);
}

static void sequence_numbers_go_on_across_compactions(void **state)
{
    struct err err = {0};
    struct report_log *log = open_log();
    uint64_t size = 0, largest = 0;
    for (int i = 0; i < 1500; i++) {
        append(log, i % 100);
        assert_int_equal(report_log_last_seq(log), i + 1);
        if (i % 7 == 0)
            assert_ok(report_log_ack(log, report_log_last_seq(log), 0, &err), err);
        assert_ok(file_size(path, &size, &err), err);
        largest = MAX(largest, size);
    }
    assert_in_range(largest, REPORT_LOG_COMPACT_BYTES, 2 * REPORT_LOG_COMPACT_BYTES);
    report_log_free(log);
    log = open_log();
    assert_int_equal(report_log_last_seq(log), 1500);
    report_log_free(log);
}

static void a_batch_has_a_limit(void **state)
{
    struct report_log *log = open_log();
    for (int i = 0; i < API_MAX_RECORDS + 10; i++)
        append(log, 1);
    cleanup_free struct api_reports *reports = batch(log);
    assert_int_equal(reports->count, API_MAX_RECORDS);
    report_log_free(log);
}

static void a_file_cut_anywhere_opens_and_keeps_every_whole_record(void **state)
{
    struct err err = {0};
    struct report_log *log = open_log();
    for (int i = 0; i < 3; i++)
        append(log, i);
    report_log_free(log);
    cleanup_buf struct buf whole = BUF_INIT(1 << 20);
    assert_ok(file_read(path, &whole, &err), err);
    size_t header = 40, record = (whole.len - header) / 3;
    for (size_t cut = header; cut <= whole.len; cut += 13) {
        assert_ok(file_replace(path, whole.data, cut, 0600, &err), err);
        log = open_log();
        assert_int_equal(report_log_last_seq(log), (cut - header) / record);
        append(log, 9);
        report_log_free(log);
        log = open_log();
        assert_int_equal(report_log_last_seq(log), (cut - header) / record + 1);
        report_log_free(log);
    }
}

static void damage_before_the_end_starts_a_stream_that_says_so(void **state)
{
    struct err err = {0};
    struct report_log *log = open_log();
    for (int i = 0; i < 4; i++)
        append(log, i);
    cleanup_free struct api_reports *before = batch(log);
    report_log_free(log);
    cleanup_buf struct buf whole = BUF_INIT(1 << 20);
    assert_ok(file_read(path, &whole, &err), err);
    for (size_t at = 0; at < whole.len / 2; at += 31) {
        whole.data[at] ^= 0x40;
        assert_ok(file_replace(path, whole.data, whole.len, 0600, &err), err);
        whole.data[at] ^= 0x40;
        log = open_log();
        cleanup_free struct api_reports *after = batch(log);
        assert_int_equal(after->count, 1);
        assert_int_equal(after->records[0].seq, 1);
        assert_non_null(strstr(after->records[0].text, "lost"));
        assert_string_not_equal(after->stream, before->stream);
        report_log_free(log);
    }
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
    assert_int_equal(invented->count, 1);

    for (int i = 0; i < 300; i++)
        append(log, 1);
    assert_ok(report_log_ack(log, report_log_last_seq(log), 5, &err), err); /* compacts */
    assert_ok(report_log_ack(log, 3, 5, &err), err);
    cleanup_free struct api_reports *lost = batch(log);
    assert_string_not_equal(lost->stream, invented->stream);
    assert_non_null(strstr(lost->records[0].text, "lost"));
    report_log_free(log);
}

static void a_full_disk_is_an_error_and_changes_nothing(void **state)
{
    struct err err = {0};
    struct report_log *log = open_log();
    append(log, 0);
    uint64_t size = 0;
    assert_ok(file_size(path, &size, &err), err);
    struct rlimit old, low;
    getrlimit(RLIMIT_FSIZE, &old);
    low = old;
    low.rlim_cur = size + 100;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &low);
    struct api_report report = {.kind = REPORT_STARTED};
    assert_fails(report_log_append(log, &report, &err), err, ERR_TOO_BIG);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(report_log_last_seq(log), 1);
    append(log, 1);
    report_log_free(log);
    log = open_log();
    cleanup_free struct api_reports *reports = batch(log);
    assert_int_equal(reports->count, 2);
    assert_string_equal(reports->records[1].text, "number 1");
    report_log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_appended_is_offered_until_acknowledged, clear),
        cmocka_unit_test_setup(sequence_numbers_go_on_across_compactions, clear),
        cmocka_unit_test_setup(a_batch_has_a_limit, clear),
        cmocka_unit_test_setup(a_file_cut_anywhere_opens_and_keeps_every_whole_record, clear),
        cmocka_unit_test_setup(damage_before_the_end_starts_a_stream_that_says_so, clear),
        cmocka_unit_test_setup(a_server_that_lost_or_invented_reports_gets_a_new_stream, clear),
        cmocka_unit_test_setup(a_full_disk_is_an_error_and_changes_nothing, clear),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
