/* Acknowledged alarms: each by release and time, the newest kept. */
#include "wire/seen.h"

#include "base/mem.h"
#include "base/testing.h"

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char two[] =
    "{\"seen\":[{\"number\":7,\"release\":\"sha256:" HASH "\",\"time_ms\":1700000000000},"
    "{\"number\":9,\"release\":\"sha256:" HASH "\",\"time_ms\":1700000000001}]}";

static int parse_any(const void *data, size_t len, struct err *err)
{
    struct seen_list list;
    return seen_parse(data, len, &list, err);
}

static struct seen_alarm item(uint64_t number, uint8_t release, int64_t time_ms)
{
    return (struct seen_alarm){.number = number, .release = {{release}}, .time_ms = time_ms};
}

static void a_list_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct seen_list list;
    struct err err = {0};
    assert_ok(seen_parse(two, strlen(two), &list, &err), err);
    assert_int_equal(list.count, 2);
    assert_int_equal(seen_last(&list), 9);
    assert_true(seen_has(&list, &list.items[0].release, 1700000000001));
    cleanup_free char *again = seen_format(&list);
    assert_string_equal(again, two);
    static const char more[] = "{\"commands\":[],\"new\":1}";
    assert_ok(seen_parse(more, strlen(more), &list, &err), err);
    assert_int_equal(list.count, 0);
    assert_int_equal(seen_last(&list), 0);
}

static void what_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "[]",
        "{\"seen\":{}}",
        "{\"seen\":[1]}",
        "{\"seen\":[{\"number\":0,\"release\":\"sha256:" HASH "\",\"time_ms\":1}]}",
        "{\"seen\":[{\"number\":1,\"release\":\"sha256:" HASH "\",\"time_ms\":0}]}",
        "{\"seen\":[{\"number\":1,\"release\":null,\"time_ms\":1}]}",
        "{\"seen\":[{\"number\":1,\"time_ms\":1}]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct err err = {0};
        assert_int_equal(parse_any(wrong[i], strlen(wrong[i]), &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

/* The alarm itself, and no other: not an older or newer one of the release, not one of another release. */
static void an_alarm_is_known_by_release_and_time(void **state)
{
    (void)state;
    struct seen_list list = {0};
    struct seen_alarm one = item(5, 1, 100);
    seen_add(&list, &one);
    assert_true(seen_has(&list, &one.release, 100));
    assert_false(seen_has(&list, &one.release, 99));
    assert_false(seen_has(&list, &one.release, 101));
    struct digest other = {{2}};
    assert_false(seen_has(&list, &other, 100));
}

static void what_comes_again_is_there_once_and_the_oldest_goes(void **state)
{
    (void)state;
    struct seen_list list = {0};
    for (int i = 1; i <= SEEN_MAX; i++) {
        struct seen_alarm one = item((uint64_t)i, 1, i);
        seen_add(&list, &one);
    }
    struct seen_alarm again = item(3, 1, 1); /* the server was put back, and says it anew */
    seen_add(&list, &again);
    assert_int_equal(list.count, SEEN_MAX);
    assert_int_equal(seen_last(&list), 3);
    assert_true(seen_has(&list, &again.release, 2));
    struct seen_alarm more = item(100, 1, 1000);
    seen_add(&list, &more);
    assert_int_equal(list.count, SEEN_MAX);
    assert_int_equal(seen_last(&list), 100);
    assert_false(seen_has(&list, &again.release, 2)); /* the oldest by then */
    assert_true(seen_has(&list, &again.release, 1));
    cleanup_free char *text = seen_format(&list);
    assert_in_range(strlen(text), 1, SEEN_MAX_BYTES);
    struct err err = {0};
    assert_ok(parse_any(text, strlen(text), &err), err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_read_as_it_was_written),
        cmocka_unit_test(what_is_none_is_refused),
        cmocka_unit_test(an_alarm_is_known_by_release_and_time),
        cmocka_unit_test(what_comes_again_is_there_once_and_the_oldest_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
