#include "forge/trt/fusion.h"

#include "base/str.h"

enum { MAX_WALK = 64 };

/* ---- kinds ---- */

static bool is_one_of(const struct onnx_node *node, const char *const *ops)
{
    if (node->domain[0])
        return false;
    for (; *ops; ops++)
        if (str_eq(node->op, *ops))
            return true;
    return false;
}

bool fusion_is_weighted(const struct onnx_node *node)
{
    static const char *const ops[] = {"Conv", "ConvTranspose", "Gemm", "MatMul", NULL};
    return is_one_of(node, ops);
}

bool fusion_is_copy(const struct onnx_node *node)
{
    static const char *const ops[] = {
        "Cast",         "Concat",          "Expand",    "Flatten", "Gather",          "GatherElements",
        "GatherND",     "Identity",        "Reshape",   "Slice",   "Split",           "Squeeze",
        "Tile",         "Transpose",       "Unsqueeze", "Dropout", "ReverseSequence", "DepthToSpace",
        "SpaceToDepth", "ScatterElements", "ScatterND", NULL};
    return is_one_of(node, ops);
}

bool fusion_is_pointwise(const struct onnx_node *node)
{
    static const char *const ops[] = {
        "Abs",        "Add",  "Atan",  "Ceil",  "Celu",    "Clip",        "Cos",       "Div",
        "Elu",        "Erf",  "Exp",   "Floor", "Gelu",    "HardSigmoid", "HardSwish", "LeakyRelu",
        "Log",        "Max",  "Min",   "Mish",  "Mul",     "Neg",         "PRelu",     "Pow",
        "Reciprocal", "Relu", "Round", "Selu",  "Sigmoid", "Sign",        "Sin",       "Softplus",
        "Softsign",   "Sqrt", "Sub",   "Tanh",  NULL};
    return is_one_of(node, ops);
}

bool fusion_is_computed(const struct graph_tensor *tensor)
{
    return tensor && !tensor->weight;
}

const struct graph_tensor *fusion_computed_input(const struct graph *graph, const struct onnx_node *node)
{
    const struct graph_tensor *found = NULL;
    for (size_t i = 0; i < node->input_count; i++) {
        const struct graph_tensor *input = graph_input(graph, node, i);
        if (!fusion_is_computed(input) || input == found)
            continue;
        if (found)
            return NULL;
        found = input;
    }
    return found;
}

const struct graph_tensor *fusion_before_copies(const struct graph *graph, const struct graph_tensor *tensor)
{
    while (tensor && tensor->maker && fusion_is_copy(tensor->maker)) {
        const struct graph_tensor *input = fusion_computed_input(graph, tensor->maker);
        if (!input)
            break;
        tensor = input;
    }
    return tensor;
}

/* ---- back through an epilogue ---- */

/* Of Mul(x, f(x)), f one operator or a chain of pointwise ones (SiLU, hard-swish in all its spellings): x. */
static const struct graph_tensor *gated_input(const struct graph *graph, const struct onnx_node *mul)
{
    for (size_t side = 0; side < 2; side++) {
        const struct graph_tensor *x = graph_input(graph, mul, side);
        const struct graph_tensor *gate = graph_input(graph, mul, 1 - side);
        for (int steps = 0; steps < MAX_WALK && fusion_is_computed(gate) && gate != x; steps++) {
            bool goes_on = gate->maker && fusion_is_pointwise(gate->maker);
            gate = goes_on ? fusion_computed_input(graph, gate->maker) : NULL;
        }
        if (x && gate == x)
            return x;
    }
    return NULL;
}

/* One step back inside of what TensorRT fuses behind a convolution; NULL: this is none. */
const struct graph_tensor *fusion_step_back(const struct graph *graph, const struct onnx_node *node)
{
    if (graph_is_op(node, "MaxPool") || graph_is_op(node, "BatchNormalization"))
        return graph_input(graph, node, 0);
    if (!fusion_is_copy(node) && !fusion_is_pointwise(node))
        return NULL;
    const struct graph_tensor *only = fusion_computed_input(graph, node);
    return only || !graph_is_op(node, "Mul") ? only : gated_input(graph, node);
}
