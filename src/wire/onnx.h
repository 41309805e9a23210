/* A bounded reader of what a release must know of an ONNX file before a runtime sees it: inputs, outputs, opsets.
 * Skips tensors (no copy of weights), limits on depth and count; field numbers from onnx.proto (IR version 8). */
#ifndef MUSTER_WIRE_ONNX_H
#define MUSTER_WIRE_ONNX_H

#include "base/err.h"
#include "wire/release.h"

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

int onnx_summarize(const uint8_t *data, size_t len, struct onnx_summary *out, struct err *err) must_check;

/* The model's tensors are those the release names: same names, types and shapes. Errors: REFUSED naming the tensor. */
int onnx_check_release(const struct onnx_summary *summary, const struct release *release, struct err *err) must_check;

#endif
