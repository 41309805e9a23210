/* Old forms of operators and what graph_upgrade makes of them, side by side in ONNX Runtime. */
#include "base/testing.h"

#include "base/buf.h"
#include "base/str.h"
#include "forge/graph/graph.h"
#include "infer/lab.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 64 << 10 };

/* ---- one operator as a model ---- */

struct attr {
    const char *name;
    enum { NONE, INT, FLOAT, INTS, FLOATS, STRING } kind;
    int64_t i;
    float f;
    size_t count;
    int64_t ints[4];
    float floats[4];
    const char *s;
};

struct constant { /* in the place of an input */
    enum tensor_dtype dtype;
    size_t dim_count;
    int64_t dims[2];
    union {
        float f[8];
        int64_t i[8];
    };
};

struct old_form {
    const char *what, *op;
    int64_t opset;
    size_t dim_count;
    int64_t dims[4]; /* of the input x */
    struct attr attrs[3];
    struct constant inputs[4]; /* behind x */
    size_t output_count;       /* 0: 1 */
    bool mask_named;           /* a second output that nobody reads */
};

#define INT_ATTR(n, value)                                                                                   \
    {                                                                                                        \
        .name = (n), .kind = INT, .i = (value)                                                               \
    }
#define FLOAT_ATTR(n, value)                                                                                 \
    {                                                                                                        \
        .name = (n), .kind = FLOAT, .f = (value)                                                             \
    }
#define TEXT_ATTR(n, value)                                                                                  \
    {                                                                                                        \
        .name = (n), .kind = STRING, .s = (value)                                                            \
    }
#define INTS_ATTR(n, c, ...)                                                                                 \
    {                                                                                                        \
        .name = (n), .kind = INTS, .count = (c), .ints = { __VA_ARGS__ }                                     \
    }
#define FLOATS_ATTR(n, c, ...)                                                                               \
    {                                                                                                        \
        .name = (n), .kind = FLOATS, .count = (c), .floats = { __VA_ARGS__ }                                 \
    }
#define FLOATS_IN(c, ...)                                                                                    \
    {                                                                                                        \
        .dtype = DTYPE_FLOAT32, .dim_count = 1, .dims = {(c)}, .f = { __VA_ARGS__ }                          \
    }
#define INTS_IN(c, ...)                                                                                      \
    {                                                                                                        \
        .dtype = DTYPE_INT64, .dim_count = 1, .dims = {(c)}, .i = { __VA_ARGS__ }                            \
    }
#define SHAPE(c, ...) .dim_count = (c), .dims = {__VA_ARGS__}

