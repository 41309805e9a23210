/* Does the session see the tensors that the release names? */
#include "infer/ort.h"

#include "base/str.h"

#include <inttypes.h>

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
    if (ort_fail(api, api->GetTensorElementType(info, &dtype), ERR_REFUSED, spec->name, err) ||
        ort_fail(api, api->GetDimensionsCount(info, &dim_count), ERR_REFUSED, spec->name, err))
        return -1;
    if ((int)dtype != (int)spec->dtype)
        return err_set(err, ERR_REFUSED, "tensor %s has type %d, the release says %d", spec->name, (int)dtype,
                       (int)spec->dtype);
    if (dim_count != spec->dim_count)
        return err_set(err, ERR_REFUSED, "tensor %s has %zu dimensions, the release says %zu", spec->name,
                       dim_count, spec->dim_count);
    if (ort_fail(api, api->GetDimensions(info, dims, dim_count), ERR_REFUSED, spec->name, err))
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
    if (ort_fail(api, api->CastTypeInfoToTensorInfo(type, &info), ERR_REFUSED, spec->name, err))
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
    if (ort_fail(api, api->GetAllocatorWithDefaultOptions(&allocator), ERR_INTERNAL, "allocator", err))
        return -1;
    for (size_t i = 0; i < count; i++) {
        char *found = NULL;
        if (ort_fail(api, side->name(model->session, i, allocator, &found), ERR_REFUSED, side->kind, err))
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
        ort_fail(api, side->type(model->session, index, &type), ERR_REFUSED, spec->name, err))
        return -1;
    int result = check_type(api, type, spec, err);
    api->ReleaseTypeInfo(type);
    return result;
}

static int check_side(const struct backend_model *model, const struct side *side,
                      const struct tensor_spec *specs, size_t spec_count, struct err *err)
{
    size_t count = 0;
    if (ort_fail(model->api, side->count(model->session, &count), ERR_REFUSED, side->kind, err))
        return -1;
    if (count != spec_count)
        return err_set(err, ERR_REFUSED, "the model has %zu %ss, the release says %zu", count, side->kind,
                       spec_count);
    for (size_t i = 0; i < spec_count; i++)
        if (check_tensor(model, side, &specs[i], count, err) < 0)
            return -1;
    return 0;
}

int ort_check_tensors(const struct backend_model *model, struct err *err)
{
    const OrtApi *api = model->api;
    const struct side inputs = {"input", api->SessionGetInputCount, api->SessionGetInputName,
                                api->SessionGetInputTypeInfo};
    const struct side outputs = {"output", api->SessionGetOutputCount, api->SessionGetOutputName,
                                 api->SessionGetOutputTypeInfo};
    if (check_side(model, &inputs, model->inputs, model->input_count, err) < 0)
        return -1;
    return check_side(model, &outputs, model->outputs, model->output_count, err);
}
