#include "base/testing.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "trust/seal/grant.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];
static char keys[3][128];
static struct recipient *recipients[3];

static struct recipient *load_recipient(const char *path)
{
    struct err err = {0};
    struct recipient *recipient = NULL;
    cleanup_buf struct buf pem = BUF_INIT(1 << 16);
    assert_ok(file_read(path, &pem, &err), err);
    assert_ok(recipient_from_pem(pem.data, pem.len, &recipient, &err), err);
    return recipient;
}

static void openssl(const char *const *argv)
{
    struct err err = {0};
    int status = -1;
    cleanup_buf struct buf out = BUF_INIT(1 << 16);
    assert_ok(proc_run(argv, 20000, &out, &status, &err), err);
    assert_int_equal(status, 0);
}

/* Two robots with keys, the second by its certificate, and a key that is on no curve of ours. */
static int make_keys(void **state)
{
    char public[128];
    str_copy(dir, sizeof dir, "/tmp/muster-grant-XXXXXX");
    assert_non_null(mkdtemp(dir));
    for (int i = 0; i < 3; i++)
        snprintf(keys[i], sizeof keys[i], "%s/%d.key", dir, i);
    openssl((const char *const[]){"openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
                                  keys[0], NULL});
    openssl((const char *const[]){"openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
                                  keys[1], NULL});
    openssl((const char *const[]){"openssl", "ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out",
                                  keys[2], NULL});
    snprintf(public, sizeof public, "%s/0.pub", dir);
    openssl((const char *const[]){"openssl", "pkey", "-in", keys[0], "-pubout", "-out", public, NULL});
    recipients[0] = load_recipient(public);
    snprintf(public, sizeof public, "%s/1.pem", dir);
    openssl((const char *const[]){"openssl", "req", "-x509", "-new", "-key", keys[1], "-subj", "/CN=r2",
                                  "-out", public, NULL});
    recipients[1] = load_recipient(public);
    return 0;
}

static int free_keys(void **state)
{
    struct err err = {0};
    recipient_free(recipients[0]);
    recipient_free(recipients[1]);
    return file_remove_tree(dir, &err);
}

static void make_grants(struct seal_key *key, struct grants *out)
{
    struct err err = {0};
    struct grant grant;
    *out = (struct grants){.fleet = "warehouse", .release = {{7}}};
    assert_ok(seal_key_make(key, &err), err);
    assert_ok(seal_key_id(key, out->key_id, &err), err);
    for (int i = 1; i >= 0; i--) {
        assert_ok(grant_wrap(out, i ? "r2" : "r1", recipients[i], key, &grant, &err), err);
        assert_ok(grants_put(out, &grant, &err), err);
    }
}

static void each_robot_opens_its_own(void **state)
{
    struct err err = {0};
    struct seal_key key, got;
    cleanup_grants struct grants grants, back;
    make_grants(&key, &grants);
    cleanup_free char *text = grants_format(&grants);
    assert_ok(grants_parse(text, strlen(text), &back, &err), err);
    cleanup_free char *again = grants_format(&back);
    assert_string_equal(text, again);
    assert_int_equal(back.count, 2);
    for (int i = 0; i < 2; i++) {
        assert_ok(grant_unwrap(&back, i ? "r2" : "r1", keys[i], &got, &err), err);
        assert_memory_equal(got.bytes, key.bytes, sizeof key.bytes);
    }
    assert_fails(grant_unwrap(&back, "r3", keys[0], &got, &err), err, ERR_NOT_FOUND);
    assert_fails(grant_unwrap(&back, "r1", keys[1], &got, &err), err, ERR_UNTRUSTED);
}

/* Bound to robot, key, release and key id: nothing of it can be exchanged. */
static void a_grant_is_for_one_thing_only(void **state)
{
    struct err err = {0};
    struct seal_key key, got;
    cleanup_grants struct grants grants;
    make_grants(&key, &grants);
    struct grant first = grants.robots[0], second = grants.robots[1];

    grants.robots[0] = second; /* what was wrapped for r2, under the name r1 and with r1's fingerprint */
    str_copy(grants.robots[0].robot, sizeof grants.robots[0].robot, "r1");
    assert_fails(grant_unwrap(&grants, "r1", keys[1], &got, &err), err, ERR_UNTRUSTED);
    grants.robots[0].recipient = first.recipient;
    assert_fails(grant_unwrap(&grants, "r1", keys[0], &got, &err), err, ERR_UNTRUSTED);
    grants.robots[0] = first;

    grants.release.bytes[0]++;
    assert_fails(grant_unwrap(&grants, "r1", keys[0], &got, &err), err, ERR_UNTRUSTED);
    grants.release.bytes[0]--;
    grants.key_id[5] ^= 1;
    assert_fails(grant_unwrap(&grants, "r1", keys[0], &got, &err), err, ERR_UNTRUSTED);
    grants.key_id[5] ^= 1;
    assert_ok(grant_unwrap(&grants, "r1", keys[0], &got, &err), err);
}

