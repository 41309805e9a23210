/* A model against the release that carries it, without a runtime. */
#include "base/str.h"
#include "wire/onnx/summary.h"

#include <stdio.h>

static void print_shape(const int64_t *dims, size_t count, char *out, size_t out_size)
{
    size_t used = (size_t)snprintf(out, out_size, "[");
    for (size_t i = 0; i < count && used < out_size; i++) {
        const char *gap = i ? ", " : "";
        used += dims[i] ? (size_t)snprintf(out + used, out_size - used, "%s%lld", gap, (long long)dims[i])
                        : (size_t)snprintf(out + used, out_size - used, "%s?", gap);
    }
    if (used < out_size)
        snprintf(out + used, out_size - used, "]");
}

static bool shape_fits(const struct onnx_value *value, const struct tensor_spec *spec)
{
    if (value->dim_count != spec->dim_count)
        return false;
    for (size_t i = 0; i < spec->dim_count; i++)
        if (value->dims[i] && value->dims[i] != spec->dims[i])
            return false;
    return true;
}

static int check_value(const char *kind, const struct onnx_value *value, const struct tensor_spec *spec,
                       struct err *err)
{
    if (value->elem_type != (int32_t)spec->dtype)
        return err_set(err, ERR_REFUSED, "%s \"%.60s\": the model has %s (%d), the release says %s", kind,
                       spec->name, tensor_dtype_name((enum tensor_dtype)value->elem_type),
                       (int)value->elem_type, tensor_dtype_name(spec->dtype));
    if (shape_fits(value, spec))
        return 0;
    char have[64], want[64];
    print_shape(value->dims, value->dim_count, have, sizeof have);
    print_shape(spec->dims, spec->dim_count, want, sizeof want);
    return err_set(err, ERR_REFUSED, "%s \"%.60s\": the model has shape %s, the release says %s", kind,
                   spec->name, have, want);
}

static const struct onnx_value *find_value(const struct onnx_value *values, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(values[i].name, name))
            return &values[i];
    return NULL;
}

static bool is_named(const struct tensor_spec *specs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(specs[i].name, name))
            return true;
    return false;
}

static int check_values(const char *kind, const struct onnx_value *values, size_t value_count,
                        const struct tensor_spec *specs, size_t spec_count, struct err *err)
{
    for (size_t i = 0; i < spec_count; i++) {
        const struct onnx_value *value = find_value(values, value_count, specs[i].name);
        if (!value)
            return err_set(err, ERR_REFUSED,
                           "%s \"%.60s\": the release names it, the model has none of that name", kind,
                           specs[i].name);
        if (check_value(kind, value, &specs[i], err) < 0)
            return -1;
    }
    for (size_t i = 0; i < value_count; i++)
        if (!is_named(specs, spec_count, values[i].name))
            return err_set(err, ERR_REFUSED, "%s \"%.60s\": the model has it, the release does not name it",
                           kind, values[i].name);
    return 0;
}

int onnx_check_release(const struct onnx_summary *summary, const struct release *release, struct err *err)
{
    if (summary->external_data)
        return err_set(err, ERR_REFUSED, "the model keeps weights in other files; save it as one file");
    if (check_values("input", summary->inputs, summary->input_count, release->inputs, release->input_count,
                     err) < 0)
        return -1;
    return check_values("output", summary->outputs, summary->output_count, release->outputs,
                        release->output_count, err);
}
