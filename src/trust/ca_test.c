#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/file.h"
#include "trust/ca.h"
#include "trust/x509.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

static char dir[64];
static int64_t now_s;

static char *in_dir(const char *name)
{
    return file_join(dir, name);
}

static int make_ca(void **state)
{
    struct err err = {0};
    now_s = clock_wall_ms() / 1000;
    snprintf(dir, sizeof dir, "/tmp/muster-ca-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_ok(ca_init(dir, "localhost,127.0.0.1,::1", now_s, &err), err);
    return 0;
}

static int remove_ca(void **state)
{
    struct err err = {0};
    return file_remove_tree(dir, &err);
}

static char *read_text(const char *name)
{
    struct err err = {0};
    cleanup_free char *path = in_dir(name);
    cleanup_buf struct buf text = BUF_INIT(65536);
    assert_ok(file_read(path, &text, &err), err);
    return buf_take(&text);
}

static X509 *read_cert(const char *name)
{
    cleanup_free char *pem = read_text(name);
    X509 *cert = x509_from_pem(pem, strlen(pem));
    assert_non_null(cert);
    return cert;
}

/* As a TLS peer would check it, for one purpose. */
static bool chains_to_ca(X509 *cert, int purpose)
{
    cleanup_x509 X509 *ca = read_cert("ca.pem");
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_add_cert(store, ca), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
    X509_STORE_CTX_set_purpose(ctx, purpose);
    X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(ctx), X509_V_FLAG_X509_STRICT);
    bool good = X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return good;
}

static void the_server_certificate_is_for_its_hosts_and_for_serving_only(void **state)
{
    cleanup_x509 X509 *cert = read_cert("server.pem");
    assert_true(chains_to_ca(cert, X509_PURPOSE_SSL_SERVER));
    assert_false(chains_to_ca(cert, X509_PURPOSE_SSL_CLIENT));
    assert_int_equal(X509_check_host(cert, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(cert, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(cert, "::1", 0), 1);
    assert_int_equal(X509_check_host(cert, "elsewhere", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ca(cert), 0);
}

static void init_keeps_what_is_there(void **state)
{
    struct err err = {0};
    static const char *const names[] = {"ca.pem", "ca.key", "server.pem", "server.key"};
    char *before[4];
    for (int i = 0; i < 4; i++)
        before[i] = read_text(names[i]);
    assert_ok(ca_init(dir, "other", now_s, &err), err);
    for (int i = 0; i < 4; i++) {
        cleanup_free char *after = read_text(names[i]);
        cleanup_free char *path = in_dir(names[i]);
        struct stat st;
        assert_string_equal(before[i], after);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, str_ends(names[i], ".key") ? 0600 : 0644);
        free(before[i]);
    }
    cleanup_free char *server = in_dir("server.pem");
    unlink(server);
    assert_ok(ca_init(dir, "other", now_s, &err), err);
    cleanup_x509 X509 *cert = read_cert("server.pem");
    assert_int_equal(X509_check_host(cert, "other", 0, 0, NULL), 1);
    cleanup_free char *key = in_dir("ca.key");
    unlink(key);
    assert_fails(ca_init(dir, "other", now_s, &err), err, ERR_CONFLICT);
    assert_false(file_exists(key)); /* and no new key that would not fit */
}

static void bad_host_lists_are_refused(void **state)
{
    static const char *const bad[] = {
        "", ",", "a,,b", "a b", "DNS:x", "x,critical", "evil\nIP:1.2.3.4", "*.example"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        cleanup_free char *server = in_dir("server.pem");
        unlink(server);
        int rc = ca_init(dir, bad[i], now_s, &err);
        if (strcmp(bad[i], "x,critical") ==
            0) /* two host names, odd but harmless: they get the DNS: prefix */
            assert_int_equal(rc, 0);
        else
            assert_int_equal(err.code, ERR_INVALID);
    }
}

static X509 *sign_csr(const char *csr, const char *id, char serial[CERT_SERIAL_SIZE])
{
    struct err err = {0};
    cleanup_free char *pem = NULL;
    assert_ok(ca_sign_csr(dir, csr, strlen(csr), id, 3600, now_s, &pem, serial, &err), err);
    X509 *cert = x509_from_pem(pem, strlen(pem));
    assert_non_null(cert);
    return cert;
}

static void a_robot_gets_the_id_that_the_server_says(void **state)
{
    struct err err = {0};
    cleanup_free char *key_path = in_dir("robot.key");
    cleanup_free char *csr = NULL;
    assert_ok(csr_make(key_path, "somebody-else", &csr, &err), err);
    char serial[CERT_SERIAL_SIZE], second_serial[CERT_SERIAL_SIZE];
    cleanup_x509 X509 *cert = sign_csr(csr, "r1", serial);
    cleanup_x509 X509 *second = sign_csr(csr, "r1", second_serial);
    assert_true(chains_to_ca(cert, X509_PURPOSE_SSL_CLIENT));
    assert_false(chains_to_ca(cert, X509_PURPOSE_SSL_SERVER));
    char name[64];
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof name);
    assert_string_equal(name, "r1");
    assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(cert)), 1);
    GENERAL_NAMES *alt = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(alt), 1);
    const GENERAL_NAME *uri = sk_GENERAL_NAME_value(alt, 0);
    assert_int_equal(uri->type, GEN_URI);
    assert_string_equal((const char *)ASN1_STRING_get0_data(uri->d.uniformResourceIdentifier),
                        "urn:muster:robot:r1");
    GENERAL_NAMES_free(alt);
    assert_int_equal(strlen(serial), 32);
    assert_string_not_equal(serial, second_serial);
}

