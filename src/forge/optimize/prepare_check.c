/* Which models can be prepared at all. */
#include "forge/optimize/prepare_inside.h"

#include "base/str.h"

/* Operators on integers, or that make them, of whatever domain. */
static bool is_integer_op(const char *op)
{
    static const char *const ops[] = {"QuantizeLinear",        "DequantizeLinear",    "DynamicQuantizeLinear",
                                      "ConvInteger",           "MatMulInteger",       "QGemm",
                                      "QLinearConv",           "QLinearMatMul",       "MatMulNBits",
                                      "DynamicQuantizeMatMul", "MatMulIntegerToFloat"};
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        if (str_eq(op, ops[i]))
            return true;
    return str_starts(op, "QLinear");
}

static int check_ops(struct graph *graph, struct err *err)
{
    size_t count = 0;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    for (size_t i = 0; i < count; i++)
        if (nodes[i]->domain[0] && onnx_model_opset(graph_model(graph), nodes[i]->domain) == 0)
            return err_set(err, ERR_INVALID,
                           "node \"%.60s\" (%.40s) is of domain %.60s, which the model does not import",
                           nodes[i]->name, nodes[i]->op, nodes[i]->domain);
        else if (is_integer_op(nodes[i]->op))
            return err_set(
                err, ERR_UNSUPPORTED,
                "the model is quantized already (node \"%.60s\" is a %.40s): give the float32 model "
                "that it was made from",
                nodes[i]->name, nodes[i]->op);
    return 0;
}

static int check_weights(struct graph *graph, struct err *err)
{
    const struct onnx_graph *model = onnx_model_graph(graph_model(graph));
    size_t halves = 0, floats = 0, doubles = 0;
    for (size_t i = 0; i < model->weight_count; i++) {
        const struct onnx_weight *weight = model->weights[i];
        if (weight->removed || weight->dim_count < 2)
            continue;
        halves += weight->dtype == DTYPE_FLOAT16 || weight->dtype == DTYPE_BFLOAT16;
        floats += weight->dtype == DTYPE_FLOAT32;
        doubles += weight->dtype == DTYPE_FLOAT64;
    }
    if (halves + doubles > 0 && floats == 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "the model's weights are of %d bits: give the float32 model that it was made from",
                       halves ? 16 : 64);
    return 0;
}

int prepare_check_kind(struct graph *graph, struct err *err)
{
    if (check_ops(graph, err) < 0)
        return -1;
    return check_weights(graph, err);
}

/* "1,3,?,?", shortened where it does not fit. */
static void put_shape(const struct onnx_value_info *value, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < value->dim_count && used < size; i++) {
        const char *comma = i ? "," : "";
        int len = value->dims[i] < 0
                      ? snprintf(out + used, size - used, "%s?", comma)
                      : snprintf(out + used, size - used, "%s%lld", comma, (long long)value->dims[i]);
        used += (size_t)MAX(len, 0);
    }
}

int prepare_check_shapes(struct graph *graph, struct err *err)
{
    const struct onnx_graph *model = onnx_model_graph(graph_model(graph));
    for (size_t i = 0; i < model->input_count; i++) {
        const struct onnx_value_info *value = model->inputs[i];
        if (value->dtype && tensor_element_bytes(value->dtype) == 0)
            return err_set(err, ERR_UNSUPPORTED,
                           "input %.64s holds no numbers (strings?): cut it off the model", value->name);
        bool open = !value->shaped;
        for (size_t k = 0; k < value->dim_count; k++)
            open = open || value->dims[k] < 0;
        if (!open)
            continue;
        char shape[64] = "?";
        if (value->shaped)
            put_shape(value, shape, sizeof shape);
        return err_set(err, ERR_UNSUPPORTED,
                       "input %.64s has the open shape [%s]: fix it with --shape %.64s=…", value->name, shape,
                       value->name);
    }
    return 0;
}
