/* Private to this room. */
#ifndef MUSTER_TRUST_OMS_INSIDE_H
#define MUSTER_TRUST_OMS_INSIDE_H

#include "trust/oms/oms.h"
#include "wire/sigstore.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

MUSTER_CLEANUP(BIO *, BIO_free_all)
MUSTER_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)
MUSTER_CLEANUP(X509 *, X509_free)
#define cleanup_bio __attribute__((cleanup(BIO_free_allp)))
#define cleanup_md __attribute__((cleanup(EVP_MD_CTX_freep)))
#define cleanup_x509 __attribute__((cleanup(X509_freep)))

struct oms_key {
    EVP_PKEY *pkey;
    const EVP_MD *digest; /* that goes with the curve */
    const char *curve;
    char hint[65];
};

int oms_key_wrap(EVP_PKEY *pkey, struct oms_key **out,
                 struct err *err) must_check; /* takes `pkey` in any case */
int oms_key_decode(const struct oms_bytes *der, struct oms_key **out, struct err *err) must_check;
bool oms_key_check(const struct oms_key *key, const void *data, size_t len, const void *sig, size_t sig_len);

struct digest oms_root(const struct oms_statement *statement); /* of the resources in their order */

/* ---- certificates (chain.c) ---- */

typedef STACK_OF(X509) oms_chain;
void oms_chain_free(oms_chain *chain);
MUSTER_CLEANUP(oms_chain *, oms_chain_free)
#define cleanup_chain __attribute__((cleanup(oms_chain_freep)))

X509 *oms_certificate_decode(const struct oms_bytes *der, struct err *err); /* all of it; NULL: INVALID */
int oms_certificate_key(X509 *cert, struct oms_key **out, struct err *err) must_check; /* UNSUPPORTED */
void oms_certificate_fingerprint(const X509 *cert, char out[65]);

struct oms_path {
    X509 *leaf;
    oms_chain *anchors; /* are believed, self-signed or not */
    oms_chain *between; /* may lead to them; may be NULL */
    int64_t time_s;     /* at which all of it is valid */
};

/* The chain from the leaf to an anchor: each certificate is of an authority that may issue it, the leaf is for signing code (key usage
 * digitalSignature, extended key usage codeSigning, and no authority between is limited to anything else), 112 bits of security. *out: the
 * chain, the leaf first. Errors: UNTRUSTED. */
int oms_path_check(const struct oms_path *path, oms_chain **out, struct err *err) must_check;

/* What one method checks of a bundle, and whose key its signature has to be made with; fills *who in. */
int oms_authorities_check(const struct oms_authorities *authorities, int64_t now_s,
                          const struct oms_bundle *bundle, struct oms_key **out, struct oms_signer *who,
                          struct err *err) must_check;

int oms_sigstore_check(const struct oms_sigstore *sigstore, const struct oms_bundle *bundle,
                       struct oms_key **out, struct oms_signer *who, struct err *err) must_check;

/* ---- Sigstore ---- */

enum { OMS_MAX_SCTS = 8 };

/* The log is one that the root knew when it took the signature in, it promised that time, the entry is in the tree of a checkpoint that it
 * signed, and is about this statement, signature and certificate (log.c). Errors: UNTRUSTED, INVALID, UNSUPPORTED. */
int oms_log_check(const struct sigstore_root *root, const struct oms_bundle *bundle,
                  struct err *err) must_check;

/* A certificate transparency log that the root knows has seen the certificate before it was issued (sct.c). Errors: UNTRUSTED. */
int oms_sct_check(const X509 *leaf, const X509 *issuer, const struct sigstore_root *root,
                  struct err *err) must_check;

#endif
