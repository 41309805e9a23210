#include "forge/quant/kernels.h"

#include "base/str.h"

#include <math.h>
#include <string.h>

/* ---- constants ---- */

bool kernel_constant(const struct graph *graph, const char *name, size_t *out_count)
{
    const struct graph_tensor *tensor = graph_tensor(graph, name);
    if (!tensor || !tensor->weight || tensor->weight->dtype != DTYPE_FLOAT32)
        return false;
    size_t count = onnx_weight_elements(tensor->weight);
    if (count > tensor->weight->data.len / sizeof(float))
        return false;
    *out_count = count;
    return count > 0;
}

static float element(const struct onnx_weight *weight, size_t i)
{
    float value = 0;
    memcpy(&value, weight->data.data + i * sizeof value, sizeof value);
    return value;
}

float kernel_element(const struct graph *graph, const char *name, size_t i)
{
    return element(graph_tensor(graph, name)->weight, i);
}

void kernel_extent(const struct graph *graph, const char *name, float *out_min, float *out_max)
{
    const struct onnx_weight *weight = graph_tensor(graph, name)->weight;
    size_t count = onnx_weight_elements(weight);
    *out_min = *out_max = element(weight, 0);
    for (size_t i = 1; i < count; i++) {
        *out_min = fminf(*out_min, element(weight, i));
        *out_max = fmaxf(*out_max, element(weight, i));
    }
}

static bool all_finite(const struct graph *graph, const char *name)
{
    size_t count = 0;
    if (!kernel_constant(graph, name, &count))
        return false;
    const struct onnx_weight *weight = graph_tensor(graph, name)->weight;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(element(weight, i)))
            return false;
    return true;
}

static bool constant(const struct graph *graph, const struct onnx_node *node, size_t input)
{
    size_t count = 0;
    return input < node->input_count && kernel_constant(graph, node->inputs[input], &count);
}

static bool scalar(const struct graph *graph, const struct onnx_node *node, size_t input, float *out)
{
    size_t count = 0;
    if (input >= node->input_count || !kernel_constant(graph, node->inputs[input], &count) || count != 1)
        return false;
    *out = kernel_element(graph, node->inputs[input], 0);
    return true;
}

static bool given(const struct onnx_node *node, size_t input)
{
    return input < node->input_count && node->inputs[input][0];
}

/* ---- weighted operators ---- */

static const char *refuse_weights(const struct graph *graph, const struct onnx_node *node)
{
    if (!constant(graph, node, 1))
        return "its weights are not constant float32";
    if (!all_finite(graph, node->inputs[1]))
        return "its weights hold NaN or infinity";
    if (given(node, 2) && !constant(graph, node, 2))
        return "its bias is not constant float32";
    if (given(node, 2) && !all_finite(graph, node->inputs[2]))
        return "its bias holds NaN or infinity";
    return NULL;
}

/* 0, 1, 2 … (or another even step): the mean of a distribution over bins, as heads for box distances have it (DFL). Two and more positions, or
 * channels out, would make it a filter. */
static bool is_mean_of_bins(const struct graph *graph, const struct onnx_node *node)
{
    size_t count = 0;
    const struct graph_tensor *weights = graph_tensor(graph, node->inputs[1]);
    if (!kernel_constant(graph, node->inputs[1], &count) || count < 4 || weights->weight->dims[0] != 1 ||
        (uint64_t)weights->weight->dims[1] != count)
        return false;
    float first = element(weights->weight, 0), step = element(weights->weight, 1) - first;
    for (size_t i = 1; i < count; i++)
        if (fabsf(element(weights->weight, i) - first - step * (float)i) > 1e-4F * fabsf(step))
            return false;
    return step != 0;
}

static const char *refuse_conv(const struct graph *graph, const struct onnx_node *node,
                               enum quant_profile profile)
{
    (void)profile;
    const char *why = refuse_weights(graph, node);
    if (why)
        return why;
    const struct onnx_weight *weights = graph_tensor(graph, node->inputs[1])->weight;
    if (weights->dim_count < 3)
        return "its weights have no place for a window";
    return is_mean_of_bins(graph, node) ? "the mean of a distribution over bins (DFL)" : NULL;
}

