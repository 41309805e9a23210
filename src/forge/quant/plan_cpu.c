#include "base/str.h"
#include "forge/quant/kernels.h"
#include "forge/quant/plan_inside.h"

#include <math.h>
#include <stdlib.h>

/* How a plan comes about:
 *     1. every operator that has an integer kernel is integers, but for those that a rule or the caller keeps out
 *     2. pointwise operators and movers without integers on both sides go back to float, again and again until nothing changes: what follows the
 *        last weighted operator on the way to an output is float thereby
 *     3. tensors between integers, and into and out of them, get a pair each; what a mover joins shares its source's grid */

#define MIXED_RATIO 16.0F
#define NARROW_STEPS 8.0F /* fewer tell nothing apart */
#define LOGIT_RANGE 32.0F /* steps of an eighth */
enum { MAX_TAIL = 12 };   /* operators between a head and the function it ends in */

struct op {
    struct onnx_node *node;
    const struct kernel *kernel; /* NULL: not in the table */
    bool weighted, integer, absorbed;
    struct kernel_follow follow;
    bool follows; /* `follow` holds */
    int group;
    char why[96];
};

struct planner {
    struct graph *graph;
    const struct observation *seen;
    struct quant_plan *plan;
    size_t count;
    struct op *ops;       /* sorted as the graph is */
    struct op **by_index; /* of the model's nodes */
};

/* ---- looking around ---- */

static struct op *op_of(const struct planner *planner, const struct onnx_node *node)
{
    return node ? planner->by_index[node->index] : NULL;
}

static struct op *maker_of(const struct planner *planner, const struct graph_tensor *tensor)
{
    return tensor && !tensor->weight ? op_of(planner, tensor->maker) : NULL;
}

static bool integers_make(const struct planner *planner, const struct graph_tensor *tensor)
{
    const struct op *maker = maker_of(planner, tensor);
    return maker && maker->integer;
}

static bool reads_data(const struct planner *planner, const struct graph_use *use)
{
    const struct op *reader = op_of(planner, use->node);
    return reader && reader->integer && use->input < kernel_data_inputs(use->node);
}

static bool integers_read(const struct planner *planner, const struct graph_tensor *tensor)
{
    for (size_t i = 0; i < tensor->use_count; i++)
        if (reads_data(planner, &tensor->uses[i]))
            return true;
    return false;
}

static bool floats_read(const struct planner *planner, const struct graph_tensor *tensor)
{
    for (size_t i = 0; i < tensor->use_count; i++)
        if (!reads_data(planner, &tensor->uses[i]))
            return true;
    return tensor->is_output || tensor->captured;
}

/* The follower that has taken a tensor's place; NULL: none. */
static struct op *absorbed_behind(const struct planner *planner, const struct graph_tensor *tensor)
{
    struct onnx_node *user = graph_only_user(planner->graph, tensor->name);
    struct op *op = op_of(planner, user);
    return op && op->absorbed ? op : NULL;
}

static const struct graph_tensor *first_output(const struct planner *planner, const struct op *op)
{
    return graph_output(planner->graph, op->node, 0);
}

/* Behind all followers that `op` has absorbed. */
static const struct graph_tensor *chain_end(const struct planner *planner, const struct op *op)
{
    const struct graph_tensor *end = first_output(planner, op);
    for (const struct op *next; end && (next = absorbed_behind(planner, end));)
        end = first_output(planner, next);
    return end;
}

static struct op *chain_base(const struct planner *planner, struct op *op)
{
    while (op && op->absorbed)
        for (size_t i = 0; i < 2; i++) {
            struct op *maker = maker_of(planner, graph_input(planner->graph, op->node, i));
            if (maker) {
                op = maker;
                break;
            }
        }
    return op;
}

static bool is_product(const struct op *op) /* its output may stay float */
{
    return graph_is_op(op->node, "Gemm") || graph_is_op(op->node, "MatMul");
}

/* ---- who may be integers at all ---- */

static void keep_out(struct op *op, const char *why)
{
    op->integer = false;
    op->absorbed = false;
    str_copy(op->why, sizeof op->why, why);
}

static const char *refuse_tensor(const struct planner *planner, const struct graph_tensor *tensor)
{
    if (!tensor || tensor->weight)
        return NULL;
    if (tensor->dtype && tensor->dtype != DTYPE_FLOAT32)
        return "no integer kernel for its type";
    const struct observed *seen = observation_find(planner->seen, tensor->name);
    return seen && !seen->finite ? "NaN or infinity goes through it" : NULL;
}

