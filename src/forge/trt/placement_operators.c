/* Rules of operators: what they are, what they read. */
#include "forge/trt/placement_inside.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdlib.h>

enum { FEW_CHANNELS = 16, CHANNELS_STEP = 8, MAX_WALK = 64, MAX_UPSTREAM = 256 };

/* ---- kinds and types ---- */

bool breaks_foreign(const struct look *look, const struct onnx_node *node)
{
    static const char *const integers[] = {"ConvInteger", "DynamicQuantizeLinear", "MatMulInteger",
                                           "QLinearConv", "QLinearMatMul"};
    (void)look;
    for (size_t i = 0; i < ARRAY_LEN(integers); i++)
        if (str_eq(node->op, integers[i]))
            return true;
    return node->domain[0] != '\0';
}

bool breaks_types(const struct look *look, const struct onnx_node *node)
{
    return !types_agree(&look->types, look->graph, node);
}

bool breaks_wide_float(const struct look *look, const struct onnx_node *node)
{
    for (size_t i = 0; i < node->output_count; i++) {
        enum tensor_dtype dtype = types_of(&look->types, graph_output(look->graph, node, i));
        if (dtype == DTYPE_FLOAT64 || dtype == DTYPE_BFLOAT16)
            return true;
    }
    return false;
}

bool breaks_cast_chain(const struct look *look, const struct onnx_node *node)
{
    const struct graph_tensor *from = graph_is_op(node, "Cast") ? graph_input(look->graph, node, 0) : NULL;
    return from && from->maker && graph_is_op(from->maker, "Cast") &&
           types_is_float(types_of(&look->types, from)) &&
           types_is_float(types_of(&look->types, graph_output(look->graph, node, 0)));
}

/* ---- weighted operators ---- */

static bool has_pair(const struct look *look, const struct onnx_node *node, size_t input)
{
    return look_behind_input(look, node, input) != NULL;
}

bool breaks_all_inputs(const struct look *look, const struct onnx_node *node)
{
    return fusion_is_weighted(node) && has_pair(look, node, 0) != has_pair(look, node, 1);
}

static const struct onnx_weight *quantized_weights(const struct look *look, const struct onnx_node *node)
{
    const struct graph_tensor *behind = fusion_is_weighted(node) ? look_behind_input(look, node, 1) : NULL;
    return behind ? behind->weight : NULL;
}

bool breaks_constant_weights(const struct look *look, const struct onnx_node *node)
{
    return fusion_is_weighted(node) && has_pair(look, node, 1) && !quantized_weights(look, node);
}

static size_t channel_axis(const struct onnx_node *node)
{
    if (graph_is_op(node, "Gemm"))
        return onnx_node_int(node, "transB", 0) ? 0 : 1;
    return graph_is_op(node, "Conv") ? 0 : 1;
}

bool breaks_per_channel(const struct look *look, const struct onnx_node *node)
{
    const struct onnx_weight *weights = quantized_weights(look, node);
    if (!weights)
        return false;
    const struct onnx_node *dequantize = look_before_casts(look, graph_input(look->graph, node, 1))->maker;
    const struct graph_tensor *scale = graph_input(look->graph, dequantize, 1);
    const size_t axis = channel_axis(node);
    int64_t said = onnx_node_int(dequantize, "axis", 1);
    if (axis >= weights->dim_count || !scale || !scale->weight)
        return true;
    if (said < 0)
        said += (int64_t)weights->dim_count;
    return onnx_weight_elements(scale->weight) != (size_t)weights->dims[axis] ||
           (weights->dims[axis] > 1 && said != (int64_t)axis);
}

bool breaks_bias(const struct look *look, const struct onnx_node *node)
{
    const struct graph_tensor *bias =
        fusion_is_weighted(node) ? look_before_casts(look, graph_input(look->graph, node, 2)) : NULL;
    return bias && bias->maker && is_dequantize(bias->maker);
}

static bool has_integer_kernel(const struct look *look, const struct onnx_node *conv,
                               const struct onnx_weight *weights)
{
    const int64_t out = weights->dims[0], in = weights->dims[1];
    const bool some = out >= FEW_CHANNELS || in >= FEW_CHANNELS;
    bool square = true, wide = true;
    for (size_t i = 2; i < weights->dim_count; i++) {
        square &= weights->dims[i] == weights->dims[2];
        wide &= weights->dims[i] >= 3;
    }
    if (out >= FEW_CHANNELS && in >= FEW_CHANNELS)
        return true;
    if (onnx_node_int(conv, "group", 1) > 1)
        return wide && out % CHANNELS_STEP == 0;
    return square && (out % CHANNELS_STEP == 0 || in % CHANNELS_STEP == 0) &&
           (some || look_behind_input(look, conv, 0)->is_input);
}

bool breaks_channels(const struct look *look, const struct onnx_node *node)
{
    const struct onnx_weight *weights = graph_is_op(node, "Conv") ? quantized_weights(look, node) : NULL;
    return weights && has_pair(look, node, 0) && weights->dim_count > 2 &&
           !has_integer_kernel(look, node, weights);
}

bool breaks_vector(const struct look *look, const struct onnx_node *node)
{
    const bool gemm = graph_is_op(node, "Gemm");
    const struct onnx_weight *weights =
        gemm || graph_is_op(node, "MatMul") ? quantized_weights(look, node) : NULL;
    const struct graph_tensor *input = weights ? look_behind_input(look, node, 0) : NULL;
    if (!input || weights->dim_count != 2)
        return false;
    const bool one_column = weights->dims[gemm && onnx_node_int(node, "transB", 0) ? 0 : 1] == 1;
    if (!input->shaped || input->dim_count > 2)
        return false;
    return one_column || input->dim_count < 2 ||
           input->dims[gemm && onnx_node_int(node, "transA", 0) ? 1 : 0] == 1;
}

