#include "forge/precision/types.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

#define NOT_KNOWN ((enum tensor_dtype)0)

/* ---- rules; whoever is not named here gives what its first input is ---- */

struct question {
    const struct types *types;
    const struct graph *graph;
    const struct onnx_node *node;
    size_t output;
};

static enum tensor_dtype input_type(const struct question *q, size_t input)
{
    return types_of(q->types, graph_input(q->graph, q->node, input));
}

static enum tensor_dtype first_input(const struct question *q)
{
    return input_type(q, 0);
}

static enum tensor_dtype second_input(const struct question *q)
{
    return input_type(q, 1);
}

static enum tensor_dtype third_input(const struct question *q)
{
    return input_type(q, 2);
}

static enum tensor_dtype index_type(const struct question *q)
{
    (void)q;
    return DTYPE_INT64;
}

static enum tensor_dtype truth(const struct question *q)
{
    (void)q;
    return DTYPE_BOOL;
}

static enum tensor_dtype wide_integer(const struct question *q)
{
    (void)q;
    return DTYPE_INT32;
}

static enum tensor_dtype not_known(const struct question *q)
{
    (void)q;
    return NOT_KNOWN;
}

static enum tensor_dtype cast_to(const struct question *q)
{
    return (enum tensor_dtype)onnx_node_int(q->node, "to", NOT_KNOWN);
}

static enum tensor_dtype generated(const struct question *q)
{
    return (enum tensor_dtype)onnx_node_int(q->node, "dtype", DTYPE_FLOAT32);
}

static enum tensor_dtype generated_like(const struct question *q)
{
    return (enum tensor_dtype)onnx_node_int(q->node, "dtype", first_input(q));
}

static enum tensor_dtype filled(const struct question *q)
{
    const struct onnx_attr *value = onnx_node_attr(q->node, "value");
    return value && value->t ? value->t->dtype : DTYPE_FLOAT32;
}

static enum tensor_dtype quantized(const struct question *q)
{
    enum tensor_dtype zero = input_type(q, 2);
    return zero ? zero : (enum tensor_dtype)onnx_node_int(q->node, "output_dtype", DTYPE_UINT8);
}

static enum tensor_dtype quantized_here(const struct question *q)
{
    return q->output == 1 ? DTYPE_FLOAT32 : DTYPE_UINT8;
}

static enum tensor_dtype last_zero_point(const struct question *q)
{
    return input_type(q, 7);
}

static enum tensor_dtype value_then_index(const struct question *q)
{
    return q->output == 0 ? first_input(q) : DTYPE_INT64;
}

static enum tensor_dtype value_then_truth(const struct question *q)
{
    return q->output == 0 ? first_input(q) : DTYPE_BOOL;
}

static enum tensor_dtype value_then_statistics(const struct question *q)
{
    return q->output == 0 ? first_input(q) : DTYPE_FLOAT32;
}

/* Sorted. */
static const struct rule {
    const char *op;
    enum tensor_dtype (*type)(const struct question *q);
} rules[] = {{"And", truth},
             {"ArgMax", index_type},
             {"ArgMin", index_type},
             {"Bernoulli", generated_like},
             {"Cast", cast_to},
             {"CastLike", second_input},
             {"ConstantOfShape", filled},
             {"ConvInteger", wide_integer},
             {"DequantizeLinear", second_input},
             {"Dropout", value_then_truth},
             {"DynamicQuantizeLinear", quantized_here},
             {"Equal", truth},
             {"EyeLike", generated_like},
             {"Greater", truth},
             {"GreaterOrEqual", truth},
             {"If", not_known},
             {"IsInf", truth},
             {"IsNaN", truth},
             {"LayerNormalization", value_then_statistics},
             {"Less", truth},
             {"LessOrEqual", truth},
             {"Loop", not_known},
             {"MatMulInteger", wide_integer},
             {"MaxPool", value_then_index},
             {"Multinomial", wide_integer},
             {"NonMaxSuppression", index_type},
             {"NonZero", index_type},
             {"Not", truth},
             {"OneHot", third_input},
             {"Optional", not_known},
             {"OptionalGetElement", not_known},
             {"OptionalHasElement", truth},
             {"Or", truth},
             {"QLinearConv", last_zero_point},
             {"QLinearMatMul", last_zero_point},
             {"QuantizeLinear", quantized},
             {"RandomNormal", generated},
             {"RandomNormalLike", generated_like},
             {"RandomUniform", generated},
             {"RandomUniformLike", generated_like},
             {"RegexFullMatch", truth},
             {"Scan", not_known},
             {"SequenceAt", not_known},
             {"SequenceConstruct", not_known},
             {"SequenceEmpty", not_known},
             {"SequenceInsert", not_known},
             {"SequenceLength", index_type},
             {"Shape", index_type},
             {"Size", index_type},
             {"SplitToSequence", not_known},
             {"TopK", value_then_index},
             {"Unique", value_then_index},
             {"Where", second_input},
             {"Xor", truth}};

