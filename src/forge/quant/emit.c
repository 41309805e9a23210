#include "forge/quant/emit.h"

#include "base/str.h"
#include "forge/quant/emit_inside.h"
#include "forge/quant/kernels.h"

#include <stdlib.h>
#include <string.h>

/* ---- the small things ---- */

static const char *weight_name(const struct onnx_weight *weight)
{
    return weight ? weight->name : NULL;
}

const char *emit_float(struct graph *graph, const char *base, float value)
{
    return weight_name(graph_add_weight(graph, base, DTYPE_FLOAT32, NULL, 0, &value));
}

const char *emit_zero(struct graph *graph, enum tensor_dtype dtype, int zero)
{
    uint8_t byte = (uint8_t)zero;
    return weight_name(graph_add_weight(graph, "zero", dtype, NULL, 0, &byte));
}

const char *emit_node(struct graph *graph, const char *op, const char *const *inputs, size_t count, int axis)
{
    struct err err = {0};
    const char *output = graph_fresh(graph, op);
    for (size_t i = 0; i < count; i++)
        if (!inputs[i])
            return NULL;
    struct onnx_node *node = output ? graph_add(graph, op, inputs, count, &output, 1) : NULL;
    if (!node || (axis >= 0 && onnx_node_set_int(graph_model(graph), node, "axis", axis, &err) < 0))
        return NULL;
    return output;
}

const char *emit_pair(struct graph *graph, const char *tensor, const struct quant_grid *grid, float dq_scale)
{
    const char *zero = emit_zero(graph, grid->dtype, grid->zero);
    const char *scale = emit_float(graph, "scale", grid->scale);
    const char *back = dq_scale == grid->scale ? scale : emit_float(graph, "scale", dq_scale);
    const char *const q_inputs[] = {tensor, scale, zero};
    const char *q = emit_node(graph, "QuantizeLinear", q_inputs, 3, -1);
    const char *const dq_inputs[] = {q, back, zero};
    return emit_node(graph, "DequantizeLinear", dq_inputs, 3, -1);
}

/* ---- pairs ---- */

struct emitter {
    struct graph *graph;
    const struct quant_plan *plan;
    const struct quant_fix *fixes;
    size_t fix_count;
};

static bool is_integer(const struct emitter *emitter, const struct onnx_node *node)
{
    const struct quant_node *decided = node ? quant_plan_node(emitter->plan, node->name) : NULL;
    return decided && decided->integer;
}

/* A follower whose input has no pair: the pair behind it does its work. */
static bool is_absorbed(const struct emitter *emitter, const struct onnx_node *node,
                        struct kernel_follow *follow, size_t *out_input)
{
    if (!is_integer(emitter, node) || !kernel_follow(emitter->graph, node, follow))
        return false;
    const struct graph_tensor *first = graph_input(emitter->graph, node, 0);
    *out_input = first && first->weight ? 1 : 0;
    const struct graph_tensor *input = graph_input(emitter->graph, node, *out_input);
    return input && is_integer(emitter, input->maker);
}

/* What the pair of `tensor` has to stand behind, and by how much that is larger than `tensor`. */
static const char *pair_place(const struct emitter *emitter, const char *tensor, float *out_divisor)
{
    *out_divisor = 1;
    for (;;) {
        struct kernel_follow follow;
        size_t input = 0;
        const struct onnx_node *maker = graph_tensor(emitter->graph, tensor)->maker;
        if (!maker || !is_absorbed(emitter, maker, &follow, &input)) {
            *out_divisor *= maker && is_integer(emitter, maker) ? emit_factor(maker) : 1;
            return tensor;
        }
        *out_divisor *= follow.factor;
        tensor = maker->inputs[input];
    }
}

/* Floats may go on reading what a float operator made. */
static int redirect_integers(struct emitter *emitter, const char *from, const char *to, struct err *err)
{
    const struct graph_tensor *tensor = graph_tensor(emitter->graph, from);
    size_t count = tensor->use_count;
    cleanup_free struct graph_use *uses = mem_zalloc(count + 1, sizeof *uses);
    if (!uses)
        return err_no_memory(err);
    if (count)
        memcpy(uses, tensor->uses, count * sizeof *uses);
    for (size_t i = 0; i < count; i++)
        if (is_integer(emitter, uses[i].node) && uses[i].input < kernel_data_inputs(uses[i].node) &&
            graph_set_input(emitter->graph, uses[i].node, uses[i].input, to, err) < 0)
            return -1;
    return 0;
}

