#include "forge/quant/plan_trt_inside.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdlib.h>

/* Scales of a Concat's inputs and of its output become one if they are no further apart: more would cost the finer one its steps. */
#define CONCAT_RATIO 4.0F

static void work_fini(struct trt_work *work)
{
    for (size_t i = 0; work->states && i < work->node_count; i++)
        free(trt_state_of(work, work->nodes[i])->why);
    free(work->states);
    free(work->roots);
    free(work->queue[0]);
    free(work->queue[1]);
}

static int work_init(struct trt_work *work, struct err *err)
{
    size_t limit = 0;
    work->nodes = graph_nodes(work->graph, &work->node_count);
    for (size_t i = 0; i < work->node_count; i++)
        limit = MAX(limit, work->nodes[i]->index + 1);
    const size_t room = MAX(work->node_count, (size_t)1);
    work->states = mem_zalloc(MAX(limit, (size_t)1), sizeof *work->states);
    work->roots = mem_zalloc(room, sizeof(struct onnx_node *));
    work->queue[0] = mem_zalloc(room, sizeof(struct onnx_node *));
    work->queue[1] = mem_zalloc(room, sizeof(struct onnx_node *));
    return work->states && work->roots && work->queue[0] && work->queue[1] ? 0 : err_no_memory(err);
}

/* ---- what the caller wants in float: a partition is taken back as a whole ---- */

static int take_back(struct trt_work *work, bool *out_changed, struct err *err)
{
    *out_changed = false;
    for (size_t i = 0; work->skip_count && i < work->node_count; i++) {
        const int part = trt_state_of(work, work->nodes[i])->part;
        const char *why = plan_skip_reason(work->skip, work->skip_count, work->nodes[i]->name);
        if (!why || part == NO_PART || trt_state_of(work, work->roots[part])->why)
            continue;
        if (trt_exclude(work, work->roots[part], mem_strdup(why), err) < 0)
            return -1;
        *out_changed = true;
    }
    return 0;
}

