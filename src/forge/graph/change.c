#include "base/str.h"
#include "forge/graph/inside.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- adding ---- */

const char *graph_fresh(struct graph *graph, const char *base)
{
    char text[4096];
    do
        snprintf(text, sizeof text, "%.4000s_%zu", base, ++graph->fresh);
    while (onnx_model_find(graph->model, text));
    return onnx_model_name(graph->model, text);
}

struct onnx_node *graph_add(struct graph *graph, const char *op, const char *const *inputs,
                            size_t input_count, const char *const *outputs, size_t output_count)
{
    struct err err = {0};
    const char *name = graph_fresh(graph, op);
    struct onnx_node *node =
        name ? onnx_model_add_node(graph->model, op, name, inputs, input_count, outputs, output_count) : NULL;
    return node && graph_link(graph, node, &err) == 0 ? node : NULL;
}

/* The newest weight of the model into the index. */
static struct onnx_weight *link_weight(struct graph *graph, struct onnx_weight *weight)
{
    struct slot *slot = weight ? graph_slot(graph, weight->name) : NULL;
    if (!slot)
        return NULL;
    slot->tensor.weight = weight;
    slot->is_weight_named = true;
    graph_set_shape(graph, weight->name, weight->dtype, weight->dims, weight->dim_count);
    return weight;
}

struct onnx_weight *graph_add_weight(struct graph *graph, const char *base_name, enum tensor_dtype dtype,
                                     const int64_t *dims, size_t dim_count, const void *data)
{
    const char *name = graph_fresh(graph, base_name);
    return name ? link_weight(graph, onnx_model_add_weight(graph->model, name, dtype, dims, dim_count, data))
                : NULL;
}

/* ---- inputs ---- */

static int extend_inputs(struct graph *graph, struct onnx_node *node, size_t count, struct err *err)
{
    const char **inputs = onnx_model_alloc(graph->model, count * sizeof *inputs);
    if (!inputs)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        inputs[i] = i < node->input_count ? node->inputs[i] : onnx_model_find(graph->model, "");
    node->inputs = inputs;
    node->input_count = count;
    return 0;
}

int graph_set_input(struct graph *graph, struct onnx_node *node, size_t input, const char *name,
                    struct err *err)
{
    const char *interned = onnx_model_name(graph->model, name ? name : "");
    if (!interned || (input >= node->input_count && extend_inputs(graph, node, input + 1, err) < 0) ||
        graph_add_use(graph, interned, node, input, err) < 0)
        return err_no_memory(err);
    graph_drop_use(graph, node->inputs[input], node, input);
    node->inputs[input] = interned;
    graph_changed(graph);
    return 0;
}

/* ---- replacing ---- */

/* Marks, by index, the nodes that `to` is computed from, not looking beyond the maker of `from`. */
static int mark_upstream(struct graph *graph, const struct slot *from, const struct slot *to, uint8_t *marks,
                         struct err *err)
{
    size_t nodes = onnx_model_graph(graph->model)->node_count, depth = 0;
    cleanup_free struct onnx_node **stack = mem_zalloc(nodes + 1, sizeof(struct onnx_node *));
    if (!stack)
        return err_no_memory(err);
    if (to && to->tensor.maker) {
        stack[depth++] = to->tensor.maker;
        marks[to->tensor.maker->index] = 1;
    }
    while (depth) {
        const struct onnx_node *node = stack[--depth];
        for (size_t i = 0; i < node->input_count + node->capture_count; i++) {
            const char *name =
                i < node->input_count ? node->inputs[i] : node->captures[i - node->input_count];
            const struct slot *slot = graph_find(graph, name);
            struct onnx_node *maker = slot && slot != from ? slot->tensor.maker : NULL;
            if (!maker || marks[maker->index])
                continue;
            marks[maker->index] = 1;
            stack[depth++] = maker;
        }
    }
    return 0;
}

/* Readers of `from` whose mark is as given (-1: all) read `to`. */
static int move_uses(struct graph *graph, struct slot *from, const char *to, const uint8_t *marks, int mark,
                     struct err *err)
{
    size_t kept = 0, count = from->tensor.use_count;
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        struct graph_use use = from->tensor.uses[i];
        bool moves = result == 0 && (mark < 0 || marks[use.node->index] == mark);
        if (moves)
            result = graph_add_use(graph, to, use.node, use.input, err);
        if (moves && result == 0)
            use.node->inputs[use.input] = to;
        else
            from->tensor.uses[kept++] = use;
    }
    from->tensor.use_count = kept;
    graph_changed(graph);
    return result;
}

