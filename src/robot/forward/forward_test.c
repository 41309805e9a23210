#include "robot/forward/forward.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/forward/crc32c.h"
#include "robot/forward/segment.h"
#include "sys/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char dir[64];
static const char *boot = "b1";

static struct forward *open_sized(uint64_t quota,
                                  int (*merge)(const struct forward_record *, const struct forward_record *,
                                               struct buf *, void *, struct err *))
{
    struct err err = {0};
    struct forward *forward = NULL;
    const struct forward_options options = {.dir = dir, .quota_bytes = quota, .merge = merge, .boot = boot};
    assert_ok(forward_open(&options, 1000, &forward, &err), err);
    return forward;
}

static struct forward *open_log(void)
{
    return open_sized(4 << 20, NULL);
}

static void append(struct forward *forward, enum forward_class class, uint8_t kind, int64_t time_ms,
                   const char *text)
{
    struct err err = {0};
    assert_ok(forward_append(forward, class, kind, time_ms, text, strlen(text), &err), err);
}

static struct forward_record next(struct forward *forward, enum forward_class class, uint64_t after)
{
    struct err err = {0};
    struct forward_record record = {0};
    int some = forward_next(forward, class, after, &record, &err);
    if (some < 0)
        fail_msg("%s", err.text);
    return record;
}

static void ack(struct forward *forward, enum forward_class class, uint64_t seq)
{
    struct err err = {0};
    assert_ok(forward_ack(forward, class, seq, &err), err);
}

static void assert_text(struct forward_record record, const char *text)
{
    assert_int_equal(record.len, strlen(text));
    assert_memory_equal(record.data, text, record.len);
}

static void the_check_is_the_published_one(void **state)
{
    uint8_t zeros[32] = {0};
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa); /* RFC 3720, B.4 */
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void what_is_appended_is_read_in_order_until_it_is_acknowledged(void **state)
{
    cleanup_forward struct forward *forward = open_log();
    append(forward, FORWARD_EVENT, 3, 11, "one");
    append(forward, FORWARD_METRIC, 4, 12, "m");
    append(forward, FORWARD_EVENT, 5, 13, "");
    struct forward_record record = next(forward, FORWARD_EVENT, 0);
    assert_text(record, "one");
    assert_int_equal(record.kind, 3);
    assert_int_equal(record.seq, 1);
    assert_int_equal(record.time_ms, 11);
    record = next(forward, FORWARD_EVENT, 1);
    assert_int_equal(record.seq, 2);
    assert_int_equal(next(forward, FORWARD_EVENT, 2).seq, 0);
    assert_int_equal(next(forward, FORWARD_METRIC, 0).seq, 1);
    assert_int_equal(forward_pending(forward, FORWARD_EVENT), 2);
    ack(forward, FORWARD_EVENT, 1);
    assert_int_equal(forward_pending(forward, FORWARD_EVENT), 1);
    assert_int_equal(next(forward, FORWARD_EVENT, 0).seq, 2);
    ack(forward, FORWARD_EVENT, 1);
    ack(forward, FORWARD_EVENT, 2);
    assert_int_equal(next(forward, FORWARD_EVENT, 0).seq, 0);
    append(forward, FORWARD_EVENT, 5, 13, "three");
    assert_int_equal(next(forward, FORWARD_EVENT, 0).seq, 3);
}

static void another_life_goes_on_where_the_last_one_ended(void **state)
{
    char stream[33];
    struct forward *forward = open_log();
    str_copy(stream, sizeof stream, forward_stream(forward));
    for (int i = 0; i < 5; i++) {
        append(forward, FORWARD_EVENT, 1, i, "e");
        append(forward, FORWARD_SAMPLE, 1, i, "s");
    }
    ack(forward, FORWARD_EVENT, 2);
    forward_free(forward);
    boot = "b2"; /* and after a clean end another boot loses nothing */
    forward = open_log();
    assert_string_equal(stream, forward_stream(forward));
    assert_int_equal(forward_pending(forward, FORWARD_EVENT), 3);
    assert_int_equal(next(forward, FORWARD_EVENT, 0).seq, 3);
    append(forward, FORWARD_EVENT, 1, 9, "new");
    append(forward, FORWARD_SAMPLE, 1, 9, "new");
    assert_int_equal(next(forward, FORWARD_EVENT, 5).seq, 6);
    assert_int_equal(next(forward, FORWARD_SAMPLE, 5).seq, 6);
    struct err err = {0};
    struct forward_record record;
    assert_int_equal(forward_newest(forward, FORWARD_EVENT, 1, &record, &err), 1);
    assert_text(record, "new");
    assert_int_equal(forward_newest(forward, FORWARD_EVENT, 7, &record, &err), 0);
    forward_free(forward);
}

