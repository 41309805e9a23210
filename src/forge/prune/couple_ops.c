#include "forge/prune/couple_inside.h"

#include <string.h>

/* ---- looking ---- */

const struct channels *couple_in(const struct couple *couple, const struct onnx_node *node, size_t input)
{
    return input < node->input_count ? couple_channels(couple, node->inputs[input]) : NULL;
}

const struct channels *couple_out(const struct couple *couple, const struct onnx_node *node, size_t output)
{
    return output < node->output_count ? couple_channels(couple, node->outputs[output]) : NULL;
}

static const struct onnx_weight *constant(const struct couple *couple, const struct onnx_node *node,
                                          size_t input)
{
    const struct graph_tensor *tensor = graph_input(couple->graph, node, input);
    return tensor ? tensor->weight : NULL;
}

bool couple_ints(const struct couple *couple, const char *name, int64_t out[RELEASE_MAX_DIMS],
                 size_t *out_count)
{
    const struct graph_tensor *tensor = graph_tensor(couple->graph, name);
    const struct onnx_weight *weight = tensor ? tensor->weight : NULL;
    if (!weight || weight->dtype != DTYPE_INT64 || weight->dim_count > 1)
        return false;
    size_t count = weight->dim_count ? (size_t)weight->dims[0] : 1;
    if (count > RELEASE_MAX_DIMS || weight->data.len != count * sizeof *out)
        return false;
    memcpy(out, weight->data.data, weight->data.len);
    *out_count = count;
    return true;
}

/* Of an input that is a constant, or of an attribute of older operator sets. */
static bool ints_of(const struct couple *couple, const struct onnx_node *node, size_t input,
                    const char *attr_name, int64_t out[RELEASE_MAX_DIMS], size_t *out_count)
{
    const struct onnx_attr *attr = onnx_node_attr(node, attr_name);
    if (attr && attr->type == ONNX_ATTR_INTS && attr->count <= RELEASE_MAX_DIMS) {
        memcpy(out, attr->ints, attr->count * sizeof *out);
        *out_count = attr->count;
        return true;
    }
    return input < node->input_count && couple_ints(couple, node->inputs[input], out, out_count);
}

static const struct graph_tensor *shaped_out(const struct couple *couple, const struct onnx_node *node,
                                             size_t output)
{
    const struct graph_tensor *tensor = graph_output(couple->graph, node, output);
    return tensor && tensor->shaped ? tensor : NULL;
}

static const struct graph_tensor *shaped_in(const struct couple *couple, const struct onnx_node *node,
                                            size_t input)
{
    const struct graph_tensor *tensor = graph_input(couple->graph, node, input);
    return tensor && tensor->shaped ? tensor : NULL;
}

static int refuse(struct couple *couple, const struct onnx_node *node, const char *why)
{
    for (size_t i = 0; i < node->input_count; i++)
        couple_fix(couple, node->inputs[i], why);
    return 0;
}

/* Output 0 has the channels of `in` along `axis`. */
static int pass_along(struct couple *couple, const struct onnx_node *node, const struct channels *in,
                      size_t axis, struct err *err)
{
    const struct graph_tensor *out = shaped_out(couple, node, 0);
    if (!out || axis >= out->dim_count || out->dims[axis] != (int64_t)in->count) {
        couple_fix(couple, in->tensor, "shape not known");
        return 0;
    }
    return couple_give(couple, out->name, axis, in->numbers, in->count, err);
}

/* ---- operators with weights ---- */

static bool is_float_constant(const struct onnx_weight *weight)
{
    return weight && weight->dtype == DTYPE_FLOAT32;
}

/* Absent, or a constant of one value per output channel. */
static bool plain_bias(const struct couple *couple, const struct onnx_node *node, size_t input,
                       int64_t channels)
{
    if (!graph_input(couple->graph, node, input))
        return true;
    const struct onnx_weight *bias = constant(couple, node, input);
    return is_float_constant(bias) && onnx_weight_elements(bias) == (size_t)channels &&
           bias->dims[bias->dim_count - 1] == channels;
}