static const char *refuse_gemm_bias(const struct graph *graph, const struct onnx_node *node, size_t columns)
{
    size_t count = 0;
    if (!given(node, 2))
        return NULL;
    if (onnx_node_float(node, "beta", 1) != 1)
        return "its bias has a factor";
    if (!kernel_constant(graph, node->inputs[2], &count) || (count != 1 && count != columns))
        return "its bias is a matrix";
    const struct onnx_weight *bias = graph_tensor(graph, node->inputs[2])->weight;
    if (count > 1 && bias->dims[bias->dim_count - 1] != (int64_t)columns)
        return "its bias goes along rows";
    return NULL;
}

static const char *refuse_gemm(const struct graph *graph, const struct onnx_node *node,
                               enum quant_profile profile)
{
    (void)profile;
    const char *why = refuse_weights(graph, node);
    if (why)
        return why;
    const struct onnx_weight *weights = graph_tensor(graph, node->inputs[1])->weight;
    if (onnx_node_int(node, "transA", 0))
        return "its first input is transposed";
    if (onnx_node_float(node, "alpha", 1) != 1)
        return "its product has a factor";
    if (weights->dim_count != 2)
        return "its weights are no matrix";
    return refuse_gemm_bias(graph, node, (size_t)weights->dims[onnx_node_int(node, "transB", 0) ? 0 : 1]);
}

static const char *refuse_matmul(const struct graph *graph, const struct onnx_node *node,
                                 enum quant_profile profile)
{
    (void)profile;
    if (!constant(graph, node, 1))
        return constant(graph, node, 0) ? "its weights are on the left" : "both factors are computed";
    const char *why = refuse_weights(graph, node);
    if (why)
        return why;
    return graph_tensor(graph, node->inputs[1])->weight->dim_count == 2 ? NULL : "its weights are no matrix";
}

static const char *refuse_always(const struct graph *graph, const struct onnx_node *node,
                                 enum quant_profile profile)
{
    (void)graph, (void)node, (void)profile;
    return "no integer kernel";
}

/* ---- pointwise operators ---- */

/* 256 steps over the whole of it have to be fine enough for its typical element: noise of 1/100 of its strength at most. */
static const char *refuse_uneven(const struct graph *graph, const char *name)
{
    size_t count = 0;
    if (!kernel_constant(graph, name, &count) || count == 1)
        return NULL;
    if (!all_finite(graph, name))
        return "its constant holds NaN or infinity";
    float low = 0, high = 0;
    kernel_extent(graph, name, &low, &high);
    double step = (fmax((double)high, 0) - fmin((double)low, 0)) / 255, square = 0;
    for (size_t i = 0; i < count; i++) {
        double value = (double)kernel_element(graph, name, i);
        square += value * value;
    }
    return step * step / 12 > 1e-4 * square / (double)count ? "its constant is too uneven for 8 bits" : NULL;
}

static const char *refuse_pointwise(const struct graph *graph, const struct onnx_node *node,
                                    enum quant_profile profile)
{
    (void)profile;
    for (size_t i = 0; i < kernel_data_inputs(node); i++) {
        const struct graph_tensor *tensor = graph_input(graph, node, i);
        if (!tensor)
            return "an input is left out";
        if (tensor->weight && tensor->weight->dtype != DTYPE_FLOAT32)
            return "no integer kernel for its type";
        const char *why = refuse_uneven(graph, tensor->name);
        if (why)
            return why;
    }
    return NULL;
}

static const char *refuse_sub(const struct graph *graph, const struct onnx_node *node,
                              enum quant_profile profile)
{
    return constant(graph, node, 1) ? refuse_pointwise(graph, node, profile) : "no integer kernel";
}