static const struct old_form forms[] = {
    {"both ends", "Clip", 7, SHAPE(2, 3, 8), .attrs = {FLOAT_ATTR("min", -0.5F), FLOAT_ATTR("max", 0.25F)}},
    {"upper end", "Clip", 10, SHAPE(2, 3, 8), .attrs = {FLOAT_ATTR("max", 0.25F)}},
    {"no end", "Clip", 7, SHAPE(2, 3, 8)},
    {"constant", "Pad", 7, SHAPE(2, 3, 4),
     .attrs = {INTS_ATTR("pads", 4, 1, 0, 0, 2), FLOAT_ATTR("value", 7)}},
    {"zeros", "Pad", 10, SHAPE(2, 3, 4), .attrs = {INTS_ATTR("pads", 4, 0, 1, 1, 0)}},
    {"reflected", "Pad", 7, SHAPE(2, 3, 4),
     .attrs = {INTS_ATTR("pads", 4, 1, 2, 0, 2), TEXT_ATTR("mode", "reflect")}},
    {"axes", "Slice", 7, SHAPE(3, 2, 5, 4),
     .attrs = {INTS_ATTR("axes", 2, 1, 2), INTS_ATTR("starts", 2, 1, -3), INTS_ATTR("ends", 2, 4, 1000)}},
    {"no axes", "Slice", 9, SHAPE(2, 3, 4), .attrs = {INTS_ATTR("starts", 1, 1), INTS_ATTR("ends", 1, 3)}},
    {"largest", "TopK", 7, SHAPE(2, 3, 8), .attrs = {INT_ATTR("k", 3), INT_ATTR("axis", 1)},
     .output_count = 2},
    {"nearest", "Upsample", 7, SHAPE(4, 1, 2, 3, 4),
     .attrs = {FLOATS_ATTR("scales", 4, 1, 1, 2, 2), TEXT_ATTR("mode", "nearest")}},
    {"odd scales", "Upsample", 7, SHAPE(4, 1, 2, 3, 4), .attrs = {FLOATS_ATTR("scales", 4, 1, 1, 1.5F, 3)}},
    {"linear", "Upsample", 7, SHAPE(4, 1, 2, 3, 4),
     .attrs = {FLOATS_ATTR("scales", 4, 1, 1, 2, 2), TEXT_ATTR("mode", "linear")}},
    {"by an input", "Upsample", 9, SHAPE(4, 1, 2, 3, 4), .inputs = {FLOATS_IN(4, 1, 1, 2, 3)}},
    {"growing", "Resize", 10, SHAPE(4, 1, 2, 3, 4), .inputs = {FLOATS_IN(4, 1, 1, 2.5F, 2)}},
    {"shrinking", "Resize", 10, SHAPE(4, 1, 2, 7, 9), .inputs = {FLOATS_IN(4, 1, 1, 0.6F, 0.5F)}},
    {"linear", "Resize", 10, SHAPE(4, 1, 2, 5, 4), .attrs = {TEXT_ATTR("mode", "linear")},
     .inputs = {FLOATS_IN(4, 1, 1, 0.6F, 2)}},
    {"along rows", "Scatter", 9, SHAPE(2, 3, 3),
     .inputs = {{.dtype = DTYPE_INT64, .dim_count = 2, .dims = {1, 3}, .i = {2, 0, 1}},
                {.dtype = DTYPE_FLOAT32, .dim_count = 2, .dims = {1, 3}, .f = {9, 8, 7}}}},
    {"ratio", "Dropout", 7, SHAPE(2, 3, 8), .attrs = {FLOAT_ATTR("ratio", 0.3F)}},
    {"a mask that nobody reads", "Dropout", 7, SHAPE(2, 3, 8), .mask_named = true},
    {"ratio", "Dropout", 10, SHAPE(2, 3, 8), .attrs = {FLOAT_ATTR("ratio", 0.3F)}},
    {"spatial", "BatchNormalization", 7, SHAPE(3, 1, 2, 5),
     .attrs = {INT_ATTR("spatial", 1), FLOAT_ATTR("epsilon", 0.1F)},
     .inputs = {FLOATS_IN(2, 1, 2), FLOATS_IN(2, 3, 4), FLOATS_IN(2, 0.5F, 0.25F), FLOATS_IN(2, 1, 2)}},
    {"default axis", "Softmax", 7, SHAPE(4, 2, 3, 2, 4)},
    {"axis 2", "Softmax", 11, SHAPE(3, 2, 3, 4), .attrs = {INT_ATTR("axis", 2)}},
    {"axis 0", "Softmax", 9, SHAPE(3, 2, 3, 4), .attrs = {INT_ATTR("axis", 0)}},
    {"axis -1", "Softmax", 11, SHAPE(3, 2, 3, 4), .attrs = {INT_ATTR("axis", -1)}},
    {"axis -2", "Softmax", 11, SHAPE(3, 2, 3, 4), .attrs = {INT_ATTR("axis", -2)}},
    {"ones behind the axis", "Softmax", 7, SHAPE(4, 2, 3, 1, 1)},
    {"default axis", "LogSoftmax", 7, SHAPE(3, 2, 3, 4)},
    {"default axis", "Hardmax", 7, SHAPE(3, 2, 3, 4)},
    {"axes", "ReduceSum", 7, SHAPE(3, 2, 3, 4),
     .attrs = {INTS_ATTR("axes", 2, 0, 2), INT_ATTR("keepdims", 0)}},
    {"all", "ReduceSum", 7, SHAPE(3, 2, 3, 4)},
    {"uneven", "Split", 7, SHAPE(2, 2, 6), .attrs = {INTS_ATTR("split", 2, 2, 4), INT_ATTR("axis", 1)},
     .output_count = 2},
    {"even", "Split", 7, SHAPE(2, 2, 6), .attrs = {INT_ATTR("axis", 1)}, .output_count = 3},
    {"axes", "Squeeze", 7, SHAPE(4, 1, 2, 1, 3), .attrs = {INTS_ATTR("axes", 2, 0, 2)}},
    {"all", "Squeeze", 7, SHAPE(4, 1, 2, 1, 3)},
    {"axes", "Unsqueeze", 7, SHAPE(2, 2, 3), .attrs = {INTS_ATTR("axes", 2, 0, 3)}},
    {"one box", "RoiAlign", 10, SHAPE(4, 1, 1, 6, 6),
     .attrs = {INT_ATTR("output_height", 3), INT_ATTR("output_width", 2), FLOAT_ATTR("spatial_scale", 0.5F)},
     .inputs = {{.dtype = DTYPE_FLOAT32, .dim_count = 2, .dims = {1, 4}, .f = {1, 2, 9, 8}}, INTS_IN(1, 0)}},
    {"axes", "ReduceMean", 11, SHAPE(3, 2, 3, 4), .attrs = {INTS_ATTR("axes", 2, -1, 1)}},
    {"axes", "ReduceMax", 12, SHAPE(3, 2, 3, 4), .attrs = {INTS_ATTR("axes", 1, 1), INT_ATTR("keepdims", 0)}},
    {"axes", "ReduceL2", 7, SHAPE(3, 2, 3, 4), .attrs = {INTS_ATTR("axes", 1, 1)}},
    {"axes", "ReduceL1", 7, SHAPE(3, 2, 3, 4), .attrs = {INTS_ATTR("axes", 1, 1)}},
    {"axes", "ReduceMin", 7, SHAPE(3, 2, 3, 4), .attrs = {INTS_ATTR("axes", 1, 1)}},
    {"axes", "ReduceProd", 7, SHAPE(3, 2, 3, 4), .attrs = {INTS_ATTR("axes", 1, 1)}},
    {"axes", "ReduceSumSquare", 7, SHAPE(3, 2, 3, 4), .attrs = {INTS_ATTR("axes", 1, 1)}},
    {"axes", "ReduceLogSumExp", 7, SHAPE(3, 2, 3, 4), .attrs = {INTS_ATTR("axes", 1, 1)}},
    {"axes", "ReduceLogSum", 7, SHAPE(3, 2, 3, 4), .attrs = {INTS_ATTR("axes", 1, 0)}},
    {"bicubic", "GridSample", 16, SHAPE(4, 1, 1, 3, 3), .attrs = {TEXT_ATTR("mode", "bicubic")},
     .inputs = {{.dtype = DTYPE_FLOAT32, .dim_count = 0, .f = {0}}}},
    {"bilinear", "GridSample", 16, SHAPE(4, 1, 1, 3, 3),
     .inputs = {{.dtype = DTYPE_FLOAT32, .dim_count = 0, .f = {0}}}},
    {"axis 1", "DFT", 17, SHAPE(3, 1, 4, 1), .attrs = {INT_ATTR("axis", 1)}},
};

