/* Folding: fewer nodes, the same numbers. The numbers come from the real runtime; skipped without one. */
#include "forge/optimize/fold.h"

#include "base/buf.h"
#include "base/testing.h"
#include "infer/lab.h"
#include "infer/runtime.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OUT = 4096 };

/* ---- building ---- */

struct net {
    struct graph *graph;
    struct onnx_model *model;
    uint32_t seed;
};

/* Input "x" of this shape. */
static struct net begin(const int64_t *dims, size_t dim_count)
{
    struct net net = {.seed = 5, .model = onnx_model_new(8, 17)};
    struct err err = {0};
    assert_non_null(net.model);
    struct onnx_graph *inner = onnx_model_graph(net.model);
    assert_non_null(onnx_model_add_value(net.model, &inner->inputs, &inner->input_count, "x", DTYPE_FLOAT32,
                                         dims, dim_count));
    assert_ok(graph_of(net.model, &net.graph, &err), err);
    return net;
}

/* Numbers from `low` up to `low` + 1. */
static const char *weight(struct net *net, float low, const int64_t *dims, size_t dim_count)
{
    float values[MAX_OUT];
    size_t count = 1;
    for (size_t i = 0; i < dim_count; i++)
        count *= (size_t)dims[i];
    assert_true(count <= MAX_OUT);
    for (size_t i = 0; i < count; i++) {
        net->seed = net->seed * 1664525 + 1013904223;
        values[i] = low + (float)(net->seed >> 8) / (1 << 24);
    }
    const struct onnx_weight *made =
        graph_add_weight(net->graph, "w", DTYPE_FLOAT32, dims, dim_count, values);
    assert_non_null(made);
    return made->name;
}

static const char *channels(struct net *net, float low, int64_t count)
{
    return weight(net, low, &count, 1);
}

static struct onnx_node *node(struct net *net, const char *op, const char *const *inputs, size_t count)
{
    const char *output = graph_fresh(net->graph, op);
    assert_non_null(output);
    struct onnx_node *made = graph_add(net->graph, op, inputs, count, &output, 1);
    assert_non_null(made);
    return made;
}

static const char *step(struct net *net, const char *op, const char *a, const char *b)
{
    return node(net, op, (const char *[]){a, b}, 2)->outputs[0];
}

/* ---- checking ---- */

static size_t run(struct net *net, float out[MAX_OUT])
{
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    cleanup_lab struct lab *lab = NULL;
    float x[MAX_OUT];
    struct err err = {0};
    struct lab_tensor given = {.dtype = DTYPE_FLOAT32, .data = x, .bytes = sizeof *x}, result;
    assert_ok(graph_format(net->graph, &file, &err), err);
    assert_ok(lab_open(NULL, file.data, file.len, &(struct lab_how){0}, &lab, &err), err);
    const struct lab_value *value = lab_input(lab, 0);
    given.dim_count = value->dim_count;
    for (size_t i = 0; i < value->dim_count; i++) {
        given.dims[i] = value->dims[i];
        given.bytes *= (size_t)value->dims[i];
    }
    assert_true(given.bytes <= sizeof x);
    for (size_t i = 0; i < given.bytes / sizeof *x; i++)
        x[i] = sinf((float)(3 * i + 1));
    assert_ok(lab_run(lab, &given, NULL, 0, &result, &err), err);
    assert_true(result.bytes <= MAX_OUT * sizeof *out);
    memcpy(out, result.data, result.bytes);
    return result.bytes / sizeof *out;
}

/* Folds what has been built, whose last tensor is `output`, to `want` nodes. Takes the net. */
static void folds_to(struct net *net, const char *output, size_t want)
{
    static float before[MAX_OUT], after[MAX_OUT];
    cleanup_graph struct graph *graph = net->graph;
    struct err err = {0};
    size_t count = 0;
    assert_ok(graph_expose(graph, output, &err), err);
    size_t size = run(net, before);
    assert_ok(fold_constants(graph, &err), err);
    assert_int_equal(run(net, after), size);
    for (size_t i = 0; i < size; i++)
        if (!(fabsf(before[i] - after[i]) <= 1e-5F * (1 + fabsf(before[i]))))
            fail_msg("number %zu: %g before, %g after", i, (double)before[i], (double)after[i]);
    (void)graph_nodes(graph, &count);
    assert_int_equal(count, want);
}

