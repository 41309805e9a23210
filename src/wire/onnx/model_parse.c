#include "base/str.h"
#include "wire/onnx/model_inside.h"

#include <stdlib.h>
#include <string.h>

const char *onnx_parse_name(struct onnx_parser *parser, const struct pb_field *field)
{
    if (field->len >= ONNX_MAX_NAME) {
        err_set(parser->err, ERR_TOO_BIG, "ONNX model: a name has %d bytes or more", ONNX_MAX_NAME);
        return NULL;
    }
    for (size_t i = 0; i < field->len; i++) {
        if (field->data[i] >= 0x20 && field->data[i] != 0x7f)
            continue;
        err_set(parser->err, ERR_INVALID, "ONNX model: a name with control characters");
        return NULL;
    }
    const char *name = onnx_intern(parser->model, field->data, field->len);
    if (!name)
        err_no_memory(parser->err);
    return name;
}

/* ---- value infos ---- */

/* `arg` is what the fields of one message are put into. */
typedef int field_handler(struct onnx_parser *parser, const struct pb_field *field, void *arg);

static int each_field(struct onnx_parser *parser, struct onnx_bytes message, const char *where,
                      field_handler *handler, void *arg)
{
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk))
        if (handler(parser, &walk.field, arg) < 0)
            return -1;
    return walk.reader.broken ? onnx_damaged(parser->err, where) : 0;
}

static int read_dim(struct onnx_parser *parser, const struct pb_field *field, void *arg)
{
    struct onnx_value_info *out = arg;
    size_t at = out->dim_count - 1;
    if (onnx_is(field, 1, PB_VARINT))
        out->dims[at] = MAX((int64_t)field->value, (int64_t)-1);
    if (!onnx_is(field, 2, PB_BYTES))
        return 0;
    out->dims[at] = -1;
    return (out->params[at] = onnx_parse_name(parser, field)) ? 0 : -1;
}

static int read_shape(struct onnx_parser *parser, const struct pb_field *field, void *arg)
{
    struct onnx_value_info *out = arg;
    if (!onnx_is(field, 1, PB_BYTES))
        return 0;
    if (out->dim_count == ONNX_MAX_DIMS)
        return err_set(parser->err, ERR_TOO_BIG, "ONNX model: a tensor with more than %d dimensions",
                       ONNX_MAX_DIMS);
    out->dims[out->dim_count++] = -1;
    return each_field(parser, onnx_bytes_of(field), "dimension", read_dim, out);
}

static int read_tensor_type(struct onnx_parser *parser, const struct pb_field *field, void *arg)
{
    struct onnx_value_info *out = arg;
    if (onnx_is(field, 1, PB_VARINT))
        out->dtype = (enum tensor_dtype)MIN(field->value, (uint64_t)INT32_MAX);
    if (!onnx_is(field, 2, PB_BYTES))
        return 0;
    out->shaped = true;
    return each_field(parser, onnx_bytes_of(field), "shape", read_shape, out);
}

static int read_type(struct onnx_parser *parser, const struct pb_field *field, void *arg)
{
    return onnx_is(field, 1, PB_BYTES)
               ? each_field(parser, onnx_bytes_of(field), "tensor type", read_tensor_type, arg)
               : 0;
}

static int read_value(struct onnx_parser *parser, const struct pb_field *field, void *arg)
{
    struct onnx_value_info *out = arg;
    if (onnx_is(field, 1, PB_BYTES))
        return (out->name = onnx_parse_name(parser, field)) ? 0 : -1;
    return onnx_is(field, 2, PB_BYTES) ? each_field(parser, onnx_bytes_of(field), "type", read_type, out) : 0;
}

int onnx_parse_value(struct onnx_parser *parser, struct onnx_bytes message, struct onnx_value_info *out)
{
    *out = (struct onnx_value_info){.name = onnx_model_find(parser->model, ""), .raw = message};
    return each_field(parser, message, "value info", read_value, out);
}

/* ---- the graph ---- */

enum { G_NODE = 1, G_NAME = 2, G_WEIGHT = 5, G_INPUT = 11, G_OUTPUT = 12, G_VALUE = 13, G_SPARSE = 15 };

static bool known_of_graph(const struct pb_field *field)
{
    return field->type == PB_BYTES &&
           (field->number == G_NODE || field->number == G_NAME || field->number == G_WEIGHT ||
            (field->number >= G_INPUT && field->number <= G_VALUE));
}