static void a_request_keeps_its_key(void **state)
{
    struct err err = {0};
    cleanup_free char *key_path = in_dir("robot.key");
    cleanup_free char *first = NULL;
    cleanup_free char *second = NULL;
    assert_ok(csr_make(key_path, "r1", &first, &err), err);
    cleanup_free char *key = read_text("robot.key");
    assert_ok(csr_make(key_path, "r1", &second, &err), err);
    cleanup_free char *same = read_text("robot.key");
    assert_string_equal(key, same);
    struct stat st;
    assert_int_equal(stat(key_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void requests_without_possession_or_of_another_kind_are_refused(void **state)
{
    struct err err = {0};
    char serial[CERT_SERIAL_SIZE];
    char *pem = NULL;
    cleanup_free char *key_path = in_dir("robot.key");
    cleanup_free char *csr = NULL;
    assert_ok(csr_make(key_path, "r1", &csr, &err), err);
    static const char *const bad[] = {
        "", "hello", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_fails(ca_sign_csr(dir, bad[i], strlen(bad[i]), "r1", 60, now_s, &pem, serial, &err), err,
                     ERR_INVALID);
    X509_REQ *stolen = x509_req_from_pem(csr, strlen(csr)); /* another's public key, signed by ours */
    cleanup_pkey EVP_PKEY *other = EVP_EC_gen("P-256");
    cleanup_pkey EVP_PKEY *rsa = EVP_RSA_gen(2048);
    assert_true(X509_REQ_sign(stolen, other, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509_REQ(bio, stolen);
    char *text;
    long len = BIO_get_mem_data(bio, &text);
    assert_fails(ca_sign_csr(dir, text, (size_t)len, "r1", 60, now_s, &pem, serial, &err), err, ERR_INVALID);
    assert_non_null(strstr(err.text, "own key"));
    BIO_free(bio);
    X509_REQ_free(stolen);
    cleanup_free char *rsa_csr = x509_request(rsa, "r1");
    assert_fails(ca_sign_csr(dir, rsa_csr, strlen(rsa_csr), "r1", 60, now_s, &pem, serial, &err), err,
                 ERR_INVALID);
    static const char *const bad_ids[] = {
        "",     "a b", "r1,URI:urn:x",
        "../x", "-r",  "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < ARRAY_LEN(bad_ids); i++)
        assert_fails(ca_sign_csr(dir, csr, strlen(csr), bad_ids[i], 60, now_s, &pem, serial, &err), err,
                     ERR_INVALID);
}

static void validity_is_read_back(void **state)
{
    struct err err = {0};
    cleanup_free char *path = in_dir("server.pem");
    int64_t from = 0, until = 0;
    assert_ok(cert_validity(path, &from, &until, &err), err);
    assert_true(from <= now_s && until > now_s + 86400);
    cleanup_free char *key = in_dir("server.key");
    assert_fails(cert_validity(key, &from, &until, &err), err, ERR_INVALID);
}

static int check(const char *cert, const char *key, const char *name, struct err *err)
{
    cleanup_free char *ca = in_dir("ca.pem");
    cleanup_free char *cert_path = in_dir(cert);
    cleanup_free char *key_path = in_dir(key);
    return cert_check(ca, cert_path, key_path, name, err);
}

static void write_text(const char *name, const char *text)
{
    struct err err = {0};
    cleanup_free char *path = in_dir(name);
    assert_ok(file_replace(path, text, strlen(text), 0600, &err), err);
}

static void certify_robot(const char *file, int64_t issued_s)
{
    struct err err = {0};
    char serial[CERT_SERIAL_SIZE];
    cleanup_free char *key = in_dir("robot.key");
    cleanup_free char *csr = NULL, *pem = NULL;
    assert_ok(csr_make(key, "r1", &csr, &err), err);
    assert_ok(ca_sign_csr(dir, csr, strlen(csr), "r1", 60, issued_s, &pem, serial, &err), err);
    write_text(file, pem);
}

static void what_was_issued_is_known_again(void **state)
{
    struct err err = {0};
    certify_robot("robot.pem", now_s);
    certify_robot("over.pem", now_s - 1000);
    assert_ok(check("robot.pem", "robot.key", "r1", &err), err);
    assert_ok(check("over.pem", "robot.key", "r1", &err), err); /* dates are for others */
    assert_fails(check("robot.pem", "robot.key", "r2", &err), err, ERR_UNTRUSTED);
    assert_fails(check("robot.pem", "server.key", "r1", &err), err, ERR_UNTRUSTED);
    assert_fails(check("server.pem", "server.key", "Muster server", &err), err, ERR_UNTRUSTED);
    assert_fails(check("robot.key", "robot.key", "r1", &err), err, ERR_INVALID);
    assert_fails(check("none.pem", "robot.key", "r1", &err), err, ERR_NOT_FOUND);
}

/* Whatever one character is changed to: it is another certificate and does not hold, or it is still the same one. */
static void no_damaged_certificate_holds(void **state)
{
    certify_robot("robot.pem", now_s);
    cleanup_free char *pem = read_text("robot.pem");
    cleanup_x509 X509 *good = read_cert("robot.pem");
    for (char *c = strchr(pem, '\n') + 1; *c && *c != '-'; c++) {
        struct err err = {0};
        char was = *c;
        *c ^= 1;
        write_text("damaged.pem", pem);
        *c = was;
        if (check("damaged.pem", "robot.key", "r1", &err) < 0)
            continue;
        cleanup_x509 X509 *same = read_cert("damaged.pem");
        assert_int_equal(X509_cmp(good, same), 0);
    }
}

static void tokens_differ(void **state)
{
    struct err err = {0};
    char a[TOKEN_SIZE], b[TOKEN_SIZE];
    assert_ok(token_make(a, &err), err);
    assert_ok(token_make(b, &err), err);
    assert_int_equal(strlen(a), 64);
    assert_string_not_equal(a, b);
    struct digest da = token_digest(a), db = token_digest(b);
    assert_false(digest_equal(&da, &db));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_ca, remove_ca)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_server_certificate_is_for_its_hosts_and_for_serving_only),
        TEST(init_keeps_what_is_there),
        TEST(bad_host_lists_are_refused),
        TEST(a_robot_gets_the_id_that_the_server_says),
        TEST(a_request_keeps_its_key),
        TEST(requests_without_possession_or_of_another_kind_are_refused),
        TEST(validity_is_read_back),
        TEST(what_was_issued_is_known_again),
        TEST(no_damaged_certificate_holds),
        cmocka_unit_test(tokens_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
