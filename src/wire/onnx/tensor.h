/* One tensor as ONNX stores it (TensorProto): initializers, and the inputs and outputs of reference models.
 *
 *     1 dims   2 data_type   8 name   9 raw_data (little-endian)      or, by type:
 *     4 float_data   5 int32_data (also for 8 and 16 bits, bool, float16 and bfloat16 as bits)   7 int64_data
 *     10 double_data   11 uint64_data (also for uint32)                               6 string_data: not read
 *
 * Limits: 8 dimensions, 256 MiB, names below 128 bytes; the number of elements must be what the shape says.
 */
#ifndef MUSTER_WIRE_ONNX_TENSOR_H
#define MUSTER_WIRE_ONNX_TENSOR_H

#include "base/err.h"
#include "wire/release.h"

#include <stddef.h>
#include <stdint.h>

struct onnx_tensor {
    char name[128];
    int32_t elem_type; /* as it says; enum tensor_dtype where that has a name for it */
    size_t dim_count;
    int64_t dims[RELEASE_MAX_DIMS]; /* ≥ 0 */
    size_t element_count;
    void *data; /* owned; never NULL, even for no elements */
    size_t bytes;
};

/* Errors: INVALID if it is no tensor; UNSUPPORTED for element types without a name (strings, complex numbers), after
 * name, type and shape were set; TOO_BIG beyond a limit. */
int onnx_tensor_parse(const uint8_t *data, size_t len, struct onnx_tensor *out, struct err *err) must_check;
void onnx_tensor_fini(struct onnx_tensor *tensor); /* a zeroed one is fine */
#define cleanup_onnx_tensor __attribute__((cleanup(onnx_tensor_fini)))

#endif
