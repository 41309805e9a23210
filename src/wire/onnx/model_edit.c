#include "base/str.h"
#include "wire/onnx/model_inside.h"

#include <stdlib.h>
#include <string.h>

/* ---- operator sets and metadata ---- */

int64_t onnx_model_opset(const struct onnx_model *model, const char *domain)
{
    for (size_t i = 0; i < model->graph.opset_count; i++)
        if (str_eq(model->graph.opsets[i].domain, domain))
            return model->graph.opsets[i].version;
    return 0;
}

int onnx_model_set_opset(struct onnx_model *model, const char *domain, int64_t version, struct err *err)
{
    struct onnx_graph *graph = &model->graph;
    for (size_t i = 0; i < graph->opset_count; i++)
        if (str_eq(graph->opsets[i].domain, domain)) {
            graph->opsets[i].version = version;
            return 0;
        }
    const char *name = onnx_model_name(model, domain);
    size_t count = graph->opset_count; /* the array doubles where its size is a power of two */
    struct onnx_opset *grown = count & (count - 1) || !name
                                   ? graph->opsets
                                   : mem_grow(graph->opsets, count ? count * 2 : 1, sizeof *grown);
    if (!grown || !name)
        return err_no_memory(err);
    graph->opsets = grown;
    graph->opsets[graph->opset_count++] = (struct onnx_opset){name, version};
    return 0;
}

const char *onnx_model_metadata(const struct onnx_model *model, const char *key)
{
    for (size_t i = 0; i < model->property_count; i++)
        if (str_eq(model->properties[i].key, key))
            return model->properties[i].value;
    return NULL;
}

int onnx_model_set_metadata(struct onnx_model *model, const char *key, const char *value, struct err *err)
{
    struct onnx_property changed = {
        onnx_arena_text(model, key, strlen(key)), onnx_arena_text(model, value, strlen(value)), {0}};
    if (!changed.key || !changed.value)
        return err_no_memory(err);
    for (size_t i = 0; i < model->property_count; i++)
        if (str_eq(model->properties[i].key, key)) {
            model->properties[i] = changed;
            return 0;
        }
    struct onnx_property *grown = mem_grow(model->properties, model->property_count + 1, sizeof *grown);
    if (!grown)
        return err_no_memory(err);
    model->properties = grown;
    grown[model->property_count++] = changed;
    return 0;
}

/* ---- nodes ---- */

/* NULL: out of memory. */
static const char **intern_all(struct onnx_model *model, const char *const *texts, size_t count)
{
    const char **names = onnx_arena(model, count * sizeof *names);
    for (size_t i = 0; names && i < count; i++)
        if (!(names[i] = onnx_model_name(model, texts[i] ? texts[i] : "")))
            return NULL;
    return names;
}

struct onnx_node *onnx_model_add_node(struct onnx_model *model, const char *op, const char *name,
                                      const char *const *inputs, size_t input_count,
                                      const char *const *outputs, size_t output_count)
{
    struct onnx_node *node = onnx_arena(model, sizeof *node);
    if (!node || !onnx_grow(model, ONNX_ARRAY_NODES))
        return NULL;
    *node = (struct onnx_node){.name = onnx_model_name(model, name ? name : ""),
                               .op = onnx_model_name(model, op),
                               .domain = onnx_model_name(model, ""),
                               .inputs = intern_all(model, inputs, input_count),
                               .outputs = intern_all(model, outputs, output_count),
                               .input_count = input_count,
                               .output_count = output_count,
                               .index = model->graph.node_count};
    if (!node->name || !node->op || !node->domain || !node->inputs || !node->outputs)
        return NULL;
    return model->graph.nodes[model->graph.node_count++] = node;
}

int onnx_node_set_inputs(struct onnx_model *model, struct onnx_node *node, const char *const *inputs,
                         size_t count, struct err *err)
{
    const char **names = intern_all(model, inputs, count);
    if (!names)
        return err_no_memory(err);
    node->inputs = names;
    node->input_count = count;
    return 0;
}

/* ---- attributes ---- */

static struct onnx_attr *find_attr(const struct onnx_node *node, const char *name)
{
    for (size_t i = 0; i < node->attr_count; i++)
        if (str_eq(node->attrs[i].name, name))
            return &node->attrs[i];
    return NULL;
}

const struct onnx_attr *onnx_node_attr(const struct onnx_node *node, const char *name)
{
    return find_attr(node, name);
}

int64_t onnx_node_int(const struct onnx_node *node, const char *name, int64_t fallback)
{
    const struct onnx_attr *attr = find_attr(node, name);
    return attr && attr->type == ONNX_ATTR_INT ? attr->i : fallback;
}

float onnx_node_float(const struct onnx_node *node, const char *name, float fallback)
{
    const struct onnx_attr *attr = find_attr(node, name);
    return attr && attr->type == ONNX_ATTR_FLOAT ? attr->f : fallback;
}

/* Replaces or appends. */
static int put_attr(struct onnx_model *model, struct onnx_node *node, const char *name, struct onnx_attr attr,
                    struct err *err)
{
    struct onnx_attr *at = find_attr(node, name);
    attr.name = onnx_model_name(model, name);
    if (!attr.name)
        return err_no_memory(err);
    if (!at) {
        struct onnx_attr *attrs = onnx_arena(model, (node->attr_count + 1) * sizeof *attrs);
        if (!attrs)
            return err_no_memory(err);
        if (node->attr_count)
            memcpy(attrs, node->attrs, node->attr_count * sizeof *attrs);
        node->attrs = attrs;
        at = &attrs[node->attr_count++];
    }
    *at = attr;
    return 0;
}

