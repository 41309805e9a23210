#include "base/testing.h"

#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "trust/merkle/checkpoint.h"

#include <string.h>

static struct signing_key *key;
static struct public_key public;

static int setup(void **state)
{
    struct err err = {0};
    assert_ok(signing_key_generate(&key, &err), err);
    signing_key_public(key, &public);
    return 0;
}

static int teardown(void **state)
{
    signing_key_free(key);
    return 0;
}

static char *make(uint64_t size)
{
    struct checkpoint checkpoint = {.origin = "muster.audit/0011", .size = size};
    struct err err = {0};
    char *text = NULL;
    memset(checkpoint.root.bytes, 0xab, sizeof checkpoint.root.bytes);
    assert_ok(checkpoint_sign(&checkpoint, key, &text, &err), err);
    return text;
}

static void what_is_signed_opens(void **state)
{
    static const uint64_t sizes[] = {0, 1, 1234, INT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct checkpoint out;
        struct err err = {0};
        cleanup_free char *text = make(sizes[i]);
        assert_ok(checkpoint_open(text, strlen(text), &public, 1, &out, &err), err);
        assert_string_equal(out.origin, "muster.audit/0011");
        assert_int_equal(out.size, sizes[i]);
        assert_int_equal(out.root.bytes[31], 0xab);
    }
}

static void every_changed_bit_is_noticed(void **state)
{
    cleanup_free char *text = make(1234);
    for (size_t bit = 0; bit < strlen(text) * 8; bit++) {
        cleanup_free char *changed = mem_strdup(text);
        struct checkpoint out;
        struct err err = {0};
        changed[bit / 8] ^= (char)(1 << bit % 8);
        if (checkpoint_open(changed, strlen(text), &public, 1, &out, &err) == 0)
            fail_msg("bit %zu of byte %zu may be changed", bit % 8, bit / 8);
        assert_true(err.code == ERR_INVALID || err.code == ERR_UNTRUSTED);
    }
    for (size_t len = 0; len < strlen(text); len++) {
        struct checkpoint out;
        struct err err = {0};
        assert_int_equal(checkpoint_open(text, len, &public, 1, &out, &err), -1);
    }
}

static void a_stranger_and_another_name_do_not_count(void **state)
{
    cleanup_signing_key struct signing_key *other = NULL;
    struct public_key others[2];
    struct checkpoint out;
    struct err err = {0};
    assert_ok(signing_key_generate(&other, &err), err);
    signing_key_public(other, &others[0]);
    others[1] = public;
    cleanup_free char *text = make(7);
    assert_fails(checkpoint_open(text, strlen(text), others, 1, &out, &err), err, ERR_UNTRUSTED);
    assert_fails(checkpoint_open(text, strlen(text), NULL, 0, &out, &err), err, ERR_UNTRUSTED);
    assert_ok(checkpoint_open(text, strlen(text), others, 2, &out, &err), err); /* a key that came later */
    struct checkpoint spaced = {.origin = "a b"};
    char *none = NULL;
    assert_fails(checkpoint_sign(&spaced, key, &none, &err), err, ERR_INVALID);
}

/* Further lines in the text are signed too; signatures of others may stand before and behind ours. */
static void notes_of_others_are_read(void **state)
{
    struct err err = {0};
    struct checkpoint out;
    cleanup_free char *text = make(7);
    const char *signatures = strstr(text, "\n\n") + 2;
    cleanup_free char *more = mem_printf("%.*s\n\xe2\x80\x94 witness AAAAAAAA\n%s\xe2\x80\x94 last AAAA\n",
                                         (int)(signatures - 2 - text) + 1, text, signatures);
    assert_ok(checkpoint_open(more, strlen(more), &public, 1, &out, &err), err);
    cleanup_free char *extended =
        mem_printf("%.*s\nanother line\n\n%s", (int)(signatures - 2 - text), text, signatures);
    assert_ok(checkpoint_parse(extended, strlen(extended), &out, &err), err);
    assert_fails(checkpoint_open(extended, strlen(extended), &public, 1, &out, &err), err, ERR_UNTRUSTED);
}

