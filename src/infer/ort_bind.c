/* Where a model's tensors lie: IoBindings over memory that is not ours. Made before the first frame, never during one. */
#include "infer/ort.h"

#include "base/mem.h"

typedef OrtStatus *bind_function(OrtIoBinding *, const char *, const OrtValue *);

static int bind_tensor(const struct backend_model *model, struct ort_binding *binding,
                       const struct tensor_spec *spec, void *data, bind_function *bind, struct err *err)
{
    const OrtApi *api = model->api;
    OrtValue **value = &binding->values[binding->value_count];
    size_t bytes = tensor_elements(spec) * tensor_element_bytes(spec->dtype);
    if (ort_fail(api,
                 api->CreateTensorWithDataAsOrtValue(model->memory, data, bytes, spec->dims, spec->dim_count,
                                                     (ONNXTensorElementDataType)spec->dtype, value),
                 ERR_INTERNAL, spec->name, err))
        return -1;
    binding->value_count++;
    if (model->elsewhere)
        return 0;
    return ort_fail(api, bind(binding->io, spec->name, *value), ERR_REFUSED, spec->name, err);
}

static int fill(const struct backend_model *model, struct ort_binding *binding, void *const *inputs,
                void *const *outputs, struct err *err)
{
    const OrtApi *api = model->api;
    if (!model->elsewhere &&
        ort_fail(api, api->CreateIoBinding(model->session, &binding->io), ERR_NO_MEMORY, "binding", err))
        return -1;
    for (size_t i = 0; i < model->input_count; i++)
        if (bind_tensor(model, binding, &model->inputs[i], inputs[i], api->BindInput, err) < 0)
            return -1;
    for (size_t i = 0; i < model->output_count; i++)
        if (bind_tensor(model, binding, &model->outputs[i], outputs[i], api->BindOutput, err) < 0)
            return -1;
    return 0;
}

static void release(const struct backend_model *model, struct ort_binding *binding)
{
    for (size_t i = 0; i < binding->value_count; i++)
        model->api->ReleaseValue(binding->values[i]);
    if (binding->io)
        model->api->ReleaseIoBinding(binding->io);
    *binding = (struct ort_binding){0};
}

int ort_bind(struct backend_model *model, void *const *inputs, void *const *outputs, size_t *out_binding,
             struct err *err)
{
    struct ort_binding *grown = mem_grow(model->bindings, model->binding_count + 1, sizeof *grown);
    if (!grown)
        return err_no_memory(err);
    model->bindings = grown;
    struct ort_binding *binding = &grown[model->binding_count];
    *binding = (struct ort_binding){0};
    if (fill(model, binding, inputs, outputs, err) < 0) {
        release(model, binding);
        return -1;
    }
    *out_binding = model->binding_count++;
    return 0;
}

void ort_drop(struct backend_model *model, size_t first_binding)
{
    while (model->binding_count > first_binding)
        release(model, &model->bindings[--model->binding_count]);
}
