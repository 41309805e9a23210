/* Running a lab: once for its outputs, or many times under the clock. */
#include "infer/lab_inside.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdint.h>
#include <string.h>

static const char does_not_run[] = "the model does not run";

static void release_all(const OrtApi *api, OrtValue **values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (values[i])
            api->ReleaseValue(values[i]);
        values[i] = NULL;
    }
}

void lab_forget_results(struct lab *lab)
{
    release_all(lab->api, lab->results, lab->outputs.count);
}

static int wrap(const struct lab *lab, const char *name, const struct lab_tensor *tensor, OrtValue **out,
                struct err *err)
{
    const OrtApi *api = lab->api;
    return ort_fail(api,
                    api->CreateTensorWithDataAsOrtValue(lab->memory, (void *)(uintptr_t)tensor->data,
                                                        tensor->bytes, tensor->dims, tensor->dim_count,
                                                        (ONNXTensorElementDataType)tensor->dtype, out),
                    ERR_REFUSED, name, err);
}

/* ---- once ---- */

int lab_borrow(const OrtApi *api, const char *name, const OrtValue *value, struct lab_tensor *out,
               struct err *err)
{
    OrtTensorTypeAndShapeInfo *info = NULL;
    ONNXTensorElementDataType dtype = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    size_t dim_count = 0, elements = 0;
    void *data = NULL;
    if (ort_fail(api, api->GetTensorTypeAndShape(value, &info), ERR_UNSUPPORTED, name, err))
        return -1;
    int result = ort_fail(api, api->GetTensorElementType(info, &dtype), ERR_INTERNAL, name, err);
    if (result == 0)
        result = ort_fail(api, api->GetDimensionsCount(info, &dim_count), ERR_INTERNAL, name, err);
    if (result == 0)
        result = ort_fail(api, api->GetTensorShapeElementCount(info, &elements), ERR_INTERNAL, name, err);
    *out = (struct lab_tensor){.dtype = (enum tensor_dtype)dtype, .dim_count = dim_count};
    out->bytes = elements * tensor_element_bytes(out->dtype);
    if (result == 0 && (dim_count > RELEASE_MAX_DIMS || tensor_element_bytes(out->dtype) == 0))
        result = err_set(err, ERR_UNSUPPORTED, "%s: %zu dimensions of %s", name, dim_count,
                         tensor_dtype_name(out->dtype));
    if (result == 0)
        result = ort_fail(api, api->GetDimensions(info, out->dims, dim_count), ERR_INTERNAL, name, err);
    if (result == 0)
        result = ort_fail(api, api->GetTensorMutableData((OrtValue *)(uintptr_t)value, &data), ERR_INTERNAL,
                          name, err);
    out->data = data;
    api->ReleaseTensorTypeAndShapeInfo(info);
    return result;
}

static int wrap_inputs(struct lab *lab, const struct lab_tensor *inputs, struct err *err)
{
    for (size_t i = 0; i < lab->inputs.count; i++)
        if (wrap(lab, lab->inputs.names[i], &inputs[i], &lab->given[i], err) < 0)
            return -1;
    return 0;
}

static int run_wrapped(struct lab *lab, size_t count, struct lab_tensor *outputs, struct err *err)
{
    const OrtApi *api = lab->api;
    if (ort_fail(api,
                 api->Run(lab->session, lab->run_options, lab->inputs.names,
                          (const OrtValue *const *)lab->given, lab->inputs.count, lab->wanted, count,
                          lab->results),
                 ERR_REFUSED, does_not_run, err))
        return -1;
    for (size_t k = 0; k < count; k++)
        if (lab_borrow(lab->api, lab->wanted[k], lab->results[k], &outputs[k], err) < 0)
            return -1;
    return 0;
}

int lab_run(struct lab *lab, const struct lab_tensor *inputs, const size_t *wanted, size_t wanted_count,
            struct lab_tensor *outputs, struct err *err)
{
    size_t count = wanted ? wanted_count : lab->outputs.count;
    lab_forget_results(lab);
    for (size_t k = 0; k < count; k++)
        lab->wanted[k] = lab->outputs.names[wanted ? wanted[k] : k];
    int result = wrap_inputs(lab, inputs, err);
    if (result == 0)
        result = run_wrapped(lab, count, outputs, err);
    release_all(lab->api, lab->given, lab->inputs.count);
    return result;
}

/* ---- under the clock ---- */

void lab_forget_bench(struct lab *lab)
{
    struct lab_bench *bench = &lab->timing;
    if (bench->values)
        release_all(lab->api, bench->values, bench->value_count);
    for (size_t i = 0; bench->memory && i < bench->value_count; i++)
        free(bench->memory[i]);
    if (bench->io)
        lab->api->ReleaseIoBinding(bench->io);
    free(bench->values);
    free(bench->memory);
    *bench = (struct lab_bench){0};
}

