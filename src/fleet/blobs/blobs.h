/* Blobs of the server, by digest, in an OCI image layout (release/image.h checks releases right there).
 *
 *     DIR/oci-layout  DIR/index.json  DIR/blobs/sha256/<hex>      whole blobs, never changed
 *     DIR/uploads/<hex>                                           a prefix of a blob that is on its way
 *
 * An upload grows only at its end. When it is whole and its digest holds it is fsynced and moved in by a
 * durable rename; when the digest does not hold it is removed. Nothing that is not whole is ever visible
 * under blobs/. A write that fails (disk full) leaves the upload as it was before that part. An upload that
 * nobody went on with for a week goes when the blobs are opened.
 */
#ifndef MUSTER_FLEET_BLOBS_BLOBS_H
#define MUSTER_FLEET_BLOBS_BLOBS_H

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blobs;

struct blobs_part {
    struct digest digest;   /* of the whole blob */
    uint64_t offset, total; /* bytes */
    const void *data;
    size_t len;
};

/* `max_bytes`: the largest blob that is accepted. */
int blobs_open(const char *dir, uint64_t max_bytes, struct blobs **out, struct err *err) must_check;
void blobs_free(struct blobs *blobs);
MUSTER_CLEANUP(struct blobs *, blobs_free)
#define cleanup_blobs __attribute__((cleanup(blobs_freep)))

const char *blobs_dir(const struct blobs *blobs); /* the layout */

/* NOT_FOUND if it is not there whole. */
int blobs_size(const struct blobs *blobs, const struct digest *digest, uint64_t *out_size,
               struct err *err) must_check;
int blobs_read(const struct blobs *blobs, const struct digest *digest, int *out_fd, uint64_t *out_size,
               struct err *err) must_check;

/* Takes a part. *out_have: bytes the server has now; equal to part->total when the blob is whole, verified
 * and visible. What it has already is skipped. Errors: CONFLICT for a part beyond the end (the message names
 * the offset), TOO_BIG, INVALID, UNTRUSTED if the digest does not hold (the upload is gone), NO_SPACE. */
int blobs_put(struct blobs *blobs, const struct blobs_part *part, uint64_t *out_have,
              struct err *err) must_check;

/* Forgets a blob, whole or on its way; what is not there is fine. */
void blobs_drop(struct blobs *blobs, const struct digest *digest);

#endif
