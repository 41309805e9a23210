/* An ONNX graph opened for work: who makes a tensor, who reads it, what its shape is.
 *
 *     graph_open(path) ─▶ questions and changes ─▶ graph_tidy ─▶ graph_save(path)
 *
 * A tensor is known by its interned name (wire/onnx/model.h). Its maker is a node, or it is a weight or an input of the graph. The index
 * follows all changes made through this page at once. Sorted: a node comes after the makers of its inputs.
 *
 * - Nodes inside of subgraphs (If, Loop, Scan) are not seen; a tensor that a subgraph reads has `captured` set and is left alone by everyone.
 * - An initializer that is listed as an input too (as all were before IR version 4) is a constant and no input.
 * - Whoever changes inputs, outputs or the list of nodes by wire/onnx/model.h does it before graph_of. Attributes may be set any time.
 */
#ifndef MUSTER_FORGE_GRAPH_GRAPH_H
#define MUSTER_FORGE_GRAPH_GRAPH_H

#include "base/err.h"
#include "base/mem.h"
#include "wire/onnx/model.h"

#include <stdbool.h>
#include <stddef.h>

struct graph;

struct graph_use {
    struct onnx_node *node;
    size_t input; /* which of its inputs */
};

struct graph_tensor {
    const char *name;
    struct onnx_node *maker; /* NULL: weight, input of the graph */
    size_t maker_output;
    struct onnx_weight
        *weight; /* an initializer, or the value of a Constant node (which is `maker` then); NULL: computed */
    bool is_input, is_output; /* of the graph */
    bool captured;            /* by a subgraph */
    size_t use_count;
    struct graph_use *uses;  /* valid until the next change */
    enum tensor_dtype dtype; /* 0: not known (see graph_set_shape) */
    bool shaped;
    size_t dim_count;
    int64_t dims[RELEASE_MAX_DIMS]; /* -1: open */
};

/* Maps the file and its external data (relative paths that stay beneath the model's folder, regular files, sizes that fit).
 * Errors: NOT_FOUND; INVALID (damaged, a cycle, a name without a maker, two makers); REFUSED for an external path that leads out; TOO_BIG. */
int graph_open(const char *path, struct graph **out, struct err *err) must_check;
int graph_new(int64_t opset, struct graph **out, struct err *err) must_check; /* empty, for tests and tools */
int graph_of(struct onnx_model *model, struct graph **out,
             struct err *err) must_check; /* takes it over, also on failure */
void graph_free(struct graph *graph);
MUSTER_CLEANUP(struct graph *, graph_free)
#define cleanup_graph __attribute__((cleanup(graph_freep)))

/* Replaces `path` atomically; with "<path>.data" beside it where everything together passes 2 GiB: then a cut in the last moment leaves no
 * model rather than a mixed one. Errors: INVALID for a cycle; NO_SPACE, IO. */
int graph_save(struct graph *graph, const char *path, struct err *err) must_check;
/* The same with another limit than 2 GiB - 1: of tests, and of files for ONNX Runtime's eyes only, which maps weights in a file of their own
 * where it would copy them else (limit 0). */
int graph_save_within(struct graph *graph, const char *path, uint64_t inside_max, struct err *err) must_check;
/* Lets go of the mapped weights' memory; they are read again when they are looked at. graph_save does it at its end. */
void graph_release_pages(const struct graph *graph);
/* The same into memory. */
struct buf;
int graph_format(struct graph *graph, struct buf *out, struct err *err) must_check;

struct onnx_model *graph_model(struct graph *graph);
int64_t graph_opset(const struct graph *graph); /* of ONNX's own domain */

/* ---- questions ---- */

/* Nodes that are not removed, sorted; valid until the next change. NULL: out of memory. */
struct onnx_node *const *graph_nodes(struct graph *graph, size_t *out_count);
const struct graph_tensor *graph_tensor(const struct graph *graph,
                                        const char *name); /* NULL: none of that name. Any text will do */
const struct graph_tensor *graph_input(const struct graph *graph, const struct onnx_node *node,
                                       size_t i); /* NULL: left out */
