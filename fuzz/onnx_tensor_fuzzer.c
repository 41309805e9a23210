/* deps: wire/onnx wire */
/* Any bytes as a tensor: what is taken has as many elements as its shape says. */
#include "wire/onnx/tensor.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct onnx_tensor tensor;
    if (onnx_tensor_parse(data, size, &tensor, &err) < 0)
        return 0;
    size_t count = 1;
    for (size_t i = 0; i < tensor.dim_count; i++)
        count *= (size_t)tensor.dims[i];
    if (!tensor.data || count != tensor.element_count || strlen(tensor.name) >= sizeof tensor.name ||
        tensor.bytes != count * tensor_element_bytes((enum tensor_dtype)tensor.elem_type))
        abort();
    memset(tensor.data, 1, tensor.bytes);
    onnx_tensor_fini(&tensor);
    return 0;
}
