#include "wire/decision.h"
#include "wire/wire_testing.h"

#include <math.h>

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char late[] =
    "{\"because\":\"the result came 61.2 ms after its frame; 60 ms are allowed\",\"count\":3,"
    "\"engine\":\"onnxruntime 1.22.0 cpu\",\"limit\":60,\"margin\":-1.2,"
    "\"otherwise\":\"at most 60.0 ms, and it would have passed\",\"release\":\"sha256:" HASH "\","
    "\"robot\":\"r7\",\"rule\":\"deadline\",\"signals\":{\"luma\":0.4},\"subject\":\"frame 1234\","
    "\"time_ms\":1700000000000,\"unit\":\"ms\",\"value\":61.2,\"version\":\"2.0.0\",\"who\":\"guard\"}";

static int parse_any(const void *data, size_t len, struct err *err)
{
    struct decision decision;
    return decision_parse(data, len, &decision, err);
}

static void a_decision_says_why_in_numbers(void **state)
{
    struct err err = {0};
    struct decision d;
    (void)state;
    assert_ok(decision_parse(late, strlen(late), &d, &err), err);
    assert_int_equal(d.who, DECIDER_GUARD);
    assert_string_equal(d.rule, "deadline");
    assert_true(d.value == 61.2 && d.limit == 60 && d.margin == -1.2 && d.count == 3);
    assert_int_equal(d.signals.valid, 1);
    assert_true(d.signals.values[SIGNAL_LUMA] == 0.4f && isnan(d.signals.values[SIGNAL_NOVELTY]));
    assert_string_equal(d.otherwise, "at most 60.0 ms, and it would have passed");
    cleanup_free char *again = decision_format(&d);
    assert_string_equal(again, late);
}

static void what_there_is_none_of_is_left_out(void **state)
{
    struct err err = {0};
    struct decision back, d = {.time_ms = 5,
                               .who = DECIDER_DRIFT,
                               .rule = "drift",
                               .because = "sharpness fell",
                               .value = NAN,
                               .limit = INFINITY,
                               .margin = NAN,
                               .count = 1};
    (void)state;
    cleanup_free char *text = decision_format(&d);
    assert_string_equal(
        text,
        "{\"because\":\"sharpness fell\",\"count\":1,\"rule\":\"drift\",\"time_ms\":5,\"who\":\"drift\"}");
    assert_ok(decision_parse(text, strlen(text), &back, &err), err);
    assert_true(isnan(back.value) && isnan(back.limit) && isnan(back.margin));
    assert_int_equal(back.signals.valid, 0);
    assert_true(digest_is_zero(&back.release));
}

/* Names come from releases, texts from engines: whatever bytes they are, the record can be written and read. */
static void any_text_can_be_told(void **state)
{
    struct err err = {0};
    uint64_t seed = 7;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct decision back, d = {.who = (enum decider)random_below(&seed, DECIDERS)};
        random_bytes(&seed, d.because, sizeof d.because - 1);
        random_bytes(&seed, d.rule, sizeof d.rule - 1);
        random_bytes(&seed, d.engine, sizeof d.engine - 1);
        random_bytes(&seed, &d.signals, sizeof d.signals);
        d.value = random_between(&seed, -1e12, 1e12);
        cleanup_free char *text = decision_format(&d);
        assert_non_null(text);
        assert_ok(decision_parse(text, strlen(text), &back, &err), err);
        assert_true(back.value == d.value);
        for (int i = 0; d.signals.valid && i < SIGNALS; i++)
            if (isfinite(d.signals.values[i]))
                assert_true(back.signals.values[i] == d.signals.values[i]);
    }
}

static void hostile_bytes_are_refused(void **state)
{
    (void)state;
    every_truncation_fails(parse_any, late, strlen(late));
    no_flip_crashes(parse_any, late, strlen(late));
    every_member_is_needed(parse_any, late,
                           (const char *const[]){"robot", "release", "version", "engine", "subject", "value",
                                                 "limit", "unit", "margin", "otherwise", "signals", "luma",
                                                 NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_decision_says_why_in_numbers),
        cmocka_unit_test(what_there_is_none_of_is_left_out),
        cmocka_unit_test(any_text_can_be_told),
        cmocka_unit_test(hostile_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
