#include "cli/cli.h"

#include "base/mem.h"
#include "base/testing.h"
#include "cli/output.h"

#include <string.h>

struct flags {
    bool json;
    const char *dir;
    int64_t rounds;
    double score;
    struct option_list labels;
};

static int parse(struct flags *flags, struct operands *operands, const char *const *words, struct err *err)
{
    const struct option_def options[] = {
        OPT_FLAG("json", 'j', &flags->json),          OPT_TEXT("dir", 'd', &flags->dir),
        OPT_INT("rounds", 'n', &flags->rounds, 1, 9), OPT_DOUBLE("score", 0, &flags->score),
        OPT_LIST("label", 'l', &flags->labels),
    };
    char *argv[24];
    int argc = 0;
    for (argv[argc++] = (char *)"verb"; words[argc - 1]; argc++)
        argv[argc] = (char *)words[argc - 1];
    argv[argc] = NULL;
    *operands = (struct operands){.usage = "THING", .min = 1, .max = 2};
    return options_parse(argc, argv, options, ARRAY_LEN(options), operands, err);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void options_and_operands_in_any_order(void **state)
{
    struct flags flags = {.rounds = 5};
    struct operands operands;
    struct err err = {0};
    assert_ok(parse(&flags, &operands,
                    WORDS("one", "--json", "-d", "x", "-l", "a=1", "two", "--label=b=2", "--score", "0.5"),
                    &err),
              err);
    assert_true(flags.json && flags.score == 0.5 && flags.rounds == 5);
    assert_string_equal(flags.dir, "x");
    assert_int_equal(flags.labels.count, 2);
    assert_string_equal(flags.labels.items[1], "b=2");
    assert_int_equal(operands.count, 2);
    assert_string_equal(operands.items[1], "two");
    flags = (struct flags){0};
    assert_ok(parse(&flags, &operands, WORDS("-n", "9", "--", "--json"), &err), err);
    assert_true(!flags.json && flags.rounds == 9);
    assert_string_equal(operands.items[0], "--json");
}

static void slips_are_named(void **state)
{
    static const struct {
        const char *words[6];
        const char *named;
    } rows[] = {
        {{"one", "--jsn"}, "--jsn"},
        {{"one", "-x"}, "-x"},
        {{"one", "--dir"}, "--dir"},
        {{"one", "-d"}, "-d"},
        {{"one", "-n", "0"}, "rounds"},
        {{"one", "-n", "10"}, "rounds"},
        {{"one", "-n", "3x"}, "rounds"},
        {{"one", "-n", ""}, "rounds"},
        {{"one", "--score", "nan"}, "score"},
        {{"one", "two", "three"}, "three"},
        {{"--json"}, "THING"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct flags flags = {0};
        struct operands operands;
        struct err err = {0};
        assert_fails(parse(&flags, &operands, rows[i].words, &err), err, ERR_USAGE);
        if (!strstr(err.text, rows[i].named))
            fail_msg("\"%s\" does not name %s", err.text, rows[i].named);
    }
}

static void too_many_of_a_list_are_refused(void **state)
{
    struct flags flags = {0};
    struct operands operands;
    struct err err = {0};
    const char *words[] = {"one", "-l1", "-l2", "-l3", "-l4", "-l5", "-l6", "-l7", "-l8", "-l9",
                           "-l1", "-l2", "-l3", "-l4", "-l5", "-l6", "-l7", "-l8", NULL};
    assert_fails(parse(&flags, &operands, words, &err), err, ERR_USAGE);
    assert_int_equal(flags.labels.count, ARRAY_LEN(flags.labels.items));
}

static int succeed(int argc, char **argv, struct err *err)
{
    return argc;
}

static void a_verb_is_found_or_guessed(void **state)
{
    static const struct verb table[] = {{.name = "pack", .run = succeed}, {.name = "push", .run = succeed}};
    struct err err = {0};
    char *argv[] = {(char *)"push", (char *)"x", NULL};
    assert_int_equal(verb_dispatch(table, 2, "muster", 2, argv, &err), 2);
    argv[0] = (char *)"pakc";
    assert_fails(verb_dispatch(table, 2, "muster", 2, argv, &err), err, ERR_USAGE);
    assert_non_null(strstr(err.text, "\"pack\""));
    argv[0] = (char *)"somethingelse";
    assert_fails(verb_dispatch(table, 2, "muster", 2, argv, &err), err, ERR_USAGE);
    assert_null(strstr(err.text, "did you mean"));
    assert_fails(verb_dispatch(table, 2, "muster", 0, argv, &err), err, ERR_USAGE);
}

static int name_the_help(int argc, char **argv, struct err *err)
{
    struct operands operands = {.usage = "ROBOT", .min = 1, .max = 1};
    return options_parse(argc, argv, NULL, 0, &operands, err);
}

static void a_verb_of_a_verb_points_to_a_help_that_exists(void **state)
{
    static const struct verb table[] = {{.name = "show", .run = name_the_help}};
    struct err err = {0};
    char *argv[] = {(char *)"show", NULL};
    assert_fails(verb_dispatch(table, 1, "muster robot", 1, argv, &err), err, ERR_USAGE);
    assert_non_null(strstr(err.text, "see muster robot show --help"));
    assert_string_equal(argv[0], "show");
    err = (struct err){0};
    assert_fails(verb_dispatch(table, 1, "muster", 1, argv, &err), err, ERR_USAGE);
    assert_non_null(strstr(err.text, "see muster show --help"));
}

static void bytes_for_people(void **state)
{
    assert_string_equal(format_bytes(0).text, "0 B");
    assert_string_equal(format_bytes(999).text, "999 B");
    assert_string_equal(format_bytes(1500000).text, "1.5 MB");
    assert_string_equal(format_bytes(UINT64_MAX).text, "18446744.1 TB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_operands_in_any_order),
        cmocka_unit_test(slips_are_named),
        cmocka_unit_test(too_many_of_a_list_are_refused),
        cmocka_unit_test(a_verb_is_found_or_guessed),
        cmocka_unit_test(a_verb_of_a_verb_points_to_a_help_that_exists),
        cmocka_unit_test(bytes_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
