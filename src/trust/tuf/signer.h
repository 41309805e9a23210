/* Keys for TUF metadata, assignments and checkpoints: verifying all of tuf_scheme, signing with a private key of ours.
 *
 * Private keys are PKCS#8 PEM, 0600; with a passphrase they are encrypted (PBES2: scrypt, AES-256-CBC). The passphrase comes from the file that
 * MUSTER_PASSPHRASE_FILE names, or from the terminal, never from the command line. */
#ifndef MUSTER_TRUST_TUF_SIGNER_H
#define MUSTER_TRUST_TUF_SIGNER_H

#include "base/err.h"
#include "base/mem.h"
#include "wire/tuf/metadata.h"

/* The default keyid: SHA-256 of the canonical {"keytype","keyval":{"public"},"scheme"}, hex. */
int tuf_key_id(enum tuf_scheme scheme, const char *public_text, char out[65], struct err *err) must_check;

/* Whether this key signed these bytes. Never fails otherwise: a key or signature that is malformed does not hold. */
bool tuf_key_verify(const struct tuf_key *key, const void *data, size_t len, const uint8_t *sig,
                    size_t sig_len);

/* Whether a threshold of the set signed metadata->signed_text; REFUSES (rule) if not: "[rule] targets: 1 of 2 signatures hold". Keys are counted,
 * not keyids: one key under two ids is one. A threshold below 1 is never met. */
int tuf_verify(const struct tuf_keyset *set, const struct tuf_key *keys, size_t key_count,
               const struct tuf_metadata *metadata, int rule, const char *what, struct err *err) must_check;
/* The same over any text with detached signatures. */
int tuf_verify_text(const struct tuf_keyset *set, const struct tuf_key *keys, size_t key_count,
                    const void *text, size_t len, const struct tuf_signature *signatures, size_t count,
                    int rule, const char *what, struct err *err) must_check;

struct tuf_signer;
int tuf_signer_generate(enum tuf_scheme scheme, struct tuf_signer **out,
                        struct err *err) must_check; /* RSA: 3072 bits */
/* `passphrase` NULL: the file must not be encrypted (DENIED if it is). Errors: NOT_FOUND, INVALID, REFUSED (rights), DENIED (passphrase). */
int tuf_signer_load(const char *pem_path, const char *passphrase, struct tuf_signer **out,
                    struct err *err) must_check;
int tuf_signer_save(const struct tuf_signer *signer, const char *pem_path, const char *passphrase,
                    struct err *err) must_check; /* EXISTS; NULL: not encrypted */
void tuf_signer_free(struct tuf_signer *signer);
MUSTER_CLEANUP(struct tuf_signer *, tuf_signer_free)
#define cleanup_tuf_signer __attribute__((cleanup(tuf_signer_freep)))

const struct tuf_key *tuf_signer_public(const struct tuf_signer *signer); /* id is the default one */
/* *out: owned by the caller (free keyid and sig). */
int tuf_signer_sign(const struct tuf_signer *signer, const void *data, size_t len, struct tuf_signature *out,
                    struct err *err) must_check;

#endif
