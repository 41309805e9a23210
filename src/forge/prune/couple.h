/* Which channels hang together: every tensor's channels get numbers, and operators that pass channel i of one tensor to channel j of another make
 * their numbers one (union-find).
 *
 *     Conv, Gemm, MatMul (constant weights)    new numbers come out, the numbers of the input are consumed
 *     depthwise Conv, Relu, Clip, pools, …     out i is in i                     parameters per channel (slopes, BatchNormalization) ride along
 *     Add, Mul, … of two tensors               in i is in' i is out i            constants per channel ride along; squeeze-excite: [1, C, 1, 1]
 *     Concat, Split, Slice over channels       offsets                           Flatten, Reshape: one number, a block of columns
 *     anything else, and the graph's outputs   the numbers are fixed, with the reason
 *
 * Numbers that the same operators make and the same ones consume are a group: only whole numbers can go, and all of them are alike. Nothing is
 * changed while groups are looked at: a channel is taken away by zeros in its consumers' weights, and all channels that are gone are cut out of
 * the graph at once by couple_cut.
 */
#ifndef MUSTER_FORGE_PRUNE_COUPLE_H
#define MUSTER_FORGE_PRUNE_COUPLE_H

#include "forge/graph/graph.h"

struct couple;

/* The channels of a tensor along one axis: number of each. A tensor that is not here cannot be changed. */
struct channels {
    const char *tensor;
    size_t axis, count;
    size_t *numbers; /* couple_number() of each tells the class */
};

struct couple_consumer {
    struct onnx_node *node;
    const struct channels *in;
};

struct channel_group {
    const char *node; /* name of the first operator that makes these channels */
    const char *why;  /* it cannot be pruned; NULL: it can */
    size_t count;     /* of channels */
    size_t *numbers;  /* one per channel, in the order of the first maker */
    size_t maker_count;
    struct onnx_node **makers; /* sorted as the graph */
    size_t consumer_count;
    struct couple_consumer *consumers; /* likewise */
};

/* `graph`: prepared, its shapes known (observe_shapes); it must outlive the result, unchanged but for couple_cut. Errors: out of memory. */
int couple_find(struct graph *graph, struct couple **out, struct err *err) must_check;
void couple_free(struct couple *couple);
MUSTER_CLEANUP(struct couple *, couple_free)
#define cleanup_couple __attribute__((cleanup(couple_freep)))

size_t couple_group_count(const struct couple *couple);
const struct channel_group *couple_group(const struct couple *couple, size_t i);
const struct channels *couple_channels(const struct couple *couple,
                                       const char *tensor); /* NULL: cannot be changed */
size_t couple_numbers(const struct couple *couple);         /* all numbers are below this */
size_t couple_number(const struct couple *couple, const struct channels *channels, size_t i);

/* Cuts all channels out whose number is `gone` (couple_numbers() long) from weights, biases and parameters, and corrects shapes that constants
 * say. The index is of no use afterwards. Errors: out of memory; INVALID if a tensor would have no channel left. */
int couple_cut(struct couple *couple, const bool *gone, struct err *err) must_check;

#endif
