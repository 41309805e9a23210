#include "base/hex.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/file.h"
#include "trust/rule.h"
#include "trust/tuf/signer.h"

#include <sys/stat.h>

static char dir[64];

static int make_test_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/muster-signer-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_test_dir(void **state)
{
    struct err err = {0};
    (void)state;
    return file_remove_tree(dir, &err);
}

static struct tuf_signer *make(enum tuf_scheme scheme)
{
    struct err err = {0};
    struct tuf_signer *signer = NULL;
    assert_ok(tuf_signer_generate(scheme, &signer, &err), err);
    assert_int_equal(tuf_signer_public(signer)->scheme, scheme);
    return signer;
}

static struct tuf_signature sign(const struct tuf_signer *signer, const char *text)
{
    struct err err = {0};
    struct tuf_signature signature = {0};
    assert_ok(tuf_signer_sign(signer, text, strlen(text), &signature, &err), err);
    return signature;
}

static void drop(struct tuf_signature *signature)
{
    free(signature->keyid);
    free(signature->sig);
}

static bool verify(const struct tuf_key *key, const char *text, const struct tuf_signature *signature)
{
    return tuf_key_verify(key, text, strlen(text), signature->sig, signature->len);
}

static const enum tuf_scheme schemes[] = {TUF_ED25519, TUF_ECDSA_P256, TUF_RSA_PSS};

/* ---- signing ---- */

static void what_one_key_signs_no_other_verifies(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        cleanup_tuf_signer struct tuf_signer *signer = make(schemes[i]);
        cleanup_tuf_signer struct tuf_signer *other = make(schemes[i]);
        struct tuf_signature signature = sign(signer, "what is signed");
        const struct tuf_key *key = tuf_signer_public(signer);
        assert_string_equal(signature.keyid, key->id);
        assert_true(verify(key, "what is signed", &signature));
        assert_false(verify(key, "what is Signed", &signature));
        assert_false(verify(tuf_signer_public(other), "what is signed", &signature));
        for (size_t bit = 0; bit < 8 * signature.len; bit += 37) {
            signature.sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_false(verify(key, "what is signed", &signature));
            signature.sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_false(tuf_key_verify(key, "what is signed", 14, signature.sig, signature.len - 1));
        assert_false(tuf_key_verify(key, "what is signed", 14, signature.sig, 0));
        assert_false(tuf_key_verify(key, "what is signed", 14, NULL, 0));
        drop(&signature);
    }
}

static void a_key_under_another_scheme_verifies_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        cleanup_tuf_signer struct tuf_signer *signer = make(schemes[i]);
        struct tuf_signature signature = sign(signer, "text");
        struct tuf_key key = *tuf_signer_public(signer);
        for (int scheme = TUF_SCHEME_UNKNOWN; scheme <= TUF_RSA_PKCS1; scheme++) {
            key.scheme = scheme;
            assert_int_equal(verify(&key, "text", &signature), key.scheme == schemes[i]);
        }
        drop(&signature);
    }
}

