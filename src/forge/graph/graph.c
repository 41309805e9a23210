#include "forge/graph/graph.h"
#include "base/half.h"
#include "base/str.h"
#include "forge/graph/inside.h"

#include <stdlib.h>
#include <string.h>

/* ---- opening ---- */

static int set_up(struct graph *graph, struct err *err)
{
    if (graph_index(graph, err) < 0 || graph_check(graph, err) < 0)
        return -1;
    return graph_settle(graph, err);
}

int graph_of(struct onnx_model *model, struct graph **out, struct err *err)
{
    cleanup_graph struct graph *graph = mem_zalloc(1, sizeof *graph);
    if (!graph) {
        onnx_model_free(model);
        return err_no_memory(err);
    }
    graph->model = model;
    if (set_up(graph, err) < 0)
        return -1;
    *out = TAKE_PTR(graph);
    return 0;
}

int graph_new(int64_t opset, struct graph **out, struct err *err)
{
    struct onnx_model *model = onnx_model_new(graph_ir_for(opset), opset);
    return model ? graph_of(model, out, err) : err_no_memory(err);
}

int graph_open(const char *path, struct graph **out, struct err *err)
{
    cleanup_graph struct graph *graph = mem_zalloc(1, sizeof *graph);
    if (!graph)
        return err_no_memory(err);
    if (file_map(path, &graph->map, err) < 0)
        return -1;
    if (onnx_model_parse(graph->map.data, graph->map.size, &graph->model, err) < 0 ||
        graph_load_external(graph, path, err) < 0 || set_up(graph, err) < 0)
        return err_prefix(err, "%s", path);
    *out = TAKE_PTR(graph);
    return 0;
}

void graph_free(struct graph *graph)
{
    if (!graph)
        return;
    graph_index_fini(graph);
    onnx_model_free(graph->model);
    file_unmap(&graph->map);
    for (size_t i = 0; i < graph->external_count; i++) {
        file_unmap(&graph->externals[i]);
        free(graph->external_paths[i]);
    }
    free(graph->externals);
    free(graph->external_paths);
    free(graph);
}

/* ---- questions ---- */

struct onnx_model *graph_model(struct graph *graph)
{
    return graph->model;
}

int64_t graph_opset(const struct graph *graph)
{
    return onnx_model_opset(graph->model, "");
}

bool graph_is_op(const struct onnx_node *node, const char *op)
{
    return !*node->domain && str_eq(node->op, op);
}

const struct graph_tensor *graph_tensor(const struct graph *graph, const char *name)
{
    const struct slot *slot = graph_find(graph, name);
    if (!slot)
        return NULL;
    const struct graph_tensor *tensor = &slot->tensor;
    bool there = tensor->maker || tensor->weight || tensor->is_input || tensor->is_output ||
                 tensor->use_count || tensor->captured || slot->is_sparse;
    return there ? tensor : NULL;
}

const struct graph_tensor *graph_input(const struct graph *graph, const struct onnx_node *node, size_t i)
{
    return i < node->input_count ? graph_tensor(graph, node->inputs[i]) : NULL;
}

const struct graph_tensor *graph_output(const struct graph *graph, const struct onnx_node *node, size_t i)
{
    return i < node->output_count ? graph_tensor(graph, node->outputs[i]) : NULL;
}

struct onnx_node *graph_only_user(const struct graph *graph, const char *name)
{
    const struct graph_tensor *tensor = graph_tensor(graph, name);
    bool only = tensor && tensor->use_count == 1 && !tensor->is_output && !tensor->captured;
    return only ? tensor->uses[0].node : NULL;
}

/* ---- constants as floats ---- */

static float read_float(const uint8_t *at, enum tensor_dtype dtype)
{
    float single;
    double wide;
    uint16_t half;
    if (dtype == DTYPE_FLOAT32)
        return memcpy(&single, at, sizeof single), single;
    if (dtype == DTYPE_FLOAT64)
        return memcpy(&wide, at, sizeof wide), (float)wide;
    memcpy(&half, at, sizeof half);
    if (dtype == DTYPE_FLOAT16)
        return half_to_float(half);
    uint32_t bits = (uint32_t)half << 16; /* bfloat16 */
    return memcpy(&single, &bits, sizeof single), single;
}

float *graph_floats(const struct graph *graph, const char *name, size_t *out_count)
{
    const struct graph_tensor *tensor = graph_tensor(graph, name);
    const struct onnx_weight *weight = tensor ? tensor->weight : NULL;
    if (!weight || !weight->data.data ||
        (weight->dtype != DTYPE_FLOAT32 && weight->dtype != DTYPE_FLOAT64 && weight->dtype != DTYPE_FLOAT16 &&
         weight->dtype != DTYPE_BFLOAT16))
        return NULL;
    size_t size = tensor_element_bytes(weight->dtype), count = weight->data.len / size;
    float *values = mem_zalloc(count + 1, sizeof *values);
    if (!values)
        return NULL;
    for (size_t i = 0; i < count; i++)
        values[i] = read_float(weight->data.data + i * size, weight->dtype);
    *out_count = count;
    return values;
}

void graph_set_shape(struct graph *graph, const char *name, enum tensor_dtype dtype, const int64_t *dims,
                     size_t dim_count)
{
    struct slot *slot = graph_find(graph, name);
    if (!slot)
        return;
    slot->tensor.dtype = dtype;
    slot->tensor.shaped = dim_count <= RELEASE_MAX_DIMS;
    slot->tensor.dim_count = slot->tensor.shaped ? dim_count : 0;
    if (slot->tensor.dim_count)
        memcpy(slot->tensor.dims, dims, slot->tensor.dim_count * sizeof *dims);
}
