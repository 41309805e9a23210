/* X.509 building blocks over OpenSSL, for trust/ca.c only. Functions that return NULL leave the reason in
 * OpenSSL's error queue (sys/ossl.h). */
#ifndef MUSTER_TRUST_X509_H
#define MUSTER_TRUST_X509_H

#include "base/err.h"
#include "base/mem.h"
#include "trust/ca.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>

MUSTER_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
MUSTER_CLEANUP(X509 *, X509_free)
MUSTER_CLEANUP(X509_REQ *, X509_REQ_free)
#define cleanup_pkey __attribute__((cleanup(EVP_PKEY_freep)))
#define cleanup_x509 __attribute__((cleanup(X509_freep)))
#define cleanup_x509_req __attribute__((cleanup(X509_REQ_freep)))

/* PEM texts; free() what is returned as char *. Keys with a passphrase are refused (never asked for). */
EVP_PKEY *x509_key_from_pem(const char *pem, size_t len);
X509 *x509_from_pem(const char *pem, size_t len);
X509_REQ *x509_req_from_pem(const char *pem, size_t len);
char *x509_key_to_pem(const EVP_PKEY *key);
char *x509_to_pem(const X509 *cert);

/* What a certificate shall say; extensions in the notation of openssl.cnf, NULL: left out. */
struct x509_plan {
    const char *common_name;
    int64_t not_before_s, not_after_s;
    const char *basic_constraints, *key_usage, *extended_key_usage, *alt_names;
};

/* Issues a certificate with a random 128-bit serial number. `issuer` NULL: self-signed. */
int x509_issue(const struct x509_plan *plan, EVP_PKEY *subject_key, X509 *issuer, EVP_PKEY *issuer_key,
               X509 **out, struct err *err) must_check;

int x509_serial(const X509 *cert, char out[CERT_SERIAL_SIZE],
                struct err *err) must_check; /* upper-case hex */

/* A certificate request in PEM, signed by its key. */
char *x509_request(EVP_PKEY *key, const char *common_name);

#endif