static void two_cannot_have_it(void **state)
{
    struct err err = {0};
    struct forward *second = NULL;
    cleanup_forward struct forward *forward = open_log();
    const struct forward_options options = {.dir = dir, .quota_bytes = 4 << 20};
    assert_fails(forward_open(&options, 0, &second, &err), err, ERR_BUSY);
}

static void limits_are_refused(void **state)
{
    struct err err = {0};
    static uint8_t big[FORWARD_MAX_RECORD + 1];
    cleanup_forward struct forward *forward = open_log();
    assert_fails(forward_append(forward, FORWARD_EVENT, 1, 0, big, sizeof big, &err), err, ERR_TOO_BIG);
    assert_fails(forward_append(forward, FORWARD_EVENT, 1, 0, big, (4 << 20) / 64, &err), err, ERR_TOO_BIG);
    assert_fails(forward_append(forward, FORWARD_EVENT, FORWARD_KIND_GAP, 0, big, 1, &err), err, ERR_INVALID);
    assert_fails(forward_ack(forward, FORWARD_EVENT, 1, &err), err, ERR_CONFLICT);
    assert_int_equal(forward_last(forward, FORWARD_EVENT), 0);
}

static void events_are_refused_when_they_are_too_many_and_the_quota_holds(void **state)
{
    struct err err = {0};
    uint8_t text[300] = {0};
    cleanup_forward struct forward *forward = open_sized(FORWARD_MIN_QUOTA, NULL);
    uint64_t count = 0;
    while (forward_append(forward, FORWARD_EVENT, 1, 0, text, sizeof text, &err) == 0)
        count++;
    assert_int_equal(err.code, ERR_NO_SPACE);
    assert_true(count > 100);
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(next(forward, FORWARD_EVENT, i).seq, i + 1);
    ack(forward, FORWARD_EVENT, count / 2);
    err = (struct err){0};
    assert_ok(forward_append(forward, FORWARD_EVENT, 1, 0, text, sizeof text, &err), err);
}

/* Thinning. A window here is text "FIRST-LAST". */

static int join(const struct forward_record *a, const struct forward_record *b, struct buf *out, void *arg,
                struct err *err)
{
    char text[2][32] = {"", ""};
    memcpy(text[0], a->data, MIN(a->len, 31U));
    memcpy(text[1], b->data, MIN(b->len, 31U));
    return buf_printf(out, err, "%.*s%s", (int)strcspn(text[0], "-"), text[0], strchr(text[1], '-')) < 0 ? -1
                                                                                                         : 1;
}

struct books {
    uint8_t *got, *gap;
    uint64_t size;
};

static void mark(uint8_t *in, uint64_t size, uint64_t first, uint64_t last, uint64_t by)
{
    for (uint64_t seq = first; seq <= last; seq += by) {
        assert_true(seq < size);
        in[seq]++;
    }
}

static void read_numbers(const struct forward_record *record, enum forward_class class, struct books *books)
{
    char text[FORWARD_MAX_GAP + 1], want[32];
    memcpy(text, record->data, record->len);
    text[record->len] = 0;
    snprintf(want, sizeof want, "\"class\":\"%s\"", class == FORWARD_METRIC ? "metric" : "sample");
    if (!strstr(text, want))
        return;
    char *at = strstr(text, "\"numbers\":\"") + 11;
    while (*at != '"') {
        unsigned long long first = strtoull(at, &at, 10), last = first, by = 1;
        if (*at == '-')
            last = strtoull(at + 1, &at, 10);
        if (*at == '/')
            by = strtoull(at + 1, &at, 10);
        mark(books->gap, books->size, first, last, by);
        at += *at == ',';
    }
}

/* Each number up to `last` is there, or inside of exactly one GAP. Returns how many are there. */
static uint64_t check_books(struct forward *forward, enum forward_class class, uint64_t last)
{
    struct books books = {.size = last + 1};
    books.got = mem_zalloc(books.size, 1);
    books.gap = mem_zalloc(books.size, 1);
    uint64_t there = 0, at = 0;
    for (struct forward_record record; (record = next(forward, FORWARD_EVENT, at)).seq; at = record.seq)
        if (record.kind == FORWARD_KIND_GAP)
            read_numbers(&record, class, &books);
    at = 0;
    for (struct forward_record record; (record = next(forward, class, at)).seq; at = record.seq, there++)
        books.got[record.seq]++;
    for (uint64_t seq = 1; seq <= last; seq++)
        if (books.got[seq] + books.gap[seq] != 1)
            fail_msg("number %llu: %d times there, in %d gaps", (unsigned long long)seq, books.got[seq],
                     books.gap[seq]);
    free(books.got);
    free(books.gap);
    return there;
}

