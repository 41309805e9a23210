#include "wire/otlp.h"
#include "wire/otlp_points.h"
#include "wire/wire_testing.h"

#include <math.h>

static struct otlp_points in, out;
static uint64_t skipped;

static int parse_any(const void *data, size_t len, struct err *err)
{
    return otlp_points_parse(data, len, &out, &skipped, err);
}

static void random_point(uint64_t *random, struct otlp_point *point)
{
    *point = (struct otlp_point){.kind = random_below(random, 2) ? OTLP_GAUGE : OTLP_DELTA_SUM,
                                 .start_ms = 1 + (int64_t)random_below(random, 2000000000000)};
    point->end_ms = point->start_ms + (int64_t)random_below(random, 100000);
    point->value = random_between(random, -1e9, 1e9);
    snprintf(point->name, sizeof point->name, "muster.test.%u", (unsigned)random_below(random, 4));
    str_copy(point->unit, sizeof point->unit, random_below(random, 2) ? "1" : "{frame}");
    if (random_below(random, 2)) {
        snprintf(point->attribute, sizeof point->attribute, "muster.key%u",
                 (unsigned)random_below(random, 3));
        random_line(random, point->word, sizeof point->word - 1);
    }
    if (random_below(random, 2))
        random_name(random, point->release, sizeof point->release - 1);
}

static void random_points(uint64_t *random)
{
    memset(&in, 0, sizeof in);
    str_copy(in.robot, sizeof in.robot, "r-01");
    str_copy(in.stream, sizeof in.stream, "00112233445566778899aabbccddeeff");
    in.seq = 1 + random_below(random, INT64_MAX - 1);
    in.count = random_below(random, OTLP_MAX_POINTS + 1);
    for (size_t i = 0; i < in.count; i++)
        random_point(random, &in.points[i]);
}

static void any_points_survive_the_round_trip(void **state)
{
    uint64_t random = 1;
    for (int round = 0; round < 200; round++) {
        struct err err = {0};
        cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
        random_points(&random);
        assert_ok(otlp_points_format(&in, &bytes, &err), err);
        assert_ok(parse_any(bytes.data, bytes.len, &err), err);
        assert_int_equal(skipped, 0);
        assert_memory_equal(&in, &out, sizeof in);
    }
}

/* Windows and points are one export when they lie one after the other: both readers see what is theirs. */
static void windows_and_points_are_one_message(void **state)
{
    struct err err = {0};
    uint64_t random = 2;
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20), file = BUF_INIT(1 << 20);
    cleanup_free struct otlp_export *windows = mem_zalloc(1, sizeof *windows);
    read_seed("otlp", "original.bin", &file);
    assert_ok(otlp_parse(file.data, file.len, windows, &err), err);
    random_points(&random);
    in.seq = windows->seq;
    assert_ok(buf_put(&bytes, file.data, file.len, &err), err);
    assert_ok(otlp_points_format(&in, &bytes, &err), err);
    assert_ok(parse_any(bytes.data, bytes.len, &err), err);
    assert_memory_equal(&in, &out, sizeof in);
    assert_int_equal(skipped, 0);
    assert_ok(otlp_parse(bytes.data, bytes.len, windows, &err), err);
    assert_int_equal(windows->window_count, 1);

    in.seq++;
    assert_ok(otlp_points_format(&in, &bytes, &err), err);
    assert_fails(parse_any(bytes.data, bytes.len, &err), err, ERR_INVALID);
    assert_fails(otlp_parse(bytes.data, bytes.len, windows, &err), err, ERR_INVALID);
}

static void messages_of_others_give_no_points(void **state)
{
    struct err err = {0};
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    read_seed("otlp", "stock.bin", &file);
    assert_ok(parse_any(file.data, file.len, &err), err);
    assert_true(out.count == 0 && out.seq == 0 && out.robot[0] == 0);
    assert_ok(parse_any(NULL, 0, &err), err);
}

