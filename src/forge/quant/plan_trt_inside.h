/* Placement for TensorRT, in three steps (docs/tensorrt.md says rule by rule where each comes from):
 *
 *     plan_trt_rules.c    which weighted operators stay float, and why
 *     plan_trt_parts.c    a partition per weighted operator that does not: what TensorRT can fuse behind it; which input of an Add comes
 *                         straight from one
 *     plan_trt.c          pairs in front of partitions' external inputs, groups, scales
 */
#ifndef MUSTER_FORGE_QUANT_PLAN_TRT_INSIDE_H
#define MUSTER_FORGE_QUANT_PLAN_TRT_INSIDE_H

#include "forge/quant/plan_inside.h"
#include "forge/trt/fusion.h"

enum { NO_PART = -1, NO_INPUT = -1 };

struct trt_state {        /* of a node */
    char *why;            /* owned; a weighted operator that stays float; NULL: it does not */
    int part;             /* NO_PART: in none */
    signed char straight; /* of an Add: its input that comes straight from a convolution; NO_INPUT: none */
    int distance[2], stamp[2]; /* scratch of the search for a common ancestor */
};

struct trt_work {
    struct graph *graph;
    const struct observation *seen;
    const struct quant_skip *skip;
    size_t skip_count;
    struct onnx_node *const *nodes; /* sorted */
    size_t node_count;
    struct trt_state *states; /* by onnx_node.index */
    struct onnx_node **roots; /* by partition; room for all nodes */
    size_t part_count;
    struct onnx_node **queue[2]; /* scratch, room for all nodes each */
    int stamp;
};

static inline struct trt_state *trt_state_of(const struct trt_work *work, const struct onnx_node *node)
{
    return &work->states[node->index];
}

/* ---- steps ---- */

int trt_apply_rules(struct trt_work *work, struct err *err) must_check;
int trt_exclude(struct trt_work *work, const struct onnx_node *node, char *why,
                struct err *err) must_check; /* takes `why` over */
void trt_find_parts(struct trt_work *work);
/* Makes a partition's output, also if something moved it since. */
bool trt_follows_part(const struct trt_work *work, const struct graph_tensor *tensor);

#endif
