#include "base/testing.h"

#include "base/str.h"
#include "sys/file.h"
#include "trust/oms/oms.h"

#include <string.h>

/* tests/data/oms/README.md says how these were made. */
#define DATA MUSTER_SOURCE_DIR "/tests/data/oms/"
enum { IN_2026 = 1780000000 };

static int verify(const char *signature, const char *roots, int64_t now_s, struct oms_signer *who,
                  struct err *err)
{
    char path[256], anchors[256];
    cleanup_oms_authorities struct oms_authorities *authorities = NULL;
    cleanup_oms_statement struct oms_statement statement = {0};
    *err = (struct err){0};
    snprintf(path, sizeof path, DATA "certificate/%s.sig", signature);
    snprintf(anchors, sizeof anchors, DATA "certificate/%s.pem", roots);
    assert_ok(oms_authorities_load(anchors, &authorities, err), *err);
    struct oms_believed believed = {.authorities = authorities, .now_s = now_s};
    return oms_verify_model(DATA "model", path, &believed, false, &statement, who, err);
}

static void who_has_a_certificate_of_a_believed_authority_is_believed(void **state)
{
    struct err err;
    struct oms_signer who;
    assert_ok(verify("good", "roots", IN_2026, &who, &err), err);
    assert_int_equal(who.method, OMS_CERTIFICATE);
    assert_string_equal(who.name, "CN=vendor");
    assert_string_equal(who.curve, "P-256");
    assert_int_equal(strlen(who.fingerprint), 64);
    assert_ok(verify("p521", "roots", IN_2026, &who, &err), err);
    assert_string_equal(who.curve, "P-521");
    assert_ok(verify("with-root", "roots", IN_2026, &who, &err), err);
    assert_ok(verify("bare", "intermediate", IN_2026, &who, &err), err); /* an authority need not be a root */
}

static void everybody_else_is_refused(void **state)
{
    static const struct {
        const char *signature, *roots, *reason;
    } cases[] = {
        {"good", "other", "unable to get local issuer certificate"},
        {"with-root", "other", "self-signed certificate in certificate chain"},
        {"forged", "roots", "self-signed certificate in certificate chain"},
        {"forged", "intermediate", "self-signed certificate in certificate chain"},
        {"bare", "roots", "unable to get local issuer certificate"},
        {"expired", "roots", "certificate has expired"},
        {"future", "roots", "certificate is not yet valid"},
        {"no-signing", "roots", "its key usage is not digitalSignature"},
        {"no-code", "roots", "its extended key usage is not codeSigning"},
        {"tls-authority", "roots", "extended key usage without codeSigning (of an authority above it)"},
        {"under-leaf", "roots", "invalid CA certificate"},
        {"other-key", "roots", "the signature does not hold"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err;
        int result = verify(cases[i].signature, cases[i].roots, IN_2026, NULL, &err);
        if (result == 0 || err.code != ERR_UNTRUSTED || !strstr(err.text, cases[i].reason))
            fail_msg("%s under %s: %d, %s", cases[i].signature, cases[i].roots, err.code, err.text);
    }
}

static void certificates_count_only_while_they_are_valid(void **state)
{
    static const int64_t begin_s = 1767225600, end_s = 4922899200; /* 2026 … 2126 */
    struct err err;
    assert_fails(verify("good", "roots", begin_s - 1, NULL, &err), err, ERR_UNTRUSTED);
    assert_ok(verify("good", "roots", begin_s, NULL, &err), err);
    assert_ok(verify("good", "roots", end_s - 1, NULL, &err), err);
    assert_fails(verify("good", "roots", end_s, NULL, &err), err, ERR_UNTRUSTED);
    assert_ok(verify("expired", "roots", begin_s, NULL, &err), err);
}

static void other_keys_than_ours_are_named(void **state)
{
    struct err err;
    assert_fails(verify("rsa", "roots", IN_2026, NULL, &err), err, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "P-256, P-384 or P-521"));
}

/* What is not this method is refused before anything else of it is looked at. */
static void methods_do_not_mix(void **state)
{
    struct err err = {0};
    cleanup_oms_key struct oms_key *key = NULL;
    cleanup_oms_authorities struct oms_authorities *authorities = NULL;
    struct oms_statement statement;
    assert_ok(oms_public_load(DATA "p256.pub", &key, &err), err);
    assert_ok(oms_authorities_load(DATA "certificate/roots.pem", &authorities, &err), err);
    struct oms_believed by_key = {.key = key}, by_chain = {.authorities = authorities, .now_s = IN_2026};
    assert_fails(
        oms_verify_model(DATA "model", DATA "certificate/good.sig", &by_key, false, &statement, NULL, &err),
        err, ERR_UNTRUSTED);
    assert_fails(oms_verify_model(DATA "model", DATA "p256.sig", &by_chain, false, &statement, NULL, &err),
                 err, ERR_UNTRUSTED);
    assert_fails(
        oms_verify_model(DATA "model", DATA "sigstore/good.sig", &by_chain, false, &statement, NULL, &err),
        err, ERR_UNTRUSTED);
}

static void authorities_are_pem(void **state)
{
    struct err err = {0};
    struct oms_authorities *authorities = NULL;
    assert_fails(oms_authorities_load(DATA "none.pem", &authorities, &err), err, ERR_NOT_FOUND);
    assert_fails(oms_authorities_load(DATA "p256.pub", &authorities, &err), err, ERR_INVALID);
    assert_fails(oms_authorities_load(DATA "p256.sig", &authorities, &err), err, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_a_certificate_of_a_believed_authority_is_believed),
        cmocka_unit_test(everybody_else_is_refused),
        cmocka_unit_test(certificates_count_only_while_they_are_valid),
        cmocka_unit_test(other_keys_than_ours_are_named),
        cmocka_unit_test(methods_do_not_mix),
        cmocka_unit_test(authorities_are_pem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