static int new_channels(struct couple *couple, struct onnx_node *node, size_t axis, size_t count,
                        struct err *err)
{
    if (couple_give(couple, node->outputs[0], axis, NULL, count, err) < 0)
        return -1;
    return couple_makes(couple, node, node->outputs[0], err);
}

static int trace_depthwise(struct couple *couple, const struct onnx_node *node,
                           const struct onnx_weight *weight, const struct channels *in, struct err *err)
{
    size_t out_count = (size_t)weight->dims[0], times = out_count / in->count;
    cleanup_free size_t *numbers = mem_zalloc(out_count, sizeof *numbers);
    if (!numbers)
        return err_no_memory(err);
    for (size_t i = 0; i < out_count; i++)
        numbers[i] = in->numbers[i / times];
    return couple_give(couple, node->outputs[0], 1, numbers, out_count, err);
}

static int trace_conv(struct couple *couple, struct onnx_node *node, struct err *err)
{
    const struct channels *in = couple_in(couple, node, 0);
    const struct onnx_weight *weight = constant(couple, node, 1);
    int64_t group = onnx_node_int(node, "group", 1);
    if (!is_float_constant(weight) || weight->dim_count < 3 || weight->dims[0] <= 0 ||
        !plain_bias(couple, node, 2, weight->dims[0]) || (in && in->axis != 1))
        return refuse(couple, node, "read by a Conv whose weights are no float constant");
    if (group == 1) {
        if (in && couple_consumes(couple, node, in->tensor, err) < 0)
            return -1;
        return new_channels(couple, node, 1, (size_t)weight->dims[0], err);
    }
    if (in && weight->dims[1] == 1 && group == (int64_t)in->count && weight->dims[0] % group == 0)
        return trace_depthwise(couple, node, weight, in, err);
    return refuse(couple, node, "read by a grouped Conv");
}

static int trace_gemm(struct couple *couple, struct onnx_node *node, struct err *err)
{
    const struct channels *in = couple_in(couple, node, 0);
    const struct onnx_weight *weight = constant(couple, node, 1);
    if (!is_float_constant(weight) || weight->dim_count != 2 || onnx_node_int(node, "transA", 0) ||
        onnx_node_float(node, "alpha", 1) != 1.0F || onnx_node_float(node, "beta", 1) != 1.0F)
        return refuse(couple, node, "read by a Gemm of an unusual kind");
    int64_t out = weight->dims[onnx_node_int(node, "transB", 0) ? 0 : 1];
    if ((in && in->axis != 1) || !plain_bias(couple, node, 2, out))
        return refuse(couple, node, "read by a Gemm of an unusual kind");
    if (in && couple_consumes(couple, node, in->tensor, err) < 0)
        return -1;
    return new_channels(couple, node, 1, (size_t)out, err);
}

static int trace_matmul(struct couple *couple, struct onnx_node *node, struct err *err)
{
    const struct channels *in = couple_in(couple, node, 0);
    const struct onnx_weight *weight = constant(couple, node, 1);
    const struct graph_tensor *out = shaped_out(couple, node, 0);
    if (!is_float_constant(weight) || weight->dim_count != 2 || !out || out->dim_count < 2 ||
        (in && in->axis != out->dim_count - 1))
        return refuse(couple, node, "read by a MatMul of an unusual kind");
    if (in && couple_consumes(couple, node, in->tensor, err) < 0)
        return -1;
    return new_channels(couple, node, out->dim_count - 1, (size_t)weight->dims[1], err);
}

/* ---- operators that pass channels ---- */

/* One value for another, whatever else; constants of one value are fine. */
static int trace_pointwise(struct couple *couple, struct onnx_node *node, struct err *err)
{
    const struct channels *in = couple_in(couple, node, 0);
    return in ? pass_along(couple, node, in, in->axis, err) : 0;
}

/* Works within the planes of [1, C, ...]. */
static int trace_planes(struct couple *couple, struct onnx_node *node, struct err *err)
{
    const struct channels *in = couple_in(couple, node, 0);
    if (!in)
        return 0;
    if (in->axis != 1 || node->output_count > 1)
        return refuse(couple, node, "read by a pool over channels");
    return pass_along(couple, node, in, 1, err);
}

