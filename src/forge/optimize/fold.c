#include "forge/optimize/fold.h"

#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- a weighted operator, as far as it can be folded into ---- */

struct filter {
    struct onnx_node *node;
    const struct onnx_weight *weight;
    size_t outputs, rank; /* channels; dimensions of what it gives */
    /* Weight i belongs to output channel (i / outer_step * per_group + i / inner_step % per_group) % outputs. */
    size_t outer_step, inner_step, per_group;
};

/* A float32 constant, NULL else. */
static const struct onnx_weight *constant(const struct graph *graph, const struct onnx_node *node,
                                          size_t input)
{
    const struct graph_tensor *tensor = graph_input(graph, node, input);
    bool fit = tensor && tensor->weight && !tensor->is_input && tensor->weight->dtype == DTYPE_FLOAT32;
    return fit ? tensor->weight : NULL;
}

static size_t elements_from(const struct onnx_weight *weight, size_t axis)
{
    size_t count = 1;
    for (size_t i = axis; i < weight->dim_count; i++)
        count *= (size_t)weight->dims[i];
    return count;
}

static bool conv_of(struct filter *out)
{
    const struct onnx_weight *weight = out->weight;
    if (weight->dim_count < 3)
        return false;
    out->rank = weight->dim_count;
    out->outputs = out->per_group = (size_t)weight->dims[0];
    out->inner_step = elements_from(weight, 1);
    out->outer_step = SIZE_MAX;
    return true;
}

/* [in][out / group][kernel]: each group's inputs are a block. */
static bool transposed_of(struct filter *out)
{
    const struct onnx_weight *weight = out->weight;
    int64_t group = onnx_node_int(out->node, "group", 1);
    if (weight->dim_count < 3 || group < 1 || weight->dims[0] % group)
        return false;
    out->rank = weight->dim_count;
    out->per_group = (size_t)weight->dims[1];
    out->outputs = out->per_group * (size_t)group;
    out->inner_step = elements_from(weight, 2);
    out->outer_step = elements_from(weight, 1) * (size_t)(weight->dims[0] / group);
    return true;
}

static bool gemm_of(struct filter *out)
{
    const struct onnx_weight *weight = out->weight;
    bool transposed = onnx_node_int(out->node, "transB", 0) != 0;
    if (weight->dim_count != 2 || onnx_node_float(out->node, "alpha", 1) != 1 ||
        onnx_node_float(out->node, "beta", 1) != 1)
        return false;
    out->rank = 2;
    out->outputs = out->per_group = (size_t)weight->dims[transposed ? 0 : 1];
    out->inner_step = transposed ? (size_t)weight->dims[1] : 1;
    out->outer_step = SIZE_MAX;
    return true;
}

static bool filter_of(const struct graph *graph, struct onnx_node *node, struct filter *out)
{
    *out = (struct filter){.node = node};
    if (!node || node->input_count < 2)
        return false;
    out->weight = constant(graph, node, 1);
    if (!out->weight || onnx_weight_elements(out->weight) == 0)
        return false;
    if (graph_is_op(node, "Conv"))
        return conv_of(out);
    if (graph_is_op(node, "ConvTranspose"))
        return transposed_of(out);
    return graph_is_op(node, "Gemm") && gemm_of(out);
}

static size_t channel_of(const struct filter *filter, size_t i)
{
    return i / filter->outer_step * filter->per_group + i / filter->inner_step % filter->per_group;
}

/* The bias, one number per channel; zeros where there is none. NULL: out of memory, or of a kind that is left alone (*out_ok false). */
static float *bias_of(const struct graph *graph, const struct filter *filter, bool *out_ok)
{
    const struct graph_tensor *bias = graph_input(graph, filter->node, 2);
    *out_ok = true;
    if (!bias)
        return mem_zalloc(filter->outputs + 1, sizeof(float));
    const struct onnx_weight *weight = constant(graph, filter->node, 2);
    *out_ok = weight && onnx_weight_elements(weight) == filter->outputs &&
              (weight->dim_count == 1 || (weight->dim_count == 2 && weight->dims[0] == 1));
    size_t count = 0;
    return *out_ok ? graph_floats(graph, bias->name, &count) : NULL;
}

/* ---- what is folded: y = scale[c] x + shift[c] ---- */

struct affine {
    size_t count;         /* 1: the same for all channels; 0: nothing to fold */
    float *scale, *shift; /* owned */
};

static void affine_fini(struct affine *affine)
{
    free(affine->scale);
    free(affine->shift);
}

/* How many numbers: 1, `channels` along axis 1, or 0 for any other shape. */
static size_t spread_of(const struct onnx_weight *weight, size_t rank, size_t channels)
{
    size_t count = onnx_weight_elements(weight);
    if (weight->dim_count > rank || count == 0)
        return 0;
    for (size_t i = 0; i < weight->dim_count; i++)
        if (weight->dims[i] != 1 && rank - weight->dim_count + i != 1)
            return 0;
    return count == 1 || count == channels ? count : 0;
}

