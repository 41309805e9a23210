/* Who makes a tensor and who reads it, kept by the numbers of the interned names. */
#include "forge/graph/inside.h"

#include <stdlib.h>
#include <string.h>

/* ---- slots ---- */

struct slot *graph_slot(struct graph *graph, const char *name)
{
    size_t id = onnx_name_id(name);
    if (id >= graph->slot_count) {
        size_t count = MAX(MAX(id + 1, graph->slot_count * 2), onnx_model_name_count(graph->model));
        struct slot **grown = mem_grow(graph->slots, count, sizeof *grown);
        if (!grown)
            return NULL;
        memset(grown + graph->slot_count, 0, (count - graph->slot_count) * sizeof *grown);
        graph->slots = grown;
        graph->slot_count = count;
    }
    struct slot **at = &graph->slots[id];
    if (!*at && (*at = mem_zalloc(1, sizeof **at)))
        (*at)->tensor.name = name;
    return *at;
}

struct slot *graph_find(const struct graph *graph, const char *text)
{
    const char *name = text && *text ? onnx_model_find(graph->model, text) : NULL;
    return name && onnx_name_id(name) < graph->slot_count ? graph->slots[onnx_name_id(name)] : NULL;
}

void graph_index_fini(struct graph *graph)
{
    for (size_t i = 0; i < graph->slot_count; i++) {
        if (graph->slots[i])
            free(graph->slots[i]->tensor.uses);
        free(graph->slots[i]);
    }
    free(graph->slots);
    graph->slots = NULL;
    graph->slot_count = 0;
    graph_changed(graph);
}

int graph_add_use(struct graph *graph, const char *name, struct onnx_node *node, size_t input,
                  struct err *err)
{
    if (!*name)
        return 0;
    struct slot *slot = graph_slot(graph, name);
    if (!slot)
        return err_no_memory(err);
    if (slot->tensor.use_count == slot->use_cap) {
        size_t cap = MAX(slot->use_cap * 2, (size_t)2);
        struct graph_use *grown = mem_grow(slot->tensor.uses, cap, sizeof *grown);
        if (!grown)
            return err_no_memory(err);
        slot->tensor.uses = grown;
        slot->use_cap = cap;
    }
    slot->tensor.uses[slot->tensor.use_count++] = (struct graph_use){node, input};
    return 0;
}

void graph_drop_use(struct graph *graph, const char *name, struct onnx_node *node, size_t input)
{
    struct slot *slot = graph_find(graph, name);
    for (size_t i = 0; slot && i < slot->tensor.use_count; i++) {
        struct graph_use *use = &slot->tensor.uses[i];
        if (use->node != node || use->input != input)
            continue;
        size_t behind = --slot->tensor.use_count - i;
        memmove(use, use + 1, behind * sizeof *use);
        return;
    }
}

/* ---- the value of a Constant ---- */

static struct onnx_weight *synthesize(struct onnx_model *model, const struct onnx_attr *attr, bool scalar)
{
    bool floats = attr->type == ONNX_ATTR_FLOAT || attr->type == ONNX_ATTR_FLOATS;
    size_t count = scalar ? 1 : attr->count, bytes = count * (floats ? sizeof(float) : sizeof(int64_t));
    const void *from = attr->type == ONNX_ATTR_FLOAT ? (const void *)&attr->f
                       : attr->type == ONNX_ATTR_INT ? (const void *)&attr->i
                       : floats                      ? (const void *)attr->floats
                                                     : (const void *)attr->ints;
    struct onnx_weight *weight = onnx_model_alloc(model, sizeof *weight);
    uint8_t *data = onnx_model_alloc(model, bytes);
    if (!weight || !data)
        return NULL;
    if (bytes)
        memcpy(data, from, bytes);
    *weight = (struct onnx_weight){.name = onnx_model_find(model, ""),
                                   .dtype = floats ? DTYPE_FLOAT32 : DTYPE_INT64,
                                   .dim_count = !scalar,
                                   .dims = {(int64_t)count},
                                   .data = {data, bytes}};
    return weight;
}

