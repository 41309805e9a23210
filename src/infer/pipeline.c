#include "infer/pipeline.h"

#include "base/clock.h"
#include "base/mem.h"
#include "infer/backend.h"
#include "infer/convert.h"
#include "infer/decode_yolov8.h"
#include "infer/preprocess.h"

#include <malloc.h>
#include <math.h>

enum { WARM_RUNS = 4, ALIGNMENT = 64, MAX_TENSOR_BYTES = 256 << 20 };

struct pipeline {
    struct release release;
    const struct backend *backend;
    struct backend_model *model;
    struct backend_tensor inputs[RELEASE_MAX_TENSORS], outputs[RELEASE_MAX_TENSORS]; /* data owned */
    struct preprocess preprocess;
    struct decoder decoder;
    struct backend_stats stats;
};

static size_t element_size(enum tensor_dtype dtype)
{
    switch (dtype) {
    case DTYPE_FLOAT32:
    case DTYPE_INT32:
        return 4;
    case DTYPE_INT64:
        return 8;
    case DTYPE_UINT8:
    case DTYPE_INT8:
        return 1;
    }
    return 0;
}

static int tensor_bytes(const struct tensor_spec *spec, size_t *out, struct err *err)
{
    uint64_t bytes = element_size(spec->dtype);
    for (size_t i = 0; i < spec->dim_count; i++) {
        if (spec->dims[i] < 1 || spec->dims[i] > MAX_TENSOR_BYTES)
            return err_set(err, ERR_INVALID, "tensor %s: dimension %zu is out of range", spec->name, i);
        bytes *= (uint64_t)spec->dims[i];
        if (bytes > MAX_TENSOR_BYTES)
            return err_set(err, ERR_TOO_BIG, "tensor %s takes more than %d MiB", spec->name,
                           MAX_TENSOR_BYTES >> 20);
    }
    *out = bytes;
    return 0;
}

