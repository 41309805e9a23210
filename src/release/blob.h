/* Reading blobs of an OCI layout, private to this room. What comes out has the size and digest it was asked
 * for. */
#ifndef MUSTER_RELEASE_BLOB_H
#define MUSTER_RELEASE_BLOB_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "wire/oci.h"

#include <stdbool.h>

/* Appends the blob to `out`. Errors: CORRUPT if it is missing or its size or digest does not hold; TOO_BIG if
 * it passes out->max. */
int blob_read(const char *dir, const struct oci_descriptor *descriptor, struct buf *out,
              struct err *err) must_check;

/* Hashes the blob in place, in pieces. `what` names it in errors ("model.onnx"). */
int blob_check(const char *dir, const struct oci_descriptor *descriptor, const char *what,
               struct err *err) must_check;

/* Reads and parses the manifest that `descriptor` points at. */
int blob_read_manifest(const char *dir, const struct oci_descriptor *descriptor, struct oci_manifest *out,
                       struct err *err) must_check;

/* Whether it is a document of ours beside `subject`: the model's signature (wire/oms.h). */
bool blob_refers(const struct oci_manifest *manifest, const struct digest *subject);

#endif