static void malformed_keys_hold_nothing_and_do_not_crash(void **state)
{
    static const char *const texts[] = {
        "", "00", "zz", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n",
        /* secp384r1: a curve that we do not take */
        "-----BEGIN PUBLIC KEY-----\n"
        "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEqofKIr6LBTeOscce8yCtdG4dO2KLp5uY\n"
        "WfdB4IJUKjhVAvJdv1UpbDpUXjhydgq3NhfeSpYmLG9dnpi/kpLcKfj0Hb0omhR8\n"
        "6doxE7XwuMAKYLHOHX6BnXpDHXyQ6g5f\n-----END PUBLIC KEY-----\n"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        for (int scheme = TUF_SCHEME_UNKNOWN; scheme <= TUF_RSA_PKCS1; scheme++) {
            const struct tuf_key key = {.id = (char *)"k", .scheme = scheme, .public_text = (char *)texts[i]};
            assert_false(
                tuf_key_verify(&key, "text", 4, (const uint8_t *)"\x30\x06\x02\x01\x01\x02\x01\x01", 8));
        }
}

/* From the canonical text, computed with `sha256sum`. */
static void the_default_keyid_is_the_hash_of_the_canonical_key(void **state)
{
    struct err err = {0};
    char id[65];
    (void)state;
    assert_ok(
        tuf_key_id(TUF_ED25519, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", id, &err),
        err);
    assert_string_equal(id, "eaf1e23f6c823132f437a2eaa299a7950f7386631deff273db195bbd26209e2b");
    assert_fails(tuf_key_id(TUF_SCHEME_UNKNOWN, "00", id, &err), err, ERR_INVALID);
}

/* ---- thresholds ---- */

struct group {
    struct tuf_signer *signers[3];
    struct tuf_key keys[3]; /* borrowed from the signers */
    struct tuf_signature signatures[3];
    char *keyids[3];
};

static struct group make_group(void)
{
    struct group group = {0};
    for (int i = 0; i < 3; i++) {
        group.signers[i] = make(TUF_ED25519);
        group.keys[i] = *tuf_signer_public(group.signers[i]);
        group.keyids[i] = group.keys[i].id;
        group.signatures[i] = sign(group.signers[i], "text");
    }
    return group;
}

static void drop_group(struct group *group)
{
    for (int i = 0; i < 3; i++) {
        tuf_signer_free(group->signers[i]);
        drop(&group->signatures[i]);
    }
}

static int check(const struct group *group, size_t keyids, int64_t threshold, size_t signatures,
                 struct err *err)
{
    const struct tuf_keyset set = {.threshold = threshold, .count = keyids, .keyids = (char **)group->keyids};
    return tuf_verify_text(&set, group->keys, 3, "text", 4, group->signatures, signatures,
                           TRUST_TARGETS_SIGNATURES, "targets", err);
}

static void a_threshold_is_met_by_that_many_keys_and_no_fewer(void **state)
{
    struct err err = {0};
    struct group group = make_group();
    (void)state;
    for (int64_t threshold = -1; threshold <= 4; threshold++)
        for (size_t keyids = 0; keyids <= 3; keyids++)
            for (size_t signatures = 0; signatures <= 3; signatures++) {
                bool want = threshold >= 1 && (int64_t)MIN(keyids, signatures) >= threshold;
                err = (struct err){0};
                assert_int_equal(check(&group, keyids, threshold, signatures, &err), want ? 0 : -1);
                if (want)
                    continue;
                assert_int_equal(err.code, ERR_UNTRUSTED);
                assert_int_equal(trust_rule_of(err.text), TRUST_TARGETS_SIGNATURES);
            }
    drop_group(&group);
}

static void wrong_signatures_neither_count_nor_spoil(void **state)
{
    struct err err = {0};
    struct group group = make_group();
    (void)state;
    group.signatures[1].sig[3] ^= 1;
    assert_ok(check(&group, 3, 2, 3, &err), err);
    assert_fails(check(&group, 3, 3, 3, &err), err, ERR_UNTRUSTED);
    assert_string_equal(err.text, "[targets.signatures] targets: 2 of 3 signatures hold");
    drop_group(&group);
}

/* One key that is listed under two ids signs once. */
static void keys_are_counted_not_keyids(void **state)
{
    struct err err = {0};
    struct group group = make_group();
    char *own_text = group.keys[1].public_text, *own_id = group.signatures[1].keyid;
    uint8_t *own_sig = group.signatures[1].sig;
    (void)state;
    group.keys[1].public_text = group.keys[0].public_text;
    group.signatures[1].sig = group.signatures[0].sig;
    assert_ok(check(&group, 2, 1, 2, &err), err);
    assert_fails(check(&group, 2, 2, 2, &err), err, ERR_UNTRUSTED);
    group.keyids[1] = group.keyids[0]; /* a caller's own set; the parser refuses it */
    group.keys[1].public_text = own_text;
    group.signatures[1] = (struct tuf_signature){.keyid = own_id, .sig = own_sig, .len = 64};
    assert_fails(check(&group, 2, 2, 2, &err), err, ERR_UNTRUSTED);
    drop_group(&group);
}

/* ---- files ---- */

static void keys_survive_a_file_with_and_without_a_passphrase(void **state)
{
    struct err err = {0};
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(schemes); i++) {
        const char *passphrase = i % 2 ? "correct horse" : NULL;
        cleanup_tuf_signer struct tuf_signer *signer = make(schemes[i / 2]);
        cleanup_tuf_signer struct tuf_signer *again = NULL;
        cleanup_free char *path = mem_printf("%s/%zu.key", dir, i);
        struct stat st;
        assert_ok(tuf_signer_save(signer, path, passphrase, &err), err);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_fails(tuf_signer_save(signer, path, passphrase, &err), err, ERR_EXISTS);
        assert_ok(tuf_signer_load(path, passphrase, &again, &err), err);
        assert_string_equal(tuf_signer_public(again)->id, tuf_signer_public(signer)->id);
        struct tuf_signature signature = sign(again, "text");
        assert_true(verify(tuf_signer_public(signer), "text", &signature));
        drop(&signature);
    }
}

static void a_file_does_not_open_without_its_passphrase(void **state)
{
    struct err err = {0};
    cleanup_tuf_signer struct tuf_signer *signer = make(TUF_ED25519);
    cleanup_free char *path = file_join(dir, "sealed.key");
    cleanup_buf struct buf pem = BUF_INIT(4096);
    struct tuf_signer *none = NULL;
    (void)state;
    assert_ok(tuf_signer_save(signer, path, "right", &err), err);
    assert_fails(tuf_signer_load(path, NULL, &none, &err), err, ERR_DENIED);
    assert_fails(tuf_signer_load(path, "wrong", &none, &err), err, ERR_DENIED);
    assert_fails(tuf_signer_load(path, "", &none, &err), err, ERR_DENIED);
    assert_null(none);
    assert_ok(file_read(path, &pem, &err), err);
    assert_true(str_starts(buf_text(&pem), "-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    cleanup_free char *empty = file_join(dir, "empty.key");
    assert_fails(tuf_signer_save(signer, empty, "", &err), err, ERR_INVALID);
    assert_false(file_exists(empty));
}

static void what_is_no_key_is_refused(void **state)
{
    static const char junk[] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    struct err err = {0};
    struct tuf_signer *none = NULL;
    cleanup_free char *path = file_join(dir, "junk.key");
    cleanup_free char *open_path = file_join(dir, "open.key");
    cleanup_free char *big = mem_zalloc(20000, 1);
    (void)state;
    assert_fails(tuf_signer_load("/nowhere/a.key", NULL, &none, &err), err, ERR_NOT_FOUND);
    assert_ok(file_replace(path, junk, sizeof junk - 1, 0600, &err), err);
    assert_fails(tuf_signer_load(path, NULL, &none, &err), err, ERR_INVALID);
    assert_ok(file_replace(path, "", 0, 0600, &err), err);
    assert_fails(tuf_signer_load(path, "x", &none, &err), err, ERR_INVALID);
    assert_ok(file_replace(path, big, 20000, 0600, &err), err);
    assert_fails(tuf_signer_load(path, NULL, &none, &err), err, ERR_TOO_BIG);
    cleanup_tuf_signer struct tuf_signer *signer = make(TUF_ED25519);
    assert_ok(tuf_signer_save(signer, open_path, NULL, &err), err);
    assert_int_equal(chmod(open_path, 0640), 0);
    assert_fails(tuf_signer_load(open_path, NULL, &none, &err), err, ERR_REFUSED);
    assert_fails(tuf_signer_generate(TUF_RSA_PKCS1, &none, &err), err, ERR_INVALID);
}

/* ---- rules ---- */

static void a_refusal_names_its_rule_wherever_it_stands(void **state)
{
    struct err err = {0};
    (void)state;
    for (int rule = TRUST_RULE_NONE + 1; rule < TRUST_RULE_COUNT; rule++) {
        assert_int_equal(trust_refuse(&err, rule, "version %d", 3), -1);
        assert_int_equal(err.code, ERR_UNTRUSTED);
        err_prefix(&err, "release [x] of [fleet]");
        assert_int_equal(trust_rule_of(err.text), rule);
        assert_true(*trust_rule_what(rule) && *trust_rule_source(rule));
    }
    assert_int_equal(trust_rule_of("[none] [timestamp.rollbac] timestamp.rollback [timestamp.rollback"),
                     TRUST_RULE_NONE);
    assert_int_equal(trust_rule_of(""), TRUST_RULE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_key_signs_no_other_verifies),
        cmocka_unit_test(a_key_under_another_scheme_verifies_nothing),
        cmocka_unit_test(malformed_keys_hold_nothing_and_do_not_crash),
        cmocka_unit_test(the_default_keyid_is_the_hash_of_the_canonical_key),
        cmocka_unit_test(a_threshold_is_met_by_that_many_keys_and_no_fewer),
        cmocka_unit_test(wrong_signatures_neither_count_nor_spoil),
        cmocka_unit_test(keys_are_counted_not_keyids),
        cmocka_unit_test(keys_survive_a_file_with_and_without_a_passphrase),
        cmocka_unit_test(a_file_does_not_open_without_its_passphrase),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(a_refusal_names_its_rule_wherever_it_stands),
    };
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