static const char *refuse_tensors(const struct planner *planner, const struct op *op)
{
    const char *why = NULL;
    bool computed = false;
    for (size_t i = 0; !why && i < kernel_data_inputs(op->node); i++) {
        const struct graph_tensor *input = graph_input(planner->graph, op->node, i);
        computed |= input && !input->weight;
        why = refuse_tensor(planner, input);
    }
    for (size_t i = 0; !why && i < op->node->output_count; i++) {
        const struct graph_tensor *output = graph_output(planner->graph, op->node, i);
        why = output && output->captured ? "a subgraph reads what it makes" : refuse_tensor(planner, output);
    }
    return why || computed ? why : "it computes a constant";
}

static void admit(const struct planner *planner, struct op *op, const struct quant_skip *skip,
                  size_t skip_count)
{
    const struct kernel *kernel = op->kernel;
    if (!kernel)
        return;
    const char *why =
        kernel->refuse ? kernel->refuse(planner->graph, op->node, planner->plan->options.profile) : NULL;
    if (!why && kernel->kind == KERNEL_FLOAT)
        why = "no integer kernel";
    if (!why)
        why = refuse_tensors(planner, op);
    if (!why)
        why = plan_skip_reason(skip, skip_count, op->node->name);
    if (why) {
        keep_out(op, why);
        return;
    }
    op->integer = true;
    op->follows = kernel_follow(planner->graph, op->node, &op->follow);
}

static int list_ops(struct planner *planner, const struct quant_skip *skip, size_t skip_count,
                    struct err *err)
{
    struct onnx_node *const *nodes = graph_nodes(planner->graph, &planner->count);
    planner->ops = mem_zalloc(planner->count + 1, sizeof *planner->ops);
    planner->by_index =
        mem_zalloc(onnx_model_graph(graph_model(planner->graph))->node_count + 1, sizeof(struct op *));
    if (!planner->ops || !planner->by_index)
        return err_no_memory(err);
    for (size_t i = 0; i < planner->count; i++) {
        struct op *op = &planner->ops[i];
        *op = (struct op){.node = nodes[i],
                          .kernel = kernel_of(nodes[i]),
                          .weighted = kernel_weighted(planner->graph, nodes[i]),
                          .group = -1};
        planner->by_index[nodes[i]->index] = op;
    }
    for (size_t i = 0; i < planner->count; i++)
        admit(planner, &planner->ops[i], skip, skip_count);
    return 0;
}

/* ---- settling ---- */

/* Of a follower's inputs the one that is computed. */
static const struct graph_tensor *followed(const struct planner *planner, const struct op *op)
{
    const struct graph_tensor *input = graph_input(planner->graph, op->node, 0);
    return input && input->weight ? graph_input(planner->graph, op->node, 1) : input;
}

/* A convolution writes integers anyway; a product does so only for somebody who reads them. */
static bool can_absorb(const struct planner *planner, const struct op *op)
{
    if (!op->integer || !op->follows)
        return false;
    const struct graph_tensor *input = followed(planner, op);
    struct op *maker = maker_of(planner, input);
    if (!maker || !maker->integer || !(maker->absorbed || maker->kernel->leads) ||
        graph_only_user(planner->graph, input->name) != op->node)
        return false;
    struct op *base = chain_base(planner, maker);
    return !is_product(base) || integers_read(planner, first_output(planner, op));
}

static void absorb_all(struct planner *planner)
{
    for (size_t i = 0; i < planner->count; i++)
        planner->ops[i].absorbed = false;
    for (size_t i = 0; i < planner->count; i++)
        planner->ops[i].absorbed = can_absorb(planner, &planner->ops[i]);
}

/* -1: not known. */
static int64_t elements(const struct graph_tensor *tensor)
{
    int64_t count = tensor->shaped ? 1 : -1;
    for (size_t i = 0; tensor->shaped && i < tensor->dim_count; i++)
        if (tensor->dims[i] < 0 || __builtin_mul_overflow(count, tensor->dims[i], &count))
            return -1;
    return count;
}

/* Floats that only a mover reads may become integers before it instead of behind it, where it does not make them fewer. */
static bool moves_all(const struct planner *planner, const struct op *op)
{
    const struct graph_tensor *input = graph_input(planner->graph, op->node, 0),
                              *output = first_output(planner, op);
    return op->kernel->kind == KERNEL_MOVER && input && output && input->use_count == 1 &&
           !input->is_output && elements(input) > 0 && elements(input) <= elements(output) &&
           op->node->output_count == 1 && !floats_read(planner, output);
}

