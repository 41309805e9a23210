/* Which tensors and operators become integers, decided before anything is changed. Pure: graph and ranges in, plan out.
 *
 *     prepared graph + observation ─▶ quant_plan ─▶ (search takes groups back to float: plan_exclude) ─▶ quant_emit ─▶ QDQ model
 *
 *     profile    activations            weights                    Q/DQ pairs                                rules
 *     cpu-x86    U8, zero point free    S8 per channel             on whole tensors, all readers read DQ     docs/quantization.md
 *     cpu-arm    S8, zero point free    S8 per channel             likewise, zero = -128 behind ReLU         docs/quantization.md
 *     trt        S8 symmetric           S8 per channel             on inputs of weighted operators,          docs/tensorrt.md
 *                                                                  residual input of Add; outputs not
 *
 * Nodes are known by name: a prepared graph's nodes have unique ones (forge/optimize/prepare.h).
 * A group is what fuses together (Conv with its activation, SiLU's Sigmoid and Mul, Add …): it is taken back to float as a whole.
 */
#ifndef MUSTER_FORGE_QUANT_PLAN_H
#define MUSTER_FORGE_QUANT_PLAN_H

#include "forge/calib/observe.h"
#include "forge/graph/graph.h"
#include "forge/quant/grid.h"

#include <stdbool.h>
#include <stddef.h>

enum quant_profile { PROFILE_CPU_X86, PROFILE_CPU_ARM, PROFILE_TRT, PROFILE_COUNT };
const char *quant_profile_name(enum quant_profile profile); /* "cpu-x86": also the release's variant */
bool quant_profile_of(const char *name, enum quant_profile *out);

struct quant_options {
    enum quant_profile profile;
    int weight_bits; /* 8; 7 where the processor lacks VNNI (saturation) */
};

/* One Q/DQ pair: behind the maker of `tensor`, read by all (reader NULL); or in front of one input of one node. */
struct quant_pair {
    const char *tensor, *reader;
    size_t input;
    struct quant_grid grid;
    int group;
};

/* What is decided about an operator that has, or could have, an integer kernel. */
struct quant_node {
    const char *node, *op;
    bool weighted; /* Conv, ConvTranspose, Gemm, MatMul with constant weights */
    bool integer;
    const char *
        why; /* of one that stays float: "mixed ranges: 640 beside 1", "no integer kernel", "sensitivity"; else NULL */
    int group; /* -1: none */
};

struct quant_plan {
    struct quant_options options;
    size_t pair_count, node_count;
    int group_count;
    struct quant_pair *pairs; /* all owned, with their texts */
    struct quant_node *nodes;
};

/* Names of all tensors whose ranges a plan for these profiles may ask for (owned array of names of the graph; free() it). */
const char **quant_plan_tensors(const struct graph *graph, size_t *out_count);
/* `skip`: groups' nodes that stay float for a reason the caller gives; NULL: none. Errors: out of memory; INVALID if a range is missing. */
struct quant_skip {
    const char *node, *why;
};
int quant_plan_make(struct graph *graph, const struct observation *seen, const struct quant_options *options,
                    const struct quant_skip *skip, size_t skip_count, struct quant_plan *out,
                    struct err *err) must_check;
void quant_plan_fini(struct quant_plan *plan);
#define cleanup_quant_plan __attribute__((cleanup(quant_plan_fini)))

const struct quant_node *quant_plan_node(const struct quant_plan *plan, const char *name); /* NULL: none */

/* plan_cpu.c, plan_trt.c: called by quant_plan_make */
int plan_cpu(struct graph *graph, const struct observation *seen, const struct quant_skip *skip,
             size_t skip_count, struct quant_plan *out, struct err *err) must_check;
int plan_trt(struct graph *graph, const struct observation *seen, const struct quant_skip *skip,
             size_t skip_count, struct quant_plan *out, struct err *err) must_check;

#endif
