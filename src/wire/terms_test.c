#include "wire/terms.h"
#include "wire/wire_testing.h"

static const char full[] =
    "{\"muster\":{\"approvals\":{\"of\":\"plan\",\"operators\":[\"alice\",\"bob\",\"carol\"],"
    "\"threshold\":2},\"fleet\":\"warehouse-5f0c\",\"floor\":\"1.4.0\",\"kind\":\"release\"}}";

static int parse_any(const void *data, size_t len, struct err *err)
{
    struct terms terms;
    cleanup_free char *text = mem_strndup(data, len);
    return terms_parse(text, &terms, err);
}

static void terms_say_what_they_say(void **state)
{
    struct err err = {0};
    struct terms terms;
    (void)state;
    assert_ok(terms_parse(full, &terms, &err), err);
    assert_int_equal(terms.kind, TERMS_RELEASE);
    assert_string_equal(terms.fleet, "warehouse-5f0c");
    assert_string_equal(terms.floor, "1.4.0");
    assert_int_equal(terms.threshold, 2);
    assert_int_equal(terms.operator_count, 3);
    assert_string_equal(terms.operators[2], "carol");
    assert_int_equal(terms.scope, TERMS_OF_PLAN);
    cleanup_free char *again = terms_format(&terms);
    assert_string_equal(again, full);
}

static void the_least_is_a_kind_and_a_fleet(void **state)
{
    static const char least[] =
        "{\"muster\":{\"fleet\":\"f\",\"kind\":\"operators\"},\"other\":{\"tool\":[1]}}";
    struct err err = {0};
    struct terms terms;
    (void)state;
    assert_ok(terms_parse(least, &terms, &err), err);
    assert_int_equal(terms.kind, TERMS_OPERATORS);
    assert_true(terms.threshold == 0 && terms.floor[0] == 0);
    cleanup_free char *again = terms_format(&terms);
    assert_string_equal(again, "{\"muster\":{\"fleet\":\"f\",\"kind\":\"operators\"}}");
}

static void hostile_bytes_are_refused(void **state)
{
    struct err err = {0};
    struct terms terms;
    (void)state;
    every_truncation_fails(parse_any, full, strlen(full));
    no_flip_crashes(parse_any, full, strlen(full));
    every_member_is_needed(parse_any, full, (const char *const[]){"approvals", "floor", NULL});
    assert_fails(terms_parse(NULL, &terms, &err), err, ERR_REFUSED);
    assert_non_null(strstr(err.text, "no terms"));
}

static void refuse(const char *piece, const char *instead, const char *say)
{
    refuse_piece(parse_any, full, piece, instead, say);
}

/* A term that is not understood must not be ignored. */
static void what_is_wrong_is_named(void **state)
{
    static const char *const table[][3] = {
        {"\"kind\":\"release\"", "\"kind\":\"other\"", "kind"},
        {"\"kind\":\"release\"", "\"kind\":\"operators\"", "releases only"},
        {"\"kind\":\"release\"", "\"kind\":\"release\",\"moon\":\"full\"", "moon"},
        {"\"threshold\":2", "\"threshold\":0", "threshold"},
        {"\"threshold\":2", "\"threshold\":-1", "threshold"},
        {"\"threshold\":2", "\"threshold\":4", "threshold"},
        {"\"threshold\":2", "\"threshold\":2,\"any\":true", "any"},
        {"\"carol\"", "\"bob\"", "twice"},
        {"\"carol\"", "\"car ol\"", "operators"},
        {"\"of\":\"plan\"", "\"of\":\"nothing\"", "of"},
        {"\"floor\":\"1.4.0\"", "\"floor\":\"1.4\"", "floor"},
        {"\"floor\":\"1.4.0\"", "\"floor\":\"\"", "floor"},
        {"\"floor\":\"1.4.0\"", "\"floor\":null", "null"},
        {"{\"muster\":", "{\"master\":", "muster"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        refuse(table[i][0], table[i][1], table[i][2]);
}

/* "approvals": null must not read as "none are wanted", and the keyring is bound to nothing that it would have to name. */
static void a_term_is_never_there_and_void(void **state)
{
    static const char *const texts[] = {
        "{\"muster\":{\"kind\":\"release\",\"fleet\":\"f\",\"approvals\":null}}",
        "{\"muster\":{\"kind\":\"release\",\"fleet\":\"f\",\"approvals\":{}}}",
        "{\"muster\":{\"kind\":\"release\",\"fleet\":\"f\",\"floor\":null}}",
        "{\"muster\":{\"kind\":\"operators\",\"fleet\":\"f\",\"floor\":\"1.0.0\"}}",
        "{\"muster\":{\"kind\":\"operators\",\"fleet\":\"f\",\"approvals\":"
        "{\"of\":\"plan\",\"operators\":[\"alice\"],\"threshold\":1}}}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct err err = {0};
        assert_fails(parse_any(texts[i], strlen(texts[i]), &err), err, ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_say_what_they_say),        cmocka_unit_test(the_least_is_a_kind_and_a_fleet),
        cmocka_unit_test(hostile_bytes_are_refused),      cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_term_is_never_there_and_void),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
