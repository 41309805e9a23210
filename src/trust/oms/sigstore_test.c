#include "base/testing.h"

#include "base/str.h"
#include "sys/file.h"
#include "trust/oms/oms.h"

#include <string.h>

/* tests/data/oms/README.md says how these were made. */
#define DATA MUSTER_SOURCE_DIR "/tests/data/oms/"
#define ROBIN "robin@example.org"
#define PROVIDER "https://login.example.org"
enum { SIGNED_S = 1772359260 }; /* 2026-03-01T10:01:00Z */

static struct oms_sigstore *load(const char *root, const char *identity, const char *provider)
{
    struct err err = {0};
    struct oms_sigstore *sigstore = NULL;
    char path[256];
    snprintf(path, sizeof path, DATA "sigstore/%s", root);
    assert_ok(oms_sigstore_load(path, identity, provider, &sigstore, &err), err);
    return sigstore;
}

static int verify(const char *signature, const struct oms_sigstore *sigstore, struct oms_signer *who,
                  struct err *err)
{
    char path[256];
    cleanup_oms_statement struct oms_statement statement = {0};
    struct oms_believed believed = {.sigstore = sigstore};
    *err = (struct err){0};
    snprintf(path, sizeof path, DATA "sigstore/%s.sig", signature);
    return oms_verify_model(DATA "model", path, &believed, false, &statement, who, err);
}

static void who_signed_in_is_believed_long_after_his_certificate(void **state)
{
    struct err err;
    struct oms_signer who;
    cleanup_oms_sigstore struct oms_sigstore *sigstore = load("root.json", ROBIN, PROVIDER);
    assert_ok(verify("good", sigstore, &who, &err), err);
    assert_int_equal(who.method, OMS_SIGSTORE);
    assert_string_equal(who.name, ROBIN);
    assert_string_equal(who.provider, PROVIDER);
    assert_int_equal(who.time_s, SIGNED_S);
    assert_int_equal(who.log_index, 1000006);
}

static void identities_of_machines_are_names_too(void **state)
{
    static const char *const cases[][2] = {
        {"good-uri", "https://example.org/robots/.github/workflows/release.yml@refs/tags/v1"},
        {"good-user", "robin!example.org"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err;
        struct oms_signer who;
        cleanup_oms_sigstore struct oms_sigstore *sigstore = load("root.json", cases[i][1], PROVIDER);
        cleanup_oms_sigstore struct oms_sigstore *robin = load("root.json", ROBIN, PROVIDER);
        assert_ok(verify(cases[i][0], sigstore, &who, &err), err);
        assert_string_equal(who.name, cases[i][1]);
        assert_fails(verify(cases[i][0], robin, NULL, &err), err, ERR_UNTRUSTED);
    }
}

static void names_are_compared_whole(void **state)
{
    static const char *const others[][2] = {
        {"eve@example.org", PROVIDER},
        {"robin@example.or", PROVIDER},
        {"robin@example.org ", PROVIDER},
        {"Robin@example.org", PROVIDER},
        {"", PROVIDER},
        {ROBIN, "https://login.example.com"},
        {ROBIN, PROVIDER "/"},
        {ROBIN, "https://login.example"},
        {ROBIN, ""},
        {PROVIDER, ROBIN},
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct err err;
        cleanup_oms_sigstore struct oms_sigstore *sigstore = load("root.json", others[i][0], others[i][1]);
        assert_fails(verify("good", sigstore, NULL, &err), err, ERR_UNTRUSTED);
    }
}

static void each_thing_that_is_wrong_is_found(void **state)
{
    static const struct {
        const char *signature, *reason;
    } cases[] = {
        {"stranger", "unable to get local issuer certificate"},
        {"late", "certificate has expired"},
        {"early", "certificate is not yet valid"},
        {"no-code", "its extended key usage is not codeSigning"},
        {"two-names", "names no single identity"},
        {"other-name", "names no single identity"},
        {"dns", "names no single identity"},
        {"two-issuers", "names no single identity"},
        {"no-issuer", "names no single identity"},
        {"no-sct", "no timestamp of a certificate transparency log"},
        {"other-ct", "no certificate transparency log of the trusted root knows"},
        {"bad-sct", "no certificate transparency log of the trusted root knows"},
        {"other-promise", "its promise"},
        {"time-changed", "its promise"},
        {"index-changed", "its promise"},
        {"other-checkpoint", "its checkpoint is not signed with its key"},
        {"other-root", "the checkpoint is of another tree"},
        {"root-changed", "the checkpoint is of another tree"},
        {"size-changed", "the checkpoint is of another tree"},
        {"leaf-changed", "the entry is not in the tree"},
        {"hash-changed", "the entry is not in the tree"},
        {"log-changed", "it is not one that the trusted root knows"},
        {"other-payload", "the entry is about another statement"},
        {"other-signature-logged", "the entry is about another signature"},
        {"other-certificate", "the entry is about another certificate"},
        {"other-signature", "the signature does not hold"},
    };
    cleanup_oms_sigstore struct oms_sigstore *sigstore = load("root.json", ROBIN, PROVIDER);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err;
        int result = verify(cases[i].signature, sigstore, NULL, &err);
        if (result == 0 || err.code != ERR_UNTRUSTED || !strstr(err.text, cases[i].reason))
            fail_msg("%s: %d, %s", cases[i].signature, err.code, err.text);
    }
}

