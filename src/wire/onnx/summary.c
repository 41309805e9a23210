#include "wire/onnx/summary.h"
#include "base/mem.h"
#include "wire/json_tree.h"
#include "wire/protobuf.h"

enum { MAX_NODES = 1000000, MAX_INITIALIZERS = 1000000, MAX_DEPTH = 8 };

/* Where a name lies in the file. */
struct name {
    const uint8_t *data;
    size_t len;
};

struct scan {
    struct onnx_summary *out;
    struct name *initializers; /* of the main graph */
    size_t initializer_count, initializer_cap;
    struct err *err;
};

typedef int field_handler(struct scan *scan, const struct pb_field *field, void *arg);

static int broken(struct scan *scan, const char *where)
{
    return err_set(scan->err, ERR_INVALID, "no ONNX model: the %s is damaged or cut short", where);
}

/* Calls the handler for every field of a message. */
static int each_field(struct scan *scan, const struct pb_field *message, const char *where,
                      field_handler *handler, void *arg)
{
    if (message->type != PB_BYTES)
        return broken(scan, where);
    struct pb_reader reader = pb_over(message->data, message->len);
    struct pb_field field;
    while (pb_next(&reader, &field))
        if (handler(scan, &field, arg) < 0)
            return -1;
    return reader.broken ? broken(scan, where) : 0;
}

/* Wire types other than the wanted one are foreign fields to protobuf; for numbers we are as lenient. */
static void keep_number(const struct pb_field *field, int64_t *out)
{
    if (field->type == PB_VARINT)
        *out = (int64_t)field->value;
}

/* ---- tensors: only whether their data is here ---- */

static int scan_tensor_field(struct scan *scan, const struct pb_field *field, void *arg)
{
    struct name *name = arg;
    if (field->number == 8 && field->type == PB_BYTES && name)
        *name = (struct name){field->data, field->len};
    if (field->number == 13 || (field->number == 14 && field->type == PB_VARINT && field->value == 1))
        scan->out->external_data = true;
    return 0;
}

static int scan_tensor(struct scan *scan, const struct pb_field *message, struct name *out_name)
{
    return each_field(scan, message, "tensor", scan_tensor_field, out_name);
}

static int scan_sparse_field(struct scan *scan, const struct pb_field *field, void *arg)
{
    if (field->number == 1)
        return scan_tensor(scan, field, arg);
    return field->number == 2 ? scan_tensor(scan, field, NULL) : 0;
}

static int scan_sparse(struct scan *scan, const struct pb_field *message, struct name *out_name)
{
    return each_field(scan, message, "sparse tensor", scan_sparse_field, out_name);
}

static int add_initializer(struct scan *scan, struct name name)
{
    if (scan->initializer_count == MAX_INITIALIZERS)
        return err_set(scan->err, ERR_TOO_BIG, "ONNX model: more than %d initializers", MAX_INITIALIZERS);
    if (scan->initializer_count == scan->initializer_cap) {
        size_t cap = MAX(scan->initializer_cap * 2, (size_t)64);
        struct name *grown = mem_grow(scan->initializers, cap, sizeof *grown);
        if (!grown)
            return err_no_memory(scan->err);
        scan->initializers = grown;
        scan->initializer_cap = cap;
    }
    scan->initializers[scan->initializer_count++] = name;
    return 0;
}

/* ---- nodes and their subgraphs ---- */

static int scan_subgraph(struct scan *scan, const struct pb_field *message, int depth);

static int scan_attribute_field(struct scan *scan, const struct pb_field *field, void *arg)
{
    const int *depth = arg;
    switch (field->number) {
    case 5:
    case 10:
        return scan_tensor(scan, field, NULL);
    case 6:
    case 11:
        return scan_subgraph(scan, field, *depth + 1);
    case 22:
    case 23:
        return scan_sparse(scan, field, NULL);
    default:
        return 0;
    }
}

static int scan_node_field(struct scan *scan, const struct pb_field *field, void *arg)
{
    return field->number == 5 ? each_field(scan, field, "attribute", scan_attribute_field, arg) : 0;
}

