/* Bodies of If, Loop, Scan and functions are kept as they are. Read of them is only what the graph around must know: the names that they
 * take from outside, their operators, and that no weight of theirs lies in another file. */
#include "wire/onnx/model_inside.h"

#include <stdlib.h>
#include <string.h>

struct names {
    const char **list;
    size_t count, cap;
};

struct scan {
    struct onnx_parser *parser;
    struct names ops;
};

/* What one graph says of names. */
struct scope {
    struct names used, made;
};

static int add_name(struct scan *scan, struct names *names, const char *name)
{
    if (!name)
        return -1;
    if (!*name)
        return 0;
    if (names->count == names->cap) {
        size_t cap = MAX(names->cap * 2, (size_t)16);
        const char **grown = mem_grow(names->list, cap, sizeof *grown);
        if (!grown)
            return err_no_memory(scan->parser->err);
        names->list = grown;
        names->cap = cap;
    }
    names->list[names->count++] = name;
    return 0;
}

static int by_pointer(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;
    return (*left > *right) - (*left < *right);
}

static void sort_unique(struct names *names)
{
    size_t kept = 0;
    if (names->count)
        qsort(names->list, names->count, sizeof *names->list, by_pointer);
    for (size_t i = 0; i < names->count; i++)
        if (!kept || names->list[kept - 1] != names->list[i])
            names->list[kept++] = names->list[i];
    names->count = kept;
}

static bool contains(const struct names *sorted, const char *name)
{
    return sorted->count && bsearch(&name, sorted->list, sorted->count, sizeof *sorted->list, by_pointer);
}

/* ---- messages ---- */

static int scan_graph(struct scan *scan, struct onnx_bytes message, int depth, struct names *captures);

/* *out_name NULL: nobody asks. */
static int scan_tensor(struct scan *scan, struct onnx_bytes message, const char **out_name)
{
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk)) {
        if (onnx_is(&walk.field, 14, PB_VARINT) && walk.field.value == 1)
            return err_set(
                scan->parser->err, ERR_UNSUPPORTED,
                "a weight of a subgraph or function lies in another file; save the model as one file");
        if (out_name && onnx_is(&walk.field, 8, PB_BYTES) &&
            !(*out_name = onnx_parse_name(scan->parser, &walk.field)))
            return -1;
    }
    return walk.reader.broken ? onnx_damaged(scan->parser->err, "weight of a subgraph") : 0;
}

static int scan_sparse(struct scan *scan, struct onnx_bytes message, const char **out_name)
{
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk)) {
        bool values = onnx_is(&walk.field, 1, PB_BYTES);
        if ((values || onnx_is(&walk.field, 2, PB_BYTES)) &&
            scan_tensor(scan, onnx_bytes_of(&walk.field), values ? out_name : NULL) < 0)
            return -1;
    }
    return walk.reader.broken ? onnx_damaged(scan->parser->err, "sparse weight of a subgraph") : 0;
}

static int scan_attr(struct scan *scan, struct onnx_bytes message, int depth, struct names *captures)
{
    struct onnx_walk walk = onnx_walk_over(message);
    int result = 0;
    while (result == 0 && onnx_walk_next(&walk)) {
        struct onnx_bytes inner = onnx_bytes_of(&walk.field);
        if (walk.field.type != PB_BYTES)
            continue;
        if (walk.field.number == 5 || walk.field.number == 10)
            result = scan_tensor(scan, inner, NULL);
        else if (walk.field.number == 6 || walk.field.number == 11)
            result = scan_graph(scan, inner, depth + 1, captures);
        else if (walk.field.number == 22 || walk.field.number == 23)
            result = scan_sparse(scan, inner, NULL);
    }
    return result < 0           ? -1
           : walk.reader.broken ? onnx_damaged(scan->parser->err, "attribute of a subgraph")
                                : 0;
}

static int scan_node(struct scan *scan, struct onnx_bytes message, int depth, struct scope *scope)
{
    struct onnx_parser *parser = scan->parser;
    const char *op = onnx_model_find(parser->model, ""), *domain = op;
    struct onnx_walk walk = onnx_walk_over(message);
    int result = 0;
    if (++parser->node_count > ONNX_MAX_NODES)
        return err_set(parser->err, ERR_TOO_BIG, "ONNX model: more than %d nodes", ONNX_MAX_NODES);
    while (result == 0 && onnx_walk_next(&walk)) {
        const struct pb_field *field = &walk.field;
        if (field->type != PB_BYTES)
            continue;
        if (field->number == 1 || field->number == 2)
            result = add_name(scan, field->number == 1 ? &scope->used : &scope->made,
                              onnx_parse_name(parser, field));
        else if (field->number == 4)
            result = (op = onnx_parse_name(parser, field)) ? 0 : -1;
        else if (field->number == 7)
            result = (domain = onnx_parse_name(parser, field)) ? 0 : -1;
        else if (field->number == 5)
            result = scan_attr(scan, onnx_bytes_of(field), depth, &scope->used);
    }
    if (result < 0)
        return -1;
    if (walk.reader.broken)
        return onnx_damaged(parser->err, "node of a subgraph");
    return !*domain || strcmp(domain, "ai.onnx") == 0 ? add_name(scan, &scan->ops, op) : 0;
}

/* Field 1 of a value info. */
static int scan_value(struct scan *scan, struct onnx_bytes message, struct names *names)
{
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk))
        if (onnx_is(&walk.field, 1, PB_BYTES) &&
            add_name(scan, names, onnx_parse_name(scan->parser, &walk.field)) < 0)
            return -1;
    return walk.reader.broken ? onnx_damaged(scan->parser->err, "input of a subgraph") : 0;
}