static bool integers_before(const struct planner *planner, const struct op *op)
{
    for (size_t i = 0; i < kernel_data_inputs(op->node); i++)
        if (integers_make(planner, graph_input(planner->graph, op->node, i)))
            return true;
    return moves_all(planner, op);
}

static bool integers_behind(const struct planner *planner, const struct op *op)
{
    for (size_t i = 0; i < op->node->output_count; i++) {
        const struct graph_tensor *output = graph_output(planner->graph, op->node, i);
        if (output && integers_read(planner, output))
            return true;
    }
    return false;
}

/* Absorbed by a convolution it costs nothing, wherever it leads. */
static bool is_free(const struct planner *planner, struct op *op)
{
    return op->absorbed && chain_base(planner, op)->weighted;
}

static float reach_of(const struct planner *planner, const struct graph_tensor *tensor)
{
    float low = 0, high = 0;
    const struct observed *seen = observation_find(planner->seen, tensor->name);
    if (tensor->weight)
        kernel_extent(planner->graph, tensor->name, &low, &high);
    else if (seen)
        low = seen->min, high = seen->max;
    return fmaxf(fabsf(low), fabsf(high));
}

/* Boxes in pixels beside scores: one grid cannot hold both. Where all readers are integers the one grid is theirs, and a float sum before it
 * would gain nothing; factors do not lose by their ratio. */
static bool mixes_ranges(const struct planner *planner, struct op *op)
{
    if (!graph_is_op(op->node, "Concat") && !graph_is_op(op->node, "Add"))
        return false;
    float least = INFINITY, most = 0;
    for (size_t i = 0; i < op->node->input_count; i++) {
        float reach = reach_of(planner, graph_input(planner->graph, op->node, i));
        if (reach > 0) {
            least = fminf(least, reach);
            most = fmaxf(most, reach);
        }
    }
    if (!(most > MIXED_RATIO * least) || !floats_read(planner, chain_end(planner, op)))
        return false;
    keep_out(op, "");
    snprintf(op->why, sizeof op->why, "mixed ranges: %.3g beside %.3g", (double)most, (double)least);
    return true;
}

static bool settle_once(struct planner *planner)
{
    bool changed = false;
    for (size_t i = 0; i < planner->count; i++) {
        struct op *op = &planner->ops[i];
        if (!op->integer || op->kernel->kind == KERNEL_WEIGHTED || is_free(planner, op))
            continue;
        if (!integers_before(planner, op))
            keep_out(op, "nothing before it is integers");
        else if (!integers_behind(planner, op))
            keep_out(op, "nothing behind it is integers");
        else if (!mixes_ranges(planner, op))
            continue;
        changed = true;
    }
    return changed;
}

static void settle(struct planner *planner)
{
    do
        absorb_all(planner);
    while (settle_once(planner));
}

/* ---- heads ---- */

/* Some integer operator with weights comes behind one of its outputs. `leads` holds the answers for all operators behind it. */
static bool leads_on(const struct planner *planner, const struct op *op, const bool *leads)
{
    for (size_t i = 0; i < op->node->output_count; i++) {
        const struct graph_tensor *output = graph_output(planner->graph, op->node, i);
        for (size_t k = 0; output && k < output->use_count; k++) {
            const struct op *reader = op_of(planner, output->uses[k].node);
            if (reader && ((reader->weighted && reader->integer) || leads[reader - planner->ops]))
                return true;
        }
    }
    return false;
}

/* How many operators it is from a tensor to a function that tells its small values apart, whatever is moved on the way; 0: more than MAX_TAIL, or
 * none. `tails` holds the answers for all operators behind it. */
static uint8_t tail_of(const struct planner *planner, const struct graph_tensor *tensor, const uint8_t *tails)
{
    uint8_t least = 0;
    for (size_t i = 0; tensor && i < tensor->use_count; i++) {
        const struct onnx_node *node = tensor->uses[i].node;
        const struct op *op = op_of(planner, node);
        if (graph_is_op(node, "Sigmoid") || graph_is_op(node, "Softmax") || graph_is_op(node, "Exp"))
            return 1;
        uint8_t tail = op && !op->weighted ? tails[op - planner->ops] : 0;
        if (tail && tail < MAX_TAIL && (!least || tail + 1 < least))
            least = (uint8_t)(tail + 1);
    }
    return least;
}

