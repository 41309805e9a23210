/* What the files of this room share. */
#ifndef MUSTER_FORGE_GRAPH_INSIDE_H
#define MUSTER_FORGE_GRAPH_INSIDE_H

#include "forge/graph/graph.h"
#include "sys/file.h"

#include <stdlib.h>

struct slot { /* what is known of one name */
    struct graph_tensor tensor;
    size_t use_cap;
    size_t capture_count; /* nodes whose subgraphs read it */
    bool is_weight_named; /* an initializer of that name is there */
    bool is_sparse;       /* a sparse initializer is */
};

struct graph {
    struct onnx_model *model;
    struct file_map map;
    struct file_map *externals; /* mapped files of weights, parallel to external_paths */
    char **external_paths;
    size_t external_count;
    struct slot **slots; /* by the name's number; NULL: nothing known */
    size_t slot_count;
    struct onnx_node **sorted; /* NULL: not known since the last change */
    size_t sorted_count;
    size_t fresh; /* number of the next fresh name */
};

/* ---- index.c ---- */

struct slot *graph_slot(struct graph *graph, const char *name); /* makes one; NULL: out of memory */
struct slot *graph_find(const struct graph *graph, const char *text);
int graph_index(struct graph *graph, struct err *err) must_check;                        /* from scratch */
int graph_link(struct graph *graph, struct onnx_node *node, struct err *err) must_check; /* a new node */
void graph_unlink(struct graph *graph, struct onnx_node *node);
int graph_add_use(struct graph *graph, const char *name, struct onnx_node *node, size_t input,
                  struct err *err) must_check;
void graph_drop_use(struct graph *graph, const char *name, struct onnx_node *node, size_t input);
int graph_check(const struct graph *graph, struct err *err) must_check; /* all that is read is made */
void graph_index_fini(struct graph *graph);

/* ---- order.c ---- */

/* The cached order; a cycle is cut where it was entered, *out_cycle is then a node of it. */
int graph_sort(struct graph *graph, const struct onnx_node **out_cycle, struct err *err) must_check;
int graph_settle(struct graph *graph,
                 struct err *err) must_check; /* that order in the model; INVALID: a cycle */
static inline void graph_changed(struct graph *graph)
{
    graph->sorted_count = 0;
    free(graph->sorted);
    graph->sorted = NULL;
}

/* ---- external.c ---- */

/* Maps the files that weights lie in, beneath the folder of `path`. */
int graph_load_external(struct graph *graph, const char *path, struct err *err) must_check;
/* A descriptor, or -1 with errno. `stepwise`: as without openat2. The path is a safe one (str_is_safe_path). */
int graph_open_beneath(int dir, const char *location, bool stepwise);

/* ---- upgrade.c ---- */

int64_t graph_ir_for(int64_t opset); /* the oldest IR version that may import it */

#endif
