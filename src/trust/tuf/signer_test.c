#include "base/hex.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/file.h"
#include "trust/rule.h"
#include "trust/tuf/public.h"
#include "trust/tuf/signer.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
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

/* The key's own public half as text, and a signature that holds by itself: what is refused then is the key. */
static char *public_pem(EVP_PKEY *pkey)
{
    char *data = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, pkey), 1);
    long len = BIO_get_mem_data(bio, &data);
    char *text = mem_strndup(data, (size_t)len);
    BIO_free(bio);
    return text;
}

static size_t sign_by(EVP_PKEY *pkey, const char *digest, int padding, uint8_t out[1024])
{
    size_t len = 1024;
    EVP_PKEY_CTX *key_ctx = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit_ex(ctx, &key_ctx, digest, NULL, NULL, pkey, NULL), 1);
    if (padding)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(key_ctx, padding), 1);
    assert_int_equal(EVP_DigestSign(ctx, out, &len, (const uint8_t *)"text", 4), 1);
    EVP_MD_CTX_free(ctx);
    return len;
}

static void holds_under(EVP_PKEY *pkey, const char *digest, int padding, enum tuf_scheme only)
{
    uint8_t sig[1024];
    cleanup_free char *pem = public_pem(pkey);
    size_t len = sign_by(pkey, digest, padding, sig);
    for (int scheme = TUF_SCHEME_UNKNOWN; scheme <= TUF_RSA_PKCS1; scheme++) {
        const struct tuf_key key = {.id = (char *)"k", .scheme = scheme, .public_text = pem};
        assert_int_equal(tuf_key_verify(&key, "text", 4, sig, len),
                         scheme == (int)only && only != TUF_SCHEME_UNKNOWN);
    }
    EVP_PKEY_free(pkey);
}

static void a_good_signature_of_a_key_that_we_do_not_take_holds_nothing(void **state)
{
    EVP_PKEY *rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    (void)state;
    EVP_PKEY_up_ref(rsa);
    holds_under(rsa, "SHA256", RSA_PKCS1_PADDING, TUF_RSA_PKCS1);
    EVP_PKEY_up_ref(rsa);
    holds_under(rsa, "SHA256", RSA_PKCS1_PSS_PADDING, TUF_RSA_PSS);
    holds_under(rsa, "SHA512", RSA_PKCS1_PADDING, TUF_SCHEME_UNKNOWN);
    holds_under(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), "SHA256", 0, TUF_ECDSA_P256);
    holds_under(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), "SHA384", 0, TUF_SCHEME_UNKNOWN);
    holds_under(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"), "SHA256", 0, TUF_SCHEME_UNKNOWN);
    holds_under(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1"), "SHA256", 0, TUF_SCHEME_UNKNOWN);
    holds_under(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), "SHA256", RSA_PKCS1_PADDING,
                TUF_SCHEME_UNKNOWN);
    holds_under(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), "SHA256", RSA_PKCS1_PSS_PADDING,
                TUF_SCHEME_UNKNOWN);
    holds_under(EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), NULL, 0, TUF_SCHEME_UNKNOWN);
    holds_under(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL, 0, TUF_SCHEME_UNKNOWN); /* as PEM */
}

/* A public key of so many bits: an odd number that nobody factored. */
static EVP_PKEY *rsa_of(const char *type, int bits)
{
    EVP_PKEY *pkey = NULL;
    BIGNUM *n = BN_new(), *e = BN_new();
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    assert_true(BN_set_word(e, 65537) && BN_set_bit(n, bits - 1) && BN_set_bit(n, 0));
    assert_int_equal(OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e), 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    assert_true(EVP_PKEY_fromdata_init(ctx) == 1 &&
                EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(ctx);
    BN_free(n);
    BN_free(e);
    return pkey;
}

static void keys_of_rsa_have_2048_to_8192_bits(void **state)
{
    static const struct {
        const char *type;
        int bits;
        enum tuf_scheme want;
    } table[] = {{"RSA", 2047, TUF_SCHEME_UNKNOWN},
                 {"RSA", 2048, TUF_RSA_PSS},
                 {"RSA", 8192, TUF_RSA_PSS},
                 {"RSA", 8193, TUF_SCHEME_UNKNOWN},
                 {"RSA-PSS", 3072, TUF_SCHEME_UNKNOWN}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        EVP_PKEY *pkey = rsa_of(table[i].type, table[i].bits);
        assert_int_equal(tuf_pkey_scheme(pkey), table[i].want);
        EVP_PKEY_free(pkey);
    }
}

static void a_key_of_ed25519_has_64_digits_and_no_more(void **state)
{
    cleanup_tuf_signer struct tuf_signer *signer = make(TUF_ED25519);
    struct tuf_signature signature = sign(signer, "text");
    struct tuf_key key = *tuf_signer_public(signer);
    (void)state;
    cleanup_free char *longer = mem_printf("%s00", key.public_text);
    cleanup_free char *shorter = mem_strndup(key.public_text, 62);
    cleanup_free char *other = mem_printf("x%s", key.public_text + 1);
    char *const texts[] = {longer, shorter, other, NULL};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        key.public_text = texts[i];
        assert_false(verify(&key, "text", &signature));
    }
    assert_false(tuf_key_verify(tuf_signer_public(signer), "text", 4, NULL, 64));
    drop(&signature);
}

/* Where the digits end nothing was read. 32 bytes of 0 are a point of order 4: under it a signature that needs no key holds for each fourth text. */
static void what_is_no_hex_is_no_key_of_zeros(void **state)
{
    static const uint8_t neutral[64] = {1};
    char zeros[65] = "", junk[65] = "";
    int held = 0;
    (void)state;
    memset(zeros, '0', 64);
    memset(junk, 'z', 64);
    for (int i = 0; i < 64; i++) {
        char text[16];
        const struct tuf_key weak = {.id = (char *)"k", .scheme = TUF_ED25519, .public_text = zeros};
        const struct tuf_key none = {.id = (char *)"k", .scheme = TUF_ED25519, .public_text = junk};
        snprintf(text, sizeof text, "%d", i);
        held += tuf_key_verify(&weak, text, strlen(text), neutral, sizeof neutral);
        assert_false(tuf_key_verify(&none, text, strlen(text), neutral, sizeof neutral));
    }
    assert_in_range(held, 1, 63); /* else this test could not fail */
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
        cmocka_unit_test(a_good_signature_of_a_key_that_we_do_not_take_holds_nothing),
        cmocka_unit_test(keys_of_rsa_have_2048_to_8192_bits),
        cmocka_unit_test(a_key_of_ed25519_has_64_digits_and_no_more),
        cmocka_unit_test(what_is_no_hex_is_no_key_of_zeros),
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
