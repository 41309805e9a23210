/* JSON pointers (RFC 6901) that edit: what is missing on the way becomes an object. */
#include "base/mem.h"
#include "base/str.h"
#include "trust/tuf/testing/mock_inside.h"

/* The next token, unescaped; NULL at the end of the pointer or out of memory. */
static char *next_token(const char **pointer)
{
    if (**pointer != '/')
        return NULL;
    const char *from = *pointer + 1;
    size_t len = strcspn(from, "/");
    *pointer = from + len;
    char *token = mem_zalloc(len + 1, 1);
    for (size_t i = 0, n = 0; token && i < len; i++) {
        bool escaped = from[i] == '~' && i + 1 < len;
        token[n++] = !escaped ? from[i] : from[++i] == '1' ? '/' : '~';
    }
    return token;
}

static json_t *step(json_t *at, const char *token)
{
    uint64_t index;
    if (json_is_array(at))
        return str_to_u64(token, &index) ? json_array_get(at, index) : NULL;
    if (!json_is_object(at))
        return NULL;
    if (!json_object_get(at, token) && json_object_set_new(at, token, json_object()) < 0)
        return NULL;
    return json_object_get(at, token);
}

static int put(json_t *at, const char *token, json_t *value)
{
    uint64_t index;
    if (json_is_array(at) && str_eq(token, "-"))
        return json_array_append_new(at, value);
    if (json_is_array(at) && str_to_u64(token, &index))
        return value ? json_array_set_new(at, index, value) : json_array_remove(at, index);
    if (json_is_object(at))
        return value ? json_object_set_new(at, token, value) : json_object_del(at, token);
    json_decref(value);
    return -1;
}

int mock_point(json_t *document, const char *pointer, json_t *value)
{
    cleanup_free char *token = next_token(&pointer);
    while (document && token && *pointer) {
        document = step(document, token);
        free(token);
        token = next_token(&pointer);
    }
    if (document && token)
        return put(document, token, value);
    json_decref(value);
    return -1;
}

json_t *mock_vparse(struct tuf_mock *mock, const char *format, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0) {
        mock_fail(mock, "out of memory");
        return NULL;
    }
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!value)
        mock_fail(mock, "no JSON: %.100s", text);
    free(text);
    return value;
}
