/* deps: wire/onnx wire */
/* Any bytes as a model: what is taken is written, and taken again with the same bytes; changes do not hurt. */
#include "base/buf.h"
#include "wire/onnx/model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int put(void *arg, const void *data, size_t len, struct err *err)
{
    return buf_put(arg, data, len, err);
}

/* What was read may always be written. */
static void write_model(const struct onnx_model *model, struct buf *out)
{
    struct err err = {0};
    const struct onnx_writer writer = {.put = put, .arg = out};
    if (onnx_model_write(model, &writer, &err) < 0 || onnx_model_bytes(model, &writer) != out->len)
        abort();
}

static void check_weights(const struct onnx_graph *graph)
{
    for (size_t i = 0; i < graph->weight_count; i++) {
        const struct onnx_weight *weight = graph->weights[i];
        if (weight->data.data && /* and every byte is there: it is written */
            weight->data.len != onnx_weight_elements(weight) * tensor_element_bytes(weight->dtype))
            abort();
    }
}

static void change(struct onnx_model *model, size_t seed)
{
    struct err err = {0};
    struct onnx_graph *graph = onnx_model_graph(model);
    static const char *const names[] = {"x", NULL, "made"};
    const int64_t dims[] = {1, 2, -1};
    struct onnx_node *node = onnx_model_add_node(model, "Add", "made", names, 3, names + 2, 1);
    for (size_t i = 0; i < graph->node_count && !err.code; i++) {
        (void)!onnx_node_set_ints(model, graph->nodes[i], "axes", dims, 3, &err);
        (void)!onnx_node_set_string(model, graph->nodes[i], "mode", "linear", &err);
        if (graph->nodes[i]->attr_count)
            onnx_node_drop_attr(graph->nodes[i],
                                graph->nodes[i]->attrs[seed % graph->nodes[i]->attr_count].name);
        graph->nodes[i]->removed = (seed >> (i % 8) & 1) != 0;
    }
    for (size_t i = 0; i < graph->value_count; i++)
        graph->values[i]->raw = (struct onnx_bytes){0};
    if (!node || onnx_node_set_inputs(model, node, names, 2, &err) < 0 ||
        onnx_model_set_opset(model, "com.example", 1, &err) < 0 ||
        onnx_model_set_metadata(model, "key", "value", &err) < 0 ||
        !onnx_model_add_weight(model, "made", DTYPE_INT64, dims, 2, NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    cleanup_onnx_model struct onnx_model *first = NULL, *second = NULL, *third = NULL;
    cleanup_buf struct buf once = BUF_INIT(64 << 20), twice = BUF_INIT(64 << 20),
                           changed = BUF_INIT(64 << 20);
    if (onnx_model_parse(data, size, &first, &err) < 0)
        return 0;
    check_weights(onnx_model_graph(first));
    write_model(first, &once);
    if (onnx_model_parse(once.data, once.len, &second, &err) < 0)
        abort();
    write_model(second, &twice);
    if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
        abort();
    change(first, size);
    write_model(first, &changed);
    if (onnx_model_parse(changed.data, changed.len, &third, &err) < 0)
        abort();
    return 0;
}