static bool has_zero(const struct graph *graph, const char *name)
{
    size_t count = 0;
    if (!kernel_constant(graph, name, &count))
        return false;
    for (size_t i = 0; i < count; i++)
        if (kernel_element(graph, name, i) == 0)
            return true;
    return false;
}

/* The reciprocals of one number are even; those of many need not be. */
static const char *refuse_div(const struct graph *graph, const struct onnx_node *node,
                              enum quant_profile profile)
{
    (void)profile;
    float divisor = 0;
    if (!scalar(graph, node, 1, &divisor) || has_zero(graph, node->inputs[1]))
        return "no integer kernel";
    return isnormal(1 / divisor) ? NULL : "its divisor has no sound reciprocal";
}

static const char *refuse_hard(const struct graph *graph, const struct onnx_node *node,
                               enum quant_profile profile)
{
    (void)graph, (void)profile;
    float alpha = onnx_node_float(node, "alpha", 0.2F), beta = onnx_node_float(node, "beta", 0.5F);
    return isnormal(alpha) && alpha > 0 && isfinite(beta / alpha) ? NULL : "no integer kernel";
}

static const char *refuse_clip(const struct graph *graph, const struct onnx_node *node,
                               enum quant_profile profile)
{
    (void)profile;
    struct kernel_follow follow;
    return kernel_follow(graph, node, &follow) ? NULL : "its limits are not 0 and more";
}

static const char *refuse_average(const struct graph *graph, const struct onnx_node *node,
                                  enum quant_profile profile)
{
    (void)graph, (void)profile;
    return onnx_node_attr(node, "dilations") ? "no integer kernel with dilation" : NULL;
}

static bool over_height_and_width(const int64_t *axes, size_t count)
{
    bool seen[2] = {false, false};
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + 4 : axes[i];
        if (axis != 2 && axis != 3)
            return false;
        seen[axis - 2] = true;
    }
    return seen[0] && seen[1];
}

static bool axes_of(const struct graph *graph, const struct onnx_node *node, int64_t out[8],
                    size_t *out_count)
{
    const struct onnx_attr *attr = onnx_node_attr(node, "axes");
    const struct graph_tensor *input = graph_input(graph, node, 1);
    if (attr && attr->type == ONNX_ATTR_INTS && attr->count <= 8) {
        memcpy(out, attr->ints, attr->count * sizeof *out);
        *out_count = attr->count;
        return true;
    }
    if (!input || !input->weight || input->weight->dtype != DTYPE_INT64 || input->weight->data.len > 64)
        return false;
    memcpy(out, input->weight->data.data, input->weight->data.len);
    *out_count = input->weight->data.len / sizeof *out;
    return true;
}

static const char *refuse_mean(const struct graph *graph, const struct onnx_node *node,
                               enum quant_profile profile)
{
    (void)profile;
    int64_t axes[8];
    size_t count = 0;
    const struct graph_tensor *input = graph_input(graph, node, 0);
    bool global = input && input->shaped && input->dim_count == 4 && onnx_node_int(node, "keepdims", 1) &&
                  axes_of(graph, node, axes, &count) && over_height_and_width(axes, count);
    return global ? NULL : "no integer kernel";
}

/* ---- movers ---- */

static const char *refuse_max_pool(const struct graph *graph, const struct onnx_node *node,
                                   enum quant_profile profile)
{
    (void)graph, (void)profile;
    return node->output_count > 1 && node->outputs[1][0] ? "its indices are asked for" : NULL;
}

static const char *refuse_resize(const struct graph *graph, const struct onnx_node *node,
                                 enum quant_profile profile)
{
    (void)graph, (void)profile;
    static const char nearest[] = "nearest";
    const struct onnx_attr *mode = onnx_node_attr(node, "mode");
    bool plain = !mode || (mode->s.len == strlen(nearest) && memcmp(mode->s.data, nearest, mode->s.len) == 0);
    return plain ? NULL : "no integer kernel that interpolates";
}

