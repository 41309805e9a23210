/* Sealed weights: the head of the file, and how long the rest is. Pure. The mathematics are trust/seal/seal.h's.
 *
 *     0   magic   "MSTRSEAL"
 *     8   version 1, 4 bytes             all numbers big-endian
 *     12  bytes of a chunk, 4 bytes      65536
 *     16  bytes of the plaintext, 8 bytes
 *     24  key id, 32 bytes               says which content key opens it, and commits to that key
 *     56  salt, 32 bytes                 makes the file's own key of the content key
 *     88  chunks: ciphertext, then 16 bytes of tag; all but the last are full. An empty file has one empty chunk
 *
 * So the length of a sealed file follows from its head; any other length is refused before anything is decrypted.
 */
#ifndef MUSTER_WIRE_SEALED_H
#define MUSTER_WIRE_SEALED_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { SEALED_HEAD_BYTES = 88, SEALED_CHUNK_BYTES = 65536, SEALED_TAG_BYTES = 16, SEALED_KEY_BYTES = 32 };
#define SEALED_MAX_BYTES (8ull << 30) /* of the plaintext */

struct sealed_head {
    uint64_t plain_bytes;
    uint8_t key_id[32], salt[32];
};

/* `size`: of the whole file. Errors: INVALID, UNSUPPORTED (a later version), CORRUPT (cut, or longer). */
int sealed_parse(const void *data, size_t len, uint64_t size, struct sealed_head *out,
                 struct err *err) must_check;
void sealed_format(const struct sealed_head *head, uint8_t out[SEALED_HEAD_BYTES]);

uint64_t sealed_chunks(uint64_t plain_bytes); /* at least 1 */
uint64_t sealed_size(uint64_t plain_bytes);   /* of the whole file */

#endif
