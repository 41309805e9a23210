/* release.yaml: what the packer is told. The fields of release.json (wire/release.h), and where to find the
 * parts:
 *
 *     model:      {path: model.onnx, …}
 *                 signature: model.sig, key: vendor.pub         optional: packed only if this model signature (trust/oms/oms.h) by
 *                                                               this key names the file, unchanged
 *     golden:     {inputs: ../golden, tolerance: 0.001}    a folder of pictures, or a pattern like ../golden/site-*.png;
 *                                                           for frames of floats: of .npy or .f32 files (forge/floats.h)
 *     created:    2026-01-02T03:04:05Z                      optional; no clock is ever asked
 *     evaluation: evaluation.json                           optional; carried along as a document
 *     recipe:     recipe.json                               optional; likewise
 *     variants:   {cpu-x86: x86.onnx, cpu-arm: arm.onnx, trt: trt.onnx}     optional, each of them
 *     optimized:  optimized                                 optional: a folder that muster optimize made; every profile that it promoted
 *                                                           and that `variants` does not name becomes a variant; its reports are documents
 *     trt:        {timing_cache: timing.cache}              optional: what TensorRT measured on such machines
 *     tap:        /model/9/act/Mul_output_0                 optional: a tensor inside of the model that becomes its last output (forge/tap.h)
 *     profile:    profile.bin                               optional: the reference profile for drift (wire/profile.h), made before; or
 *                 {calib: DIR, save: FILE}                  made now (forge/profile/profile.h) from the frames in DIR, and kept in `save` (optional)
 *
 * Paths are relative to the folder of release.yaml.
 */
#ifndef MUSTER_FORGE_RECIPE_H
#define MUSTER_FORGE_RECIPE_H

#include "base/digest.h"
#include "base/err.h"
#include "wire/release.h"

#include <stddef.h>

enum { RECIPE_MAX_DOCUMENTS = 4 };

struct recipe_variant {
    char name[16];
    char *path; /* owned */
    double
        fidelity_lower; /* what the optimizer proved on held-out samples; 1: it was not asked, or measured nothing */
};

struct recipe {
    struct release release;
    char *model_path;                /* all owned */
    char *signature, *signature_key; /* of the model; NULL: none is asked for */
    char *golden_inputs;             /* folder or pattern */
    char created[40];                /* "" if not said */
    size_t document_count;
    char *documents[RECIPE_MAX_DOCUMENTS];
    size_t variant_count;
    struct recipe_variant variants[RELEASE_MAX_VARIANTS]; /* in the order of variant_names */
    struct digest
        optimized_of;   /* the model that `optimized` was made of; zero: it does not say, or there is none */
    char *timing_cache; /* NULL: none */
    char tap[64];       /* "": none */
    struct {            /* of the reference profile: a file, or what to make it from; all NULL: none */
        char *file, *calib, *save;
    } profile;
};

int recipe_read(const char *yaml_path, struct recipe *out, struct err *err) must_check;
void recipe_fini(struct recipe *recipe);
#define cleanup_recipe __attribute__((cleanup(recipe_fini)))

/* The files that golden.inputs means, sorted by name. *out: array of paths, each and the array to be freed
 * by recipe_free_paths. Errors: NOT_FOUND if there is none, TOO_BIG for more than GOLDEN_MAX_CASES. */
int recipe_list_golden(const struct recipe *recipe, char ***out, size_t *out_count,
                       struct err *err) must_check;
void recipe_free_paths(char **paths, size_t count);

#endif
