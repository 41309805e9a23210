/* What TensorRT fuses, as far as placement needs it: kinds of operators (as in ModelOpt's op_types.py, without what does not occur in float networks), and
 * the way back through what it can fuse behind a convolution. For who places pairs (forge/quant/plan_trt.c) and who checks them (placement.c). */
#ifndef MUSTER_FORGE_TRT_FUSION_H
#define MUSTER_FORGE_TRT_FUSION_H

#include "forge/graph/graph.h"

bool fusion_is_weighted(const struct onnx_node *node); /* Conv, ConvTranspose, Gemm, MatMul */
bool fusion_is_copy(
    const struct onnx_node *node); /* moves values: Reshape, Transpose, Concat, Slice, Cast … */
bool fusion_is_pointwise(const struct onnx_node *node);
bool fusion_is_computed(const struct graph_tensor *tensor); /* there, and no constant */
/* The only input that is computed; NULL: none or several. */
const struct graph_tensor *fusion_computed_input(const struct graph *graph, const struct onnx_node *node);
/* Back over operators that only move one tensor: what it was made from. */
const struct graph_tensor *fusion_before_copies(const struct graph *graph, const struct graph_tensor *tensor);
/* One step back inside of what is fused behind a convolution: BatchNormalization, MaxPool, copies, pointwise operators of one tensor, x * f(x) (SiLU,
 * hard-swish in all its spellings). NULL: this is none. */
const struct graph_tensor *fusion_step_back(const struct graph *graph, const struct onnx_node *node);

#endif