static int trace_softmax(struct couple *couple, struct onnx_node *node, struct err *err)
{
    const struct channels *in = couple_in(couple, node, 0);
    const struct graph_tensor *tensor = shaped_in(couple, node, 0);
    if (!in)
        return 0;
    int64_t axis = onnx_node_int(node, "axis", -1), rank = tensor ? (int64_t)tensor->dim_count : 0;
    if (!tensor || (axis < 0 ? axis + rank : axis) == (int64_t)in->axis)
        return refuse(couple, node, "normalized over channels");
    return pass_along(couple, node, in, in->axis, err);
}

/* The axis of an operand that meets axis `axis` of an output of `rank` dimensions; -1: broadcast from nothing. */
static int64_t met_axis(size_t operand_rank, size_t rank, size_t axis)
{
    return (int64_t)axis - (int64_t)rank + (int64_t)operand_rank;
}

static bool operand_agrees(const struct couple *couple, const struct onnx_node *node, size_t input,
                           const struct graph_tensor *out, size_t axis, size_t count)
{
    const struct channels *in = couple_in(couple, node, input);
    const struct graph_tensor *tensor = graph_input(couple->graph, node, input);
    if (!tensor)
        return true;
    size_t rank = tensor->weight ? tensor->weight->dim_count : tensor->dim_count;
    const int64_t *dims = tensor->weight ? tensor->weight->dims : tensor->dims;
    if (!tensor->weight && !tensor->shaped)
        return false;
    int64_t at = met_axis(rank, out->dim_count, axis);
    if (at < 0 || dims[at] == 1)
        return true;
    if (tensor->weight)
        return dims[at] == (int64_t)count && tensor->weight->dtype == DTYPE_FLOAT32;
    return in && (int64_t)in->axis == at && in->count == count;
}

/* Add, Mul, … with broadcasting. */
static int trace_elementwise(struct couple *couple, struct onnx_node *node, struct err *err)
{
    const struct graph_tensor *out = shaped_out(couple, node, 0);
    const struct channels *first = NULL;
    size_t axis = 0;
    for (size_t i = 0; i < node->input_count && out; i++) {
        const struct channels *in = couple_in(couple, node, i);
        const struct graph_tensor *tensor = in ? shaped_in(couple, node, i) : NULL;
        if (tensor && in->count > 1 && !first) {
            first = in;
            axis = in->axis + out->dim_count - tensor->dim_count;
        }
    }
    if (!first || out->dims[axis] != (int64_t)first->count)
        return refuse(couple, node, "spread over channels");
    for (size_t i = 0; i < node->input_count; i++)
        if (!operand_agrees(couple, node, i, out, axis, first->count))
            return refuse(couple, node, "meets a tensor that cannot be changed");
    for (size_t i = 0; i < node->input_count; i++) {
        const struct channels *in = couple_in(couple, node, i);
        if (in && (in->count != first->count || met_axis(shaped_in(couple, node, i)->dim_count,
                                                         out->dim_count, axis) != (int64_t)in->axis))
            couple_fix(couple, in->tensor, "spread over channels");
        else
            for (size_t c = 0; in && c < in->count; c++)
                couple_join(couple, in->numbers[c], first->numbers[c]);
    }
    return couple_give(couple, out->name, axis, first->numbers, first->count, err);
}

/* BatchNormalization, InstanceNormalization, PRelu: parameters per channel. */
static int trace_parameters(struct couple *couple, struct onnx_node *node, struct err *err)
{
    const struct channels *in = couple_in(couple, node, 0);
    if (!in)
        return 0;
    if (in->axis != 1)
        return refuse(couple, node, "parameters not per channel");
    for (size_t i = 1; i < node->input_count; i++) {
        const struct onnx_weight *weight = constant(couple, node, i);
        size_t elements = weight ? onnx_weight_elements(weight) : 0;
        if (!is_float_constant(weight) || (elements != in->count && elements != 1))
            return refuse(couple, node, "parameters not per channel");
    }
    return pass_along(couple, node, in, 1, err);
}

