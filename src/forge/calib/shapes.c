/* Types and shapes of all tensors: what one run shows. */
#include "forge/calib/observe.h"

#include "base/str.h"
#include "forge/calib/watch.h"
#include "forge/graph/graph.h"

struct shapes {
    struct graph *graph;
    const char **names;
    size_t count;
};

static void see(void *arg, size_t which, const struct lab_tensor *tensor)
{
    const struct shapes *shapes = arg;
    if (tensor->dtype != 0)
        graph_set_shape(shapes->graph, shapes->names[which], tensor->dtype, tensor->dims, tensor->dim_count);
}

/* Sequences and optional values are no tensors, and cannot be watched. */
static bool gives_tensors(const struct onnx_node *node)
{
    static const char *const others[] = {"SplitToSequence", "Optional"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (graph_is_op(node, others[i]))
            return false;
    return !str_starts(node->op, "Sequence");
}

static int collect(struct shapes *shapes, struct err *err)
{
    size_t node_count = 0, room = 0;
    struct onnx_node *const *nodes = graph_nodes(shapes->graph, &node_count);
    for (size_t i = 0; i < node_count; i++)
        room += nodes[i]->output_count;
    shapes->names = mem_zalloc(room + 1, sizeof *shapes->names);
    if (!shapes->names)
        return err_no_memory(err);
    for (size_t i = 0; i < node_count; i++)
        for (size_t k = 0; gives_tensors(nodes[i]) && k < nodes[i]->output_count; k++)
            if (nodes[i]->outputs[k][0])
                shapes->names[shapes->count++] = nodes[i]->outputs[k];
    return 0;
}

int observe_shapes(const char *model_path, struct graph *graph, struct samples *samples,
                   const char *runtime_path, struct err *err)
{
    struct shapes shapes = {.graph = graph};
    cleanup_watched struct watched *watched = NULL;
    int result = collect(&shapes, err);
    if (result == 0)
        result = watched_open(model_path, shapes.names, shapes.count,
                              (struct lab_watch){.see = see, .arg = &shapes}, runtime_path, &watched, err);
    if (result == 0)
        result = watched_run(watched, samples, 0, err);
    free(shapes.names);
    return result;
}
