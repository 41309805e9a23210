/* The element type of every tensor of a graph, found from the operators alone (ONNX's type rules); what the graph itself was told
 * (graph_set_shape, value_info) only where an operator's rule does not say: control flow and foreign domains.
 *
 *     struct types types;  types_infer(graph, &types, err);  types_of(&types, graph_tensor(graph, "x"))
 *
 * It is of the graph as it was: after changes ask again. */
#ifndef MUSTER_FORGE_PRECISION_TYPES_H
#define MUSTER_FORGE_PRECISION_TYPES_H

#include "forge/graph/graph.h"

#include <stdint.h>

struct types {
    size_t node_limit;
    size_t *first; /* by onnx_node.index: where its outputs begin in `of` */
    uint8_t *of;   /* enum tensor_dtype; 0: not known */
};

/* Errors: out of memory. */
int types_infer(struct graph *graph, struct types *out, struct err *err) must_check;
void types_fini(struct types *types);
#define cleanup_types __attribute__((cleanup(types_fini)))

enum tensor_dtype types_of(const struct types *types,
                           const struct graph_tensor *tensor); /* 0: not known, NULL */
bool types_is_float(enum tensor_dtype dtype);                  /* float32, float16, bfloat16, float64 */

/* Inputs that ONNX wants in one fixed type whatever the others are: Resize's roi and scales. */
bool types_is_fixed_input(const struct onnx_node *node, size_t input);
/* Takes any type, and what it gives does not depend on it: Shape, Size, Cast. */
bool types_takes_any(const struct onnx_node *node);
/* All that it computes with has one type: what strongly typed TensorRT, and ONNX itself, want. Unknown types agree with all. */
bool types_agree(const struct types *types, const struct graph *graph, const struct onnx_node *node);

#endif
