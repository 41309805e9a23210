/* What the files of the graph editor share: the arena with its names, growing arrays, walking over a message. Private to wire/onnx. */
#ifndef MUSTER_WIRE_ONNX_MODEL_INSIDE_H
#define MUSTER_WIRE_ONNX_MODEL_INSIDE_H

#include "wire/onnx/model.h"
#include "wire/protobuf.h"

enum {
    ONNX_MAX_NODES = 1000000,
    ONNX_MAX_WEIGHTS = 1000000,
    ONNX_MAX_VALUES = 1000000,
    ONNX_MAX_NODE_NAMES = 100000,
    ONNX_MAX_OPSETS = 1000,
    ONNX_MAX_DEPTH = 8,
    ONNX_MAX_NAME = 4096
};

struct onnx_chunk; /* of the arena: model_arena.c */

struct onnx_property {
    const char *key, *value; /* cut at a NUL */
    struct onnx_bytes raw;   /* written verbatim; data NULL for a new or changed one */
};

enum {
    ONNX_ARRAY_NODES,
    ONNX_ARRAY_WEIGHTS,
    ONNX_ARRAY_INPUTS,
    ONNX_ARRAY_OUTPUTS,
    ONNX_ARRAY_VALUES,
    ONNX_ARRAYS
};

struct onnx_model {
    struct onnx_graph graph;
    size_t caps[ONNX_ARRAYS]; /* of the graph's arrays */
    struct onnx_property *properties;
    size_t property_count;
    struct onnx_bytes rest, graph_rest;
    struct onnx_chunk *chunks;
    const char **names; /* open addressing; name_slots is 0 or a power of two */
    size_t name_slots, name_count;
};

/* ---- arena ---- */

void *onnx_arena(struct onnx_model *model, size_t bytes); /* zeroed, aligned to 16; NULL: out of memory */
const char *onnx_arena_text(struct onnx_model *model, const void *data, size_t len); /* terminated */
const char *onnx_intern(struct onnx_model *model, const void *data, size_t len);     /* NULL: out of memory */
/* Makes room for one more; `array` is &graph.nodes and so on. */
bool onnx_grow(struct onnx_model *model, int which);

/* ---- walking: fields together with the bytes they were made of ---- */

struct onnx_walk {
    struct pb_reader reader;
    struct pb_field field;
    struct onnx_bytes raw; /* of the field, with its tag */
};

struct onnx_walk onnx_walk_over(struct onnx_bytes message);
bool onnx_walk_next(struct onnx_walk *walk); /* false at the end, and when reader.broken */
/* All fields for which `known` says no, in one piece. */
int onnx_keep_rest(struct onnx_model *model, struct onnx_bytes message,
                   bool (*known)(const struct pb_field *), struct onnx_bytes *out,
                   struct err *err) must_check;
static inline struct onnx_bytes onnx_bytes_of(const struct pb_field *field)
{
    return (struct onnx_bytes){field->data, field->len};
}
static inline bool onnx_is(const struct pb_field *field, uint32_t number, enum pb_type type)
{
    return field->number == number && field->type == type;
}

/* ---- parsing ---- */

struct onnx_parser {
    struct onnx_model *model;
    size_t node_count; /* with those in subgraphs */
    struct err *err;
};

int onnx_damaged(struct err *err, const char *where);
/* Errors: INVALID for control characters, TOO_BIG. */
const char *onnx_parse_name(struct onnx_parser *parser, const struct pb_field *field);
int onnx_parse_weight(struct onnx_parser *parser, struct onnx_bytes message,
                      struct onnx_weight *out) must_check;
int onnx_parse_node(struct onnx_parser *parser, struct onnx_bytes message, struct onnx_node *out) must_check;
int onnx_parse_attr(struct onnx_parser *parser, struct onnx_bytes message, struct onnx_attr *out) must_check;
int onnx_parse_value(struct onnx_parser *parser, struct onnx_bytes message,
                     struct onnx_value_info *out) must_check;
/* Captures and operators of all subgraphs of a node (model_subgraph.c). */
int onnx_scan_subgraphs(struct onnx_parser *parser, struct onnx_node *node) must_check;
/* A sparse initializer: its name, "" if it has none. */
int onnx_scan_sparse(struct onnx_parser *parser, struct onnx_bytes message, const char **out_name) must_check;
/* Refuses external data where nobody would follow it: in functions (`function`) and training graphs. */
int onnx_scan_foreign(struct onnx_parser *parser, struct onnx_bytes message, bool function) must_check;

#endif