static void windows_are_merged_and_every_number_is_accounted_for(void **state)
{
    struct forward *forward = open_sized(1 << 20, join);
    char text[64];
    const uint64_t count = 40000;
    for (uint64_t i = 1; i <= count; i++) {
        snprintf(text, sizeof text, "%06llu-%06llu", (unsigned long long)i, (unsigned long long)i);
        append(forward, FORWARD_METRIC, (uint8_t)(i % 3), (int64_t)i, text);
        assert_true(forward_bytes(forward) <= 1 << 20);
    }
    forward_free(forward);
    forward = open_sized(1 << 20, join);
    uint64_t pending = forward_pending(forward, FORWARD_METRIC), at = 0;
    for (struct forward_record record; (record = next(forward, FORWARD_METRIC, at)).seq; at = record.seq) {
        uint64_t first = strtoull((const char *)record.data, NULL, 10);
        assert_true(first <= record.seq && first > 0);
        assert_int_equal((record.seq - first) / 3 + 1, 1 << record.level); /* every third is of one kind */
    }
    assert_int_equal(check_books(forward, FORWARD_METRIC, count), pending);
    assert_true(pending > 1000 && pending < count / 2);
    forward_free(forward);
}

static void of_samples_every_second_one_goes(void **state)
{
    cleanup_forward struct forward *forward = open_sized(FORWARD_MIN_QUOTA, join);
    char text[500];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (int i = 1; i <= 1000; i++)
        append(forward, FORWARD_SAMPLE, 1, i, text);
    assert_int_equal(check_books(forward, FORWARD_SAMPLE, 1000), forward_pending(forward, FORWARD_SAMPLE));
}

static void what_was_offered_stays(void **state)
{
    cleanup_forward struct forward *forward = open_sized(FORWARD_MIN_QUOTA, join);
    char text[64];
    for (int i = 1; i <= 8000; i++) {
        snprintf(text, sizeof text, "%06d-%06d", i, i);
        append(forward, FORWARD_METRIC, 1, i, text);
        if (i == 100)
            assert_int_equal(next(forward, FORWARD_METRIC, 29).seq, 30);
    }
    for (uint64_t seq = 1; seq <= 30; seq++)
        assert_int_equal(next(forward, FORWARD_METRIC, seq - 1).seq, seq);
    check_books(forward, FORWARD_METRIC, 8000);
}

/* 30 days without a link: three windows of some 2,800 bytes a minute, 300 events and 50 frames a day. */
static void thirty_days_without_a_link_fit(void **state)
{
    enum { DAYS = 30, MINUTES = DAYS * 24 * 60, QUOTA = 64 << 20 };
    static uint8_t window[2800], event[700], frame[60 << 10];
    struct err err = {0};
    struct forward *forward = open_sized(QUOTA, join);
    uint64_t events = 0, frames = 0, windows = 0;
    for (int minute = 0; minute < MINUTES; minute++) {
        int64_t now_ms = 1700000000000 + minute * 60000ll;
        for (uint8_t kind = 1; kind <= 3; kind++, windows++) {
            snprintf((char *)window, 64, "%08d-%08d", minute, minute);
            assert_ok(forward_append(forward, FORWARD_METRIC, kind, now_ms, window, sizeof window, &err),
                      err);
        }
        if (minute * 300 / 1440 != (minute + 1) * 300 / 1440) {
            memcpy(event, &events, sizeof events);
            assert_ok(forward_append(forward, FORWARD_EVENT, 1, now_ms, event, sizeof event, &err), err);
            events++;
        }
        if (minute * 50 / 1440 != (minute + 1) * 50 / 1440) {
            assert_ok(forward_append(forward, FORWARD_SAMPLE, 1, now_ms, frame, sizeof frame, &err), err);
            frames++;
        }
        if (minute % 1440 == 0)
            assert_true(forward_bytes(forward) <= QUOTA);
    }
    forward_free(forward);
    forward = open_sized(QUOTA, join);
    assert_true(forward_bytes(forward) <= QUOTA);
    uint64_t at = 0, found = 0;
    for (struct forward_record record; (record = next(forward, FORWARD_EVENT, at)).seq; at = record.seq)
        if (record.kind == 1) {
            assert_memory_equal(record.data, &found, sizeof found);
            found++;
        }
    assert_int_equal(found, events);
    uint64_t kept = check_books(forward, FORWARD_METRIC, windows);
    uint64_t shown = check_books(forward, FORWARD_SAMPLE, frames);
    print_message("%llu of %llu windows, %llu of %llu frames, %llu events\n", (unsigned long long)kept,
                  (unsigned long long)windows, (unsigned long long)shown, (unsigned long long)frames,
                  (unsigned long long)events);
    assert_true(kept > 3000 && shown > 100);
    forward_free(forward);
}

