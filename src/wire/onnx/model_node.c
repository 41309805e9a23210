/* NodeProto and AttributeProto. */
#include "base/str.h"
#include "wire/onnx/model_inside.h"

#include <string.h>

/* ---- attributes ---- */

enum { A_NAME = 1, A_F, A_I, A_S, A_T, A_G, A_FLOATS, A_INTS, A_STRINGS, A_TYPE = 20 };

/* Repeated numbers: first how many, then which. */
static int count_numbers(struct onnx_parser *parser, const struct pb_field *field, uint32_t number,
                         size_t *count)
{
    if (field->type == PB_VARINT || field->type == PB_FIXED32) {
        (*count)++;
        return (field->type == PB_VARINT) == (number == A_INTS) ? 0 : onnx_damaged(parser->err, "attribute");
    }
    if (number == A_FLOATS) {
        *count += field->len / sizeof(float);
        return field->len % sizeof(float) ? onnx_damaged(parser->err, "attribute") : 0;
    }
    struct pb_reader packed = pb_over(field->data, field->len);
    uint64_t value;
    while (pb_next_varint(&packed, &value))
        (*count)++;
    return packed.broken ? onnx_damaged(parser->err, "attribute") : 0;
}

static size_t copy_numbers(const struct pb_field *field, uint8_t *to)
{
    if (field->number == A_FLOATS)
        return field->len ? (memcpy(to, field->data, field->len), field->len) : 0;
    if (field->type == PB_VARINT)
        return memcpy(to, &field->value, sizeof field->value), sizeof field->value;
    struct pb_reader packed = pb_over(field->data, field->len);
    uint64_t value;
    size_t len = 0;
    for (; pb_next_varint(&packed, &value); len += sizeof value)
        memcpy(to + len, &value, sizeof value);
    return len;
}

static int read_numbers(struct onnx_parser *parser, struct onnx_bytes message, uint32_t number,
                        struct onnx_attr *out)
{
    struct onnx_walk walk = onnx_walk_over(message);
    size_t count = 0, len = 0;
    while (onnx_walk_next(&walk))
        if (walk.field.number == number && count_numbers(parser, &walk.field, number, &count) < 0)
            return -1;
    uint8_t *values = onnx_arena(parser->model, count * sizeof(int64_t));
    if (!values)
        return err_no_memory(parser->err);
    walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk))
        if (walk.field.number == number)
            len += copy_numbers(&walk.field, values + len);
    out->count = count;
    out->floats = number == A_FLOATS ? (const float *)(const void *)values : NULL;
    out->ints = number == A_INTS ? (const int64_t *)(const void *)values : NULL;
    return 0;
}

static int read_tensor(struct onnx_parser *parser, const struct pb_field *field, struct onnx_attr *out)
{
    if (out->t)
        return err_set(parser->err, ERR_INVALID, "ONNX model: an attribute with two tensors");
    out->t = onnx_arena(parser->model, sizeof *out->t);
    return out->t ? onnx_parse_weight(parser, onnx_bytes_of(field), out->t) : err_no_memory(parser->err);
}

/* Before IR version 2 attributes did not say their type. */
static enum onnx_attr_type type_of(uint32_t number)
{
    static const uint8_t types[] = {
        [A_F] = ONNX_ATTR_FLOAT,   [A_I] = ONNX_ATTR_INT,          [A_S] = ONNX_ATTR_STRING,
        [A_T] = ONNX_ATTR_TENSOR,  [A_G] = ONNX_ATTR_GRAPH,        [A_FLOATS] = ONNX_ATTR_FLOATS,
        [A_INTS] = ONNX_ATTR_INTS, [A_STRINGS] = ONNX_ATTR_STRINGS};
    return number < ARRAY_LEN(types) ? (enum onnx_attr_type)types[number] : (enum onnx_attr_type)0;
}

static int read_attr_field(struct onnx_parser *parser, const struct pb_field *field, struct onnx_attr *out,
                           enum onnx_attr_type *seen)
{
    if (type_of(field->number))
        *seen = type_of(field->number);
    if (onnx_is(field, A_NAME, PB_BYTES))
        return (out->name = onnx_parse_name(parser, field)) ? 0 : -1;
    if (onnx_is(field, A_F, PB_FIXED32))
        memcpy(&out->f, field->data, sizeof out->f);
    if (onnx_is(field, A_I, PB_VARINT))
        out->i = (int64_t)field->value;
    if (onnx_is(field, A_S, PB_BYTES))
        out->s = onnx_bytes_of(field);
    if (onnx_is(field, A_TYPE, PB_VARINT))
        out->type = (enum onnx_attr_type)MIN(field->value, (uint64_t)INT32_MAX);
    return onnx_is(field, A_T, PB_BYTES) ? read_tensor(parser, field, out) : 0;
}

