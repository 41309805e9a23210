/* deps: wire base */
/* Any bytes as a model that holds an engine, and as an engine: never a crash; what passes as an engine is wrapped into a model that passes too. */
#include "wire/trt_plan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int version[4] = {10, 3, 0, 30};
    static const struct release release = {
        .input_count = 1,
        .inputs = {{.name = "x", .dtype = DTYPE_FLOAT32, .dim_count = 2, .dims = {1, 4}}},
        .output_count = 1,
        .outputs = {{.name = "y", .dtype = DTYPE_FLOAT32, .dim_count = 2, .dims = {1, 4}}},
    };
    struct err err = {0};
    cleanup_buf struct buf model = BUF_INIT(16 << 20);
    (void)!trt_context_check(data, size, version, &err);
    if (trt_plan_check(data, size, version, &err) < 0 ||
        trt_context_put(data, size, 87, &release, &model, &err) < 0)
        return 0;
    if (trt_context_check(model.data, model.len, version, &err) < 0)
        abort();
    return 0;
}