static int make_tensor(const struct tensor_spec *spec, struct backend_tensor *out, struct err *err)
{
    out->spec = spec;
    if (tensor_bytes(spec, &out->size_bytes, err) < 0)
        return -1;
    size_t rounded = (out->size_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    out->data = aligned_alloc(ALIGNMENT, rounded);
    if (!out->data)
        return err_no_memory(err);
    memset(out->data, 0, rounded);
    return 0;
}

static int make_tensors(struct pipeline *pipeline, struct err *err)
{
    const struct release *release = &pipeline->release;
    for (size_t i = 0; i < release->input_count; i++)
        if (make_tensor(&release->inputs[i], &pipeline->inputs[i], err) < 0)
            return -1;
    for (size_t i = 0; i < release->output_count; i++)
        if (make_tensor(&release->outputs[i], &pipeline->outputs[i], err) < 0)
            return -1;
    return 0;
}

static int load(struct pipeline *pipeline, const char *model_path, const struct pipeline_options *options,
                struct err *err)
{
    const struct backend_load request = {
        .model_path = model_path,
        .runtime_path = options ? options->runtime_path : NULL,
        .threads = options && options->threads > 0 ? options->threads : 1,
        .spin = options && options->spin,
        .input_count = pipeline->release.input_count,
        .output_count = pipeline->release.output_count,
        .inputs = pipeline->inputs,
        .outputs = pipeline->outputs,
    };
    return pipeline->backend->load(&request, &pipeline->model, err);
}

static int open_parts(struct pipeline *pipeline, const char *model_path,
                      const struct pipeline_options *options, struct err *err)
{
    const struct release *release = &pipeline->release;
    if (preprocess_init(&pipeline->preprocess, release, err) < 0)
        return -1;
    if (release->postprocess.decoder == DECODER_YOLOV8 && decoder_init(&pipeline->decoder, release, err) < 0)
        return -1;
    if (make_tensors(pipeline, err) < 0 || load(pipeline, model_path, options, err) < 0 ||
        pipeline->backend->warm(pipeline->model, WARM_RUNS, err) < 0)
        return -1;
    pipeline->backend->stats(pipeline->model, &pipeline->stats);
    malloc_trim(0); /* optimizing the graph left a few MiB that nobody will ask for again */
    return 0;
}

int pipeline_open(const char *model_path, const struct release *release,
                  const struct pipeline_options *options, struct pipeline **out, struct err *err)
{
    struct pipeline *pipeline = mem_zalloc(1, sizeof *pipeline);
    if (!pipeline)
        return err_no_memory(err);
    pipeline->release = *release;
    pipeline->backend = &ort_backend;
    if (open_parts(pipeline, model_path, options, err) < 0) {
        pipeline_close(pipeline);
        return -1;
    }
    *out = pipeline;
    return 0;
}

void pipeline_close(struct pipeline *pipeline)
{
    if (!pipeline)
        return;
    if (pipeline->model)
        pipeline->backend->unload(pipeline->model);
    for (size_t i = 0; i < RELEASE_MAX_TENSORS; i++) {
        free(pipeline->inputs[i].data);
        free(pipeline->outputs[i].data);
    }
    decoder_fini(&pipeline->decoder);
    preprocess_fini(&pipeline->preprocess);
    free(pipeline);
}

static int check_finite(const struct pipeline *pipeline, struct err *err)
{
    for (size_t i = 0; i < pipeline->release.output_count; i++) {
        size_t count = 0;
        const float *values = pipeline_output(pipeline, i, &count);
        if (values && convert_any_nonfinite(values, count))
            return err_set(err, ERR_INVALID, "output %s holds NaN or infinity",
                           pipeline->release.outputs[i].name);
    }
    return 0;
}

static size_t decode(struct pipeline *pipeline, int width, int height, struct detection *out, size_t max)
{
    if (pipeline->release.postprocess.decoder != DECODER_YOLOV8)
        return 0;
    size_t limit = MIN(max, (size_t)pipeline->release.postprocess.max_detections);
    return decoder_run(&pipeline->decoder, pipeline->outputs[0].data, &pipeline->preprocess.placement, width,
                       height, out, limit);
}

int pipeline_run(struct pipeline *pipeline, const uint8_t *rgb, int width, int height, struct detection *out,
                 size_t max, size_t *out_count, struct pipeline_times *times, struct err *err)
{
    int64_t start = clock_mono_ns();
    if (preprocess_run(&pipeline->preprocess, rgb, width, height, pipeline->inputs[0].data, err) < 0)
        return -1;
    int64_t ready = clock_mono_ns();
    if (pipeline->backend->run(pipeline->model, err) < 0)
        return -1;
    int64_t ran = clock_mono_ns();
    if (check_finite(pipeline, err) < 0)
        return -1;
    *out_count = decode(pipeline, width, height, out, max);
    if (times)
        *times = (struct pipeline_times){
            .preprocess_ns = ready - start, .run_ns = ran - ready, .decode_ns = clock_mono_ns() - ran};
    return 0;
}

const float *pipeline_output(const struct pipeline *pipeline, size_t index, size_t *out_len)
{
    if (index >= pipeline->release.output_count || pipeline->outputs[index].spec->dtype != DTYPE_FLOAT32)
        return NULL;
    *out_len = pipeline->outputs[index].size_bytes / sizeof(float);
    return pipeline->outputs[index].data;
}

const char *pipeline_backend(const struct pipeline *pipeline)
{
    return pipeline->stats.description;
}

/* Compares one output with what the packing machine got. Written so that a NaN never passes. */
static int compare_output(const float *got, const uint8_t *want_bytes, size_t count, double tolerance,
                          struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        float want;
        memcpy(&want, want_bytes + 4 * i, sizeof want);
        double allowed = tolerance * fmax(1, fabs((double)want));
        if (!(fabs((double)got[i] - (double)want) <= allowed))
            return err_set(err, ERR_REFUSED,
                           "element %zu is %.6g, the packing machine got %.6g (tolerance %g)", i,
                           (double)got[i], (double)want, tolerance);
    }
    return 0;
}

static int compare_case(const struct pipeline *pipeline, const struct golden_case *expected, double tolerance,
                        struct err *err)
{
    if (expected->output_count != pipeline->release.output_count)
        return err_set(err, ERR_REFUSED, "%u outputs, the release has %zu", expected->output_count,
                       pipeline->release.output_count);
    for (size_t i = 0; i < expected->output_count; i++) {
        const char *name = pipeline->release.outputs[i].name;
        size_t count = 0;
        const float *got = pipeline_output(pipeline, i, &count);
        if (!got || count != expected->output_len[i])
            return err_set(err, ERR_REFUSED, "output %s: %u elements, the release has %zu", name,
                           expected->output_len[i], count);
        if (compare_output(got, expected->outputs[i], count, tolerance, err) < 0)
            return err_prefix(err, "output %s", name);
    }
    return 0;
}

static int test_case(struct pipeline *pipeline, const struct golden_case *expected, double tolerance,
                     struct err *err)
{
    struct detection found[1];
    size_t count = 0;
    if (pipeline_run(pipeline, expected->rgb, (int)expected->width, (int)expected->height, found,
                     ARRAY_LEN(found), &count, NULL, err) < 0) {
        err->code = ERR_REFUSED;
        return -1;
    }
    return compare_case(pipeline, expected, tolerance, err);
}

int pipeline_self_test(struct pipeline *pipeline, const struct golden *golden, double tolerance,
                       struct err *err)
{
    for (uint32_t i = 0; i < golden->count; i++)
        if (test_case(pipeline, &golden->cases[i], tolerance, err) < 0)
            return err_prefix(err, "golden case %u", i);
    return 0;
}
