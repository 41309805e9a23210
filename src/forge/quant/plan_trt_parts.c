#include "forge/quant/plan_trt_inside.h"

#include "base/mem.h"
#include "base/str.h"

enum { MAX_WALK = 64 };

/* ---- which convolution an Add's input comes straight from ---- */

/* A convolution that becomes integers, with nothing but its own epilogue between it and `tensor`. */
static const struct onnx_node *backbone(const struct trt_work *work, const struct graph_tensor *tensor)
{
    for (int steps = 0; steps < MAX_WALK && tensor && tensor->maker; steps++) {
        const struct onnx_node *node = tensor->maker;
        if (graph_is_op(node, "Conv") || graph_is_op(node, "ConvTranspose"))
            return trt_state_of(work, node)->why ? NULL : node;
        tensor = fusion_step_back(work->graph, node);
    }
    return NULL;
}

/* ---- the nearest common ancestor of an Add's two inputs ---- */

struct meeting {
    const struct onnx_node *node; /* NULL: they have none */
    int distance[2];
};

struct front { /* breadth first, one level after the other */
    struct onnx_node **queue;
    size_t from, to;
    int side, level;
};

static void reach(struct trt_work *work, struct front *front, struct onnx_node *node, struct meeting *out)
{
    struct trt_state *state = trt_state_of(work, node);
    if (state->stamp[front->side] == work->stamp)
        return;
    state->stamp[front->side] = work->stamp;
    state->distance[front->side] = front->level;
    front->queue[front->to++] = node;
    if (state->stamp[!front->side] == work->stamp && !out->node)
        *out = (struct meeting){.node = node, .distance = {state->distance[0], state->distance[1]}};
}

static void advance(struct trt_work *work, struct front *front, struct meeting *out)
{
    const size_t end = front->to;
    front->level++;
    for (; front->from < end && !out->node; front->from++) {
        const struct onnx_node *node = front->queue[front->from];
        for (size_t i = 0; i < node->input_count; i++) {
            const struct graph_tensor *input = graph_input(work->graph, node, i);
            if (fusion_is_computed(input) && input->maker)
                reach(work, front, input->maker, out);
        }
    }
}

static struct meeting meet(struct trt_work *work, struct onnx_node *a, struct onnx_node *b)
{
    struct meeting out = {0};
    struct front fronts[2] = {{.queue = work->queue[0], .side = 0}, {.queue = work->queue[1], .side = 1}};
    work->stamp++;
    reach(work, &fronts[0], a, &out);
    reach(work, &fronts[1], b, &out);
    while (!out.node && (fronts[0].from < fronts[0].to || fronts[1].from < fronts[1].to))
        for (int side = 0; side < 2 && !out.node; side++)
            advance(work, &fronts[side], &out);
    return out;
}

/* Both come from convolutions: the longer way is the branch, the shorter one the skip. */
static int straight_input(struct trt_work *work, const struct onnx_node *add)
{
    const struct graph_tensor *inputs[] = {graph_input(work->graph, add, 0),
                                           graph_input(work->graph, add, 1)};
    const struct onnx_node *from[2];
    for (int i = 0; i < 2; i++) {
        if (!fusion_is_computed(inputs[i]) || !inputs[i]->maker)
            return NO_INPUT;
        from[i] = backbone(work, inputs[i]);
    }
    if (from[0] == from[1])
        return NO_INPUT;
    const struct meeting common = meet(work, inputs[0]->maker, inputs[1]->maker);
    if (from[0] && from[1])
        return common.distance[0] > common.distance[1] ? 0 : 1;
    const int side = from[0] ? 0 : 1;
    return common.node == from[side] ? NO_INPUT : side;
}

/* ---- partitions ---- */

static bool is_inside(const struct trt_work *work, const struct graph_tensor *tensor, int part)
{
    return tensor && tensor->maker && trt_state_of(work, tensor->maker)->part == part;
}

/* All that it computes with is made in this partition. */
static bool is_closed(const struct trt_work *work, const struct onnx_node *node, int part)
{
    for (size_t i = 0; i < node->input_count; i++) {
        const struct graph_tensor *input = graph_input(work->graph, node, i);
        if (fusion_is_computed(input) && !is_inside(work, input, part))
            return false;
    }
    return true;
}

static bool joins(const struct trt_work *work, const struct onnx_node *node, size_t input, int part)
{
    const struct trt_state *state = trt_state_of(work, node);
    if (state->part != NO_PART || fusion_is_weighted(node))
        return false;
    if (graph_is_op(node, "Add") && state->straight == (int)input)
        return true;
    if (graph_is_op(node, "MaxPool") || graph_is_op(node, "BatchNormalization"))
        return input == 0;
    return (fusion_is_pointwise(node) || fusion_is_copy(node)) && is_closed(work, node, part);
}

/* A residual Add ends its partition. */
static bool is_end(const struct trt_work *work, const struct onnx_node *node)
{
    return graph_is_op(node, "Add") && trt_state_of(work, node)->straight != NO_INPUT;
}

static void grow(struct trt_work *work, struct onnx_node *root)
{
    const int part = (int)work->part_count;
    struct onnx_node **stack = work->queue[0];
    size_t depth = 0;
    work->roots[work->part_count++] = root;
    trt_state_of(work, root)->part = part;
    stack[depth++] = root;
    while (depth > 0) {
        const struct onnx_node *node = stack[--depth];
        for (size_t o = 0; !is_end(work, node) && o < node->output_count; o++) {
            const struct graph_tensor *output = graph_output(work->graph, node, o);
            for (size_t u = 0; output && u < output->use_count; u++) {
                const struct graph_use *use = &output->uses[u];
                if (!joins(work, use->node, use->input, part))
                    continue;
                trt_state_of(work, use->node)->part = part;
                stack[depth++] = use->node;
            }
        }
    }
}

void trt_find_parts(struct trt_work *work)
{
    work->part_count = 0;
    for (size_t i = 0; i < work->node_count; i++) {
        struct trt_state *state = trt_state_of(work, work->nodes[i]);
        state->part = NO_PART;
        state->straight = NO_INPUT;
    }
    for (size_t i = 0; i < work->node_count; i++)
        if (graph_is_op(work->nodes[i], "Add"))
            trt_state_of(work, work->nodes[i])->straight = (signed char)straight_input(work, work->nodes[i]);
    for (size_t i = 0; i < work->node_count; i++)
        if (fusion_is_weighted(work->nodes[i]) && !trt_state_of(work, work->nodes[i])->why)
            grow(work, work->nodes[i]);
}

bool trt_follows_part(const struct trt_work *work, const struct graph_tensor *tensor)
{
    const struct graph_tensor *from = fusion_before_copies(work->graph, tensor);
    return from && from->maker && trt_state_of(work, from->maker)->part != NO_PART;
}