/* Damage. */

static int first_name(const char *name, void *arg)
{
    if (!strstr(name, ".seg"))
        return 0;
    snprintf(arg, 400, "%s/%s", dir, name);
    return 1;
}

static char *first_segment(char path[400])
{
    struct err err = {0};
    path[0] = 0;
    assert_ok(file_list(dir, first_name, path, &err), err);
    return path;
}

static void a_torn_last_event_is_no_event_whereever_it_is_torn(void **state)
{
    char path[400];
    struct stat st;
    for (off_t cut = 1;; cut++) {
        struct err err = {0};
        assert_ok(file_remove_tree(dir, &err), err);
        struct forward *forward = open_log();
        append(forward, FORWARD_EVENT, 1, 1, "first");
        append(forward, FORWARD_EVENT, 1, 2, "second");
        forward_free(forward);
        assert_int_equal(stat(first_segment(path), &st), 0);
        assert_int_equal(truncate(path, st.st_size - cut), 0);
        forward = open_log();
        bool both = cut == SEGMENT_RECORD + 6;
        assert_text(next(forward, FORWARD_EVENT, 0), "first");
        assert_int_equal(forward_pending(forward, FORWARD_EVENT), 1);
        append(forward, FORWARD_EVENT, 1, 3, "third");
        assert_int_equal(next(forward, FORWARD_EVENT, 1).seq, 2);
        forward_free(forward);
        if (both)
            return;
    }
}

static void windows_that_the_power_took_are_a_gap_and_told_once(void **state)
{
    char path[400];
    struct stat st;
    struct forward *forward = open_log();
    for (int i = 0; i < 10; i++)
        append(forward, FORWARD_METRIC, 1, i, "0-0");
    char copy[100];
    snprintf(copy, sizeof copy, "cp -r %s %s.cut", dir, dir);
    assert_int_equal(system(copy), 0);
    forward_free(forward);
    struct err err = {0};
    char cut_dir[80];
    snprintf(cut_dir, sizeof cut_dir, "%s.cut", dir);
    assert_ok(file_remove_tree(dir, &err), err);
    assert_int_equal(rename(cut_dir, dir), 0);
    assert_int_equal(stat(first_segment(path), &st), 0);
    assert_int_equal(truncate(path, st.st_size - 4 * (SEGMENT_RECORD + 3)), 0);
    for (int life = 0; life < 3; life++) {
        boot = life % 2 ? "b4" : "b5";
        forward = open_log();
        assert_int_equal(forward_pending(forward, FORWARD_EVENT), 1);
        struct forward_record gap = next(forward, FORWARD_EVENT, 0);
        assert_int_equal(gap.kind, FORWARD_KIND_GAP);
        assert_non_null(memmem(gap.data, gap.len, "\"numbers\":\"7-16\"", 16));
        forward_free(forward);
    }
    forward = open_log();
    append(forward, FORWARD_METRIC, 1, 20, "0-0");
    assert_int_equal(next(forward, FORWARD_METRIC, 6).seq, 17);
    check_books(forward, FORWARD_METRIC, 17);
    forward_free(forward);
}

static void flip(const char *path, off_t offset)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

static void damage_between_events_begins_a_new_stream(void **state)
{
    char stream[33], path[400];
    struct forward *forward = open_log();
    append(forward, FORWARD_EVENT, 1, 1, "a");
    append(forward, FORWARD_EVENT, 1, 1, "b");
    str_copy(stream, sizeof stream, forward_stream(forward));
    flip(first_segment(path), SEGMENT_HEADER + SEGMENT_RECORD + 1 + 20);
    forward_free(forward);
    forward = open_log(); /* "b" looks torn */
    append(forward, FORWARD_EVENT, 1, 1, "c");
    flip(first_segment(path), SEGMENT_HEADER + 20);
    forward_free(forward);
    for (int life = 0; life < 2; life++) {
        forward = open_log();
        assert_string_not_equal(stream, forward_stream(forward));
        assert_int_equal(forward_pending(forward, FORWARD_EVENT), 2);
        assert_int_equal(next(forward, FORWARD_EVENT, 0).kind, FORWARD_KIND_GAP);
        assert_text(next(forward, FORWARD_EVENT, 1), "c");
        forward_free(forward);
    }
}

