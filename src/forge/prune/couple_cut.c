#include "forge/prune/couple_inside.h"

#include <string.h>

/* ---- what is left ---- */

static size_t kept(const struct couple *couple, const struct channels *channels, const bool *gone)
{
    size_t count = 0;
    for (size_t i = 0; i < channels->count; i++)
        count += !gone[couple_number(couple, channels, i)];
    return count;
}

static int check_left(const struct couple *couple, const bool *gone, struct err *err)
{
    for (size_t t = 0; t < couple->tensor_count; t++)
        if (!kept(couple, &couple->tensors[t], gone))
            return err_set(err, ERR_INVALID, "no channel of %.80s would be left", couple->tensors[t].tensor);
    return 0;
}

struct cut {
    struct couple *couple;
    const bool *gone;
    struct onnx_node *node;
};

static struct onnx_weight *constant(const struct cut *cut, size_t input)
{
    const struct graph_tensor *tensor = graph_input(cut->couple->graph, cut->node, input);
    return tensor ? tensor->weight : NULL;
}

/* The parts of `from` whose index along `axis` stays. */
static void copy_slices(const struct cut *cut, const struct onnx_weight *from, size_t axis,
                        const struct channels *channels, uint8_t *to)
{
    size_t before = 1, after = tensor_element_bytes(from->dtype), size = (size_t)from->dims[axis];
    for (size_t i = 0; i < from->dim_count; i++) {
        before *= i < axis ? (size_t)from->dims[i] : 1;
        after *= i > axis ? (size_t)from->dims[i] : 1;
    }
    for (size_t b = 0; b < before; b++)
        for (size_t i = 0; i < size; i++)
            if (!cut->gone[couple_number(cut->couple, channels, i)]) {
                memcpy(to, from->data.data + (b * size + i) * after, after);
                to += after;
            }
}

/* Input `input`, a constant with `channels` along `axis`, becomes a smaller one, for this node alone. */
static int cut_axis(const struct cut *cut, size_t input, size_t axis, const struct channels *channels,
                    struct err *err)
{
    struct onnx_weight *from = constant(cut, input);
    size_t left = channels ? kept(cut->couple, channels, cut->gone) : 0;
    if (!from || !channels || left == channels->count)
        return 0;
    if (axis >= from->dim_count || from->dims[axis] != (int64_t)channels->count)
        return err_set(err, ERR_INTERNAL, "%s: channels do not fit the weights", cut->node->name);
    int64_t dims[ONNX_MAX_DIMS];
    memcpy(dims, from->dims, sizeof dims);
    dims[axis] = (int64_t)left;
    struct onnx_weight *to =
        graph_add_weight(cut->couple->graph, from->name, from->dtype, dims, from->dim_count, NULL);
    if (!to)
        return err_no_memory(err);
    copy_slices(cut, from, axis, channels, (uint8_t *)to->data.data);
    return graph_set_input(cut->couple->graph, cut->node, input, to->name, err);
}

/* ---- operators with weights ---- */

static int cut_conv(const struct cut *cut, struct err *err)
{
    const struct channels *in = couple_in(cut->couple, cut->node, 0),
                          *out = couple_out(cut->couple, cut->node, 0);
    if (onnx_node_int(cut->node, "group", 1) == 1) {
        if (cut_axis(cut, 1, 1, in, err) < 0)
            return -1;
    } else if (in && out &&
               onnx_node_set_int(graph_model(cut->couple->graph), cut->node, "group",
                                 (int64_t)kept(cut->couple, in, cut->gone), err) < 0) {
        return -1;
    }
    if (cut_axis(cut, 1, 0, out, err) < 0)
        return -1;
    return cut_axis(cut, 2, 0, out, err);
}

