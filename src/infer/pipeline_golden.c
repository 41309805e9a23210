/* The self-test: does the model give here what it gave on the packing machine? */
#include "base/mem.h"
#include "infer/pipeline_inside.h"

#include <math.h>

/* Written so that a NaN never passes. */
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
    if (expected->output_count != release_answer_count(&pipeline->release))
        return err_set(err, ERR_REFUSED, "%u outputs, the release has %zu", expected->output_count,
                       release_answer_count(&pipeline->release));
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

static int run_case(struct pipeline *pipeline, const struct golden_case *expected,
                    struct pipeline_times *times, struct err *err)
{
    struct detection found[1];
    float value;
    struct pipeline_result result = {
        .detections = found, .max_detections = ARRAY_LEN(found), .values = &value, .max_values = 1};
    const struct pipeline_frame frame = {
        .data = expected->data, .width = (int)expected->width, .height = (int)expected->height};
    if (expected->format != pipeline->release.frame)
        return err_set(err, ERR_REFUSED, "a frame of another format than the release has");
    if (pipeline_process(pipeline, &frame, &result, times, err) == 0)
        return 0;
    err->code = ERR_REFUSED;
    return -1;
}

static int test_case(struct pipeline *pipeline, const struct golden_case *expected, double tolerance,
                     struct err *err)
{
    if (run_case(pipeline, expected, NULL, err) < 0)
        return -1;
    return compare_case(pipeline, expected, tolerance, err);
}

int pipeline_time_golden(struct pipeline *pipeline, const struct golden_case *golden, int64_t *out_ns,
                         struct err *err)
{
    struct pipeline_times times = {0};
    int result = run_case(pipeline, golden, &times, err);
    *out_ns = times.run_ns;
    return result;
}

static int test_variant(struct pipeline *pipeline, const struct golden *golden, struct err *err)
{
    double alike = 0;
    if (pipeline_golden_fidelity(pipeline, golden, &alike, err) < 0)
        return -1;
    if (alike >= pipeline->promised)
        return 0;
    return err_set(err, ERR_REFUSED,
                   "agrees with the model to %.3f on golden frames, the release promises %.3f", alike,
                   pipeline->promised);
}

int pipeline_self_test(struct pipeline *pipeline, const struct golden *golden, double tolerance,
                       struct err *err)
{
    int result = 0;
    if (pipeline->promised > 0)
        return test_variant(pipeline, golden, err);
    pipeline_reset_state(pipeline);
    for (uint32_t i = 0; i < golden->count && result == 0; i++) {
        result = test_case(pipeline, &golden->cases[i], tolerance, err);
        if (result < 0)
            err_prefix(err, "golden case %u", i);
    }
    pipeline_reset_state(pipeline);
    return result;
}
