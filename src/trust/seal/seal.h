/* Confidential weights: encrypted on the disk and on the way, in the clear only in a runner's memory (docs/confidential.md).
 *
 *     content key ──HKDF, salt of the file──▶ file key ──▶ AES-256-GCM, chunk by chunk (STREAM)
 *
 *     key id    = HKDF(content key, salt "", "muster-seal-v1 key id")                   a commitment: another key does not fit it
 *     salt      = HMAC-SHA256(content key, "muster-seal-v1 salt" | SHA-256(plaintext))
 *     file key  = HKDF(content key, salt, "muster-seal-v1 file key" | head of the file)
 *     nonce     = 7 zeros | number of the chunk, 4 bytes | 1 for the last chunk, else 0
 *
 * The salt is made of the plaintext, so a file key never meets two plaintexts (and no nonce two messages), and packing the same weights with
 * the same key gives the same bytes. The nonce says where a chunk belongs and which is the last: cut, exchanged, repeated and foreign chunks
 * do not open. Nothing of a chunk is given out before its tag has held.
 */
#ifndef MUSTER_TRUST_SEAL_SEAL_H
#define MUSTER_TRUST_SEAL_SEAL_H

#include "base/err.h"
#include "wire/sealed.h"

#include <stddef.h>
#include <stdint.h>

struct seal_key { /* a content key; wipe it */
    uint8_t bytes[SEALED_KEY_BYTES];
};

int seal_key_make(struct seal_key *out, struct err *err) must_check;
/* "muster-content-key-v1 <64 hex>\n", 0600. Errors of loading: NOT_FOUND, INVALID, REFUSED if group or others have a right to it; of saving: EXISTS. */
int seal_key_load(const char *path, struct seal_key *out, struct err *err) must_check;
int seal_key_save(const struct seal_key *key, const char *path, struct err *err) must_check;
void seal_key_wipe(struct seal_key *key);
#define cleanup_seal_key __attribute__((cleanup(seal_key_wipe)))
int seal_key_id(const struct seal_key *key, uint8_t out[32], struct err *err) must_check;

/* Encrypts `from` into the new file `to` (0644), replaced if it is there. */
int seal_file(const char *from, const char *to, const struct seal_key *key, struct err *err) must_check;

/* Decrypts into memory that is read-only then, kept out of core files and, where this process may, out of swap. Never a file.
 * Errors: UNTRUSTED: another key; CORRUPT: a byte was changed; those of sealed_parse. */
struct seal_plain {
    const uint8_t *data;
    size_t size;
    size_t mapped;
};
int seal_open(const void *sealed, size_t len, const struct seal_key *key, struct seal_plain *out,
              struct err *err) must_check;
void seal_plain_fini(struct seal_plain *plain); /* wiped */
#define cleanup_seal_plain __attribute__((cleanup(seal_plain_fini)))

#endif
