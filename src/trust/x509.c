#include "trust/x509.h"
#include "base/str.h"
#include "sys/device_key.h"
#include "sys/ossl.h"

#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

MUSTER_CLEANUP(BIO *, BIO_free_all)
#define cleanup_bio __attribute__((cleanup(BIO_free_allp)))

/* ---- PEM ---- */

EVP_PKEY *x509_key_from_pem(const char *pem, size_t len)
{
    return device_key_from_pem(pem, len);
}

X509 *x509_from_pem(const char *pem, size_t len)
{
    cleanup_bio BIO *bio = BIO_new_mem_buf(pem, (int)len);
    return bio ? PEM_read_bio_X509(bio, NULL, ossl_no_passphrase, NULL) : NULL;
}

X509_REQ *x509_req_from_pem(const char *pem, size_t len)
{
    cleanup_bio BIO *bio = BIO_new_mem_buf(pem, (int)len);
    return bio ? PEM_read_bio_X509_REQ(bio, NULL, ossl_no_passphrase, NULL) : NULL;
}

static char *text_of(BIO *bio)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    return len > 0 ? mem_strndup(data, (size_t)len) : NULL;
}

char *x509_key_to_pem(const EVP_PKEY *key)
{
    cleanup_bio BIO *bio = BIO_new(BIO_s_secmem());
    bool good = bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
    return good ? text_of(bio) : NULL;
}

char *x509_to_pem(const X509 *cert)
{
    cleanup_bio BIO *bio = BIO_new(BIO_s_mem());
    return bio && PEM_write_bio_X509(bio, (X509 *)(uintptr_t)cert) == 1 ? text_of(bio) : NULL;
}

/* ---- certificates ---- */

static bool set_name(X509_NAME *name, const char *common_name)
{
    const unsigned char *text = (const unsigned char *)common_name;
    return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, text, -1, -1, 0) == 1;
}

static bool set_serial(X509 *cert)
{
    BIGNUM *number = BN_new();
    bool good = number && BN_rand(number, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
                BN_set_bit(number, 127) == 1 && /* always 128 bits, never zero */
                BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
    BN_free(number);
    return good;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    if (!value)
        return true;
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool good = extension && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

static bool set_extensions(X509 *cert, X509 *issuer, const struct x509_plan *plan)
{
    return add_extension(cert, issuer, NID_basic_constraints, plan->basic_constraints) &&
           add_extension(cert, issuer, NID_key_usage, plan->key_usage) &&
           add_extension(cert, issuer, NID_ext_key_usage, plan->extended_key_usage) &&
           add_extension(cert, issuer, NID_subject_alt_name, plan->alt_names) &&
           add_extension(cert, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(cert, issuer, NID_authority_key_identifier, "keyid:always");
}

static bool build(X509 *cert, const struct x509_plan *plan, EVP_PKEY *subject_key, X509 *issuer,
                  EVP_PKEY *issuer_key)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    return X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
           set_name(subject, plan->common_name) &&
           X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject) &&
           ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)plan->not_before_s) &&
           ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)plan->not_after_s) &&
           X509_set_pubkey(cert, subject_key) && set_extensions(cert, issuer ? issuer : cert, plan) &&
           X509_sign(cert, issuer_key, EVP_sha256()) > 0;
}

int x509_issue(const struct x509_plan *plan, EVP_PKEY *subject_key, X509 *issuer, EVP_PKEY *issuer_key,
               X509 **out, struct err *err)
{
    cleanup_x509 X509 *cert = X509_new();
    if (!cert || !build(cert, plan, subject_key, issuer, issuer_key))
        return ossl_fail(err, ERR_INTERNAL, "cannot issue a certificate for '%.70s'", plan->common_name);
    *out = TAKE_PTR(cert);
    return 0;
}

int x509_serial(const X509 *cert, char out[CERT_SERIAL_SIZE], struct err *err)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    char *hex = number ? BN_bn2hex(number) : NULL;
    bool good = hex && str_copy(out, CERT_SERIAL_SIZE, hex);
    OPENSSL_free(hex);
    BN_free(number);
    return good ? 0 : ossl_fail(err, ERR_INVALID, "a serial number that is too long");
}

/* ---- requests ---- */

char *x509_request(EVP_PKEY *key, const char *common_name)
{
    cleanup_x509_req X509_REQ *csr = X509_REQ_new();
    cleanup_bio BIO *bio = BIO_new(BIO_s_mem());
    bool good = csr && bio && set_name(X509_REQ_get_subject_name(csr), common_name) &&
                X509_REQ_set_pubkey(csr, key) == 1 && X509_REQ_sign(csr, key, EVP_sha256()) > 0 &&
                PEM_write_bio_X509_REQ(bio, csr) == 1;
    return good ? text_of(bio) : NULL;
}
