#include "forge/testing/nets.h"

#include "base/str.h"
#include "forge/testing/layers.h"

enum { OPSET = 17, IR_VERSION = 8, CLASSES = 10, YOLO_CLASSES = 4, COLOURS = 3, DFL_BINS = 16 };

/* ---- kinds: from "x" to the name of what is the output ---- */

struct shape {
    int size, channels, blocks;
};

static const char *stem(struct layers *net, int channels)
{
    const struct conv_shape conv = {.in = 3, .out = channels, .kernel = 3, .stride = 1};
    return layer_conv(net, "x", &conv);
}

static const char *classify(struct layers *net, const char *x, int channels)
{
    return layer_gemm(net, layer_global_pool(net, x, channels), channels, CLASSES, 1);
}

static const char *residual_block(struct layers *net, const char *x, int channels)
{
    const struct conv_shape first = {.in = channels, .out = channels, .kernel = 3, .stride = 1};
    const struct conv_shape second = {
        .in = channels, .out = channels, .kernel = 3, .stride = 1, .gain = 0.4F};
    const char *inner = layer_relu(net, layer_conv(net, x, &first));
    return layer_relu(net, layer2(net, "Add", x, layer_conv(net, inner, &second)));
}

static const char *residual(struct layers *net, const struct shape *shape)
{
    const char *x = layer_relu(net, stem(net, shape->channels));
    for (int i = 0; i < shape->blocks; i++)
        x = residual_block(net, x, shape->channels);
    return classify(net, x, shape->channels);
}

static const char *residual_big(struct layers *net, const struct shape *shape)
{
    int channels = shape->channels;
    const char *x = layer_relu(net, stem(net, channels));
    for (int stage = 0; stage < 4; stage++, channels *= 2) {
        for (int i = 0; i < shape->blocks; i++)
            x = residual_block(net, x, channels);
        const struct conv_shape down = {.in = channels, .out = 2 * channels, .kernel = 3, .stride = 2};
        if (stage < 3)
            x = layer_relu(net, layer_conv(net, x, &down));
    }
    return classify(net, x, channels / 2);
}

static const char *silu(struct layers *net, const struct shape *shape)
{
    const struct conv_shape conv = {
        .in = shape->channels, .out = shape->channels, .kernel = 3, .stride = 1, .gain = 1.2F};
    const char *x = layer_silu(net, stem(net, shape->channels));
    for (int i = 0; i < shape->blocks; i++)
        x = layer_silu(net, layer_conv(net, x, &conv));
    return classify(net, x, shape->channels);
}

static const char *inverted_block(struct layers *net, const char *x, int channels, bool squeeze)
{
    int wide = squeeze ? 4 * channels : 6 * channels;
    const struct conv_shape expand = {.in = channels, .out = wide, .kernel = 1, .stride = 1};
    const struct conv_shape depth = {
        .in = wide, .out = wide, .kernel = 3, .stride = 1, .group = wide, .gain = 1.2F};
    const struct conv_shape project = {.in = wide, .out = channels, .kernel = 1, .stride = 1, .gain = 0.5F};
    const char *(*act)(struct layers *, const char *) = squeeze ? layer_hard_swish : layer_relu6;
    const char *inner = act(net, layer_conv(net, x, &expand));
    inner = act(net, layer_conv(net, inner, &depth));
    if (squeeze)
        inner = layer_squeeze_excite(net, inner, wide, wide / 4);
    return layer2(net, "Add", x, layer_conv(net, inner, &project));
}

static const char *inverted_net(struct layers *net, const struct shape *shape, bool squeeze)
{
    const char *x = layer_relu6(net, stem(net, shape->channels));
    for (int i = 0; i < shape->blocks; i++)
        x = inverted_block(net, x, shape->channels, squeeze);
    return classify(net, x, shape->channels);
}

static const char *inverted(struct layers *net, const struct shape *shape)
{
    return inverted_net(net, shape, false);
}

static const char *squeeze(struct layers *net, const struct shape *shape)
{
    return inverted_net(net, shape, true);
}

static const char *max_pool(struct layers *net, const char *x)
{
    const char *out = layer1(net, "MaxPool", x);
    layers_set_ints(net, "kernel_shape", (const int64_t[]){2, 2}, 2);
    layers_set_ints(net, "strides", (const int64_t[]){2, 2}, 2);
    return out;
}

static const char *twice_the_size(struct layers *net, const char *x)
{
    const float scales[] = {1, 1, 2, 2};
    const char *const inputs[] = {x, "", layer_floats(net, scales, (const int64_t[]){4}, 1)};
    return layer(net, "Resize", inputs, 3);
}

static const char *concat(struct layers *net, const struct shape *shape)
{
    int channels = shape->channels;
    const struct conv_shape same = {.in = channels, .out = channels, .kernel = 3, .stride = 1};
    const struct conv_shape louder = {.in = channels, .out = channels, .kernel = 1, .stride = 1, .gain = 2};
    const struct conv_shape merge = {.in = 2 * channels, .out = channels, .kernel = 3, .stride = 1};
    const char *x = layer_relu(net, stem(net, channels));
    for (int i = 0; i < shape->blocks; i++) {
        const char *small = layer_relu(net, layer_conv(net, max_pool(net, x), &same));
        const char *parts[] = {twice_the_size(net, small), layer_relu(net, layer_conv(net, x, &louder))};
        x = layer_relu(net, layer_conv(net, layer_concat(net, parts, 2, 1), &merge));
    }
    return classify(net, x, channels);
}

