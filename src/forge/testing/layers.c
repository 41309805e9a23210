#include "forge/testing/layers.h"

#include <math.h>
#include <stdio.h>

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t next_random(struct layers *net)
{
    uint64_t z = net->random += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

static double uniform(struct layers *net)
{
    return ((double)(next_random(net) >> 11) + 0.5) * 0x1p-53;
}

float layers_normal(struct layers *net)
{
    double radius = sqrt(-2 * log(uniform(net)));
    return (float)(radius * cos(2 * M_PI * uniform(net)));
}

/* ---- nodes and constants ---- */

static void fresh(struct layers *net, const char *base, char out[64])
{
    snprintf(out, 64, "%.40s_%d", base, net->count++);
}

static struct onnx_node *newest(const struct layers *net)
{
    struct onnx_graph *graph = onnx_model_graph(net->model);
    return graph->nodes[graph->node_count - 1];
}

const char *layer(struct layers *net, const char *op, const char *const *inputs, size_t count)
{
    char name[64], out[80];
    for (size_t i = 0; i < count; i++)
        net->failed |= !inputs[i];
    if (net->failed)
        return NULL;
    fresh(net, op, name);
    snprintf(out, sizeof out, "%s.out", name);
    const char *const outputs[] = {out};
    struct onnx_node *node = onnx_model_add_node(net->model, op, name, inputs, count, outputs, 1);
    net->failed |= !node;
    return node ? node->outputs[0] : NULL;
}

const char *layer1(struct layers *net, const char *op, const char *x)
{
    return layer(net, op, &x, 1);
}

const char *layer2(struct layers *net, const char *op, const char *x, const char *y)
{
    const char *const inputs[] = {x, y};
    return layer(net, op, inputs, 2);
}

void layers_set_int(struct layers *net, const char *attr, int64_t value)
{
    struct err err = {0};
    if (!net->failed && onnx_node_set_int(net->model, newest(net), attr, value, &err) < 0)
        net->failed = true;
}

void layers_set_ints(struct layers *net, const char *attr, const int64_t *values, size_t count)
{
    struct err err = {0};
    if (!net->failed && onnx_node_set_ints(net->model, newest(net), attr, values, count, &err) < 0)
        net->failed = true;
}

static const char *add_weight(struct layers *net, const char *base, enum tensor_dtype dtype,
                              const int64_t *dims, size_t dim_count, const void *data)
{
    char name[64];
    if (net->failed)
        return NULL;
    fresh(net, base, name);
    struct onnx_weight *weight = onnx_model_add_weight(net->model, name, dtype, dims, dim_count, data);
    net->failed |= !weight;
    return weight ? weight->name : NULL;
}

const char *layer_floats(struct layers *net, const float *values, const int64_t *dims, size_t dim_count)
{
    return add_weight(net, "const", DTYPE_FLOAT32, dims, dim_count, values);
}

const char *layer_float(struct layers *net, float value)
{
    return add_weight(net, "const", DTYPE_FLOAT32, NULL, 0, &value);
}

const char *layer_ints(struct layers *net, const int64_t *values, size_t count)
{
    const int64_t dims[] = {(int64_t)count};
    return add_weight(net, "const", DTYPE_INT64, dims, 1, values);
}

/* Channels of unlike spread, as trained nets have them: that is what per-channel scales are for. */
static float *random_values(struct layers *net, const int64_t *dims, size_t dim_count, float spread)
{
    size_t count = 1;
    for (size_t i = 0; i < dim_count; i++)
        count *= (size_t)dims[i];
    size_t inner = count / (size_t)dims[0];
    float *values = mem_zalloc(count, sizeof *values);
    if (!values || net->failed) {
        net->failed = true;
        return values;
    }
    for (size_t i = 0; i < (size_t)dims[0]; i++) {
        float scale = spread * (0.5F + (float)uniform(net));
        for (size_t k = 0; k < inner; k++)
            values[i * inner + k] = scale * layers_normal(net);
    }
    return values;
}

static const char *random_weight(struct layers *net, const char *base, const int64_t *dims, size_t dim_count,
                                 float spread)
{
    cleanup_free float *values = random_values(net, dims, dim_count, spread);
    return values ? add_weight(net, base, DTYPE_FLOAT32, dims, dim_count, values) : NULL;
}

/* ---- layers ---- */

static void set_window(struct layers *net, int kernel, int stride)
{
    int64_t pad = kernel % 2 ? kernel / 2 : 0;
    layers_set_ints(net, "kernel_shape", (const int64_t[]){kernel, kernel}, 2);
    layers_set_ints(net, "strides", (const int64_t[]){stride, stride}, 2);
    layers_set_ints(net, "pads", (const int64_t[]){pad, pad, pad, pad}, 4);
}

/* The pixels of the input that are one pixel of the output: those of no other output. */
static void pass_through(float *values, const struct conv_shape *shape)
{
    int kernel = shape->kernel, from = kernel % 2 ? kernel / 2 : 0, to = from + shape->stride;
    size_t area = (size_t)kernel * (size_t)kernel, row = (size_t)shape->in * area;
    float share = shape->pass_gain / (float)(shape->stride * shape->stride);
    for (size_t c = 0; c < (size_t)shape->pass; c++) {
        memset(values + c * row, 0, row * sizeof *values);
        for (int y = from; y < to; y++)
            for (int x = from; x < to; x++)
                values[c * row + c * area + (size_t)(y * kernel + x)] = share;
    }
}

const char *layer_conv(struct layers *net, const char *x, const struct conv_shape *shape)
{
    int group = MAX(shape->group, 1), fan_in = shape->in / group * shape->kernel * shape->kernel;
    const int64_t dims[] = {shape->out, shape->in / group, shape->kernel, shape->kernel};
    float gain = shape->gain > 0 ? shape->gain : 1;
    cleanup_free float *values = random_values(net, dims, 4, gain * sqrtf(2.0F / (float)fan_in));
    if (!values)
        return NULL;
    pass_through(values, shape);
    const char *inputs[3] = {x, add_weight(net, "weight", DTYPE_FLOAT32, dims, 4, values)};
    if (!shape->no_bias)
        inputs[2] = random_weight(net, "bias", dims, 1, 0.1F);
    const char *out = layer(net, "Conv", inputs, shape->no_bias ? 2 : 3);
    set_window(net, shape->kernel, shape->stride);
    layers_set_int(net, "group", group);
    return out;
}

const char *layer_head(struct layers *net, const char *x, int in, int out, const float *values,
                       const float *bias)
{
    const char *inputs[] = {x, layer_floats(net, values, (const int64_t[]){out, in, 1, 1}, 4),
                            layer_floats(net, bias, (const int64_t[]){out}, 1)};
    const char *result = layer(net, "Conv", inputs, 3);
    set_window(net, 1, 1);
    layers_set_int(net, "group", 1);
    return result;
}

const char *layer_gemm(struct layers *net, const char *x, int in, int out, float gain)
{
    const int64_t dims[] = {out, in};
    const char *inputs[] = {x, random_weight(net, "weight", dims, 2, gain * sqrtf(2.0F / (float)in)),
                            random_weight(net, "bias", dims, 1, 0.1F)};
    const char *result = layer(net, "Gemm", inputs, 3);
    layers_set_int(net, "transB", 1);
    return result;
}

const char *layer_relu(struct layers *net, const char *x)
{
    return layer1(net, "Relu", x);
}

static const char *clip(struct layers *net, const char *x, float low, float high)
{
    const char *const inputs[] = {x, layer_float(net, low), layer_float(net, high)};
    return layer(net, "Clip", inputs, 3);
}

const char *layer_relu6(struct layers *net, const char *x)
{
    return clip(net, x, 0, 6);
}

const char *layer_silu(struct layers *net, const char *x)
{
    return layer2(net, "Mul", x, layer1(net, "Sigmoid", x));
}

const char *layer_hard_swish(struct layers *net, const char *x)
{
    const char *inner = clip(net, layer2(net, "Add", x, layer_float(net, 3)), 0, 6);
    return layer2(net, "Div", layer2(net, "Mul", x, inner), layer_float(net, 6));
}

const char *layer_squeeze_excite(struct layers *net, const char *x, int channels, int squeezed)
{
    const struct conv_shape down = {.in = channels, .out = squeezed, .kernel = 1, .stride = 1};
    const struct conv_shape up = {.in = squeezed, .out = channels, .kernel = 1, .stride = 1};
    const char *pooled = layer1(net, "GlobalAveragePool", x);
    const char *inner = layer_relu(net, layer_conv(net, pooled, &down));
    return layer2(net, "Mul", x, layer1(net, "HardSigmoid", layer_conv(net, inner, &up)));
}

const char *layer_concat(struct layers *net, const char *const *inputs, size_t count, int axis)
{
    const char *out = layer(net, "Concat", inputs, count);
    layers_set_int(net, "axis", axis);
    return out;
}

const char *layer_reshape(struct layers *net, const char *x, const int64_t *dims, size_t dim_count)
{
    return layer2(net, "Reshape", x, layer_ints(net, dims, dim_count));
}

const char *layer_slice(struct layers *net, const char *x, int axis, int from, int to)
{
    const char *const inputs[] = {x, layer_ints(net, (const int64_t[]){from}, 1),
                                  layer_ints(net, (const int64_t[]){to}, 1),
                                  layer_ints(net, (const int64_t[]){axis}, 1)};
    return layer(net, "Slice", inputs, 4);
}

const char *layer_global_pool(struct layers *net, const char *x, int channels)
{
    return layer_reshape(net, layer1(net, "GlobalAveragePool", x), (const int64_t[]){1, channels}, 2);
}
