/* What the tensors of a model are like on real samples: streaming, two passes, memory flat in samples, tensors and their sizes.
 *
 *     names ─▶ all of them watched while the model runs (watch.h) ─▶ pass 1 min, max, moments ─▶ pass 2 2,048 bins over [min, max]
 *
 * One session. The same samples give the same bits on one machine, whatever else is observed with them. Written to and read from a file, so
 * that an interrupted run goes on (observation_file.c; bounded: foreign bytes when read).
 */
#ifndef MUSTER_FORGE_CALIB_OBSERVE_H
#define MUSTER_FORGE_CALIB_OBSERVE_H

#include "base/err.h"
#include "base/mem.h"
#include "forge/calib/samples.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OBSERVE_BINS = 2048, OBSERVE_MAX_FILE_BYTES = 512 << 20 };

struct observed {
    const char *name; /* owned by the observation */
    enum tensor_dtype dtype;
    size_t dim_count;
    int64_t dims[RELEASE_MAX_DIMS]; /* of the last sample */
    bool finite;                    /* no NaN or infinity was seen; else the rest is of the finite ones */
    float min, max;
    double mean, mean_square;
    uint64_t count;              /* elements that are finite */
    uint64_t bins[OBSERVE_BINS]; /* equal widths over [min, max]; all in the first one if these are equal */
};

struct observation {
    size_t count; /* sorted by name */
    struct observed *tensors;
};

struct observe_options {
    const char *runtime_path;
    size_t first, count; /* which samples; count 0: those for fitting */
    int (*progress)(void *arg, size_t done, size_t total, struct err *err); /* may stop it: -1; NULL: none */
    void *arg;
};

/* `names`: float32 tensors of the model, any number, inputs of the graph too. Errors: NOT_FOUND for an unknown name; UNSUPPORTED for one of another
 * type; INVALID for samples that are not there; as watch.h says. */
int observe(const char *model_path, const char *const *names, size_t name_count, struct samples *samples,
            const struct observe_options *options, struct observation *out, struct err *err) must_check;
const struct observed *observation_find(const struct observation *observation,
                                        const char *name); /* NULL: none */
int observation_save(const struct observation *observation, const char *path, struct err *err) must_check;
int observation_load(const char *path, struct observation *out, struct err *err) must_check;
/* The same in memory. Errors: INVALID; what is read holds: sorted unique names, finite min ≤ max, bins that add up to count. */
struct buf;
int observation_format(const struct observation *observation, struct buf *out, struct err *err) must_check;
int observation_parse(const uint8_t *data, size_t len, struct observation *out, struct err *err) must_check;
void observation_fini(struct observation *observation);
#define cleanup_observation __attribute__((cleanup(observation_fini)))

/* Runs the model once and tells the graph the types and shapes of all its tensors (shape inference is ONNX Runtime's). */
struct graph;
int observe_shapes(const char *model_path, struct graph *graph, struct samples *samples,
                   const char *runtime_path, struct err *err) must_check;

#endif