static bool make_room(struct affine *out, size_t count)
{
    out->scale = mem_zalloc(count, sizeof *out->scale);
    out->shift = mem_zalloc(count, sizeof *out->shift);
    out->count = count;
    return out->scale && out->shift;
}

/* One of the four operators with a constant; which of its inputs is the other one. */
static int affine_of_step(const struct graph *graph, const struct onnx_node *node, size_t rank,
                          size_t channels, struct affine *out, struct err *err)
{
    bool product = graph_is_op(node, "Mul"), sum = graph_is_op(node, "Add");
    size_t at = (product || sum) && constant(graph, node, 0) ? 0 : 1;
    const struct onnx_weight *weight = node->input_count == 2 ? constant(graph, node, at) : NULL;
    size_t spread = weight ? spread_of(weight, rank, channels) : 0, count = 0;
    if (spread == 0 || !(product || sum))
        return 0;
    cleanup_free float *values = graph_floats(graph, weight->name, &count);
    if (!values || !make_room(out, spread))
        return err_no_memory(err);
    for (size_t i = 0; i < spread; i++) {
        out->scale[i] = product ? values[i] : 1;
        out->shift[i] = product ? 0 : values[i];
    }
    return 0;
}

static int affine_of_norm(const struct graph *graph, const struct onnx_node *node, size_t channels,
                          struct affine *out, struct err *err)
{
    float *values[4] = {NULL};
    bool fit = node->input_count == 5 && node->output_count == 1 && !onnx_node_int(node, "training_mode", 0);
    for (size_t i = 0; fit && i < 4; i++)
        fit = constant(graph, node, i + 1) && onnx_weight_elements(constant(graph, node, i + 1)) == channels;
    if (!fit)
        return 0;
    bool have = make_room(out, channels);
    for (size_t i = 0, count = 0; i < 4; i++)
        have = (values[i] = graph_floats(graph, node->inputs[i + 1], &count)) && have;
    double epsilon = (double)onnx_node_float(node, "epsilon", 1e-5F);
    for (size_t c = 0; have && c < channels; c++) {
        double scale = (double)values[0][c] / sqrt((double)values[3][c] + epsilon);
        out->scale[c] = (float)scale;
        out->shift[c] = (float)((double)values[1][c] - (double)values[2][c] * scale);
    }
    for (size_t i = 0; i < 4; i++)
        free(values[i]);
    return have ? 0 : err_no_memory(err);
}

/* ---- folding ---- */

/* A new weight in the place of an old one, of the same shape. */
static int replace_weight(struct graph *graph, struct onnx_node *node, size_t input, const char *base,
                          const int64_t *dims, size_t dim_count, const float *values, struct err *err)
{
    const struct onnx_weight *made = graph_add_weight(graph, base, DTYPE_FLOAT32, dims, dim_count, values);
    return made ? graph_set_input(graph, node, input, made->name, err) : err_no_memory(err);
}

static int scale_weights(struct graph *graph, const struct filter *filter, const struct affine *affine,
                         struct err *err)
{
    size_t count = 0;
    cleanup_free float *values = graph_floats(graph, filter->weight->name, &count);
    if (!values)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        values[i] *= affine->scale[affine->count == 1 ? 0 : channel_of(filter, i)];
    return replace_weight(graph, filter->node, 1, filter->weight->name, filter->weight->dims,
                          filter->weight->dim_count, values, err);
}

static int move_bias(struct graph *graph, const struct filter *filter, const struct affine *affine,
                     float *bias, struct err *err)
{
    const int64_t dims[] = {(int64_t)filter->outputs};
    for (size_t c = 0; c < filter->outputs; c++) {
        size_t k = affine->count == 1 ? 0 : c;
        bias[c] = bias[c] * affine->scale[k] + affine->shift[k];
    }
    return replace_weight(graph, filter->node, 2, "bias", dims, 1, bias, err);
}

/* The node's result is its input's; the node goes. */
static int skip_node(struct graph *graph, struct onnx_node *node, const char *input, struct err *err)
{
    if (graph_replace_uses(graph, node->outputs[0], input, err) < 0)
        return -1;
    graph_remove(graph, node);
    return 0;
}

/* The operand that is computed. */
static const char *computed(const struct graph *graph, const struct onnx_node *node)
{
    return constant(graph, node, 0) && !graph_is_op(node, "BatchNormalization") ? node->inputs[1]
                                                                                : node->inputs[0];
}

