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
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_fails(checkpoint_key_parse(wrong[i], origin, &peter, &err), err, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_signed_opens),
        cmocka_unit_test(every_changed_bit_is_noticed),
        cmocka_unit_test(a_stranger_and_another_name_do_not_count),
        cmocka_unit_test(notes_of_others_are_read),
        cmocka_unit_test(the_published_example_holds),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
