/* For the tests of this room: a network on disk with samples, observed, planned, emitted and looked at in ONNX Runtime. */
#ifndef MUSTER_FORGE_QUANT_QUANT_TESTING_H
#define MUSTER_FORGE_QUANT_QUANT_TESTING_H

#include "base/testing.h"

#include "base/str.h"
#include "forge/quant/emit.h"
#include "forge/testing/layers.h"
#include "forge/testing/nets.h"
#include "infer/lab.h"
#include "infer/runtime.h"
#include "sys/file.h"
#include "sys/scratch_testing.h"

#include <math.h>
#include <stdlib.h>

/* Skips the test where no runtime is. */
static inline void wants_runtime(void)
{
    const struct runtime *runtime = NULL;
    struct err err = {0};
    if (runtime_get(NULL, &runtime, &err) < 0)
        skip();
}

struct trial {
    struct graph *graph; /* float, with types and shapes */
    struct samples *samples;
    struct observation seen;
};

static inline struct samples *trial_samples(int size)
{
    char name[32];
    struct err err = {0};
    struct samples *samples = NULL;
    struct release release = {.input_count = 1, .frame = FRAME_FLOAT32};
    release.inputs[0] =
        (struct tensor_spec){.name = "x", .dtype = DTYPE_FLOAT32, .dim_count = 4, .dims = {1, 3, size, size}};
    snprintf(name, sizeof name, "samples-%d", size);
    if (access(scratch_path(name), F_OK) < 0) {
        assert_ok(file_make_dirs(scratch_path(name), 0755, &err), err);
        assert_ok(net_samples(scratch_path(name), size, 64, 1, &err), err);
    }
    assert_ok(samples_open(scratch_path(name), &release, &samples, &err), err);
    return samples;
}

/* The network has to lie at scratch_path("net.onnx"). */
static inline struct trial trial_open(int size)
{
    struct err err = {0};
    struct trial trial = {.samples = trial_samples(size)};
    size_t count = 0;
    assert_ok(graph_open(scratch_path("net.onnx"), &trial.graph, &err), err);
    assert_ok(observe_shapes(scratch_path("net.onnx"), trial.graph, trial.samples, NULL, &err), err);
    cleanup_free const char **names = quant_plan_tensors(trial.graph, &count);
    assert_non_null(names);
    const struct observe_options options = {0};
    assert_ok(observe(scratch_path("net.onnx"), names, count, trial.samples, &options, &trial.seen, &err),
              err);
    return trial;
}

static inline struct trial trial_of_net(enum net_kind kind, int size)
{
    struct err err = {0};
    const struct net_shape shape = {.size = size};
    assert_ok(net_write(kind, &shape, scratch_path("net.onnx"), &err), err);
    return trial_open(size);
}

static inline void trial_close(struct trial *trial)
{
    graph_free(trial->graph);
    samples_free(trial->samples);
    observation_fini(&trial->seen);
}

static inline void trial_plan(struct trial *trial, enum quant_profile profile, const struct quant_skip *skip,
                              size_t skip_count, struct quant_plan *out)
{
    struct err err = {0};
    const struct quant_options options = {.profile = profile, .weight_bits = 8};
    assert_ok(quant_plan_make(trial->graph, &trial->seen, &options, skip, skip_count, out, &err), err);
}

/* Into scratch_path("quant.onnx"), from a fresh copy of the float graph. */
static inline void trial_emit(struct trial *trial, const struct quant_plan *plan)
{
    struct err err = {0};
    size_t count = 0;
    cleanup_graph struct graph *graph = NULL;
    assert_ok(graph_open(scratch_path("net.onnx"), &graph, &err), err);
    cleanup_free const char **names = quant_plan_tensors(trial->graph, &count);
    for (size_t i = 0; i < count; i++) {
        const struct graph_tensor *known = graph_tensor(trial->graph, names[i]);
        graph_set_shape(graph, names[i], known->dtype, known->dims,
                        known->shaped ? known->dim_count : RELEASE_MAX_DIMS + 1);
    }
    assert_ok(quant_emit(graph, plan, NULL, 0, &err), err);
    assert_ok(graph_save(graph, scratch_path("quant.onnx"), &err), err);
}