/* The maker of a tensor makes it under another name. */
static int rename_output(struct graph *graph, struct slot *slot, const char *name, struct err *err)
{
    struct slot *to = graph_slot(graph, name);
    struct onnx_node *maker = slot->tensor.maker;
    if (!to)
        return err_no_memory(err);
    maker->outputs[slot->tensor.maker_output] = name;
    to->tensor.maker = maker;
    to->tensor.maker_output = slot->tensor.maker_output;
    if (!slot->is_weight_named) {
        to->tensor.weight = slot->tensor.weight;
        slot->tensor.weight = NULL;
    }
    slot->tensor.maker = NULL;
    slot->tensor.maker_output = 0;
    graph_changed(graph);
    graph_set_shape(graph, name, slot->tensor.dtype, slot->tensor.dims,
                    slot->tensor.shaped ? slot->tensor.dim_count : RELEASE_MAX_DIMS + 1);
    return 0;
}

/* `from` has to stay the name of what others see (outputs, subgraphs): what made it gets another one, and `to` gets this. */
static int take_over(struct graph *graph, struct slot *from, struct slot *to, const uint8_t *marks,
                     struct err *err)
{
    const char *aside = graph_fresh(graph, from->tensor.name);
    if (!aside)
        return err_no_memory(err);
    if (rename_output(graph, from, aside, err) < 0 || move_uses(graph, from, aside, marks, 1, err) < 0)
        return -1;
    bool movable = to->tensor.maker && !to->tensor.is_output && !to->tensor.captured;
    if (!movable)
        return graph_add(graph, "Identity", &to->tensor.name, 1, &from->tensor.name, 1) ? 0
                                                                                        : err_no_memory(err);
    if (move_uses(graph, to, from->tensor.name, NULL, -1, err) < 0)
        return -1;
    return rename_output(graph, to, from->tensor.name, err);
}

int graph_replace_uses(struct graph *graph, const char *from_name, const char *to_name, struct err *err)
{
    const char *to_interned = onnx_model_name(graph->model, to_name);
    struct slot *from = graph_find(graph, from_name);
    struct slot *to = to_interned ? graph_slot(graph, to_interned) : NULL;
    assert(*to_name);
    if (!to)
        return err_no_memory(err);
    if (!from || from == to)
        return 0;
    cleanup_free uint8_t *marks = mem_zalloc(onnx_model_graph(graph->model)->node_count + 1, 1);
    if (!marks)
        return err_no_memory(err);
    if (mark_upstream(graph, from, to, marks, err) < 0)
        return -1;
    if (from->tensor.maker && (from->tensor.is_output || from->tensor.captured))
        return take_over(graph, from, to, marks, err);
    return move_uses(graph, from, to_interned, marks, 0, err);
}

void graph_remove(struct graph *graph, struct onnx_node *node)
{
    if (node->removed)
        return;
    graph_unlink(graph, node);
    node->removed = true;
}

int graph_hoist_constants(struct graph *graph, struct err *err)
{
    const struct onnx_graph *model = onnx_model_graph(graph->model);
    for (size_t i = 0; i < model->node_count; i++) {
        struct onnx_node *node = model->nodes[i];
        const struct graph_tensor *tensor = graph_output(graph, node, 0);
        struct onnx_weight *weight = tensor && tensor->maker == node ? tensor->weight : NULL;
        if (node->removed || !weight)
            continue;
        weight = onnx_model_keep_weight(graph->model, weight, node->outputs[0]);
        if (!weight)
            return err_no_memory(err);
        graph_remove(graph, node);
        if (!link_weight(graph, weight))
            return err_no_memory(err);
    }
    return 0;
}

/* ---- inputs and outputs of the graph ---- */

int graph_expose(struct graph *graph, const char *name, struct err *err)
{
    struct onnx_graph *model = onnx_model_graph(graph->model);
    const struct graph_tensor *known = graph_tensor(graph, name);
    struct slot *slot = graph_find(graph, name);
    if (!known)
        return err_set(err, ERR_INVALID, "the model has no tensor \"%.80s\"", name);
    if (known->is_output)
        return 0;
    enum tensor_dtype dtype = known->dtype ? known->dtype : DTYPE_FLOAT32;
    if (!onnx_model_add_value(graph->model, &model->outputs, &model->output_count, name, dtype,
                              known->shaped ? known->dims : NULL, known->dim_count))
        return err_no_memory(err);
    slot->tensor.is_output = true;
    return 0;
}

/* Wherever the symbol stands there is now a number. */
static void fix_param(struct onnx_value_info *const *values, size_t count, const char *param, int64_t size)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < values[i]->dim_count; k++)
            if (values[i]->params[k] == param) {
                values[i]->params[k] = NULL;
                values[i]->dims[k] = size;
                values[i]->raw = (struct onnx_bytes){0};
            }
}

