/* SHA-256 over memory, streams and files (OpenSSL EVP; the algorithm is fetched once).
 *
 * Hashing cannot fail: should OpenSSL have no SHA-256 or no memory for it, the process aborts rather than go
 * on with a digest that is wrong. */
#ifndef MUSTER_SYS_HASH_H
#define MUSTER_SYS_HASH_H

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>

struct hash; /* a running SHA-256 */

struct hash *hash_new(void); /* NULL only if out of memory */
void hash_free(struct hash *hash);
MUSTER_CLEANUP(struct hash *, hash_free)
#define cleanup_hash __attribute__((cleanup(hash_freep)))

void hash_update(struct hash *hash, const void *data, size_t len);
struct digest hash_finish(struct hash *hash); /* and starts anew */

struct digest hash_bytes(const void *data, size_t len);

/* Digest and size (may be NULL) of a file, read in pieces. Errors: as open(2) and read(2). */
int hash_file(const char *path, struct digest *out, uint64_t *out_size, struct err *err) must_check;

#endif
