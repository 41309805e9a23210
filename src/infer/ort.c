/* ONNX Runtime behind backend.h, through its C API.
 *
 * One session per model: sequential, no spinning unless asked for, inputs and outputs bound once (IoBinding)
 * to the caller's memory, so that a run copies nothing and allocates nothing of ours. */
#include "infer/backend.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "infer/runtime.h"

#include <ctype.h>
#include <inttypes.h>
#include <onnxruntime_c_api.h>

struct backend_model {
    const struct runtime *runtime;
    const OrtApi *api; /* runtime->api */
    OrtSession *session;
    OrtIoBinding *binding;
    OrtMemoryInfo *memory;
    OrtValue *values[2 * RELEASE_MAX_TENSORS];
    size_t value_count;
    uint64_t runs;
    int64_t load_ns;
};

/* "Load model from /path failed:why" → "why": the caller names the file. */
static const char *reason(const char *message)
{
    static const char mark[] = " failed:";
    const char *found = str_starts(message, "Load model from ") ? strstr(message, mark) : NULL;
    return found ? found + strlen(mark) : message;
}

/* Turns a status into an error line. NULL is success. The library's texts have line breaks. */
static int check(const OrtApi *api, OrtStatus *status, enum err_code code, const char *what, struct err *err)
{
    if (!status)
        return 0;
    char text[160];
    str_copy(text, sizeof text, reason(api->GetErrorMessage(status)));
    api->ReleaseStatus(status);
    for (char *c = text; *c; c++)
        if (iscntrl((unsigned char)*c))
            *c = ' ';
    return err_set(err, code, "%s: %s", what, text);
}

static int set_config(const OrtApi *api, OrtSessionOptions *options, const struct backend_load *load,
                      struct err *err)
{
    const char *const entries[][2] = {
        {"session.intra_op.allow_spinning", load->spin ? "1" : "0"},
        {"session.inter_op.allow_spinning", "0"},
        {"session.set_denormal_as_zero", "1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        if (check(api, api->AddSessionConfigEntry(options, entries[i][0], entries[i][1]), ERR_INTERNAL,
                  entries[i][0], err))
            return -1;
    return 0;
}

static int set_options(const OrtApi *api, OrtSessionOptions *options, const struct backend_load *load,
                       struct err *err)
{
    if (check(api, api->SetIntraOpNumThreads(options, load->threads), ERR_INVALID, "threads", err) ||
        check(api, api->SetInterOpNumThreads(options, 1), ERR_INTERNAL, "threads", err) ||
        check(api, api->SetSessionExecutionMode(options, ORT_SEQUENTIAL), ERR_INTERNAL, "execution mode",
              err) ||
        check(api, api->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL), ERR_INTERNAL,
              "optimization", err))
        return -1;
    return set_config(api, options, load, err);
}

static int create_session(struct backend_model *model, const struct backend_load *load, struct err *err)
{
    const OrtApi *api = model->api;
    OrtSessionOptions *options = NULL;
    if (check(api, api->CreateSessionOptions(&options), ERR_NO_MEMORY, "session options", err))
        return -1;
    int result = set_options(api, options, load, err);
    if (result == 0)
        result =
            check(api, api->CreateSession(model->runtime->env, load->model_path, options, &model->session),
                  ERR_REFUSED, "the model does not load", err);
    api->ReleaseSessionOptions(options);
    return result;
}

/* One side of a session: the same questions for inputs and outputs. */
struct side {
    const char *kind;
    OrtStatus *(*count)(const OrtSession *, size_t *);
    OrtStatus *(*name)(const OrtSession *, size_t, OrtAllocator *, char **);
    OrtStatus *(*type)(const OrtSession *, size_t, OrtTypeInfo **);
};