/* In 8 bits an answer comes in steps of a 255th of its whole range. That is too coarse where all that lies on one side of 0 is some steps wide
 * (BlazeFace's logits go from -1521 to 3.5, and only those above 0 are faces), and for logits of which only some units around 0 matter. */
static bool is_coarse(const struct planner *planner, const struct op *op, const uint8_t *tails)
{
    const struct graph_tensor *end = chain_end(planner, op);
    const struct observed *seen = end ? observation_find(planner->seen, end->name) : NULL;
    if (!seen || seen->count == 0)
        return false;
    float range = seen->max - seen->min, narrow = fminf(-seen->min, seen->max);
    return (narrow > 0 && narrow < range * NARROW_STEPS / 255) ||
           (range > LOGIT_RANGE && tail_of(planner, end, tails));
}

/* The last convolutions on the way to an output are the model's answer. A product gives floats anyway. */
static int settle_heads(struct planner *planner, struct err *err)
{
    cleanup_free bool *leads = mem_zalloc(planner->count + 1, sizeof *leads);
    cleanup_free uint8_t *tails = mem_zalloc(planner->count + 1, sizeof *tails);
    if (!leads || !tails)
        return err_no_memory(err);
    for (size_t i = planner->count; i-- > 0;) {
        leads[i] = leads_on(planner, &planner->ops[i], leads);
        tails[i] = tail_of(planner, first_output(planner, &planner->ops[i]), tails);
    }
    for (size_t i = 0; i < planner->count; i++) {
        struct op *op = &planner->ops[i];
        if (op->weighted && op->integer && !leads[i] && !is_product(op) && is_coarse(planner, op, tails))
            keep_out(op, "head: 8 bits are too coarse for its answer");
    }
    settle(planner);
    return 0;
}

/* ---- groups ---- */

/* x * gate(x): the gate's operator, or that before the followers that make it. */
static struct op *gate_of(const struct planner *planner, const struct op *op)
{
    if (!graph_is_op(op->node, "Mul"))
        return NULL;
    for (size_t i = 0; i < 2; i++) {
        struct op *gate = chain_base(planner, maker_of(planner, graph_input(planner->graph, op->node, i)));
        if (!gate || !gate->integer || gate->kernel->kind != KERNEL_POINTWISE)
            continue;
        for (size_t k = 0; k < kernel_data_inputs(gate->node); k++)
            if (gate->node->inputs[k] == op->node->inputs[1 - i])
                return gate;
    }
    return NULL;
}

static struct op *joined(const struct planner *planner, struct op *op)
{
    if (op->absorbed)
        return chain_base(planner, op);
    if (op->kernel->kind == KERNEL_MOVER) {
        struct op *maker = maker_of(planner, graph_input(planner->graph, op->node, 0));
        return maker && maker->integer ? maker : NULL;
    }
    return gate_of(planner, op);
}

static void number_groups(struct planner *planner)
{
    for (size_t i = 0; i < planner->count; i++) {
        struct op *op = &planner->ops[i];
        if (!op->integer)
            continue;
        struct op *partner = joined(planner, op);
        op->group = partner ? partner->group : planner->plan->group_count++;
    }
}

/* ---- grids ---- */

static enum tensor_dtype activation_type(const struct planner *planner)
{
    return planner->plan->options.profile == PROFILE_CPU_ARM ? DTYPE_INT8 : DTYPE_UINT8;
}

/* What a mover brings is what it got. */
static const struct graph_tensor *source_of(const struct planner *planner, const struct graph_tensor *tensor)
{
    for (const struct op *maker;
         (maker = maker_of(planner, tensor)) && maker->integer && maker->kernel->kind == KERNEL_MOVER;)
        tensor = graph_input(planner->graph, maker->node, 0);
    return tensor;
}

static void wish_follow(struct grid_wish *wish, const struct kernel_follow *follow)
{
    wish->limit *= follow->factor;
    wish->low *= follow->factor;
    wish->high *= follow->factor;
    if (!follow->clips)
        return;
    wish->pin_low = true;
    if (follow->limit > 0)
        wish->limit = wish->limit > 0 ? fminf(wish->limit, follow->limit) : follow->limit;
}

