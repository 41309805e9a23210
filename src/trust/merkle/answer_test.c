#include "base/testing.h"

#include "base/str.h"
#include "trust/merkle/answer.h"
#include "trust/merkle/made_log.h"
#include "trust/rule.h"

#include <string.h>

static struct signing_key *key;
static struct public_key public;
static struct made_log *made, *other;

static int setup(void **state)
{
    struct err err = {0};
    assert_ok(signing_key_generate(&key, &err), err);
    signing_key_public(key, &public);
    made = made_new(30);
    other = made_new(30);
    memset(&other->leaves[3], 1, sizeof other->leaves[3]);
    return 0;
}

static int teardown(void **state)
{
    signing_key_free(key);
    free(made);
    free(other);
    return 0;
}

static struct checkpoint at_size(struct made_log *log, uint64_t size, const char *origin)
{
    struct checkpoint checkpoint = {.size = size, .root = plain_root(log->leaves, size)};
    str_copy(checkpoint.origin, sizeof checkpoint.origin, origin);
    return checkpoint;
}

/* What a server with this log answers to `since`. */
static struct checkpoint_answer *answer_of(struct made_log *log, uint64_t since, uint64_t size,
                                           const char *origin)
{
    struct checkpoint_answer *answer = mem_zalloc(1, sizeof *answer);
    struct checkpoint checkpoint = at_size(log, size, origin);
    struct merkle_source source = made_source(log);
    struct err err = {0};
    cleanup_free char *text = NULL;
    assert_ok(checkpoint_sign(&checkpoint, key, &text, &err), err);
    str_copy(answer->text, sizeof answer->text, text);
    if (since <= size)
        assert_ok(merkle_prove_consistency(&source, since, size, &answer->consistency, &err), err);
    return answer;
}

static void assert_judged(struct made_log *log, uint64_t since, uint64_t size, const char *origin,
                          enum trust_rule rule)
{
    cleanup_free struct checkpoint_answer *answer = answer_of(log, since, size, origin);
    struct checkpoint known = at_size(made, since, "muster.audit/1"), out = {0};
    struct err err = {0};
    int rc = checkpoint_follows(&known, answer, &public, 1, &out, &err);
    assert_int_equal(out.size, size);
    assert_int_equal(rc, rule == TRUST_RULE_NONE ? 0 : -1);
    assert_int_equal(trust_rule_of(err.text), rule);
}

static void a_log_that_grows_is_followed(void **state)
{
    for (uint64_t since = 0; since <= 30; since++)
        for (uint64_t size = MAX(since, (uint64_t)1); size <= 30; size++)
            assert_judged(made, since, size, "muster.audit/1", TRUST_RULE_NONE);
}

/* Trust on first use: whatever log it is, if its key signed it. */
static void the_first_checkpoint_is_followed(void **state)
{
    cleanup_free struct checkpoint_answer *answer = answer_of(made, 0, 9, "muster.audit/1");
    struct checkpoint known = {0}, out = {0};
    struct err err = {0};
    assert_ok(checkpoint_follows(&known, answer, &public, 1, &out, &err), err);
    assert_int_equal(out.size, 9);
}

static void a_fork_is_named(void **state)
{
    for (uint64_t since = 4; since <= 30; since++)
        for (uint64_t size = since; size <= 30; size++)
            assert_judged(other, since, size, "muster.audit/1", TRUST_AUDIT_FORK);
    assert_judged(made, 5, 9, "muster.audit/2", TRUST_AUDIT_FORK);
}

static void a_shorter_log_is_named(void **state)
{
    for (uint64_t size = 1; size < 20; size++)
        assert_judged(made, 20, size, "muster.audit/1", TRUST_AUDIT_SHRUNK);
}

static void a_stranger_signs_nothing(void **state)
{
    cleanup_free struct checkpoint_answer *answer = answer_of(made, 3, 9, "muster.audit/1");
    struct checkpoint known = at_size(made, 3, "muster.audit/1"), out = {.size = 77};
    struct err err = {0};
    assert_fails(checkpoint_follows(&known, answer, NULL, 0, &out, &err), err, ERR_UNTRUSTED);
    assert_int_equal(trust_rule_of(err.text), TRUST_AUDIT_SIGNATURE);
    assert_int_equal(out.size, 77);
    answer->text[0] = 0;
    assert_fails(checkpoint_follows(&known, answer, &public, 1, &out, &err), err, ERR_INVALID);
}

