#include "forge/precision/half_inside.h"

#include "base/mem.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HALF_LARGEST 65504.0
#define HALF_NORMAL 0x1p-14 /* 6.1e-5 */

/* ---- lists; sorted ---- */

/* Sums over many elements, steep functions, indices that a rounding would move, kernels that TensorRT or ONNX Runtime have in float32 alone,
 * subgraphs (their types are their own). */
static const char *const blocked[] = {"Acosh",
                                      "Atanh",
                                      "BlackmanWindow",
                                      "Cosh",
                                      "CumSum",
                                      "DFT",
                                      "Det",
                                      "Exp",
                                      "EyeLike",
                                      "GRU",
                                      "GridSample",
                                      "HammingWindow",
                                      "HannWindow",
                                      "If",
                                      "LSTM",
                                      "Log",
                                      "LogSoftmax",
                                      "Loop",
                                      "LpNormalization",
                                      "LpPool",
                                      "MelWeightMatrix",
                                      "Multinomial",
                                      "NonMaxSuppression",
                                      "Pow",
                                      "RNN",
                                      "RandomNormal",
                                      "RandomNormalLike",
                                      "RandomUniform",
                                      "RandomUniformLike",
                                      "Range",
                                      "Reciprocal",
                                      "ReduceL1",
                                      "ReduceL2",
                                      "ReduceLogSum",
                                      "ReduceLogSumExp",
                                      "ReduceProd",
                                      "ReduceSum",
                                      "ReduceSumSquare",
                                      "RoiAlign",
                                      "STFT",
                                      "Scan",
                                      "Sinh",
                                      "Softplus",
                                      "Tan",
                                      "TopK"};

/* Few operations per element: not worth a Cast on the way in and another one on the way out. */
static const char *const light[] = {"Abs",
                                    "Add",
                                    "ArgMax",
                                    "ArgMin",
                                    "Atan",
                                    "CastLike",
                                    "Ceil",
                                    "Celu",
                                    "Clip",
                                    "Cos",
                                    "DequantizeLinear",
                                    "Div",
                                    "Elu",
                                    "Equal",
                                    "Erf",
                                    "Floor",
                                    "Gelu",
                                    "Greater",
                                    "GreaterOrEqual",
                                    "HardSigmoid",
                                    "HardSwish",
                                    "IsInf",
                                    "IsNaN",
                                    "LeakyRelu",
                                    "Less",
                                    "LessOrEqual",
                                    "Max",
                                    "Min",
                                    "Mish",
                                    "Mul",
                                    "Neg",
                                    "OneHot",
                                    "PRelu",
                                    "QuantizeLinear",
                                    "ReduceMax",
                                    "ReduceMean",
                                    "ReduceMin",
                                    "Relu",
                                    "Round",
                                    "Selu",
                                    "Sigmoid",
                                    "Sign",
                                    "Sin",
                                    "Softsign",
                                    "Sqrt",
                                    "Sub",
                                    "Tanh",
                                    "ThresholdedRelu",
                                    "Where"};

/* Nothing is computed: float16 loses no more before than behind them. */
static const char *const movers[] = {"Cast",
                                     "Compress",
                                     "Concat",
                                     "DepthToSpace",
                                     "Dropout",
                                     "Expand",
                                     "Flatten",
                                     "Gather",
                                     "GatherElements",
                                     "GatherND",
                                     "Identity",
                                     "MaxPool",
                                     "Pad",
                                     "Reshape",
                                     "ReverseSequence",
                                     "ScatterElements",
                                     "ScatterND",
                                     "Slice",
                                     "SpaceToDepth",
                                     "Split",
                                     "Squeeze",
                                     "Tile",
                                     "Transpose",
                                     "Trilu",
                                     "Unsqueeze"};

static int compare_names(const void *op, const void *item)
{
    return strcmp(op, *(const char *const *)item);
}

static bool is_listed(const struct onnx_node *node, const char *const *list, size_t count)
{
    return bsearch(node->op, list, count, sizeof *list, compare_names) != NULL;
}

static bool is_cubic(const struct onnx_node *node)
{
    const struct onnx_attr *mode = graph_is_op(node, "Resize") ? onnx_node_attr(node, "mode") : NULL;
    return mode && mode->s.len == 5 && memcmp(mode->s.data, "cubic", 5) == 0;
}

/* ---- ports ---- */

bool half_is_port(const struct half_work *work, const struct onnx_node *node, size_t input)
{
    return types_of(&work->types, graph_input(work->graph, node, input)) == DTYPE_FLOAT32 &&
           !types_takes_any(node) && !types_is_fixed_input(node, input);
}