/* 0 with *out NULL: a value that we do not read (strings, sparse ones). */
static int constant_value(struct onnx_model *model, const struct onnx_node *node, struct onnx_weight **out,
                          struct err *err)
{
    static const struct {
        const char *name;
        enum onnx_attr_type type;
        bool scalar;
    } forms[] = {{"value_float", ONNX_ATTR_FLOAT, true},
                 {"value_int", ONNX_ATTR_INT, true},
                 {"value_floats", ONNX_ATTR_FLOATS, false},
                 {"value_ints", ONNX_ATTR_INTS, false}};
    const struct onnx_attr *value = onnx_node_attr(node, "value");
    *out = value ? value->t : NULL;
    for (size_t i = 0; i < ARRAY_LEN(forms) && !value; i++) {
        const struct onnx_attr *attr = onnx_node_attr(node, forms[i].name);
        if (!attr || attr->type != forms[i].type)
            continue;
        *out = synthesize(model, attr, forms[i].scalar);
        return *out ? 0 : err_no_memory(err);
    }
    return 0;
}

/* ---- nodes ---- */

static void set_weight(struct slot *slot, struct onnx_weight *weight)
{
    slot->tensor.weight = weight;
    slot->tensor.dtype = weight->dtype;
    slot->tensor.shaped = weight->dim_count <= RELEASE_MAX_DIMS;
    slot->tensor.dim_count = slot->tensor.shaped ? weight->dim_count : 0;
    memcpy(slot->tensor.dims, weight->dims, slot->tensor.dim_count * sizeof *weight->dims);
}

static int link_outputs(struct graph *graph, struct onnx_node *node, struct err *err)
{
    for (size_t i = 0; i < node->output_count; i++) {
        if (!*node->outputs[i])
            continue;
        struct slot *slot = graph_slot(graph, node->outputs[i]);
        if (!slot)
            return err_no_memory(err);
        slot->tensor.maker = node;
        slot->tensor.maker_output = i;
    }
    if (!graph_is_op(node, "Constant") || node->output_count != 1 || !*node->outputs[0])
        return 0;
    struct onnx_weight *weight = NULL;
    if (constant_value(graph->model, node, &weight, err) < 0)
        return -1;
    if (weight)
        set_weight(graph_find(graph, node->outputs[0]), weight);
    return 0;
}

int graph_link(struct graph *graph, struct onnx_node *node, struct err *err)
{
    graph_changed(graph);
    if (link_outputs(graph, node, err) < 0)
        return -1;
    for (size_t i = 0; i < node->input_count; i++)
        if (graph_add_use(graph, node->inputs[i], node, i, err) < 0)
            return -1;
    for (size_t i = 0; i < node->capture_count; i++) {
        struct slot *slot = graph_slot(graph, node->captures[i]);
        if (!slot)
            return err_no_memory(err);
        slot->capture_count++;
        slot->tensor.captured = true;
    }
    return 0;
}

void graph_unlink(struct graph *graph, struct onnx_node *node)
{
    graph_changed(graph);
    for (size_t i = 0; i < node->output_count; i++) {
        struct slot *slot = graph_find(graph, node->outputs[i]);
        if (!slot || slot->tensor.maker != node || slot->tensor.maker_output != i)
            continue;
        slot->tensor.maker = NULL;
        slot->tensor.maker_output = 0;
        if (!slot->is_weight_named)
            slot->tensor.weight = NULL;
    }
    for (size_t i = 0; i < node->input_count; i++)
        graph_drop_use(graph, node->inputs[i], node, i);
    for (size_t i = 0; i < node->capture_count; i++) {
        struct slot *slot = graph_find(graph, node->captures[i]);
        slot->tensor.captured = --slot->capture_count > 0;
    }
}

/* ---- from scratch ---- */

static bool is_made(const struct slot *slot)
{
    return slot->tensor.maker || slot->tensor.weight || slot->tensor.is_input || slot->is_sparse;
}

/* A slot of a name that nobody has made yet. */
static struct slot *claim(struct graph *graph, const char *name, const char *kind, struct err *err)
{
    struct slot *slot = graph_slot(graph, name);
    if (!slot)
        err_no_memory(err);
    else if (is_made(slot)) {
        err_set(err, ERR_INVALID, "the model makes \"%.80s\" twice (%s)", name, kind);
        return NULL;
    }
    return slot;
}

static void set_value(struct slot *slot, const struct onnx_value_info *value)
{
    slot->tensor.dtype = value->dtype;
    slot->tensor.shaped = value->shaped && value->dim_count <= RELEASE_MAX_DIMS;
    slot->tensor.dim_count = slot->tensor.shaped ? value->dim_count : 0;
    memcpy(slot->tensor.dims, value->dims, slot->tensor.dim_count * sizeof *value->dims);
}