int onnx_parse_attr(struct onnx_parser *parser, struct onnx_bytes message, struct onnx_attr *out)
{
    *out = (struct onnx_attr){.name = onnx_model_find(parser->model, ""), .raw = message};
    enum onnx_attr_type seen = (enum onnx_attr_type)0;
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk))
        if (read_attr_field(parser, &walk.field, out, &seen) < 0)
            return -1;
    if (walk.reader.broken)
        return onnx_damaged(parser->err, "attribute");
    if (!out->type)
        out->type = seen;
    if (out->type == ONNX_ATTR_FLOATS)
        return read_numbers(parser, message, A_FLOATS, out);
    return out->type == ONNX_ATTR_INTS ? read_numbers(parser, message, A_INTS, out) : 0;
}

/* ---- nodes ---- */

enum { N_INPUT = 1, N_OUTPUT = 2, N_NAME = 3, N_OP = 4, N_ATTR = 5, N_DOMAIN = 7 };

static bool known(const struct pb_field *field)
{
    return field->type == PB_BYTES && field->number != 6 && field->number <= N_DOMAIN;
}

static int count_fields(struct onnx_parser *parser, struct onnx_bytes message, size_t counts[N_DOMAIN + 1])
{
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk))
        if (known(&walk.field))
            counts[walk.field.number]++;
    if (walk.reader.broken)
        return onnx_damaged(parser->err, "node");
    if (counts[N_INPUT] > ONNX_MAX_NODE_NAMES || counts[N_OUTPUT] > ONNX_MAX_NODE_NAMES ||
        counts[N_ATTR] > ONNX_MAX_NODE_NAMES)
        return err_set(parser->err, ERR_TOO_BIG,
                       "ONNX model: a node with more than %d inputs, outputs or attributes",
                       ONNX_MAX_NODE_NAMES);
    return 0;
}

static int read_node_field(struct onnx_parser *parser, const struct pb_field *field, struct onnx_node *out)
{
    if (!known(field))
        return 0;
    if (field->number == N_ATTR)
        return onnx_parse_attr(parser, onnx_bytes_of(field), &out->attrs[out->attr_count++]);
    const char *name = onnx_parse_name(parser, field);
    if (field->number == N_INPUT)
        out->inputs[out->input_count++] = name;
    else if (field->number == N_OUTPUT)
        out->outputs[out->output_count++] = name;
    else if (field->number == N_NAME)
        out->name = name;
    else if (field->number == N_OP)
        out->op = name;
    else
        out->domain = name && str_eq(name, "ai.onnx") ? onnx_model_find(parser->model, "") : name;
    return name ? 0 : -1;
}

int onnx_parse_node(struct onnx_parser *parser, struct onnx_bytes message, struct onnx_node *out)
{
    struct onnx_model *model = parser->model;
    const char *none = onnx_model_find(model, "");
    size_t counts[N_DOMAIN + 1] = {0};
    if (++parser->node_count > ONNX_MAX_NODES)
        return err_set(parser->err, ERR_TOO_BIG, "ONNX model: more than %d nodes", ONNX_MAX_NODES);
    if (count_fields(parser, message, counts) < 0)
        return -1;
    *out = (struct onnx_node){.name = none, .op = none, .domain = none};
    out->inputs = onnx_arena(model, counts[N_INPUT] * sizeof *out->inputs);
    out->outputs = onnx_arena(model, counts[N_OUTPUT] * sizeof *out->outputs);
    out->attrs = onnx_arena(model, counts[N_ATTR] * sizeof *out->attrs);
    if (!out->inputs || !out->outputs || !out->attrs)
        return err_no_memory(parser->err);
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk))
        if (read_node_field(parser, &walk.field, out) < 0)
            return -1;
    if (onnx_keep_rest(model, message, known, &out->rest, parser->err) < 0)
        return -1;
    return onnx_scan_subgraphs(parser, out);
}
