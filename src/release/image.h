/* A release on disk: an OCI image layout (see wire/oci.h) opened, checked and read. The robot's store is such
 * a layout too, so workstation, server and robot run the very same checks.
 *
 *     struct image image = {0};
 *     image_open(dir, NULL, &image, &err)        manifest and release.json are read and hash-checked
 *     image_check_blobs(&image, &err)            every byte of every blob against its digest
 *     image_check_model(&image, &err)            the ONNX file's tensors are those release.json names
 *     image_check_machine(&image, machine, &err) it may run here
 *     image_close(&image)
 *
 * Who released it is no matter of this room: a release is known by its digest, and whose word stands for that
 * digest is decided before (trust/admission.h, cli/verify.c, fleet/api/releases.c).
 *
 * Opening never trusts: sizes are capped before reading, paths come from digests only. image_verify also
 * holds index.json and oci-layout, which no digest covers, to what they may say (release/index.h), so that
 * every changed byte is found.
 */
#ifndef MUSTER_RELEASE_IMAGE_H
#define MUSTER_RELEASE_IMAGE_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "wire/oci.h"
#include "wire/oms.h"
#include "wire/release.h"

/* What a machine uses of a release: the model itself, the variants made for it, the engine of its architecture, and all that is not made for
 * one kind of machine. A robot fetches, checks and shows to its runner nothing else. */
struct image_use {
    const char *machine; /* uname -m */
    bool tensorrt;       /* it builds engines: what is made for TensorRT is of use */
};

struct image {
    char *dir; /* owned */
    struct digest digest;
    uint64_t size; /* bytes of the manifest */
    struct oci_manifest manifest;
    struct release release;
    const struct image_use
        *use; /* set after image_open: the checks look at no other layers; NULL: at all. Borrowed */
};

/* `digest` NULL: the one release in index.json (NOT_FOUND for an empty list, INVALID for none or several). */
int image_open(const char *dir, const struct digest *digest, struct image *out, struct err *err) must_check;
void image_close(struct image *image);
#define cleanup_image __attribute__((cleanup(image_close)))

bool image_uses_layer(const struct image_use *use, const struct oci_descriptor *layer); /* use NULL: yes */
const char *image_this_machine(void); /* "x86_64", "aarch64", "": what this program was compiled for */

int image_check_blobs(const struct image *image, struct err *err) must_check;
/* Each variant's too; and there is a variant for each that release.json promises, and no other. Of sealed weights only what can be seen without
 * their key: that they are whole. The runner looks at the rest. */
int image_check_model(const struct image *image, struct err *err) must_check;
/* The reference profile, if there is one, can be read and is about the release's own tap. */
int image_check_profile(const struct image *image, struct err *err) must_check;
int image_check_machine(const struct image *image, const char *machine,
                        struct err *err) must_check; /* uname -m */
/* All of the above, in an order that names the most useful error first. machine NULL: any. */
int image_verify(const struct image *image, const char *machine, struct err *err) must_check;

/* The model's signature that other tools understand (wire/oms.h): the text of the bundle beside the release. Errors: NOT_FOUND without one. */
int image_model_signature(const struct image *image, struct buf *out, struct err *err) must_check;
/* What such a signature of this release says: its layers by the names that they have as files, sorted; the root digest is left out. */
int image_statement(const struct image *image, struct oms_statement *out, struct err *err) must_check;

char *image_blob_path(const char *dir, const struct digest *digest); /* free() it; NULL: out of memory */
/* The weights of a variant, sealed or not: "fp32" is the model itself, others are named in release.json. NULL: there are none. */
const struct oci_descriptor *image_weights(const struct image *image, const char *variant);
/* Their path; free() it. Errors: REFUSED if they are sealed, NOT_FOUND with the names that there are. */
int image_variant_path(const struct image *image, const char *variant, char **out,
                       struct err *err) must_check;
int image_model_path(const struct image *image, char **out, struct err *err) must_check; /* of "fp32" */
bool image_is_sealed(const struct image *image); /* trust/seal/seal.h */
int image_sealed_path(const struct image *image, const char *variant, char **out,
                      struct err *err) must_check; /* likewise, of sealed ones */
int image_golden_path(const struct image *image, char **out, struct err *err) must_check;
/* The reference profile for drift (wire/profile.h); *out NULL: the release has none, which is no error. */
int image_profile_path(const struct image *image, char **out, struct err *err) must_check;

/* The name of a release in index.json and for tools that copy layouts: "detector-2.0.0". */
void image_ref(const struct release *release, char out[128]);

/* Writing. Blobs go in under a temporary name and are renamed when whole; index.json is replaced last. So a
 * layout is valid after a cut at any instruction. One writer at a time: callers that share a layout lock it.
 */
#define LAYOUT_TEMP_PREFIX ".add-"
int layout_init(const char *dir, struct err *err) must_check; /* idempotent */
int layout_add_blob(const char *dir, const void *data, size_t len, struct digest *out,
                    struct err *err) must_check;
int layout_add_file(const char *dir, const char *path, struct digest *out, uint64_t *out_size,
                    struct err *err) must_check;
/* Adds or replaces (by digest, and a signature by subject) a descriptor in index.json, atomically. */
int layout_add_manifest(const char *dir, const struct oci_descriptor *descriptor, struct err *err) must_check;
/* Removes a manifest and its referrers from index.json; blobs stay. */
int layout_remove_manifest(const char *dir, const struct digest *digest, struct err *err) must_check;
int layout_read_index(const char *dir, struct oci_index *out, struct err *err) must_check;
/* Puts the model's signature beside the release as a referrer, replacing an older one. */
int layout_set_model_signature(const char *dir, const struct image *image, const char *bundle,
                               struct err *err) must_check;
/* Removes blobs that no manifest in index.json reaches, and temporary files of an interrupted
 * layout_add_file; counts the bytes. Fails without removing anything if a manifest in index.json cannot be
 * read. */
int layout_collect(const char *dir, uint64_t *out_bytes, struct err *err) must_check;

#endif