/* The example of the C2SP signed-note page: its verifier key and its note. */
static void the_published_example_holds(void **state)
{
    static const char vkey[] = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    char origin[CHECKPOINT_ORIGIN_SIZE], again[CHECKPOINT_KEY_SIZE];
    struct public_key peter;
    struct err err = {0};
    assert_ok(checkpoint_key_parse(vkey, origin, &peter, &err), err);
    assert_string_equal(origin, "PeterNeumann");
    checkpoint_key_format(origin, &peter, again);
    assert_string_equal(again, vkey);
    static const char *const wrong[] = {"",
                                        "PeterNeumann",
                                        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                                        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                                        "PeterNeumann+c74f20a3+",
                                        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
                                        "a+b"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        cleanup_free char *block = mem_strdup(wrong[i]); /* of just its size */
        assert_fails(checkpoint_key_parse(block, origin, &peter, &err), err, ERR_INVALID);
    }
}

/* As heap blocks of just their size, so that AddressSanitizer sees who reads on. */
static void short_lines_are_no_signatures(void **state)
{
    static const char line[] = "\xe2\x80\x94 muster.audit/0011 AAAA\n";
    cleanup_free char *text = make(7);
    size_t head = (size_t)(strstr(text, "\n\n") + 2 - text);
    for (size_t len = 1; len < strlen(line); len++) {
        cleanup_free char *note = mem_zalloc(head + len, 1);
        struct checkpoint out;
        struct err err = {0};
        memcpy(note, text, head);
        memcpy(note + head, line, len);
        note[head + len - 1] = '\n';
        assert_int_equal(checkpoint_open(note, head + len, &public, 1, &out, &err), -1);
    }
}

static void the_first_64_signatures_are_looked_at(void **state)
{
    cleanup_free char *text = make(7);
    const char *signatures = strstr(text, "\n\n") + 2;
    for (int others = 62; others <= 66; others++) {
        char many[67 * 8 + 1] = "";
        struct checkpoint out;
        struct err err = {0};
        for (int i = 0; i < others; i++)
            memcpy(many + strlen(many), "other\n", 7);
        cleanup_free char *note = mem_printf("%.*s%s%s", (int)(signatures - text), text, many, signatures);
        assert_int_equal(checkpoint_open(note, strlen(note), &public, 1, &out, &err), others < 64 ? 0 : -1);
    }
}

/* ---- the form, whoever signed it ---- */

#define ROOT_TEXT "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="
#define TAIL "\n\n\xe2\x80\x94 log AAAA\n"

static int parse(const char *text, size_t len, struct checkpoint *out)
{
    struct err err = {0};
    int rc = checkpoint_parse(text, len, out, &err);
    assert_int_equal(err.code, rc == 0 ? ERR_NONE : ERR_INVALID);
    return rc;
}

static void only_the_one_spelling_is_read(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } wrong[] = {
#define WRONG(text) {text, sizeof(text) - 1}
        WRONG("log\n7\n" ROOT_TEXT "\n"),
        WRONG("log\n7\n" ROOT_TEXT TAIL "unfinished"),
        WRONG("\n\nx\n"),
        WRONG("log" TAIL),
        WRONG("log\n7" TAIL),
        WRONG("\n7\n" ROOT_TEXT TAIL),
        WRONG("l g\n7\n" ROOT_TEXT TAIL),
        WRONG("l+g\n7\n" ROOT_TEXT TAIL),
        WRONG("l\x7fg\n7\n" ROOT_TEXT TAIL),
        WRONG("l\xc3\xb6g\n7\n" ROOT_TEXT TAIL),
        WRONG("lo\0g\n7\n" ROOT_TEXT TAIL),
        WRONG("log\n\n" ROOT_TEXT TAIL),
        WRONG("log\n07\n" ROOT_TEXT TAIL),
        WRONG("log\n+7\n" ROOT_TEXT TAIL),
        WRONG("log\n-7\n" ROOT_TEXT TAIL),
        WRONG("log\n7 \n" ROOT_TEXT TAIL),
        WRONG("log\n7\0\n" ROOT_TEXT TAIL),
        WRONG("log\n9223372036854775808\n" ROOT_TEXT TAIL),
        WRONG("log\n18446744073709551623\n" ROOT_TEXT TAIL),
        WRONG("log\n0000000000000000000000000000000000000000000000007\n" ROOT_TEXT TAIL),
        WRONG("log\n7\nq6s=" TAIL),
        WRONG("log\n7\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6t=" TAIL), /* bits that nobody reads */
        WRONG("log\n7\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s" TAIL),
        WRONG("log\n7\n" ROOT_TEXT "AAAA" TAIL),
        WRONG("log\n7\n?6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=" TAIL),
        WRONG("log\n7\n-6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=" TAIL),
#undef WRONG
    };
    struct checkpoint out;
    static const char good[] = "log\n7\n" ROOT_TEXT TAIL,
                      last[] = "log\n9223372036854775807\n" ROOT_TEXT TAIL;
    assert_int_equal(parse(good, strlen(good), &out), 0);
    assert_int_equal(parse(last, strlen(last), &out), 0);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct err err = {0};
        if (parse(wrong[i].text, wrong[i].len, &out) == 0)
            fail_msg("%zu is taken: %s", i, wrong[i].text);
        assert_fails(checkpoint_open(wrong[i].text, wrong[i].len, &public, 1, &out, &err), err, ERR_INVALID);
    }
    char root[400] = "";
    memset(root, 'A', sizeof root - 1);
    cleanup_free char *large = mem_printf("log\n7\n%s%s", root, TAIL);
    assert_int_equal(parse(large, strlen(large), &out), -1);
}

