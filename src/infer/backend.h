/* What runs a model: one const vtable per inference engine. Private to this room; others use pipeline.h.
 *
 *     load ─▶ warm ─▶ run, run, run … ─▶ unload
 *
 * The caller owns the tensors' memory and keeps it until unload: a backend binds it once, `run` reads the
 * inputs from there and leaves the outputs there. Neither side allocates per frame. Not thread-safe per
 * model.
 */
#ifndef MUSTER_INFER_BACKEND_H
#define MUSTER_INFER_BACKEND_H

#include "base/err.h"
#include "wire/release.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend_model; /* each backend's own */

struct backend_tensor {
    const struct tensor_spec *spec;
    void *data; /* 64-byte aligned */
    size_t size_bytes;
};

struct backend_load {
    const char *model_path;
    const char *runtime_path; /* NULL: searched, see runtime.h */
    int threads;              /* ≥ 1 */
    bool spin;
    size_t input_count, output_count;
    const struct backend_tensor *inputs, *outputs;
};

struct backend_stats {
    char description[64]; /* "onnxruntime 1.22.0 cpu" */
    uint64_t runs;        /* with warm-up */
    int64_t load_ns;      /* file to ready session */
};

struct backend {
    const char *name;
    /* Errors: UNSUPPORTED without a runtime; REFUSED if the model does not load or has other tensors than the
     * specs. */
    int (*load)(const struct backend_load *load, struct backend_model **out, struct err *err);
    /* The first runs are slow: do them before anybody waits. Errors: REFUSED if the model does not run. */
    int (*warm)(struct backend_model *model, int runs, struct err *err);
    int (*run)(struct backend_model *model, struct err *err);
    void (*stats)(const struct backend_model *model, struct backend_stats *out);
    void (*unload)(struct backend_model *model);
};

extern const struct backend ort_backend; /* ONNX Runtime, CPU */

#endif