static const int64_t picture[] = {1, 4, 5, 5}, row[] = {2, 6};

static const char *conv(struct net *net, const char *op, const char *x, const int64_t *dims, int64_t group,
                        const char *bias)
{
    struct err err = {0};
    struct onnx_node *made =
        node(net, op, (const char *[]){x, weight(net, -0.5F, dims, 4), bias}, bias ? 3 : 2);
    assert_ok(onnx_node_set_int(net->model, made, "group", group, &err), err);
    return made->outputs[0];
}

static const struct {
    const char *op;
    int64_t dims[4], group, outputs;
} convs[] = {
    {"Conv", {6, 4, 3, 3}, 1, 6},          {"Conv", {6, 2, 1, 1}, 2, 6},
    {"Conv", {4, 1, 3, 3}, 4, 4},          {"ConvTranspose", {4, 3, 2, 2}, 1, 3},
    {"ConvTranspose", {4, 3, 2, 2}, 2, 6}, {"ConvTranspose", {4, 1, 3, 3}, 4, 4},
};

/* ---- what is folded ---- */

static bool no_runtime(void)
{
    const struct runtime *runtime = NULL;
    struct err err = {0};
    return runtime_get(NULL, &runtime, &err) < 0;
}

static void factors_and_summands_go_into_convolutions(void **state)
{
    if (no_runtime())
        skip();
    static const char *const ops[] = {"Mul", "Div", "Add", "Sub"};
    for (size_t i = 0; i < ARRAY_LEN(convs); i++)
        for (size_t k = 0; k < 4 * ARRAY_LEN(ops); k++) {
            struct net net = begin(picture, 4);
            const char *bias = k % 8 < 4 ? channels(&net, 1, convs[i].outputs) : NULL;
            const int64_t wide[] = {1, convs[i].outputs, 1, 1};
            const char *factor = k < 8 ? weight(&net, 0.5F, wide, 4) : weight(&net, 0.5F, NULL, 0);
            const char *x = conv(&net, convs[i].op, "x", convs[i].dims, convs[i].group, bias);
            folds_to(&net, step(&net, ops[k % 4], x, factor), 1);
        }
}

static void normalization_goes_into_convolutions(void **state)
{
    if (no_runtime())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(convs); i++) {
        struct net net = begin(picture, 4);
        int64_t count = convs[i].outputs;
        const char *x = conv(&net, convs[i].op, "x", convs[i].dims, convs[i].group, NULL);
        x = step(&net, "Add", channels(&net, 1, 1), x); /* the constant first */
        const char *const inputs[] = {x, channels(&net, 0.5F, count), channels(&net, 0, count),
                                      channels(&net, -1, count), channels(&net, 0.2F, count)};
        folds_to(&net, node(&net, "BatchNormalization", inputs, 5)->outputs[0], 1);
    }
}

static void factors_go_into_gemms_of_both_ways(void **state)
{
    if (no_runtime())
        skip();
    for (int transposed = 0; transposed < 2; transposed++) {
        struct net net = begin(row, 2);
        struct err err = {0};
        const int64_t dims[] = {transposed ? 3 : 6, transposed ? 6 : 3};
        struct onnx_node *gemm =
            node(&net, "Gemm", (const char *[]){"x", weight(&net, -0.5F, dims, 2), channels(&net, 0, 3)}, 3);
        assert_ok(onnx_node_set_int(net.model, gemm, "transB", transposed, &err), err);
        const char *x = step(&net, "Mul", gemm->outputs[0], weight(&net, 1, (int64_t[]){1, 3}, 2));
        folds_to(&net, step(&net, "Add", x, channels(&net, 1, 3)), 1);
    }
}