bool half_is_float_output(const struct half_work *work, const struct onnx_node *node, size_t output)
{
    return types_of(&work->types, graph_output(work->graph, node, output)) == DTYPE_FLOAT32;
}

static bool touches_floats(const struct half_work *work, const struct onnx_node *node)
{
    for (size_t i = 0; i < node->input_count; i++)
        if (half_is_port(work, node, i))
            return true;
    for (size_t i = 0; i < node->output_count; i++)
        if (half_is_float_output(work, node, i))
            return true;
    return false;
}

/* ---- types and ranges that float16 does not bear ---- */

static bool is_unknown(const struct half_work *work, const struct graph_tensor *tensor)
{
    return tensor && types_of(&work->types, tensor) == 0;
}

static bool touches_unknown(const struct half_work *work, const struct onnx_node *node)
{
    for (size_t i = 0; i < node->input_count; i++)
        if (is_unknown(work, graph_input(work->graph, node, i)))
            return true;
    for (size_t i = 0; i < node->output_count; i++)
        if (is_unknown(work, graph_output(work->graph, node, i)))
            return true;
    return false;
}

/* Half of what there is: other samples go further. */
static bool is_bearable(double largest)
{
    return largest == 0 || (largest >= HALF_NORMAL && largest <= HALF_LARGEST / 2);
}

static bool bears_weight(const struct half_work *work, const struct graph_tensor *tensor)
{
    size_t count = 0;
    double largest = 0;
    cleanup_free float *values = graph_floats(work->graph, tensor->name, &count);
    for (size_t i = 0; values && i < count; i++)
        if (!isinf(values[i])) /* stays infinite */
            largest = fmax(largest, fabs((double)values[i]));
    return largest == 0 || (largest >= HALF_NORMAL && largest <= HALF_LARGEST);
}

/* What comes out of a pair goes as far as its integers do. */
static bool bears_integers(const struct half_work *work, const struct onnx_node *dequantize)
{
    size_t count = 0;
    double largest = 0;
    cleanup_free float *scales = graph_floats(work->graph, dequantize->inputs[1], &count);
    for (size_t i = 0; scales && i < count; i++)
        largest = fmax(largest, fabs((double)scales[i]));
    return largest * 128 <= HALF_LARGEST;
}

static bool bears(const struct half_work *work, const struct graph_tensor *tensor)
{
    if (tensor->weight)
        return bears_weight(work, tensor);
    if (tensor->maker && graph_is_op(tensor->maker, "DequantizeLinear"))
        return bears_integers(work, tensor->maker);
    const struct observed *seen = work->seen ? observation_find(work->seen, tensor->name) : NULL;
    return !seen || (seen->finite && is_bearable(fmax(fabs((double)seen->min), fabs((double)seen->max))));
}

/* A pair's integers bear what its ends do not; its scale is looked at where it is rounded. */
static bool bears_all(const struct half_work *work, const struct onnx_node *node)
{
    for (size_t i = 0; i < node->input_count; i++)
        if (half_is_port(work, node, i) && !(half_is_pair(node) && i > 0) &&
            !bears(work, graph_input(work->graph, node, i)))
            return false;
    for (size_t i = 0; i < node->output_count; i++)
        if (half_is_float_output(work, node, i) && !bears(work, graph_output(work->graph, node, i)))
            return false;
    return true;
}

/* Makes float32 whatever it reads: what an attribute says, statistics. */
static bool is_fixed_maker(const struct onnx_node *node)
{
    return graph_is_op(node, "ConstantOfShape") || graph_is_op(node, "DynamicQuantizeLinear") ||
           (graph_is_op(node, "LayerNormalization") && node->output_count > 1);
}

enum half_kind half_kind_of(const struct half_work *work, const struct onnx_node *node)
{
    if (!touches_floats(work, node))
        return HALF_NONE;
    if (node->domain[0] || node->capture_count || touches_unknown(work, node) || is_fixed_maker(node) ||
        is_listed(node, blocked, ARRAY_LEN(blocked)) || is_cubic(node) ||
        (half_is_pair(node) && !work->half_pairs) || !bears_all(work, node))
        return HALF_BLOCKED;
    if (is_listed(node, movers, ARRAY_LEN(movers)))
        return HALF_MOVER;
    return is_listed(node, light, ARRAY_LEN(light)) ? HALF_FREE : HALF_STRONG;
}
