/* deps: forge/graph wire/onnx wire sys */
/* Any bytes as a graph: opened, upgraded, changed, tidied, written. Never a crash; what was tidied is read again and is tidy. */
#include "base/buf.h"
#include "forge/graph/graph.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct graph *read_graph(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct onnx_model *model = NULL;
    struct graph *graph = NULL;
    if (onnx_model_parse(data, size, &model, &err) < 0 || graph_of(model, &graph, &err) < 0)
        return NULL;
    return graph;
}

/* A node behind every other one's first output, in its place for some. */
static void put_nodes_between(struct graph *graph, size_t seed)
{
    struct err err = {0};
    size_t count;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    count = count < 16 ? count : 16;
    struct onnx_node *chosen[16];
    for (size_t i = 0; i < count; i++)
        chosen[i] = nodes[i];
    for (size_t i = 0; i < count; i++) {
        if (!chosen[i]->output_count || !*chosen[i]->outputs[0])
            continue;
        const char *from = chosen[i]->outputs[0], *to = graph_fresh(graph, from);
        if (!to || !graph_add(graph, "Identity", &from, 1, &to, 1) ||
            ((seed >> i & 1) && graph_replace_uses(graph, from, to, &err) < 0))
            abort();
    }
}

static void tidy_and_write(struct graph *graph, struct buf *out)
{
    struct err err = {0};
    if (graph_tidy(graph, &err) < 0 || graph_format(graph, out, &err) < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    cleanup_graph struct graph *first = read_graph(data, size), *second = NULL;
    cleanup_buf struct buf once = BUF_INIT(64 << 20), twice = BUF_INIT(64 << 20);
    if (!first)
        return 0;
    (void)!graph_hoist_constants(first, &err);
    (void)!graph_upgrade(first, 17 + (int64_t)(size % 5), &err); /* a half upgraded one is still a graph */
    put_nodes_between(first, size);
    tidy_and_write(first, &once);
    second = read_graph(once.data, once.len);
    if (!second)
        abort();
    tidy_and_write(second, &twice);
    if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
        abort();
    return 0;
}