static int find_parts(struct trt_work *work, struct err *err)
{
    bool changed = true;
    while (changed) {
        trt_find_parts(work);
        if (take_back(work, &changed, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- pairs ---- */

static int add_pair(struct trt_work *work, struct quant_plan *out, const struct onnx_node *reader,
                    size_t input, int group, struct err *err)
{
    const struct graph_tensor *tensor = graph_input(work->graph, reader, input);
    const struct observed *seen = observation_find(work->seen, tensor->name);
    const struct grid_wish wish = {.dtype = DTYPE_INT8, .symmetric = true};
    if (!seen)
        return err_set(err, ERR_INVALID, "no range of tensor %s: nobody observed it", tensor->name);
    const struct quant_pair pair = {.tensor = tensor->name,
                                    .reader = reader->name,
                                    .input = input,
                                    .grid = grid_choose(seen, &wish),
                                    .group = group};
    return plan_add_pair(out, &pair, err);
}

static int put_integer(struct quant_plan *out, const struct onnx_node *node, bool weighted, int group,
                       struct err *err)
{
    const struct quant_node entry = {
        .node = node->name, .op = node->op, .weighted = weighted, .integer = true, .group = group};
    return plan_add_node(out, &entry, err);
}

static int put_float(struct trt_work *work, struct quant_plan *out, const struct onnx_node *node,
                     struct err *err)
{
    const struct quant_node entry = {.node = node->name,
                                     .op = node->op,
                                     .weighted = !fusion_is_computed(graph_input(work->graph, node, 1)),
                                     .why = trt_state_of(work, node)->why,
                                     .group = -1};
    return plan_add_node(out, &entry, err);
}

static int put_weighted(struct trt_work *work, struct quant_plan *out, const struct onnx_node *node,
                        struct err *err)
{
    const struct trt_state *state = trt_state_of(work, node);
    if (state->why)
        return put_float(work, out, node, err);
    return put_integer(out, node, true, state->part, err) < 0 ||
                   add_pair(work, out, node, 0, state->part, err) < 0
               ? -1
               : 0;
}

/* The skip is quantized; the branch, straight from the convolution, is not. */
static int put_residual(struct trt_work *work, struct quant_plan *out, const struct onnx_node *add,
                        struct err *err)
{
    const struct trt_state *state = trt_state_of(work, add);
    return put_integer(out, add, false, state->part, err) < 0 ||
                   add_pair(work, out, add, (size_t)!state->straight, state->part, err) < 0
               ? -1
               : 0;
}

/* The mask of attention: Add, then a Softmax that a MatMul reads. */
static bool is_mask(const struct graph *graph, const struct onnx_node *add)
{
    const struct graph_tensor *output = graph_output(graph, add, 0);
    for (int steps = 0; steps < 4 && output && output->use_count; steps++) {
        const struct onnx_node *next = output->uses[0].node;
        if (graph_is_op(next, "Softmax"))
            return true;
        if (!graph_is_op(next, "Reshape") && !graph_is_op(next, "Flatten"))
            return false;
        output = graph_output(graph, next, 0);
    }
    return false;
}

/* An Add that no partition takes, of two tensors that come from partitions: it reads integers instead of twice the bytes. */
static bool is_plain_sum(const struct trt_work *work, const struct onnx_node *node)
{
    const struct graph_tensor *output = graph_output(work->graph, node, 0);
    if (!graph_is_op(node, "Add") || trt_state_of(work, node)->part != NO_PART || node->input_count != 2 ||
        !output || output->is_output || is_mask(work->graph, node) ||
        plan_skip_reason(work->skip, work->skip_count, node->name))
        return false;
    for (size_t i = 0; i < 2; i++) {
        const struct graph_tensor *input = graph_input(work->graph, node, i);
        const struct observed *seen = input ? observation_find(work->seen, input->name) : NULL;
        if (!fusion_is_computed(input) || !trt_follows_part(work, input) || !seen || !seen->finite)
            return false;
    }
    return true;
}

static int put_plain_sum(struct trt_work *work, struct quant_plan *out, const struct onnx_node *add,
                         int group, struct err *err)
{
    return put_integer(out, add, false, group, err) < 0 || add_pair(work, out, add, 0, group, err) < 0 ||
                   add_pair(work, out, add, 1, group, err) < 0
               ? -1
               : 0;
}

static int put_all(struct trt_work *work, struct quant_plan *out, struct err *err)
{
    int result = 0;
    out->group_count = (int)work->part_count;
    for (size_t i = 0; result == 0 && i < work->node_count; i++) {
        const struct onnx_node *node = work->nodes[i];
        const struct trt_state *state = trt_state_of(work, node);
        if (fusion_is_weighted(node))
            result = put_weighted(work, out, node, err);
        else if (state->part != NO_PART && state->straight != NO_INPUT)
            result = put_residual(work, out, node, err);
        else if (is_plain_sum(work, node))
            result = put_plain_sum(work, out, node, out->group_count++, err);
    }
    return result;
}

/* ---- Concat for nothing: all its inputs and its output on one scale ---- */

static struct quant_pair *pair_of(struct quant_plan *plan, const char *tensor)
{
    for (size_t i = 0; i < plan->pair_count; i++)
        if (str_eq(plan->pairs[i].tensor, tensor))
            return &plan->pairs[i];
    return NULL;
}

/* Readers of one tensor share one grid, so all pairs of a tensor change together. */
static void set_scale(struct quant_plan *plan, const char *tensor, float scale)
{
    for (size_t i = 0; i < plan->pair_count; i++)
        if (str_eq(plan->pairs[i].tensor, tensor))
            plan->pairs[i].grid.scale = scale;
}

/* Makes equal what is close; true if anything changed. */
static bool share_scale(struct trt_work *work, struct quant_plan *plan, const struct onnx_node *concat,
                        const struct quant_pair *output)
{
    bool changed = false;
    for (size_t i = 0; i < concat->input_count; i++) {
        const struct graph_tensor *from =
            fusion_before_copies(work->graph, graph_input(work->graph, concat, i));
        const struct quant_pair *input = pair_of(plan, concat->inputs[i]);
        if (!input && from)
            input = pair_of(plan, from->name);
        if (!input)
            continue;
        const float a = output->grid.scale, b = input->grid.scale;
        if (a == b || a > b * CONCAT_RATIO || b > a * CONCAT_RATIO)
            continue;
        set_scale(plan, a > b ? input->tensor : output->tensor, a > b ? a : b);
        changed = true;
    }
    return changed;
}

/* Scales only grow, and only to one that another tensor has, so this ends. */
static void share_scales(struct trt_work *work, struct quant_plan *plan)
{
    bool changed = true;
    while (changed) {
        changed = false;
        for (size_t i = 0; i < plan->pair_count; i++) {
            const struct graph_tensor *made =
                fusion_before_copies(work->graph, graph_tensor(work->graph, plan->pairs[i].tensor));
            if (made && made->maker && graph_is_op(made->maker, "Concat"))
                changed |= share_scale(work, plan, made->maker, &plan->pairs[i]);
        }
    }
}

int plan_trt(struct graph *graph, const struct observation *seen, const struct quant_skip *skip,
             size_t skip_count, struct quant_plan *out, struct err *err)
{
    struct trt_work work = {.graph = graph, .seen = seen, .skip = skip, .skip_count = skip_count};
    int result = work_init(&work, err);
    if (result == 0)
        result = trt_apply_rules(&work, err);
    if (result == 0)
        result = find_parts(&work, err);
    if (result == 0)
        result = put_all(&work, out, err);
    if (result == 0)
        share_scales(&work, out);
    work_fini(&work);
    return result;
}
