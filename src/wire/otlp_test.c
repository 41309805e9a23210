#include "wire/otlp.h"
#include "wire/wire_testing.h"

#include <math.h>

static struct otlp_export decoded; /* 25 KiB */

static int parse_any(const void *data, size_t len, struct err *err)
{
    return otlp_parse(data, len, &decoded, err);
}

#define RELEASE "sha256:abababababababababababababababababababababababababababababababab"

/* ---- against messages made with the original proto files (fuzz/seeds_otlp.py) ---- */

static void check_original(const struct otlp_export *in)
{
    const struct otlp_window *w = &in->windows[0];
    assert_string_equal(in->robot, "r-01");
    assert_string_equal(in->stream, "00112233445566778899aabbccddeeff");
    assert_int_equal(in->seq, 42);
    assert_int_equal(in->window_count, 1);
    assert_string_equal(w->release, RELEASE);
    assert_string_equal(w->version, "2.0.0");
    assert_true(w->start_ms == 1700000000123 && w->end_ms == 1700000010456);
    assert_true(w->frames == 100 && w->results == 90 && w->lost == 3 && w->detections == 250);
    assert_true(w->interventions[0] == 5 && w->interventions[OTLP_REASONS - 1] == 2 &&
                w->interventions[1] == 0);
    assert_true(w->score_tp == 8 && w->score_fp == 0 && w->score_fn == 1 && w->score_frames == 4);
    assert_true(w->confidence_sum == 199.5);
    assert_true(w->latency_ms.count == 300004 && w->latency_ms.zero_count == 1 && w->latency_ms.sum == 21.5);
    assert_true(w->latency_ms.scale == 3 && w->latency_ms.offset == -2 && w->latency_ms.used == 4);
    assert_true(w->latency_ms.counts[2] == 300000 && w->latency_ms.counts[3] == 2 &&
                w->latency_ms.max == 1.25);
    assert_true(w->frame_ms.count == 0);
}

static void originals_are_read_and_written_byte_by_byte(void **state)
{
    struct err err = {0};
    cleanup_buf struct buf file = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
    read_seed("otlp", "original.bin", &file);
    assert_ok(otlp_parse(file.data, file.len, &decoded, &err), err);
    check_original(&decoded);
    assert_ok(otlp_format(&decoded, &again, &err), err);
    assert_int_equal(file.len, again.len);
    assert_memory_equal(file.data, again.data, file.len);
}

static void read_ok(const char *seed)
{
    struct err err = {0};
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    read_seed("otlp", seed, &file);
    assert_ok(otlp_parse(file.data, file.len, &decoded, &err), err);
}

static void messages_of_others_are_skipped(void **state)
{
    read_ok("stock.bin");
    assert_int_equal(decoded.window_count, 0);
    assert_true(decoded.seq == 0 && decoded.robot[0] == 0);
    read_ok("stock_and_original.bin");
    check_original(&decoded);
    struct err err = {0};
    assert_ok(otlp_parse(NULL, 0, &decoded, &err), err);
    assert_int_equal(decoded.window_count, 0);
}

static void both_ways_to_write_repeated_numbers_are_read(void **state)
{
    read_ok("unpacked.bin");
    struct exphist unpacked = decoded.windows[0].latency_ms;
    read_ok("original.bin");
    assert_memory_equal(&unpacked, &decoded.windows[0].latency_ms, sizeof unpacked);
}

static void missing_bounds_come_from_the_buckets(void **state)
{
    read_ok("no_bounds.bin");
    const struct exphist *hist = &decoded.windows[0].latency_ms;
    assert_true(exphist_valid(hist));
    assert_true(hist->min == 0 && fabs(hist->max - exp2(2.0 / 8)) < 1e-12);
    assert_true(exphist_quantile(hist, 0.5) > 0.9);
}

static void an_unknown_reason_counts_as_other(void **state)
{
    read_ok("unknown_reason.bin");
    assert_int_equal(decoded.windows[0].interventions[OTLP_REASONS - 1], 6);
}

