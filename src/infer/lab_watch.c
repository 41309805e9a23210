/* An operator of our own that looks at what passes. It belongs to the runtime's oldest interface for such things (a table of functions of
 * version 12), which every later one still takes. */
#include "infer/lab_inside.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdint.h>

/* One Watch node of the model. */
struct kernel {
    const struct lab_watcher *watcher;
    size_t which; /* SIZE_MAX: the node does not say */
};

static void forget(const OrtApi *api, OrtStatus *status)
{
    if (status)
        api->ReleaseStatus(status);
}

static void *create(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info)
{
    struct kernel *kernel = mem_zalloc(1, sizeof *kernel);
    int64_t which = -1;
    forget(api, api->KernelInfoGetAttribute_int64(info, "which", &which));
    if (kernel)
        *kernel = (struct kernel){.watcher = (const struct lab_watcher *)(const void *)op,
                                  .which = which < 0 ? SIZE_MAX : (size_t)which};
    return kernel;
}

static void compute(void *self, OrtKernelContext *context)
{
    static const int64_t nothing[] = {0};
    const struct kernel *kernel = self;
    if (!kernel)
        return;
    const OrtApi *api = kernel->watcher->api;
    const OrtValue *input = NULL;
    OrtValue *output = NULL;
    struct lab_tensor tensor = {0};
    struct err err = {0};
    forget(api, api->KernelContext_GetOutput(context, 0, nothing, ARRAY_LEN(nothing), &output));
    forget(api, api->KernelContext_GetInput(context, 0, &input));
    if (!input || lab_borrow(api, "watched", input, &tensor, &err) < 0)
        tensor = (struct lab_tensor){0};
    if (kernel->which < kernel->watcher->watch.count)
        kernel->watcher->watch.see(kernel->watcher->watch.arg, kernel->which, &tensor);
}

static void destroy(void *self)
{
    free(self);
}

static const char *name_of(const OrtCustomOp *op)
{
    return LAB_WATCH_OP;
}

static const char *provider_of(const OrtCustomOp *op)
{
    return NULL; /* the CPU's */
}

static size_t one(const OrtCustomOp *op)
{
    return 1;
}

static ONNXTensorElementDataType takes(const OrtCustomOp *op, size_t index)
{
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED; /* anything */
}

static ONNXTensorElementDataType gives(const OrtCustomOp *op, size_t index)
{
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
}

static OrtCustomOpInputOutputCharacteristic required(const OrtCustomOp *op, size_t index)
{
    return INPUT_OUTPUT_REQUIRED;
}

static const OrtCustomOp watch_op = {
    .version = 12,
    .CreateKernel = create,
    .GetName = name_of,
    .GetExecutionProviderType = provider_of,
    .GetInputType = takes,
    .GetInputTypeCount = one,
    .GetOutputType = gives,
    .GetOutputTypeCount = one,
    .KernelCompute = compute,
    .KernelDestroy = destroy,
    .GetInputCharacteristic = required,
    .GetOutputCharacteristic = required,
};

int lab_add_watch(struct lab *lab, OrtSessionOptions *options, const struct lab_watch *watch, struct err *err)
{
    const OrtApi *api = lab->api;
    if (!watch->see)
        return 0;
    lab->watcher.op = watch_op;
    lab->watcher.api = api;
    lab->watcher.watch = *watch;
    if (ort_fail(api, api->CreateCustomOpDomain(LAB_WATCH_DOMAIN, &lab->watcher.domain), ERR_NO_MEMORY,
                 LAB_WATCH_DOMAIN, err) ||
        ort_fail(api, api->CustomOpDomain_Add(lab->watcher.domain, &lab->watcher.op), ERR_INTERNAL,
                 LAB_WATCH_OP, err))
        return -1;
    return ort_fail(api, api->AddCustomOpDomain(options, lab->watcher.domain), ERR_INTERNAL, LAB_WATCH_DOMAIN,
                    err);
}
