#include "base/testing.h"
#include "sys/hash.h"
#include "trust/signature.h"

enum { KEYS = 3 };

/* Three keys that a ring knows, one stranger, and an envelope over a manifest of 42 bytes. */
struct world {
    struct signing_key *keys[KEYS], *stranger;
    struct keyring ring;
    struct signature_envelope envelope;
    struct digest digest;
};
static struct world w;

static int make_world(void **state)
{
    static const char *const names[KEYS] = {"anna", "ben", "cleo"};
    struct err err = {0};
    w = (struct world){.ring = {.threshold = 1}, .digest = hash_bytes("manifest", 8)};
    for (int i = 0; i < KEYS; i++) {
        struct public_key key;
        assert_ok(signing_key_generate(&w.keys[i], &err), err);
        signing_key_public(w.keys[i], &key);
        assert_ok(keyring_add(&w.ring, &key, names[i], &err), err);
    }
    assert_ok(signing_key_generate(&w.stranger, &err), err);
    w.envelope.digest = w.digest;
    w.envelope.size = 42;
    return 0;
}

static int free_world(void **state)
{
    for (int i = 0; i < KEYS; i++)
        signing_key_free(w.keys[i]);
    signing_key_free(w.stranger);
    return 0;
}

static void sign(const struct signing_key *key)
{
    struct err err = {0};
    assert_ok(signature_add(&w.envelope, key, &err), err);
}

static void check_refused(const char *reason)
{
    struct err err = {0};
    assert_fails(signature_verify(&w.envelope, &w.digest, 42, &w.ring, &err), err, ERR_UNTRUSTED);
    if (!strstr(err.text, reason))
        fail_msg("'%s' does not say '%s'", err.text, reason);
}

static void check_holds(void)
{
    struct err err = {0};
    assert_ok(signature_verify(&w.envelope, &w.digest, 42, &w.ring, &err), err);
}

static void a_good_signature_holds_also_through_text(void **state)
{
    struct err err = {0};
    sign(w.keys[0]);
    check_holds();
    cleanup_free char *text = signature_format(&w.envelope);
    struct signature_envelope again = {0};
    assert_ok(signature_parse(text, strlen(text), &again, &err), err);
    assert_memory_equal(&again, &w.envelope, sizeof again);
    cleanup_free char *second = signature_format(&again);
    assert_string_equal(text, second);
}

static void each_reason_is_said(void **state)
{
    struct err err = {0};
    check_refused("not signed");
    sign(w.stranger);
    check_refused("is unknown");
    w.envelope.count = 0;
    sign(w.keys[1]);
    assert_ok(keyring_revoke(&w.ring, "ben", &err), err);
    check_refused("(ben) is revoked");
    sign(w.keys[0]);
    check_holds();
    w.envelope.items[1].sig[5] ^= 1;
    check_refused("revoked");
    w.envelope.items[0] = w.envelope.items[1];
    w.envelope.count = 1;
    check_refused("(anna) does not fit the manifest");
}

static void it_binds_digest_and_size(void **state)
{
    struct err err = {0};
    struct digest other = hash_bytes("other", 5);
    sign(w.keys[0]);
    assert_fails(signature_verify(&w.envelope, &other, 42, &w.ring, &err), err, ERR_UNTRUSTED);
    assert_fails(signature_verify(&w.envelope, &w.digest, 43, &w.ring, &err), err, ERR_UNTRUSTED);
    w.envelope.size = 43; /* the envelope's own words changed with it: now the signature itself must fail */
    assert_fails(signature_verify(&w.envelope, &w.digest, 43, &w.ring, &err), err, ERR_UNTRUSTED);
    assert_non_null(strstr(err.text, "does not fit"));
}

static void a_threshold_counts_distinct_good_keys(void **state)
{
    w.ring.threshold = 2;
    sign(w.keys[0]);
    check_refused("1 of 2");
    sign(w.keys[0]);
    assert_int_equal(w.envelope.count, 1); /* replaced, not added */
    w.envelope.items[1] = w.envelope.items[0];
    w.envelope.count = 2;
    check_refused("1 of 2");
    w.envelope.count = 1;
    sign(w.stranger);
    check_refused("1 of 2");
    sign(w.keys[2]);
    check_holds();
    w.ring.threshold = 3;
    check_refused("2 of 3");
}

static void damaged_envelopes_are_refused(void **state)
{
    static const struct {
        const char *from, *to;
    } changes[] = {
        {"\"schema\": 1", "\"schema\": 3"},
        {"\"size\": 42", "\"size\": -1"},
        {"\"size\": 42", "\"size\": 4e1"},
        {"\"size\": 42", "\"size\": 0"},
        {"sha256:", "sha512:"},
        {"\"sig\": \"", "\"sig\": \"0"},
        {"\"sig\": \"", "\"sig\": \"\", \"x\": \""},
        {"\"keyid\": \"", "\"keyid\": \"A"},
        {"\"signatures\"", "\"signatuers\""},
        {"\"schema\": 1", "\"schema\": 1, \"schema\": 1"},
        {"]}", "]}]"},
    };
    sign(w.keys[0]);
    cleanup_free char *text = signature_format(&w.envelope);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct err err = {0};
        const char *at = strstr(text, changes[i].from);
        assert_non_null(at);
        cleanup_free char *bad =
            mem_printf("%.*s%s%s", (int)(at - text), text, changes[i].to, at + strlen(changes[i].from));
        struct signature_envelope out;
        assert_fails(signature_parse(bad, strlen(bad), &out, &err), err, ERR_INVALID);
    }
}

static void one_key_twice_is_refused_by_the_parser(void **state)
{
    struct err err = {0};
    sign(w.keys[0]);
    w.envelope.items[1] = w.envelope.items[0];
    w.envelope.count = 2;
    cleanup_free char *text = signature_format(&w.envelope);
    struct signature_envelope out;
    assert_fails(signature_parse(text, strlen(text), &out, &err), err, ERR_INVALID);
    assert_non_null(strstr(err.text, "twice"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, free_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_signature_holds_also_through_text),
        TEST(each_reason_is_said),
        TEST(it_binds_digest_and_size),
        TEST(a_threshold_counts_distinct_good_keys),
        TEST(damaged_envelopes_are_refused),
        TEST(one_key_twice_is_refused_by_the_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
