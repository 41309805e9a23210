/* The canonical form, once more and differently: a check on wire/tuf, since whatever this signs must verify there. */
#include "base/buf.h"
#include "trust/tuf/testing/mock_inside.h"

enum { MAX_CANONICAL = 64 << 20 };

static int put_value(struct buf *out, const json_t *value, struct err *err);

static int put_text(struct buf *out, const char *text, size_t len, struct err *err)
{
    if (buf_puts(out, "\"", err) < 0)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if ((text[i] == '"' || text[i] == '\\') && buf_puts(out, "\\", err) < 0)
            return -1;
        if (buf_put(out, text + i, 1, err) < 0)
            return -1;
    }
    return buf_puts(out, "\"", err);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int put_object(struct buf *out, json_t *object, struct err *err)
{
    size_t count = 0;
    cleanup_free const char **names = mem_zalloc(json_object_size(object) + 1, sizeof names[0]);
    if (!names)
        return err_no_memory(err);
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at))
        names[count++] = json_object_iter_key(at);
    qsort(names, count, sizeof names[0], compare_names);
    if (buf_puts(out, "{", err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && buf_puts(out, ",", err) < 0)
            return -1;
        if (put_text(out, names[i], strlen(names[i]), err) < 0 || buf_puts(out, ":", err) < 0 ||
            put_value(out, json_object_get(object, names[i]), err) < 0)
            return -1;
    }
    return buf_puts(out, "}", err);
}

static int put_array(struct buf *out, const json_t *array, struct err *err)
{
    if (buf_puts(out, "[", err) < 0)
        return -1;
    for (size_t i = 0; i < json_array_size(array); i++) {
        if ((i > 0 && buf_puts(out, ",", err) < 0) || put_value(out, json_array_get(array, i), err) < 0)
            return -1;
    }
    return buf_puts(out, "]", err);
}

static int put_value(struct buf *out, const json_t *value, struct err *err)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return put_object(out, (json_t *)value, err);
    case JSON_ARRAY:
        return put_array(out, value, err);
    case JSON_STRING:
        return put_text(out, json_string_value(value), json_string_length(value), err);
    case JSON_INTEGER:
        return buf_printf(out, err, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    case JSON_TRUE:
        return buf_puts(out, "true", err);
    case JSON_FALSE:
        return buf_puts(out, "false", err);
    case JSON_NULL:
        return buf_puts(out, "null", err);
    case JSON_REAL: /* has no canonical form; a test that wants one signed gets what jansson prints */
        return buf_printf(out, err, "%.17g", json_real_value(value));
    }
    return -1;
}

char *mock_canonical(const json_t *value)
{
    struct err err = {0};
    cleanup_buf struct buf out = BUF_INIT(MAX_CANONICAL);
    if (!value || put_value(&out, value, &err) < 0)
        return NULL;
    return buf_take(&out);
}
