/* One consumer of channels: its geometry, its weights in the order of im2col rows, and back. */
#include "forge/prune/moments.h"

#include "base/str.h"

#include <string.h>

enum { COLUMNS_PER_INPUT = 16, COLUMNS_LEAST = 4096 };

static size_t common_divisor(size_t a, size_t b)
{
    while (b) {
        size_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Every step-th position, so that all samples together have some columns per unknown; not always in the same column of the picture. */
static void spread_positions(struct consumer *consumer, size_t sample_count)
{
    size_t all = im2col_columns(&consumer->shape);
    size_t wanted = MAX((size_t)COLUMNS_PER_INPUT * consumer->n, (size_t)COLUMNS_LEAST);
    size_t step = sample_count ? all * sample_count / wanted : 1;
    step = MIN(MAX(step, (size_t)1), all);
    while (step > 1 && step < all && common_divisor(step, consumer->shape.out_w) > 1)
        step++;
    consumer->step = step;
    consumer->count = all / step;
}

static bool copy_name(char *out, size_t size, const char *name)
{
    return snprintf(out, size, "%s", name) < (int)size;
}

int consumer_of(const struct graph *graph, const struct couple_consumer *from, size_t sample_count,
                struct consumer *out, struct err *err)
{
    const struct onnx_node *node = from->node;
    const struct graph_tensor *input = graph_input(graph, node, 0), *weight = graph_input(graph, node, 1);
    *out = (struct consumer){0};
    if (!copy_name(out->node, sizeof out->node, node->name) ||
        !copy_name(out->input, sizeof out->input, node->inputs[0]) ||
        !copy_name(out->output, sizeof out->output, node->outputs[0]))
        return err_set(err, ERR_UNSUPPORTED, "%.60s…: names longer than 255 bytes", node->name);
    if (im2col_of(graph, node, input->dims, input->dim_count, &out->shape, err) < 0)
        return -1;
    out->n = im2col_rows(&out->shape);
    out->kernel = out->n / out->shape.channels;
    out->m = onnx_weight_elements(weight->weight) / out->n;
    out->rows_first = !graph_is_op(node, "Conv");
    out->biased = !graph_is_op(node, "MatMul");
    spread_positions(out, sample_count);
    return 0;
}

struct consumer consumer_pointwise(const struct consumer *consumer, size_t sample_count)
{
    struct consumer out = *consumer;
    struct im2col *shape = &out.shape;
    shape->kernel_h = shape->kernel_w = shape->stride_h = shape->stride_w = 1;
    shape->dilation_h = shape->dilation_w = 1;
    shape->pad_top = shape->pad_left = 0;
    shape->out_h = shape->height;
    shape->out_w = shape->width;
    out.n = shape->channels;
    out.m = consumer->m * consumer->kernel;
    out.kernel = 1;
    spread_positions(&out, sample_count);
    return out;
}

static struct onnx_node *find_node(struct graph *graph, const char *name)
{
    size_t count;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    for (size_t i = 0; i < count; i++)
        if (str_eq(nodes[i]->name, name))
            return nodes[i];
    return NULL;
}

/* Conv and Gemm with transB have outputs first. */
static bool outputs_first(const struct onnx_node *node)
{
    return graph_is_op(node, "Conv") || (graph_is_op(node, "Gemm") && onnx_node_int(node, "transB", 0));
}

static size_t weight_at(const struct consumer *consumer, bool outputs_lead, size_t i, size_t o)
{
    return outputs_lead ? o * consumer->n + i : i * consumer->m + o;
}

int consumer_read(struct graph *graph, const struct consumer *consumer, double *w, double *bias,
                  struct err *err)
{
    const struct onnx_node *node = find_node(graph, consumer->node);
    size_t count = 0, bias_count = 0;
    cleanup_free float *values = graph_floats(graph, node->inputs[1], &count);
    cleanup_free float *biases =
        graph_input(graph, node, 2) ? graph_floats(graph, node->inputs[2], &bias_count) : NULL;
    if (!values || count != consumer->n * consumer->m)
        return err_no_memory(err);
    bool lead = outputs_first(node);
    for (size_t i = 0; i < consumer->n; i++)
        for (size_t o = 0; o < consumer->m; o++)
            w[i * consumer->m + o] = (double)values[weight_at(consumer, lead, i, o)];
    for (size_t o = 0; o < consumer->m; o++)
        bias[o] = biases && bias_count == consumer->m ? (double)biases[o] : 0;
    return 0;
}

/* The constant at `input` as one that nobody else reads and that lies in memory of ours. */
static float *own_constant(struct graph *graph, struct onnx_node *node, size_t input, const int64_t *dims,
                           size_t dim_count, struct err *err)
{
    static const char mark[] = ".pruned";
    const struct graph_tensor *old = graph_input(graph, node, input);
    if (old && old->weight && strstr(old->name, mark) && old->use_count == 1)
        return (float *)(uintptr_t)old->weight->data.data;
    cleanup_free char *base = mem_printf("%.200s.%zu%s", node->name, input, mark);
    struct onnx_weight *weight =
        base ? graph_add_weight(graph, base, DTYPE_FLOAT32, dims, dim_count, NULL) : NULL;
    if (!weight) {
        err_no_memory(err);
        return NULL;
    }
    if (graph_set_input(graph, node, input, weight->name, err) < 0)
        return NULL;
    return (float *)(uintptr_t)weight->data.data;
}

int consumer_write(struct graph *graph, const struct consumer *consumer, const double *w, const double *bias,
                   struct err *err)
{
    struct onnx_node *node = find_node(graph, consumer->node);
    const struct onnx_weight *old = graph_input(graph, node, 1)->weight;
    int64_t dims[ONNX_MAX_DIMS], count = (int64_t)consumer->m;
    memcpy(dims, old->dims, sizeof dims);
    float *values = own_constant(graph, node, 1, dims, old->dim_count, err);
    float *biases = values && consumer->biased ? own_constant(graph, node, 2, &count, 1, err) : NULL;
    if (!values || (consumer->biased && !biases))
        return -1;
    bool lead = outputs_first(node);
    for (size_t i = 0; i < consumer->n; i++)
        for (size_t o = 0; o < consumer->m; o++)
            values[weight_at(consumer, lead, i, o)] = (float)w[i * consumer->m + o];
    for (size_t o = 0; biases && o < consumer->m; o++)
        biases[o] = (float)bias[o];
    return 0;
}