static bool is_fixed(const struct lab_value *value)
{
    for (size_t i = 0; i < value->dim_count; i++)
        if (value->dims[i] < 0)
            return false;
    return value->dtype != 0;
}

static size_t bytes_of(const struct lab_value *value)
{
    size_t bytes = tensor_element_bytes(value->dtype);
    for (size_t i = 0; i < value->dim_count; i++)
        if (__builtin_mul_overflow(bytes, (size_t)value->dims[i], &bytes))
            return SIZE_MAX;
    return bytes;
}

/* Memory of the bench's own, aligned as a vector unit likes it, with an OrtValue around it. */
static int place(struct lab *lab, size_t slot, const char *name, struct lab_tensor tensor, struct err *err)
{
    struct lab_bench *bench = &lab->timing;
    size_t room = tensor.bytes <= SIZE_MAX - 64 ? (tensor.bytes + 64) / 64 * 64 : SIZE_MAX / 64 * 64;
    bench->memory[slot] = aligned_alloc(64, room);
    if (!bench->memory[slot])
        return err_no_memory(err);
    memset(bench->memory[slot], 0, tensor.bytes);
    tensor.data = bench->memory[slot];
    return wrap(lab, name, &tensor, &bench->values[slot], err);
}

static int bind_input(struct lab *lab, size_t i, const struct lab_tensor *input, struct err *err)
{
    const OrtApi *api = lab->api;
    const char *name = lab->inputs.names[i];
    if (place(lab, i, name, *input, err) < 0)
        return -1;
    return ort_fail(api, api->BindInput(lab->timing.io, name, lab->timing.values[i]), ERR_REFUSED, name, err);
}

static int bind_output(struct lab *lab, size_t i, struct err *err)
{
    const OrtApi *api = lab->api;
    const struct lab_value *value = &lab->outputs.values[i];
    size_t slot = lab->inputs.count + i;
    if (!is_fixed(value))
        return ort_fail(api, api->BindOutputToDevice(lab->timing.io, value->name, lab->memory), ERR_REFUSED,
                        value->name, err);
    struct lab_tensor tensor = {
        .dtype = value->dtype, .dim_count = value->dim_count, .bytes = bytes_of(value)};
    memcpy(tensor.dims, value->dims, sizeof tensor.dims);
    if (place(lab, slot, value->name, tensor, err) < 0)
        return -1;
    return ort_fail(api, api->BindOutput(lab->timing.io, value->name, lab->timing.values[slot]), ERR_REFUSED,
                    value->name, err);
}

static int bind_all(struct lab *lab, const struct lab_tensor *inputs, struct err *err)
{
    struct lab_bench *bench = &lab->timing;
    bench->value_count = lab->inputs.count + lab->outputs.count;
    bench->values = mem_zalloc(bench->value_count + 1, sizeof *bench->values);
    bench->memory = mem_zalloc(bench->value_count + 1, sizeof *bench->memory);
    if (!bench->values || !bench->memory)
        return err_no_memory(err);
    if (ort_fail(lab->api, lab->api->CreateIoBinding(lab->session, &bench->io), ERR_NO_MEMORY, "binding",
                 err))
        return -1;
    for (size_t i = 0; i < lab->inputs.count; i++)
        if (bind_input(lab, i, &inputs[i], err) < 0)
            return -1;
    for (size_t i = 0; i < lab->outputs.count; i++)
        if (bind_output(lab, i, err) < 0)
            return -1;
    return 0;
}

/* The same shapes as last time? A bound input keeps its size. */
static int refill(struct lab *lab, const struct lab_tensor *inputs, struct err *err)
{
    for (size_t i = 0; i < lab->inputs.count; i++) {
        struct lab_tensor bound;
        if (lab_borrow(lab->api, lab->inputs.names[i], lab->timing.values[i], &bound, err) < 0)
            return -1;
        if (bound.dtype != inputs[i].dtype || bound.dim_count != inputs[i].dim_count ||
            bound.bytes != inputs[i].bytes ||
            memcmp(bound.dims, inputs[i].dims, bound.dim_count * sizeof bound.dims[0]) != 0)
            return err_set(err, ERR_REFUSED, "%s: the shape differs from the first run's",
                           lab->inputs.names[i]);
        if (inputs[i].bytes)
            memcpy(lab->timing.memory[i], inputs[i].data, inputs[i].bytes);
    }
    return 0;
}

int lab_time(struct lab *lab, const struct lab_tensor *inputs, int64_t *out_ns, struct err *err)
{
    const OrtApi *api = lab->api;
    if (!lab->timing.io && bind_all(lab, inputs, err) < 0) {
        lab_forget_bench(lab);
        return -1;
    }
    if (refill(lab, inputs, err) < 0)
        return -1;
    int64_t start_ns = clock_mono_ns();
    OrtStatus *status = api->RunWithBinding(lab->session, lab->run_options, lab->timing.io);
    *out_ns = clock_mono_ns() - start_ns;
    return ort_fail(api, status, ERR_REFUSED, does_not_run, err);
}