static int compare_rules(const void *op, const void *rule)
{
    return strcmp(op, ((const struct rule *)rule)->op);
}

static enum tensor_dtype by_rule(const struct question *q)
{
    if (q->node->domain[0])
        return NOT_KNOWN;
    const struct rule *rule = bsearch(q->node->op, rules, ARRAY_LEN(rules), sizeof rules[0], compare_rules);
    return rule ? rule->type(q) : first_input(q);
}

/* ---- all of a graph ---- */

static int make_room(struct types *types, struct onnx_node *const *nodes, size_t count, struct err *err)
{
    size_t outputs = 0;
    for (size_t i = 0; i < count; i++) {
        types->node_limit = MAX(types->node_limit, nodes[i]->index + 1);
        outputs += nodes[i]->output_count;
    }
    types->first = mem_zalloc(types->node_limit + 1, sizeof *types->first);
    types->of = mem_zalloc(outputs + 1, sizeof *types->of);
    return types->first && types->of ? 0 : err_no_memory(err);
}

int types_infer(struct graph *graph, struct types *out, struct err *err)
{
    size_t count, next = 0;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    *out = (struct types){0};
    if (make_room(out, nodes, count, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        out->first[nodes[i]->index] = next;
        for (size_t k = 0; k < nodes[i]->output_count; k++) {
            const struct question q = {.types = out, .graph = graph, .node = nodes[i], .output = k};
            const struct graph_tensor *tensor = graph_output(graph, nodes[i], k);
            enum tensor_dtype found = by_rule(&q);
            if (!found && tensor)
                found = tensor->dtype;
            out->of[next++] = (unsigned)found <= UINT8_MAX ? (uint8_t)found : NOT_KNOWN;
        }
    }
    return 0;
}

void types_fini(struct types *types)
{
    free(types->first);
    free(types->of);
    *types = (struct types){0};
}

enum tensor_dtype types_of(const struct types *types, const struct graph_tensor *tensor)
{
    if (!tensor)
        return NOT_KNOWN;
    if (tensor->weight)
        return tensor->weight->dtype;
    if (!tensor->maker || tensor->maker->index >= types->node_limit)
        return tensor->dtype;
    return types->of[types->first[tensor->maker->index] + tensor->maker_output];
}

bool types_is_float(enum tensor_dtype dtype)
{
    return dtype == DTYPE_FLOAT32 || dtype == DTYPE_FLOAT16 || dtype == DTYPE_BFLOAT16 ||
           dtype == DTYPE_FLOAT64;
}

bool types_is_fixed_input(const struct onnx_node *node, size_t input)
{
    return graph_is_op(node, "Resize") ? input == 1 || input == 2
                                       : graph_is_op(node, "Upsample") && input == 1;
}

bool types_takes_any(const struct onnx_node *node)
{
    return graph_is_op(node, "Shape") || graph_is_op(node, "Size") || graph_is_op(node, "Cast");
}

/* ---- one type per operator ---- */

static bool takes_part(const struct onnx_node *node, size_t input)
{
    return !types_takes_any(node) && !types_is_fixed_input(node, input) &&
           !(graph_is_op(node, "CastLike") && input == 1) && !(graph_is_op(node, "OneHot") && input < 2);
}

static bool agrees(enum tensor_dtype *common, enum tensor_dtype other)
{
    if (!types_is_float(other))
        return true;
    if (!*common)
        *common = other;
    return *common == other;
}

bool types_agree(const struct types *types, const struct graph *graph, const struct onnx_node *node)
{
    enum tensor_dtype common = NOT_KNOWN;
    for (size_t i = 0; i < node->input_count; i++)
        if (takes_part(node, i) && !agrees(&common, types_of(types, graph_input(graph, node, i))))
            return false;
    return true;
}
