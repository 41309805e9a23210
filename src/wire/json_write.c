#include "wire/json_write.h"
#include "base/buf.h"
#include "base/mem.h"
#include "wire/json_tree.h"

#include <math.h>
#include <stdbool.h>

enum { MAX_TEXT = 64 << 20 };

static int put_value(struct buf *out, const json_t *value, struct err *err);

static int put_string(struct buf *out, const json_t *value, struct err *err)
{
    cleanup_free char *text = json_dumps(value, JSON_ENCODE_ANY);
    return text ? buf_puts(out, text, err) : err_no_memory(err);
}

/* The fewest digits that read back as the same double. 17 always do. */
static void shortest(double value, char *out, size_t out_size)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, out_size, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
    char *comma = strchr(out, ','); /* a host program's locale */
    if (comma)
        *comma = '.';
}

static int put_real(struct buf *out, double value, struct err *err)
{
    if (value == 0 && signbit(value))
        return buf_puts(out, "-0.0", err);
    if (value == rint(value) && fabs(value) < 1e15)
        return buf_printf(out, err, "%.0f", value);
    char text[40];
    shortest(value, text, sizeof text);
    return buf_puts(out, text, err);
}

static int put_array(struct buf *out, const json_t *array, struct err *err)
{
    if (buf_puts(out, "[", err) < 0)
        return -1;
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i && buf_puts(out, ",", err) < 0)
            return -1;
        if (put_value(out, json_array_get(array, i), err) < 0)
            return -1;
    }
    return buf_puts(out, "]", err);
}

static int compare_keys(const void *a, const void *b)
{
    const char *left, *right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return strcmp(left, right);
}

static int put_member(struct buf *out, const json_t *object, const char *key, struct err *err)
{
    json_t *name = json_string(key);
    if (!name)
        return err_no_memory(err);
    int rc = put_string(out, name, err);
    json_decref(name);
    if (rc < 0 || buf_puts(out, ":", err) < 0)
        return -1;
    return put_value(out, json_object_get(object, key), err);
}

static int put_object(struct buf *out, json_t *object, struct err *err)
{
    size_t count = 0;
    cleanup_free const char **keys = mem_zalloc(json_object_size(object), sizeof *keys);
    if (!keys)
        return err_no_memory(err);
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
        keys[count++] = json_object_iter_key(it);
    qsort(keys, count, sizeof *keys, compare_keys);
    if (buf_puts(out, "{", err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (i && buf_puts(out, ",", err) < 0)
            return -1;
        if (put_member(out, object, keys[i], err) < 0)
            return -1;
    }
    return buf_puts(out, "}", err);
}

static int put_value(struct buf *out, const json_t *value, struct err *err)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return put_object(out, (json_t *)value, err);
    case JSON_ARRAY:
        return put_array(out, value, err);
    case JSON_STRING:
        return put_string(out, value, err);
    case JSON_INTEGER:
        return buf_printf(out, err, "%lld", (long long)json_integer_value(value));
    case JSON_REAL:
        return put_real(out, json_real_value(value), err);
    case JSON_TRUE:
        return buf_puts(out, "true", err);
    case JSON_FALSE:
        return buf_puts(out, "false", err);
    case JSON_NULL:
        break;
    }
    return buf_puts(out, "null", err);
}

char *json_write(const json_t *value)
{
    cleanup_buf struct buf out = BUF_INIT(MAX_TEXT);
    struct err err = {0};
    if (!value || put_value(&out, value, &err) < 0)
        return NULL;
    return buf_take(&out);
}

char *json_write_new(json_t *value)
{
    char *text = json_write(value);
    json_decref(value);
    return text;
}

json_t *json_from_digest(const struct digest *digest)
{
    return json_string(digest_format(digest).text);
}

json_t *json_from_line(const char *text)
{
    cleanup_free char *copy = mem_strdup(text);
    if (!copy)
        return NULL;
    json_tame(copy);
    json_t *value = json_string(copy);
    if (value)
        return value;
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    return json_string(copy);
}

int json_put_text(json_t *object, const char *key, const char *text)
{
    return text[0] ? json_object_set_new(object, key, json_string(text)) : 0;
}

int json_append(json_t *array, json_t *value)
{
    return json_array_append_new(array, value);
}

void json_cleanup(json_t **slot)
{
    json_decref(*slot);
}
