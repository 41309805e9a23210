/* What the files of the emitter share. */
#ifndef MUSTER_FORGE_QUANT_EMIT_INSIDE_H
#define MUSTER_FORGE_QUANT_EMIT_INSIDE_H

#include "forge/quant/emit.h"

/* ---- emit.c: the small things ---- */

/* `tensor` ─▶ Q ─▶ DQ: the name of what comes out; NULL: out of memory. The DQ may have another scale than the Q. */
const char *emit_pair(struct graph *graph, const char *tensor, const struct quant_grid *grid, float dq_scale);
const char *emit_float(struct graph *graph, const char *base, float value);    /* a scalar */
const char *emit_zero(struct graph *graph, enum tensor_dtype dtype, int zero); /* likewise */
/* A node with one output; attribute `axis` where it is >= 0. NULL: out of memory. */
const char *emit_node(struct graph *graph, const char *op, const char *const *inputs, size_t count, int axis);

/* ---- emit_const.c ---- */

/* Constants of an integer pointwise operator become DQ(constant); operators without an integer kernel of their own become the one that
 * does the same (kernels.h). */
int emit_pointwise(struct graph *graph, struct onnx_node *node, enum tensor_dtype dtype,
                   struct err *err) must_check;
/* What the grid behind `node` has to be divided by: HardSigmoid's Add is 1 / alpha times too large. */
float emit_factor(const struct onnx_node *node);

/* ---- emit_weights.c ---- */

/* emit_float.c: keeps ONNX Runtime from making integers of an operator that stays float. */
int emit_keep_float(struct graph *graph, struct onnx_node *node, struct err *err) must_check;

size_t emit_channel_axis(const struct onnx_node *node); /* of its weights: 0 or 1 */
int emit_weights(struct graph *graph, struct onnx_node *node, const struct quant_plan *plan,
                 const struct quant_fix *fix, struct err *err) must_check;

#endif
