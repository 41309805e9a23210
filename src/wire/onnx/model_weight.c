/* TensorProto: shape, type, and where its bytes are. */
#include "base/str.h"
#include "wire/onnx/fields.h"
#include "wire/onnx/model_inside.h"

#include <string.h>

static bool known(const struct pb_field *field)
{
    switch (field->number) {
    case DIMS:
    case FLOATS:
    case INT32S:
    case INT64S:
    case DOUBLES:
    case UINT64S:
        return true;
    case DATA_TYPE:
    case LOCATION:
        return field->type == PB_VARINT;
    case NAME:
    case RAW:
    case EXTERNAL:
        return field->type == PB_BYTES;
    default:
        return false;
    }
}

/* ---- head ---- */

static int add_dim(struct onnx_parser *parser, struct onnx_weight *out, uint64_t value)
{
    if (out->dim_count == ONNX_MAX_DIMS)
        return err_set(parser->err, ERR_TOO_BIG, "ONNX model: a weight with more than %d dimensions",
                       ONNX_MAX_DIMS);
    if (value > INT64_MAX)
        return err_set(parser->err, ERR_INVALID, "ONNX model: a weight with a negative dimension");
    out->dims[out->dim_count++] = (int64_t)value;
    return 0;
}

/* A repeated number: one field each, or all packed in one. */
static int read_dims(struct onnx_parser *parser, const struct pb_field *field, struct onnx_weight *out)
{
    if (field->type == PB_VARINT)
        return add_dim(parser, out, field->value);
    if (field->type != PB_BYTES)
        return onnx_damaged(parser->err, "shape of a weight");
    struct pb_reader packed = pb_over(field->data, field->len);
    uint64_t value;
    while (pb_next_varint(&packed, &value))
        if (add_dim(parser, out, value) < 0)
            return -1;
    return packed.broken ? onnx_damaged(parser->err, "shape of a weight") : 0;
}

static bool text_is(struct onnx_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

/* One {key, value} of external_data. */
static int read_external(struct onnx_parser *parser, const struct pb_field *field, struct onnx_external *out)
{
    struct onnx_bytes key = {0}, value = {0};
    struct onnx_walk walk = onnx_walk_over(onnx_bytes_of(field));
    while (onnx_walk_next(&walk)) {
        if (onnx_is(&walk.field, 1, PB_BYTES))
            key = onnx_bytes_of(&walk.field);
        if (onnx_is(&walk.field, 2, PB_BYTES))
            value = onnx_bytes_of(&walk.field);
    }
    if (walk.reader.broken)
        return onnx_damaged(parser->err, "place of a weight");
    if (value.len >= ONNX_MAX_NAME || (value.len && memchr(value.data, 0, value.len)))
        return err_set(parser->err, ERR_INVALID,
                       "ONNX model: the place of a weight is too long or has a NUL");
    const char *text = onnx_arena_text(parser->model, value.data, value.len);
    if (!text)
        return err_no_memory(parser->err);
    if (text_is(key, "location"))
        out->location = text;
    if ((text_is(key, "offset") && !str_to_u64(text, &out->offset)) ||
        (text_is(key, "length") && !str_to_u64(text, &out->length)))
        return err_set(parser->err, ERR_INVALID, "ONNX model: the place of a weight is no number: %.40s",
                       text);
    return 0;
}

static int read_head_field(struct onnx_parser *parser, const struct pb_field *field, struct onnx_weight *out,
                           bool *out_outside)
{
    if (field->number == DIMS)
        return read_dims(parser, field, out);
    if (onnx_is(field, DATA_TYPE, PB_VARINT))
        out->dtype = (enum tensor_dtype)MIN(field->value, (uint64_t)INT32_MAX);
    if (onnx_is(field, LOCATION, PB_VARINT))
        *out_outside = field->value == 1;
    if (onnx_is(field, EXTERNAL, PB_BYTES))
        return read_external(parser, field, &out->external);
    if (onnx_is(field, NAME, PB_BYTES))
        return (out->name = onnx_parse_name(parser, field)) ? 0 : -1;
    return 0;
}

static int read_head(struct onnx_parser *parser, struct onnx_bytes message, struct onnx_weight *out)
{
    bool outside = false;
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk))
        if (read_head_field(parser, &walk.field, out, &outside) < 0)
            return -1;
    if (walk.reader.broken)
        return onnx_damaged(parser->err, "weight");
    if (outside && !out->external.location)
        return err_set(parser->err, ERR_INVALID, "weight \"%.80s\": lies in another file, but none is named",
                       out->name);
    if (!outside)
        out->external = (struct onnx_external){0};
    return 0;
}

/* ---- elements ---- */

