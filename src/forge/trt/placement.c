#include "forge/trt/placement_inside.h"

#include "base/str.h"

/* ---- rules of the model as a whole ---- */

static bool breaks_opset(const struct look *look, const struct onnx_node *node)
{
    (void)node;
    return look->opset < TRT_OLDEST_OPSET || look->opset > TRT_NEWEST_OPSET;
}

static bool is_other_float(enum tensor_dtype dtype)
{
    return types_is_float(dtype) && dtype != DTYPE_FLOAT32;
}

static bool breaks_ends(const struct look *look, const struct onnx_node *node)
{
    const struct onnx_graph *model = onnx_model_graph(graph_model(look->graph));
    (void)node;
    for (size_t i = 0; i < model->input_count; i++)
        if (is_other_float(model->inputs[i]->dtype))
            return true;
    for (size_t i = 0; i < model->output_count; i++)
        if (is_other_float(model->outputs[i]->dtype) ||
            is_other_float(types_of(&look->types, graph_tensor(look->graph, model->outputs[i]->name))))
            return true;
    return false;
}

/* ---- the table ---- */

static const struct rule {
    const char *name, *text;
    trt_rule_check *of_model, *of_node;
} rules[] = {
    {"opset", "the opset is from 13 to 22", breaks_opset, NULL},
    {"io-float32", "inputs and outputs of floats are float32", breaks_ends, NULL},
    {"foreign-operator", "operators are ONNX's own, and none computes with integers itself", NULL,
     breaks_foreign},
    {"mixed-types", "an operator computes in one float type", NULL, breaks_types},
    {"wide-float", "nothing is float64 or bfloat16", NULL, breaks_wide_float},
    {"cast-chain", "no Cast reads another Cast", NULL, breaks_cast_chain},
    {"symmetric", "zero points are int8 and 0", NULL, breaks_symmetric},
    {"scale", "scales are finite constants above 0", NULL, breaks_scale},
    {"half-scale", "scales of float16 need opset 19", NULL, breaks_half_scale},
    {"dangling-pair", "a Q is read by DQs only, a DQ reads a Q", NULL, breaks_dangling},
    {"pair-match", "a DQ has the scale and the axis of its Q", NULL, breaks_match},
    {"per-tensor-activations", "activations have one scale", NULL, breaks_per_tensor},
    {"one-grid", "a tensor has the same scale for all that read it", NULL, breaks_one_grid},
    {"all-inputs", "a weighted operator has pairs on its input and on its weights, or on neither", NULL,
     breaks_all_inputs},
    {"constant-weights", "quantized weights are constants", NULL, breaks_constant_weights},
    {"per-channel-weights", "quantized weights have a scale per output channel", NULL, breaks_per_channel},
    {"float-bias", "biases have no pairs", NULL, breaks_bias},
    {"few-channels", "convolutions of few channels stay float", NULL, breaks_channels},
    {"matrix-vector", "a matrix times a vector stays float", NULL, breaks_vector},
    {"output-not-quantized",
     "no pair between a weighted operator and what is fused behind it, none on an output", NULL,
     breaks_output},
    {"stray-pair", "only weighted operators and Add read pairs", NULL, breaks_stray},
    {"sigmoid", "a Sigmoid reads no pair and is not held in float32 alone", NULL, breaks_sigmoid},
    {"residual-input", "of an Add behind a convolution the skip has a pair, the branch has none", NULL,
     breaks_residual},
    {"concat-scale", "a quantized Concat and its quantized inputs have one scale", NULL, breaks_concat},
};

size_t trt_rule_count(void)
{
    return ARRAY_LEN(rules);
}

const char *trt_rule(size_t i)
{
    return rules[i].name;
}

const char *trt_rule_text(const char *rule)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (str_eq(rules[i].name, rule))
            return rules[i].text;
    return NULL;
}

/* ---- looking ---- */

const struct graph_tensor *look_before_casts(const struct look *look, const struct graph_tensor *tensor)
{
    while (tensor && tensor->maker && graph_is_op(tensor->maker, "Cast"))
        tensor = graph_input(look->graph, tensor->maker, 0);
    return tensor;
}

const struct graph_tensor *look_behind_pair(const struct look *look, const struct graph_tensor *tensor)
{
    tensor = look_before_casts(look, tensor);
    if (!tensor || !tensor->maker || !is_dequantize(tensor->maker))
        return NULL;
    const struct graph_tensor *integers = graph_input(look->graph, tensor->maker, 0);
    if (!integers || !integers->maker || !is_quantize(integers->maker))
        return NULL;
    return look_before_casts(look, graph_input(look->graph, integers->maker, 0));
}

const struct graph_tensor *look_behind_input(const struct look *look, const struct onnx_node *node,
                                             size_t input)
{
    return look_behind_pair(look, graph_input(look->graph, node, input));
}

bool look_is_quantized(const struct look *look, const struct onnx_node *node)
{
    return look_behind_input(look, node, 0) && look_behind_input(look, node, 1);
}

static void note(struct trt_findings *out, const struct rule *rule, const struct onnx_node *node)
{
    if (out->count < TRT_MAX_FINDINGS) {
        struct trt_finding *item = &out->items[out->count];
        item->rule = rule->name;
        str_copy(item->node, sizeof item->node, node ? node->name : "");
    }
    out->count++;
}

static void apply(const struct look *look, struct onnx_node *const *nodes, size_t count,
                  struct trt_findings *out)
{
    for (size_t r = 0; r < ARRAY_LEN(rules); r++) {
        if (rules[r].of_model && rules[r].of_model(look, NULL))
            note(out, &rules[r], NULL);
        for (size_t i = 0; rules[r].of_node && i < count; i++)
            if (rules[r].of_node(look, nodes[i]))
                note(out, &rules[r], nodes[i]);
    }
}

int trt_check(struct graph *graph, struct trt_findings *out, struct err *err)
{
    struct look look = {.graph = graph, .opset = graph_opset(graph)};
    size_t count;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    *out = (struct trt_findings){0};
    if (types_infer(graph, &look.types, err) < 0) {
        types_fini(&look.types);
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        out->weighted += fusion_is_weighted(nodes[i]);
        out->quantized += fusion_is_weighted(nodes[i]) && look_is_quantized(&look, nodes[i]);
    }
    apply(&look, nodes, count, out);
    types_fini(&look.types);
    return 0;
}

int trt_explain(const struct trt_findings *findings, struct err *err)
{
    char more[40] = "";
    if (findings->count == 0)
        return 0;
    if (findings->count > 1)
        snprintf(more, sizeof more, " (and %zu more)", findings->count - 1);
    return err_set(err, ERR_REFUSED, "not as TensorRT wants it: %s%s%s%s", findings->items[0].node,
                   findings->items[0].node[0] ? ": " : "", trt_rule_text(findings->items[0].rule), more);
}