/* The followers' factors and ends, seen from behind the last of them. */
static struct grid_wish wish_for(const struct planner *planner, struct op *maker)
{
    struct grid_wish wish = {.dtype = activation_type(planner)};
    if (!maker || !maker->integer)
        return wish;
    struct op *base = chain_base(planner, maker);
    if (base->kernel->gate)
        wish = (struct grid_wish){.dtype = wish.dtype, .fixed = true, .low = 0, .high = 1};
    if (base->follows && !base->absorbed && base->follow.clips)
        wish_follow(&wish, &base->follow);
    for (const struct op *op = absorbed_behind(planner, first_output(planner, base)); op;
         op = absorbed_behind(planner, first_output(planner, op)))
        wish_follow(&wish, &op->follow);
    return wish;
}

static int grid_for(const struct planner *planner, const struct graph_tensor *tensor, struct quant_grid *out,
                    struct err *err)
{
    const struct graph_tensor *source = source_of(planner, tensor);
    const struct observed *seen = observation_find(planner->seen, source->name);
    if (!seen)
        return err_set(err, ERR_INVALID, "the range of tensor %.80s was not observed", source->name);
    struct op *maker = maker_of(planner, source);
    struct grid_wish wish = wish_for(planner, maker);
    *out = grid_choose(seen, &wish);
    /* Equal grids on both sides would make ONNX Runtime run it on integers, for which it has no kernel. */
    if (maker && !maker->integer && graph_is_op(maker->node, "DepthToSpace"))
        out->scale = nextafterf(out->scale, INFINITY);
    return 0;
}

/* ---- the plan ---- */

static bool needs_pair(const struct planner *planner, const struct graph_tensor *tensor)
{
    if (!tensor || tensor->weight || absorbed_behind(planner, tensor))
        return false;
    if (integers_read(planner, tensor))
        return true;
    struct op *maker = maker_of(planner, tensor);
    return maker && maker->integer && !is_product(chain_base(planner, maker)) &&
           (tensor->use_count || tensor->is_output);
}

static int group_for(const struct planner *planner, const struct graph_tensor *tensor)
{
    const struct op *maker = maker_of(planner, tensor);
    if (maker && maker->integer)
        return maker->group;
    for (size_t i = 0; i < tensor->use_count; i++)
        if (reads_data(planner, &tensor->uses[i]))
            return op_of(planner, tensor->uses[i].node)->group;
    return -1;
}

static int add_pair(const struct planner *planner, const struct graph_tensor *tensor, struct err *err)
{
    if (!needs_pair(planner, tensor))
        return 0;
    struct quant_pair pair = {.tensor = tensor->name, .group = group_for(planner, tensor)};
    if (grid_for(planner, tensor, &pair.grid, err) < 0)
        return -1;
    return plan_add_pair(planner->plan, &pair, err);
}

static int add_node(const struct planner *planner, const struct op *op, struct err *err)
{
    if (!op->kernel)
        return 0;
    const struct quant_node node = {.node = op->node->name,
                                    .op = op->node->op,
                                    .weighted = op->weighted,
                                    .integer = op->integer,
                                    .why = op->integer ? NULL : op->why,
                                    .group = op->group};
    return plan_add_node(planner->plan, &node, err);
}

static int write_plan(const struct planner *planner, struct err *err)
{
    const struct onnx_graph *model = onnx_model_graph(graph_model(planner->graph));
    for (size_t i = 0; i < model->input_count; i++)
        if (add_pair(planner, graph_tensor(planner->graph, model->inputs[i]->name), err) < 0)
            return -1;
    for (size_t i = 0; i < planner->count; i++) {
        const struct op *op = &planner->ops[i];
        for (size_t k = 0; k < op->node->output_count; k++)
            if (add_pair(planner, graph_output(planner->graph, op->node, k), err) < 0)
                return -1;
        if (add_node(planner, op, err) < 0)
            return -1;
    }
    return 0;
}

int plan_cpu(struct graph *graph, const struct observation *seen, const struct quant_skip *skip,
             size_t skip_count, struct quant_plan *out, struct err *err)
{
    struct planner planner = {.graph = graph, .seen = seen, .plan = out};
    int rc = list_ops(&planner, skip, skip_count, err);
    if (rc == 0) {
        settle(&planner);
        rc = settle_heads(&planner, err);
    }
    if (rc == 0) {
        number_groups(&planner);
        rc = write_plan(&planner, err);
    }
    free(planner.ops);
    free(planner.by_index);
    return rc;
}
