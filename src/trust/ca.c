#include "trust/ca.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/device_key.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "sys/ossl.h"
#include "trust/x509.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

enum {
    MAX_PEM_BYTES = 64 * 1024,
    MAX_ROBOT_ID = 63,
    DAY_S = 86400,
    CA_DAYS = 3650,
    SERVER_DAYS = 825,
};

/* ---- files ---- */

static int load_key(const char *path, EVP_PKEY **out, struct err *err)
{
    cleanup_buf struct buf pem = BUF_INIT(MAX_PEM_BYTES);
    if (file_read(path, &pem, err) < 0)
        return -1;
    *out = x509_key_from_pem(buf_text(&pem), pem.len);
    if (pem.data)
        OPENSSL_cleanse(pem.data, pem.cap);
    return *out ? 0 : ossl_fail(err, ERR_INVALID, "%s: not a private key in PEM", path);
}

static int load_cert(const char *path, X509 **out, struct err *err)
{
    cleanup_buf struct buf pem = BUF_INIT(MAX_PEM_BYTES);
    if (file_read(path, &pem, err) < 0)
        return -1;
    *out = x509_from_pem(buf_text(&pem), pem.len);
    return *out ? 0 : ossl_fail(err, ERR_INVALID, "%s: not a certificate in PEM", path);
}

/* Loads a P-256 key, or makes and saves it where there is none. */
static int keep_key(const char *path, EVP_PKEY **out, struct err *err)
{
    if (file_exists(path))
        return load_key(path, out, err);
    cleanup_pkey EVP_PKEY *key = EVP_EC_gen("P-256");
    if (!key)
        return ossl_fail(err, ERR_INTERNAL, "cannot make a P-256 key");
    cleanup_free char *pem = x509_key_to_pem(key);
    if (!pem)
        return ossl_fail(err, ERR_INTERNAL, "cannot write the key as PEM");
    int rc = file_create(path, pem, strlen(pem), 0600, err);
    OPENSSL_cleanse(pem, strlen(pem));
    if (rc == 0)
        *out = TAKE_PTR(key);
    return rc;
}

static int save_cert(const char *path, X509 *cert, struct err *err)
{
    cleanup_free char *pem = x509_to_pem(cert);
    return pem ? file_create(path, pem, strlen(pem), 0644, err)
               : ossl_fail(err, ERR_INTERNAL, "cannot write PEM");
}

/* ---- the CA and the server's certificate ---- */

/* "DNS:a,IP:127.0.0.1" from "a,127.0.0.1". */
static int alt_names(const char *hosts, struct buf *out, struct err *err)
{
    for (const char *at = hosts; *at;) {
        char host[256];
        size_t len = strcspn(at, ",");
        if (len == 0 || len >= sizeof host)
            return err_set(err, ERR_INVALID, "'%.60s' is no list of host names and addresses", hosts);
        memcpy(host, at, len);
        host[len] = 0;
        struct in6_addr address;
        bool ip = inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
        if (!ip && !str_is_name(host, sizeof host - 1))
            return err_set(err, ERR_INVALID, "'%.60s' is neither a host name nor an address", host);
        if (buf_printf(out, err, "%s%s:%s", out->len ? "," : "", ip ? "IP" : "DNS", host) < 0)
            return -1;
        at += len + (at[len] == ',');
    }
    return out->len ? 0 : err_set(err, ERR_INVALID, "no host name for the server certificate");
}

static int make_ca_cert(const char *path, EVP_PKEY *key, int64_t now_s, struct err *err)
{
    const struct x509_plan plan = {
        .common_name = "Muster device CA",
        .not_before_s = now_s - CERT_BACKDATE_S,
        .not_after_s = now_s + (int64_t)CA_DAYS * DAY_S,
        .basic_constraints = "critical,CA:TRUE,pathlen:0",
        .key_usage = "critical,keyCertSign,cRLSign",
    };
    cleanup_x509 X509 *cert = NULL;
    return x509_issue(&plan, key, NULL, key, &cert, err) < 0 ? -1 : save_cert(path, cert, err);
}