/* Anybody can wrap a key of his own for a robot. It does not fit the weights. */
static void a_forged_grant_holds_another_key(void **state)
{
    struct err err = {0};
    struct seal_key key, forged, got;
    struct grant grant;
    cleanup_grants struct grants grants;
    make_grants(&key, &grants);
    assert_ok(seal_key_make(&forged, &err), err);
    assert_ok(grant_wrap(&grants, "r1", recipients[0], &forged, &grant, &err), err);
    assert_ok(grants_put(&grants, &grant, &err), err);
    assert_fails(grant_unwrap(&grants, "r1", keys[0], &got, &err), err, ERR_UNTRUSTED);
    assert_non_null(strstr(err.text, "another content key"));
}

static void every_changed_byte_is_found(void **state)
{
    struct err err = {0};
    struct seal_key key, got;
    cleanup_grants struct grants grants;
    make_grants(&key, &grants);
    struct grant *grant = &grants.robots[0];
    for (size_t i = 0; i < sizeof grant->ephemeral; i++) {
        grant->ephemeral[i] ^= 0x10;
        assert_fails(grant_unwrap(&grants, "r1", keys[0], &got, &err), err, ERR_UNTRUSTED);
        grant->ephemeral[i] ^= 0x10;
    }
    for (size_t i = 0; i < sizeof grant->wrapped; i++) {
        grant->wrapped[i] ^= 1;
        assert_fails(grant_unwrap(&grants, "r1", keys[0], &got, &err), err, ERR_UNTRUSTED);
        grant->wrapped[i] ^= 1;
    }
}

static void other_keys_are_refused(void **state)
{
    struct err err = {0};
    struct recipient *recipient = NULL;
    char public[128];
    cleanup_buf struct buf pem = BUF_INIT(1 << 16);
    snprintf(public, sizeof public, "%s/2.pub", dir);
    openssl((const char *const[]){"openssl", "pkey", "-in", keys[2], "-pubout", "-out", public, NULL});
    assert_ok(file_read(public, &pem, &err), err);
    assert_fails(recipient_from_pem(pem.data, pem.len, &recipient, &err), err, ERR_UNSUPPORTED);
    struct seal_key key, got;
    cleanup_grants struct grants grants;
    make_grants(&key, &grants);
    static const char in_tpm[] = "-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n-----END TSS2 PRIVATE KEY-----\n";
    snprintf(public, sizeof public, "%s/tpm.key", dir);
    assert_ok(file_replace(public, in_tpm, sizeof in_tpm - 1, 0600, &err), err);
    assert_fails(grant_unwrap(&grants, "r1", public, &got, &err), err, ERR_UNSUPPORTED);
    assert_fails(recipient_from_pem("x", 1, &recipient, &err), err, ERR_INVALID);
}