static void set_attr(struct onnx_model *model, struct onnx_node *node, const struct attr *attr)
{
    struct err err = {0};
    int result = 0;
    if (attr->kind == INT)
        result = onnx_node_set_int(model, node, attr->name, attr->i, &err);
    if (attr->kind == FLOAT)
        result = onnx_node_set_float(model, node, attr->name, attr->f, &err);
    if (attr->kind == INTS)
        result = onnx_node_set_ints(model, node, attr->name, attr->ints, attr->count, &err);
    if (attr->kind == FLOATS)
        result = onnx_node_set_floats(model, node, attr->name, attr->floats, attr->count, &err);
    if (attr->kind == STRING)
        result = onnx_node_set_string(model, node, attr->name, attr->s, &err);
    assert_ok(result, err);
}

/* The grid of GridSample has four dimensions: more than a struct constant holds. */
static void add_grid(struct onnx_model *model, const char *name)
{
    const int64_t dims[] = {1, 2, 2, 2};
    const float grid[] = {-1, -0.5F, 0.3F, 0.2F, 0, 0.9F, 1, -1};
    assert_non_null(onnx_model_add_weight(model, name, DTYPE_FLOAT32, dims, 4, grid));
}

static size_t add_constants(struct onnx_model *model, const struct old_form *form, const char *names[5])
{
    static const char *const all[] = {"x", "i1", "i2", "i3", "i4"};
    size_t count = 1;
    names[0] = all[0];
    for (size_t i = 0; i < ARRAY_LEN(form->inputs) && form->inputs[i].dtype; i++) {
        const struct constant *in = &form->inputs[i];
        names[count++] = all[i + 1];
        if (str_eq(form->op, "GridSample"))
            add_grid(model, all[i + 1]);
        else
            assert_non_null(
                onnx_model_add_weight(model, all[i + 1], in->dtype, in->dims, in->dim_count, &in->f));
    }
    return count;
}