static int index_weights(struct graph *graph, struct err *err)
{
    const struct onnx_graph *model = onnx_model_graph(graph->model);
    for (size_t i = 0; i < model->weight_count; i++) {
        if (model->weights[i]->removed)
            continue;
        struct slot *slot = claim(graph, model->weights[i]->name, "an initializer", err);
        if (!slot)
            return -1;
        set_weight(slot, model->weights[i]);
        slot->is_weight_named = true;
    }
    for (size_t i = 0; i < model->sparse_count; i++) {
        struct slot *slot = claim(graph, model->sparse[i], "a sparse initializer", err);
        if (!slot)
            return -1;
        slot->is_sparse = true;
    }
    return 0;
}

/* An initializer that is an input too (all of them before IR version 4) is a constant for us. */
static int index_inputs(struct graph *graph, struct err *err)
{
    struct onnx_graph *model = onnx_model_graph(graph->model);
    size_t kept = 0;
    for (size_t i = 0; i < model->input_count; i++) {
        const struct slot *known = graph_find(graph, model->inputs[i]->name);
        if (known && (known->is_weight_named || known->is_sparse))
            continue;
        struct slot *slot = claim(graph, model->inputs[i]->name, "an input", err);
        if (!slot)
            return -1;
        slot->tensor.is_input = true;
        set_value(slot, model->inputs[i]);
        model->inputs[kept++] = model->inputs[i];
    }
    if (kept < model->input_count) /* only from version 4 on an initializer need not be an input */
        model->ir_version = MAX(model->ir_version, (int64_t)4);
    model->input_count = kept;
    return 0;
}

static int index_values(struct graph *graph, struct onnx_value_info *const *values, size_t count,
                        bool outputs, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = graph_slot(graph, values[i]->name);
        if (!slot)
            return err_no_memory(err);
        slot->tensor.is_output |= outputs;
        if (!slot->tensor.weight && !slot->tensor.is_input && (values[i]->shaped || !slot->tensor.shaped))
            set_value(slot, values[i]);
    }
    return 0;
}

static int index_nodes(struct graph *graph, struct err *err)
{
    const struct onnx_graph *model = onnx_model_graph(graph->model);
    for (size_t i = 0; i < model->node_count; i++) {
        struct onnx_node *node = model->nodes[i];
        node->index = i;
        if (node->removed)
            continue;
        for (size_t k = 0; k < node->output_count; k++)
            if (*node->outputs[k] && !claim(graph, node->outputs[k], "a node", err))
                return -1;
        if (graph_link(graph, node, err) < 0)
            return -1;
    }
    return 0;
}

static int check_name(const struct graph *graph, const struct onnx_node *node, const char *name,
                      struct err *err)
{
    const struct slot *slot = graph_find(graph, name);
    if (!*name || (slot && is_made(slot)))
        return 0;
    return err_set(err, ERR_INVALID, "node \"%.60s\" (%.40s) reads \"%.60s\", which nothing makes",
                   node->name, node->op, name);
}

static int check_node(const struct graph *graph, const struct onnx_node *node, struct err *err)
{
    for (size_t i = 0; i < node->input_count; i++)
        if (check_name(graph, node, node->inputs[i], err) < 0)
            return -1;
    for (size_t i = 0; i < node->capture_count; i++)
        if (check_name(graph, node, node->captures[i], err) < 0)
            return -1;
    return 0;
}

int graph_check(const struct graph *graph, struct err *err)
{
    const struct onnx_graph *model = onnx_model_graph(graph->model);
    for (size_t i = 0; i < model->node_count; i++)
        if (!model->nodes[i]->removed && check_node(graph, model->nodes[i], err) < 0)
            return -1;
    for (size_t i = 0; i < model->output_count; i++) {
        const struct slot *slot = graph_find(graph, model->outputs[i]->name);
        if (!slot || !is_made(slot))
            return err_set(err, ERR_INVALID, "nothing makes the output \"%.80s\"", model->outputs[i]->name);
    }
    return 0;
}

int graph_index(struct graph *graph, struct err *err)
{
    const struct onnx_graph *model = onnx_model_graph(graph->model);
    graph_index_fini(graph);
    if (index_weights(graph, err) < 0 || index_inputs(graph, err) < 0 || index_nodes(graph, err) < 0)
        return -1;
    return index_values(graph, model->values, model->value_count, false, err) < 0
               ? -1
               : index_values(graph, model->outputs, model->output_count, true, err);
}