static int cut_gemm(const struct cut *cut, struct err *err)
{
    const struct channels *in = couple_in(cut->couple, cut->node, 0),
                          *out = couple_out(cut->couple, cut->node, 0);
    const struct onnx_weight *bias = constant(cut, 2);
    size_t in_axis = onnx_node_int(cut->node, "transB", 0) ? 1 : 0;
    if (cut_axis(cut, 1, in_axis, in, err) < 0 || cut_axis(cut, 1, 1 - in_axis, out, err) < 0)
        return -1;
    return bias ? cut_axis(cut, 2, bias->dim_count - 1, out, err) : 0;
}

static int cut_matmul(const struct cut *cut, struct err *err)
{
    if (cut_axis(cut, 1, 0, couple_in(cut->couple, cut->node, 0), err) < 0)
        return -1;
    return cut_axis(cut, 1, 1, couple_out(cut->couple, cut->node, 0), err);
}

/* ---- constants per channel ---- */

static int cut_elementwise(const struct cut *cut, struct err *err)
{
    const struct channels *out = couple_out(cut->couple, cut->node, 0);
    const struct graph_tensor *tensor = graph_output(cut->couple->graph, cut->node, 0);
    for (size_t i = 0; out && i < cut->node->input_count; i++) {
        const struct onnx_weight *weight = constant(cut, i);
        int64_t axis =
            weight ? (int64_t)out->axis - (int64_t)tensor->dim_count + (int64_t)weight->dim_count : -1;
        if (axis >= 0 && weight->dims[axis] == (int64_t)out->count && out->count > 1 &&
            cut_axis(cut, i, (size_t)axis, out, err) < 0)
            return -1;
    }
    return 0;
}

static int cut_parameters(const struct cut *cut, struct err *err)
{
    const struct channels *in = couple_in(cut->couple, cut->node, 0);
    for (size_t i = 1; in && in->count > 1 && i < cut->node->input_count; i++) {
        const struct onnx_weight *weight = constant(cut, i);
        for (size_t axis = 0; weight && axis < weight->dim_count; axis++)
            if (weight->dims[axis] == (int64_t)in->count) {
                if (cut_axis(cut, i, axis, in, err) < 0)
                    return -1;
                break;
            }
    }
    return 0;
}

/* ---- shapes that constants say ---- */

static int set_ints(const struct cut *cut, size_t input, const int64_t *values, size_t count, struct err *err)
{
    int64_t dims[] = {(int64_t)count};
    struct onnx_weight *weight =
        graph_add_weight(cut->couple->graph, cut->node->name, DTYPE_INT64, dims, 1, values);
    if (!weight)
        return err_no_memory(err);
    return graph_set_input(cut->couple->graph, cut->node, input, weight->name, err);
}

/* The whole shape of the output anew. */
static int cut_shape(const struct cut *cut, size_t input, struct err *err)
{
    const struct channels *out = couple_out(cut->couple, cut->node, 0);
    const struct graph_tensor *tensor = graph_output(cut->couple->graph, cut->node, 0);
    if (!out || input >= cut->node->input_count || !constant(cut, input))
        return 0;
    int64_t dims[RELEASE_MAX_DIMS];
    memcpy(dims, tensor->dims, sizeof dims);
    dims[out->axis] = (int64_t)kept(cut->couple, out, cut->gone);
    return set_ints(cut, input, dims, tensor->dim_count, err);
}

static int cut_reshape(const struct cut *cut, struct err *err)
{
    if (!couple_in(cut->couple, cut->node, 0))
        return 0;
    onnx_node_drop_attr(cut->node, "allowzero");
    return cut_shape(cut, 1, err);
}

static int cut_resize(const struct cut *cut, struct err *err)
{
    return cut_shape(cut, 3, err);
}

