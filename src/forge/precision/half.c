#include "forge/precision/half_inside.h"

#include "base/mem.h"

#include <stdlib.h>

enum { MAX_SWEEPS = 8 };

enum wish { WANTS_ANY, WANTS_FLOAT, WANTS_HALF };

/* ---- Casts that an assignment costs: at most one per tensor ---- */

static enum wish wish_of(const struct half_work *work, const struct graph_use *use)
{
    if (types_is_fixed_input(use->node, use->input))
        return WANTS_FLOAT;
    if (!half_is_port(work, use->node, use->input))
        return WANTS_ANY;
    return work->half[use->node->index] ? WANTS_HALF : WANTS_FLOAT;
}

static bool needs_cast(const struct half_work *work, const struct graph_tensor *tensor)
{
    if (!tensor || tensor->weight || types_of(&work->types, tensor) != DTYPE_FLOAT32)
        return false;
    const bool half = tensor->maker && work->half[tensor->maker->index];
    const enum wish other = half ? WANTS_FLOAT : WANTS_HALF;
    if (half && (tensor->is_output || tensor->captured))
        return true;
    for (size_t i = 0; i < tensor->use_count; i++)
        if (wish_of(work, &tensor->uses[i]) == other)
            return true;
    return false;
}

static int casts_around(const struct half_work *work, const struct onnx_node *node)
{
    int sum = 0;
    for (size_t i = 0; i < node->input_count; i++)
        sum += half_is_port(work, node, i) && needs_cast(work, graph_input(work->graph, node, i));
    for (size_t i = 0; i < node->output_count; i++)
        sum += needs_cast(work, graph_output(work->graph, node, i));
    return sum;
}

/* ---- who computes in what ---- */

/* What free ones read decides first: float32 only if all of it is. */
static bool reads_half(const struct half_work *work, const struct onnx_node *node)
{
    bool reads_float = false;
    for (size_t i = 0; i < node->input_count; i++) {
        const struct graph_tensor *input = graph_input(work->graph, node, i);
        if (!half_is_port(work, node, i) || input->weight)
            continue;
        if (input->maker && work->half[input->maker->index])
            return true;
        reads_float = true;
    }
    return !reads_float;
}

static void assign(struct half_work *work)
{
    for (size_t i = 0; i < work->node_count; i++) {
        const struct onnx_node *node = work->nodes[i];
        const uint8_t kind = work->kinds[node->index];
        work->half[node->index] = kind == HALF_STRONG || (half_is_free(kind) && reads_half(work, node));
    }
}

/* True if it was for the better. `even`: also if it makes no difference. */
static bool flip(struct half_work *work, const struct onnx_node *node, bool even)
{
    const int before = casts_around(work, node);
    work->half[node->index] = !work->half[node->index];
    const int after = casts_around(work, node);
    if (after < before || (even && after == before))
        return true;
    work->half[node->index] = !work->half[node->index];
    return false;
}

/* Casts move before who only moves values. */
static void pull_casts_up(struct half_work *work)
{
    for (size_t i = work->node_count; i-- > 0;) {
        const struct onnx_node *node = work->nodes[i];
        if (work->kinds[node->index] == HALF_MOVER && !work->half[node->index])
            flip(work, node, true);
    }
}

static void save_casts(struct half_work *work)
{
    bool changed = true;
    for (int sweep = 0; changed && sweep < MAX_SWEEPS; sweep++) {
        changed = false;
        for (size_t i = 0; i < work->node_count; i++)
            if (half_is_free(work->kinds[work->nodes[i]->index]))
                changed |= flip(work, work->nodes[i], false);
    }
}

static void count_nodes(const struct half_work *work, struct half_outcome *out)
{
    for (size_t i = 0; i < work->node_count; i++) {
        const size_t index = work->nodes[i]->index;
        out->nodes += work->kinds[index] != HALF_NONE;
        out->half += work->half[index];
        out->blocked += work->kinds[index] == HALF_BLOCKED;
    }
    out->kept = out->nodes - out->half;
}

/* ---- all of it ---- */

static void work_fini(struct half_work *work)
{
    types_fini(&work->types);
    free((void *)work->nodes);
    free(work->kinds);
    free(work->half);
}

/* The order stays while the graph changes; a new node is none of them. */
static int work_init(struct half_work *work, struct err *err)
{
    size_t count;
    struct onnx_node *const *nodes = graph_nodes(work->graph, &count);
    struct onnx_node **copy = mem_zalloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++)
        copy[i] = nodes[i];
    work->nodes = copy;
    work->node_count = copy ? count : 0;
    if (types_infer(work->graph, &work->types, err) < 0)
        return -1;
    work->kinds = mem_zalloc(work->types.node_limit + 1, sizeof *work->kinds);
    work->half = mem_zalloc(work->types.node_limit + 1, sizeof *work->half);
    return copy && work->kinds && work->half ? 0 : err_no_memory(err);
}

static bool has_pairs(struct graph *graph)
{
    size_t count;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    for (size_t i = 0; i < count; i++)
        if (half_is_pair(nodes[i]))
            return true;
    return false;
}

static int raise_opset(struct half_work *work, struct err *err)
{
    if (has_pairs(work->graph) && graph_upgrade(work->graph, HALF_PAIR_OPSET, err) < 0)
        return err_prefix(err, "float16 beside int8");
    work->half_pairs = graph_opset(work->graph) >= HALF_PAIR_OPSET;
    return 0;
}

static int convert(struct half_work *work, struct half_outcome *out, struct err *err)
{
    if (graph_hoist_constants(work->graph, err) < 0 || raise_opset(work, err) < 0 || work_init(work, err) < 0)
        return -1;
    for (size_t i = 0; i < work->node_count; i++)
        work->kinds[work->nodes[i]->index] = (uint8_t)half_kind_of(work, work->nodes[i]);
    assign(work);
    pull_casts_up(work);
    save_casts(work);
    count_nodes(work, out);
    return half_apply(work, out, err);
}

int half_convert(struct graph *graph, const struct observation *seen, struct half_outcome *out,
                 struct err *err)
{
    struct half_work work = {.graph = graph, .seen = seen};
    *out = (struct half_outcome){0};
    int result = convert(&work, out, err);
    work_fini(&work);
    return result;
}

/* ---- what to observe ---- */

const char **half_tensors(struct graph *graph, size_t *out_count)
{
    struct half_work work = {.graph = graph};
    struct err err = {0};
    size_t count = 0, room = 1;
    const char **names = NULL;
    if (work_init(&work, &err) == 0) {
        for (size_t i = 0; i < work.node_count; i++)
            room += work.nodes[i]->output_count;
        names = mem_zalloc(room, sizeof *names);
    }
    for (size_t i = 0; names && i < work.node_count; i++)
        for (size_t k = 0; k < work.nodes[i]->output_count; k++) {
            const struct graph_tensor *output = graph_output(graph, work.nodes[i], k);
            if (output && !output->weight && types_of(&work.types, output) == DTYPE_FLOAT32)
                names[count++] = output->name;
        }
    work_fini(&work);
    *out_count = count;
    return names;
}
