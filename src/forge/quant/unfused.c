#include "base/mem.h"
#include "base/str.h"
#include "forge/quant/emit.h"
#include "infer/lab.h"

#include <stdio.h>
#include <stdlib.h>

/* Who became what is found by the integer weights: each operator has its own, and the runtime keeps their names while it renames, merges and
 * moves nodes. Where it has made other weights of them (a matrix transposed ahead of time) the node's name, which it keeps for kernels that replace
 * a node, says it. */

static const char *const integer_ops[] = {"QLinearConv",          "QGemm",       "QLinearMatMul",
                                          "MatMulIntegerToFloat", "ConvInteger", "MatMulInteger"};

static bool is_integer_kernel(const struct onnx_node *node)
{
    for (size_t i = 0; i < ARRAY_LEN(integer_ops); i++)
        if (str_eq(node->op, integer_ops[i]))
            return true;
    return false;
}

static struct onnx_node *node_named(struct graph *graph, const char *name)
{
    size_t count = 0;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    for (size_t i = 0; i < count; i++)
        if (str_eq(nodes[i]->name, name))
            return nodes[i];
    return NULL;
}

/* The int8 weights behind the DQ that the node reads; NULL: it has none. */
static const char *weights_of(struct graph *model, const char *name)
{
    const struct onnx_node *node = node_named(model, name);
    const struct graph_tensor *read = node ? graph_input(model, node, 1) : NULL;
    bool behind = read && read->maker && graph_is_op(read->maker, "DequantizeLinear");
    return behind ? read->maker->inputs[0] : NULL;
}

static bool fused(struct graph *model, struct graph *optimized, const struct quant_node *planned)
{
    const char *weights = weights_of(model, planned->node);
    const struct graph_tensor *tensor = weights ? graph_tensor(optimized, weights) : NULL;
    for (size_t i = 0; tensor && i < tensor->use_count; i++)
        if (is_integer_kernel(tensor->uses[i].node))
            return true;
    if (tensor && tensor->use_count)
        return false;
    const struct onnx_node *node = node_named(optimized, planned->node);
    return node && is_integer_kernel(node);
}

static void count(struct graph *model, struct graph *optimized, const struct quant_plan *plan,
                  struct unfused *out)
{
    for (size_t i = 0; i < plan->node_count; i++) {
        const struct quant_node *node = &plan->nodes[i];
        if (!node->weighted)
            continue;
        out->weighted++;
        if (!node->integer) {
            out->float_by_plan++;
        } else if (fused(model, optimized, node)) {
            out->integer++;
        } else {
            out->unfused++;
            if (out->name_count < ARRAY_LEN(out->names))
                snprintf(out->names[out->name_count++], sizeof out->names[0], "%.31s %.90s", node->op,
                         node->node);
        }
    }
}

static int open_and_count(const char *model_path, const char *optimized_path, const struct quant_plan *plan,
                          struct unfused *out, struct err *err)
{
    cleanup_graph struct graph *model = NULL, *optimized = NULL;
    if (graph_open(model_path, &model, err) < 0)
        return -1;
    if (graph_open(optimized_path, &optimized, err) < 0)
        return err_prefix(err, "the graph that ONNX Runtime made of %.100s", model_path);
    count(model, optimized, plan, out);
    return 0;
}

int quant_count_unfused(const char *model_path, const struct quant_plan *plan, const char *work_dir,
                        const char *runtime_path, struct unfused *out, struct err *err)
{
    static const char *const signed_too[][2] = {{"session.qdqisint8allowed", "1"}};
    enum quant_profile profile = plan->options.profile;
    *out = (struct unfused){0};
    if (profile == PROFILE_TRT)
        return err_set(err, ERR_UNSUPPORTED, "ONNX Runtime's CPU kernels say nothing about TensorRT");
    cleanup_free char *path = mem_printf("%s/optimized-%s.onnx", work_dir, quant_profile_name(profile));
    if (!path)
        return err_no_memory(err);
    const struct lab_how how = {.runtime_path = runtime_path,
                                .level = LAB_ALL,
                                .dump_path = path,
                                .lean = true,
                                .entry_count = profile == PROFILE_CPU_ARM ? ARRAY_LEN(signed_too) : 0,
                                .entries = signed_too};
    int rc = lab_dump(model_path, &how, err);
    if (rc == 0)
        rc = open_and_count(model_path, path, plan, out, err);
    unlink(path);
    return rc;
}
