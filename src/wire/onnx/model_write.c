/* Writing: every message is put twice, first into a sink that only counts, since protobuf wants its length in front. */
#include "wire/onnx/model_inside.h"

#include <stdio.h>
#include <string.h>

enum { EXTERNAL_ALIGN = 4096 };
#define INSIDE_MAX ((uint64_t)INT32_MAX)

struct sink {
    const struct onnx_writer *writer;
    struct err *err;
    bool counting;
    uint64_t len;         /* so far */
    uint64_t external_at; /* where the second file ends so far */
};

typedef int emitter(struct sink *sink, const void *what);

static int put(struct sink *sink, const void *data, size_t len)
{
    sink->len += len;
    return sink->counting || !len ? 0 : sink->writer->put(sink->writer->arg, data, len, sink->err);
}

static int put_varint(struct sink *sink, uint64_t value)
{
    uint8_t bytes[10];
    size_t count = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[count++] = (uint8_t)(value | 0x80);
    bytes[count++] = (uint8_t)value;
    return put(sink, bytes, count);
}

static int put_tag(struct sink *sink, uint32_t number, enum pb_type type)
{
    return put_varint(sink, (uint64_t)number << 3 | type);
}

static int put_number(struct sink *sink, uint32_t number, uint64_t value)
{
    return put_tag(sink, number, PB_VARINT) < 0 ? -1 : put_varint(sink, value);
}

static int put_bytes(struct sink *sink, uint32_t number, const void *data, size_t len)
{
    if (put_tag(sink, number, PB_BYTES) < 0 || put_varint(sink, len) < 0)
        return -1;
    return put(sink, data, len);
}

static int put_text(struct sink *sink, uint32_t number, const char *text)
{
    return put_bytes(sink, number, text, strlen(text));
}

/* Texts that protobuf leaves out if they are empty. */
static int put_name(struct sink *sink, uint32_t number, const char *name)
{
    return *name ? put_text(sink, number, name) : 0;
}

static int put_message(struct sink *sink, uint32_t number, emitter *emit, const void *what)
{
    struct sink counter = *sink;
    counter.counting = true;
    counter.len = 0;
    if (emit(&counter, what) < 0 || put_tag(sink, number, PB_BYTES) < 0 || put_varint(sink, counter.len) < 0)
        return -1;
    if (!sink->counting)
        return emit(sink, what);
    sink->len += counter.len;
    sink->external_at = counter.external_at;
    return 0;
}

/* ---- weights ---- */

struct entry {
    const char *key, *value;
};

static int emit_entry(struct sink *sink, const void *what)
{
    const struct entry *entry = what;
    return put_text(sink, 1, entry->key) < 0 ? -1 : put_text(sink, 2, entry->value);
}

static int put_external(struct sink *sink, const char *location, uint64_t offset, uint64_t length)
{
    char from[24], size[24];
    snprintf(from, sizeof from, "%llu", (unsigned long long)offset);
    snprintf(size, sizeof size, "%llu", (unsigned long long)length);
    const struct entry entries[] = {{"location", location}, {"offset", from}, {"length", size}};
    for (size_t i = 0; i < ARRAY_LEN(entries) - (length == 0); i++)
        if (put_message(sink, 13, emit_entry, &entries[i]) < 0)
            return -1;
    return put_number(sink, 14, 1);
}

/* The bytes into the second file, at the next multiple of EXTERNAL_ALIGN. */
static int put_outside(struct sink *sink, const struct onnx_weight *weight)
{
    static const uint8_t zeros[EXTERNAL_ALIGN];
    const struct onnx_writer *writer = sink->writer;
    size_t gap = (size_t)(-sink->external_at % EXTERNAL_ALIGN);
    uint64_t offset = sink->external_at + gap;
    sink->external_at = offset + weight->data.len;
    if (!sink->counting &&
        ((gap && writer->put_external(writer->arg, zeros, gap, sink->err) < 0) ||
         writer->put_external(writer->arg, weight->data.data, weight->data.len, sink->err) < 0))
        return -1;
    return put_external(sink, writer->external_location, offset, weight->data.len);
}

static bool goes_outside(const struct sink *sink, const struct onnx_weight *weight)
{
    return sink->writer->put_external && weight->data.len && weight->data.len >= sink->writer->external_min;
}

