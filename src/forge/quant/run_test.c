#include "forge/quant/quant.h"

#include "base/str.h"
#include "forge/calib/calib_testing.h"
#include "forge/testing/nets.h"

#include <sys/stat.h>
#include <unistd.h>

enum { SAMPLES = 24, SIZE = 16 };

/* ---- a net on the table ---- */

struct bench {
    char *model, *out, *work; /* owned */
    struct samples *samples;  /* owned */
    struct observation seen;
    struct fidelity fidelity;
};

static void bench_close(struct bench *bench)
{
    free(bench->model);
    free(bench->out);
    free(bench->work);
    samples_free(bench->samples);
    observation_fini(&bench->seen);
}
#define cleanup_bench __attribute__((cleanup(bench_close)))

static void observe_all(struct bench *bench)
{
    cleanup_graph struct graph *graph = NULL;
    const struct observe_options options = {0};
    struct err err = {0};
    size_t count = 0;
    assert_ok(graph_open(bench->model, &graph, &err), err);
    assert_ok(observe_shapes(bench->model, graph, bench->samples, NULL, &err), err);
    const char **names = quant_plan_tensors(graph, &count);
    assert_non_null(names);
    assert_ok(observe(bench->model, names, count, bench->samples, &options, &bench->seen, &err), err);
    free(names);
}

static void open_bench(struct bench *bench, struct graph *graph)
{
    struct release release = {.input_count = 1, .frame = FRAME_FLOAT32};
    struct err err = {0};
    release.inputs[0] =
        (struct tensor_spec){.name = "x", .dtype = DTYPE_FLOAT32, .dim_count = 4, .dims = {1, 3, SIZE, SIZE}};
    *bench = (struct bench){.model = mem_strdup(scratch_path("net.onnx")),
                            .out = mem_strdup(scratch_path("out.onnx")),
                            .work = mem_strdup(scratch_path("work/x"))};
    *strrchr(bench->work, '/') = '\0';
    unlink(bench->out);
    assert_ok(graph_save(graph, bench->model, &err), err);
    assert_ok(file_make_dirs(scratch_path("samples/x"), 0755, &err), err);
    assert_ok(net_samples(scratch_path("samples"), SIZE, SAMPLES, 7, &err), err);
    assert_ok(file_remove_tree(scratch_path("samples/x"), &err), err);
    assert_ok(samples_open(scratch_path("samples"), &release, &bench->samples, &err), err);
    observe_all(bench);
    bench->fidelity = (struct fidelity){.kind = FIDELITY_VALUES, .output_count = 1};
}

static struct graph *small_net(enum net_kind kind)
{
    struct graph *graph = NULL;
    struct err err = {0};
    const struct net_shape shape = {.size = SIZE, .channels = 16, .blocks = 2, .seed = 11};
    assert_ok(net_build(kind, &shape, &graph, &err), err);
    return graph;
}

static struct quant_job job_for(const struct bench *bench, enum quant_profile profile, double target)
{
    return (struct quant_job){.model_path = bench->model,
                              .seen = &bench->seen,
                              .samples = bench->samples,
                              .options = {.profile = profile, .weight_bits = 8},
                              .fidelity = &bench->fidelity,
                              .target = target,
                              .work_dir = bench->work,
                              .out_path = bench->out};
}

static bool work_is_empty(const struct bench *bench)
{
    return rmdir(bench->work) == 0 && mkdir(bench->work, 0755) == 0;
}

/* ---- whatever the net and the profile ---- */

