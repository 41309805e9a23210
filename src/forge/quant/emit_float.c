/* Operators that stay float among integers. ONNX Runtime (1.22 and later, its WeightBiasQuantization) takes a Conv, ConvTranspose or Gemm between a
 * DQ and a Q for one whose weights were forgotten, and rounds them itself, with one scale for all channels: what a plan took back to float
 * would be integers all the same, and worse ones. It leaves alone what has a bias that is computed: so the bias is DQ(int32), as exact as float. */
#include "base/str.h"
#include "forge/quant/emit_inside.h"

#include <math.h>
#include <string.h>

static const char *const rounded_ops[] = {"Conv", "ConvTranspose", "Gemm"};

static bool may_be_rounded(const struct graph *graph, const struct onnx_node *node)
{
    const struct graph_tensor *input = graph_input(graph, node, 0), *weights = graph_input(graph, node, 1);
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(rounded_ops); i++)
        known = known || graph_is_op(node, rounded_ops[i]);
    return known && input && input->maker && graph_is_op(input->maker, "DequantizeLinear") && weights &&
           weights->weight && weights->weight->dtype == DTYPE_FLOAT32;
}

/* Alone, or through Relu and Clip. */
static bool leads_to_q(const struct graph *graph, const struct onnx_node *node)
{
    do
        node = graph_only_user(graph, node->outputs[0]);
    while (node && (graph_is_op(node, "Relu") || graph_is_op(node, "Clip")));
    return node && graph_is_op(node, "QuantizeLinear");
}

static int64_t channels_of(const struct graph *graph, const struct onnx_node *node)
{
    const struct onnx_weight *weight = graph_input(graph, node, 1)->weight;
    if (weight->dim_count < 2)
        return 0;
    if (graph_is_op(node, "ConvTranspose"))
        return weight->dims[1] * onnx_node_int(node, "group", 1);
    return weight->dims[emit_channel_axis(node)];
}

static const char *emit_bias(struct graph *graph, const float *bias, int64_t count)
{
    float most = 0;
    for (int64_t i = 0; bias && i < count; i++)
        most = fmaxf(most, fabsf(bias[i]));
    float scale = most / 0x1p30F;
    if (!isnormal(scale))
        scale = 1;
    struct onnx_weight *weight = graph_add_weight(graph, "bias32", DTYPE_INT32, &count, 1, NULL);
    if (!weight)
        return NULL;
    int32_t *numbers = (int32_t *)(uintptr_t)weight->data.data;
    for (int64_t i = 0; i < count; i++)
        numbers[i] = bias ? (int32_t)lrint((double)bias[i] / (double)scale) : 0;
    const char *const inputs[] = {weight->name, emit_float(graph, "scale", scale)};
    return emit_node(graph, "DequantizeLinear", inputs, 2, -1);
}

int emit_keep_float(struct graph *graph, struct onnx_node *node, struct err *err)
{
    if (!may_be_rounded(graph, node) || !leads_to_q(graph, node))
        return 0;
    const struct graph_tensor *bias = graph_input(graph, node, 2);
    const int64_t channels = channels_of(graph, node);
    if (channels <= 0 || (bias && (!bias->weight || bias->weight->dim_count != 1)))
        return 0;
    size_t count = 0;
    cleanup_free float *values = bias ? graph_floats(graph, bias->name, &count) : NULL;
    if (bias && !values)
        return err_no_memory(err);
    const char *out = emit_bias(graph, values, bias ? (int64_t)count : channels);
    if (!out)
        return err_no_memory(err);
    return graph_set_input(graph, node, 2, out, err);
}
