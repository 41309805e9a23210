/* What the tensors of a model are like on real samples: streaming, two passes, memory flat in samples and tensors' sizes.
 *
 *     names ─▶ chunks of outputs (as many as fit the memory allowance) ─▶ per chunk: pass 1 min, max ─▶ pass 2 2,048 bins over [min, max]
 *
 * One session at a time. The same samples give the same bits, whatever the chunks. Written to and read from a file, so that an interrupted
 * run goes on (little-endian, versioned, bounded: foreign bytes when read).
 */
#ifndef MUSTER_FORGE_CALIB_OBSERVE_H
#define MUSTER_FORGE_CALIB_OBSERVE_H

#include "base/err.h"
#include "base/mem.h"
#include "forge/calib/samples.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OBSERVE_BINS = 2048 };

struct observed {
    const char *name; /* owned by the observation */
    enum tensor_dtype dtype;
    size_t dim_count;
    int64_t dims[RELEASE_MAX_DIMS]; /* of the last sample */
    bool finite;                    /* no NaN or infinity was seen; else the rest is of the finite ones */
    float min, max;
    double mean, mean_square;
    uint64_t count;              /* elements */
    uint64_t bins[OBSERVE_BINS]; /* equal widths over [min, max]; all in the first one if these are equal */
};

struct observation {
    size_t count; /* sorted by name */
    struct observed *tensors;
};

struct observe_options {
    const char *runtime_path;
    size_t memory_bytes; /* allowance for outputs per run; 0: 32 MiB */
    size_t first, count; /* which samples; count 0: those for fitting */
    int (*progress)(void *arg, size_t done, size_t total, struct err *err); /* may stop it: -1; NULL: none */
    void *arg;
};

/* `names`: float32 tensors of the model, any number, inputs of the graph too. Errors: NOT_FOUND for an unknown name; as lab and samples say. */
int observe(const char *model_path, const char *const *names, size_t name_count, struct samples *samples,
            const struct observe_options *options, struct observation *out, struct err *err) must_check;
const struct observed *observation_find(const struct observation *observation,
                                        const char *name); /* NULL: none */
int observation_save(const struct observation *observation, const char *path, struct err *err) must_check;
int observation_load(const char *path, struct observation *out, struct err *err) must_check;
void observation_fini(struct observation *observation);
#define cleanup_observation __attribute__((cleanup(observation_fini)))

/* Runs the model once and tells the graph the types and shapes of all its tensors (shape inference is ONNX Runtime's). */
struct graph;
int observe_shapes(const char *model_path, struct graph *graph, struct samples *samples,
                   const char *runtime_path, struct err *err) must_check;

#endif
