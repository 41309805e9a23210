/* From release.yaml to a release: an OCI layout (wire/oci.h) that says what it needs, carries its own test
 * and is the same bytes every time.
 *
 *     release.yaml ──▶ tensors of the ONNX file against the yaml ──▶ load and run it here ──▶ golden.bin
 *                  ──▶ blobs, config, manifest ──▶ index.json
 *
 * Layers in this order: model.onnx, release.json, golden.bin, the variants (cpu-x86.onnx …, forge/pack_variants.h) and TensorRT's timing cache, the
 * reference profile for drift (profile.bin), then evaluation, recipe and the optimizer's reports if the yaml names them, then the engine if it is wanted, then the bill of materials (sbom.cdx.json, forge/sbom.h). No clock, user name or path gets in; `created` is what the yaml or the caller says, else
 * 1970-01-01T00:00:00Z.
 */
#ifndef MUSTER_FORGE_PACK_H
#define MUSTER_FORGE_PACK_H

#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct seal_key;

/* What a reference profile is made from. All borrowed. */
struct pack_profile_job {
    const char *model_path;        /* with its tap */
    const struct release *release; /* likewise, and with its variants */
    const char *calib;             /* folder of frames */
    const char *runtime_path;
    void (*progress)(size_t done, size_t total, void *arg); /* NULL: none */
    void *progress_arg;
};
typedef int pack_profile_maker(const struct pack_profile_job *job, struct buf *out, struct err *err);

struct pack_options {
    const char *runtime_path; /* NULL: see infer/runtime.h */
    const char *created;      /* RFC 3339; NULL: the yaml's. (SOURCE_DATE_EPOCH is the caller's business.) */
    const struct seal_key
        *seal;   /* the weights are encrypted with this content key (trust/seal/seal.h); NULL: they are not */
    bool engine; /* carries its engine: forge/engine.h */
    pack_profile_maker *
        make_profile; /* profile_make_bytes (forge/profile/profile.h); NULL: a yaml that asks for one is refused */
    void (*progress)(size_t done, size_t total, void *arg); /* of making the profile, in frames; NULL: none */
    void *progress_arg;
};

struct pack_report {
    struct digest digest; /* of the manifest: the release's identity */
    uint64_t total_bytes; /* manifest, config and layers */
    size_t golden_count;
    char name[64], version[64], ref[128];
    char backend[64]; /* what computed the golden outputs */
    bool profile;     /* it has a reference profile */
    char model_signer
        [65]; /* fingerprint of the key that the model's signature was checked with; "": none was asked for */
};

/* `dir` is made, or must be empty or a layout, whose release is then replaced. Nothing is written before all
 * checks pass. Errors: INVALID for a bad yaml; UNTRUSTED for a model that is
 * not what its signature says; REFUSED for a model that does not load, has other tensors than
 * the yaml says, gives NaN or does not repeat itself; UNSUPPORTED without a runtime; EXISTS if `dir` holds
 * something else. */
int pack_release(const char *yaml_path, const char *dir, const struct pack_options *options,
                 struct pack_report *out, struct err *err) must_check;

#endif
