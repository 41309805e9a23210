/* Small networks of known shape for tests and benches, with weights from a seed, built by the graph editor: what quantization, pruning and TensorRT
 * preparation have to cope with. Input "x" float32 [1, 3, size, size], except where said; all biases and scales are such that activations keep
 * their size through the net, as in a trained one.
 *
 *     residual     blocks of conv 3x3 - ReLU - conv 3x3 - Add - ReLU                      silu       conv 3x3 - Sigmoid - Mul
 *     inverted     1x1 - Clip(0, 6) - depthwise 3x3 - Clip - 1x1 [- Add]                  squeeze    inverted with squeeze-excite (HardSigmoid) and hard-swish
 *     concat       two branches of conv - Concat - conv, MaxPool, Resize (nearest)        yolo       backbone, head with boxes in pixels beside scores 0..1 in one
 *     dense        Flatten - Gemm - Relu - Gemm [- Softmax]                                          Concat: output0 [1, 4 + classes, cells], DFL before it
 *     residual_big some 10 M parameters                                                   tiny       so small that integers cannot pay
 *
 * yolo sees single cells (16x16 pixels) that are red, green, blue or white on a dark ground, as tests/corpus/render.py tiles paints them, and is as sure of
 * them as a trained detector is.
 */
#ifndef MUSTER_FORGE_TESTING_NETS_H
#define MUSTER_FORGE_TESTING_NETS_H

#include "forge/graph/graph.h"

enum net_kind {
    NET_RESIDUAL,
    NET_SILU,
    NET_INVERTED,
    NET_SQUEEZE,
    NET_CONCAT,
    NET_YOLO,
    NET_DENSE,
    NET_RESIDUAL_BIG,
    NET_TINY,
    NET_COUNT
};
const char *net_name(enum net_kind kind);

struct net_shape {
    int size;     /* of the input, pixels; 0: the kind's own (56) */
    int channels; /* 0: the kind's own */
    int blocks;   /* 0: the kind's own */
    uint32_t seed;
};
int net_build(enum net_kind kind, const struct net_shape *shape, struct graph **out,
              struct err *err) must_check;
int net_size(enum net_kind kind, const struct net_shape *shape); /* of the input, pixels */
/* Builds and saves. */
int net_write(enum net_kind kind, const struct net_shape *shape, const char *path,
              struct err *err) must_check;
/* Writes `count` samples as .npy files x-000.npy …: smooth random pictures (blobs and gradients), [1, 3, size, size], 0..1. */
int net_samples(const char *dir, int size, size_t count, uint32_t seed, struct err *err) must_check;

#endif