static const char *dense(struct layers *net, const struct shape *shape)
{
    int in = 3 * shape->size * shape->size, width = shape->channels;
    const char *x = layer1(net, "Flatten", "x");
    x = layer_relu(net, layer_gemm(net, x, in, width, 1));
    for (int i = 1; i < shape->blocks; i++)
        x = layer_relu(net, layer_gemm(net, x, width, width, 1));
    return layer1(net, "Softmax", layer_gemm(net, x, width, CLASSES, 4));
}

static const char *tiny(struct layers *net, const struct shape *shape)
{
    const struct conv_shape conv = {.in = 3, .out = shape->channels, .kernel = 3, .stride = 2};
    const char *x = layer_hard_swish(net, layer_conv(net, "x", &conv));
    return classify(net, layer_squeeze_excite(net, x, shape->channels, shape->channels), shape->channels);
}

/* ---- a YOLO-style detector: boxes in pixels beside scores 0..1 in one tensor ---- */

/* Four distances to a box's sides, each the mean of a distribution over 16 bins (DFL). */
static const char *distances(struct layers *net, const char *x, int cells)
{
    float bins[DFL_BINS];
    for (int i = 0; i < DFL_BINS; i++)
        bins[i] = (float)i;
    x = layer_reshape(net, x, (const int64_t[]){1, 4, DFL_BINS, cells}, 4);
    x = layer1(net, "Transpose", x);
    layers_set_ints(net, "perm", (const int64_t[]){0, 2, 1, 3}, 4);
    x = layer1(net, "Softmax", x);
    layers_set_int(net, "axis", 1);
    const char *means =
        layer2(net, "Conv", x, layer_floats(net, bins, (const int64_t[]){1, DFL_BINS, 1, 1}, 4));
    layers_set_ints(net, "kernel_shape", (const int64_t[]){1, 1}, 2);
    return layer_reshape(net, means, (const int64_t[]){1, 4, cells}, 3);
}

static const char *cell_centres(struct layers *net, int side)
{
    size_t cells = (size_t)side * (size_t)side;
    cleanup_free float *points = mem_zalloc(2 * cells, sizeof *points);
    if (!points) {
        net->failed = true;
        return NULL;
    }
    for (size_t i = 0; i < cells; i++) {
        points[i] = (float)(i % (size_t)side) + 0.5F;
        points[cells + i] = (float)(i / (size_t)side) + 0.5F;
    }
    return layer_floats(net, points, (const int64_t[]){1, 2, (int64_t)cells}, 3);
}

static const char *boxes(struct layers *net, const char *x, int side, int stride)
{
    const char *reach = distances(net, x, side * side), *centres = cell_centres(net, side);
    const char *low = layer2(net, "Sub", centres, layer_slice(net, reach, 1, 0, 2));
    const char *high = layer2(net, "Add", centres, layer_slice(net, reach, 1, 2, 4));
    const char *middle = layer2(net, "Div", layer2(net, "Add", low, high), layer_float(net, 2));
    const char *parts[] = {middle, layer2(net, "Sub", high, low)};
    return layer2(net, "Mul", layer_concat(net, parts, 2, 1), layer_float(net, (float)stride));
}

/* What is red, green, blue, white: a colour's own channels passed the backbone alone, brightness 0..1 having become 0..11 or so. */
static const char *scores(struct layers *net, const char *x, int channels)
{
    static const float colours[YOLO_CLASSES][COLOURS] = {
        {1, -1, -1}, {-1, 1, -1}, {-1, -1, 1}, {0.5F, 0.5F, 0.5F}};
    static const float bias[YOLO_CLASSES] = {1, 1, 1, -5};
    size_t width = (size_t)channels;
    cleanup_free float *values = mem_zalloc(YOLO_CLASSES * width, sizeof *values);
    for (size_t i = 0; values && i < YOLO_CLASSES * width; i++)
        values[i] = i % width < COLOURS ? colours[i / width][i % width] : 0.02F * layers_normal(net);
    if (!values)
        net->failed = true;
    return values ? layer_head(net, x, channels, YOLO_CLASSES, values, bias) : NULL;
}

/* Boxes of some two cells, not all alike. */
static const char *box_bins(struct layers *net, const char *x, int channels)
{
    float bias[4 * DFL_BINS];
    size_t count = 4 * DFL_BINS * (size_t)channels;
    cleanup_free float *values = mem_zalloc(count, sizeof *values);
    for (size_t i = 0; values && i < count; i++)
        values[i] = 0.2F * layers_normal(net);
    for (int i = 0; i < 4 * DFL_BINS; i++)
        bias[i] = -(float)((i % DFL_BINS - 1) * (i % DFL_BINS - 1));
    if (!values)
        net->failed = true;
    return values ? layer_head(net, x, channels, 4 * DFL_BINS, values, bias) : NULL;
}

