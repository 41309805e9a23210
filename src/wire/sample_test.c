#include "wire/sample.h"
#include "wire/wire_testing.h"

#include <math.h>

static struct sample first, second; /* too big for the stack of every test */

static const uint8_t picture[] = {0xff, 0xd8, 1, 2, 3, 0xff, 0xd9};

static void some_sample(uint64_t *seed, struct sample *out)
{
    *out = (struct sample){.time_ms = (int64_t)random_below(seed, 1u << 30) << 10,
                           .seq = random_below(seed, 1 << 20),
                           .stream = 1 + random_below(seed, 9),
                           .reason = (enum sample_reason)random_below(seed, SAMPLE_REASONS),
                           .probability = 1.0 / (double)(1 + random_below(seed, 5000)),
                           .width = 320,
                           .height = 256,
                           .is_values = random_below(seed, 2),
                           .picture = picture,
                           .picture_bytes = sizeof picture};
    random_bytes(seed, &out->release, sizeof out->release);
    random_bytes(seed, &out->signals, sizeof out->signals);
    out->signals.valid = 1;
    out->count =
        (uint32_t)random_below(seed, 1 + (out->is_values ? SAMPLE_MAX_VALUES : SAMPLE_MAX_DETECTIONS));
    for (size_t i = 0; i < out->count; i++) {
        out->values[i] = (float)random_between(seed, -5, 5);
        out->detections[i % SAMPLE_MAX_DETECTIONS] =
            (struct detection){.label = (uint32_t)random_below(seed, 9),
                               .score = (float)random_between(seed, 0, 1),
                               .x1 = (float)random_between(seed, 0, 320),
                               .y1 = (float)random_between(seed, 0, 256)};
    }
    if (out->reason == SAMPLE_ALARM) {
        out->from_ms = out->time_ms;
        out->until_ms = out->time_ms + 2500;
        out->rate_hz = 50;
    }
}

static void same_answer(const struct sample *a, const struct sample *b)
{
    assert_int_equal(a->is_values, b->is_values);
    assert_int_equal(a->count, b->count);
    if (a->is_values)
        assert_memory_equal(a->values, b->values, a->count * sizeof a->values[0]);
    else
        assert_memory_equal(a->detections, b->detections, a->count * sizeof a->detections[0]);
}

static void what_is_written_is_read(void **state)
{
    struct err err = {0};
    uint64_t seed = 11;
    (void)state;
    for (int round = 0; round < 500; round++) {
        cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
        some_sample(&seed, &first);
        assert_ok(sample_format(&first, &bytes, &err), err);
        assert_ok(sample_parse(bytes.data, bytes.len, &second, &err), err);
        assert_int_equal(second.reason, first.reason);
        assert_true(second.probability == first.probability && second.time_ms == first.time_ms);
        assert_true(second.seq == first.seq && second.stream == first.stream);
        assert_true(second.from_ms == first.from_ms && second.until_ms == first.until_ms);
        assert_true(digest_equal(&second.release, &first.release));
        assert_int_equal(second.picture_bytes, sizeof picture);
        assert_memory_equal(second.picture, picture, sizeof picture);
        same_answer(&first, &second);
        for (int i = 0; i < SIGNALS; i++)
            if (isfinite(first.signals.values[i]))
                assert_true(second.signals.values[i] == first.signals.values[i]);
    }
}

static void it_is_refused_to_write_what_cannot_be_read(void **state)
{
    struct err err = {0};
    uint64_t seed = 3;
    (void)state;
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
    some_sample(&seed, &first);
    first.probability = 0;
    assert_int_equal(sample_format(&first, &bytes, &err), -1);
    first.probability = SAMPLE_LEAST_PROBABILITY / 2;
    assert_int_equal(sample_format(&first, &bytes, &err), -1);
    first.probability = NAN;
    assert_int_equal(sample_format(&first, &bytes, &err), -1);
    first.probability = 1;
    first.picture_bytes = SAMPLE_MAX_PICTURE + 1;
    assert_fails(sample_format(&first, &bytes, &err), err, ERR_TOO_BIG);
    assert_int_equal(bytes.len, 0);
}

static int parse_any(const void *data, size_t len, struct err *err)
{
    return sample_parse(data, len, &second, err);
}

static void hostile_bytes_are_refused(void **state)
{
    struct err err = {0};
    uint64_t seed = 5;
    (void)state;
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
    do
        some_sample(&seed, &first);
    while (first.count > 4);
    assert_ok(sample_format(&first, &bytes, &err), err);
    every_truncation_fails(parse_any, buf_text(&bytes), bytes.len);
    no_flip_crashes(parse_any, buf_text(&bytes), bytes.len);
    bytes.data[11] = 0xff; /* a head of 4 GiB */
    assert_fails(sample_parse(bytes.data, bytes.len, &second, &err), err, ERR_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(it_is_refused_to_write_what_cannot_be_read),
        cmocka_unit_test(hostile_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
