#include "wire/trt_plan.h"

#include "base/mem.h"
#include "wire/protobuf.h"

enum { PLAN_HEADER = 28, PLAN_VERSION_AT = 24 };
enum { IR_VERSION = 8, OPSET = 17, ATTRIBUTE_INT = 2, ATTRIBUTE_STRING = 3 };

/* ---- plans ---- */

int trt_plan_check(const void *plan, size_t len, const int version[4], struct err *err)
{
    static const uint8_t start[] = {'f', 't', 'r', 't', 0, 0, 0, 0};
    const uint8_t *at = plan;
    if (len <= PLAN_HEADER || memcmp(at, start, sizeof start) != 0)
        return err_set(err, ERR_INVALID, "no TensorRT engine of a format that is known");
    const uint8_t *by = at + PLAN_VERSION_AT;
    for (int i = 0; i < 4; i++)
        if (by[i] != version[i])
            return err_set(err, ERR_REFUSED, "the engine is of TensorRT %u.%u.%u.%u, here is %d.%d.%d.%d",
                           by[0], by[1], by[2], by[3], version[0], version[1], version[2], version[3]);
    return 0;
}

/* ---- writing a context ---- */

static int put_varint(struct buf *out, uint64_t value, struct err *err)
{
    uint8_t bytes[10];
    size_t len = 0;
    for (; value >= 128; value >>= 7)
        bytes[len++] = (uint8_t)(value | 128);
    bytes[len++] = (uint8_t)value;
    return buf_put(out, bytes, len, err);
}

static int put_number(struct buf *out, uint32_t field, uint64_t value, struct err *err)
{
    return put_varint(out, field << 3 | PB_VARINT, err) < 0 ? -1 : put_varint(out, value, err);
}

static int put_length(struct buf *out, uint32_t field, size_t len, struct err *err)
{
    return put_varint(out, field << 3 | PB_BYTES, err) < 0 ? -1 : put_varint(out, len, err);
}

static int put_bytes(struct buf *out, uint32_t field, const void *data, size_t len, struct err *err)
{
    return put_length(out, field, len, err) < 0 ? -1 : buf_put(out, data, len, err);
}

static int put_text(struct buf *out, uint32_t field, const char *text, struct err *err)
{
    return put_bytes(out, field, text, strlen(text), err);
}

static int put_message(struct buf *out, uint32_t field, const struct buf *inner, struct err *err)
{
    return put_bytes(out, field, inner->data ? inner->data : (const uint8_t *)"", inner->len, err);
}

/* ValueInfoProto {1 name, 2 type {1 tensor {1 elem_type, 2 shape {1 dim {1 value}}}}} */
static int put_value(struct buf *graph, uint32_t field, const struct tensor_spec *spec, struct err *err)
{
    cleanup_buf struct buf shape = BUF_INIT(4096), tensor = BUF_INIT(4096), type = BUF_INIT(4096),
                           value = BUF_INIT(4096);
    for (size_t i = 0; i < spec->dim_count; i++) {
        cleanup_buf struct buf dim = BUF_INIT(32);
        if (put_number(&dim, 1, (uint64_t)spec->dims[i], err) < 0 || put_message(&shape, 1, &dim, err) < 0)
            return -1;
    }
    if (put_number(&tensor, 1, (uint64_t)spec->dtype, err) < 0 || put_message(&tensor, 2, &shape, err) < 0 ||
        put_message(&type, 1, &tensor, err) < 0 || put_text(&value, 1, spec->name, err) < 0 ||
        put_message(&value, 2, &type, err) < 0)
        return -1;
    return put_message(graph, field, &value, err);
}

static int put_int_attribute(struct buf *node, const char *name, uint64_t number, struct err *err)
{
    cleanup_buf struct buf attribute = BUF_INIT(256);
    if (put_text(&attribute, 1, name, err) < 0 || put_number(&attribute, 3, number, err) < 0 ||
        put_number(&attribute, 20, ATTRIBUTE_INT, err) < 0)
        return -1;
    return put_message(node, 5, &attribute, err);
}

static int put_text_attribute(struct buf *node, const char *name, const char *text, struct err *err)
{
    cleanup_buf struct buf attribute = BUF_INIT(256);
    if (put_text(&attribute, 1, name, err) < 0 || put_text(&attribute, 4, text, err) < 0 ||
        put_number(&attribute, 20, ATTRIBUTE_STRING, err) < 0)
        return -1;
    return put_message(node, 5, &attribute, err);
}

/* The node but for the plan, which is not copied around: its attribute comes last. */
static int put_node(struct buf *node, struct buf *last, size_t plan_len, int compute,
                    const struct release *release, struct err *err)
{
    char architecture[16];
    snprintf(architecture, sizeof architecture, "%d", compute);
    for (size_t i = 0; i < release->input_count; i++)
        if (put_text(node, 1, release->inputs[i].name, err) < 0)
            return -1;
    for (size_t i = 0; i < release->output_count; i++)
        if (put_text(node, 2, release->outputs[i].name, err) < 0)
            return -1;
    if (put_text(node, 3, "engine", err) < 0 || put_text(node, 4, "EPContext", err) < 0 ||
        put_int_attribute(node, "embed_mode", 1, err) < 0 ||
        put_text_attribute(node, "hardware_architecture", architecture, err) < 0 ||
        put_text_attribute(node, "onnx_model_filename", "", err) < 0 ||
        put_text(node, 7, "com.microsoft", err) < 0)
        return -1;
    if (put_text(last, 1, "ep_cache_context", err) < 0 || put_number(last, 20, ATTRIBUTE_STRING, err) < 0)
        return -1;
    return put_length(last, 4, plan_len, err);
}

