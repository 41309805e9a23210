/* Private to this room. */
#ifndef MUSTER_TRUST_SEAL_INSIDE_H
#define MUSTER_TRUST_SEAL_INSIDE_H

#include "base/digest.h"
#include "base/mem.h"
#include "trust/seal/seal.h"

#include <openssl/evp.h>
#include <stdbool.h>

MUSTER_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)
#define cleanup_cipher __attribute__((cleanup(EVP_CIPHER_CTX_freep)))

struct file_key {
    uint8_t bytes[32];
};
void file_key_wipe(struct file_key *key);
#define cleanup_file_key __attribute__((cleanup(file_key_wipe)))

/* HKDF-SHA256 with `info` as bytes. */
int seal_hkdf(const uint8_t *secret, size_t secret_len, const uint8_t *salt, size_t salt_len,
              const void *info, size_t info_len, uint8_t out[32], struct err *err) must_check;
int seal_salt(const struct seal_key *key, const struct digest *plain, uint8_t out[32],
              struct err *err) must_check;
int seal_file_key(const struct seal_key *key, const uint8_t head[SEALED_HEAD_BYTES], const uint8_t salt[32],
                  struct file_key *out, struct err *err) must_check;
void seal_nonce(uint64_t chunk, bool last, uint8_t out[12]);

#endif
