/* What the digests do not cover: index.json and oci-layout, private to this room.
 *
 * A manifest is known by its digest; these two files only list. Still a list may not lie: a release is called
 * by its own name or by none, and everything said about it must be understood. So every changed byte of a
 * layout is found.
 *
 *     {"schemaVersion": 2, "mediaType": OCI_INDEX_TYPE,
 *      "manifests": [{"mediaType", "digest", "size", "artifactType",
 *                     "annotations": {"org.opencontainers.image.ref.name": "detector-2.0.0"}}, …]}
 *
 * Reference names: NAME-VERSION for a release, sha256-<hex of the release's digest>.oms for the model's signature that other tools
 * understand (so that `skopeo copy oci:DIR:<ref> …` can move them).
 */
#ifndef MUSTER_RELEASE_INDEX_H
#define MUSTER_RELEASE_INDEX_H

#include "base/err.h"
#include "release/image.h"

/* Errors: INVALID, CORRUPT. */
int index_check(const struct image *image, struct err *err) must_check;

void index_referrer_ref(const struct digest *release, char out[128]);

#endif