static int scan_node(struct scan *scan, const struct pb_field *message, int depth)
{
    if (++scan->out->node_count > MAX_NODES)
        return err_set(scan->err, ERR_TOO_BIG, "ONNX model: more than %d nodes", MAX_NODES);
    return each_field(scan, message, "node", scan_node_field, &depth);
}

static int scan_subgraph_field(struct scan *scan, const struct pb_field *field, void *arg)
{
    const int *depth = arg;
    switch (field->number) {
    case 1:
        return scan_node(scan, field, *depth);
    case 5:
        return scan_tensor(scan, field, NULL);
    case 15:
        return scan_sparse(scan, field, NULL);
    default:
        return 0;
    }
}

static int scan_subgraph(struct scan *scan, const struct pb_field *message, int depth)
{
    if (depth > MAX_DEPTH)
        return err_set(scan->err, ERR_TOO_BIG, "ONNX model: subgraphs nested more than %d deep", MAX_DEPTH);
    return each_field(scan, message, "graph", scan_subgraph_field, &depth);
}

/* ---- inputs and outputs ---- */

static int scan_dim_field(struct scan *scan, const struct pb_field *field, void *arg)
{
    int64_t *dim = arg;
    if (field->number == 1)
        keep_number(field, dim);
    return 0;
}

static int scan_shape_field(struct scan *scan, const struct pb_field *field, void *arg)
{
    struct onnx_value *out = arg;
    if (field->number != 1)
        return 0;
    if (out->dim_count == RELEASE_MAX_DIMS)
        return err_set(scan->err, ERR_TOO_BIG, "ONNX model: a tensor with more than %d dimensions",
                       RELEASE_MAX_DIMS);
    int64_t *dim = &out->dims[out->dim_count++];
    if (each_field(scan, field, "dimension", scan_dim_field, dim) < 0)
        return -1;
    *dim = MAX(*dim, 0); /* some writers say -1 for unknown */
    return 0;
}

static int scan_tensor_type_field(struct scan *scan, const struct pb_field *field, void *arg)
{
    struct onnx_value *out = arg;
    if (field->number == 1 && field->type == PB_VARINT)
        out->elem_type = (int32_t)MIN(field->value, (uint64_t)INT32_MAX);
    if (field->number == 2)
        return each_field(scan, field, "shape", scan_shape_field, out);
    return 0;
}

static int scan_type_field(struct scan *scan, const struct pb_field *field, void *arg)
{
    return field->number == 1 ? each_field(scan, field, "tensor type", scan_tensor_type_field, arg) : 0;
}

static int copy_name(struct scan *scan, const struct pb_field *field, char *out, size_t out_size)
{
    if (field->type != PB_BYTES || field->len >= out_size || memchr(field->data, 0, field->len))
        return err_set(scan->err, ERR_TOO_BIG,
                       "ONNX model: the name of an input or output has over %zu bytes or a NUL",
                       out_size - 1);
    memcpy(out, field->data, field->len);
    out[field->len] = 0;
    json_tame(out);
    return 0;
}

static int scan_value_field(struct scan *scan, const struct pb_field *field, void *arg)
{
    struct onnx_value *out = arg;
    if (field->number == 1)
        return copy_name(scan, field, out->name, sizeof out->name);
    return field->number == 2 ? each_field(scan, field, "type", scan_type_field, out) : 0;
}

static int find_name_field(struct scan *scan, const struct pb_field *field, void *arg)
{
    struct name *name = arg;
    if (field->number == 1 && field->type == PB_BYTES)
        *name = (struct name){field->data, field->len};
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct name *left = a, *right = b;
    size_t shorter = MIN(left->len, right->len);
    int order = shorter ? memcmp(left->data, right->data, shorter) : 0;
    return order ? order : (left->len > right->len) - (left->len < right->len);
}

static bool is_initializer(const struct scan *scan, const struct name *name)
{
    return scan->initializer_count &&
           bsearch(name, scan->initializers, scan->initializer_count, sizeof *name, compare_names);
}

