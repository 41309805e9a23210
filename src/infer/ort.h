/* ONNX Runtime behind backend.h, its inside. One session per model: sequential, no spinning unless asked for. */
#ifndef MUSTER_INFER_ORT_H
#define MUSTER_INFER_ORT_H

#include "infer/backend.h"
#include "infer/runtime.h"
#include "sys/file.h"

#include <onnxruntime_c_api.h>

/* An IoBinding hands an input over once, when it is made. That is right where the session reads our memory itself, and wrong on
 * accelerators: they would compute the same old frame for ever. There a run names its tensors. */
struct ort_binding {
    OrtIoBinding *io; /* NULL: elsewhere */
    OrtValue *values[2 * RELEASE_MAX_TENSORS];
    size_t value_count;
};

struct backend_model {
    const struct runtime *runtime;
    const OrtApi *api; /* runtime->api */
    OrtSession *session;
    OrtRunOptions *run_options;
    OrtMemoryInfo *memory;
    enum provider provider;
    char provider_version[32]; /* "10.3.0.30" */
    struct file_map derived;   /* the session reads its weights from here */
    bool elsewhere;
    size_t input_count, output_count;
    const struct tensor_spec *inputs, *outputs;
    const char *input_names[RELEASE_MAX_TENSORS], *output_names[RELEASE_MAX_TENSORS];
    struct ort_binding *bindings; /* owned */
    size_t binding_count;
    uint64_t runs;
    int64_t load_ns;
};

/* Turns a status into an error line and releases it. NULL is success. */
int ort_fail(const OrtApi *api, OrtStatus *status, enum err_code code, const char *what, struct err *err);

/* Has the session run on this provider where it can, on the CPU where not. Nothing to do for the CPU itself. Errors: UNSUPPORTED. */
int ort_set_provider(const OrtApi *api, OrtSessionOptions *options, enum provider provider,
                     struct err *err) must_check;
/* The TensorRT provider's own engine of `model_path`, embedded in a model at `out_path`. It takes minutes.
 * Errors: UNSUPPORTED; REFUSED if the model is not for it. */
int ort_write_engine(const char *runtime_path, const char *model_path, const char *out_path, int level,
                     int workspace_mib, struct err *err) must_check;

/* The session of model->session and the specs name the same tensors. Errors: REFUSED. */
int ort_check_tensors(const struct backend_model *model, struct err *err) must_check;

int ort_bind(struct backend_model *model, void *const *inputs, void *const *outputs, size_t *out_binding,
             struct err *err);
void ort_drop(struct backend_model *model, size_t first_binding);

#endif
