/* Nodes after the makers of what they read. A file that is in order stays as it is. */
#include "forge/graph/inside.h"

#include <stdlib.h>
#include <string.h>

enum mark { NEW, ENTERED, DONE };

struct step { /* a node that is entered, and which of its needs comes next */
    struct onnx_node *node;
    size_t next;
};

struct walk {
    const struct graph *graph;
    uint8_t *marks; /* by the node's index */
    struct step *stack;
    size_t depth;
    struct onnx_node **order;
    size_t count;
    const struct onnx_node *cycle;
};

/* Inputs first, then what the subgraphs take. */
static struct onnx_node *need(const struct walk *walk, const struct onnx_node *node, size_t i)
{
    const char *name = i < node->input_count ? node->inputs[i] : node->captures[i - node->input_count];
    const struct slot *slot = graph_find(walk->graph, name);
    return slot ? slot->tensor.maker : NULL;
}

static void enter(struct walk *walk, struct onnx_node *node)
{
    walk->marks[node->index] = ENTERED;
    walk->stack[walk->depth++] = (struct step){node, 0};
}

static void visit(struct walk *walk, struct onnx_node *first)
{
    enter(walk, first);
    while (walk->depth) {
        struct step *top = &walk->stack[walk->depth - 1];
        if (top->next == top->node->input_count + top->node->capture_count) {
            walk->marks[top->node->index] = DONE;
            walk->order[walk->count++] = top->node;
            walk->depth--;
            continue;
        }
        struct onnx_node *maker = need(walk, top->node, top->next++);
        if (maker && walk->marks[maker->index] == NEW)
            enter(walk, maker);
        else if (maker && walk->marks[maker->index] == ENTERED)
            walk->cycle = maker;
    }
}

int graph_sort(struct graph *graph, const struct onnx_node **out_cycle, struct err *err)
{
    const struct onnx_graph *model = onnx_model_graph(graph->model);
    cleanup_free uint8_t *marks = mem_zalloc(model->node_count + 1, 1);
    cleanup_free struct step *stack = mem_zalloc(model->node_count + 1, sizeof *stack);
    cleanup_free struct onnx_node **order = mem_zalloc(model->node_count + 1, sizeof(struct onnx_node *));
    if (!marks || !stack || !order)
        return err_no_memory(err);
    struct walk walk = {.graph = graph, .marks = marks, .stack = stack, .order = order};
    for (size_t i = 0; i < model->node_count; i++)
        if (!model->nodes[i]->removed && marks[i] == NEW)
            visit(&walk, model->nodes[i]);
    graph_changed(graph);
    graph->sorted = TAKE_PTR(order);
    graph->sorted_count = walk.count;
    *out_cycle = walk.cycle;
    return 0;
}

struct onnx_node *const *graph_nodes(struct graph *graph, size_t *out_count)
{
    struct err err = {0};
    const struct onnx_node *cycle;
    if (!graph->sorted && graph_sort(graph, &cycle, &err) < 0) {
        *out_count = 0;
        return NULL;
    }
    *out_count = graph->sorted_count;
    return graph->sorted;
}

int graph_settle(struct graph *graph, struct err *err)
{
    struct onnx_graph *model = onnx_model_graph(graph->model);
    const struct onnx_node *cycle = NULL;
    if (graph_sort(graph, &cycle, err) < 0)
        return -1;
    if (cycle)
        return err_set(err, ERR_INVALID, "the model has a cycle: node \"%.80s\" (%.40s) needs what it makes",
                       cycle->name, cycle->op);
    if (graph->sorted_count)
        memcpy(model->nodes, graph->sorted, graph->sorted_count * sizeof *model->nodes);
    model->node_count = graph->sorted_count;
    for (size_t i = 0; i < model->node_count; i++)
        model->nodes[i]->index = i;
    return 0;
}
