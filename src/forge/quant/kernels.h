/* What ONNX Runtime's CPU provider can make of an operator between Q/DQ pairs, and which nodes may be given it.
 *
 *     weighted    an integer kernel with int8 weights                         Conv ─▶ QLinearConv, Gemm ─▶ QGemm, MatMul ─▶ QLinearMatMul
 *     pointwise   an integer kernel; its output has a grid of its own          Add, Mul, Concat, Sigmoid, AveragePool …
 *     mover       runs on the integers as they are, if what goes in and what comes out share one grid            MaxPool, Reshape, Slice …
 *     float       none: Q/DQ around it only cost
 *
 * Some pointwise operators have none of that name and become another one (emit.c):
 *     Sub x, const      Add x, -const                 HardSigmoid    Add x, beta / alpha, cut to 0..1 by the grid of its output
 *     Div x, const      Mul x, 1 / const              HardSwish      the same, and Mul
 *     Relu, Clip(0, …)  LeakyRelu of slope 0          ReduceMean     GlobalAveragePool, where it is one
 *
 * Followers (Relu, Clip from 0, times a positive constant) cost nothing where nobody else reads what comes before: the grid behind them does
 * their work: it cannot hold more, or it writes another scale beside the same integers.
 *
 * The table was checked against dumped graphs of ONNX Runtime 1.22 and 1.31 (docs/quantization.md); what only one of the two fuses is float.
 */
#ifndef MUSTER_FORGE_QUANT_KERNELS_H
#define MUSTER_FORGE_QUANT_KERNELS_H

#include "forge/graph/graph.h"
#include "forge/quant/plan.h"

enum kernel_kind { KERNEL_FLOAT, KERNEL_WEIGHTED, KERNEL_POINTWISE, KERNEL_MOVER };

struct kernel {
    const char *op;
    enum kernel_kind kind;
    bool leads; /* a follower behind it can be absorbed */
    bool gate;  /* what comes out is in 0..1, whatever goes in */
    size_t
        data_inputs; /* that many carry what is computed with: the others are shapes, limits, weights; 0: all */
    /* NULL: this node has the kernel; else why not */
    const char *(*refuse)(const struct graph *graph, const struct onnx_node *node,
                          enum quant_profile profile);
};

/* NULL: not in the table; nothing that could be integers. */
const struct kernel *kernel_of(const struct onnx_node *node);
size_t kernel_data_inputs(const struct onnx_node *node);

/* Weights by quant_node's meaning: Conv, ConvTranspose, Gemm, MatMul with a constant second input. */
bool kernel_weighted(const struct graph *graph, const struct onnx_node *node);

/* Real output = factor * input, cut to 0..limit if it clips (limit 0: no upper end). False: no follower. */
struct kernel_follow {
    float factor;
    bool clips;
    float limit;
};
bool kernel_follow(const struct graph *graph, const struct onnx_node *node, struct kernel_follow *out);

/* A float32 constant read without a copy. */
bool kernel_constant(const struct graph *graph, const char *name, size_t *out_count);
float kernel_element(const struct graph *graph, const char *name, size_t i);
/* The smallest and largest element. */
void kernel_extent(const struct graph *graph, const char *name, float *out_min, float *out_max);

#endif