static const char *yolo(struct layers *net, const struct shape *shape)
{
    int channels = shape->channels, side = shape->size / 16;
    const struct conv_shape patch = {
        .in = 3, .out = channels, .kernel = 4, .stride = 4, .gain = 2, .pass = COLOURS, .pass_gain = 4};
    const struct conv_shape down = {.in = channels,
                                    .out = channels,
                                    .kernel = 3,
                                    .stride = 2,
                                    .gain = 1.4F,
                                    .pass = COLOURS,
                                    .pass_gain = 1};
    const struct conv_shape same = {.in = channels,
                                    .out = channels,
                                    .kernel = 3,
                                    .stride = 1,
                                    .gain = 1.4F,
                                    .pass = COLOURS,
                                    .pass_gain = 1};
    const char *x = layer_silu(net, layer_conv(net, "x", &patch));
    x = layer_silu(net, layer_conv(net, x, &down));
    x = layer_silu(net, layer_conv(net, x, &down));
    for (int i = 0; i < shape->blocks; i++)
        x = layer2(net, "Add", x, layer_silu(net, layer_conv(net, x, &same)));
    const char *box = box_bins(net, layer_silu(net, layer_conv(net, x, &same)), channels);
    const char *score = scores(net, layer_silu(net, layer_conv(net, x, &same)), channels);
    score = layer2(net, "Sub", score, layer_float(net, 6)); /* most cells see nothing */
    score = layer_reshape(net, score, (const int64_t[]){1, YOLO_CLASSES, side * side}, 3);
    const char *parts[] = {boxes(net, box, side, 16), layer1(net, "Sigmoid", score)};
    return layer_concat(net, parts, 2, 1);
}

/* ---- building ---- */

static const struct kind {
    const char *name;
    const char *(*build)(struct layers *net, const struct shape *shape);
    struct shape usual;
} kinds[NET_COUNT] = {
    [NET_RESIDUAL] = {"residual", residual, {56, 64, 6}},
    [NET_SILU] = {"silu", silu, {56, 64, 8}},
    [NET_INVERTED] = {"inverted", inverted, {56, 24, 6}},
    [NET_SQUEEZE] = {"squeeze", squeeze, {56, 16, 4}},
    [NET_CONCAT] = {"concat", concat, {56, 32, 2}},
    [NET_YOLO] = {"yolo", yolo, {640, 32, 2}},
    [NET_DENSE] = {"dense", dense, {32, 64, 2}},
    [NET_RESIDUAL_BIG] = {"residual_big", residual_big, {56, 56, 2}},
    [NET_TINY] = {"tiny", tiny, {16, 8, 1}},
};

const char *net_name(enum net_kind kind)
{
    return kinds[kind].name;
}

/* What was appended last is the model's output. */
static int add_ends(struct layers *net, enum net_kind kind, int size)
{
    struct onnx_graph *graph = onnx_model_graph(net->model);
    const int64_t in[] = {1, 3, size, size}, classes[] = {1, CLASSES};
    const int64_t cells[] = {1, 4 + YOLO_CLASSES, (size / 16) * (size / 16)};
    bool yolo_like = kind == NET_YOLO;
    const char *name = onnx_model_name(net->model, "y");
    if (!name ||
        !onnx_model_add_value(net->model, &graph->outputs, &graph->output_count, "y", DTYPE_FLOAT32,
                              yolo_like ? cells : classes, yolo_like ? 3 : 2) ||
        !onnx_model_add_value(net->model, &graph->inputs, &graph->input_count, "x", DTYPE_FLOAT32, in, 4))
        return -1;
    graph->nodes[graph->node_count - 1]->outputs[0] = name;
    return 0;
}

int net_size(enum net_kind kind, const struct net_shape *shape)
{
    return shape && shape->size ? shape->size : kinds[kind].usual.size;
}

int net_build(enum net_kind kind, const struct net_shape *wish, struct graph **out, struct err *err)
{
    const struct shape *usual = &kinds[kind].usual;
    struct shape shape = {.size = net_size(kind, wish),
                          .channels = wish && wish->channels ? wish->channels : usual->channels,
                          .blocks = wish && wish->blocks ? wish->blocks : usual->blocks};
    struct layers net = {.model = onnx_model_new(IR_VERSION, OPSET),
                         .random = (uint64_t)kind << 32 | (wish ? wish->seed : 0)};
    if (!net.model)
        return err_no_memory(err);
    onnx_model_graph(net.model)->name = onnx_model_name(net.model, kinds[kind].name);
    kinds[kind].build(&net, &shape);
    if (net.failed || add_ends(&net, kind, shape.size) < 0) {
        onnx_model_free(net.model);
        return err_no_memory(err);
    }
    return graph_of(net.model, out, err);
}

int net_write(enum net_kind kind, const struct net_shape *shape, const char *path, struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    if (net_build(kind, shape, &graph, err) < 0)
        return -1;
    return graph_save(graph, path, err);
}
