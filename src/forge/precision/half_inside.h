/* What half.c decides about each node, and half_kinds.c knows about it beforehand. */
#ifndef MUSTER_FORGE_PRECISION_HALF_INSIDE_H
#define MUSTER_FORGE_PRECISION_HALF_INSIDE_H

#include "forge/precision/half.h"
#include "forge/precision/types.h"

#include <stdbool.h>

enum half_kind {
    HALF_NONE,    /* touches no float32 */
    HALF_BLOCKED, /* float32 */
    HALF_STRONG,  /* float16: what it is all for */
    HALF_FREE, /* whatever needs fewer Casts; float32 if that makes no difference: first arithmetic, then a Cast */
    HALF_MOVER /* whatever needs fewer Casts; float16 if that makes no difference: half the bytes to move */
};

struct half_work {
    struct graph *graph;
    const struct observation *seen;
    bool half_pairs; /* Q and DQ may have float16 scales */
    struct types types;
    struct onnx_node *const *nodes; /* sorted, as before any change */
    size_t node_count;
    uint8_t *kinds; /* by onnx_node.index: enum half_kind */
    bool *half;     /* by onnx_node.index: computes in float16 */
};

enum half_kind half_kind_of(const struct half_work *work, const struct onnx_node *node);

static inline bool half_is_free(uint8_t kind)
{
    return kind == HALF_FREE || kind == HALF_MOVER;
}

/* Inputs that have to be of the node's own type; not: fixed ones, integers, those of Shape and Cast. */
bool half_is_port(const struct half_work *work, const struct onnx_node *node, size_t input);
bool half_is_float_output(const struct half_work *work, const struct onnx_node *node, size_t output);
static inline bool half_is_pair(const struct onnx_node *node)
{
    return graph_is_op(node, "QuantizeLinear") || graph_is_op(node, "DequantizeLinear");
}

/* In half_apply.c: graph and casts as decided. */
int half_apply(struct half_work *work, struct half_outcome *out, struct err *err) must_check;

#endif
