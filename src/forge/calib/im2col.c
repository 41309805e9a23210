#include "forge/calib/gram.h"

#include "base/str.h"

#include <string.h>

enum { MAX_SIDE = 1 << 20, MAX_KERNEL = 1 << 12 };

/* One attribute per dimension, or `fallback` for all; the last one is the width's. */
static int64_t per_side(const struct onnx_node *node, const char *name, size_t sides, size_t side,
                        int64_t fallback)
{
    const struct onnx_attr *attr = onnx_node_attr(node, name);
    return attr && attr->type == ONNX_ATTR_INTS && attr->count == sides ? attr->ints[side] : fallback;
}

static bool attr_is(const struct onnx_node *node, const char *name, const char *text)
{
    const struct onnx_attr *attr = onnx_node_attr(node, name);
    return attr && attr->s.len == strlen(text) && memcmp(attr->s.data, text, attr->s.len) == 0;
}

/* The weights behind a Conv's second input, also through a Q/DQ pair. */
static const struct graph_tensor *weights_of(const struct graph *graph, const struct onnx_node *node)
{
    const struct graph_tensor *tensor = graph_input(graph, node, 1);
    for (int i = 0; tensor && !tensor->weight && tensor->maker && i < 2; i++)
        tensor = graph_input(graph, tensor->maker, 0);
    return tensor && tensor->weight ? tensor : NULL;
}

struct side {
    int64_t in, kernel, stride, dilation, before, after, out;
};

static int finish_side(const struct onnx_node *node, struct side *side, struct err *err)
{
    const bool upper = attr_is(node, "auto_pad", "SAME_UPPER"),
               lower = attr_is(node, "auto_pad", "SAME_LOWER");
    if (side->in < 1 || side->in > MAX_SIDE || side->kernel < 1 || side->kernel > MAX_KERNEL ||
        side->stride < 1 || side->stride > MAX_SIDE || side->dilation < 1 || side->dilation > MAX_SIDE)
        return err_set(err, ERR_INVALID, "%s: shapes and attributes do not fit", node->name);
    const int64_t reach = side->dilation * (side->kernel - 1) + 1;
    if (upper || lower) {
        int64_t out = (side->in + side->stride - 1) / side->stride;
        int64_t total = (out - 1) * side->stride + reach - side->in;
        total = total < 0 ? 0 : total;
        side->before = upper ? total / 2 : total - total / 2;
        side->after = total - side->before;
    } else if (attr_is(node, "auto_pad", "VALID")) {
        side->before = side->after = 0;
    }
    if (side->before < 0 || side->before > MAX_SIDE || side->after < 0 || side->after > MAX_SIDE ||
        side->in + side->before + side->after < reach)
        return err_set(err, ERR_INVALID, "%s: shapes and pads do not fit", node->name);
    side->out = (side->in + side->before + side->after - reach) / side->stride + 1;
    return 0;
}

/* Side `i` of `sides`; where there is no kernel_shape, the weights tell. */
static int side_of(const struct graph *graph, const struct onnx_node *node, size_t sides, size_t i,
                   int64_t in, struct side *out, struct err *err)
{
    const struct graph_tensor *weights = weights_of(graph, node);
    int64_t kernel = weights && weights->weight->dim_count == sides + 2 ? weights->weight->dims[2 + i] : 0;
    *out = (struct side){.in = in,
                         .kernel = per_side(node, "kernel_shape", sides, i, kernel),
                         .stride = per_side(node, "strides", sides, i, 1),
                         .dilation = per_side(node, "dilations", sides, i, 1),
                         .before = per_side(node, "pads", 2 * sides, i, 0),
                         .after = per_side(node, "pads", 2 * sides, sides + i, 0)};
    return finish_side(node, out, err);
}

