#include "robot/agent/windows.h"

#include "base/str.h"
#include "base/testing.h"
#include "wire/otlp.h"
#include "wire/otlp_points.h"

#include <string.h>

static const char release[] = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
static const char zeros[] = "00000000000000000000000000000000";
static const char stream[] = "0123456789abcdef0123456789abcdef";

static struct forward_record record_of(uint8_t kind, uint64_t seq, const struct buf *data)
{
    return (struct forward_record){
        .class = FORWARD_METRIC, .kind = kind, .seq = seq, .data = data->data, .len = data->len};
}

static void make_window(struct buf *out, int64_t start_ms, uint64_t frames)
{
    static struct otlp_export export;
    struct err err = {0};
    export = (struct otlp_export){.robot = "r", .seq = 9, .window_count = 1};
    str_copy(export.stream, sizeof export.stream, zeros);
    struct otlp_window *window = &export.windows[0];
    str_copy(window->release, sizeof window->release, release);
    str_copy(window->version, sizeof window->version, "1.0.0");
    window->start_ms = start_ms;
    window->end_ms = start_ms + 1000;
    window->frames = window->results = frames;
    exphist_init(&window->latency_ms);
    exphist_init(&window->frame_ms);
    for (uint64_t i = 0; i < frames; i++)
        exphist_add(&window->latency_ms, 3 + (double)i, 1);
    assert_ok(otlp_format(&export, out, &err), err);
}

static void windows_of_a_release_become_one(void **state)
{
    struct err err = {0};
    static struct otlp_export export;
    cleanup_buf struct buf a = BUF_INIT(1 << 16), b = BUF_INIT(1 << 16), both = BUF_INIT(1 << 16),
                           sent = BUF_INIT(1 << 16);
    make_window(&a, 1000, 10);
    make_window(&b, 2000, 30);
    struct forward_record x = record_of(WINDOW_TALLY, 4, &a), y = record_of(WINDOW_TALLY, 5, &b);
    assert_int_equal(window_merge(&x, &y, &both, NULL, &err), 1);
    struct forward_record merged = record_of(WINDOW_TALLY, 5, &both);
    assert_ok(window_stamp(&merged, "robot-7", stream, &sent, &err), err);
    assert_ok(otlp_parse(sent.data, sent.len, &export, &err), err);
    assert_string_equal(export.robot, "robot-7");
    assert_string_equal(export.stream, stream);
    assert_int_equal(export.seq, 5);
    assert_int_equal(export.window_count, 1);
    assert_int_equal(export.windows[0].frames, 40);
    assert_int_equal(export.windows[0].start_ms, 1000);
    assert_int_equal(export.windows[0].end_ms, 3000);
    assert_int_equal(export.windows[0].latency_ms.count, 40);
}

static void put_point(struct otlp_points *points, const char *name, enum otlp_point_kind kind,
                      int64_t start_ms, int64_t end_ms, double value)
{
    struct otlp_point *point = &points->points[points->count++];
    *point = (struct otlp_point){.kind = kind, .start_ms = start_ms, .end_ms = end_ms, .value = value};
    str_copy(point->name, sizeof point->name, name);
    str_copy(point->unit, sizeof point->unit, "1");
    str_copy(point->attribute, sizeof point->attribute, "muster.signal");
    str_copy(point->word, sizeof point->word, "luma");
    str_copy(point->release, sizeof point->release, release);
}

static void make_points(struct buf *out, uint64_t number, int64_t start_ms, int64_t end_ms, double value)
{
    static struct otlp_points points;
    struct err err = {0};
    points = (struct otlp_points){.robot = "robot", .seq = 1};
    str_copy(points.stream, sizeof points.stream, zeros);
    put_point(&points, "muster.signal", OTLP_GAUGE, start_ms, end_ms, value);
    put_point(&points, "muster.labels", OTLP_DELTA_SUM, start_ms, end_ms, value);
    put_point(&points, number == 1 ? "muster.only.first" : "muster.only.second", OTLP_GAUGE, start_ms, end_ms,
              value);
    assert_ok(buf_put(out, &number, sizeof number, &err), err);
    assert_ok(otlp_points_format(&points, out, &err), err);
}

static const struct otlp_point *find(const struct otlp_points *points, const char *name)
{
    for (size_t i = 0; i < points->count; i++)
        if (str_eq(points->points[i].name, name))
            return &points->points[i];
    fail_msg("no %s", name);
    return NULL;
}

static void gauges_are_averaged_by_their_time_and_sums_added(void **state)
{
    struct err err = {0};
    static struct otlp_points points;
    uint64_t skipped = 0, number = 0;
    cleanup_buf struct buf a = BUF_INIT(1 << 16), b = BUF_INIT(1 << 16), both = BUF_INIT(1 << 16),
                           sent = BUF_INIT(1 << 16);
    make_points(&a, 1, 1000, 4000, 2);
    make_points(&b, 2, 4000, 5000, 6);
    struct forward_record x = record_of(WINDOW_WATCH, 1, &a), y = record_of(WINDOW_WATCH, 2, &b);
    assert_int_equal(window_merge(&x, &y, &both, NULL, &err), 1);
    memcpy(&number, both.data, sizeof number);
    assert_int_equal(number, 2);
    struct forward_record merged = record_of(WINDOW_WATCH, 2, &both);
    assert_ok(window_stamp(&merged, "robot-7", stream, &sent, &err), err);
    assert_ok(otlp_points_parse(sent.data, sent.len, &points, &skipped, &err), err);
    assert_string_equal(points.robot, "robot-7");
    assert_int_equal(points.seq, 2);
    assert_int_equal(points.count, 4);
    assert_true(find(&points, "muster.signal")->value == 3); /* 3 s of 2, 1 s of 6 */
    assert_true(find(&points, "muster.labels")->value == 8);
    assert_true(find(&points, "muster.only.first")->value == 2);
    assert_true(find(&points, "muster.signal")->end_ms == 5000);
}

static void what_is_no_window_is_refused(void **state)
{
    struct err err = {0};
    cleanup_buf struct buf out = BUF_INIT(1 << 16), bytes = BUF_INIT(64);
    assert_ok(buf_puts(&bytes, "rubbish that is long enough", &err), err);
    for (uint8_t kind = 0; kind < 4; kind++) {
        struct forward_record record = record_of(kind, 1, &bytes);
        assert_fails(window_stamp(&record, "r", stream, &out, &err), err, ERR_INVALID);
        assert_true(window_merge(&record, &record, &out, NULL, &err) <= 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_of_a_release_become_one),
        cmocka_unit_test(gauges_are_averaged_by_their_time_and_sums_added),
        cmocka_unit_test(what_is_no_window_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