static int add_node(struct onnx_parser *parser, struct onnx_bytes message)
{
    struct onnx_graph *graph = &parser->model->graph;
    struct onnx_node *node = onnx_arena(parser->model, sizeof *node);
    if (!node || !onnx_grow(parser->model, ONNX_ARRAY_NODES))
        return err_no_memory(parser->err);
    if (onnx_parse_node(parser, message, node) < 0)
        return -1;
    node->index = graph->node_count;
    graph->nodes[graph->node_count++] = node;
    return 0;
}

static int add_weight(struct onnx_parser *parser, struct onnx_bytes message)
{
    struct onnx_graph *graph = &parser->model->graph;
    struct onnx_weight *weight = onnx_arena(parser->model, sizeof *weight);
    if (graph->weight_count == ONNX_MAX_WEIGHTS)
        return err_set(parser->err, ERR_TOO_BIG, "ONNX model: more than %d initializers", ONNX_MAX_WEIGHTS);
    if (!weight || !onnx_grow(parser->model, ONNX_ARRAY_WEIGHTS))
        return err_no_memory(parser->err);
    if (onnx_parse_weight(parser, message, weight) < 0)
        return -1;
    if (!*weight->name)
        return err_set(parser->err, ERR_INVALID, "ONNX model: an initializer without a name");
    graph->weights[graph->weight_count++] = weight;
    return 0;
}

static int add_value(struct onnx_parser *parser, struct onnx_bytes message, int which,
                     struct onnx_value_info ***array, size_t *count)
{
    struct onnx_value_info *value = onnx_arena(parser->model, sizeof *value);
    if (*count == ONNX_MAX_VALUES)
        return err_set(parser->err, ERR_TOO_BIG, "ONNX model: more than %d value infos", ONNX_MAX_VALUES);
    if (!value || !onnx_grow(parser->model, which))
        return err_no_memory(parser->err);
    if (onnx_parse_value(parser, message, value) < 0)
        return -1;
    if (!*value->name)
        return err_set(parser->err, ERR_INVALID, "ONNX model: an input, output or value info without a name");
    (*array)[(*count)++] = value;
    return 0;
}

static int add_sparse(struct onnx_parser *parser, struct onnx_bytes message)
{
    struct onnx_graph *graph = &parser->model->graph;
    const char *name;
    if (onnx_scan_sparse(parser, message, &name) < 0)
        return -1;
    const char **grown = mem_grow(graph->sparse, graph->sparse_count + 1, sizeof *grown);
    if (!grown)
        return err_no_memory(parser->err);
    graph->sparse = grown;
    graph->sparse[graph->sparse_count++] = name;
    return 0;
}

static int read_graph_field(struct onnx_parser *parser, const struct pb_field *field)
{
    struct onnx_graph *graph = &parser->model->graph;
    struct onnx_bytes inner = onnx_bytes_of(field);
    if (onnx_is(field, G_SPARSE, PB_BYTES))
        return add_sparse(parser, inner);
    if (!known_of_graph(field))
        return 0;
    switch (field->number) {
    case G_NODE:
        return add_node(parser, inner);
    case G_NAME:
        return (graph->name = onnx_parse_name(parser, field)) ? 0 : -1;
    case G_WEIGHT:
        return add_weight(parser, inner);
    case G_INPUT:
        return add_value(parser, inner, ONNX_ARRAY_INPUTS, &graph->inputs, &graph->input_count);
    case G_OUTPUT:
        return add_value(parser, inner, ONNX_ARRAY_OUTPUTS, &graph->outputs, &graph->output_count);
    default:
        return add_value(parser, inner, ONNX_ARRAY_VALUES, &graph->values, &graph->value_count);
    }
}

static int read_graph(struct onnx_parser *parser, struct onnx_bytes message)
{
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk))
        if (read_graph_field(parser, &walk.field) < 0)
            return -1;
    if (walk.reader.broken)
        return onnx_damaged(parser->err, "graph");
    return onnx_keep_rest(parser->model, message, known_of_graph, &parser->model->graph_rest, parser->err);
}

/* ---- the model ---- */

enum { M_IR = 1, M_GRAPH = 7, M_OPSET = 8, M_PROPERTY = 14, M_TRAINING = 20, M_FUNCTION = 25 };