/* Of a type without a name: as it was, but for its name. */
static int emit_raw_weight(struct sink *sink, const struct onnx_weight *weight)
{
    struct onnx_walk walk = onnx_walk_over(weight->raw);
    while (onnx_walk_next(&walk))
        if (walk.field.number != 8 && put(sink, walk.raw.data, walk.raw.len) < 0)
            return -1;
    return put_name(sink, 8, weight->name);
}

static int emit_tensor(struct sink *sink, const struct onnx_weight *weight, bool may_go_outside)
{
    if (weight->raw.data)
        return emit_raw_weight(sink, weight);
    for (size_t i = 0; i < weight->dim_count; i++)
        if (put_number(sink, 1, (uint64_t)weight->dims[i]) < 0)
            return -1;
    if (put_number(sink, 2, (uint64_t)weight->dtype) < 0 || put_name(sink, 8, weight->name) < 0)
        return -1;
    int result;
    if (weight->external.location && !weight->data.data)
        result =
            put_external(sink, weight->external.location, weight->external.offset, weight->external.length);
    else if (may_go_outside && goes_outside(sink, weight))
        result = put_outside(sink, weight);
    else
        result = put_bytes(sink, 9, weight->data.data, weight->data.len);
    return result < 0 ? -1 : put(sink, weight->rest.data, weight->rest.len);
}

static int emit_weight(struct sink *sink, const void *what)
{
    return emit_tensor(sink, what, true);
}

static int emit_constant(struct sink *sink, const void *what)
{
    return emit_tensor(sink, what, false);
}

/* ---- nodes ---- */

static int put_floats(struct sink *sink, const struct onnx_attr *attr)
{
    for (size_t i = 0; i < attr->count; i++)
        if (put_tag(sink, 7, PB_FIXED32) < 0 || put(sink, &attr->floats[i], sizeof(float)) < 0)
            return -1;
    return 0;
}

static int put_ints(struct sink *sink, const struct onnx_attr *attr)
{
    for (size_t i = 0; i < attr->count; i++)
        if (put_number(sink, 8, (uint64_t)attr->ints[i]) < 0)
            return -1;
    return 0;
}

static int put_attr_value(struct sink *sink, const struct onnx_attr *attr)
{
    switch ((int)attr->type) {
    case ONNX_ATTR_FLOAT:
        return put_tag(sink, 2, PB_FIXED32) < 0 ? -1 : put(sink, &attr->f, sizeof attr->f);
    case ONNX_ATTR_INT:
        return put_number(sink, 3, (uint64_t)attr->i);
    case ONNX_ATTR_STRING:
        return put_bytes(sink, 4, attr->s.data, attr->s.len);
    case ONNX_ATTR_TENSOR:
        return attr->t ? put_message(sink, 5, emit_constant, attr->t) : 0;
    case ONNX_ATTR_FLOATS:
        return put_floats(sink, attr);
    default:
        return put_ints(sink, attr);
    }
}

static int emit_attr(struct sink *sink, const void *what)
{
    const struct onnx_attr *attr = what;
    if (attr->raw.data)
        return put(sink, attr->raw.data, attr->raw.len);
    if (put_name(sink, 1, attr->name) < 0 || put_attr_value(sink, attr) < 0)
        return -1;
    return put_number(sink, 20, (uint64_t)attr->type);
}

static int emit_node(struct sink *sink, const void *what)
{
    const struct onnx_node *node = what;
    for (size_t i = 0; i < node->input_count; i++)
        if (put_text(sink, 1, node->inputs[i]) < 0)
            return -1;
    for (size_t i = 0; i < node->output_count; i++)
        if (put_text(sink, 2, node->outputs[i]) < 0)
            return -1;
    if (put_name(sink, 3, node->name) < 0 || put_name(sink, 4, node->op) < 0)
        return -1;
    for (size_t i = 0; i < node->attr_count; i++)
        if (put_message(sink, 5, emit_attr, &node->attrs[i]) < 0)
            return -1;
    return put_name(sink, 7, node->domain) < 0 ? -1 : put(sink, node->rest.data, node->rest.len);
}

/* ---- value infos: name {type {tensor {elem, shape {dim …}}}} ---- */

struct dim {
    int64_t value;
    const char *param;
};

static int emit_dim(struct sink *sink, const void *what)
{
    const struct dim *dim = what;
    if (dim->value >= 0)
        return put_number(sink, 1, (uint64_t)dim->value);
    return dim->param ? put_text(sink, 2, dim->param) : 0;
}