/* A CA, and what a server could show instead of what it issued. */
static void a_certificate_must_be_the_fleets_own(void **state)
{
    struct err err = {0};
    cleanup_recipient struct recipient *good = NULL, *none = NULL;
    char ca_key[128], ca[128], csr[128], cert[128], own[128];
    cleanup_buf struct buf ca_pem = BUF_INIT(1 << 16), cert_pem = BUF_INIT(1 << 16),
                           own_pem = BUF_INIT(1 << 16);
    snprintf(ca_key, sizeof ca_key, "%s/ca.key", dir);
    snprintf(ca, sizeof ca, "%s/ca.pem", dir);
    snprintf(csr, sizeof csr, "%s/csr.pem", dir);
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(own, sizeof own, "%s/own.pem", dir);
    openssl((const char *const[]){"openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
                                  ca_key, NULL});
    openssl((const char *const[]){"openssl", "req", "-x509", "-new", "-key", ca_key, "-subj", "/CN=fleet",
                                  "-out", ca, NULL});
    openssl((const char *const[]){"openssl", "req", "-new", "-key", keys[0], "-subj", "/CN=r1", "-out", csr,
                                  NULL});
    openssl((const char *const[]){"openssl", "x509", "-req", "-in", csr, "-CA", ca, "-CAkey", ca_key,
                                  "-set_serial", "1", "-out", cert, NULL});
    openssl((const char *const[]){"openssl", "req", "-x509", "-new", "-key", keys[0], "-subj", "/CN=r1",
                                  "-out", own, NULL});
    assert_ok(file_read(ca, &ca_pem, &err), err);
    assert_ok(file_read(cert, &cert_pem, &err), err);
    assert_ok(file_read(own, &own_pem, &err), err);
    struct digest want, have;
    assert_ok(
        recipient_from_certificate(cert_pem.data, cert_pem.len, ca_pem.data, ca_pem.len, "r1", &good, &err),
        err);
    recipient_digest(good, &have);
    recipient_digest(recipients[0], &want);
    assert_memory_equal(&have, &want, sizeof want);
    assert_fails(
        recipient_from_certificate(cert_pem.data, cert_pem.len, ca_pem.data, ca_pem.len, "r2", &none, &err),
        err, ERR_UNTRUSTED);
    assert_fails(
        recipient_from_certificate(own_pem.data, own_pem.len, ca_pem.data, ca_pem.len, "r1", &none, &err),
        err, ERR_UNTRUSTED);
    assert_fails(recipient_from_certificate("x", 1, ca_pem.data, ca_pem.len, "r1", &none, &err), err,
                 ERR_INVALID);
}

static void robots_come_and_go(void **state)
{
    struct err err = {0};
    cleanup_grants struct grants grants = {.fleet = "f"};
    static const char *const names[] = {"r5", "r1", "r3", "r2", "r4", "r3"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct grant grant = {.wrapped = {(uint8_t)i}};
        str_copy(grant.robot, sizeof grant.robot, names[i]);
        assert_ok(grants_put(&grants, &grant, &err), err);
    }
    assert_int_equal(grants.count, 5);
    for (size_t i = 1; i < grants.count; i++)
        assert_true(strcmp(grants.robots[i - 1].robot, grants.robots[i].robot) < 0);
    assert_int_equal(grants_find(&grants, "r3")->wrapped[0], 5); /* replaced */
    grants_remove(&grants, "r1");
    grants_remove(&grants, "r9");
    assert_int_equal(grants.count, 4);
    assert_null(grants_find(&grants, "r1"));
    assert_non_null(grants_find(&grants, "r5"));
}

static void what_is_no_document_is_refused(void **state)
{
    struct err err = {0};
    struct seal_key key;
    struct grants none;
    cleanup_grants struct grants grants;
    make_grants(&key, &grants);
    cleanup_free char *text = grants_format(&grants);
    static const char *const changes[][2] = {
        {"\"schema\":1", "\"schema\":2"},
        {"\"fleet\"", "\"Fleet\""},
        {"\"r2\"", "\"r1\""},
        {"\"r2\"", "\"r0\""},
        {"\"wrapped\":\"", "\"wrapped\":\"A"},
        {"\"key\":\"", "\"key\":\"0"},
        {"\"recipient\"", "\"x\":1,\"recipient\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        const char *at = strstr(text, changes[i][0]);
        assert_non_null(at);
        cleanup_free char *changed =
            mem_printf("%.*s%s%s", (int)(at - text), text, changes[i][1], at + strlen(changes[i][0]));
        assert_fails(grants_parse(changed, strlen(changed), &none, &err), err, ERR_INVALID);
    }
    for (size_t len = 0; len < strlen(text); len++)
        assert_int_not_equal(grants_parse(text, len, &none, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_robot_opens_its_own),
        cmocka_unit_test(a_grant_is_for_one_thing_only),
        cmocka_unit_test(a_forged_grant_holds_another_key),
        cmocka_unit_test(every_changed_byte_is_found),
        cmocka_unit_test(other_keys_are_refused),
        cmocka_unit_test(a_certificate_must_be_the_fleets_own),
        cmocka_unit_test(robots_come_and_go),
        cmocka_unit_test(what_is_no_document_is_refused),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
