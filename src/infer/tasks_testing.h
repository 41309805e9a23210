/* For tests: models for each task with the releases that fit them, in a scratch folder. */
#ifndef MUSTER_INFER_TASKS_TESTING_H
#define MUSTER_INFER_TASKS_TESTING_H

#include "infer/model_testing.h"
#include "infer/pipeline.h"

#include <stdlib.h>

static char scratch_dir[64];

static inline int scratch_open(void **state)
{
    snprintf(scratch_dir, sizeof scratch_dir, "/tmp/muster-infer-XXXXXX");
    assert_non_null(mkdtemp(scratch_dir));
    return 0;
}

static inline int scratch_close(void **state)
{
    struct err err = {0};
    return file_remove_tree(scratch_dir, &err);
}

static inline const char *scratch_path(const char *name)
{
    static char path[2][128];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", scratch_dir, name);
    return path[turn];
}

static inline struct tensor_spec tensor_of(const char *name, int rows, int columns)
{
    struct tensor_spec spec = {.dtype = DTYPE_FLOAT32, .dim_count = 2, .dims = {rows, columns}};
    snprintf(spec.name, sizeof spec.name, "%s", name);
    return spec;
}

/* Frames of `rows` x `columns` floats "x", result "y" of that shape, as values. */
static inline struct release values_release(int rows, int columns)
{
    struct release release = {.name = "test",
                              .version = "1.0.0",
                              .task = TASK_RAW,
                              .frame = FRAME_FLOAT32,
                              .input_count = 1,
                              .output_count = 1,
                              .runtime = {.threads = 1, .provider_count = 1}};
    release.inputs[0] = tensor_of("x", rows, columns);
    release.outputs[0] = tensor_of("y", rows, columns);
    release.postprocess.decoder = DECODER_RAW;
    return release;
}

static inline struct model values_model(int rows, int columns)
{
    struct model model = model_begin();
    model_value(&model, MODEL_INPUT, "x", rows, columns);
    model_value(&model, MODEL_OUTPUT, "y", rows, columns);
    return model;
}

/* y = h_out = x + h: the sum of all frames so far. */
static inline struct release sum_release(int count)
{
    struct release release = values_release(1, count);
    release.inputs[release.input_count++] = tensor_of("h", 1, count);
    release.outputs[release.output_count++] = tensor_of("h_out", 1, count);
    release.state_count = 1;
    snprintf(release.state[0].input, sizeof release.state[0].input, "h");
    snprintf(release.state[0].output, sizeof release.state[0].output, "h_out");
    return release;
}

static inline const char *sum_model(int count)
{
    struct model model = values_model(1, count);
    model_value(&model, MODEL_INPUT, "h", 1, count);
    model_value(&model, MODEL_OUTPUT, "h_out", 1, count);
    model_node(&model, "Add", "x h", "y");
    model_node(&model, "Identity", "y", "h_out");
    const char *path = scratch_path("sum.onnx");
    model_save(&model, path);
    return path;
}

/* y = x · x · x …, `steps` times: slow, with many operators to stop at. */
static inline const char *slow_model(int side, int steps)
{
    struct model model = values_model(side, side);
    char from[16] = "x", inputs[40], to[16];
    for (int i = 0; i < steps; i++) {
        snprintf(inputs, sizeof inputs, "%s x", from);
        snprintf(to, sizeof to, i == steps - 1 ? "y" : "t%d", i);
        model_node(&model, "MatMul", inputs, to);
        snprintf(from, sizeof from, "%s", to);
    }
    const char *path = scratch_path("slow.onnx");
    model_save(&model, path);
    return path;
}

static inline int run_values(struct pipeline *pipeline, const float *x, int count, float *out,
                             struct err *err)
{
    const struct pipeline_frame frame = {.data = x, .width = count, .height = 1};
    struct pipeline_result result = {.values = out, .max_values = PIPELINE_MAX_VALUES};
    return pipeline_process(pipeline, &frame, &result, NULL, err);
}

/* True if there is no runtime on this machine: the tests that need one are skipped. */
static inline bool no_runtime(void)
{
    struct err err = {0};
    struct model model = values_model(1, 2);
    model_node(&model, "Identity", "x", "y");
    const char *path = scratch_path("identity.onnx");
    model_save(&model, path);
    struct release release = values_release(1, 2);
    struct pipeline *pipeline = NULL;
    if (pipeline_open(path, &release, NULL, &pipeline, &err) < 0) {
        print_message("%s\n", err.text);
        return err.code == ERR_UNSUPPORTED;
    }
    pipeline_close(pipeline);
    return false;
}

static inline int scratch_with_runtime(void **state)
{
    scratch_open(state);
    if (no_runtime()) {
        scratch_close(state);
        skip();
    }
    return 0;
}

#endif
