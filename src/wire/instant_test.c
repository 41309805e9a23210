#include "wire/instant.h"
#include "wire/wire_testing.h"

static void known_instants_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t s;
    } table[] = {
        {"1970-01-01T00:00:00Z", 0},          {"2000-02-29T12:30:45Z", 951827445},
        {"2026-01-02T03:04:05Z", 1767323045}, {"9999-12-31T23:59:59Z", INSTANT_MAX_S},
        {"2100-03-01T00:00:00Z", 4107542400}, {"2038-01-19T03:14:08Z", 2147483648},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        int64_t s = -1;
        char again[INSTANT_SIZE];
        assert_true(instant_parse(table[i].text, &s));
        assert_true(s == table[i].s);
        instant_format(s, again);
        assert_string_equal(again, table[i].text);
    }
}

static void what_is_none_is_refused(void **state)
{
    static const char *const table[] = {
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05z",
        "2026-01-02t03:04:05Z",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04:05Z ",
        " 2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.5Z",
        "2026-01-02T03:04:05+00:00",
        "2026-1-02T03:04:05Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T23:60:00Z",
        "2026-01-02T23:59:60Z",
        "1969-12-31T23:59:59Z",
        "-026-01-02T03:04:05Z",
        "+026-01-02T03:04:05Z",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        int64_t s = 42;
        if (instant_parse(table[i], &s) || s != 42)
            fail_msg("taken: %s", table[i]);
    }
}

/* Every day of eight centuries and more: written, read back, and in order with the libc's calendar. */
static void every_day_comes_back(void **state)
{
    (void)state;
    for (int64_t s = 11; s <= INSTANT_MAX_S; s += s < 40000000000LL ? 86400 : 86400LL * 367) {
        char text[INSTANT_SIZE], other[INSTANT_SIZE];
        int64_t again = -1;
        struct tm tm;
        time_t when = (time_t)s;
        instant_format(s, text);
        assert_true(instant_parse(text, &again) && again == s);
        gmtime_r(&when, &tm);
        strftime(other, sizeof other, "%Y-%m-%dT%H:%M:%SZ", &tm);
        assert_string_equal(text, other);
    }
}

static void what_no_calendar_holds_is_clamped(void **state)
{
    char text[INSTANT_SIZE];
    (void)state;
    instant_format(-1, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    instant_format(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_instants_are_read),
        cmocka_unit_test(what_is_none_is_refused),
        cmocka_unit_test(every_day_comes_back),
        cmocka_unit_test(what_no_calendar_holds_is_clamped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