static int scan_value(struct scan *scan, const struct pb_field *message, struct onnx_value *values,
                      size_t *count)
{
    if (*count == RELEASE_MAX_TENSORS)
        return err_set(scan->err, ERR_TOO_BIG, "ONNX model: more than %d inputs or outputs",
                       RELEASE_MAX_TENSORS);
    return each_field(scan, message, "input or output", scan_value_field, &values[(*count)++]);
}

/* Before IR version 4 every initializer is an input too; those do not count. */
static int scan_input(struct scan *scan, const struct pb_field *message)
{
    struct name name = {0};
    if (each_field(scan, message, "input", find_name_field, &name) < 0)
        return -1;
    return is_initializer(scan, &name)
               ? 0
               : scan_value(scan, message, scan->out->inputs, &scan->out->input_count);
}

/* ---- the main graph, in two passes: inputs need to know the initializers ---- */

static int scan_graph_field(struct scan *scan, const struct pb_field *field, void *arg)
{
    struct name name = {0};
    switch (field->number) {
    case 1:
        return scan_node(scan, field, 0);
    case 5:
        return scan_tensor(scan, field, &name) < 0 ? -1 : add_initializer(scan, name);
    case 15:
        return scan_sparse(scan, field, &name) < 0 ? -1 : add_initializer(scan, name);
    case 12:
        return scan_value(scan, field, scan->out->outputs, &scan->out->output_count);
    default:
        return 0;
    }
}

static int scan_inputs_field(struct scan *scan, const struct pb_field *field, void *arg)
{
    return field->number == 11 ? scan_input(scan, field) : 0;
}

static int scan_graph(struct scan *scan, const struct pb_field *message)
{
    if (each_field(scan, message, "graph", scan_graph_field, NULL) < 0)
        return -1;
    if (scan->initializer_count)
        qsort(scan->initializers, scan->initializer_count, sizeof *scan->initializers, compare_names);
    return each_field(scan, message, "graph", scan_inputs_field, NULL);
}

/* ---- the model ---- */

struct opset {
    bool foreign; /* of another domain than ONNX's own */
    int64_t version;
};

static int scan_opset_field(struct scan *scan, const struct pb_field *field, void *arg)
{
    struct opset *opset = arg;
    if (field->number == 1 && field->type == PB_BYTES)
        opset->foreign = field->len && !(field->len == 7 && memcmp(field->data, "ai.onnx", 7) == 0);
    if (field->number == 2)
        keep_number(field, &opset->version);
    return 0;
}

static int scan_opset(struct scan *scan, const struct pb_field *message)
{
    struct opset opset = {0};
    if (each_field(scan, message, "opset", scan_opset_field, &opset) < 0)
        return -1;
    if (!opset.foreign)
        scan->out->opset = opset.version;
    return 0;
}

static void keep_producer(struct scan *scan, const struct pb_field *field)
{
    char *out = scan->out->producer;
    size_t len = field->type == PB_BYTES ? MIN(field->len, sizeof scan->out->producer - 1) : 0;
    if (len)
        memcpy(out, field->data, len);
    out[len] = 0;
    json_tame(out);
}

static int scan_model_field(struct scan *scan, const struct pb_field *field, void *arg)
{
    bool *seen_graph = arg;
    switch (field->number) {
    case 1:
        keep_number(field, &scan->out->ir_version);
        return 0;
    case 2:
        keep_producer(scan, field);
        return 0;
    case 7:
        if (*seen_graph)
            return err_set(scan->err, ERR_INVALID, "ONNX model: holds two graphs");
        *seen_graph = true;
        return scan_graph(scan, field);
    case 8:
        return scan_opset(scan, field);
    default:
        return 0;
    }
}

int onnx_summarize(const uint8_t *data, size_t len, struct onnx_summary *out, struct err *err)
{
    memset(out, 0, sizeof *out);
    struct scan scan = {.out = out, .err = err};
    struct pb_field model = {.type = PB_BYTES, .data = data, .len = len};
    bool seen_graph = false;
    int rc = each_field(&scan, &model, "file", scan_model_field, &seen_graph);
    free(scan.initializers);
    if (rc < 0)
        return -1;
    if (!seen_graph || out->ir_version < 1)
        return err_set(err, ERR_INVALID, "no ONNX model: graph or IR version is missing");
    return 0;
}