static struct graph *build(const struct old_form *form)
{
    static const char *const outputs[] = {"y0", "y1", "y2"};
    struct onnx_model *model = onnx_model_new(8, form->opset);
    struct onnx_graph *contents = onnx_model_graph(model);
    struct graph *graph = NULL;
    struct err err = {0};
    const char *inputs[5];
    size_t count = add_constants(model, form, inputs), made = MAX(form->output_count, (size_t)1);
    struct onnx_node *node =
        onnx_model_add_node(model, form->op, "node", inputs, count, outputs, made + form->mask_named);
    for (size_t i = 0; i < ARRAY_LEN(form->attrs); i++)
        set_attr(model, node, &form->attrs[i]);
    assert_non_null(onnx_model_add_value(model, &contents->inputs, &contents->input_count, "x", DTYPE_FLOAT32,
                                         form->dims, form->dim_count));
    for (size_t i = 0; i < made; i++) {
        enum tensor_dtype dtype = i == 1 && str_eq(form->op, "TopK") ? DTYPE_INT64 : DTYPE_FLOAT32;
        assert_non_null(onnx_model_add_value(model, &contents->outputs, &contents->output_count, outputs[i],
                                             dtype, NULL, 0));
    }
    assert_ok(graph_of(model, &graph, &err), err);
    return graph;
}

/* ---- running it ---- */

struct answer {
    size_t count;
    struct lab_tensor tensors[4];
    uint8_t data[4][MAX_BYTES];
};

static void run(struct graph *graph, const struct old_form *form, struct answer *out)
{
    static float x[1024];
    struct err err = {0};
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
    cleanup_lab struct lab *lab = NULL;
    const struct lab_how how = {.level = LAB_PLAIN};
    struct lab_tensor input = {.dtype = DTYPE_FLOAT32, .dim_count = form->dim_count, .data = x};
    size_t elements = 1;
    for (size_t i = 0; i < form->dim_count; i++) {
        input.dims[i] = form->dims[i];
        elements *= (size_t)form->dims[i];
    }
    input.bytes = elements * sizeof *x;
    for (size_t i = 0; i < elements; i++)
        x[i] = sinf((float)i * 1.7F);
    assert_ok(graph_format(graph, &bytes, &err), err);
    if (lab_open(NULL, bytes.data, bytes.len, &how, &lab, &err) < 0)
        fail_msg("%s (%s, opset %lld): %s", form->op, form->what, (long long)graph_opset(graph), err.text);
    struct lab_tensor outputs[4];
    assert_ok(lab_run(lab, &input, NULL, 0, outputs, &err), err);
    out->count = lab_output_count(lab);
    for (size_t i = 0; i < out->count; i++) {
        assert_true(outputs[i].bytes <= MAX_BYTES);
        out->tensors[i] = outputs[i];
        if (outputs[i].bytes)
            memcpy(out->data[i], outputs[i].data, outputs[i].bytes);
    }
}

static bool same(const struct lab_tensor *a, const void *a_data, const struct lab_tensor *b,
                 const void *b_data)
{
    if (a->dtype != b->dtype || a->bytes != b->bytes || a->dim_count != b->dim_count ||
        memcmp(a->dims, b->dims, a->dim_count * sizeof *a->dims) != 0)
        return false;
    if (a->dtype != DTYPE_FLOAT32)
        return memcmp(a_data, b_data, a->bytes) == 0;
    const float *left = a_data, *right = b_data;
    for (size_t i = 0; i < a->bytes / sizeof *left; i++)
        if (!(fabsf(left[i] - right[i]) <= 1e-6F * (1 + fabsf(left[i]))) &&
            !(isnan(left[i]) && isnan(right[i])))
            return false;
    return true;
}

static void check_form(const struct old_form *form, int64_t opset)
{
    static struct answer before, after;
    struct err err = {0};
    cleanup_graph struct graph *graph = build(form);
    run(graph, form, &before);
    assert_ok(graph_upgrade(graph, opset, &err), err);
    assert_int_equal(graph_opset(graph), opset);
    assert_ok(graph_tidy(graph, &err), err);
    run(graph, form, &after);
    assert_int_equal(before.count, after.count);
    for (size_t i = 0; i < before.count; i++)
        if (!same(&before.tensors[i], before.data[i], &after.tensors[i], after.data[i]))
            fail_msg("%s (%s): opset %lld gives something else than opset %lld", form->op, form->what,
                     (long long)opset, (long long)form->opset);
}

/* Says so if there is none. */
static bool has_runtime(void)
{
    static const struct old_form any = {"", "Relu", 17, SHAPE(1, 4)};
    struct err err = {0};
    cleanup_graph struct graph *graph = build(&any);
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
    cleanup_lab struct lab *lab = NULL;
    const struct lab_how how = {.level = LAB_PLAIN};
    assert_ok(graph_format(graph, &bytes, &err), err);
    if (lab_open(NULL, bytes.data, bytes.len, &how, &lab, &err) == 0)
        return true;
    print_message("skipped: %s\n", err.text);
    return false;
}