static void factors_meet_and_go_ahead(void **state)
{
    if (no_runtime())
        skip();
    struct net net = begin(picture, 4);
    const char *x = step(&net, "Mul", "x", channels(&net, 1, 1));
    x = step(&net, "Div", x, weight(&net, 2, NULL, 0));
    x = step(&net, "Mul", channels(&net, 3, 1), x);
    folds_to(&net, conv(&net, "Conv", x, convs[1].dims, 2, NULL), 1);
    net = begin(picture, 4);
    x = step(&net, "Div", "x", weight(&net, 2, NULL, 0));
    folds_to(&net, step(&net, "Mul", channels(&net, 3, 1), x), 1);
}

/* ---- what is not ---- */

static void what_somebody_else_reads_stays(void **state)
{
    if (no_runtime())
        skip();
    struct net net = begin(picture, 4);
    const char *x = conv(&net, "Conv", "x", convs[2].dims, 4, NULL);
    const char *y = step(&net, "Mul", x, channels(&net, 1, 1));
    folds_to(&net, step(&net, "Add", x, y), 3);
    net = begin(picture, 4); /* two convolutions with one weight: the other one's stays as it is */
    const char *shared = weight(&net, -0.5F, convs[2].dims, 4);
    struct err err = {0};
    const char *tails[2];
    for (int i = 0; i < 2; i++) {
        struct onnx_node *made = node(&net, "Conv", (const char *[]){"x", shared}, 2);
        assert_ok(onnx_node_set_int(net.model, made, "group", 4, &err), err);
        tails[i] = made->outputs[0];
    }
    folds_to(&net, step(&net, "Add", tails[0], step(&net, "Mul", tails[1], channels(&net, 2, 1))), 3);
}

static void shapes_that_do_not_fit_stay(void **state)
{
    if (no_runtime())
        skip();
    static const struct {
        int64_t dims[5];
        size_t dim_count;
    } others[] = {{{3}, 1}, {{1, 4, 3, 3}, 4}, {{3, 1}, 2}, {{2, 1, 1, 1}, 4}, {{1, 1, 4, 1, 1}, 5}};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct net net = begin(picture, 4);
        const char *x = conv(&net, "Conv", "x", convs[2].dims, 4, NULL); /* [1, 4, 3, 3] */
        folds_to(&net, step(&net, "Mul", x, weight(&net, 1, others[i].dims, others[i].dim_count)), 2);
    }
    struct net net = begin(row, 2); /* a factor that differs along a Gemm's rows */
    const int64_t dims[] = {6, 3}, tall[] = {2, 1};
    const char *y = step(&net, "Gemm", "x", weight(&net, -0.5F, dims, 2));
    folds_to(&net, step(&net, "Mul", y, weight(&net, 1, tall, 2)), 2);
}

static void divisions_by_nothing_stay(void **state)
{
    if (no_runtime())
        skip();
    struct net net = begin(row, 2);
    const float zero = 0;
    const struct onnx_weight *none = graph_add_weight(net.graph, "zero", DTYPE_FLOAT32, NULL, 0, &zero);
    struct onnx_node *made = node(&net, "Div", (const char *[]){"x", none->name}, 2);
    cleanup_graph struct graph *graph = net.graph;
    struct err err = {0};
    assert_ok(graph_expose(graph, made->outputs[0], &err), err);
    assert_ok(fold_constants(graph, &err), err);
    assert_string_equal(made->op, "Div");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_and_summands_go_into_convolutions),
        cmocka_unit_test(normalization_goes_into_convolutions),
        cmocka_unit_test(factors_go_into_gemms_of_both_ways),
        cmocka_unit_test(factors_meet_and_go_ahead),
        cmocka_unit_test(what_somebody_else_reads_stays),
        cmocka_unit_test(shapes_that_do_not_fit_stay),
        cmocka_unit_test(divisions_by_nothing_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