static void what_does_not_fit_together_is_refused(void **state)
{
    static const char *const bad[] = {"cumulative.bin", "double_frames.bin", "gauge_frames.bin",
                                      "wrong_count.bin", "negative_values.bin"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err;
        cleanup_buf struct buf file = BUF_INIT(1 << 20);
        read_seed("otlp", bad[i], &file);
        if (decode_copy(parse_any, file.data, file.len, &err) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

/* ---- our own ---- */

static void random_histogram(uint64_t *random, struct exphist *out)
{
    exphist_init(out);
    for (size_t i = random_below(random, 300); i > 0; i--)
        exphist_add(out, random_below(random, 20) ? exp(random_between(random, -8, 8)) : 0,
                    1 + random_below(random, 1000));
}

static void random_window(uint64_t *random, size_t index, struct otlp_window *out)
{
    uint64_t *const counts[] = {&out->frames,   &out->results,  &out->lost,         &out->score_tp,
                                &out->score_fp, &out->score_fn, &out->score_frames, &out->detections};
    snprintf(out->release, sizeof out->release, RELEASE);
    snprintf(out->version, sizeof out->version, "1.0.%zu", index);
    out->start_ms = (int64_t)random_below(random, 4102444800000);
    out->end_ms = out->start_ms + (int64_t)random_below(random, 60000);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        *counts[i] = random_below(random, 4) ? random_u64(random) >> (1 + random_below(random, 60)) : 0;
    for (size_t i = 0; i < OTLP_REASONS; i++)
        out->interventions[i] = random_below(random, 2) ? random_below(random, 100000) : 0;
    out->confidence_sum = random_below(random, 4) ? random_between(random, 0, 1e6) : 0;
    random_histogram(random, &out->latency_ms);
    random_histogram(random, &out->frame_ms);
}

static void random_export(uint64_t *random, struct otlp_export *out)
{
    memset(out, 0, sizeof *out);
    random_name(random, out->robot, sizeof out->robot - 1);
    for (int i = 0; i < 32; i++)
        out->stream[i] = "0123456789abcdef"[random_below(random, 16)];
    out->seq = 1 + (random_u64(random) >> 1);
    if (out->seq > INT64_MAX)
        out->seq = 1;
    out->window_count = random_below(random, 5);
    for (size_t i = 0; i < out->window_count; i++)
        random_window(random, i, &out->windows[i]);
}

static void any_export_survives_the_round_trip(void **state)
{
    uint64_t random = 8;
    static struct otlp_export before;
    for (int i = 0; i < 200; i++) {
        struct err err = {0};
        cleanup_buf struct buf out = BUF_INIT(1 << 20);
        random_export(&random, &before);
        assert_ok(otlp_format(&before, &out, &err), err);
        assert_ok(otlp_parse(out.data, out.len, &decoded, &err), err);
        assert_memory_equal(&before, &decoded, sizeof before);
    }
}

static void an_export_is_appended_or_not_written_at_all(void **state)
{
    uint64_t random = 9;
    static struct otlp_export in;
    struct err err = {0};
    random_export(&random, &in);
    cleanup_buf struct buf out = BUF_INIT(1 << 20), small = BUF_INIT(40);
    assert_ok(buf_puts(&out, "head", &err), err);
    assert_ok(otlp_format(&in, &out, &err), err);
    assert_ok(otlp_parse(out.data + 4, out.len - 4, &decoded, &err), err);
    assert_fails(otlp_format(&in, &small, &err), err, ERR_TOO_BIG);
    assert_int_equal(small.len, 0);
}

static void what_would_be_refused_is_not_sent(void **state)
{
    uint64_t random = 10;
    static struct otlp_export good, bad;
    struct err err;
    cleanup_buf struct buf out = BUF_INIT(1 << 20);
    while (good.window_count == 0)
        random_export(&random, &good);
    exphist_add(&good.windows[0].latency_ms, 5, 1);
#define REFUSED(change)                                                                                      \
    do {                                                                                                     \
        bad = good;                                                                                          \
        change;                                                                                              \
        assert_fails(otlp_format(&bad, &out, &err), err, ERR_INVALID);                                       \
        assert_int_equal(out.len, 0);                                                                        \
    } while (0)
    REFUSED(bad.robot[0] = 0);
    REFUSED(bad.robot[0] = '/');
    REFUSED(bad.stream[31] = 0);
    REFUSED(bad.stream[0] = 'A');
    REFUSED(bad.seq = 0);
    REFUSED(bad.seq = UINT64_MAX);
    REFUSED(bad.window_count = 5);
    REFUSED(bad.windows[0].release[0] = 0);
    REFUSED(bad.windows[0].version[0] = 0);
    REFUSED(bad.windows[0].start_ms = -1);
    REFUSED(bad.windows[0].end_ms = bad.windows[0].start_ms - 1);
    REFUSED(bad.windows[0].end_ms = INT64_MAX);
    REFUSED(bad.windows[0].frames = UINT64_MAX);
    REFUSED(bad.windows[0].interventions[3] = UINT64_MAX);
    REFUSED(bad.windows[0].confidence_sum = NAN);
    REFUSED(bad.windows[0].confidence_sum = -1);
    REFUSED(bad.windows[0].latency_ms.count++);
    REFUSED(bad.windows[0].latency_ms.used = EXPHIST_BUCKETS + 1);
    REFUSED(bad.windows[0].latency_ms.offset = 1 << 30);
    REFUSED(bad.windows[0].latency_ms.offset = -(1 << 30));
    REFUSED(bad.windows[0].frame_ms.sum = INFINITY);
}

/* Whatever comes out can be merged with anything, without overflow. */
static void check_mergeable(const struct otlp_export *in)
{
    for (size_t i = 0; i < in->window_count; i++) {
        struct exphist small, big;
        exphist_init(&small);
        exphist_add(&small, 1e-300, 1);
        exphist_init(&big);
        exphist_add(&big, 1e300, 1);
        assert_true(exphist_valid(&in->windows[i].latency_ms));
        exphist_merge(&small, &in->windows[i].latency_ms);
        exphist_merge(&big, &in->windows[i].latency_ms);
        exphist_merge(&small, &big);
        assert_true(small.used <= EXPHIST_BUCKETS);
    }
}

static int parse_and_merge(const void *data, size_t len, struct err *err)
{
    int rc = otlp_parse(data, len, &decoded, err);
    if (rc == 0)
        check_mergeable(&decoded);
    return rc;
}

static void cut_and_flipped_messages_never_crash(void **state)
{
    static const char *const seeds[] = {"original.bin", "stock.bin", "unpacked.bin", "no_bounds.bin"};
    for (size_t i = 0; i < ARRAY_LEN(seeds); i++) {
        cleanup_buf struct buf file = BUF_INIT(1 << 20);
        read_seed("otlp", seeds[i], &file);
        no_truncation_crashes(parse_and_merge, file.data, file.len);
        no_flip_crashes(parse_and_merge, file.data, file.len);
    }
}

static void the_memory_to_decode_is_limited(void **state)
{
    enum { LIMIT = 1 << 20 };
    struct err err;
    cleanup_free uint8_t *data = mem_zalloc(LIMIT + 2, 1);
    for (size_t i = 0; i < LIMIT; i += 2)
        data[i] = 0x0a; /* half a million empty ResourceMetrics */
    assert_fails(otlp_parse(data, LIMIT, &decoded, &err), err, ERR_INVALID);
    assert_fails(otlp_parse(data, LIMIT + 2, &decoded, &err), err, ERR_TOO_BIG);
    err = (struct err){0};
    assert_ok(otlp_parse(data, 2000, &decoded, &err), err);
}

/* A minute at 30 frames/s, as a robot sends it: spread like latencies are, with some that are eight times as long. */
static void a_window_of_1800_latencies_takes_300_bytes(void **state)
{
    struct err err = {0};
    uint64_t random = 11;
    size_t total = 0, most = 0;
    enum { WINDOWS = 200 };
    cleanup_free struct otlp_export *in = mem_zalloc(1, sizeof *in);
    str_copy(in->robot, sizeof in->robot, "r-01");
    str_copy(in->stream, sizeof in->stream, "00112233445566778899aabbccddeeff");
    in->seq = 1;
    in->window_count = 1;
    str_copy(in->windows[0].release, sizeof in->windows[0].release, RELEASE);
    str_copy(in->windows[0].version, sizeof in->windows[0].version, "2.0.0");
    /* What the histogram adds, without the words that say whose it is. */
    const size_t words = strlen(RELEASE) + strlen("muster.release") + strlen("2.0.0") +
                         strlen("muster.version") + strlen("muster.inference.latency");
    for (int w = 0; w < WINDOWS; w++) {
        cleanup_buf struct buf without = BUF_INIT(1 << 20), with = BUF_INIT(1 << 20);
        struct exphist *hist = &in->windows[0].latency_ms;
        exphist_init(hist);
        assert_ok(otlp_format(in, &without, &err), err);
        for (int i = 0; i < 1800; i++) {
            double normal = 0;
            for (int k = 0; k < 12; k++)
                normal += random_between(&random, -0.5, 0.5);
            exphist_add(hist, 18 * exp(0.25 * normal) * (random_below(&random, 1000) < 3 ? 8 : 1), 1);
        }
        assert_ok(otlp_format(in, &with, &err), err);
        size_t bytes = with.len - without.len - words;
        total += bytes;
        most = MAX(most, bytes);
    }
    print_message("a histogram window of 1,800 latencies: %zu bytes in the mean, %zu at most, and %zu that "
                  "say whose it is; %zu as doubles\n",
                  total / WINDOWS, most, words, 1800 * sizeof(double));
    assert_true(most <= 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(originals_are_read_and_written_byte_by_byte),
        cmocka_unit_test(messages_of_others_are_skipped),
        cmocka_unit_test(both_ways_to_write_repeated_numbers_are_read),
        cmocka_unit_test(missing_bounds_come_from_the_buckets),
        cmocka_unit_test(an_unknown_reason_counts_as_other),
        cmocka_unit_test(what_does_not_fit_together_is_refused),
        cmocka_unit_test(any_export_survives_the_round_trip),
        cmocka_unit_test(an_export_is_appended_or_not_written_at_all),
        cmocka_unit_test(what_would_be_refused_is_not_sent),
        cmocka_unit_test(cut_and_flipped_messages_never_crash),
        cmocka_unit_test(the_memory_to_decode_is_limited),
        cmocka_unit_test(a_window_of_1800_latencies_takes_300_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