static int scan_graph_field(struct scan *scan, const struct pb_field *field, int depth, struct scope *scope)
{
    struct onnx_bytes inner = onnx_bytes_of(field);
    const char *name = onnx_model_find(scan->parser->model, "");
    if (field->type != PB_BYTES)
        return 0;
    switch (field->number) {
    case 1:
        return scan_node(scan, inner, depth, scope);
    case 5:
        return scan_tensor(scan, inner, &name) < 0 ? -1 : add_name(scan, &scope->made, name);
    case 11:
        return scan_value(scan, inner, &scope->made);
    case 12:
        return scan_value(scan, inner, &scope->used);
    case 15:
        return scan_sparse(scan, inner, &name) < 0 ? -1 : add_name(scan, &scope->made, name);
    default:
        return 0;
    }
}

static int scan_graph_fields(struct scan *scan, struct onnx_bytes message, int depth, struct scope *scope)
{
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk))
        if (scan_graph_field(scan, &walk.field, depth, scope) < 0)
            return -1;
    return walk.reader.broken ? onnx_damaged(scan->parser->err, "subgraph") : 0;
}

/* Adds to `captures` what the graph reads and does not make. */
static int scan_graph(struct scan *scan, struct onnx_bytes message, int depth, struct names *captures)
{
    struct scope scope = {0};
    if (depth > ONNX_MAX_DEPTH)
        return err_set(scan->parser->err, ERR_TOO_BIG, "ONNX model: subgraphs nested more than %d deep",
                       ONNX_MAX_DEPTH);
    int result = scan_graph_fields(scan, message, depth, &scope);
    sort_unique(&scope.used);
    sort_unique(&scope.made);
    for (size_t i = 0; i < scope.used.count && result == 0; i++)
        if (!contains(&scope.made, scope.used.list[i]))
            result = add_name(scan, captures, scope.used.list[i]);
    free(scope.used.list);
    free(scope.made.list);
    return result;
}

/* ---- for a node of the main graph ---- */

static int keep_names(struct onnx_parser *parser, struct names *names, const char ***out, size_t *out_count)
{
    sort_unique(names);
    if (!names->count)
        return 0;
    *out = onnx_arena(parser->model, names->count * sizeof **out);
    if (!*out)
        return err_no_memory(parser->err);
    memcpy(*out, names->list, names->count * sizeof **out);
    *out_count = names->count;
    return 0;
}

/* The main graph's own tensors are loaded from other files: their attribute is not scanned. */
static bool may_hide(const struct onnx_attr *attr)
{
    return !attr->t && attr->type != ONNX_ATTR_FLOAT && attr->type != ONNX_ATTR_INT &&
           attr->type != ONNX_ATTR_STRING && attr->type != ONNX_ATTR_FLOATS && attr->type != ONNX_ATTR_INTS;
}

int onnx_scan_subgraphs(struct onnx_parser *parser, struct onnx_node *node)
{
    struct scan scan = {.parser = parser};
    struct names captures = {0};
    int result = 0;
    for (size_t i = 0; i < node->attr_count && result == 0; i++)
        if (may_hide(&node->attrs[i]))
            result = scan_attr(&scan, node->attrs[i].raw, 0, &captures);
    if (result == 0)
        result = keep_names(parser, &captures, &node->captures, &node->capture_count);
    if (result == 0)
        result = keep_names(parser, &scan.ops, &node->inner_ops, &node->inner_op_count);
    free(captures.list);
    free(scan.ops.list);
    return result;
}

int onnx_scan_sparse(struct onnx_parser *parser, struct onnx_bytes message, const char **out_name)
{
    struct scan scan = {.parser = parser};
    *out_name = onnx_model_find(parser->model, "");
    return scan_sparse(&scan, message, out_name);
}

static int scan_function(struct scan *scan, struct onnx_bytes message, struct names *ignored)
{
    struct scope scope = {0};
    struct onnx_walk walk = onnx_walk_over(message);
    int result = 0;
    while (result == 0 && onnx_walk_next(&walk)) {
        if (onnx_is(&walk.field, 7, PB_BYTES))
            result = scan_node(scan, onnx_bytes_of(&walk.field), 0, &scope);
        else if (onnx_is(&walk.field, 11, PB_BYTES))
            result = scan_attr(scan, onnx_bytes_of(&walk.field), 0, ignored);
    }
    free(scope.used.list);
    free(scope.made.list);
    return result < 0 ? -1 : walk.reader.broken ? onnx_damaged(scan->parser->err, "function") : 0;
}

static int scan_training(struct scan *scan, struct onnx_bytes message, struct names *ignored)
{
    struct onnx_walk walk = onnx_walk_over(message);
    int result = 0;
    while (result == 0 && onnx_walk_next(&walk))
        if (onnx_is(&walk.field, 1, PB_BYTES) || onnx_is(&walk.field, 2, PB_BYTES))
            result = scan_graph(scan, onnx_bytes_of(&walk.field), 0, ignored);
    return result < 0 ? -1 : walk.reader.broken ? onnx_damaged(scan->parser->err, "training graph") : 0;
}

int onnx_scan_foreign(struct onnx_parser *parser, struct onnx_bytes message, bool function)
{
    struct scan scan = {.parser = parser};
    struct names ignored = {0};
    int result = function ? scan_function(&scan, message, &ignored) : scan_training(&scan, message, &ignored);
    free(ignored.list);
    free(scan.ops.list);
    return result;
}