/* Made from OpenTelemetry's own proto files (fuzz/seeds_otlp.py): a gauge with an int, one with a double and flags, an
 * infinite one, one with two attributes, a cumulative and a delta sum, a histogram. */
static void what_cannot_be_kept_is_skipped_and_counted(void **state)
{
    struct err err = {0};
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    read_seed("otlp_points", "stock.bin", &file);
    assert_ok(parse_any(file.data, file.len, &err), err);
    assert_string_equal(out.robot, "r-01");
    assert_int_equal(out.seq, 7);
    assert_int_equal(out.count, 3);
    assert_int_equal(skipped, 4);
    assert_true(out.points[0].value == -3 && out.points[0].kind == OTLP_GAUGE);
    assert_true(out.points[0].start_ms == 1700000010456 && out.points[0].end_ms == 1700000010456);
    assert_string_equal(out.points[0].attribute, "muster.signal");
    assert_string_equal(out.points[0].word, "luma");
    assert_true(out.points[1].value == 0.25 && out.points[1].start_ms == 1700000000123);
    assert_true(out.points[2].value == 12 && out.points[2].kind == OTLP_DELTA_SUM);
}

static void what_would_be_refused_is_not_sent(void **state)
{
    uint64_t random = 3;
    struct err err = {0};
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
    for (int fault = 0; fault < 9; fault++) {
        random_points(&random);
        in.count = 1;
        random_point(&random, &in.points[0]);
        struct otlp_point *point = &in.points[0];
        switch (fault) {
        case 0:
            point->value = NAN;
            break;
        case 1:
            point->value = -INFINITY;
            break;
        case 2:
            point->name[0] = '1';
            break;
        case 3:
            point->end_ms = point->start_ms - 1;
            break;
        case 4:
            str_copy(point->unit, sizeof point->unit, "\xff");
            break;
        case 5:
            in.seq = 0;
            break;
        case 6:
            in.robot[0] = '\0';
            break;
        case 7:
            in.stream[3] = 'G';
            break;
        default:
            in.count = OTLP_MAX_POINTS + 1;
        }
        assert_fails(otlp_points_format(&in, &bytes, &err), err, ERR_INVALID);
        assert_int_equal(bytes.len, 0);
    }
}

static void too_many_points_are_bounded(void **state)
{
    uint64_t random = 4;
    struct err err = {0};
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
    random_points(&random);
    in.count = OTLP_MAX_POINTS;
    for (size_t i = 0; i < in.count; i++)
        random_point(&random, &in.points[i]);
    assert_ok(otlp_points_format(&in, &bytes, &err), err);
    assert_ok(otlp_points_format(&in, &bytes, &err), err);
    assert_ok(parse_any(bytes.data, bytes.len, &err), err);
    assert_int_equal(out.count, OTLP_MAX_POINTS);
    assert_int_equal(skipped, OTLP_MAX_POINTS);
}

static void a_full_buffer_stays_as_it_was(void **state)
{
    uint64_t random = 5;
    struct err err = {0};
    cleanup_buf struct buf bytes = BUF_INIT(200);
    random_points(&random);
    assert_ok(buf_puts(&bytes, "before", &err), err);
    assert_fails(otlp_points_format(&in, &bytes, &err), err, ERR_TOO_BIG);
    assert_string_equal(buf_text(&bytes), "before");
}

static void cut_and_flipped_messages_never_crash(void **state)
{
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    read_seed("otlp_points", "stock.bin", &file);
    no_truncation_crashes(parse_any, file.data, file.len);
    no_flip_crashes(parse_any, file.data, file.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_points_survive_the_round_trip),
        cmocka_unit_test(windows_and_points_are_one_message),
        cmocka_unit_test(messages_of_others_give_no_points),
        cmocka_unit_test(what_cannot_be_kept_is_skipped_and_counted),
        cmocka_unit_test(what_would_be_refused_is_not_sent),
        cmocka_unit_test(too_many_points_are_bounded),
        cmocka_unit_test(a_full_buffer_stays_as_it_was),
        cmocka_unit_test(cut_and_flipped_messages_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
