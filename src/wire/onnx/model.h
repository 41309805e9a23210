/* An ONNX model as a tree that can be changed and written again.
 *
 *     mapped file ──onnx_model_parse──▶ tree: small records in an arena, weights stay where they are ──changes──▶ onnx_model_write ──▶ bytes
 *
 *     ModelProto   1 ir_version  2/3 producer  4 domain  5 model_version  7 graph  8 opset_import  14 metadata_props
 *     GraphProto   1 node  2 name  5 initializer  11 input  12 output  13 value_info  15 sparse_initializer
 *     NodeProto    1 input  2 output  3 name  4 op_type  5 attribute  7 domain
 *     Attribute    1 name  2 f  3 i  4 s  5 t  6 g  7 floats  8 ints  9 strings  20 type
 *     TensorProto  1 dims  2 data_type  4 float_data  5 int32_data  7 int64_data  8 name  9 raw_data  13 external_data  14 data_location
 *     ValueInfo    1 name  2 type {1 tensor_type {1 elem_type  2 shape {1 dim {1 value  2 param}}}}        (onnx.proto, IR version 8)
 *
 * - Names are interned: two names of one model are equal exactly if their pointers are. "" is the name of an input that was left out.
 * - Fields that this page does not name are kept verbatim and written back behind the known ones (`rest`); so are subgraphs (bodies of If,
 *   Loop, Scan), of which only the names that they take from outside are known (`captures`): those tensors may not be renamed or removed.
 * - An unchanged model is written with the same meaning: same nodes, same order, same weights bit for bit.
 * - Weights are borrowed from the parsed bytes where these hold them in one piece (raw_data, packed float_data), else from the arena.
 *   The parsed bytes must outlive the model. Borrowed data begin at any address: memcpy, no casts.
 * - A field that is there twice is merged as protobuf says: the last number or text wins, lists grow. Not so graphs and tensors: INVALID.
 * - Pure: opening files, also those of external data, is forge/graph/graph.h's.
 *
 * Limits: 1e6 nodes (with those of subgraphs), 1e6 initializers, 1e6 value infos, 1e3 operator sets, 1e5 names per node, subgraphs 8 deep, 32 dimensions, names below
 * 4 KiB and without control characters. Memory is bounded by what is there, never by what is claimed. Cycles and names without a maker are
 * found by graph_of (forge/graph/graph.h).
 */
#ifndef MUSTER_WIRE_ONNX_MODEL_H
#define MUSTER_WIRE_ONNX_MODEL_H

#include "base/err.h"
#include "base/mem.h"
#include "wire/release.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ONNX_MAX_DIMS = 32 };

struct onnx_bytes {
    const uint8_t *data;
    size_t len;
};

/* AttributeProto.AttributeType */
enum onnx_attr_type {
    ONNX_ATTR_FLOAT = 1,
    ONNX_ATTR_INT = 2,
    ONNX_ATTR_STRING = 3,
    ONNX_ATTR_TENSOR = 4,
    ONNX_ATTR_GRAPH = 5,
    ONNX_ATTR_FLOATS = 6,
    ONNX_ATTR_INTS = 7,
    ONNX_ATTR_STRINGS = 8
};

/* Where the bytes of a weight are that lie outside of the model's file. */
struct onnx_external {
    const char *location;    /* relative path as the file says it, unchecked; NULL: inside */
    uint64_t offset, length; /* length 0: to the end */
};

/* TensorProto: an initializer, or the value of a Constant. */
struct onnx_weight {
    const char *name;
    enum tensor_dtype
        dtype; /* may be a number without a name (strings …): data is then empty and `raw` is written */
    size_t dim_count;
    int64_t dims[ONNX_MAX_DIMS];
    struct onnx_bytes data; /* little-endian, elements × size; empty while external and not loaded */
    struct onnx_external external;
    struct onnx_bytes raw; /* of a type without a name: the message as it was, which is written; else empty */
    struct onnx_bytes rest; /* fields not named above */
    bool removed;           /* is not written */
};

struct onnx_attr {
    const char *name;
    enum onnx_attr_type type;
    float f;
    int64_t i;
    struct onnx_bytes s;
    struct onnx_weight *t;
    size_t count; /* of floats or ints */
    const float *floats;
    const int64_t *ints;
    struct onnx_bytes raw; /* the message as it was, written verbatim; data NULL for a new one */
};

struct onnx_node {
    const char *name, *op, *domain; /* "" for ONNX's own domain, also where the file says "ai.onnx" */
    size_t input_count, output_count, attr_count, capture_count;
    const char **inputs, **outputs; /* "" where left out */
    struct onnx_attr *attrs;
    const char **captures; /* names that its subgraphs take from outside */
    size_t inner_op_count;
    const char **inner_ops; /* the operators in its subgraphs, of ONNX's own domain, each once */
    struct onnx_bytes rest;
    bool removed;
    size_t index; /* in model->nodes */
};

struct onnx_value_info {
    const char *name;
    enum tensor_dtype dtype; /* 0: not a tensor, or not said */
    bool shaped;             /* says a shape at all */
    size_t dim_count;
    int64_t dims[ONNX_MAX_DIMS];       /* -1: unknown or symbolic */
    const char *params[ONNX_MAX_DIMS]; /* of a symbolic one, else NULL */
    struct onnx_bytes raw;             /* as it was, written verbatim; data NULL for a new or changed one */
};

struct onnx_opset {
    const char *domain; /* "": ONNX's own */
    int64_t version;
};

struct onnx_model; /* the arena; opaque, but for what follows */