static int conv_shape(const struct graph *graph, const struct onnx_node *node, const int64_t *dims,
                      size_t dim_count, struct im2col *out, struct err *err)
{
    struct side side[2] = {{.in = 1, .kernel = 1, .stride = 1, .dilation = 1, .out = 1}};
    const size_t sides = dim_count - 2;
    const int64_t group = onnx_node_int(node, "group", 1);
    if ((dim_count != 3 && dim_count != 4) || dims[0] != 1)
        return err_set(err, ERR_UNSUPPORTED, "%s: not one picture of one or two dimensions", node->name);
    if (group < 1 || dims[1] < 1 || dims[1] > MAX_SIDE || dims[1] % group)
        return err_set(err, ERR_INVALID, "%s: groups do not fit the channels", node->name);
    for (size_t i = 0; i < sides; i++)
        if (side_of(graph, node, sides, i, dims[2 + i], &side[2 - sides + i], err) < 0)
            return -1;
    *out = (struct im2col){
        .channels = (size_t)dims[1],
        .group = (size_t)group,
        .height = (size_t)side[0].in,
        .width = (size_t)side[1].in,
        .kernel_h = (size_t)side[0].kernel,
        .kernel_w = (size_t)side[1].kernel,
        .stride_h = (size_t)side[0].stride,
        .stride_w = (size_t)side[1].stride,
        .dilation_h = (size_t)side[0].dilation,
        .dilation_w = (size_t)side[1].dilation,
        .pad_top = (size_t)side[0].before,
        .pad_left = (size_t)side[1].before,
        .out_h = (size_t)side[0].out,
        .out_w = (size_t)side[1].out,
    };
    return 0;
}

static int product_shape(const struct onnx_node *node, const int64_t *dims, size_t dim_count,
                         struct im2col *out, struct err *err)
{
    int64_t rows = 1;
    if (dim_count < 1 || onnx_node_int(node, "transA", 0))
        return err_set(err, ERR_UNSUPPORTED, "%s: a first input that is transposed", node->name);
    for (size_t i = 0; i + 1 < dim_count; i++)
        if (dims[i] < 1 || dims[i] > MAX_SIDE || (rows *= dims[i]) > MAX_SIDE)
            return err_set(err, ERR_UNSUPPORTED, "%s: too many rows", node->name);
    if (dims[dim_count - 1] < 1 || dims[dim_count - 1] > MAX_SIDE)
        return err_set(err, ERR_UNSUPPORTED, "%s: too wide", node->name);
    *out = (struct im2col){.channels = (size_t)dims[dim_count - 1],
                           .group = 1,
                           .height = (size_t)rows,
                           .width = 1,
                           .kernel_h = 1,
                           .kernel_w = 1,
                           .stride_h = 1,
                           .stride_w = 1,
                           .dilation_h = 1,
                           .dilation_w = 1,
                           .out_h = (size_t)rows,
                           .out_w = 1,
                           .columns_first = true};
    return 0;
}

int im2col_of(const struct graph *graph, const struct onnx_node *node, const int64_t *input_dims,
              size_t dim_count, struct im2col *out, struct err *err)
{
    if (graph_is_op(node, "Conv"))
        return conv_shape(graph, node, input_dims, dim_count, out, err);
    if (graph_is_op(node, "Gemm") || graph_is_op(node, "MatMul"))
        return product_shape(node, input_dims, dim_count, out, err);
    return err_set(err, ERR_UNSUPPORTED, "%s: %s has no columns", node->name, node->op);
}

size_t im2col_rows(const struct im2col *shape)
{
    return shape->channels / shape->group * shape->kernel_h * shape->kernel_w;
}

size_t im2col_columns(const struct im2col *shape)
{
    return shape->out_h * shape->out_w;
}

/* One row: what weight (channel, ky, kx) meets at the wanted positions. */
static void fill_row(const struct im2col *shape, const float *plane, size_t ky, size_t kx, size_t first,
                     size_t step, size_t count, float *out)
{
    size_t y = first / shape->out_w, x = first % shape->out_w;
    for (size_t i = 0; i < count; i++) {
        /* unsigned: what lies above or left of the picture wraps and is too large */
        size_t at_y = y * shape->stride_h + ky * shape->dilation_h - shape->pad_top;
        size_t at_x = x * shape->stride_w + kx * shape->dilation_w - shape->pad_left;
        out[i] = at_y < shape->height && at_x < shape->width ? plane[at_y * shape->width + at_x] : 0;
        x += step;
        if (x >= shape->out_w) {
            y += x / shape->out_w;
            x %= shape->out_w;
        }
    }
}

void im2col_fill(const struct im2col *shape, const float *input, size_t group, size_t first, size_t step,
                 size_t count, float *out)
{
    const size_t channels = shape->channels / shape->group;
    if (shape->columns_first) {
        for (size_t k = 0; k < channels; k++)
            for (size_t i = 0; i < count; i++)
                out[k * count + i] = input[(first + i * step) * channels + k];
        return;
    }
    for (size_t c = 0; c < channels; c++) {
        const float *plane = input + (group * channels + c) * shape->height * shape->width;
        for (size_t ky = 0; ky < shape->kernel_h; ky++)
            for (size_t kx = 0; kx < shape->kernel_w; kx++, out += count)
                fill_row(shape, plane, ky, kx, first, step, count, out);
    }
}