static void check_outcome(const struct quant_outcome *out, const char *path)
{
    size_t reverted = 0;
    cleanup_graph struct graph *graph = NULL;
    struct err err = {0};
    for (size_t i = 0; i < out->plan.node_count; i++) {
        assert_true(out->plan.nodes[i].integer == (out->plan.nodes[i].why == NULL));
        reverted += !out->plan.nodes[i].integer && str_eq(out->plan.nodes[i].why, "sensitivity");
    }
    assert_int_equal(out->unfused.unfused, 0);
    assert_true(out->fidelity >= out->plain_fidelity);
    assert_true(out->bias_kept <= out->bias_tried);
    for (size_t i = 0; i < out->group_count; i++) {
        assert_non_null(out->sensitivity[i].node);
        assert_true(i == 0 || out->sensitivity[i].sqnr_db >= out->sensitivity[i - 1].sqnr_db);
        const struct quant_node *node = quant_plan_node(&out->plan, out->sensitivity[i].node);
        assert_true(!out->sensitivity[i].reverted || !node || !node->integer);
    }
    assert_true((reverted > 0) == (out->group_count > 0 && out->sensitivity[0].reverted));
    assert_ok(graph_open(path, &graph, &err), err);
}

static void the_outcome_is_no_worse_than_the_plain_plan(void **state)
{
    static const enum net_kind kinds[] = {NET_RESIDUAL, NET_SILU, NET_SQUEEZE, NET_CONCAT};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        cleanup_graph struct graph *graph = small_net(kinds[k]);
        cleanup_bench struct bench bench;
        open_bench(&bench, graph);
        for (int profile = 0; profile < PROFILE_COUNT; profile++)
            for (int strict = 0; strict < 2; strict++) {
                struct err err = {0};
                struct quant_job job = job_for(&bench, (enum quant_profile)profile, strict ? 0.995 : 0);
                cleanup_quant_outcome struct quant_outcome out = {0};
                job.correct_bias = job.second_order = strict;
                assert_ok(quant_run(&job, &out, &err), err);
                check_outcome(&out, bench.out);
                assert_true(work_is_empty(&bench));
                if (strict)
                    assert_true(out.fidelity >= 0.995);
                else
                    assert_true(out.fidelity > 0.8 && out.bias_tried == 0 && out.group_count == 0);
            }
    }
}

/* ---- one layer that integers cannot do ---- */

static struct onnx_node *nth_conv(struct graph *graph, size_t n)
{
    size_t count = 0;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    for (size_t i = 0; i < count; i++)
        if (graph_is_op(nodes[i], "Conv") && n-- == 0)
            return nodes[i];
    fail_msg("the net has too few convolutions");
    return NULL;
}

static float *weights_of(struct graph *graph, const struct onnx_node *node, size_t input)
{
    return (float *)(uintptr_t)graph_input(graph, node, input)->weight->data.data;
}

/* The first channel of `maker` is always 0, and `reader` multiplies it by `weight`: nothing for floats, but its grids must reach that far. */
static void plant_dead_channel(struct graph *graph, struct onnx_node *maker, struct onnx_node *reader,
                               float weight)
{
    const int64_t *dims = graph_input(graph, reader, 1)->weight->dims;
    const size_t per_filter = (size_t)(dims[1] * dims[2] * dims[3]), kernel = (size_t)(dims[2] * dims[3]);
    float *w = weights_of(graph, maker, 1);
    const int64_t *made = graph_input(graph, maker, 1)->weight->dims;
    for (int64_t i = 0; i < made[1] * made[2] * made[3]; i++)
        w[i] = 0;
    weights_of(graph, maker, 2)[0] = -1;
    for (int64_t f = 0; f < dims[0]; f++)
        for (size_t k = 0; k < kernel; k++)
            weights_of(graph, reader, 1)[(size_t)f * per_filter + k] = weight;
}

