/* deps: wire/onnx wire */
/* Any bytes as an ONNX file: never a crash; texts stay terminated and counts within their arrays. */
#include "wire/onnx/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(const struct onnx_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(values[i].name) >= sizeof values[i].name || values[i].dim_count > RELEASE_MAX_DIMS)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct onnx_summary summary;
    static const struct release release = {
        .input_count = 1,
        .inputs = {{.name = "images", .dtype = DTYPE_FLOAT32, .dim_count = 4, .dims = {1, 3, 8, 8}}},
        .output_count = 1,
        .outputs = {{.name = "output0", .dtype = DTYPE_FLOAT32, .dim_count = 3, .dims = {1, 9, 4}}},
    };
    if (onnx_summarize(data, size, &summary, &err) < 0)
        return 0;
    touch(summary.inputs, summary.input_count);
    touch(summary.outputs, summary.output_count);
    (void)!onnx_check_release(&summary, &release, &err);
    return 0;
}
