#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"

#include <errno.h>

static void every_code_has_a_name_a_status_and_an_exit(void **state)
{
    for (int code = 0; code < ERR_CODE_COUNT; code++) {
        assert_non_null(err_code_name(code));
        assert_int_equal(err_code_from_name(err_code_name(code)), code);
        assert_in_range(err_http_status(code), 200, 599);
        assert_in_range(err_exit_status(code), 0, 5);
        assert_int_equal(err_exit_status(code) == 0, code == ERR_NONE);
    }
    for (int status = 400; status < 600; status++)
        assert_int_not_equal(err_code_from_http(status), ERR_NONE);
}

static void prefixes_pile_up_and_never_overflow(void **state)
{
    struct err err = {0};
    assert_int_equal(err_set(&err, ERR_CORRUPT, "size is %d", 12), -1);
    assert_int_equal(err_prefix(&err, "blob %s", "ab"), -1);
    assert_string_equal(err.text, "blob ab: size is 12");
    assert_int_equal(err.code, ERR_CORRUPT);
    for (int i = 0; i < 100; i++)
        err_prefix(&err, "layer %d", i);
    assert_true(strlen(err.text) < sizeof err.text);
    errno = ENOSPC;
    assert_int_equal(err_errno(&err, "write x"), -1);
    assert_int_equal(err.code, ERR_NO_SPACE);
    assert_int_equal(err.os_errno, ENOSPC);
}

static void hex_round_trips_and_refuses_the_rest(void **state)
{
    uint8_t bytes[256], back[256];
    char text[513];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    hex_encode(bytes, sizeof bytes, text);
    assert_true(hex_decode(text, 512, back));
    assert_memory_equal(bytes, back, sizeof bytes);
    assert_false(hex_decode("abc", 3, back));
    assert_false(hex_decode("AB", 2, back));
    assert_false(hex_decode("0g", 2, back));
}

static void a_digest_has_exactly_one_text(void **state)
{
    struct digest digest, back;
    for (int i = 0; i < 32; i++)
        digest.bytes[i] = (uint8_t)(i * 7);
    struct digest_text text = digest_format(&digest);
    assert_true(digest_parse(text.text, &back));
    assert_true(digest_equal(&digest, &back));
    for (size_t i = 0; i < strlen(text.text); i++) {
        struct digest_text wrong = text;
        wrong.text[i] = 'X';
        assert_false(digest_parse(wrong.text, &back));
    }
    assert_false(digest_parse("", &back));
    assert_false(digest_is_zero(&digest));
}

static void paths_and_names_that_could_escape_are_refused(void **state)
{
    static const char *const bad[] = {"", "/a", "../a", "a/../b", "a/..", "a//b", "a/", ".", "a\\b", "./a"};
    static const char *const good[] = {"a", "a/b", "a..b", "..a/b", "golden/0.png"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(str_is_safe_path(bad[i]));
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(str_is_safe_path(good[i]));
    assert_true(str_is_name("robot-01.a_b", 20));
    assert_false(str_is_name("-x", 20));
    assert_false(str_is_name(".x", 20));
    assert_false(str_is_name("a/b", 20));
    assert_false(str_is_name("toolong", 6));
}

static void numbers_are_whole_or_nothing(void **state)
{
    uint64_t u;
    int64_t i;
    double d;
    assert_true(str_to_u64("18446744073709551615", &u) && u == UINT64_MAX);
    assert_false(str_to_u64("18446744073709551616", &u));
    assert_false(str_to_u64("-1", &u));
    assert_false(str_to_u64(" 1", &u));
    assert_false(str_to_u64("1x", &u));
    assert_false(str_to_u64("", &u));
    assert_true(str_to_i64("-9223372036854775808", &i) && i == INT64_MIN);
    assert_false(str_to_i64("--1", &i));
    assert_true(str_to_double("-1.5e3", &d) && d == -1500);
    assert_false(str_to_double("inf", &d));
    assert_false(str_to_double("1,5", &d));
}

static void text_copies_truncate_and_terminate(void **state)
{
    char out[4];
    assert_true(str_copy(out, sizeof out, "abc"));
    assert_false(str_copy(out, sizeof out, "abcd"));
    assert_string_equal(out, "abc");
    char when[CLOCK_RFC3339_SIZE];
    clock_rfc3339(951782400123, when);
    assert_string_equal(when, "2000-02-29T00:00:00.123Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_a_status_and_an_exit),
        cmocka_unit_test(prefixes_pile_up_and_never_overflow),
        cmocka_unit_test(hex_round_trips_and_refuses_the_rest),
        cmocka_unit_test(a_digest_has_exactly_one_text),
        cmocka_unit_test(paths_and_names_that_could_escape_are_refused),
        cmocka_unit_test(numbers_are_whole_or_nothing),
        cmocka_unit_test(text_copies_truncate_and_terminate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