static void exactly_the_layer_that_hurts_goes_back(void **state)
{
    for (int profile = 0; profile < PROFILE_COUNT; profile++) {
        cleanup_graph struct graph *graph = small_net(NET_RESIDUAL);
        cleanup_bench struct bench bench;
        struct err err = {0};
        struct onnx_node *bad = nth_conv(graph, 2);
        for (size_t i = 0; i < onnx_weight_elements(graph_input(graph, bad, 1)->weight); i++)
            weights_of(graph, bad, 1)[i] *= 4;
        plant_dead_channel(graph, nth_conv(graph, 1), bad, 1000);
        open_bench(&bench, graph);
        const struct quant_job job = job_for(&bench, (enum quant_profile)profile, 0.9);
        cleanup_quant_outcome struct quant_outcome out = {0};
        assert_ok(quant_run(&job, &out, &err), err);
        check_outcome(&out, bench.out);
        assert_true(out.plain_fidelity < 0.9 && out.fidelity >= 0.9);
        assert_string_equal(out.sensitivity[0].node, bad->name);
        assert_true(out.sensitivity[0].reverted && !out.sensitivity[1].reverted);
        for (size_t i = 0; i < out.plan.node_count; i++) {
            const struct quant_node *node = &out.plan.nodes[i];
            if (node->weighted)
                assert_true(str_eq(node->node, bad->name) == (node->why && str_eq(node->why, "sensitivity")));
        }
    }
}

/* ---- a layer whose rounding shifts its mean ---- */

/* All other weights of the reader become a third of a step: they round to nothing, and with them goes a mean that the bias can give back. */
static void plant_shift(struct graph *graph, struct onnx_node *maker, struct onnx_node *reader)
{
    const size_t count = onnx_weight_elements(graph_input(graph, reader, 1)->weight);
    float *w = weights_of(graph, reader, 1);
    for (size_t i = 0; i < count; i++)
        w[i] = 0.02F;
    plant_dead_channel(graph, maker, reader, 0.06F * 127);
}

static void bias_correction_gives_a_lost_mean_back(void **state)
{
    for (int profile = 0; profile < PROFILE_COUNT; profile++) {
        cleanup_graph struct graph *graph = small_net(NET_RESIDUAL);
        cleanup_bench struct bench bench;
        struct err err = {0};
        plant_shift(graph, nth_conv(graph, 1), nth_conv(graph, 2));
        open_bench(&bench, graph);
        struct quant_job job = job_for(&bench, (enum quant_profile)profile, 0);
        cleanup_quant_outcome struct quant_outcome plain = {0}, better = {0};
        assert_ok(quant_run(&job, &plain, &err), err);
        job.correct_bias = true;
        job.target = plain.fidelity + 1e-6;
        assert_ok(quant_run(&job, &better, &err), err);
        assert_true(better.plain_fidelity == plain.fidelity);
        assert_true(better.bias_kept >= 1 && better.group_count == 0);
        assert_true(1 - better.fidelity < 0.7 * (1 - plain.fidelity));
    }
}

/* ---- interrupted ---- */

struct patience {
    size_t left;
};

static int lose_patience(void *arg, const char *what, size_t done, size_t total, struct err *err)
{
    struct patience *patience = arg;
    assert_true(total > 0 && done <= total);
    return patience->left-- ? 0 : err_set(err, ERR_CONFLICT, "interrupted");
}

static void an_interrupted_run_leaves_nothing(void **state)
{
    cleanup_graph struct graph *graph = small_net(NET_SILU);
    cleanup_bench struct bench bench;
    open_bench(&bench, graph);
    bool interrupted = true;
    for (size_t calls = 0; interrupted; calls = calls * 3 / 2 + 1) {
        struct patience patience = {.left = calls};
        struct err err = {0};
        struct quant_job job = job_for(&bench, PROFILE_CPU_X86, 0.999);
        cleanup_quant_outcome struct quant_outcome out = {0};
        job.correct_bias = job.second_order = true;
        job.progress = lose_patience;
        job.arg = &patience;
        interrupted = quant_run(&job, &out, &err) < 0;
        assert_true(work_is_empty(&bench));
        assert_true(file_exists(bench.out) == !interrupted);
        if (interrupted)
            assert_true(err.code == ERR_CONFLICT && out.plan.nodes == NULL && out.sensitivity == NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_outcome_is_no_worse_than_the_plain_plan),
        cmocka_unit_test(exactly_the_layer_that_hurts_goes_back),
        cmocka_unit_test(bias_correction_gives_a_lost_mean_back),
        cmocka_unit_test(an_interrupted_run_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
