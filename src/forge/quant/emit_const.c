#include "forge/quant/emit_inside.h"
#include "forge/quant/kernels.h"

#include <math.h>
#include <string.h>

/* ---- constants on a grid ---- */

/* From the smallest to the largest element, and 0: a single number is met exactly. */
static struct quant_grid grid_over(const float *values, size_t count, enum tensor_dtype dtype)
{
    float low = 0, high = 0;
    for (size_t i = 0; i < count; i++) {
        low = fminf(low, values[i]);
        high = fmaxf(high, values[i]);
    }
    struct quant_grid grid = {.dtype = dtype, .scale = (high - low) / 255};
    if (!isnormal(grid.scale))
        grid.scale = 1;
    int steps = (int)lrintf(fminf(-low / grid.scale, 255));
    grid.zero = (dtype == DTYPE_INT8 ? -128 : 0) + steps;
    return grid;
}

static const char *emit_constant(struct graph *graph, const struct onnx_weight *like, const float *values,
                                 size_t count, enum tensor_dtype dtype)
{
    struct quant_grid grid = grid_over(values, count, dtype);
    struct onnx_weight *weight =
        graph_add_weight(graph, "const", dtype, like ? like->dims : NULL, like ? like->dim_count : 0, NULL);
    if (!weight)
        return NULL;
    uint8_t *bytes = (uint8_t *)weight->data.data;
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)grid_round(&grid, values[i]);
    const char *const inputs[] = {weight->name, emit_float(graph, "scale", grid.scale),
                                  emit_zero(graph, dtype, grid.zero)};
    return emit_node(graph, "DequantizeLinear", inputs, 3, -1);
}

static float same(float value)
{
    return value;
}

static float negative(float value)
{
    return -value;
}

static float reciprocal(float value)
{
    return 1 / value;
}

static int emit_constant_input(struct graph *graph, struct onnx_node *node, size_t input,
                               enum tensor_dtype dtype, float (*turn)(float), struct err *err)
{
    size_t count = 0;
    cleanup_free float *values = graph_floats(graph, node->inputs[input], &count);
    if (!values)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        values[i] = turn(values[i]);
    const char *out = emit_constant(graph, graph_input(graph, node, input)->weight, values, count, dtype);
    if (!out)
        return err_no_memory(err);
    return graph_set_input(graph, node, input, out, err);
}

static int emit_constant_inputs(struct graph *graph, struct onnx_node *node, enum tensor_dtype dtype,
                                float (*turn)(float), struct err *err)
{
    for (size_t i = 0; i < kernel_data_inputs(node); i++) {
        const struct graph_tensor *tensor = graph_input(graph, node, i);
        if (tensor && tensor->weight && emit_constant_input(graph, node, i, dtype, turn, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- operators that become another one ---- */

static int set_op(struct graph *graph, struct onnx_node *node, const char *op, struct err *err)
{
    const char *name = onnx_model_name(graph_model(graph), op);
    if (!name)
        return err_no_memory(err);
    node->op = name;
    return 0;
}

static int emit_turned(struct graph *graph, struct onnx_node *node, enum tensor_dtype dtype, const char *op,
                       float (*turn)(float), struct err *err)
{
    if (emit_constant_inputs(graph, node, dtype, turn, err) < 0)
        return -1;
    return set_op(graph, node, op, err);
}

/* The node's place is taken by another of one input. */
static struct onnx_node *replace_by(struct graph *graph, struct onnx_node *node, const char *op,
                                    struct err *err)
{
    const char *out = emit_node(graph, op, node->inputs, 1, -1);
    if (!out || graph_replace_uses(graph, node->outputs[0], out, err) < 0) {
        err_no_memory(err);
        return NULL;
    }
    graph_remove(graph, node);
    return graph_tensor(graph, out)->maker;
}

static int emit_leaky(struct graph *graph, struct onnx_node *node, struct err *err)
{
    struct onnx_node *leaky = replace_by(graph, node, "LeakyRelu", err);
    return leaky ? onnx_node_set_float(graph_model(graph), leaky, "alpha", 0, err) : -1;
}

struct hard {
    float alpha, beta;
};

static struct hard hard_of(const struct onnx_node *node)
{
    if (graph_is_op(node, "HardSwish"))
        return (struct hard){.alpha = 1 / 6.0F, .beta = 0.5F};
    return (struct hard){.alpha = onnx_node_float(node, "alpha", 0.2F),
                         .beta = onnx_node_float(node, "beta", 0.5F)};
}

float emit_factor(const struct onnx_node *node)
{
    return graph_is_op(node, "HardSigmoid") ? hard_of(node).alpha : 1;
}

/* The pair behind it, made before, cuts to 0..1 and knows the factor. */
static int emit_hard_sigmoid(struct graph *graph, struct onnx_node *node, enum tensor_dtype dtype,
                             struct err *err)
{
    struct hard hard = hard_of(node);
    float shift = hard.beta / hard.alpha;
    const char *constant = emit_constant(graph, NULL, &shift, 1, dtype);
    if (!constant || graph_set_input(graph, node, 1, constant, err) < 0)
        return err_no_memory(err);
    onnx_node_drop_attr(node, "alpha");
    onnx_node_drop_attr(node, "beta");
    return set_op(graph, node, "Add", err);
}

static int emit_hard_swish(struct graph *graph, struct onnx_node *node, enum tensor_dtype dtype,
                           struct err *err)
{
    struct hard hard = hard_of(node);
    float shift = hard.beta / hard.alpha;
    const char *const inputs[] = {node->inputs[0], emit_constant(graph, NULL, &shift, 1, dtype)};
    const char *sum = emit_node(graph, "Add", inputs, 2, -1);
    const struct quant_grid grid = {
        .dtype = dtype, .scale = 1 / (255 * hard.alpha), .zero = dtype == DTYPE_INT8 ? -128 : 0};
    const char *gate = sum ? emit_pair(graph, sum, &grid, 1 / 255.0F) : NULL;
    if (!gate || graph_set_input(graph, node, 1, gate, err) < 0)
        return err_no_memory(err);
    return set_op(graph, node, "Mul", err);
}

int emit_pointwise(struct graph *graph, struct onnx_node *node, enum tensor_dtype dtype, struct err *err)
{
    if (graph_is_op(node, "Relu") || graph_is_op(node, "Clip"))
        return emit_leaky(graph, node, err);
    if (graph_is_op(node, "ReduceMean"))
        return replace_by(graph, node, "GlobalAveragePool", err) ? 0 : -1;
    if (graph_is_op(node, "HardSigmoid"))
        return emit_hard_sigmoid(graph, node, dtype, err);
    if (graph_is_op(node, "HardSwish"))
        return emit_hard_swish(graph, node, dtype, err);
    if (graph_is_op(node, "Sub"))
        return emit_turned(graph, node, dtype, "Add", negative, err);
    if (graph_is_op(node, "Div"))
        return emit_turned(graph, node, dtype, "Mul", reciprocal, err);
    return emit_constant_inputs(graph, node, dtype, same, err);
}
