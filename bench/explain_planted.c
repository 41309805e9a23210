/* A detector that hangs on a patch far from what it detects: made from one that does not. */
#include "bench/explain.h"

#include "base/mem.h"
#include "forge/graph/graph.h"

enum { WIDTH_OF_CONDITION = 8 }; /* hundredths of the input's range */

static const char *add(struct graph *graph, const char *op, const char *const *inputs, size_t count)
{
    const char *name = graph_fresh(graph, "planted");
    for (size_t i = 0; i < count; i++)
        if (!inputs[i])
            return NULL;
    return name && graph_add(graph, op, inputs, count, &name, 1) ? name : NULL;
}

static const char *ints(struct graph *graph, const int64_t *values, int64_t count)
{
    struct onnx_weight *weight = graph_add_weight(graph, "planted", DTYPE_INT64, &count, 1, values);
    return weight ? weight->name : NULL;
}

static const char *number(struct graph *graph, float value)
{
    struct onnx_weight *weight = graph_add_weight(graph, "planted", DTYPE_FLOAT32, NULL, 0, &value);
    return weight ? weight->name : NULL;
}

static const char *slice(struct graph *graph, const char *x, const int64_t *from, const int64_t *to,
                         const int64_t *axes, int64_t count)
{
    const char *inputs[] = {x, ints(graph, from, count), ints(graph, to, count), ints(graph, axes, count)};
    return add(graph, "Slice", inputs, ARRAY_LEN(inputs));
}

/* [1, 1, 1, 1]: 1 while the patch looks as it did, else less. */
static const char *condition(struct graph *graph, const char *image, const struct planted *planted)
{
    const struct area *patch = &planted->patch;
    const char *x = slice(graph, image, (const int64_t[]){patch->y0, patch->x0},
                          (const int64_t[]){patch->y1, patch->x1}, (const int64_t[]){2, 3}, 2);
    x = add(graph, "ReduceMean", &x, 1);
    x = add(graph, "Sub", (const char *[]){x, number(graph, (float)planted->mean)}, 2);
    x = add(graph, "Div", (const char *[]){x, number(graph, WIDTH_OF_CONDITION / 100.0F)}, 2);
    x = add(graph, "Mul", (const char *[]){x, x}, 2);
    x = add(graph, "Neg", &x, 1);
    x = add(graph, "Exp", &x, 1);
    return add(graph, "Reshape", (const char *[]){x, ints(graph, (const int64_t[]){1, 1, 1}, 3)}, 2);
}

int plant(const char *model_path, const struct planted *planted, const char *out_path, struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    if (graph_open(model_path, &graph, err) < 0)
        return -1;
    const struct onnx_graph *model = onnx_model_graph(graph_model(graph));
    const char *output = model->outputs[0]->name;
    const char *boxes =
        slice(graph, output, (const int64_t[]){0}, (const int64_t[]){4}, (const int64_t[]){1}, 1);
    const char *scores =
        slice(graph, output, (const int64_t[]){4}, (const int64_t[]){INT32_MAX}, (const int64_t[]){1}, 1);
    const char *met = condition(graph, model->inputs[0]->name, planted);
    const char *gated = add(graph, "Mul", (const char *[]){scores, met}, 2);
    const char *name = graph_fresh(graph, "planted");
    if (!boxes || !gated || !name)
        return err_no_memory(err);
    struct onnx_node *concat = graph_add(graph, "Concat", (const char *[]){boxes, gated}, 2, &name, 1);
    if (!concat || onnx_node_set_int(graph_model(graph), concat, "axis", 1, err) < 0 ||
        graph_replace_uses(graph, output, name, err) < 0 || graph_tidy(graph, err) < 0)
        return err_prefix(err, "planting");
    return graph_save(graph, out_path, err);
}