static const char *const signed_too[][2] = {{"session.qdqisint8allowed", "1"}};

static inline struct lab *trial_lab(const char *path, enum quant_profile profile, enum lab_level level)
{
    struct err err = {0};
    struct lab *lab = NULL;
    const struct lab_how how = {
        .level = level, .entry_count = profile == PROFILE_CPU_ARM, .entries = signed_too};
    assert_ok(lab_open(path, NULL, 0, &how, &lab, &err), err);
    return lab;
}

/* Signal over noise of all outputs together, in decibels, over the held-out samples. */
static inline double trial_sqnr(struct trial *trial, enum quant_profile profile)
{
    struct err err = {0};
    double signal = 0, noise = 0;
    cleanup_lab struct lab *plain = trial_lab(scratch_path("net.onnx"), profile, LAB_ALL);
    cleanup_lab struct lab *integer = trial_lab(scratch_path("quant.onnx"), profile, LAB_ALL);
    for (size_t i = samples_calibrate(trial->samples); i < samples_count(trial->samples); i++) {
        const struct lab_tensor *inputs = NULL;
        struct lab_tensor a[4], b[4];
        assert_ok(samples_load(trial->samples, i, &inputs, &err), err);
        assert_ok(lab_run(plain, inputs, NULL, 0, a, &err), err);
        assert_ok(lab_run(integer, inputs, NULL, 0, b, &err), err);
        for (size_t k = 0; k < lab_output_count(plain); k++) {
            const float *x = a[k].data, *y = b[k].data;
            assert_int_equal(a[k].bytes, b[k].bytes);
            for (size_t j = 0; j < a[k].bytes / sizeof(float); j++) {
                signal += (double)x[j] * (double)x[j];
                noise += ((double)x[j] - (double)y[j]) * ((double)x[j] - (double)y[j]);
            }
        }
    }
    return 10 * log10(signal / noise);
}

static inline void trial_count(const struct quant_plan *plan, struct unfused *out)
{
    struct err err = {0};
    assert_ok(quant_count_unfused(scratch_path("quant.onnx"), plan, scratch_dir, NULL, out, &err), err);
    if (out->unfused)
        print_message("%zu unfused: %s\n", out->unfused, out->names[0]);
}

/* How many nodes of the operator are in the graph that ONNX Runtime makes of quant.onnx; "float" counts what is left between its Q and DQ. */
static inline size_t trial_optimized(enum quant_profile profile, const char *op)
{
    struct err err = {0};
    size_t count = 0, found = 0;
    cleanup_graph struct graph *graph = NULL;
    const char *path = scratch_path("optimized.onnx");
    const struct lab_how how = {.level = LAB_EXTENDED,
                                .dump_path = path,
                                .entry_count = profile == PROFILE_CPU_ARM,
                                .entries = signed_too};
    assert_ok(lab_dump(scratch_path("quant.onnx"), &how, &err), err);
    assert_ok(graph_open(path, &graph, &err), err);
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    for (size_t i = 0; i < count; i++)
        found += str_eq(nodes[i]->op, op);
    return found;
}

/* ---- networks of a test's own ---- */

static inline struct layers net_begin(void)
{
    struct layers net = {.model = onnx_model_new(8, 17), .random = 1};
    assert_non_null(net.model);
    return net;
}

/* From input x [1, 3, size, size] to the outputs; written to scratch_path("net.onnx"). */
static inline void net_end(struct layers *net, int size, const char *const *outputs, size_t count)
{
    struct err err = {0};
    struct graph *graph = NULL;
    const int64_t dims[] = {1, 3, size, size};
    assert_false(net->failed);
    struct onnx_graph *inner = onnx_model_graph(net->model);
    assert_non_null(
        onnx_model_add_value(net->model, &inner->inputs, &inner->input_count, "x", DTYPE_FLOAT32, dims, 4));
    for (size_t i = 0; i < count; i++)
        assert_non_null(onnx_model_add_value(net->model, &inner->outputs, &inner->output_count, outputs[i],
                                             DTYPE_FLOAT32, NULL, 0));
    assert_ok(graph_of(net->model, &graph, &err), err);
    assert_ok(graph_save(graph, scratch_path("net.onnx"), &err), err);
    graph_free(graph);
}

#endif
