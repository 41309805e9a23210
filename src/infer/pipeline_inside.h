/* The inside of a pipeline: which memory belongs to which tensor. Private to pipeline*.c.
 *
 * Bindings of the backend, in this order; `variants` is 2 for a model with memory, else 1:
 *
 *     own input   turn 0 [turn 1] │ slot 0   turn 0 [turn 1] │ slot 1 …
 *
 * In turn t the state is read from buffers[t] and written to buffers[1 - t]; a run that succeeds ends the turn.
 */
#ifndef MUSTER_INFER_PIPELINE_INSIDE_H
#define MUSTER_INFER_PIPELINE_INSIDE_H

#include "infer/backend.h"
#include "infer/decode_yolov8.h"
#include "infer/pipeline.h"
#include "infer/preprocess.h"
#include "infer/providers.h"
#include "infer/watchdog.h"

struct pipeline_state {
    size_t input, output; /* indices of the tensors */
    void *buffers[2];     /* owned */
    size_t bytes;
};

struct pipeline {
    struct release release;
    const struct backend *backend;
    struct backend_model *model;
    void *inputs[RELEASE_MAX_TENSORS], *outputs[RELEASE_MAX_TENSORS]; /* owned; NULL where it is state */
    struct pipeline_state state[RELEASE_MAX_TENSORS];
    size_t variants;
    size_t turn, last_turn;
    const void *slots[PIPELINE_MAX_SLOTS];
    size_t slot_count;
    size_t frame_floats, value_count;
    struct preprocess preprocess;
    struct decoder decoder;
    struct watchdog *watchdog; /* NULL: no deadlines */
    bool derived;              /* runs the optimized model of this machine */
    double promised; /* runs an engine of the variant "trt": its fidelity to the golden outputs; else 0 */
    enum provider provider; /* that it is loaded with */
    const struct machine *machine;
    char plain_because[160];
    char description[96], degraded[160];
};

/* Memory for all tensors, and what is state. */
int pipeline_make_memory(struct pipeline *pipeline, struct err *err) must_check;
void pipeline_free_memory(struct pipeline *pipeline);
/* Binds both turns of one place of the frame. */
int pipeline_bind_place(struct pipeline *pipeline, void *frame, struct err *err) must_check;
/* Where output `index` went in turn `turn`. */
void *pipeline_output_memory(const struct pipeline *pipeline, size_t index, size_t turn);

/* Loads, binds, warms. After a failure pipeline_unload makes it as it was. */
int pipeline_load(struct pipeline *pipeline, const char *path, bool derived,
                  const struct pipeline_options *options, struct err *err) must_check;
void pipeline_unload(struct pipeline *pipeline);
/* With the best provider that this machine has for the release. */
int pipeline_load_best(struct pipeline *pipeline, const char *model_path,
                       const struct pipeline_options *options, struct err *err) must_check;
/* False: the plain model has to be loaded; pipeline->plain_because says why. */
bool pipeline_load_derived(struct pipeline *pipeline, const char *model_path,
                           const struct pipeline_options *options);
/* Loads the engine that the cache holds. Errors: why there is none, or what is wrong with it. */
int pipeline_load_engine(struct pipeline *pipeline, const char *model_path,
                         const struct pipeline_options *options, struct err *err) must_check;
/* The bare run of a golden case. */
int pipeline_time_golden(struct pipeline *pipeline, const struct golden_case *golden, int64_t *out_ns,
                         struct err *err) must_check;
/* An engine of tensorrt.h itself. `promised`: as in struct pipeline. */
int pipeline_open_engine(const char *path, const struct release *release, const struct machine *machine,
                         const char *runtime_path, double promised, struct pipeline **out,
                         struct err *err) must_check;

/* A file of optimize.h itself. */
int pipeline_open_derived(const char *path, const struct release *release, const char *runtime_path,
                          struct pipeline **out, struct err *err) must_check;

#endif
