/* Ed25519 keys (RFC 8032, through OpenSSL): offline release keys and their public halves.
 *
 * keyid = lower-case hex of SHA-256 over the 32 raw public bytes.
 * Private keys are PKCS#8 PEM without a passphrase, 0600, never overwritten; public keys are
 * SubjectPublicKeyInfo PEM.
 *
 * Ed25519 signs whole messages: sign the small text that names a digest, never a blob. */
#ifndef MUSTER_TRUST_KEY_H
#define MUSTER_TRUST_KEY_H

#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_ID_SIZE 65

struct signing_key;

int signing_key_generate(struct signing_key **out, struct err *err) must_check;
/* Errors: NOT_FOUND; INVALID for what is no such key; REFUSED if group or others have any right to the file.
 */
int signing_key_load(const char *pem_path, struct signing_key **out, struct err *err) must_check;
int signing_key_save(const struct signing_key *key, const char *pem_path,
                     struct err *err) must_check; /* EXISTS */
void signing_key_free(struct signing_key *key);
MUSTER_CLEANUP(struct signing_key *, signing_key_free)
#define cleanup_signing_key __attribute__((cleanup(signing_key_freep)))

int signing_key_sign(const struct signing_key *key, const void *data, size_t len, uint8_t out[64],
                     struct err *err) must_check;

struct public_key {
    uint8_t raw[32];
    char id[KEY_ID_SIZE];
};
void signing_key_public(const struct signing_key *key, struct public_key *out);
void public_key_from_raw(const uint8_t raw[32], struct public_key *out); /* computes the id */
bool public_key_verify(const struct public_key *key, const void *data, size_t len,
                       const uint8_t signature[64]);

int public_key_load(const char *pem_path, struct public_key *out, struct err *err) must_check;
int public_key_save(const struct public_key *key, const char *pem_path,
                    struct err *err) must_check; /* 0644 */

#endif
