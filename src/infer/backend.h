/* What runs a model: one const vtable per inference engine. Private to this room; others use pipeline.h.
 *
 *     load ─▶ bind, bind … ─▶ warm ─▶ run(b), run(b), run(b) … ─▶ unload
 *
 * A binding says where each input lies and where each output goes. The caller owns that memory and keeps it until the
 * binding is dropped. A run copies and allocates nothing of ours: only the number of the binding changes from frame to
 * frame. Not thread-safe per model, but for `terminate`.
 */
#ifndef MUSTER_INFER_BACKEND_H
#define MUSTER_INFER_BACKEND_H

#include "base/err.h"
#include "wire/release.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend_model; /* each backend's own */

struct backend_load {
    const char *model_path;
    const void *model; /* in memory; NULL: the file. Borrowed during load */
    size_t model_size;
    const char *runtime_path; /* NULL: searched, see runtime.h */
    int threads;              /* ≥ 1 */
    bool spin;
    bool derived;                 /* the file is what `optimize` wrote on this machine */
    enum provider provider;       /* TENSORRT: the file holds an engine that was made on this machine */
    const char *provider_version; /* for stats; NULL: none */
    bool
        elsewhere; /* the model computes in other memory than ours: each run hands its inputs over and fetches its outputs */
    size_t input_count, output_count;
    const struct tensor_spec *inputs, *outputs; /* borrowed until unload */
};

struct backend_stats {
    char description[64]; /* "onnxruntime 1.22.0 cpu", "… tensorrt 10.3.0.30" */
    uint64_t runs;        /* with warm-up */
    int64_t load_ns;      /* file to ready session */
};

struct backend {
    const char *name;
    /* Errors: UNSUPPORTED without a runtime; REFUSED if the model does not load or has other tensors than the
     * specs. */
    int (*load)(const struct backend_load *load, struct backend_model **out, struct err *err);
    /* One pointer per input and output. *out_binding counts from 0 up. */
    int (*bind)(struct backend_model *model, void *const *inputs, void *const *outputs, size_t *out_binding,
                struct err *err);
    void (*drop)(struct backend_model *model, size_t first_binding); /* this one and all later ones */
    /* The first runs are slow: do them before anybody waits. Errors: REFUSED if the model does not run. */
    int (*warm)(struct backend_model *model, size_t binding, int runs, struct err *err);
    int (*run)(struct backend_model *model, size_t binding, struct err *err);
    /* From another thread: the run in progress fails at its next operator. `renew`, from the model's own thread, makes
     * it fit for the next run. */
    void (*terminate)(struct backend_model *model);
    void (*renew)(struct backend_model *model);
    void (*stats)(const struct backend_model *model, struct backend_stats *out);
    void (*unload)(struct backend_model *model);
};

extern const struct backend ort_backend; /* ONNX Runtime */

#endif