/* Which field carries elements of this type, if not RAW. */
static uint32_t field_of(enum tensor_dtype dtype)
{
    static const uint8_t fields[] = {[DTYPE_FLOAT32] = FLOATS,
                                     [DTYPE_FLOAT64] = DOUBLES,
                                     [DTYPE_INT64] = INT64S,
                                     [DTYPE_UINT32] = UINT64S,
                                     [DTYPE_UINT64] = UINT64S};
    return (size_t)dtype < ARRAY_LEN(fields) && fields[dtype] ? fields[dtype] : INT32S;
}

struct elements {
    size_t count, field_count;
    struct onnx_bytes raw, piece; /* `piece`: the last one, in the file */
    bool has_raw, broken;
};

static void count_field(const struct pb_field *field, uint32_t number, size_t size, struct elements *all)
{
    bool plain = number == FLOATS || number == DOUBLES;
    all->field_count++;
    if (plain) {
        all->broken |= field->type == PB_VARINT || field->len % size;
        all->count += field->len / size;
        all->piece = onnx_bytes_of(field);
    } else if (field->type == PB_VARINT) {
        all->count++;
    } else {
        struct pb_reader packed = pb_over(field->data, field->len);
        uint64_t value;
        while (pb_next_varint(&packed, &value))
            all->count++;
        all->broken |= packed.broken || field->type != PB_BYTES;
    }
}

static struct elements count_elements(struct onnx_bytes message, uint32_t number, size_t size)
{
    struct elements all = {0};
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk)) {
        if (onnx_is(&walk.field, RAW, PB_BYTES)) {
            all.raw = onnx_bytes_of(&walk.field);
            all.has_raw = true;
        } else if (walk.field.number == number) {
            count_field(&walk.field, number, size, &all);
        }
    }
    return all;
}

static uint8_t *copy_field(const struct pb_field *field, uint32_t number, size_t size, uint8_t *at)
{
    uint64_t value = field->value;
    if (number == FLOATS || number == DOUBLES)
        return (uint8_t *)memcpy(at, field->data, field->len) + field->len;
    if (field->type == PB_VARINT)
        return (uint8_t *)memcpy(at, &value, size) + size;
    struct pb_reader packed = pb_over(field->data, field->len);
    for (; pb_next_varint(&packed, &value); at += size)
        memcpy(at, &value, size); /* the low bytes of a little-endian number */
    return at;
}

static int copy_elements(struct onnx_parser *parser, struct onnx_bytes message, uint32_t number, size_t size,
                         struct onnx_weight *out)
{
    uint8_t *at = onnx_model_alloc(parser->model, out->data.len);
    if (!at)
        return err_no_memory(parser->err);
    out->data.data = at;
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk))
        if (walk.field.number == number && (walk.field.len || walk.field.type == PB_VARINT))
            at = copy_field(&walk.field, number, size, at);
    return 0;
}

static int find_data(struct onnx_parser *parser, struct onnx_bytes message, size_t size,
                     struct onnx_weight *out)
{
    size_t want = onnx_weight_elements(out);
    uint32_t number = field_of(out->dtype);
    struct elements all = count_elements(message, number, size);
    size_t have = all.has_raw ? all.raw.len / size : all.count;
    if (all.broken || have != want || (all.has_raw && all.raw.len % size))
        return err_set(parser->err, ERR_INVALID, "weight \"%.80s\": %zu elements, its shape says %zu",
                       out->name, have, want);
    out->data = (struct onnx_bytes){(const uint8_t *)"", want * size};
    if (!want)
        return 0;
    if (all.has_raw)
        out->data = all.raw;
    else if (all.field_count == 1 && (number == FLOATS || number == DOUBLES))
        out->data = all.piece;
    else
        return copy_elements(parser, message, number, size, out);
    return 0;
}

int onnx_parse_weight(struct onnx_parser *parser, struct onnx_bytes message, struct onnx_weight *out)
{
    *out = (struct onnx_weight){.name = onnx_model_find(parser->model, "")};
    if (read_head(parser, message, out) < 0)
        return -1;
    size_t size = tensor_element_bytes(out->dtype), count = onnx_weight_elements(out);
    if (!size) {
        out->raw = message;
        return 0;
    }
    if (count > SIZE_MAX / 2 / size)
        return err_set(parser->err, ERR_TOO_BIG, "weight \"%.80s\": its shape is beyond all memory",
                       out->name);
    if (onnx_keep_rest(parser->model, message, known, &out->rest, parser->err) < 0)
        return -1;
    return out->external.location ? 0 : find_data(parser, message, size, out);
}

size_t onnx_weight_elements(const struct onnx_weight *weight)
{
    size_t count = 1;
    bool none = false, over = false;
    for (size_t i = 0; i < weight->dim_count; i++) {
        none |= weight->dims[i] == 0;
        over |= weight->dims[i] < 0 || __builtin_mul_overflow(count, (size_t)weight->dims[i], &count);
    }
    return none ? 0 : over ? SIZE_MAX : count;
}
