/* What optimize works on: a release.yaml, or a bare ONNX file with guesses where it says nothing of itself. */
#ifndef MUSTER_FORGE_OPTIMIZE_TARGET_H
#define MUSTER_FORGE_OPTIMIZE_TARGET_H

#include "base/digest.h"
#include "forge/optimize/optimize.h"

struct optimize_target {
    bool bare;
    char *model_path;       /* owned */
    char tap[64];           /* of release.yaml; "": none */
    char *work_path;        /* what is worked on: the model, or it with its tap (target_expose). Owned */
    struct release release; /* of a bare model only after target_describe */
    struct digest digest;   /* of the model with its external data, and of release.yaml */
    struct digest file;     /* SHA-256 of the ONNX file: what the report says it is about */
    uint64_t size_bytes, parameters;
    size_t fixed_count;
    struct optimize_fixed fixed[OPTIMIZE_MAX_FIXED]; /* the job's, or the shapes of the release */
};

/* Reads the model wholly, writes nothing. Errors: as graph_open, release_parse_yaml; USAGE for guesses beside a release.yaml. */
int target_read(const struct optimize_job *job, struct optimize_target *out, struct err *err) must_check;
/* Of a bare model: the release as its prepared form says, with the job's guesses. Nothing to do for a release.yaml but to compare. Errors:
 * UNSUPPORTED if inputs are in another order than the release's. */
int target_describe(const struct optimize_job *job, const char *prepared_path, struct optimize_target *target,
                    struct err *err) must_check;
/* With a tap: writes the model with it as its last output to `path`, and works on that. Errors: as graph_expose. */
int target_expose(struct optimize_target *target, const char *path, struct err *err) must_check;
void target_free_parts(struct optimize_target *target);
#define cleanup_optimize_target __attribute__((cleanup(target_free_parts)))

#endif