static void any_flipped_bit_is_noticed_and_nothing_crashes(void **state)
{
    char path[400];
    for (off_t at = 0; at < SEGMENT_HEADER + 3 * (SEGMENT_RECORD + 1); at += 3) {
        struct err err = {0};
        assert_ok(file_remove_tree(dir, &err), err);
        struct forward *forward = open_log();
        for (int i = 0; i < 3; i++)
            append(forward, FORWARD_METRIC, 1, i, "w");
        forward_free(forward);
        flip(first_segment(path), at);
        forward = open_log();
        uint64_t there = forward_pending(forward, FORWARD_METRIC);
        append(forward, FORWARD_METRIC, 1, 9, "w");
        uint64_t last = forward_last(forward, FORWARD_METRIC);
        bool padding = (at >= 9 && at < 16) || (at >= 52 && at < SEGMENT_HEADER);
        assert_true(padding || there < 3);
        check_books(forward, FORWARD_METRIC, last);
        forward_free(forward);
    }
}

static void a_new_stream_keeps_what_waits(void **state)
{
    struct err err = {0};
    char stream[33];
    struct forward *forward = open_log();
    append(forward, FORWARD_EVENT, 1, 1, "a");
    append(forward, FORWARD_EVENT, 1, 1, "b");
    append(forward, FORWARD_EVENT, 1, 1, "c");
    ack(forward, FORWARD_EVENT, 1);
    str_copy(stream, sizeof stream, forward_stream(forward));
    assert_ok(forward_restart(forward, 5, "the server lost its memory", &err), err);
    for (int life = 0; life < 2; life++) {
        assert_string_not_equal(stream, forward_stream(forward));
        assert_int_equal(forward_pending(forward, FORWARD_EVENT), 3);
        assert_int_equal(next(forward, FORWARD_EVENT, 0).kind, FORWARD_KIND_GAP);
        assert_text(next(forward, FORWARD_EVENT, 1), "b");
        assert_text(next(forward, FORWARD_EVENT, 2), "c");
        forward_free(forward);
        forward = open_log();
    }
    append(forward, FORWARD_EVENT, 1, 1, "d");
    assert_int_equal(next(forward, FORWARD_EVENT, 3).seq, 4);
    assert_fails(forward_adopt(forward, stream, 3, &err), err, ERR_CONFLICT);
    forward_free(forward);
}

static void another_logs_numbers_are_taken_over(void **state)
{
    struct err err = {0};
    const char *stream = "00112233445566778899aabbccddeeff";
    struct forward *forward = open_log();
    assert_ok(forward_adopt(forward, stream, 41, &err), err);
    append(forward, FORWARD_EVENT, 1, 1, "x");
    forward_free(forward);
    forward = open_log();
    assert_string_equal(forward_stream(forward), stream);
    assert_int_equal(next(forward, FORWARD_EVENT, 0).seq, 41);
    forward_free(forward);
}

static int set_up(void **state)
{
    boot = "b1";
    snprintf(dir, sizeof dir, "%s/muster-fwd-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct err err = {0};
    return file_remove_tree(dir, &err);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_check_is_the_published_one),
        TEST(what_is_appended_is_read_in_order_until_it_is_acknowledged),
        TEST(another_life_goes_on_where_the_last_one_ended),
        TEST(two_cannot_have_it),
        TEST(limits_are_refused),
        TEST(events_are_refused_when_they_are_too_many_and_the_quota_holds),
        TEST(windows_are_merged_and_every_number_is_accounted_for),
        TEST(of_samples_every_second_one_goes),
        TEST(what_was_offered_stays),
        TEST(a_torn_last_event_is_no_event_whereever_it_is_torn),
        TEST(windows_that_the_power_took_are_a_gap_and_told_once),
        TEST(damage_between_events_begins_a_new_stream),
        TEST(any_flipped_bit_is_noticed_and_nothing_crashes),
        TEST(a_new_stream_keeps_what_waits),
        TEST(another_logs_numbers_are_taken_over),
        TEST(thirty_days_without_a_link_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