static int put_graph(struct buf *graph, const struct release *release, struct err *err)
{
    if (put_text(graph, 2, "tensorrt", err) < 0)
        return -1;
    for (size_t i = 0; i < release->input_count; i++)
        if (put_value(graph, 11, &release->inputs[i], err) < 0)
            return -1;
    for (size_t i = 0; i < release->output_count; i++)
        if (put_value(graph, 12, &release->outputs[i], err) < 0)
            return -1;
    return 0;
}

static int put_opset(struct buf *out, const char *domain, uint64_t version, struct err *err)
{
    cleanup_buf struct buf opset = BUF_INIT(64);
    if (put_text(&opset, 1, domain, err) < 0 || put_number(&opset, 2, version, err) < 0)
        return -1;
    return put_message(out, 8, &opset, err);
}

/* How long a field of `len` bytes is in all; its number is below 16. */
static size_t field_size(size_t len)
{
    size_t size = 2;
    for (size_t rest = len; rest >= 128; rest >>= 7)
        size++;
    return size + len;
}

int trt_context_put(const void *plan, size_t len, int compute, const struct release *release, struct buf *out,
                    struct err *err)
{
    cleanup_buf struct buf graph = BUF_INIT(64 << 10), node = BUF_INIT(16 << 10), last = BUF_INIT(256);
    if (put_graph(&graph, release, err) < 0 || put_node(&node, &last, len, compute, release, err) < 0)
        return -1;
    size_t attribute = last.len + len, whole = node.len + field_size(attribute);
    if (buf_reserve(out, len + graph.len + node.len + 1024, err) < 0 ||
        put_number(out, 1, IR_VERSION, err) < 0 || put_opset(out, "", OPSET, err) < 0 ||
        put_opset(out, "com.microsoft", 1, err) < 0 ||
        put_length(out, 7, graph.len + field_size(whole), err) < 0 ||
        buf_put(out, graph.data, graph.len, err) < 0 || put_length(out, 1, whole, err) < 0 ||
        buf_put(out, node.data, node.len, err) < 0 || put_length(out, 5, attribute, err) < 0 ||
        buf_put(out, last.data, last.len, err) < 0)
        return -1;
    return buf_put(out, plan, len, err);
}

/* ---- looking at one ---- */

struct look {
    const int *version;
    size_t plans;
    struct err *err;
};

static int broken(const struct look *look)
{
    return err_set(look->err, ERR_INVALID, "no model that holds an engine: it is damaged or cut short");
}

static bool is_word(const struct pb_field *field, const char *word)
{
    return field->type == PB_BYTES && field->len == strlen(word) &&
           memcmp(field->data, word, field->len) == 0;
}

struct attribute {
    struct pb_field name, text;
    uint64_t number;
};

static bool read_attribute(const struct pb_field *message, struct attribute *out)
{
    struct pb_reader reader = pb_over(message->data, message->len);
    struct pb_field field;
    *out = (struct attribute){0};
    while (pb_next(&reader, &field)) {
        if (field.number == 1 && field.type == PB_BYTES)
            out->name = field;
        else if (field.number == 4 && field.type == PB_BYTES)
            out->text = field;
        else if (field.number == 3 && field.type == PB_VARINT)
            out->number = field.value;
    }
    return !reader.broken;
}

static bool named(const struct attribute *attribute, const char *name)
{
    return attribute->name.type == PB_BYTES && is_word(&attribute->name, name);
}

/* An EPContext, or any other operator, which is none of our business. */
static int look_at_node(struct look *look, const struct pb_field *message)
{
    struct pb_reader reader = pb_over(message->data, message->len);
    struct pb_field field, plan = {0};
    bool context = false, embedded = true;
    while (pb_next(&reader, &field)) {
        struct attribute attribute;
        context |= field.number == 4 && is_word(&field, "EPContext");
        if (field.number != 5 || field.type != PB_BYTES)
            continue;
        if (!read_attribute(&field, &attribute))
            return broken(look);
        if (named(&attribute, "embed_mode"))
            embedded = attribute.number != 0;
        else if (named(&attribute, "ep_cache_context"))
            plan = attribute.text;
    }
    if (reader.broken)
        return broken(look);
    if (!context)
        return 0;
    if (!embedded)
        return err_set(look->err, ERR_INVALID, "the engine is in another file");
    look->plans++;
    return trt_plan_check(plan.data ? plan.data : (const uint8_t *)"", plan.len, look->version, look->err);
}

static int look_at_graph(struct look *look, const struct pb_field *message)
{
    struct pb_reader reader = pb_over(message->data, message->len);
    struct pb_field field;
    while (pb_next(&reader, &field))
        if (field.number == 1 && field.type == PB_BYTES && look_at_node(look, &field) < 0)
            return -1;
    return reader.broken ? broken(look) : 0;
}

int trt_context_check(const void *model, size_t len, const int version[4], struct err *err)
{
    struct look look = {.version = version, .err = err};
    struct pb_reader reader = pb_over(model, len);
    struct pb_field field;
    while (pb_next(&reader, &field))
        if (field.number == 7 && field.type == PB_BYTES && look_at_graph(&look, &field) < 0)
            return -1;
    if (reader.broken)
        return broken(&look);
    return look.plans > 0 ? 0 : err_set(err, ERR_INVALID, "no model that holds an engine");
}
