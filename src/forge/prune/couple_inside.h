/* What couple.c, couple_ops.c and couple_cut.c share. */
#ifndef MUSTER_FORGE_PRUNE_COUPLE_INSIDE_H
#define MUSTER_FORGE_PRUNE_COUPLE_INSIDE_H

#include "forge/prune/couple.h"

struct couple {
    struct graph *graph;
    size_t number_count, number_room;
    struct number {
        size_t parent;
        const char *why; /* fixed; of the root */
    } * numbers;
    size_t tensor_count, tensor_room, slot_count;
    struct channels *tensors;
    size_t *slots; /* hash of names' addresses to tensors + 1 */
    size_t site_count, site_room;
    struct site { /* operators that make or consume channels, in the order of the graph */
        struct onnx_node *node;
        size_t tensor; /* whose channels */
        bool makes;
    } * sites;
    size_t group_count;
    struct channel_group *groups;
};

/* couple.c */
size_t couple_root(const struct couple *couple, size_t number);
void couple_join(struct couple *couple, size_t a, size_t b);
void couple_fix(struct couple *couple, const char *tensor,
                const char *why); /* nothing if it has no channels */
/* `numbers` are copied; NULL: new ones. */
int couple_give(struct couple *couple, const char *tensor, size_t axis, const size_t *numbers, size_t count,
                struct err *err) must_check;
int couple_makes(struct couple *couple, struct onnx_node *node, const char *tensor,
                 struct err *err) must_check;
int couple_consumes(struct couple *couple, struct onnx_node *node, const char *tensor,
                    struct err *err) must_check;

/* couple_ops.c: one operator's rules; those without fix what they read. */
int couple_trace(struct couple *couple, struct onnx_node *node, struct err *err) must_check;

/* Shared by tracing and cutting. */
const struct channels *couple_in(const struct couple *couple, const struct onnx_node *node, size_t input);
const struct channels *couple_out(const struct couple *couple, const struct onnx_node *node, size_t output);
bool couple_ints(const struct couple *couple, const char *name, int64_t out[RELEASE_MAX_DIMS],
                 size_t *out_count);

#endif