struct onnx_graph { /* the arrays grow by the functions below only; order is the file's */
    int64_t ir_version;
    const char *name;
    size_t node_count, weight_count, input_count, output_count, value_count, opset_count;
    struct onnx_node **nodes; /* in the order of the file, which should be topological */
    struct onnx_weight **weights;
    struct onnx_value_info **inputs, **outputs,
        **values; /* inputs: also those with an initializer (IR < 4) */
    struct onnx_opset *opsets;
    size_t sparse_count;
    const char **sparse; /* names of the sparse initializers, which are kept verbatim */
};

/* Errors: INVALID if it is no ONNX model; TOO_BIG beyond a limit; UNSUPPORTED for what cannot be kept (functions of model-local
 * domains are kept verbatim and are fine). */
int onnx_model_parse(const uint8_t *data, size_t len, struct onnx_model **out, struct err *err) must_check;
struct onnx_model *onnx_model_new(int64_t ir_version,
                                  int64_t opset); /* empty, to be filled; NULL: out of memory */
void onnx_model_free(struct onnx_model *model);
MUSTER_CLEANUP(struct onnx_model *, onnx_model_free)
#define cleanup_onnx_model __attribute__((cleanup(onnx_model_freep)))

struct onnx_graph *onnx_model_graph(struct onnx_model *model);
int64_t onnx_model_opset(const struct onnx_model *model, const char *domain); /* 0: not imported */
int onnx_model_set_opset(struct onnx_model *model, const char *domain, int64_t version,
                         struct err *err) must_check;
/* Of metadata_props. NULL: not there. */
const char *onnx_model_metadata(const struct onnx_model *model, const char *key);
int onnx_model_set_metadata(struct onnx_model *model, const char *key, const char *value,
                            struct err *err) must_check;

/* ---- changing; everything that is handed over is copied into the arena ---- */

const char *onnx_model_name(struct onnx_model *model, const char *text); /* interned; NULL: out of memory */
const char *onnx_model_find(const struct onnx_model *model, const char *text); /* interned; NULL: not one */
/* Interned names are numbered from 0, which is "". */
size_t onnx_name_id(const char *interned);
size_t onnx_model_name_count(const struct onnx_model *model);
void *onnx_model_alloc(struct onnx_model *model,
                       size_t bytes); /* zeroed, aligned to 64, lives as long as the model */

/* Appended to the graph's array. `inputs` and `outputs` are any texts; NULL entries are left out. */
struct onnx_node *onnx_model_add_node(struct onnx_model *model, const char *op, const char *name,
                                      const char *const *inputs, size_t input_count,
                                      const char *const *outputs, size_t output_count);
/* `data` NULL: room that the caller fills by itself through the const (it is the arena's). Replaces nothing. */
struct onnx_weight *onnx_model_add_weight(struct onnx_model *model, const char *name, enum tensor_dtype dtype,
                                          const int64_t *dims, size_t dim_count, const void *data);
/* Puts a tensor that is there (the value of a Constant) under a name into the graph's array; its data are shared. */
struct onnx_weight *onnx_model_keep_weight(struct onnx_model *model, const struct onnx_weight *weight,
                                           const char *name);
/* `array` is one of the graph's three. `dims` NULL: says no shape. */
struct onnx_value_info *onnx_model_add_value(struct onnx_model *model, struct onnx_value_info ***array,
                                             size_t *count, const char *name, enum tensor_dtype dtype,
                                             const int64_t *dims, size_t dim_count);
int onnx_node_set_inputs(struct onnx_model *model, struct onnx_node *node, const char *const *inputs,
                         size_t count, struct err *err) must_check;

/* Attributes: absent ones are `fallback`. Setting replaces. */
const struct onnx_attr *onnx_node_attr(const struct onnx_node *node, const char *name); /* NULL: absent */
int64_t onnx_node_int(const struct onnx_node *node, const char *name, int64_t fallback);
float onnx_node_float(const struct onnx_node *node, const char *name, float fallback);
int onnx_node_set_int(struct onnx_model *model, struct onnx_node *node, const char *name, int64_t value,
                      struct err *err) must_check;
int onnx_node_set_float(struct onnx_model *model, struct onnx_node *node, const char *name, float value,
                        struct err *err) must_check;
int onnx_node_set_ints(struct onnx_model *model, struct onnx_node *node, const char *name,
                       const int64_t *values, size_t count, struct err *err) must_check;
int onnx_node_set_floats(struct onnx_model *model, struct onnx_node *node, const char *name,
                         const float *values, size_t count, struct err *err) must_check;
int onnx_node_set_string(struct onnx_model *model, struct onnx_node *node, const char *name,
                         const char *value, struct err *err) must_check;
void onnx_node_drop_attr(struct onnx_node *node, const char *name);

size_t onnx_weight_elements(const struct onnx_weight *weight); /* SIZE_MAX if it does not fit */

/* ---- writing ---- */

struct onnx_writer {
    int (*put)(void *arg, const void *data, size_t len, struct err *err);
    void *arg;
    /* Weights of at least external_min bytes go to the second file; NULL: all inside. A model of 2 GiB or more has to. Offsets are
     * multiples of 4096. */
    int (*put_external)(void *arg, const void *data, size_t len, struct err *err);
    const char *external_location;
    size_t external_min;
    uint64_t inside_max; /* of the bytes for `put`; 0: 2 GiB - 1, which is protobuf's own */
};
/* How many bytes `put` would get. */
uint64_t onnx_model_bytes(const struct onnx_model *model, const struct onnx_writer *writer);
/* Errors: TOO_BIG beyond inside_max, before the first byte; those of `put`. */
int onnx_model_write(const struct onnx_model *model, const struct onnx_writer *writer,
                     struct err *err) must_check;

#endif