static int cut_split(const struct cut *cut, struct err *err)
{
    const struct channels *in = couple_in(cut->couple, cut->node, 0);
    const struct graph_tensor *tensor = graph_input(cut->couple->graph, cut->node, 0);
    if (!in || !couple_out(cut->couple, cut->node, 0))
        return 0;
    int64_t axis = onnx_node_int(cut->node, "axis", 0);
    if ((axis < 0 ? axis + (int64_t)tensor->dim_count : axis) != (int64_t)in->axis ||
        kept(cut->couple, in, cut->gone) == in->count)
        return 0;
    cleanup_free int64_t *sizes = mem_zalloc(cut->node->output_count, sizeof *sizes);
    if (!sizes)
        return err_no_memory(err);
    for (size_t i = 0; i < cut->node->output_count; i++)
        sizes[i] = (int64_t)kept(cut->couple, couple_out(cut->couple, cut->node, i), cut->gone);
    onnx_node_drop_attr(cut->node, "num_outputs");
    return set_ints(cut, 1, sizes, cut->node->output_count, err);
}

static int cut_slice(const struct cut *cut, struct err *err)
{
    const struct channels *in = couple_in(cut->couple, cut->node, 0),
                          *out = couple_out(cut->couple, cut->node, 0);
    const struct graph_tensor *tensor = graph_input(cut->couple->graph, cut->node, 0);
    int64_t starts[RELEASE_MAX_DIMS], ends[RELEASE_MAX_DIMS], axes[RELEASE_MAX_DIMS];
    size_t count;
    if (!in || !out || !couple_ints(cut->couple, cut->node->inputs[1], starts, &count) ||
        !couple_ints(cut->couple, cut->node->inputs[2], ends, &count) ||
        !couple_ints(cut->couple, cut->node->inputs[3], axes, &count))
        return 0;
    for (size_t i = 0; i < count; i++) {
        if ((axes[i] < 0 ? axes[i] + (int64_t)tensor->dim_count : axes[i]) != (int64_t)in->axis)
            continue;
        size_t from = (size_t)(starts[i] < 0 ? starts[i] + (int64_t)in->count : starts[i]);
        struct channels before = {.count = from, .numbers = in->numbers};
        starts[i] = (int64_t)kept(cut->couple, &before, cut->gone);
        ends[i] = starts[i] + (int64_t)kept(cut->couple, out, cut->gone);
        if (set_ints(cut, 1, starts, count, err) < 0)
            return -1;
        return set_ints(cut, 2, ends, count, err);
    }
    return 0;
}

/* ---- all ---- */

static const struct rule {
    const char *op;
    int (*cut)(const struct cut *cut, struct err *err);
} rules[] = {
    {"Conv", cut_conv},
    {"Gemm", cut_gemm},
    {"MatMul", cut_matmul},
    {"Add", cut_elementwise},
    {"Sub", cut_elementwise},
    {"Mul", cut_elementwise},
    {"Div", cut_elementwise},
    {"Pow", cut_elementwise},
    {"Min", cut_elementwise},
    {"Max", cut_elementwise},
    {"Sum", cut_elementwise},
    {"BatchNormalization", cut_parameters},
    {"InstanceNormalization", cut_parameters},
    {"PRelu", cut_parameters},
    {"Resize", cut_resize},
    {"Reshape", cut_reshape},
    {"Split", cut_split},
    {"Slice", cut_slice},
};

static int cut_node(const struct cut *cut, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (graph_is_op(cut->node, rules[i].op))
            return rules[i].cut(cut, err);
    return 0;
}

int couple_cut(struct couple *couple, const bool *gone, struct err *err)
{
    if (check_left(couple, gone, err) < 0)
        return -1;
    size_t count;
    struct onnx_node *const *sorted = graph_nodes(couple->graph, &count);
    cleanup_free struct onnx_node **nodes = mem_dup(sorted, count * sizeof(struct onnx_node *));
    if (count && !nodes)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        struct cut cut = {.couple = couple, .gone = gone, .node = nodes[i]};
        if (cut_node(&cut, err) < 0)
            return -1;
    }
    onnx_model_graph(graph_model(couple->graph))->value_count = 0; /* the shapes that it said are old */
    return graph_tidy(couple->graph, err);
}
