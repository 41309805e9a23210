#include "wire/director.h"
#include "wire/wire_testing.h"

static int parse_any(const void *data, size_t len, struct err *err)
{
    cleanup_director_answer struct director_answer answer = {0};
    return director_answer_parse(data, len, &answer, err);
}

static void envelopes_are_handed_on_as_they_came(void **state)
{
    static const char *const approvals[] = {"{\"approval\":\"YQ==\",\"signatures\":[]}", "{\"a\":[1,2]}"};
    struct err err = {0};
    cleanup_director_answer struct director_answer answer = {0};
    cleanup_free char *text = director_answer_format("{\"signatures\":[],\"signed\":{}}", approvals, 2);
    (void)state;
    assert_ok(director_answer_parse(text, strlen(text), &answer, &err), err);
    assert_string_equal(answer.assignment, "{\"signatures\":[],\"signed\":{}}");
    assert_int_equal(answer.approval_count, 2);
    assert_string_equal(answer.approvals[0], approvals[0]);
    assert_string_equal(answer.approvals[1], approvals[1]);
    every_truncation_fails(parse_any, text, strlen(text));
    no_flip_crashes(parse_any, text, strlen(text));
    static const char *const wrong[] = {
        "{\"assignment\":{}}",
        "{\"approvals\":[]}",
        "{\"assignment\":[],\"approvals\":[]}",
        "{\"assignment\":{},\"approvals\":[1]}",
        "{\"assignment\":{},\"approvals\":[],\"more\":1}",
        "{\"assignment\":{},\"approvals\":[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (decode_copy(parse_any, wrong[i], strlen(wrong[i]), &err) == 0)
            fail_msg("taken: %s", wrong[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(envelopes_are_handed_on_as_they_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
