#include "forge/quant/plan_trt_inside.h"

#include "base/mem.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>

enum { FEW_CHANNELS = 16, CHANNELS_STEP = 8, MIXED_RATIO = 16 };

/* ---- rules: each gives the reason why a weighted operator stays float, or NULL ---- */

struct question {
    const struct trt_work *work;
    const struct onnx_node *node;
    const struct graph_tensor *input, *weights;
    const struct observed *seen; /* of the input; NULL: nobody looked */
};

static char *why_skipped(const struct question *q)
{
    const char *why = plan_skip_reason(q->work->skip, q->work->skip_count, q->node->name);
    return why ? mem_strdup(why) : NULL;
}

static bool is_matrix_product(const struct onnx_node *node)
{
    return str_eq(node->op, "Gemm") || str_eq(node->op, "MatMul");
}

static char *why_no_weights(const struct question *q)
{
    if (!fusion_is_computed(q->input))
        return mem_strdup("its input is constant");
    if (fusion_is_computed(q->weights))
        return mem_strdup(is_matrix_product(q->node) ? "both operands are computed, as in attention"
                                                     : "its weights are computed");
    if (!q->weights || q->weights->weight->dtype != DTYPE_FLOAT32)
        return mem_strdup("its weights are not float32");
    if (is_matrix_product(q->node) && q->weights->weight->dim_count != 2)
        return mem_strdup("its weights are no matrix");
    return NULL;
}

/* Its channels are groups of channels: a scale each is not a scale per output channel. */
static char *why_grouped(const struct question *q)
{
    return str_eq(q->node->op, "ConvTranspose") && onnx_node_int(q->node, "group", 1) > 1
               ? mem_strdup("a grouped ConvTranspose")
               : NULL;
}

static char *why_wild_weights(const struct question *q)
{
    size_t count = 0;
    cleanup_free float *values = graph_floats(q->work->graph, q->weights->name, &count);
    for (size_t i = 0; values && i < count; i++)
        if (!isfinite(values[i]))
            return mem_strdup("its weights are not finite");
    return NULL;
}

/* A Gemm may add any matrix; only one number per channel can be corrected. */
static char *why_bias(const struct question *q)
{
    const struct graph_tensor *bias = graph_input(q->work->graph, q->node, 2);
    if (!bias)
        return NULL;
    if (!bias->weight)
        return mem_strdup("its bias is computed");
    return bias->weight->dim_count > 1 ? mem_strdup("its bias is a matrix") : NULL;
}

static char *why_wild_input(const struct question *q)
{
    return q->seen && !q->seen->finite ? mem_strdup("its input was not finite on a sample") : NULL;
}

/* Which convolutions have integer kernels that are worth it (ModelOpt, find_nodes_from_convs_to_exclude). */
static bool has_good_channels(const struct question *q)
{
    const struct onnx_weight *w = q->weights->weight;
    const int64_t out = w->dims[0], in = w->dims[1];
    bool square = true, wide = true;
    if (out >= FEW_CHANNELS && in >= FEW_CHANNELS)
        return true;
    for (size_t i = 2; i < w->dim_count; i++) {
        square &= w->dims[i] == w->dims[2];
        wide &= w->dims[i] >= 3;
    }
    if (onnx_node_int(q->node, "group", 1) > 1)
        return out % CHANNELS_STEP == 0 && wide;
    return (out % CHANNELS_STEP == 0 || in % CHANNELS_STEP == 0) &&
           (q->input->is_input || out >= FEW_CHANNELS || in >= FEW_CHANNELS) && square;
}

static char *why_few_channels(const struct question *q)
{
    const struct onnx_weight *w = q->weights->weight;
    if (!str_eq(q->node->op, "Conv") || w->dim_count < 3 || has_good_channels(q))
        return NULL;
    return mem_printf("few channels: %lld from %lld", (long long)w->dims[0], (long long)w->dims[1]);
}

/* A single row or column: nothing for tensor cores. */
static char *why_vector(const struct question *q)
{
    if (!is_matrix_product(q->node))
        return NULL;
    const struct onnx_weight *w = q->weights->weight;
    const bool gemm = str_eq(q->node->op, "Gemm");
    const int64_t columns = w->dims[gemm && onnx_node_int(q->node, "transB", 0) ? 0 : 1];
    const bool seen = q->seen && q->seen->dim_count > 0;
    const size_t dim_count = seen ? q->seen->dim_count : q->input->shaped ? q->input->dim_count : 0;
    const int64_t *dims = seen ? q->seen->dims : q->input->dims;
    if (dim_count == 0 || dim_count > 2)
        return NULL;
    const int64_t rows = dim_count < 2 ? 1 : dims[gemm && onnx_node_int(q->node, "transA", 0) ? 1 : 0];
    return rows == 1 || columns == 1 ? mem_strdup("a matrix times a vector") : NULL;
}

static char *why_expectation(const struct question *q)
{
    const struct graph_tensor *from = fusion_before_copies(q->work->graph, q->input);
    return from && from->maker && graph_is_op(from->maker, "Softmax")
               ? mem_strdup("it weighs the bins of a Softmax")
               : NULL;
}

static double reach(const struct observation *seen, const char *name)
{
    const struct observed *tensor = observation_find(seen, name);
    return tensor ? fmax(fabs((double)tensor->min), fabs((double)tensor->max)) : 0;
}

/* One scale for boxes of 640 pixels and scores of 1 leaves the scores no step. */
static char *why_mixed(const struct question *q)
{
    const struct graph_tensor *from = fusion_before_copies(q->work->graph, q->input);
    double low = INFINITY, high = 0;
    if (!from || !from->maker || !graph_is_op(from->maker, "Concat"))
        return NULL;
    for (size_t i = 0; i < from->maker->input_count; i++) {
        double reaches = reach(q->work->seen, from->maker->inputs[i]);
        if (reaches > 0) {
            low = fmin(low, reaches);
            high = fmax(high, reaches);
        }
    }
    return high > low * MIXED_RATIO ? mem_printf("mixed ranges: %.3g beside %.3g", high, low) : NULL;
}

/* In this order: later ones may lean on earlier ones. */
static char *(*const rules[])(const struct question *) = {
    why_skipped,    why_no_weights,   why_bias,   why_grouped,     why_wild_weights,
    why_wild_input, why_few_channels, why_vector, why_expectation, why_mixed};

int trt_exclude(struct trt_work *work, const struct onnx_node *node, char *why, struct err *err)
{
    struct trt_state *state = trt_state_of(work, node);
    free(state->why);
    state->why = why;
    return why ? 0 : err_no_memory(err);
}

static int apply(struct trt_work *work, const struct onnx_node *node, struct err *err)
{
    struct question q = {.work = work,
                         .node = node,
                         .input = graph_input(work->graph, node, 0),
                         .weights = graph_input(work->graph, node, 1)};
    q.seen = q.input ? observation_find(work->seen, q.input->name) : NULL;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        char *why = rules[i](&q);
        if (why)
            return trt_exclude(work, node, why, err);
    }
    return 0;
}

int trt_apply_rules(struct trt_work *work, struct err *err)
{
    for (size_t i = 0; i < work->node_count; i++)
        if (fusion_is_weighted(work->nodes[i]) && apply(work, work->nodes[i], err) < 0)
            return -1;
    return 0;
}