static int make_server_cert(const char *path, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, const char *hosts,
                            int64_t now_s, struct err *err)
{
    cleanup_buf struct buf names = BUF_INIT(4096);
    if (alt_names(hosts, &names, err) < 0)
        return -1;
    const struct x509_plan plan = {
        .common_name = "Muster server",
        .not_before_s = now_s - CERT_BACKDATE_S,
        .not_after_s = now_s + (int64_t)SERVER_DAYS * DAY_S,
        .basic_constraints = "critical,CA:FALSE",
        .key_usage = "critical,digitalSignature",
        .extended_key_usage = "serverAuth",
        .alt_names = buf_text(&names),
    };
    cleanup_x509 X509 *cert = NULL;
    return x509_issue(&plan, key, ca, ca_key, &cert, err) < 0 ? -1 : save_cert(path, cert, err);
}

/* The four files of a CA folder; paths are freed together. */
struct ca_paths {
    char *ca_cert, *ca_key, *server_cert, *server_key;
};

static void free_paths(struct ca_paths *paths)
{
    free(paths->ca_cert);
    free(paths->ca_key);
    free(paths->server_cert);
    free(paths->server_key);
}
#define cleanup_paths __attribute__((cleanup(free_paths)))

static bool fill_paths(const char *dir, struct ca_paths *out)
{
    out->ca_cert = file_join(dir, "ca.pem");
    out->ca_key = file_join(dir, "ca.key");
    out->server_cert = file_join(dir, "server.pem");
    out->server_key = file_join(dir, "server.key");
    return out->ca_cert && out->ca_key && out->server_cert && out->server_key;
}

static int load_ca(const struct ca_paths *paths, X509 **out_cert, EVP_PKEY **out_key, struct err *err)
{
    if (load_cert(paths->ca_cert, out_cert, err) < 0 || load_key(paths->ca_key, out_key, err) < 0)
        return -1;
    if (X509_check_private_key(*out_cert, *out_key) != 1)
        return ossl_fail(err, ERR_CORRUPT, "%s and %s do not belong together", paths->ca_cert, paths->ca_key);
    return 0;
}

int ca_init(const char *dir, const char *hosts, int64_t now_s, struct err *err)
{
    cleanup_paths struct ca_paths paths = {0};
    cleanup_pkey EVP_PKEY *ca_key = NULL;
    cleanup_pkey EVP_PKEY *server_key = NULL;
    cleanup_pkey EVP_PKEY *loaded_key = NULL;
    cleanup_x509 X509 *ca = NULL;
    if (!fill_paths(dir, &paths))
        return err_no_memory(err);
    if (file_exists(paths.ca_cert) && !file_exists(paths.ca_key))
        return err_set(err, ERR_CONFLICT, "%s is there without its key; restore %s", paths.ca_cert,
                       paths.ca_key);
    if (file_make_dirs(dir, 0700, err) < 0 || keep_key(paths.ca_key, &ca_key, err) < 0)
        return -1;
    if (!file_exists(paths.ca_cert) && make_ca_cert(paths.ca_cert, ca_key, now_s, err) < 0)
        return -1;
    if (load_ca(&paths, &ca, &loaded_key, err) < 0 || keep_key(paths.server_key, &server_key, err) < 0)
        return -1;
    if (file_exists(paths.server_cert))
        return 0;
    return make_server_cert(paths.server_cert, server_key, ca, ca_key, hosts, now_s, err);
}

/* ---- requests ---- */

static int parse_csr(const char *pem, size_t len, X509_REQ **out, struct err *err)
{
    *out = x509_req_from_pem(pem, len);
    if (!*out)
        return ossl_fail(err, ERR_INVALID, "not a certificate request in PEM");
    EVP_PKEY *key = X509_REQ_get0_pubkey(*out);
    if (!key || X509_REQ_verify(*out, key) != 1)
        return ossl_fail(err, ERR_INVALID, "the certificate request is not signed by its own key");
    bool fits = EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 256;
    return fits ? 0 : err_set(err, ERR_INVALID, "the certificate request has another key than EC P-256");
}

