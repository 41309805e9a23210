#include "base/str.h"
#include "forge/quant/emit_inside.h"
#include "forge/quant/kernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* One weighted operator on its way to integers. */
struct weighing {
    struct graph *graph;
    struct onnx_node *node;
    const struct quant_fix *fix;
    int bits;
    size_t channels, count,
        inner; /* inner: elements from one channel to the next, where the axis comes last 1 */
    struct weight_view view;
    float *scales; /* those of the search */
    float *used;   /* those taken */
    float *bias;   /* NULL: none */
};

size_t emit_channel_axis(const struct onnx_node *node)
{
    if (graph_is_op(node, "MatMul") || graph_is_op(node, "ConvTranspose"))
        return 1;
    return graph_is_op(node, "Gemm") && !onnx_node_int(node, "transB", 0) ? 1 : 0;
}

/* ---- the bias ---- */

static int read_bias(struct weighing *work, struct err *err)
{
    const struct graph_tensor *bias = graph_input(work->graph, work->node, 2);
    bool more = work->fix && work->fix->bias_add;
    if (!bias && !more)
        return 0;
    size_t count = 0;
    cleanup_free float *given = bias ? graph_floats(work->graph, bias->name, &count) : NULL;
    work->bias = mem_zalloc(work->channels, sizeof *work->bias);
    if (!work->bias || (bias && !given))
        return err_no_memory(err);
    if (bias && count != 1 && count != work->channels)
        return err_set(err, ERR_INVALID, "its bias has %zu numbers for %zu channels", count, work->channels);
    for (size_t i = 0; i < work->channels; i++) {
        work->bias[i] = count ? given[count == 1 ? 0 : i] : 0;
        work->bias[i] += more ? work->fix->bias_add[i] : 0;
    }
    return 0;
}

static struct onnx_weight *new_weight(struct weighing *work, const char *what, enum tensor_dtype dtype,
                                      size_t dim_count, const int64_t *dims, const void *data)
{
    char name[256];
    snprintf(name, sizeof name, "%.200s.%s", work->node->name, what);
    return graph_add_weight(work->graph, name, dtype, dims, dim_count, data);
}

static int emit_float_bias(struct weighing *work, struct err *err)
{
    const int64_t dims[] = {(int64_t)work->channels};
    if (!work->bias || !work->fix || !work->fix->bias_add)
        return 0;
    const struct onnx_weight *bias = new_weight(work, "bias", DTYPE_FLOAT32, 1, dims, work->bias);
    if (!bias)
        return err_no_memory(err);
    return graph_set_input(work->graph, work->node, 2, bias->name, err);
}

/* int32 on the scale that the sums have. */
static int emit_integer_bias(struct weighing *work, float x_scale, struct err *err)
{
    const int64_t dims[] = {(int64_t)work->channels};
    if (!work->bias)
        return 0;
    struct onnx_weight *bias = new_weight(work, "bias32", DTYPE_INT32, 1, dims, NULL);
    struct onnx_weight *scale = new_weight(work, "bias_scale", DTYPE_FLOAT32, 1, dims, NULL);
    struct onnx_weight *zero = new_weight(work, "bias_zero", DTYPE_INT32, 1, dims, NULL);
    if (!bias || !scale || !zero)
        return err_no_memory(err);
    int32_t *numbers = (int32_t *)bias->data.data;
    float *steps = (float *)scale->data.data;
    memset((void *)zero->data.data, 0, zero->data.len);
    for (size_t i = 0; i < work->channels; i++) {
        steps[i] = x_scale * work->used[i];
        numbers[i] = (int32_t)lrint(fmin(fmax((double)work->bias[i] / (double)steps[i], -0x1p30), 0x1p30));
    }
    const char *const inputs[] = {bias->name, scale->name, zero->name};
    const char *out = emit_node(work->graph, "DequantizeLinear", inputs, 3, 0);
    if (!out)
        return err_no_memory(err);
    return graph_set_input(work->graph, work->node, 2, out, err);
}

/* ---- the weights ---- */

/* A channel whose weights are next to nothing beside its bias gets a scale by which the bias fits; x_scale 0: the bias stays float. */
static void choose_scales(struct weighing *work, float x_scale)
{
    grid_weight_scales(&work->view, work->bits, work->scales);
    for (size_t i = 0; i < work->channels; i++) {
        work->used[i] = work->scales[i];
        if (x_scale <= 0)
            continue;
        double least = 2 * (double)FLT_MIN / (double)x_scale;
        if (work->bias)
            least = fmax(least, fabs((double)work->bias[i]) / (0x1p30 * (double)x_scale));
        if ((double)work->used[i] < least)
            work->used[i] = (float)least;
    }
}

static size_t channel_of(const struct weighing *work, size_t i)
{
    return i / work->inner % work->channels;
}

static void round_weights(const struct weighing *work, int8_t *out)
{
    const int8_t *given = work->fix ? work->fix->weights : NULL;
    grid_round_weights(&work->view, work->used, work->bits, out);
    if (!given)
        return;
    for (size_t i = 0; i < work->count; i++) {
        size_t channel = channel_of(work, i);
        if (work->used[channel] == work->scales[channel])
            out[i] = given[i];
    }
}