static bool known_of_model(const struct pb_field *field)
{
    return onnx_is(field, M_IR, PB_VARINT) ||
           (field->type == PB_BYTES &&
            (field->number == M_GRAPH || field->number == M_OPSET || field->number == M_PROPERTY));
}

static int add_opset(struct onnx_parser *parser, struct onnx_bytes message)
{
    const char *domain = "";
    int64_t version = 0;
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk)) {
        if (onnx_is(&walk.field, 1, PB_BYTES) && !(domain = onnx_parse_name(parser, &walk.field)))
            return -1;
        if (onnx_is(&walk.field, 2, PB_VARINT))
            version = (int64_t)walk.field.value;
    }
    if (walk.reader.broken || version < 1)
        return onnx_damaged(parser->err, "version of an operator set");
    if (str_eq(domain, "ai.onnx"))
        domain = "";
    int64_t before = onnx_model_opset(parser->model, domain);
    if (before && before != version)
        return err_set(parser->err, ERR_INVALID, "ONNX model: two versions of operator set \"%.80s\"",
                       domain);
    if (!before && parser->model->graph.opset_count == ONNX_MAX_OPSETS) /* each is looked for among all */
        return err_set(parser->err, ERR_TOO_BIG, "ONNX model: more than %d operator sets", ONNX_MAX_OPSETS);
    return before ? 0 : onnx_model_set_opset(parser->model, domain, version, parser->err);
}

static int add_property(struct onnx_parser *parser, struct onnx_bytes message)
{
    struct onnx_model *model = parser->model;
    struct onnx_bytes texts[2] = {0};
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk))
        if (walk.field.number <= 2 && walk.field.type == PB_BYTES)
            texts[walk.field.number - 1] = onnx_bytes_of(&walk.field);
    if (walk.reader.broken)
        return onnx_damaged(parser->err, "metadata");
    const char *key = onnx_arena_text(model, texts[0].data, texts[0].len);
    const char *value = onnx_arena_text(model, texts[1].data, texts[1].len);
    if (!key || !value)
        return err_no_memory(parser->err);
    model->properties[model->property_count++] = (struct onnx_property){key, value, message};
    return 0;
}

static int read_model_field(struct onnx_parser *parser, const struct pb_field *field, bool *has_graph)
{
    struct onnx_bytes inner = onnx_bytes_of(field);
    if (onnx_is(field, M_IR, PB_VARINT))
        parser->model->graph.ir_version = (int64_t)field->value;
    if (field->type != PB_BYTES)
        return 0;
    if (field->number == M_GRAPH && *has_graph)
        return err_set(parser->err, ERR_INVALID, "no ONNX model: it has two graphs");
    switch (field->number) {
    case M_GRAPH:
        *has_graph = true;
        return read_graph(parser, inner);
    case M_OPSET:
        return add_opset(parser, inner);
    case M_PROPERTY:
        return add_property(parser, inner);
    case M_TRAINING:
    case M_FUNCTION:
        return onnx_scan_foreign(parser, inner, field->number == M_FUNCTION);
    default:
        return 0;
    }
}

/* Room for all properties: they are few, and each is there. */
static int count_properties(struct onnx_parser *parser, struct onnx_bytes message)
{
    size_t count = 1;
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk))
        count += onnx_is(&walk.field, M_PROPERTY, PB_BYTES);
    if (walk.reader.broken)
        return onnx_damaged(parser->err, "file");
    parser->model->properties = mem_zalloc(count, sizeof *parser->model->properties);
    return parser->model->properties ? 0 : err_no_memory(parser->err);
}

static int read_model(struct onnx_parser *parser, struct onnx_bytes message)
{
    bool has_graph = false;
    if (count_properties(parser, message) < 0)
        return -1;
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk))
        if (read_model_field(parser, &walk.field, &has_graph) < 0)
            return -1;
    if (!has_graph)
        return err_set(parser->err, ERR_INVALID, "no ONNX model: it has no graph");
    return onnx_keep_rest(parser->model, message, known_of_model, &parser->model->rest, parser->err);
}

int onnx_model_parse(const uint8_t *data, size_t len, struct onnx_model **out, struct err *err)
{
    cleanup_onnx_model struct onnx_model *model = onnx_model_new(0, 0);
    struct onnx_parser parser = {.model = model, .err = err};
    if (!model)
        return err_no_memory(err);
    if (read_model(&parser, (struct onnx_bytes){data, len}) < 0)
        return -1;
    *out = TAKE_PTR(model);
    return 0;
}