static int fold_behind(struct graph *graph, struct onnx_node *node, bool *changed, struct err *err)
{
    const char *input = computed(graph, node);
    struct filter filter;
    struct affine affine = {0};
    bool fit = false;
    if (graph_only_user(graph, input) != node ||
        !filter_of(graph, graph_tensor(graph, input)->maker, &filter))
        return 0;
    int result = graph_is_op(node, "BatchNormalization")
                     ? affine_of_norm(graph, node, filter.outputs, &affine, err)
                     : affine_of_step(graph, node, filter.rank, filter.outputs, &affine, err);
    cleanup_free float *bias = affine.count && result == 0 ? bias_of(graph, &filter, &fit) : NULL;
    if (fit && !bias)
        result = err_no_memory(err);
    if (result == 0 && fit) {
        *changed = true;
        if (scale_weights(graph, &filter, &affine, err) < 0 ||
            move_bias(graph, &filter, &affine, bias, err) < 0 || skip_node(graph, node, input, err) < 0)
            result = -1;
    }
    affine_fini(&affine);
    return result;
}

static size_t constant_at(const struct graph *graph, const struct onnx_node *node)
{
    return constant(graph, node, 0) ? 0 : 1;
}

/* The one number that a Mul multiplies by. */
static bool factor_of(const struct graph *graph, const struct onnx_node *node, float *out)
{
    if (!graph_is_op(node, "Mul") || node->input_count != 2)
        return false;
    const struct onnx_weight *weight = constant(graph, node, constant_at(graph, node));
    if (!weight || weight->dim_count > 1 || onnx_weight_elements(weight) != 1 ||
        weight->data.len != sizeof *out)
        return false;
    memcpy(out, weight->data.data, sizeof *out);
    return true;
}

/* × a ─▶ Conv, or × a ─▶ × b. */
static int fold_ahead(struct graph *graph, struct onnx_node *node, bool *changed, struct err *err)
{
    float factor = 1, next = 1;
    if (!factor_of(graph, node, &factor))
        return 0;
    struct onnx_node *user = graph_only_user(graph, node->outputs[0]);
    struct filter filter;
    if (!user)
        return 0;
    int result = 0;
    if (factor_of(graph, user, &next)) {
        float both = factor * next;
        result = replace_weight(graph, user, constant_at(graph, user), "factor", NULL, 0, &both, err);
    } else if (user->inputs[0] == node->outputs[0] && filter_of(graph, user, &filter)) {
        struct affine affine = {.count = 1, .scale = &factor};
        result = scale_weights(graph, &filter, &affine, err);
    } else {
        return 0;
    }
    *changed = true;
    return result < 0 ? -1 : skip_node(graph, node, computed(graph, node), err);
}

/* ÷ a becomes × 1/a, − b becomes + −b. */
static int turn(struct graph *graph, struct onnx_node *node, struct err *err)
{
    bool quotient = graph_is_op(node, "Div");
    const struct onnx_weight *weight = node->input_count == 2 ? constant(graph, node, 1) : NULL;
    size_t count = 0;
    if (!weight || (!quotient && !graph_is_op(node, "Sub")))
        return 0;
    cleanup_free float *values = graph_floats(graph, weight->name, &count);
    const char *op = onnx_model_name(graph_model(graph), quotient ? "Mul" : "Add");
    if (!values || !op)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        values[i] = quotient ? 1 / values[i] : -values[i];
        if (!isfinite(values[i]))
            return 0;
    }
    node->op = op;
    return replace_weight(graph, node, 1, weight->name, weight->dims, weight->dim_count, values, err);
}

static int fold_once(struct graph *graph, bool *changed, struct err *err)
{
    static const char *const steps[] = {"Mul", "Add", "BatchNormalization"};
    size_t count = 0;
    struct onnx_node *const *sorted = graph_nodes(graph, &count);
    cleanup_free struct onnx_node **nodes = mem_zalloc(count + 1, sizeof(struct onnx_node *));
    if (!nodes)
        return err_no_memory(err);
    memcpy(nodes, sorted, count * sizeof *nodes);
    for (size_t i = 0; i < count; i++) {
        bool is_step = false;
        if (nodes[i]->removed)
            continue;
        if (turn(graph, nodes[i], err) < 0)
            return -1;
        for (size_t k = 0; k < ARRAY_LEN(steps); k++)
            is_step = is_step || graph_is_op(nodes[i], steps[k]);
        if (is_step && fold_behind(graph, nodes[i], changed, err) < 0)
            return -1;
        if (!nodes[i]->removed && fold_ahead(graph, nodes[i], changed, err) < 0)
            return -1;
    }
    return 0;
}

int fold_constants(struct graph *graph, struct err *err)
{
    for (bool changed = true; changed;) {
        changed = false;
        if (fold_once(graph, &changed, err) < 0)
            return -1;
    }
    return graph_tidy(graph, err);
}