static int emit_integer_weights(struct weighing *work, const int64_t *dims, size_t dim_count, struct err *err)
{
    const int64_t channels[] = {(int64_t)work->channels};
    struct onnx_weight *weight = new_weight(work, "weight8", DTYPE_INT8, dim_count, dims, NULL);
    struct onnx_weight *scale = new_weight(work, "weight_scale", DTYPE_FLOAT32, 1, channels, work->used);
    struct onnx_weight *zero = new_weight(work, "weight_zero", DTYPE_INT8, 1, channels, NULL);
    if (!weight || !scale || !zero)
        return err_no_memory(err);
    memset((void *)zero->data.data, 0, zero->data.len);
    round_weights(work, (int8_t *)weight->data.data);
    const char *const inputs[] = {weight->name, scale->name, zero->name};
    const char *out = emit_node(work->graph, "DequantizeLinear", inputs, 3, (int)work->view.axis);
    if (!out)
        return err_no_memory(err);
    return graph_set_input(work->graph, work->node, 1, out, err);
}

/* float ─▶ Q ─▶ DQ. Weights that were rounded otherwise than to the nearest are written as what their integers mean. */
static const char *rounded_floats(struct weighing *work, const int64_t *dims, size_t dim_count)
{
    const int8_t *given = work->fix ? work->fix->weights : NULL;
    if (!given)
        return work->node->inputs[1];
    const struct onnx_weight *weight = new_weight(work, "weight", DTYPE_FLOAT32, dim_count, dims, NULL);
    if (!weight)
        return NULL;
    float *values = (float *)weight->data.data;
    for (size_t i = 0; i < work->count; i++)
        values[i] = (float)given[i] * work->used[channel_of(work, i)];
    return weight->name;
}

static int emit_float_weights(struct weighing *work, const int64_t *dims, size_t dim_count, struct err *err)
{
    const int64_t channels[] = {(int64_t)work->channels};
    const struct onnx_weight *scale =
        new_weight(work, "weight_scale", DTYPE_FLOAT32, 1, channels, work->used);
    struct onnx_weight *zero = new_weight(work, "weight_zero", DTYPE_INT8, 1, channels, NULL);
    if (!scale || !zero)
        return err_no_memory(err);
    memset((void *)zero->data.data, 0, zero->data.len);
    const char *const q_inputs[] = {rounded_floats(work, dims, dim_count), scale->name, zero->name};
    const char *q = emit_node(work->graph, "QuantizeLinear", q_inputs, 3, (int)work->view.axis);
    const char *const dq_inputs[] = {q, scale->name, zero->name};
    const char *out = emit_node(work->graph, "DequantizeLinear", dq_inputs, 3, (int)work->view.axis);
    if (!out)
        return err_no_memory(err);
    return graph_set_input(work->graph, work->node, 1, out, err);
}

/* ---- one operator ---- */

/* The scale of the DQ that it reads. */
static int input_scale(const struct graph *graph, const struct onnx_node *node, float *out, struct err *err)
{
    size_t count = 0;
    const struct graph_tensor *x = graph_input(graph, node, 0);
    if (!x || !x->maker || !graph_is_op(x->maker, "DequantizeLinear") ||
        !kernel_constant(graph, x->maker->inputs[1], &count) || count != 1)
        return err_set(err, ERR_INTERNAL, "the plan gives its input no grid");
    *out = kernel_element(graph, x->maker->inputs[1], 0);
    return 0;
}

static int weigh(struct weighing *work, const struct quant_plan *plan, const int64_t *dims, size_t dim_count,
                 struct err *err)
{
    float x_scale = 0;
    bool trt = plan->options.profile == PROFILE_TRT;
    if (read_bias(work, err) < 0 || (!trt && input_scale(work->graph, work->node, &x_scale, err) < 0))
        return -1;
    choose_scales(work, x_scale);
    if (trt)
        return emit_float_weights(work, dims, dim_count, err) < 0 ? -1 : emit_float_bias(work, err);
    if (graph_is_op(work->node, "MatMul") && work->bias)
        return err_set(err, ERR_INTERNAL, "it has no place for a bias");
    return emit_integer_weights(work, dims, dim_count, err) < 0 ? -1 : emit_integer_bias(work, x_scale, err);
}

int emit_weights(struct graph *graph, struct onnx_node *node, const struct quant_plan *plan,
                 const struct quant_fix *fix, struct err *err)
{
    const struct onnx_weight *weight = graph_input(graph, node, 1)->weight;
    struct weighing work = {
        .graph = graph, .node = node, .fix = fix, .bits = plan->options.weight_bits, .inner = 1};
    size_t axis = emit_channel_axis(node), dim_count = weight->dim_count;
    int64_t dims[ONNX_MAX_DIMS];
    memcpy(dims, weight->dims, sizeof dims);
    if (axis >= dim_count || dims[axis] <= 0)
        return err_set(err, ERR_INVALID, "its weights have %zu dimensions", dim_count);
    for (size_t i = axis + 1; i < dim_count; i++)
        work.inner *= (size_t)dims[i];
    work.channels = (size_t)dims[axis];
    cleanup_free float *values = graph_floats(graph, weight->name, &work.count);
    cleanup_free float *scales = mem_zalloc(work.channels, 2 * sizeof *scales);
    if (!values || !scales)
        return err_no_memory(err);
    work.scales = scales;
    work.used = scales + work.channels;
    work.view = (struct weight_view){.data = values, .dim_count = dim_count, .dims = dims, .axis = axis};
    int rc = weigh(&work, plan, dims, dim_count, err);
    free(work.bias);
    return rc;
}