static void every_old_form_computes_the_same_afterwards(void **state)
{
    static const int64_t opsets[] = {13, 17, 21};
    if (!has_runtime())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        for (size_t k = 0; k < ARRAY_LEN(opsets); k++)
            if (opsets[k] >= forms[i].opset)
                check_form(&forms[i], opsets[k]);
}

/* ---- what has no rule ---- */

static void refuse(struct graph *graph, const char *hint)
{
    struct err err = {0};
    assert_fails(graph_upgrade(graph, 21, &err), err, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, hint));
}

static void what_cannot_be_kept_is_named(void **state)
{
    static const struct old_form bad[] = {
        {"", "BatchNormalization", 7, SHAPE(3, 1, 2, 5), .attrs = {INT_ATTR("spatial", 0)}},
        {"", "GroupNormalization", 18, SHAPE(3, 1, 2, 5)},
        {"", "BatchNormalization", 9, SHAPE(3, 1, 2, 5), .output_count = 2}, /* a mean that is in use */
        {"", "Scan", 8, SHAPE(1, 4)},
        {"", "Slice", 9, SHAPE(1, 4)},
        {"", "TopK", 9, SHAPE(1, 4)},
        {"", "Dropout", 7, SHAPE(1, 4), .output_count = 2},                    /* a mask that is in use */
        {"", "Resize", 10, SHAPE(2, 4, 4), .inputs = {FLOATS_IN(2, 0.5F, 2)}}, /* grows and shrinks */
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cleanup_graph struct graph *graph = build(&bad[i]);
        refuse(graph, bad[i].op);
    }
    const struct old_form ancient = {"", "Relu", 6, SHAPE(1, 4)};
    cleanup_graph struct graph *graph = build(&ancient);
    refuse(graph, "opset 6");
}

static void outputs_of_training_go(void **state)
{
    struct err err = {0};
    const struct old_form form = {"", "BatchNormalization", 7, SHAPE(3, 1, 2, 5), .mask_named = true};
    cleanup_graph struct graph *graph = build(&form);
    assert_ok(graph_upgrade(graph, 17, &err), err);
    assert_int_equal(graph_tensor(graph, "y0")->maker->output_count, 1);
    assert_null(graph_tensor(graph, "y1"));
}

static void subgraphs_are_not_touched(void **state)
{
    struct err err = {0};
    const struct old_form form = {"", "If", 11, SHAPE(1, 1)};
    for (int harmless = 0; harmless < 2; harmless++) {
        cleanup_graph struct graph *graph = build(&form);
        struct onnx_node *node = onnx_model_graph(graph_model(graph))->nodes[0];
        const char *inner = onnx_model_name(graph_model(graph), harmless ? "Relu" : "Squeeze");
        node->inner_ops = &inner;
        node->inner_op_count = 1;
        if (harmless)
            assert_ok(graph_upgrade(graph, 17, &err), err);
        else
            refuse(graph, "Squeeze");
    }
}

static void bounds_of_float16_stay_float16(void **state)
{
    struct err err = {0};
    const struct old_form form = {"", "Clip", 7, SHAPE(1, 4),
                                  .attrs = {FLOAT_ATTR("min", -0.1F), FLOAT_ATTR("max", 6)}};
    cleanup_graph struct graph *graph = build(&form);
    graph_set_shape(graph, "x", DTYPE_FLOAT16, (const int64_t[]){4}, 1);
    assert_ok(graph_upgrade(graph, 17, &err), err);
    const struct onnx_node *node = graph_tensor(graph, "y0")->maker;
    const struct onnx_weight *low = graph_input(graph, node, 1)->weight,
                             *high = graph_input(graph, node, 2)->weight;
    uint16_t bits[2];
    assert_int_equal(low->dtype, DTYPE_FLOAT16);
    memcpy(bits, low->data.data, 2);
    memcpy(bits + 1, high->data.data, 2);
    assert_int_equal(bits[0], 0xae66); /* -0.1 rounded to the nearest */
    assert_int_equal(bits[1], 0x4600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_old_form_computes_the_same_afterwards),
        cmocka_unit_test(what_cannot_be_kept_is_named),
        cmocka_unit_test(outputs_of_training_go),
        cmocka_unit_test(subgraphs_are_not_touched),
        cmocka_unit_test(bounds_of_float16_stay_float16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