static int trace_resize(struct couple *couple, struct onnx_node *node, struct err *err)
{
    int64_t sizes[RELEASE_MAX_DIMS];
    size_t count;
    if (node->input_count > 3 && graph_input(couple->graph, node, 3) &&
        !couple_ints(couple, node->inputs[3], sizes, &count))
        return refuse(couple, node, "resized to a size that is computed");
    if (onnx_node_attr(node, "axes"))
        return refuse(couple, node, "resized along chosen axes");
    return trace_planes(couple, node, err);
}

static int trace_pad(struct couple *couple, struct onnx_node *node, struct err *err)
{
    const struct channels *in = couple_in(couple, node, 0);
    int64_t pads[RELEASE_MAX_DIMS];
    size_t count;
    if (!in)
        return 0;
    if (!ints_of(couple, node, 1, "pads", pads, &count) || node->input_count > 3 || in->axis >= count / 2 ||
        pads[in->axis] || pads[in->axis + count / 2])
        return refuse(couple, node, "padded over channels");
    return pass_along(couple, node, in, in->axis, err);
}

static int trace_reduce(struct couple *couple, struct onnx_node *node, struct err *err)
{
    const struct channels *in = couple_in(couple, node, 0);
    const struct graph_tensor *tensor = shaped_in(couple, node, 0);
    int64_t axes[RELEASE_MAX_DIMS];
    size_t count, before = 0;
    if (!in)
        return 0;
    if (!tensor || !ints_of(couple, node, 1, "axes", axes, &count))
        return refuse(couple, node, "reduced over channels");
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + (int64_t)tensor->dim_count : axes[i];
        if (axis == (int64_t)in->axis)
            return refuse(couple, node, "reduced over channels");
        before += axis < (int64_t)in->axis;
    }
    return pass_along(couple, node, in, in->axis - (onnx_node_int(node, "keepdims", 1) ? 0 : before), err);
}

static int trace_transpose(struct couple *couple, struct onnx_node *node, struct err *err)
{
    const struct channels *in = couple_in(couple, node, 0);
    const struct onnx_attr *perm = onnx_node_attr(node, "perm");
    if (!in)
        return 0;
    for (size_t i = 0; perm && perm->type == ONNX_ATTR_INTS && i < perm->count; i++)
        if (perm->ints[i] == (int64_t)in->axis)
            return pass_along(couple, node, in, i, err);
    return refuse(couple, node, "transposed");
}

/* ---- offsets ---- */

static int64_t axis_of(const struct onnx_node *node, int64_t fallback, size_t rank)
{
    int64_t axis = onnx_node_int(node, "axis", fallback);
    return axis < 0 ? axis + (int64_t)rank : axis;
}

static int concat_channels(struct couple *couple, struct onnx_node *node, const struct graph_tensor *out,
                           size_t axis, struct err *err)
{
    if (couple_give(couple, out->name, axis, NULL, (size_t)out->dims[axis], err) < 0)
        return -1;
    const struct channels *all = couple_channels(couple, out->name);
    size_t at = 0;
    for (size_t i = 0; i < node->input_count; i++) {
        const struct channels *in = couple_in(couple, node, i);
        const struct graph_tensor *tensor = graph_input(couple->graph, node, i);
        size_t count =
            tensor && tensor->weight ? (size_t)tensor->weight->dims[axis] : (size_t)tensor->dims[axis];
        for (size_t c = 0; c < count && at + c < all->count; c++) {
            struct number *number = &couple->numbers[couple_root(couple, all->numbers[at + c])];
            if (in)
                couple_join(couple, all->numbers[at + c], in->numbers[c]);
            else
                number->why = "beside a tensor that cannot be changed";
        }
        at += count;
    }
    return 0;
}

