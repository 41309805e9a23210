#include "base/mem.h"
#include "base/testing.h"
#include "trust/audit.h"

#include <string.h>

static void an_entry_says_what_is_known_and_nothing_else(void **state)
{
    static const char *const robots[] = {"r1", "r2"};
    const struct audit_entry entry = {.seq = 7,
                                      .time_ms = 1700000000000,
                                      .kind = "command",
                                      .who = "alice",
                                      .what = "stop",
                                      .why = "smoke \"here\"\n",
                                      .text = "",
                                      .robots = robots,
                                      .robot_count = 2,
                                      .command = 12};
    cleanup_free char *text = audit_entry_format(&entry);
    assert_string_equal(text,
                        "{\"seq\":7,\"time_ms\":1700000000000,\"kind\":\"command\",\"who\":\"alice\","
                        "\"what\":\"stop\",\"why\":\"smoke \\\"here\\\"\\n\",\"robots\":[\"r1\",\"r2\"],"
                        "\"command\":12}");
}

static void an_entry_is_one_line(void **state)
{
    const struct audit_entry entry = {.seq = 1, .kind = "local", .who = "a\nb\r\t", .text = "\x01\x7f\xff"};
    cleanup_free char *text = audit_entry_format(&entry);
    for (const char *c = text; *c; c++)
        assert_true((unsigned char)*c >= 0x20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_says_what_is_known_and_nothing_else),
        cmocka_unit_test(an_entry_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