static void what_is_not_understood_is_said(void **state)
{
    struct err err;
    cleanup_oms_sigstore struct oms_sigstore *sigstore = load("root.json", ROBIN, PROVIDER);
    assert_fails(verify("other-kind", sigstore, NULL, &err), err, ERR_UNSUPPORTED);
    assert_fails(verify("version-changed", sigstore, NULL, &err), err, ERR_UNSUPPORTED);
    assert_fails(verify("no-promise", sigstore, NULL, &err), err, ERR_INVALID);
}

/* Each part of the trusted root counts only in its time. */
static void what_the_root_no_longer_knew_then_does_not_count(void **state)
{
    static const char *const roots[][2] = {
        {"root.old-rekor.json", "it is not one that the trusted root knows for this time"},
        {"root.old-fulcio.json", "knows no authority for the time of the signature"},
        {"root.old-ct.json", "no certificate transparency log of the trusted root"},
    };
    for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
        struct err err;
        cleanup_oms_sigstore struct oms_sigstore *sigstore = load(roots[i][0], ROBIN, PROVIDER);
        assert_fails(verify("good", sigstore, NULL, &err), err, ERR_UNTRUSTED);
        if (!strstr(err.text, roots[i][1]))
            fail_msg("%s: %s", roots[i][0], err.text);
    }
}

static int open_text(const char *text, size_t len, const struct oms_sigstore *sigstore)
{
    struct err err = {0};
    struct oms_statement statement;
    struct oms_believed believed = {.sigstore = sigstore};
    if (oms_open(text, len, &believed, &statement, NULL, &err) < 0)
        return -1;
    oms_statement_fini(&statement);
    return 0;
}

static bool means_the_same(const char *text, size_t len, const char *meaning)
{
    struct err err = {0};
    cleanup_oms_bundle struct oms_bundle bundle = {0};
    if (oms_bundle_parse(text, len, &bundle, &err) < 0)
        return false;
    cleanup_free char *again = oms_bundle_format(&bundle);
    return str_eq(again, meaning);
}

/* A character of the bundle is changed: it may still hold only where nothing reads it. */
static void no_change_passes(void **state)
{
    struct err err = {0};
    cleanup_oms_sigstore struct oms_sigstore *sigstore = load("root.json", ROBIN, PROVIDER);
    cleanup_buf struct buf text = BUF_INIT(OMS_MAX_BYTES);
    cleanup_oms_bundle struct oms_bundle bundle = {0};
    assert_ok(file_read(DATA "sigstore/good.sig", &text, &err), err);
    assert_ok(oms_bundle_parse(text.data, text.len, &bundle, &err), err);
    cleanup_free char *meaning = oms_bundle_format(&bundle);
    assert_int_equal(open_text(buf_text(&text), text.len, sigstore), 0);
    const char *label =
        strstr(buf_text(&text), "\xe2\x80\x94 rekor.test "); /* of a signature: only a label */
    assert_non_null(label);
    for (size_t i = 0; i < text.len; i += 7) {
        char *at = (char *)text.data + i, was = *at;
        if (at >= label + 4 && at < label + 14)
            continue;
        *at = was == 'A' ? 'B' : was == '1' ? '2' : was >= '0' && was <= '9' ? '1' : 'A';
        if (open_text(buf_text(&text), text.len, sigstore) == 0 &&
            !means_the_same(buf_text(&text), text.len, meaning))
            fail_msg("byte %zu, '%c', may be '%c'", i, was, *at);
        *at = was;
    }
}

static void methods_do_not_mix(void **state)
{
    struct err err = {0};
    cleanup_oms_key struct oms_key *key = NULL;
    cleanup_oms_sigstore struct oms_sigstore *sigstore = load("root.json", ROBIN, PROVIDER);
    struct oms_statement statement;
    assert_ok(oms_public_load(DATA "p256.pub", &key, &err), err);
    struct oms_believed by_key = {.key = key}, by_name = {.sigstore = sigstore};
    assert_fails(
        oms_verify_model(DATA "model", DATA "sigstore/good.sig", &by_key, false, &statement, NULL, &err), err,
        ERR_UNTRUSTED);
    assert_fails(oms_verify_model(DATA "model", DATA "p256.sig", &by_name, false, &statement, NULL, &err),
                 err, ERR_UNTRUSTED);
    assert_fails(
        oms_verify_model(DATA "model", DATA "certificate/good.sig", &by_name, false, &statement, NULL, &err),
        err, ERR_UNTRUSTED);
}

static void a_root_is_a_document_of_sigstore(void **state)
{
    struct err err = {0};
    struct oms_sigstore *none = NULL;
    assert_fails(oms_sigstore_load(DATA "none", ROBIN, PROVIDER, &none, &err), err, ERR_NOT_FOUND);
    assert_fails(oms_sigstore_load(DATA "sigstore/good.sig", ROBIN, PROVIDER, &none, &err), err, ERR_INVALID);
    assert_fails(oms_sigstore_load(DATA "certificate/roots.pem", ROBIN, PROVIDER, &none, &err), err,
                 ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_signed_in_is_believed_long_after_his_certificate),
        cmocka_unit_test(identities_of_machines_are_names_too),
        cmocka_unit_test(names_are_compared_whole),
        cmocka_unit_test(each_thing_that_is_wrong_is_found),
        cmocka_unit_test(what_is_not_understood_is_said),
        cmocka_unit_test(what_the_root_no_longer_knew_then_does_not_count),
        cmocka_unit_test(no_change_passes),
        cmocka_unit_test(methods_do_not_mix),
        cmocka_unit_test(a_root_is_a_document_of_sigstore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
