/* A bounded reader of what a release must know of an ONNX file before a runtime sees it: inputs, outputs, opsets.
 * Skips tensors (no copy of weights), limits on depth and count; field numbers from onnx.proto (IR version 8).
 *
 *     ModelProto   1 ir_version   2 producer_name   7 graph   8 opset_import {1 domain, 2 version}
 *     GraphProto   1 node   5 initializer   11 input   12 output   15 sparse_initializer {1 values, 2 indices}
 *     NodeProto    5 attribute {5 tensor, 6 graph, 10 tensors, 11 graphs, 22 and 23 sparse tensors}
 *     TensorProto  8 name   13 external_data   14 data_location
 *     ValueInfo    1 name   2 type {1 tensor_type {1 elem_type, 2 shape {1 dim {1 value, 2 param}}}}
 *
 * Limits: 1e6 nodes, 1e6 initializers, subgraphs 8 deep, 8 inputs and outputs, 8 dimensions, names of graph inputs and
 * outputs below 128 bytes. Works on a mapped file of any size; memory: 16 bytes per initializer, freed at the end.
 */
#ifndef MUSTER_WIRE_ONNX_SUMMARY_H
#define MUSTER_WIRE_ONNX_SUMMARY_H

#include "base/err.h"
#include "wire/release.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct onnx_value {
    char name[128];
    int32_t elem_type; /* TensorProto.DataType */
    size_t dim_count;
    int64_t dims[RELEASE_MAX_DIMS]; /* 0 for a symbolic or unknown dimension */
};

struct onnx_summary {
    int64_t ir_version;
    int64_t opset; /* of the default domain */
    char producer[64];
    size_t node_count;
    size_t input_count, output_count; /* inputs without initializers */
    struct onnx_value inputs[RELEASE_MAX_TENSORS];
    struct onnx_value outputs[RELEASE_MAX_TENSORS];
    bool external_data; /* some tensor lives outside the file: refused by pack */
};

/* Errors: INVALID if it is no ONNX model, TOO_BIG beyond a limit. */
int onnx_summarize(const uint8_t *data, size_t len, struct onnx_summary *out, struct err *err) must_check;

/* The model's tensors are those the release names: same names, types and shapes, and no other; all weights are inside.
 * A symbolic dimension of the model takes any size: the release fixes it. Errors: REFUSED naming the tensor. */
int onnx_check_release(const struct onnx_summary *summary, const struct release *release,
                       struct err *err) must_check;

#endif
