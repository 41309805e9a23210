/* Model signatures that other tools understand too: OpenSSF Model Signing 1.0 (wire/oms.h has the format). Signed with keys, verified whatever
 * the method.
 *
 *     oms_list_files ──▶ statement ── oms_sign ──▶ bundle (model.sig)
 *     bundle ── oms_open: who signed, signature, root digest ──▶ statement ── oms_compare ── what oms_list_files finds
 *
 * Who is believed is the caller's business and never taken from the bundle: a key; authorities, of which the signer has a certificate; or a
 * Sigstore's trusted root and a name in it (docs/model-signing.md lists what has to hold).
 *
 * ECDSA keys on P-256 (with SHA-256), P-384 (SHA-384), P-521 (SHA-512), PEM.
 *
 * A model is a folder, all regular files below it, or a single file. Left out are .git, .gitignore, .gitattributes and .github at its top,
 * the paths that the statement says are ignored, and the signature itself. A symbolic link or a special file is an error, also where a
 * statement allows links: what it points at may change without a trace in the model.
 */
#ifndef MUSTER_TRUST_OMS_OMS_H
#define MUSTER_TRUST_OMS_OMS_H

#include "base/err.h"
#include "base/mem.h"
#include "wire/oms.h"

#include <stdbool.h>

struct oms_key;

int oms_key_generate(struct oms_key **out, struct err *err) must_check; /* P-256 */
/* A private key (PKCS#8 or SEC1) without a passphrase. Errors: NOT_FOUND; INVALID; REFUSED if group or others have a right to the file. */
int oms_key_load(const char *path, struct oms_key **out, struct err *err) must_check;
int oms_public_load(const char *path, struct oms_key **out, struct err *err) must_check;
/* Two new files, 0600 and 0644. Errors: EXISTS. */
int oms_key_save(const struct oms_key *key, const char *private_path, const char *public_path,
                 struct err *err) must_check;
void oms_key_free(struct oms_key *key);
MUSTER_CLEANUP(struct oms_key *, oms_key_free)
#define cleanup_oms_key __attribute__((cleanup(oms_key_freep)))
const char *oms_key_hint(const struct oms_key *key);  /* SHA-256 of the public key's PEM, hex */
const char *oms_key_curve(const struct oms_key *key); /* "P-256" */

/* Certificate authorities that somebody believes: each certificate of a PEM file, self-signed or not. Errors: NOT_FOUND, INVALID, TOO_BIG. */
struct oms_authorities;
int oms_authorities_load(const char *path, struct oms_authorities **out, struct err *err) must_check;
void oms_authorities_free(struct oms_authorities *authorities);
MUSTER_CLEANUP(struct oms_authorities *, oms_authorities_free)
#define cleanup_oms_authorities __attribute__((cleanup(oms_authorities_freep)))

/* A Sigstore, and who in it is believed: the name in his certificate (an address, a URI), and who vouched for it (the URL of the provider of
 * identities), both compared byte by byte. Errors: NOT_FOUND, INVALID, TOO_BIG. */
struct oms_sigstore;
int oms_sigstore_load(const char *trusted_root, const char *identity, const char *provider,
                      struct oms_sigstore **out, struct err *err) must_check;
void oms_sigstore_free(struct oms_sigstore *sigstore);
MUSTER_CLEANUP(struct oms_sigstore *, oms_sigstore_free)
#define cleanup_oms_sigstore __attribute__((cleanup(oms_sigstore_freep)))

/* Fills in the root digest, sorts, signs. *out: the bundle's text; free() it. Errors: INVALID without a file. */
int oms_sign(struct oms_statement *statement, const struct oms_key *key, char **out,
             struct err *err) must_check;

/* Whom a verifier believes; exactly one of the three. */
struct oms_believed {
    const struct oms_key *key;
    const struct oms_authorities *authorities;
    const struct oms_sigstore *sigstore;
    int64_t
        now_s; /* of authorities: their certificates are valid at this time, for nothing proves when a signature was made */
};

/* Who made a signature that holds. */
struct oms_signer {
    enum oms_method method;
    char name[256];       /* "": a key; the certificate's subject; the identity */
    char fingerprint[65]; /* SHA-256 of the key's PEM; of the certificate */
    const char *curve;    /* "P-256" */
    char provider[256];   /* of OMS_SIGSTORE: who vouched for the identity, */
    int64_t time_s;       /* and when and where the log took the signature in */
    uint64_t log_index;
};

/* The statement of a bundle whose signature holds, sorted. out_who may be NULL. Errors: INVALID, TOO_BIG, UNSUPPORTED; UNTRUSTED: changed, or
 * of somebody who is not believed. */
int oms_open(const void *text, size_t len, const struct oms_believed *believed, struct oms_statement *out,
             struct oms_signer *out_who, struct err *err) must_check;

/* Adds every file of the model at `path` but those ignored. `signature` (may be NULL): the file that is left out wherever it lies.
 * Errors: REFUSED for links and special files, INVALID, TOO_BIG, NOT_FOUND. */
int oms_list_files(const char *path, const char *signature, struct oms_statement *statement,
                   struct err *err) must_check;
int oms_ignore_defaults(struct oms_statement *statement, struct err *err) must_check;

/* Both sorted. Errors: UNTRUSTED naming the first file that was changed, is missing or is not signed. */
int oms_compare(const struct oms_statement *is_signed, const struct oms_statement *found, bool unsigned_too,
                struct err *err) must_check;

/* The whole of it, from file to file; free() *out. */
int oms_sign_model(const char *path, const char *signature, const char *const *ignore, size_t ignore_count,
                   const struct oms_key *key, char **out, struct err *err) must_check;
/* `unsigned_too`: files that the signature does not name are no error. */
int oms_verify_model(const char *path, const char *signature, const struct oms_believed *believed,
                     bool unsigned_too, struct oms_statement *out, struct oms_signer *out_who,
                     struct err *err) must_check;
/* Only that this one file of a signed model is unchanged: for taking it in. It is looked up by its path from the signature's folder;
 * of a model that is one file, by itself. */
int oms_verify_file(const char *path, const char *signature, const struct oms_believed *believed,
                    struct err *err) must_check;

#endif