int ca_sign_csr(const char *dir, const char *csr_pem, size_t csr_len, const char *robot_id, int64_t valid_s,
                int64_t now_s, char **out_pem, char out_serial[CERT_SERIAL_SIZE], struct err *err)
{
    cleanup_paths struct ca_paths paths = {0};
    cleanup_pkey EVP_PKEY *ca_key = NULL;
    cleanup_x509 X509 *ca = NULL;
    cleanup_x509_req X509_REQ *csr = NULL;
    cleanup_x509 X509 *cert = NULL;
    char san[128];
    if (!str_is_name(robot_id, MAX_ROBOT_ID))
        return err_set(err, ERR_INVALID, "'%.70s' is no robot id: up to %d of letters, digits, '.', '_', '-'",
                       robot_id, MAX_ROBOT_ID);
    if (valid_s <= 0)
        return err_set(err, ERR_INVALID, "a certificate must be valid for some time");
    if (!fill_paths(dir, &paths))
        return err_no_memory(err);
    if (parse_csr(csr_pem, csr_len, &csr, err) < 0 || load_ca(&paths, &ca, &ca_key, err) < 0)
        return -1;
    snprintf(san, sizeof san, "URI:urn:muster:robot:%s", robot_id);
    const struct x509_plan plan = {
        .common_name = robot_id,
        .not_before_s = now_s - CERT_BACKDATE_S,
        .not_after_s = now_s + valid_s,
        .basic_constraints = "critical,CA:FALSE",
        .key_usage = "critical,digitalSignature",
        .extended_key_usage = "clientAuth",
        .alt_names = san,
    };
    if (x509_issue(&plan, X509_REQ_get0_pubkey(csr), ca, ca_key, &cert, err) < 0 ||
        x509_serial(cert, out_serial, err) < 0)
        return -1;
    *out_pem = x509_to_pem(cert);
    return *out_pem ? 0 : ossl_fail(err, ERR_INTERNAL, "cannot write PEM");
}

int csr_read(const char *csr_pem, size_t csr_len, char *out_common_name, size_t name_size,
             struct digest *out_key, struct err *err)
{
    cleanup_x509_req X509_REQ *csr = NULL;
    unsigned char *der = NULL;
    if (parse_csr(csr_pem, csr_len, &csr, err) < 0)
        return -1;
    int len = X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(csr), NID_commonName, out_common_name,
                                        (int)name_size);
    if (len < 0 || strlen(out_common_name) != (size_t)len || !str_is_name(out_common_name, MAX_ROBOT_ID))
        return err_set(err, ERR_INVALID,
                       "the request's common name is no robot id: up to %d of letters, digits, '.', "
                       "'_', '-'",
                       MAX_ROBOT_ID);
    int der_len = i2d_PUBKEY(X509_REQ_get0_pubkey(csr), &der);
    if (der_len <= 0)
        return ossl_fail(err, ERR_INVALID, "the request's key cannot be read");
    *out_key = hash_bytes(der, (size_t)der_len);
    OPENSSL_free(der);
    return 0;
}

int csr_make(const char *key_path, const char *common_name, char **out_csr_pem, struct err *err)
{
    cleanup_pkey EVP_PKEY *key = NULL;
    if (keep_key(key_path, &key, err) < 0)
        return -1;
    *out_csr_pem = x509_request(key, common_name);
    return *out_csr_pem ? 0 : ossl_fail(err, ERR_INVALID, "cannot make a request for '%.70s'", common_name);
}