static const char *refuse_depth_to_space(const struct graph *graph, const struct onnx_node *node,
                                         enum quant_profile profile)
{
    (void)graph, (void)node;
    return profile == PROFILE_CPU_ARM ? "no kernel for signed integers" : NULL;
}

static const char *refuse_softmax(const struct graph *graph, const struct onnx_node *node,
                                  enum quant_profile profile)
{
    (void)graph, (void)node, (void)profile;
    return "shares of a whole are too small for 8 bits";
}

/* ---- the table ---- */

static const struct kernel kernels[] = {
    {.op = "Conv", .kind = KERNEL_WEIGHTED, .leads = true, .data_inputs = 1, .refuse = refuse_conv},
    {.op = "Gemm", .kind = KERNEL_WEIGHTED, .leads = true, .data_inputs = 1, .refuse = refuse_gemm},
    {.op = "MatMul", .kind = KERNEL_WEIGHTED, .leads = true, .data_inputs = 1, .refuse = refuse_matmul},
    {.op = "ConvTranspose", .kind = KERNEL_FLOAT, .data_inputs = 1, .refuse = refuse_always},

    {.op = "Add", .kind = KERNEL_POINTWISE, .leads = true, .refuse = refuse_pointwise},
    {.op = "Mul", .kind = KERNEL_POINTWISE, .leads = true, .refuse = refuse_pointwise},
    {.op = "Sub", .kind = KERNEL_POINTWISE, .leads = true, .refuse = refuse_sub},
    {.op = "Div", .kind = KERNEL_POINTWISE, .leads = true, .refuse = refuse_div},
    {.op = "Concat", .kind = KERNEL_POINTWISE, .leads = true, .refuse = refuse_pointwise},
    {.op = "AveragePool", .kind = KERNEL_POINTWISE, .leads = true, .refuse = refuse_average},
    {.op = "GlobalAveragePool", .kind = KERNEL_POINTWISE, .leads = true},
    {.op = "ReduceMean", .kind = KERNEL_POINTWISE, .leads = true, .data_inputs = 1, .refuse = refuse_mean},
    {.op = "LeakyRelu", .kind = KERNEL_POINTWISE, .leads = true},
    {.op = "Relu", .kind = KERNEL_POINTWISE},
    {.op = "Clip", .kind = KERNEL_POINTWISE, .data_inputs = 1, .refuse = refuse_clip},
    {.op = "Sigmoid", .kind = KERNEL_POINTWISE, .gate = true},
    {.op = "HardSigmoid", .kind = KERNEL_POINTWISE, .gate = true, .refuse = refuse_hard},
    {.op = "HardSwish", .kind = KERNEL_POINTWISE},

    {.op = "MaxPool", .kind = KERNEL_MOVER, .refuse = refuse_max_pool},
    {.op = "Resize", .kind = KERNEL_MOVER, .data_inputs = 1, .refuse = refuse_resize},
    {.op = "DepthToSpace", .kind = KERNEL_MOVER, .refuse = refuse_depth_to_space},
    {.op = "Reshape", .kind = KERNEL_MOVER, .data_inputs = 1},
    {.op = "Flatten", .kind = KERNEL_MOVER},
    {.op = "Transpose", .kind = KERNEL_MOVER},
    {.op = "Slice", .kind = KERNEL_MOVER, .data_inputs = 1},
    {.op = "Split", .kind = KERNEL_MOVER, .data_inputs = 1},
    {.op = "Gather", .kind = KERNEL_MOVER, .data_inputs = 1},
    {.op = "Squeeze", .kind = KERNEL_MOVER, .data_inputs = 1},
    {.op = "Unsqueeze", .kind = KERNEL_MOVER, .data_inputs = 1},
    {.op = "Expand", .kind = KERNEL_MOVER, .data_inputs = 1},
    {.op = "Tile", .kind = KERNEL_MOVER, .data_inputs = 1},
    {.op = "ReduceMax", .kind = KERNEL_MOVER, .data_inputs = 1},

    {.op = "Softmax", .refuse = refuse_softmax},
    {.op = "HardTanh", .refuse = refuse_always},
    {.op = "Tanh", .refuse = refuse_always},
    {.op = "Elu", .refuse = refuse_always},
    {.op = "PRelu", .refuse = refuse_always},
    {.op = "Softplus", .refuse = refuse_always},
    {.op = "Mish", .refuse = refuse_always},
    {.op = "Gelu", .refuse = refuse_always},
    {.op = "Erf", .refuse = refuse_always},
    {.op = "Pad", .data_inputs = 1, .refuse = refuse_always},
    {.op = "SpaceToDepth", .refuse = refuse_always},
    {.op = "GlobalMaxPool", .refuse = refuse_always},
    {.op = "InstanceNormalization", .data_inputs = 1, .refuse = refuse_always},
    {.op = "LayerNormalization", .data_inputs = 1, .refuse = refuse_always},
    {.op = "LSTM", .data_inputs = 1, .refuse = refuse_always},
    {.op = "GRU", .data_inputs = 1, .refuse = refuse_always},
};