static int compare_tensor(const OrtApi *api, const OrtTensorTypeAndShapeInfo *info,
                          const struct tensor_spec *spec, struct err *err)
{
    ONNXTensorElementDataType dtype = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    size_t dim_count = 0;
    int64_t dims[RELEASE_MAX_DIMS];
    if (check(api, api->GetTensorElementType(info, &dtype), ERR_REFUSED, spec->name, err) ||
        check(api, api->GetDimensionsCount(info, &dim_count), ERR_REFUSED, spec->name, err))
        return -1;
    if ((int)dtype != (int)spec->dtype)
        return err_set(err, ERR_REFUSED, "tensor %s has type %d, the release says %d", spec->name, (int)dtype,
                       (int)spec->dtype);
    if (dim_count != spec->dim_count)
        return err_set(err, ERR_REFUSED, "tensor %s has %zu dimensions, the release says %zu", spec->name,
                       dim_count, spec->dim_count);
    if (check(api, api->GetDimensions(info, dims, dim_count), ERR_REFUSED, spec->name, err))
        return -1;
    for (size_t i = 0; i < dim_count; i++)
        if (dims[i] > 0 && dims[i] != spec->dims[i]) /* ≤ 0: the model leaves it open */
            return err_set(err, ERR_REFUSED,
                           "tensor %s: dimension %zu is %" PRId64 ", the release says %" PRId64, spec->name,
                           i, dims[i], spec->dims[i]);
    return 0;
}

static int check_type(const OrtApi *api, const OrtTypeInfo *type, const struct tensor_spec *spec,
                      struct err *err)
{
    const OrtTensorTypeAndShapeInfo *info = NULL; /* lives in `type` */
    if (check(api, api->CastTypeInfoToTensorInfo(type, &info), ERR_REFUSED, spec->name, err))
        return -1;
    if (!info)
        return err_set(err, ERR_REFUSED, "%s is no tensor", spec->name);
    return compare_tensor(api, info, spec, err);
}

/* Finds the session's tensor of this name. */
static int find_tensor(const struct backend_model *model, const struct side *side, const char *name,
                       size_t count, size_t *out, struct err *err)
{
    const OrtApi *api = model->api;
    OrtAllocator *allocator = NULL;
    if (check(api, api->GetAllocatorWithDefaultOptions(&allocator), ERR_INTERNAL, "allocator", err))
        return -1;
    for (size_t i = 0; i < count; i++) {
        char *found = NULL;
        if (check(api, side->name(model->session, i, allocator, &found), ERR_REFUSED, side->kind, err))
            return -1;
        bool same = str_eq(found, name);
        OrtStatus *status = api->AllocatorFree(allocator, found);
        if (status)
            api->ReleaseStatus(status);
        if (same) {
            *out = i;
            return 0;
        }
    }
    return err_set(err, ERR_REFUSED, "the model has no %s \"%s\" as the release says", side->kind, name);
}

static int check_tensor(const struct backend_model *model, const struct side *side,
                        const struct tensor_spec *spec, size_t count, struct err *err)
{
    const OrtApi *api = model->api;
    size_t index = 0;
    OrtTypeInfo *type = NULL;
    if (find_tensor(model, side, spec->name, count, &index, err) < 0 ||
        check(api, side->type(model->session, index, &type), ERR_REFUSED, spec->name, err))
        return -1;
    int result = check_type(api, type, spec, err);
    api->ReleaseTypeInfo(type);
    return result;
}

static int check_side(const struct backend_model *model, const struct side *side,
                      const struct backend_tensor *tensors, size_t tensor_count, struct err *err)
{
    size_t count = 0;
    if (check(model->api, side->count(model->session, &count), ERR_REFUSED, side->kind, err))
        return -1;
    if (count != tensor_count)
        return err_set(err, ERR_REFUSED, "the model has %zu %ss, the release says %zu", count, side->kind,
                       tensor_count);
    for (size_t i = 0; i < tensor_count; i++)
        if (check_tensor(model, side, tensors[i].spec, count, err) < 0)
            return -1;
    return 0;
}