int csr_make_in_tpm(const char *key_path, const char *common_name, char **out_csr_pem, struct err *err)
{
    cleanup_free char *pem = NULL;
    if (!file_exists(key_path) &&
        (device_key_make_in_tpm(&pem, err) < 0 || file_create(key_path, pem, strlen(pem), 0600, err) < 0))
        return -1;
    return csr_remake(key_path, common_name, out_csr_pem, err);
}

int csr_remake(const char *key_path, const char *common_name, char **out_csr_pem, struct err *err)
{
    cleanup_pkey EVP_PKEY *key = NULL;
    if (load_key(key_path, &key, err) < 0)
        return -1;
    *out_csr_pem = x509_request(key, common_name);
    return *out_csr_pem ? 0 : ossl_fail(err, ERR_INVALID, "cannot make a request for '%.70s'", common_name);
}

static int check_chain(X509 *ca, X509 *cert, struct err *err)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool ready = store && ctx && X509_STORE_add_cert(store, ca) == 1 &&
                 X509_STORE_set_flags(store, X509_V_FLAG_NO_CHECK_TIME) == 1 &&
                 X509_STORE_CTX_init(ctx, store, cert, NULL) == 1 &&
                 X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT) == 1;
    int rc = 0;
    if (!ready)
        rc = ossl_fail(err, ERR_INTERNAL, "cannot check a certificate");
    else if (X509_verify_cert(ctx) != 1)
        rc = ossl_fail(err, ERR_UNTRUSTED, "the certificate does not hold: %s",
                       X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return rc;
}

int cert_check(const char *ca_path, const char *cert_path, const char *key_path, const char *name,
               struct err *err)
{
    cleanup_x509 X509 *ca = NULL;
    cleanup_x509 X509 *cert = NULL;
    cleanup_pkey EVP_PKEY *key = NULL;
    char found[MAX_ROBOT_ID + 2] = "";
    if (load_cert(ca_path, &ca, err) < 0 || load_cert(cert_path, &cert, err) < 0 ||
        load_key(key_path, &key, err) < 0 || check_chain(ca, cert, err) < 0)
        return -1;
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, found, sizeof found);
    if (!str_eq(found, name))
        return err_set(err, ERR_UNTRUSTED, "the certificate is not for %s", name);
    if (X509_check_private_key(cert, key) != 1)
        return ossl_fail(err, ERR_UNTRUSTED, "the certificate is for another key");
    return 0;
}

int cert_validity_pem(const char *pem, size_t len, int64_t *out_from_s, int64_t *out_until_s, struct err *err)
{
    cleanup_x509 X509 *cert = x509_from_pem(pem, len);
    struct tm from, until;
    if (!cert)
        return ossl_fail(err, ERR_INVALID, "not a certificate in PEM");
    if (ASN1_TIME_to_tm(X509_get0_notBefore(cert), &from) != 1 ||
        ASN1_TIME_to_tm(X509_get0_notAfter(cert), &until) != 1)
        return ossl_fail(err, ERR_INVALID, "a certificate with a malformed validity");
    *out_from_s = timegm(&from);
    *out_until_s = timegm(&until);
    return 0;
}

int cert_validity(const char *cert_path, int64_t *out_from_s, int64_t *out_until_s, struct err *err)
{
    cleanup_buf struct buf pem = BUF_INIT(MAX_PEM_BYTES);
    if (file_read(cert_path, &pem, err) < 0)
        return -1;
    if (cert_validity_pem(buf_text(&pem), pem.len, out_from_s, out_until_s, err) < 0)
        return err_prefix(err, "%s", cert_path);
    return 0;
}

/* ---- tokens ---- */

int token_make(char out[TOKEN_SIZE], struct err *err)
{
    uint8_t raw[32];
    if (RAND_priv_bytes(raw, sizeof raw) != 1)
        return ossl_fail(err, ERR_IO, "no random bytes");
    hex_encode(raw, sizeof raw, out);
    OPENSSL_cleanse(raw, sizeof raw);
    return 0;
}

struct digest token_digest(const char *token)
{
    return hash_bytes(token, strlen(token));
}