static void answers_are_read_strictly(void **state)
{
    static const char *const wrong[] = {
        "",
        "{}",
        "{\"checkpoint\":\"a\",\"consistency\":[]}",
        "{\"checkpoint\":\"a\",\"consistency\":[\"x\"],\"key\":\"k\"}",
        "{\"checkpoint\":\"a\",\"consistency\":[],\"key\":\"k\",\"more\":1}",
        "{\"checkpoint\":1,\"consistency\":[],\"key\":\"k\"}",
    };
    cleanup_free struct checkpoint_answer *answer = mem_zalloc(1, sizeof *answer);
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_fails(checkpoint_answer_parse(wrong[i], strlen(wrong[i]), answer, &err), err, ERR_INVALID);
    static const char good[] =
        "{\"checkpoint\":\"a\\nb\",\"consistency\":[\"sha256:"
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"],\"key\":\"k\"}";
    assert_ok(checkpoint_answer_parse(good, strlen(good), answer, &err), err);
    assert_int_equal(answer->consistency.count, 1);
    assert_string_equal(answer->text, "a\nb");
    static const char broken[] =
        "{\"checkpoint\":\"a\",\"consistency\":[],\"key\":\"k\",\"broken\":\"entry 3\"}";
    assert_ok(checkpoint_answer_parse(broken, strlen(broken), answer, &err), err);
    assert_string_equal(answer->broken, "entry 3");
    cleanup_free char *large = mem_zalloc(CHECKPOINT_ANSWER_MAX_BYTES + 1, 1);
    assert_fails(checkpoint_answer_parse(large, CHECKPOINT_ANSWER_MAX_BYTES + 1, answer, &err), err,
                 ERR_TOO_BIG);
}

static void a_root_names_audit_keys(void **state)
{
    char hex[65], id[] = "a", stranger[] = "b", *ids[] = {id}, rsa[] = "x";
    struct public_key out[4];
    snprintf(hex, sizeof hex, "%s", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    struct tuf_key keys[] = {{id, TUF_ED25519, hex}, {stranger, TUF_ED25519, hex}, {id, TUF_RSA_PSS, rsa}};
    struct tuf_root root = {.key_count = 3, .keys = keys, .audit = {1, 1, ids}};
    assert_int_equal(checkpoint_root_keys(&root, out, 4), 1);
    assert_int_equal(out[0].raw[0], 0xd7);
    root.audit = (struct tuf_keyset){0};
    assert_int_equal(checkpoint_root_keys(&root, out, 4), 0);
}

static void only_keys_of_ed25519_are_taken_and_no_more_than_fit(void **state)
{
    static const char good[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    char first[65], second[65], longer[67], junk[65], a[] = "a", b[] = "b", *ids[] = {a, b};
    struct public_key out[3] = {0};
    static const struct public_key untouched;
    snprintf(first, sizeof first, "%s", good);
    snprintf(second, sizeof second, "%s", good);
    snprintf(longer, sizeof longer, "%s00", good);
    snprintf(junk, sizeof junk, "%s", good);
    second[0] = 'e';
    junk[63] = 'x';
    struct tuf_key two[] = {{a, TUF_ED25519, first}, {b, TUF_ED25519, second}};
    struct tuf_key bad[] = {{a, TUF_ECDSA_P256, first}, {a, TUF_ED25519, longer}, {b, TUF_ED25519, junk}};
    struct tuf_root root = {.key_count = 2, .keys = two, .audit = {1, 2, ids}};
    for (size_t max = 0; max <= 2; max++) {
        memset(out, 0, sizeof out);
        assert_int_equal(checkpoint_root_keys(&root, out, max), max);
        assert_memory_equal(&out[max], &untouched, sizeof untouched);
    }
    root.key_count = 3;
    root.keys = bad;
    assert_int_equal(checkpoint_root_keys(&root, out, 3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_that_grows_is_followed),
        cmocka_unit_test(a_fork_is_named),
        cmocka_unit_test(a_shorter_log_is_named),
        cmocka_unit_test(a_stranger_signs_nothing),
        cmocka_unit_test(answers_are_read_strictly),
        cmocka_unit_test(a_root_names_audit_keys),
        cmocka_unit_test(the_first_checkpoint_is_followed),
        cmocka_unit_test(only_keys_of_ed25519_are_taken_and_no_more_than_fit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