static void a_log_has_a_name_of_95_bytes_at_most(void **state)
{
    for (size_t len = 90; len < 200; len++) {
        char origin[200] = "", out_origin[CHECKPOINT_ORIGIN_SIZE];
        struct checkpoint out;
        struct public_key out_key;
        struct err err = {0};
        memset(origin, 'x', len);
        cleanup_free char *text = mem_printf("%s\n7\n%s%s", origin, ROOT_TEXT, TAIL);
        assert_int_equal(parse(text, strlen(text), &out), len < CHECKPOINT_ORIGIN_SIZE ? 0 : -1);
        cleanup_free char *vkey =
            mem_printf("%s+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", origin);
        assert_fails(checkpoint_key_parse(vkey, out_origin, &out_key, &err), err, ERR_INVALID);
    }
}

static void a_verifier_key_names_a_log(void **state)
{
    static const char *const wrong[] = {"a b", "a\tb", "a\x7f", "\xc3\xb6"};
    char text[CHECKPOINT_KEY_SIZE], origin[CHECKPOINT_ORIGIN_SIZE];
    struct public_key out;
    struct err err = {0};
    checkpoint_key_format("ab", &public, text);
    assert_ok(checkpoint_key_parse(text, origin, &out, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) { /* with a hash that fits */
        checkpoint_key_format(wrong[i], &public, text);
        assert_fails(checkpoint_key_parse(text, origin, &out, &err), err, ERR_INVALID);
    }
}

static void a_note_has_an_end(void **state)
{
    struct checkpoint out;
    static const char head[] = "log\n7\n" ROOT_TEXT "\n\n";
    cleanup_free char *large = mem_zalloc(CHECKPOINT_MAX_BYTES + 1, 1);
    memset(large, 'x', CHECKPOINT_MAX_BYTES + 1);
    memcpy(large, head, strlen(head));
    large[CHECKPOINT_MAX_BYTES - 1] = large[CHECKPOINT_MAX_BYTES] = '\n';
    assert_int_equal(parse(large, CHECKPOINT_MAX_BYTES, &out), 0);
    large[CHECKPOINT_MAX_BYTES - 1] = 'x';
    assert_int_equal(parse(large, CHECKPOINT_MAX_BYTES + 1, &out), -1);
    assert_int_equal(parse("", 0, &out), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_signed_opens),
        cmocka_unit_test(every_changed_bit_is_noticed),
        cmocka_unit_test(a_stranger_and_another_name_do_not_count),
        cmocka_unit_test(notes_of_others_are_read),
        cmocka_unit_test(the_published_example_holds),
        cmocka_unit_test(short_lines_are_no_signatures),
        cmocka_unit_test(the_first_64_signatures_are_looked_at),
        cmocka_unit_test(only_the_one_spelling_is_read),
        cmocka_unit_test(a_log_has_a_name_of_95_bytes_at_most),
        cmocka_unit_test(a_verifier_key_names_a_log),
        cmocka_unit_test(a_note_has_an_end),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
