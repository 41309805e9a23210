/* A candidate for TensorRT as ONNX Runtime can compute it here.
 *
 * ONNX Runtime 1.22's QuantizeLinear of float16 cuts off where it has to round (0.85 / 0.05 becomes 16). Its float32 one rounds. So in the copy that is
 * measured, and only there, each such operator gets its input as float32: float16 numbers and scales are float32 numbers, too, so it is the same
 * arithmetic.
 */
#include "forge/optimize/flow.h"

#include "forge/graph/graph.h"

#include <stdlib.h>

static bool rounds_half(const struct graph *graph, const struct onnx_node *node)
{
    if (!graph_is_op(node, "QuantizeLinear"))
        return false;
    const struct graph_tensor *scale = graph_input(graph, node, 1);
    return scale && scale->weight && scale->weight->dtype == DTYPE_FLOAT16;
}

static int widen(struct graph *graph, struct onnx_node *node, struct err *err)
{
    const struct graph_tensor *scale = graph_input(graph, node, 1);
    size_t count = 0;
    cleanup_free float *values = graph_floats(graph, scale->name, &count);
    if (!values)
        return err_no_memory(err);
    const struct onnx_weight *wide = graph_add_weight(graph, scale->name, DTYPE_FLOAT32, scale->weight->dims,
                                                      scale->weight->dim_count, values);
    const char *x = node->inputs[0], *cast_x = graph_fresh(graph, x);
    struct onnx_node *cast = cast_x ? graph_add(graph, "Cast", &x, 1, &cast_x, 1) : NULL;
    if (!wide || !cast)
        return err_no_memory(err);
    if (onnx_node_set_int(graph_model(graph), cast, "to", DTYPE_FLOAT32, err) < 0 ||
        graph_set_input(graph, node, 0, cast_x, err) < 0)
        return -1;
    return graph_set_input(graph, node, 1, wide->name, err);
}

int candidate_rehearse(const char *model, const char *out, struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    size_t count = 0, found = 0;
    if (graph_open(model, &graph, err) < 0)
        return -1;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    cleanup_free struct onnx_node **halves = mem_zalloc(count + 1, sizeof(struct onnx_node *));
    if (!halves)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        if (rounds_half(graph, nodes[i]))
            halves[found++] = nodes[i];
    for (size_t i = 0; i < found; i++)
        if (widen(graph, halves[i], err) < 0)
            return -1;
    if (graph_tidy(graph, err) < 0)
        return -1;
    return graph_save(graph, out, err);
}