static int emit_shape(struct sink *sink, const void *what)
{
    const struct onnx_value_info *value = what;
    for (size_t i = 0; i < value->dim_count; i++) {
        const struct dim dim = {value->dims[i], value->params[i]};
        if (put_message(sink, 1, emit_dim, &dim) < 0)
            return -1;
    }
    return 0;
}

static int emit_tensor_type(struct sink *sink, const void *what)
{
    const struct onnx_value_info *value = what;
    if (put_number(sink, 1, (uint64_t)value->dtype) < 0)
        return -1;
    return value->shaped ? put_message(sink, 2, emit_shape, value) : 0;
}

static int emit_type(struct sink *sink, const void *what)
{
    return put_message(sink, 1, emit_tensor_type, what);
}

static int emit_value(struct sink *sink, const void *what)
{
    const struct onnx_value_info *value = what;
    if (value->raw.data)
        return put(sink, value->raw.data, value->raw.len);
    if (put_text(sink, 1, value->name) < 0)
        return -1;
    return value->dtype ? put_message(sink, 2, emit_type, value) : 0;
}

static int put_values(struct sink *sink, uint32_t number, struct onnx_value_info *const *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (put_message(sink, number, emit_value, values[i]) < 0)
            return -1;
    return 0;
}

/* ---- graph and model ---- */

static int emit_graph(struct sink *sink, const void *what)
{
    const struct onnx_model *model = what;
    const struct onnx_graph *graph = &model->graph;
    for (size_t i = 0; i < graph->node_count; i++)
        if (!graph->nodes[i]->removed && put_message(sink, 1, emit_node, graph->nodes[i]) < 0)
            return -1;
    if (put_name(sink, 2, graph->name) < 0)
        return -1;
    for (size_t i = 0; i < graph->weight_count; i++)
        if (!graph->weights[i]->removed && put_message(sink, 5, emit_weight, graph->weights[i]) < 0)
            return -1;
    if (put_values(sink, 11, graph->inputs, graph->input_count) < 0 ||
        put_values(sink, 12, graph->outputs, graph->output_count) < 0 ||
        put_values(sink, 13, graph->values, graph->value_count) < 0)
        return -1;
    return put(sink, model->graph_rest.data, model->graph_rest.len);
}

static int emit_opset(struct sink *sink, const void *what)
{
    const struct onnx_opset *opset = what;
    return put_name(sink, 1, opset->domain) < 0 ? -1 : put_number(sink, 2, (uint64_t)opset->version);
}

static int emit_property(struct sink *sink, const void *what)
{
    const struct onnx_property *property = what;
    if (property->raw.data)
        return put(sink, property->raw.data, property->raw.len);
    const struct entry entry = {property->key, property->value};
    return emit_entry(sink, &entry);
}

static int emit_model(struct sink *sink, const void *what)
{
    const struct onnx_model *model = what;
    if (put_number(sink, 1, (uint64_t)model->graph.ir_version) < 0 ||
        put_message(sink, 7, emit_graph, model) < 0)
        return -1;
    for (size_t i = 0; i < model->graph.opset_count; i++)
        if (put_message(sink, 8, emit_opset, &model->graph.opsets[i]) < 0)
            return -1;
    for (size_t i = 0; i < model->property_count; i++)
        if (put_message(sink, 14, emit_property, &model->properties[i]) < 0)
            return -1;
    return put(sink, model->rest.data, model->rest.len);
}

uint64_t onnx_model_bytes(const struct onnx_model *model, const struct onnx_writer *writer)
{
    struct err err = {0};
    struct sink sink = {.writer = writer, .err = &err, .counting = true};
    (void)emit_model(&sink, model); /* counting does not fail */
    return sink.len;
}

int onnx_model_write(const struct onnx_model *model, const struct onnx_writer *writer, struct err *err)
{
    struct sink sink = {.writer = writer, .err = err};
    uint64_t max = writer->inside_max ? writer->inside_max : INSIDE_MAX,
             bytes = onnx_model_bytes(model, writer);
    if (bytes > max)
        return err_set(err, ERR_TOO_BIG, "the model takes %llu bytes, one file of ONNX at most %llu",
                       (unsigned long long)bytes, (unsigned long long)max);
    return emit_model(&sink, model);
}