const struct kernel *kernel_of(const struct onnx_node *node)
{
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++)
        if (graph_is_op(node, kernels[i].op))
            return &kernels[i];
    return NULL;
}

size_t kernel_data_inputs(const struct onnx_node *node)
{
    const struct kernel *kernel = kernel_of(node);
    size_t wanted = kernel && kernel->data_inputs ? kernel->data_inputs : node->input_count;
    return wanted < node->input_count ? wanted : node->input_count;
}

bool kernel_weighted(const struct graph *graph, const struct onnx_node *node)
{
    static const char *const ops[] = {"Conv", "ConvTranspose", "Gemm", "MatMul"};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (graph_is_op(node, ops[i])) {
            const struct graph_tensor *weights = graph_input(graph, node, 1);
            return weights && weights->weight;
        }
    return false;
}

/* ---- followers ---- */

static bool clip_limits(const struct graph *graph, const struct onnx_node *node, struct kernel_follow *out)
{
    float low = 0, high = 0;
    if (!scalar(graph, node, 1, &low) || low != 0)
        return false;
    if (given(node, 2) && (!scalar(graph, node, 2, &high) || !(high > 0)))
        return false;
    *out = (struct kernel_follow){.factor = 1, .clips = true, .limit = isfinite(high) ? high : 0};
    return true;
}

/* A constant of more dimensions than the tensor has would make more of them. */
static bool keeps_shape(const struct graph *graph, const struct onnx_node *node, size_t factor_input)
{
    const struct graph_tensor *input = graph_input(graph, node, 1 - factor_input);
    size_t dim_count = graph_input(graph, node, factor_input)->weight->dim_count;
    return dim_count == 0 || (input && input->shaped && input->dim_count >= dim_count);
}

static bool positive_factor(const struct graph *graph, const struct onnx_node *node,
                            struct kernel_follow *out)
{
    float factor = 0;
    bool product = graph_is_op(node, "Mul"), left = false;
    if (!scalar(graph, node, 1, &factor)) {
        left = product && scalar(graph, node, 0, &factor);
        if (!left)
            return false;
    }
    if (!keeps_shape(graph, node, left ? 0 : 1))
        return false;
    if (!product)
        factor = 1 / factor;
    *out = (struct kernel_follow){.factor = factor};
    return isnormal(factor) && factor > 0;
}

bool kernel_follow(const struct graph *graph, const struct onnx_node *node, struct kernel_follow *out)
{
    *out = (struct kernel_follow){.factor = 1, .clips = true};
    if (graph_is_op(node, "Relu"))
        return true;
    if (graph_is_op(node, "Clip"))
        return clip_limits(graph, node, out);
    if (graph_is_op(node, "Mul") || graph_is_op(node, "Div"))
        return positive_factor(graph, node, out);
    return false;
}
