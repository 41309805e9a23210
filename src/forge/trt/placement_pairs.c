/* Rules of Q and DQ. */
#include "forge/trt/placement_inside.h"

#include "base/mem.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CONCAT_RATIO 4.0F /* as far apart as two scales may be and still have to become one */

static bool is_pair(const struct onnx_node *node)
{
    return is_quantize(node) || is_dequantize(node);
}

static const struct onnx_weight *constant(const struct look *look, const struct onnx_node *node, size_t input)
{
    const struct graph_tensor *tensor = graph_input(look->graph, node, input);
    return tensor ? tensor->weight : NULL;
}

static bool is_all_zero(const struct onnx_weight *weight)
{
    for (size_t i = 0; i < weight->data.len; i++)
        if (weight->data.data[i])
            return false;
    return true;
}

/* Without a zero point the integers are uint8. */
bool breaks_symmetric(const struct look *look, const struct onnx_node *node)
{
    if (!is_pair(node))
        return false;
    const struct onnx_weight *zero = constant(look, node, 2);
    return !zero || zero->dtype != DTYPE_INT8 || !is_all_zero(zero);
}

bool breaks_scale(const struct look *look, const struct onnx_node *node)
{
    size_t count = 0;
    if (!is_pair(node))
        return false;
    const struct onnx_weight *scale = constant(look, node, 1);
    cleanup_free float *values = scale ? graph_floats(look->graph, node->inputs[1], &count) : NULL;
    if (!values || count == 0 || (scale->dtype != DTYPE_FLOAT32 && scale->dtype != DTYPE_FLOAT16))
        return true;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]) || !(values[i] > 0))
            return true;
    return false;
}

bool breaks_half_scale(const struct look *look, const struct onnx_node *node)
{
    const struct onnx_weight *scale = is_pair(node) ? constant(look, node, 1) : NULL;
    return scale && scale->dtype == DTYPE_FLOAT16 && look->opset < 19;
}

bool breaks_dangling(const struct look *look, const struct onnx_node *node)
{
    if (is_dequantize(node)) {
        const struct graph_tensor *integers = graph_input(look->graph, node, 0);
        return !integers || !integers->maker || !is_quantize(integers->maker);
    }
    const struct graph_tensor *integers = is_quantize(node) ? graph_output(look->graph, node, 0) : NULL;
    if (!integers)
        return false;
    for (size_t i = 0; i < integers->use_count; i++)
        if (!is_dequantize(integers->uses[i].node) || integers->uses[i].input != 0)
            return true;
    return integers->use_count == 0 || integers->is_output || integers->captured;
}

static bool same_floats(const struct look *look, const char *a, const char *b)
{
    size_t a_count = 0, b_count = 0;
    cleanup_free float *x = graph_floats(look->graph, a, &a_count);
    cleanup_free float *y = graph_floats(look->graph, b, &b_count);
    return x && y && a_count == b_count && memcmp(x, y, a_count * sizeof *x) == 0;
}

static bool is_per_axis(const struct look *look, const struct onnx_node *node)
{
    const struct onnx_weight *scale = constant(look, node, 1);
    return scale && onnx_weight_elements(scale) > 1;
}

bool breaks_match(const struct look *look, const struct onnx_node *node)
{
    const struct graph_tensor *integers = is_dequantize(node) ? graph_input(look->graph, node, 0) : NULL;
    if (!integers || !integers->maker || !is_quantize(integers->maker))
        return false;
    const struct onnx_node *quantize = integers->maker;
    return !same_floats(look, node->inputs[1], quantize->inputs[1]) ||
           (is_per_axis(look, node) && onnx_node_int(node, "axis", 1) != onnx_node_int(quantize, "axis", 1));
}

bool breaks_per_tensor(const struct look *look, const struct onnx_node *node)
{
    const struct graph_tensor *from =
        is_quantize(node) ? look_before_casts(look, graph_input(look->graph, node, 0)) : NULL;
    return from && !from->weight && is_per_axis(look, node);
}

/* ---- several pairs of one tensor, and of what a Concat joins ---- */

/* The scale of the first pair of a tensor; 0: it has none. */
static float scale_on(const struct look *look, const struct graph_tensor *tensor)
{
    size_t count = 0;
    for (size_t i = 0; tensor && i < tensor->use_count; i++)
        if (is_quantize(tensor->uses[i].node)) {
            cleanup_free float *scale = graph_floats(look->graph, tensor->uses[i].node->inputs[1], &count);
            return scale && count == 1 ? scale[0] : 0;
        }
    return 0;
}

static float scale_of(const struct look *look, const struct onnx_node *quantize)
{
    size_t count = 0;
    cleanup_free float *scale = graph_floats(look->graph, quantize->inputs[1], &count);
    return scale && count == 1 ? scale[0] : 0;
}

bool breaks_one_grid(const struct look *look, const struct onnx_node *node)
{
    const struct graph_tensor *from = is_quantize(node) ? graph_input(look->graph, node, 0) : NULL;
    return from && !from->weight && scale_on(look, from) != scale_of(look, node);
}

bool breaks_concat(const struct look *look, const struct onnx_node *node)
{
    const struct graph_tensor *from =
        is_quantize(node) ? fusion_before_copies(look->graph, graph_input(look->graph, node, 0)) : NULL;
    if (!from || !from->maker || !graph_is_op(from->maker, "Concat"))
        return false;
    const float a = scale_of(look, node);
    for (size_t i = 0; i < from->maker->input_count; i++) {
        const struct graph_tensor *input = graph_input(look->graph, from->maker, i);
        float b = scale_on(look, input);
        if (!(b > 0))
            b = scale_on(look, fusion_before_copies(look->graph, input));
        if (b > 0 && a != b && a <= b * CONCAT_RATIO && b <= a * CONCAT_RATIO)
            return true;
    }
    return false;
}