static void fix_dim(struct graph *graph, struct onnx_value_info *input, size_t k, int64_t size)
{
    const struct onnx_graph *model = onnx_model_graph(graph->model);
    const char *param = input->params[k];
    if (param && *param) {
        fix_param(model->inputs, model->input_count, param, size);
        fix_param(model->outputs, model->output_count, param, size);
        fix_param(model->values, model->value_count, param, size);
    }
    input->params[k] = NULL;
    input->dims[k] = size;
    input->raw = (struct onnx_bytes){0};
}

static struct onnx_value_info *find_input(const struct graph *graph, const char *name)
{
    const struct onnx_graph *model = onnx_model_graph(graph->model);
    for (size_t i = 0; i < model->input_count; i++)
        if (str_eq(model->inputs[i]->name, name))
            return model->inputs[i];
    return NULL;
}

/* What the value infos say now goes into the index. */
static int learn_shapes(struct graph *graph, struct onnx_value_info *const *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct slot *slot = graph_find(graph, values[i]->name);
        if (slot && !slot->tensor.weight && values[i]->shaped)
            graph_set_shape(graph, values[i]->name, values[i]->dtype, values[i]->dims, values[i]->dim_count);
    }
    return 0;
}

int graph_fix_input(struct graph *graph, const char *input, const int64_t *dims, size_t dim_count,
                    struct err *err)
{
    const struct onnx_graph *model = onnx_model_graph(graph->model);
    struct onnx_value_info *value = find_input(graph, input);
    if (!value)
        return err_set(err, ERR_INVALID, "the model has no input \"%.80s\"", input);
    if (value->shaped && value->dim_count != dim_count)
        return err_set(err, ERR_INVALID, "input \"%.80s\" has %zu dimensions, not %zu", input,
                       value->dim_count, dim_count);
    if (dim_count > ONNX_MAX_DIMS)
        return err_set(err, ERR_INVALID, "input \"%.80s\": more than %d dimensions", input, ONNX_MAX_DIMS);
    for (size_t i = 0; i < dim_count; i++)
        if (dims[i] < 0 || (value->shaped && value->dims[i] >= 0 && value->dims[i] != dims[i]))
            return err_set(err, ERR_INVALID, "input \"%.80s\": dimension %zu is %lld in the model, not %lld",
                           input, i, (long long)value->dims[i], (long long)dims[i]);
    value->shaped = true;
    value->dim_count = dim_count;
    for (size_t i = 0; i < dim_count; i++)
        fix_dim(graph, value, i, dims[i]);
    learn_shapes(graph, model->inputs, model->input_count);
    learn_shapes(graph, model->values, model->value_count);
    learn_shapes(graph, model->outputs, model->output_count);
    return 0;
}

static bool fits(const struct onnx_value_info *value, const int64_t *dims, size_t dim_count)
{
    bool same = !value->shaped || value->dim_count == dim_count;
    for (size_t i = 0; same && value->shaped && i < dim_count; i++)
        same = value->dims[i] < 0 || value->dims[i] == dims[i];
    return same;
}

static void drop_input(struct graph *graph, const struct onnx_value_info *value)
{
    struct onnx_graph *model = onnx_model_graph(graph->model);
    size_t kept = 0;
    for (size_t i = 0; i < model->input_count; i++)
        if (model->inputs[i] != value)
            model->inputs[kept++] = model->inputs[i];
    model->input_count = kept;
}

int graph_bind_input(struct graph *graph, const char *input, enum tensor_dtype dtype, const int64_t *dims,
                     size_t dim_count, const void *data, struct err *err)
{
    const struct onnx_value_info *value = find_input(graph, input);
    if (!value)
        return err_set(err, ERR_INVALID, "the model has no input \"%.80s\"", input);
    if (value->dtype != dtype || !fits(value, dims, dim_count))
        return err_set(err, ERR_INVALID, "input \"%.80s\" has another type or shape than the value for it",
                       input);
    struct onnx_weight *weight = onnx_model_add_weight(graph->model, input, dtype, dims, dim_count, data);
    if (!link_weight(graph, weight))
        return err_no_memory(err);
    drop_input(graph, value);
    graph_find(graph, input)->tensor.is_input = false;
    onnx_model_graph(graph->model)->ir_version = MAX(onnx_model_graph(graph->model)->ir_version, (int64_t)4);
    return 0;
}

void graph_forget_shapes(struct graph *graph)
{
    onnx_model_graph(graph->model)->value_count = 0;
}
