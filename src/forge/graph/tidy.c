#include "forge/graph/inside.h"

#include <stdlib.h>

/* By the names' numbers: what the outputs are computed from. Nodes come sorted. */
static void mark_names(const struct graph *graph, bool *needed)
{
    const struct onnx_graph *model = onnx_model_graph(graph->model);
    for (size_t i = 0; i < model->output_count; i++)
        needed[onnx_name_id(model->outputs[i]->name)] = true;
    for (size_t i = model->node_count; i-- > 0;) {
        const struct onnx_node *node = model->nodes[i];
        bool is_needed = false;
        for (size_t k = 0; k < node->output_count; k++)
            is_needed |= *node->outputs[k] && needed[onnx_name_id(node->outputs[k])];
        for (size_t k = 0; is_needed && k < node->input_count; k++)
            needed[onnx_name_id(node->inputs[k])] = true;
        for (size_t k = 0; is_needed && k < node->capture_count; k++)
            needed[onnx_name_id(node->captures[k])] = true;
    }
}

static bool makes_needed(const struct onnx_node *node, const bool *needed)
{
    for (size_t k = 0; k < node->output_count; k++)
        if (*node->outputs[k] && needed[onnx_name_id(node->outputs[k])])
            return true;
    return false;
}

static void drop_nodes(struct graph *graph, const bool *needed)
{
    struct onnx_graph *model = onnx_model_graph(graph->model);
    size_t kept = 0;
    for (size_t i = 0; i < model->node_count; i++) {
        struct onnx_node *node = model->nodes[i];
        if (makes_needed(node, needed)) {
            node->index = kept;
            model->nodes[kept++] = node;
        } else {
            graph_remove(graph, node);
        }
    }
    model->node_count = kept;
}

static void drop_weights(struct graph *graph, const bool *needed)
{
    struct onnx_graph *model = onnx_model_graph(graph->model);
    size_t kept = 0;
    for (size_t i = 0; i < model->weight_count; i++) {
        struct onnx_weight *weight = model->weights[i];
        struct slot *slot = graph_find(graph, weight->name);
        if (needed[onnx_name_id(weight->name)] && !weight->removed) {
            model->weights[kept++] = weight;
            continue;
        }
        weight->removed = true;
        if (!slot || slot->tensor.weight != weight)
            continue;
        slot->tensor.weight = NULL;
        slot->is_weight_named = false;
    }
    model->weight_count = kept;
}

static void drop_values(struct graph *graph)
{
    struct onnx_graph *model = onnx_model_graph(graph->model);
    size_t kept = 0;
    for (size_t i = 0; i < model->value_count; i++) {
        const struct slot *slot = graph_find(graph, model->values[i]->name);
        if (slot && slot->tensor.maker)
            model->values[kept++] = model->values[i];
    }
    model->value_count = kept;
}

/* Two nodes may have made one name while changes were under way, not now. */
static int check_makers(const struct graph *graph, struct err *err)
{
    const struct onnx_graph *model = onnx_model_graph(graph->model);
    for (size_t i = 0; i < model->node_count; i++)
        for (size_t k = 0; k < model->nodes[i]->output_count; k++) {
            const struct slot *slot = graph_find(graph, model->nodes[i]->outputs[k]);
            if (slot && (slot->tensor.maker != model->nodes[i] || slot->is_weight_named))
                return err_set(err, ERR_INVALID, "the model makes \"%.80s\" twice (node \"%.60s\")",
                               slot->tensor.name, model->nodes[i]->name);
        }
    return 0;
}

int graph_tidy(struct graph *graph, struct err *err)
{
    cleanup_free bool *needed = mem_zalloc(onnx_model_name_count(graph->model) + 1, sizeof *needed);
    if (!needed)
        return err_no_memory(err);
    if (graph_settle(graph, err) < 0 || check_makers(graph, err) < 0)
        return -1;
    mark_names(graph, needed);
    drop_nodes(graph, needed);
    drop_weights(graph, needed);
    drop_values(graph);
    return graph_check(graph, err) < 0 ? -1 : graph_settle(graph, err);
}
