/* Layers for nets.c, one function each: they append nodes and give the name of what comes out. Errors stick: after the first one everything gives NULL. */
#ifndef MUSTER_FORGE_TESTING_LAYERS_H
#define MUSTER_FORGE_TESTING_LAYERS_H

#include "wire/onnx/model.h"

#include <stdbool.h>
#include <stdint.h>

struct layers {
    struct onnx_model *model;
    uint64_t random;
    int count; /* of names */
    bool failed;
};

struct conv_shape {
    int in, out, kernel, stride,
        group;  /* group 0: 1; kernel odd: padded to keep the size, even: not padded */
    float gain; /* of the weights' spread over that of He; 0: 1 */
    bool no_bias;
    int pass; /* so many first channels see nothing but themselves, times pass_gain; group must be 1 */
    float pass_gain;
};

float layers_normal(struct layers *net); /* mean 0, variance 1 */
const char *layer(struct layers *net, const char *op, const char *const *inputs, size_t count);
const char *layer1(struct layers *net, const char *op, const char *x);
const char *layer2(struct layers *net, const char *op, const char *x, const char *y);
const char *layer_floats(struct layers *net, const float *values, const int64_t *dims, size_t dim_count);
const char *layer_float(struct layers *net, float value);
const char *layer_ints(struct layers *net, const int64_t *values, size_t count);
const char *layer_conv(struct layers *net, const char *x, const struct conv_shape *shape);
/* 1x1, its weights given: values[out][in], bias[out]. */
const char *layer_head(struct layers *net, const char *x, int in, int out, const float *values,
                       const float *bias);
const char *layer_gemm(struct layers *net, const char *x, int in, int out, float gain);
const char *layer_relu(struct layers *net, const char *x);
const char *layer_relu6(struct layers *net, const char *x);
const char *layer_silu(struct layers *net, const char *x);
const char *layer_hard_swish(struct layers *net,
                             const char *x); /* x * Clip(x + 3, 0, 6) / 6, as older exporters write it */
const char *layer_squeeze_excite(struct layers *net, const char *x, int channels, int squeezed);
const char *layer_concat(struct layers *net, const char *const *inputs, size_t count, int axis);
const char *layer_reshape(struct layers *net, const char *x, const int64_t *dims, size_t dim_count);
const char *layer_slice(struct layers *net, const char *x, int axis, int from, int to);
const char *layer_global_pool(struct layers *net, const char *x, int channels); /* [1, channels] */
void layers_set_int(struct layers *net, const char *attr, int64_t value);       /* of the newest node */
void layers_set_ints(struct layers *net, const char *attr, const int64_t *values, size_t count);

#endif
