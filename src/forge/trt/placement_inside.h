#ifndef MUSTER_FORGE_TRT_PLACEMENT_INSIDE_H
#define MUSTER_FORGE_TRT_PLACEMENT_INSIDE_H

#include "forge/precision/types.h"
#include "forge/trt/fusion.h"
#include "forge/trt/placement.h"

struct look {
    struct graph *graph;
    struct types types;
    int64_t opset;
};

static inline bool is_quantize(const struct onnx_node *node)
{
    return graph_is_op(node, "QuantizeLinear");
}

static inline bool is_dequantize(const struct onnx_node *node)
{
    return graph_is_op(node, "DequantizeLinear");
}

/* What stood there before its pair was put in: what the Q in front of the DQ that makes it reads, Casts aside; NULL: no DQ makes it. */
const struct graph_tensor *look_behind_pair(const struct look *look, const struct graph_tensor *tensor);
/* Likewise of an input of a node. */
const struct graph_tensor *look_behind_input(const struct look *look, const struct onnx_node *node,
                                             size_t input);
/* Both operands read pairs. */
bool look_is_quantized(const struct look *look, const struct onnx_node *node);
/* Back over Casts. */
const struct graph_tensor *look_before_casts(const struct look *look, const struct graph_tensor *tensor);

/* Each is asked of every node: true if it breaks the rule. */
typedef bool trt_rule_check(const struct look *look, const struct onnx_node *node);

/* placement_pairs.c */
trt_rule_check breaks_symmetric, breaks_scale, breaks_half_scale, breaks_dangling, breaks_match,
    breaks_per_tensor, breaks_one_grid, breaks_concat;
/* placement_operators.c */
trt_rule_check breaks_foreign, breaks_types, breaks_wide_float, breaks_all_inputs, breaks_constant_weights,
    breaks_per_channel, breaks_bias, breaks_channels, breaks_vector, breaks_output, breaks_stray,
    breaks_sigmoid, breaks_residual, breaks_cast_chain;

#endif
