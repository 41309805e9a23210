#include "wire/onnx/model_inside.h"

#include <string.h>

struct onnx_walk onnx_walk_over(struct onnx_bytes message)
{
    return (struct onnx_walk){.reader = pb_over(message.data, message.len)};
}

bool onnx_walk_next(struct onnx_walk *walk)
{
    const uint8_t *from = walk->reader.at;
    if (!pb_next(&walk->reader, &walk->field))
        return false;
    walk->raw = (struct onnx_bytes){from, (size_t)(walk->reader.at - from)};
    return true;
}

int onnx_damaged(struct err *err, const char *where)
{
    return err_set(err, ERR_INVALID, "no ONNX model: the %s is damaged or cut short", where);
}

/* How many bytes, and where if they lie in one piece. */
static struct onnx_bytes measure_rest(struct onnx_bytes message, bool (*known)(const struct pb_field *),
                                      bool *out_whole)
{
    struct onnx_bytes rest = {0};
    struct onnx_walk walk = onnx_walk_over(message);
    *out_whole = true;
    while (onnx_walk_next(&walk)) {
        if (known(&walk.field))
            continue;
        if (!rest.len)
            rest.data = walk.raw.data;
        else if (rest.data + rest.len != walk.raw.data)
            *out_whole = false;
        rest.len += walk.raw.len;
    }
    return rest;
}

int onnx_keep_rest(struct onnx_model *model, struct onnx_bytes message,
                   bool (*known)(const struct pb_field *), struct onnx_bytes *out, struct err *err)
{
    bool whole;
    struct onnx_bytes rest = measure_rest(message, known, &whole);
    *out = rest;
    if (whole)
        return 0;
    uint8_t *copy = onnx_arena(model, rest.len);
    if (!copy)
        return err_no_memory(err);
    *out = (struct onnx_bytes){copy, rest.len};
    struct onnx_walk walk = onnx_walk_over(message);
    while (onnx_walk_next(&walk)) {
        if (known(&walk.field))
            continue;
        memcpy(copy, walk.raw.data, walk.raw.len);
        copy += walk.raw.len;
    }
    return 0;
}