static int emit_for_all(struct emitter *emitter, const struct quant_pair *pair, struct err *err)
{
    float divisor = 1;
    const char *place = pair_place(emitter, pair->tensor, &divisor);
    bool integers = is_integer(emitter, graph_tensor(emitter->graph, place)->maker);
    struct quant_grid grid = pair->grid;
    grid.scale /= divisor;
    const char *out = emit_pair(emitter->graph, place, &grid, pair->grid.scale);
    if (!out)
        return err_no_memory(err);
    if (!integers && emitter->plan->options.profile != PROFILE_TRT)
        return redirect_integers(emitter, pair->tensor, out, err);
    return graph_replace_uses(emitter->graph, pair->tensor, out, err);
}

static struct onnx_node *node_named(const struct emitter *emitter, const char *name)
{
    size_t count = 0;
    struct onnx_node *const *nodes = graph_nodes(emitter->graph, &count);
    for (size_t i = 0; i < count; i++)
        if (str_eq(nodes[i]->name, name))
            return nodes[i];
    return NULL;
}

/* What an earlier reader of the same tensor was given: all of them share one pair. NULL: this is the first. */
static const char *shared_pair(const struct emitter *emitter, const struct quant_pair *pair)
{
    for (const struct quant_pair *at = emitter->plan->pairs; at < pair; at++)
        if (at->reader && str_eq(at->tensor, pair->tensor) && at->grid.scale == pair->grid.scale &&
            at->grid.zero == pair->grid.zero)
            return node_named(emitter, at->reader)->inputs[at->input];
    return NULL;
}

static int emit_for_one(struct emitter *emitter, const struct quant_pair *pair, struct err *err)
{
    struct onnx_node *reader = node_named(emitter, pair->reader);
    if (!reader || pair->input >= reader->input_count)
        return err_set(err, ERR_INTERNAL, "a plan for another model: it has no node %.80s", pair->reader);
    const char *out = shared_pair(emitter, pair);
    if (!out)
        out = emit_pair(emitter->graph, reader->inputs[pair->input], &pair->grid, pair->grid.scale);
    if (!out)
        return err_no_memory(err);
    return graph_set_input(emitter->graph, reader, pair->input, out, err);
}

static int emit_pairs(struct emitter *emitter, struct err *err)
{
    for (size_t i = 0; i < emitter->plan->pair_count; i++) {
        const struct quant_pair *pair = &emitter->plan->pairs[i];
        if (!graph_tensor(emitter->graph, pair->tensor))
            return err_set(err, ERR_INTERNAL, "a plan for another model: it has no tensor %.80s",
                           pair->tensor);
        int rc = pair->reader ? emit_for_one(emitter, pair, err) : emit_for_all(emitter, pair, err);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* ---- operators ---- */

static const struct quant_fix *fix_for(const struct emitter *emitter, const struct onnx_node *node)
{
    for (size_t i = 0; i < emitter->fix_count; i++)
        if (str_eq(emitter->fixes[i].node, node->name))
            return &emitter->fixes[i];
    return NULL;
}

static int emit_operator(struct emitter *emitter, struct onnx_node *node, struct err *err)
{
    enum quant_profile profile = emitter->plan->options.profile;
    if (!is_integer(emitter, node))
        return profile == PROFILE_TRT ? 0 : emit_keep_float(emitter->graph, node, err);
    if (kernel_weighted(emitter->graph, node))
        return emit_weights(emitter->graph, node, emitter->plan, fix_for(emitter, node), err);
    if (profile == PROFILE_TRT || kernel_of(node)->kind != KERNEL_POINTWISE)
        return 0;
    return emit_pointwise(emitter->graph, node, profile == PROFILE_CPU_ARM ? DTYPE_INT8 : DTYPE_UINT8, err);
}

/* The list is taken first: operators are added on the way. */
static int emit_operators(struct emitter *emitter, struct err *err)
{
    size_t count = 0;
    struct onnx_node *const *nodes = graph_nodes(emitter->graph, &count);
    cleanup_free struct onnx_node **list = mem_zalloc(count + 1, sizeof(struct onnx_node *));
    if (!list)
        return err_no_memory(err);
    if (count)
        memcpy(list, nodes, count * sizeof *list);
    for (size_t i = 0; i < count; i++)
        if (emit_operator(emitter, list[i], err) < 0)
            return err_prefix(err, "%.20s %.80s", list[i]->op, list[i]->name);
    return 0;
}

int quant_emit(struct graph *graph, const struct quant_plan *plan, const struct quant_fix *fixes,
               size_t fix_count, struct err *err)
{
    struct emitter emitter = {.graph = graph, .plan = plan, .fixes = fixes, .fix_count = fix_count};
    if (graph_opset(graph) < 13)
        return err_set(err, ERR_UNSUPPORTED,
                       "opset %lld has no scales per channel; bring it to 13 or more first",
                       (long long)graph_opset(graph));
    if (emit_pairs(&emitter, err) < 0)
        return -1;
    if (graph_tidy(graph, err) < 0 || emit_operators(&emitter, err) < 0)
        return -1;
    return graph_tidy(graph, err);
}