int onnx_node_set_int(struct onnx_model *model, struct onnx_node *node, const char *name, int64_t value,
                      struct err *err)
{
    return put_attr(model, node, name, (struct onnx_attr){.type = ONNX_ATTR_INT, .i = value}, err);
}

int onnx_node_set_float(struct onnx_model *model, struct onnx_node *node, const char *name, float value,
                        struct err *err)
{
    return put_attr(model, node, name, (struct onnx_attr){.type = ONNX_ATTR_FLOAT, .f = value}, err);
}

static const void *keep(struct onnx_model *model, const void *data, size_t len)
{
    void *copy = onnx_arena(model, len);
    return copy && len ? memcpy(copy, data, len) : copy;
}

int onnx_node_set_ints(struct onnx_model *model, struct onnx_node *node, const char *name,
                       const int64_t *values, size_t count, struct err *err)
{
    struct onnx_attr attr = {
        .type = ONNX_ATTR_INTS, .count = count, .ints = keep(model, values, count * sizeof *values)};
    return attr.ints ? put_attr(model, node, name, attr, err) : err_no_memory(err);
}

int onnx_node_set_floats(struct onnx_model *model, struct onnx_node *node, const char *name,
                         const float *values, size_t count, struct err *err)
{
    struct onnx_attr attr = {
        .type = ONNX_ATTR_FLOATS, .count = count, .floats = keep(model, values, count * sizeof *values)};
    return attr.floats ? put_attr(model, node, name, attr, err) : err_no_memory(err);
}

int onnx_node_set_string(struct onnx_model *model, struct onnx_node *node, const char *name,
                         const char *value, struct err *err)
{
    struct onnx_attr attr = {.type = ONNX_ATTR_STRING};
    attr.s =
        (struct onnx_bytes){(const uint8_t *)onnx_arena_text(model, value, strlen(value)), strlen(value)};
    return attr.s.data ? put_attr(model, node, name, attr, err) : err_no_memory(err);
}

void onnx_node_drop_attr(struct onnx_node *node, const char *name)
{
    struct onnx_attr *attr = find_attr(node, name);
    if (!attr)
        return;
    size_t behind = (size_t)(node->attrs + node->attr_count - (attr + 1));
    memmove(attr, attr + 1, behind * sizeof *attr);
    node->attr_count--;
}

/* ---- weights and value infos ---- */

/* The weight itself goes in, not yet its data. */
static struct onnx_weight *append_weight(struct onnx_model *model, struct onnx_weight weight)
{
    struct onnx_weight *at = onnx_arena(model, sizeof *at);
    if (!at || !weight.name || !onnx_grow(model, ONNX_ARRAY_WEIGHTS))
        return NULL;
    *at = weight;
    return model->graph.weights[model->graph.weight_count++] = at;
}

struct onnx_weight *onnx_model_add_weight(struct onnx_model *model, const char *name, enum tensor_dtype dtype,
                                          const int64_t *dims, size_t dim_count, const void *data)
{
    struct onnx_weight weight = {.dtype = dtype, .dim_count = dim_count};
    if (dim_count > ONNX_MAX_DIMS)
        return NULL;
    if (dim_count)
        memcpy(weight.dims, dims, dim_count * sizeof *dims);
    size_t count = onnx_weight_elements(&weight), size = tensor_element_bytes(dtype);
    if (!size || count > SIZE_MAX / 2 / size)
        return NULL;
    uint8_t *bytes = onnx_model_alloc(model, count * size);
    if (!bytes)
        return NULL;
    if (data && count)
        memcpy(bytes, data, count * size);
    weight.data = (struct onnx_bytes){bytes, count * size};
    weight.name = onnx_model_name(model, name);
    return append_weight(model, weight);
}

struct onnx_weight *onnx_model_keep_weight(struct onnx_model *model, const struct onnx_weight *weight,
                                           const char *name)
{
    struct onnx_weight kept = *weight;
    kept.name = onnx_model_name(model, name);
    kept.removed = false;
    return append_weight(model, kept);
}

static int array_of(const struct onnx_model *model, struct onnx_value_info **const *array)
{
    return array == &model->graph.inputs    ? ONNX_ARRAY_INPUTS
           : array == &model->graph.outputs ? ONNX_ARRAY_OUTPUTS
                                            : ONNX_ARRAY_VALUES;
}

struct onnx_value_info *onnx_model_add_value(struct onnx_model *model, struct onnx_value_info ***array,
                                             size_t *count, const char *name, enum tensor_dtype dtype,
                                             const int64_t *dims, size_t dim_count)
{
    struct onnx_value_info *value = onnx_arena(model, sizeof *value);
    if (dim_count > ONNX_MAX_DIMS || !value || !onnx_grow(model, array_of(model, array)))
        return NULL;
    *value = (struct onnx_value_info){.name = onnx_model_name(model, name),
                                      .dtype = dtype,
                                      .shaped = dims != NULL,
                                      .dim_count = dims ? dim_count : 0};
    if (!value->name)
        return NULL;
    if (dims && dim_count)
        memcpy(value->dims, dims, dim_count * sizeof *dims);
    return (*array)[(*count)++] = value;
}