static int trace_concat(struct couple *couple, struct onnx_node *node, struct err *err)
{
    const struct graph_tensor *out = shaped_out(couple, node, 0);
    const struct channels *first = NULL;
    if (!out)
        return refuse(couple, node, "shape not known");
    size_t axis = (size_t)axis_of(node, 1, out->dim_count), known = 0;
    bool same = true;
    for (size_t i = 0; i < node->input_count; i++) {
        const struct channels *in = couple_in(couple, node, i);
        const struct graph_tensor *tensor = graph_input(couple->graph, node, i);
        if (!tensor || (!tensor->shaped && !tensor->weight))
            return refuse(couple, node, "shape not known");
        first = first ? first : in;
        known += in != NULL;
        same = same && (!in || (in->axis == first->axis && in->count == first->count));
    }
    if (!first)
        return 0;
    bool over_channels = true;
    for (size_t i = 0; i < node->input_count; i++)
        over_channels =
            over_channels && (!couple_in(couple, node, i) || couple_in(couple, node, i)->axis == axis);
    if (over_channels)
        return concat_channels(couple, node, out, axis, err);
    if (known < node->input_count || !same || first->axis == axis)
        return refuse(couple, node, "joined along another axis");
    for (size_t i = 0; i < node->input_count; i++)
        for (size_t c = 0; c < first->count; c++)
            couple_join(couple, couple_in(couple, node, i)->numbers[c], first->numbers[c]);
    return pass_along(couple, node, first, first->axis, err);
}

static int trace_split(struct couple *couple, struct onnx_node *node, struct err *err)
{
    const struct channels *in = couple_in(couple, node, 0);
    const struct graph_tensor *tensor = shaped_in(couple, node, 0);
    if (!in)
        return 0;
    if (!tensor || onnx_node_attr(node, "split"))
        return refuse(couple, node, "split in an unknown way");
    bool over_channels = axis_of(node, 0, tensor->dim_count) == (int64_t)in->axis;
    size_t at = 0;
    for (size_t i = 0; i < node->output_count; i++) {
        const struct graph_tensor *out = shaped_out(couple, node, i);
        size_t count = out && in->axis < out->dim_count ? (size_t)out->dims[in->axis] : 0;
        if (!count || at + count > in->count)
            return refuse(couple, node, "split in an unknown way");
        if (couple_give(couple, out->name, in->axis, in->numbers + at, count, err) < 0)
            return -1;
        in = couple_in(couple, node, 0);
        at += over_channels ? count : 0;
    }
    return 0;
}

static int trace_slice(struct couple *couple, struct onnx_node *node, struct err *err)
{
    const struct channels *in = couple_in(couple, node, 0);
    const struct graph_tensor *tensor = shaped_in(couple, node, 0), *out = shaped_out(couple, node, 0);
    int64_t starts[RELEASE_MAX_DIMS], ends[RELEASE_MAX_DIMS], axes[RELEASE_MAX_DIMS], steps[RELEASE_MAX_DIMS];
    size_t count, end_count, axis_count, step_count;
    if (!in)
        return 0;
    if (!tensor || !out || node->input_count < 4 || !couple_ints(couple, node->inputs[1], starts, &count) ||
        !couple_ints(couple, node->inputs[2], ends, &end_count) ||
        !couple_ints(couple, node->inputs[3], axes, &axis_count) || end_count != count || axis_count != count)
        return refuse(couple, node, "sliced in an unknown way");
    bool stepped = node->input_count > 4 && graph_input(couple->graph, node, 4);
    if (stepped && (!couple_ints(couple, node->inputs[4], steps, &step_count) || step_count != count))
        return refuse(couple, node, "sliced in an unknown way");
    for (size_t i = 0; i < count; i++) {
        if ((axes[i] < 0 ? axes[i] + (int64_t)tensor->dim_count : axes[i]) != (int64_t)in->axis)
            continue;
        int64_t start = starts[i] < 0 ? starts[i] + (int64_t)in->count : starts[i],
                left = out->dims[in->axis];
        if (start < 0 || left < 1 || start + left > (int64_t)in->count || (stepped && steps[i] != 1))
            return refuse(couple, node, "sliced in an unknown way");
        return couple_give(couple, out->name, in->axis, in->numbers + start, (size_t)left, err);
    }
    return pass_along(couple, node, in, in->axis, err);
}

/* ---- Reshape, Flatten, Squeeze, Unsqueeze: by the shapes alone ---- */

static int64_t product(const int64_t *dims, size_t from, size_t to)
{
    int64_t all = 1;
    for (size_t i = from; i < to; i++)
        all *= dims[i];
    return all;
}

