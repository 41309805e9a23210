/* OCI image-spec 1.1 documents as a CNCF ModelPack v0.0.7 release uses them.
 *
 * Layout on disk (also the robot's store):
 *     DIR/oci-layout                       {"imageLayoutVersion":"1.0.0"}
 *     DIR/index.json                       descriptors of manifests
 *     DIR/blobs/sha256/<hex>               everything else, by content
 *
 * Release manifest: mediaType application/vnd.oci.image.manifest.v1+json,
 *     artifactType application/vnd.cncf.model.manifest.v1+json,
 *     config application/vnd.cncf.model.config.v1+json, layers:
 *         application/vnd.cncf.model.weight.v1.raw      model.onnx       (annotation org.muster.variant: fp32)
 *                  or  application/vnd.muster.weight.sealed.v1   model.onnx.sealed, encrypted (wire/sealed.h)
 *         the same for each variant                     cpu-x86.onnx     (annotation org.muster.variant: cpu-x86)
 *         application/vnd.muster.trt-timing-cache.v1    trt.timing.cache (annotation org.muster.variant: trt; optional)
 *         application/vnd.muster.release.v1+json        release.json
 *         application/vnd.muster.golden.v1              golden.bin
 *         application/vnd.cncf.model.doc.v1.raw         evaluation, recipe (optional)
 *         application/vnd.cyclonedx+json                sbom.cdx.json    (wire/sbom.h)
 *     each with annotation org.cncf.model.filepath.
 * Beside it (a referrer): the model's signature for other tools (wire/oms.h). Who released it stands in the fleet's TUF targets.
 */
#ifndef MUSTER_WIRE_OCI_H
#define MUSTER_WIRE_OCI_H

#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OCI_MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX_TYPE "application/vnd.oci.image.index.v1+json"
#define OCI_EMPTY_TYPE "application/vnd.oci.empty.v1+json"
#define MODELPACK_ARTIFACT_TYPE "application/vnd.cncf.model.manifest.v1+json"
#define MODELPACK_CONFIG_TYPE "application/vnd.cncf.model.config.v1+json"
#define MODELPACK_WEIGHT_TYPE "application/vnd.cncf.model.weight.v1.raw"
#define MODELPACK_DOC_TYPE "application/vnd.cncf.model.doc.v1.raw"
#define MUSTER_SEALED_TYPE "application/vnd.muster.weight.sealed.v1"
#define MUSTER_RELEASE_TYPE "application/vnd.muster.release.v1+json"
#define MUSTER_GOLDEN_TYPE "application/vnd.muster.golden.v1"
#define MUSTER_PROFILE_TYPE "application/vnd.muster.profile.v1" /* wire/profile.h */
#define MUSTER_TIMING_TYPE "application/vnd.muster.trt-timing-cache.v1"

enum { OCI_MAX_LAYERS = 64, OCI_MAX_MANIFESTS = 256, OCI_MAX_MANIFEST_BYTES = 1 << 20 };

struct oci_descriptor {
    char media_type[96];
    char artifact_type[96]; /* "" if none */
    struct digest digest;
    uint64_t size;      /* bytes */
    char filepath[128]; /* annotation org.cncf.model.filepath; "" if none; str_is_safe_path */
    char ref_name[128]; /* annotation org.opencontainers.image.ref.name; "" if none (index only) */
    char variant[32];   /* annotation org.muster.variant; "" if none */
};

struct oci_manifest {
    char artifact_type[96];
    struct oci_descriptor config;
    bool has_subject;
    struct oci_descriptor subject;
    size_t layer_count;
    struct oci_descriptor layers[OCI_MAX_LAYERS];
};

struct oci_index {
    size_t count;
    struct oci_descriptor manifests[OCI_MAX_MANIFESTS];
};

/* Members and annotations that Muster does not know are ignored. Errors: TOO_BIG above OCI_MAX_MANIFEST_BYTES, INVALID. */
int oci_manifest_parse(const void *text, size_t len, struct oci_manifest *out, struct err *err) must_check;
char *oci_manifest_format(const struct oci_manifest *manifest); /* canonical JSON; free() it */
int oci_index_parse(const void *text, size_t len, struct oci_index *out, struct err *err) must_check;
char *oci_index_format(const struct oci_index *index);

/* The first layer of this media type (and variant, if not NULL), or NULL. */
const struct oci_descriptor *oci_layer(const struct oci_manifest *manifest, const char *media_type,
                                       const char *variant);

/* ModelPack config document (descriptor, config, modelfs with diffIds = layer digests); free() it. */
char *modelpack_config_format(const char *name, const char *version, const char *description,
                              const char *created, const struct oci_descriptor *layers, size_t layer_count);

#endif
