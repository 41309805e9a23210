#include "wire/approval.h"
#include "wire/wire_testing.h"

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char good[] =
    "{\"expires_ms\":1700086400000,\"fleet\":\"warehouse-5f0c\",\"issued_ms\":1700000000000,"
    "\"name\":\"detector\",\"operator\":\"alice\",\"plan\":\"sha256:" HASH "\","
    "\"reason\":\"reviewed on site\",\"release\":\"sha256:" HASH "\",\"schema\":1,"
    "\"version\":\"2.0.0\"}";

static int parse_any(const void *data, size_t len, struct err *err)
{
    struct approval approval;
    return approval_parse(data, len, &approval, err);
}

static void an_approval_says_what_it_says(void **state)
{
    struct err err = {0};
    struct approval approval;
    (void)state;
    assert_ok(approval_parse(good, strlen(good), &approval, &err), err);
    assert_string_equal(approval.fleet, "warehouse-5f0c");
    assert_string_equal(approval.name, "detector");
    assert_string_equal(approval.version, "2.0.0");
    assert_string_equal(approval.operator_name, "alice");
    assert_string_equal(approval.reason, "reviewed on site");
    assert_true(digest_equal(&approval.release, &approval.plan) && approval.plan.bytes[1] == 0x11);
    assert_true(approval.expires_ms - approval.issued_ms == 86400000);
    cleanup_free char *again = approval_format(&approval);
    assert_string_equal(again, good);
    approval.plan = (struct digest){0};
    cleanup_free char *any_plan = approval_format(&approval);
    assert_non_null(strstr(any_plan, "\"plan\":null"));
    assert_ok(approval_parse(any_plan, strlen(any_plan), &approval, &err), err);
    assert_true(digest_is_zero(&approval.plan));
}

static void hostile_bytes_are_refused(void **state)
{
    (void)state;
    every_truncation_fails(parse_any, good, strlen(good));
    no_flip_crashes(parse_any, good, strlen(good));
    every_member_is_needed(parse_any, good, (const char *const[]){"plan", NULL});
    no_surplus_is_taken(parse_any, good);
}

static void refuse(const char *piece, const char *instead, const char *say)
{
    refuse_piece(parse_any, good, piece, instead, say);
}

static void what_is_wrong_is_named(void **state)
{
    static const char *const table[][3] = {
        {"\"schema\":1", "\"schema\":2", "schema"},
        {"1700086400000", "1700000000000", "expires_ms"},
        {"1700086400000", "1702592000001", "expires_ms"},
        {"\"2.0.0\"", "\"2\"", "version"},
        {"\"reviewed on site\"", "\"\"", "reason"},
        {"\"reviewed on site\"", "\"two\\nlines\"", "reason"},
        {"\"alice\"", "\"\"", "operator"},
        {"\"plan\":\"sha256:" HASH "\"",
         "\"plan\":\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"", "plan"},
        {"\"plan\":\"sha256:" HASH "\",", "", "plan"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        refuse(table[i][0], table[i][1], table[i][2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_approval_says_what_it_says),
        cmocka_unit_test(hostile_bytes_are_refused),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