const struct graph_tensor *graph_output(const struct graph *graph, const struct onnx_node *node,
                                        size_t i); /* NULL: left out */
/* The only reader of a tensor that is no output of the graph and not captured; NULL: none, several, or one that reads it twice. */
struct onnx_node *graph_only_user(const struct graph *graph, const char *name);
/* All floats of a constant (float32, float16 or float64, converted), owned; NULL if it is none, or out of memory. */
float *graph_floats(const struct graph *graph, const char *name, size_t *out_count);
bool graph_is_op(const struct onnx_node *node, const char *op); /* of ONNX's own domain */

/* Of names that are computed: nothing is inferred here, somebody who ran the model tells (observe_shapes, forge/calib/observe.h). Kept out of the file. */
void graph_set_shape(struct graph *graph, const char *name, enum tensor_dtype dtype, const int64_t *dims,
                     size_t dim_count);

/* ---- changes; -1 is only ever out of memory unless said otherwise ---- */

const char *graph_fresh(struct graph *graph,
                        const char *base); /* an unused name, "base_1"; NULL: out of memory */
struct onnx_node *graph_add(struct graph *graph, const char *op, const char *const *inputs,
                            size_t input_count, const char *const *outputs,
                            size_t output_count); /* its name is fresh; NULL: out of memory */
struct onnx_weight *graph_add_weight(struct graph *graph, const char *base_name, enum tensor_dtype dtype,
                                     const int64_t *dims, size_t dim_count, const void *data);
int graph_set_input(struct graph *graph, struct onnx_node *node, size_t input, const char *name,
                    struct err *err) must_check;
/* Every reader of `from` reads `to`, but for those that `to` itself is computed from: so one adds nodes behind `from`, then calls this.
 * If `from` is an output of the graph or captured, its name stays where others see it: `to`'s maker (or an Identity) makes `from` then, what made
 * it gets a fresh name. `to` may be a name that nothing makes yet. */
int graph_replace_uses(struct graph *graph, const char *from, const char *to, struct err *err) must_check;
void graph_remove(struct graph *graph, struct onnx_node *node);
/* Constant nodes become initializers of the same name. */
int graph_hoist_constants(struct graph *graph, struct err *err) must_check;
/* Drops what the file says of the types and shapes in between (value_info): for whoever changes them. Inputs and outputs stay. */
void graph_forget_shapes(struct graph *graph);
/* Removes nodes and weights that no output needs, sorts. Errors: INVALID for a cycle. */
int graph_tidy(struct graph *graph, struct err *err) must_check;
/* Makes a tensor an output of the graph too (float32 assumed where its type is not known). Errors: INVALID if there is none of that name. */
int graph_expose(struct graph *graph, const char *name, struct err *err) must_check;

/* Gives symbolic dimensions of the inputs their sizes. Errors: INVALID if the input is unknown or a fixed one differs. */
int graph_fix_input(struct graph *graph, const char *input, const int64_t *dims, size_t dim_count,
                    struct err *err) must_check;

/* Makes an input a constant, so that ONNX Runtime can fold what hangs on it: with the sampling rate known it takes one branch of an If and
 * puts its body in the If's place. Errors: INVALID if there is no such input, or type or shape differ. */
int graph_bind_input(struct graph *graph, const char *input, enum tensor_dtype dtype, const int64_t *dims,
                     size_t dim_count, const void *data, struct err *err) must_check;

/* Brings the graph to at least `opset` (up to 21), from 7 on: attributes that became inputs (Clip, Slice, Pad, Dropout, Squeeze, Unsqueeze, ReduceSum
 * and its kin, Split, TopK, DFT), Upsample and Resize, Scatter, Softmax's axis and kin, BatchNormalization's outputs, RoiAlign, GridSample; the table is
 * at the end of upgrade.c. Errors: UNSUPPORTED naming the node that has no rule, or whose subgraph uses an operator that changed; the graph is
 * half upgraded then. */
int graph_upgrade(struct graph *graph, int64_t opset, struct err *err) must_check;

#endif