static int trace_reshape(struct couple *couple, struct onnx_node *node, struct err *err)
{
    const struct channels *in = couple_in(couple, node, 0);
    const struct graph_tensor *tensor = shaped_in(couple, node, 0), *out = shaped_out(couple, node, 0);
    int64_t target[RELEASE_MAX_DIMS];
    size_t count;
    if (!in)
        return 0;
    if (!tensor || !out ||
        (graph_is_op(node, "Reshape") && !couple_ints(couple, node->inputs[1], target, &count)))
        return refuse(couple, node, "reshaped in an unknown way");
    int64_t before = product(tensor->dims, 0, in->axis),
            after = product(tensor->dims, in->axis + 1, tensor->dim_count);
    for (size_t axis = 0; axis < out->dim_count; axis++) {
        int64_t rest = product(out->dims, axis + 1, out->dim_count), size = out->dims[axis];
        if (product(out->dims, 0, axis) != before || size % (int64_t)in->count || rest < 1 ||
            size / (int64_t)in->count * rest != after)
            continue;
        size_t block = (size_t)size / in->count;
        cleanup_free size_t *numbers = mem_zalloc((size_t)size, sizeof *numbers);
        if (!numbers)
            return err_no_memory(err);
        for (size_t i = 0; i < (size_t)size; i++)
            numbers[i] = in->numbers[i / block];
        return couple_give(couple, out->name, axis, numbers, (size_t)size, err);
    }
    return refuse(couple, node, "reshaped across channels");
}

/* ---- all ---- */

static const struct rule {
    const char *op;
    int (*trace)(struct couple *couple, struct onnx_node *node, struct err *err);
} rules[] = {
    {"Conv", trace_conv},
    {"Gemm", trace_gemm},
    {"MatMul", trace_matmul},
    {"Relu", trace_pointwise},
    {"LeakyRelu", trace_pointwise},
    {"Sigmoid", trace_pointwise},
    {"HardSigmoid", trace_pointwise},
    {"HardSwish", trace_pointwise},
    {"Tanh", trace_pointwise},
    {"Clip", trace_pointwise},
    {"Elu", trace_pointwise},
    {"Selu", trace_pointwise},
    {"Softplus", trace_pointwise},
    {"Mish", trace_pointwise},
    {"Gelu", trace_pointwise},
    {"Erf", trace_pointwise},
    {"Exp", trace_pointwise},
    {"Log", trace_pointwise},
    {"Sqrt", trace_pointwise},
    {"Abs", trace_pointwise},
    {"Neg", trace_pointwise},
    {"Identity", trace_pointwise},
    {"Dropout", trace_pointwise},
    {"MaxPool", trace_planes},
    {"AveragePool", trace_planes},
    {"GlobalAveragePool", trace_planes},
    {"GlobalMaxPool", trace_planes},
    {"Resize", trace_resize},
    {"Pad", trace_pad},
    {"Add", trace_elementwise},
    {"Sub", trace_elementwise},
    {"Mul", trace_elementwise},
    {"Div", trace_elementwise},
    {"Pow", trace_elementwise},
    {"Min", trace_elementwise},
    {"Max", trace_elementwise},
    {"Sum", trace_elementwise},
    {"BatchNormalization", trace_parameters},
    {"InstanceNormalization", trace_parameters},
    {"PRelu", trace_parameters},
    {"Softmax", trace_softmax},
    {"LogSoftmax", trace_softmax},
    {"ReduceMean", trace_reduce},
    {"ReduceMax", trace_reduce},
    {"ReduceMin", trace_reduce},
    {"ReduceSum", trace_reduce},
    {"Transpose", trace_transpose},
    {"Concat", trace_concat},
    {"Split", trace_split},
    {"Slice", trace_slice},
    {"Reshape", trace_reshape},
    {"Flatten", trace_reshape},
    {"Squeeze", trace_reshape},
    {"Unsqueeze", trace_reshape},
};

int couple_trace(struct couple *couple, struct onnx_node *node, struct err *err)
{
    for (size_t i = 0; i < node->capture_count; i++)
        couple_fix(couple, node->captures[i], "read inside of a subgraph");
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (graph_is_op(node, rules[i].op))
            return rules[i].trace(couple, node, err);
    return refuse(couple, node, "read by an operator that is not understood");
}