static int check_tensors(const struct backend_model *model, const struct backend_load *load, struct err *err)
{
    const OrtApi *api = model->api;
    const struct side inputs = {"input", api->SessionGetInputCount, api->SessionGetInputName,
                                api->SessionGetInputTypeInfo};
    const struct side outputs = {"output", api->SessionGetOutputCount, api->SessionGetOutputName,
                                 api->SessionGetOutputTypeInfo};
    if (check_side(model, &inputs, load->inputs, load->input_count, err) < 0)
        return -1;
    return check_side(model, &outputs, load->outputs, load->output_count, err);
}

typedef OrtStatus *bind_function(OrtIoBinding *, const char *, const OrtValue *);

static int bind_tensor(struct backend_model *model, const struct backend_tensor *tensor, bind_function *bind,
                       struct err *err)
{
    const OrtApi *api = model->api;
    const struct tensor_spec *spec = tensor->spec;
    OrtValue **value = &model->values[model->value_count];
    if (check(api,
              api->CreateTensorWithDataAsOrtValue(model->memory, tensor->data, tensor->size_bytes, spec->dims,
                                                  spec->dim_count, (ONNXTensorElementDataType)spec->dtype,
                                                  value),
              ERR_INTERNAL, spec->name, err))
        return -1;
    model->value_count++;
    return check(api, bind(model->binding, spec->name, *value), ERR_REFUSED, spec->name, err);
}

static int bind_tensors(struct backend_model *model, const struct backend_load *load, struct err *err)
{
    const OrtApi *api = model->api;
    if (check(api, api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &model->memory),
              ERR_NO_MEMORY, "memory", err) ||
        check(api, api->CreateIoBinding(model->session, &model->binding), ERR_NO_MEMORY, "binding", err))
        return -1;
    for (size_t i = 0; i < load->input_count; i++)
        if (bind_tensor(model, &load->inputs[i], api->BindInput, err) < 0)
            return -1;
    for (size_t i = 0; i < load->output_count; i++)
        if (bind_tensor(model, &load->outputs[i], api->BindOutput, err) < 0)
            return -1;
    return 0;
}

static void ort_unload(struct backend_model *model)
{
    const OrtApi *api = model->api;
    for (size_t i = 0; i < model->value_count; i++)
        api->ReleaseValue(model->values[i]);
    if (model->binding)
        api->ReleaseIoBinding(model->binding);
    if (model->memory)
        api->ReleaseMemoryInfo(model->memory);
    if (model->session)
        api->ReleaseSession(model->session);
    free(model);
}

static int ort_load(const struct backend_load *load, struct backend_model **out, struct err *err)
{
    const struct runtime *runtime = NULL;
    if (runtime_get(load->runtime_path, &runtime, err) < 0)
        return -1;
    struct backend_model *model = mem_zalloc(1, sizeof *model);
    if (!model)
        return err_no_memory(err);
    model->runtime = runtime;
    model->api = runtime->api;
    int64_t start_ns = clock_mono_ns();
    if (create_session(model, load, err) < 0 || check_tensors(model, load, err) < 0 ||
        bind_tensors(model, load, err) < 0) {
        ort_unload(model);
        return -1;
    }
    model->load_ns = clock_mono_ns() - start_ns;
    *out = model;
    return 0;
}

static int ort_run(struct backend_model *model, struct err *err)
{
    model->runs++;
    return check(model->api, model->api->RunWithBinding(model->session, NULL, model->binding), ERR_INTERNAL,
                 "the model does not run", err);
}

static int ort_warm(struct backend_model *model, int runs, struct err *err)
{
    for (int i = 0; i < runs; i++) {
        if (ort_run(model, err) < 0) {
            err->code = ERR_REFUSED;
            return -1;
        }
    }
    return 0;
}

static void ort_stats(const struct backend_model *model, struct backend_stats *out)
{
    *out = (struct backend_stats){.runs = model->runs, .load_ns = model->load_ns};
    snprintf(out->description, sizeof out->description, "onnxruntime %s cpu", model->runtime->version);
}

const struct backend ort_backend = {
    .name = "onnxruntime",
    .load = ort_load,
    .warm = ort_warm,
    .run = ort_run,
    .stats = ort_stats,
    .unload = ort_unload,
};
