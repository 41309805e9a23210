#include "wire/onnx/tensor.h"

#include "base/mem.h"
#include "wire/onnx/fields.h"
#include "wire/protobuf.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 256 << 20 };

static int damaged(struct err *err)
{
    return err_set(err, ERR_INVALID, "no ONNX tensor: it is damaged or cut short");
}

/* ---- name, type and shape ---- */

static int add_dim(struct onnx_tensor *out, uint64_t value, struct err *err)
{
    if (out->dim_count == RELEASE_MAX_DIMS)
        return err_set(err, ERR_TOO_BIG, "more than %d dimensions", RELEASE_MAX_DIMS);
    if (value > MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "a dimension is out of range");
    out->dims[out->dim_count++] = (int64_t)value;
    return 0;
}

/* A repeated number: one field each, or all packed in one. */
static int read_dims(const struct pb_field *field, struct onnx_tensor *out, struct err *err)
{
    if (field->type == PB_VARINT)
        return add_dim(out, field->value, err);
    if (field->type != PB_BYTES)
        return 0;
    struct pb_reader packed = pb_over(field->data, field->len);
    uint64_t value;
    while (pb_next_varint(&packed, &value))
        if (add_dim(out, value, err) < 0)
            return -1;
    return packed.broken ? damaged(err) : 0;
}

static int read_head_field(const struct pb_field *field, struct onnx_tensor *out, struct err *err)
{
    if (field->number == DIMS)
        return read_dims(field, out, err);
    if (field->number == DATA_TYPE && field->type == PB_VARINT)
        out->elem_type = (int32_t)field->value;
    if (field->number != NAME || field->type != PB_BYTES)
        return 0;
    if (field->len >= sizeof out->name)
        return err_set(err, ERR_TOO_BIG, "a name has more than %zu bytes", sizeof out->name - 1);
    memcpy(out->name, field->data, field->len);
    out->name[field->len] = '\0';
    return 0;
}

static int read_head(const uint8_t *data, size_t len, struct onnx_tensor *out, struct err *err)
{
    struct pb_reader reader = pb_over(data, len);
    struct pb_field field;
    while (pb_next(&reader, &field))
        if (read_head_field(&field, out, err) < 0)
            return -1;
    return reader.broken ? damaged(err) : 0;
}

static int measure(struct onnx_tensor *out, size_t *out_size, struct err *err)
{
    size_t size = tensor_element_bytes((enum tensor_dtype)out->elem_type);
    if (!size)
        return err_set(err, ERR_UNSUPPORTED, "elements of type %d", out->elem_type);
    uint64_t count = 1;
    for (size_t i = 0; i < out->dim_count; i++)
        if (__builtin_mul_overflow(count, (uint64_t)out->dims[i], &count) || count > MAX_BYTES / size)
            return err_set(err, ERR_TOO_BIG, "the tensor takes more than %d MiB", MAX_BYTES >> 20);
    *out_size = size;
    out->element_count = count;
    out->bytes = count * size;
    return 0;
}

/* ---- the elements ---- */

struct filler {
    struct onnx_tensor *out;
    size_t size;  /* of an element */
    size_t count; /* so far */
};

/* The low bytes of a little-endian number. */
static bool fill_one(struct filler *filler, uint64_t value)
{
    if (filler->count == filler->out->element_count)
        return false;
    memcpy((uint8_t *)filler->out->data + filler->count++ * filler->size, &value, filler->size);
    return true;
}

static bool fill_bytes(struct filler *filler, const uint8_t *data, size_t len)
{
    if (len % filler->size || len / filler->size > filler->out->element_count - filler->count)
        return false;
    memcpy((uint8_t *)filler->out->data + filler->count * filler->size, data, len);
    filler->count += len / filler->size;
    return true;
}

static bool fill_varints(struct filler *filler, const struct pb_field *field)
{
    if (field->type == PB_VARINT)
        return fill_one(filler, field->value);
    struct pb_reader packed = pb_over(field->data, field->len);
    uint64_t value;
    while (pb_next_varint(&packed, &value))
        if (!fill_one(filler, value))
            return false;
    return !packed.broken;
}

/* Which field carries elements of this type, if not RAW. */
static uint32_t field_of(int32_t elem_type)
{
    switch (elem_type) {
    case DTYPE_FLOAT32:
        return FLOATS;
    case DTYPE_FLOAT64:
        return DOUBLES;
    case DTYPE_INT64:
        return INT64S;
    case DTYPE_UINT32:
    case DTYPE_UINT64:
        return UINT64S;
    default:
        return INT32S;
    }
}

static bool fill_field(struct filler *filler, const struct pb_field *field)
{
    if (field->number == RAW && field->type == PB_BYTES)
        return fill_bytes(filler, field->data, field->len);
    if (field->number != field_of(filler->out->elem_type))
        return true;
    if (field->number == FLOATS || field->number == DOUBLES)
        return field->type != PB_VARINT && fill_bytes(filler, field->data, field->len);
    return (field->type == PB_VARINT || field->type == PB_BYTES) && fill_varints(filler, field);
}

static int fill(const uint8_t *data, size_t len, size_t size, struct onnx_tensor *out, struct err *err)
{
    struct filler filler = {.out = out, .size = size};
    struct pb_reader reader = pb_over(data, len);
    struct pb_field field;
    while (pb_next(&reader, &field))
        if (!fill_field(&filler, &field))
            return err_set(err, ERR_INVALID, "tensor %s: its elements do not fit its shape", out->name);
    if (filler.count != out->element_count)
        return err_set(err, ERR_INVALID, "tensor %s: %zu elements, its shape says %zu", out->name,
                       filler.count, out->element_count);
    return 0;
}

int onnx_tensor_parse(const uint8_t *data, size_t len, struct onnx_tensor *out, struct err *err)
{
    size_t size = 0;
    *out = (struct onnx_tensor){0};
    if (read_head(data, len, out, err) < 0 || measure(out, &size, err) < 0)
        return -1;
    out->data = mem_zalloc(out->bytes + 1, 1);
    if (!out->data)
        return err_no_memory(err);
    if (fill(data, len, size, out, err) == 0)
        return 0;
    onnx_tensor_fini(out);
    return -1;
}

void onnx_tensor_fini(struct onnx_tensor *tensor)
{
    free(tensor->data);
    tensor->data = NULL;
}