/* ---- who reads pairs ---- */

static const struct graph_tensor *before_copies(const struct look *look, const struct graph_tensor *tensor)
{
    return tensor ? fusion_before_copies(look->graph, tensor) : NULL;
}

static bool is_made_by_weighted(const struct look *look, const struct graph_tensor *tensor)
{
    tensor = before_copies(look, tensor);
    return tensor && tensor->maker && fusion_is_weighted(tensor->maker);
}

/* Reads pairs, and has no right to. */
static const struct graph_tensor *wrong_pair(const struct look *look, const struct onnx_node *node)
{
    if (fusion_is_weighted(node) || graph_is_op(node, "Add") || graph_is_op(node, "Cast") ||
        is_quantize(node) || is_dequantize(node))
        return NULL;
    for (size_t i = 0; i < node->input_count; i++) {
        const struct graph_tensor *behind = look_behind_input(look, node, i);
        if (behind)
            return behind;
    }
    return NULL;
}

bool breaks_output(const struct look *look, const struct onnx_node *node)
{
    const struct graph_tensor *output = is_dequantize(node) ? graph_output(look->graph, node, 0) : NULL;
    if (output)
        return output->is_output;
    return fusion_is_pointwise(node) && is_made_by_weighted(look, wrong_pair(look, node));
}

bool breaks_stray(const struct look *look, const struct onnx_node *node)
{
    const struct graph_tensor *behind = wrong_pair(look, node);
    return behind && !(fusion_is_pointwise(node) && is_made_by_weighted(look, behind));
}

/* A Sigmoid between two Casts: somebody meant well and split what would be one kernel. */
static bool is_pinned(const struct look *look, const struct onnx_node *node)
{
    const struct graph_tensor *input = graph_input(look->graph, node, 0),
                              *output = graph_output(look->graph, node, 0);
    if (!input || !input->maker || !graph_is_op(input->maker, "Cast") || !output)
        return false;
    const struct graph_tensor *from = look_before_casts(look, input);
    return types_of(&look->types, from) == DTYPE_FLOAT16 && types_of(&look->types, input) == DTYPE_FLOAT32 &&
           is_made_by_weighted(look, from) && output->use_count == 1 &&
           graph_is_op(output->uses[0].node, "Cast");
}

bool breaks_sigmoid(const struct look *look, const struct onnx_node *node)
{
    return graph_is_op(node, "Sigmoid") && (has_pair(look, node, 0) || is_pinned(look, node));
}

/* ---- residual Adds ---- */

/* The quantized convolution that a tensor comes straight from. */
static const struct onnx_node *backbone(const struct look *look, const struct graph_tensor *tensor)
{
    for (int steps = 0; steps < MAX_WALK && tensor && tensor->maker; steps++) {
        const struct onnx_node *node = tensor->maker;
        if (graph_is_op(node, "Conv") || graph_is_op(node, "ConvTranspose"))
            return look_is_quantized(look, node) ? node : NULL;
        tensor = fusion_step_back(look->graph, node);
    }
    return NULL;
}

/* A tensor is computed from what `maker` makes, not far behind it. */
static bool is_downstream(const struct look *look, const struct graph_tensor *tensor,
                          const struct onnx_node *maker)
{
    const struct onnx_node *queue[MAX_UPSTREAM];
    size_t from = 0, to = 0;
    if (tensor->maker)
        queue[to++] = tensor->maker;
    for (; from < to; from++) {
        if (queue[from] == maker)
            return true;
        for (size_t i = 0; i < queue[from]->input_count && to < MAX_UPSTREAM; i++) {
            const struct graph_tensor *input = graph_input(look->graph, queue[from], i);
            if (fusion_is_computed(input) && input->maker)
                queue[to++] = input->maker;
        }
    }
    return false;
}

/* The branch wraps around a convolution and comes back to it: no skip. */
static bool is_loop(const struct look *look, const struct graph_tensor *const ends[2],
                    const struct onnx_node *const from[2])
{
    const int side = from[0] ? 0 : 1;
    return from[0] == from[1] || (!from[!side] && is_downstream(look, ends[!side], from[side]));
}

bool breaks_residual(const struct look *look, const struct onnx_node *node)
{
    const struct graph_tensor *ends[2];
    const struct onnx_node *from[2];
    bool pair[2];
    if (!graph_is_op(node, "Add") || node->input_count != 2)
        return false;
    for (size_t i = 0; i < 2; i++) {
        const struct graph_tensor *behind = look_behind_input(look, node, i);
        pair[i] = behind != NULL;
        ends[i] = behind ? behind : graph_input(look->graph, node, i);
        from[i] = fusion_is_computed(ends[i]) ? backbone(look, ends[i]) : NULL;
    }
    if (!fusion_is_computed(ends[0]) || !fusion_is_computed(ends[1]))
        return pair[0] || pair[1];
    if (!from[0] && !from[1])
        return pair[0] != pair[1]; /* a sum of two others: both or neither */
    if (pair[0] == pair[1])
        return !is_loop(look, ends, from);
    return !from[pair[0] ? 1 : 0]; /* the one without a pair has to be the branch */
}
