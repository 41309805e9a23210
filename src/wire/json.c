#include "wire/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/json_tree.h"
#include "wire/json_write.h"

#include <math.h>
#include <stdarg.h>

/* ---- documents ---- */

static bool too_deep(const json_t *value, int left)
{
    if (!json_is_object(value) && !json_is_array(value))
        return false;
    if (left == 0)
        return true;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (too_deep(json_array_get(value, i), left - 1))
            return true;
    json_t *object = (json_t *)value;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
        if (too_deep(json_object_iter_value(it), left - 1))
            return true;
    return false;
}

static size_t control_at(const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;
    if (byte[0] < 0x20 || byte[0] == 0x7f)
        return 1;
    return byte[0] == 0xc2 && byte[1] >= 0x80 && byte[1] < 0xa0 ? 2 : 0; /* U+0080..U+009F */
}

bool json_is_line(const char *text)
{
    for (; *text; text++)
        if (control_at(text))
            return false;
    return true;
}

void json_tame(char *text)
{
    for (; *text; text++)
        if (control_at(text))
            memset(text, '?', control_at(text));
}

int json_reader_init(struct json_reader *reader, const char *name, json_t *root, struct err *err)
{
    if (too_deep(root, JSON_MAX_DEPTH)) {
        json_decref(root);
        return err_set(err, ERR_INVALID, "%s: nested more than %d levels deep", name, JSON_MAX_DEPTH);
    }
    *reader = (struct json_reader){.name = name, .root = root};
    return 0;
}

int json_read(struct json_reader *reader, const char *name, const void *text, size_t len, struct err *err)
{
    *reader = (struct json_reader){.name = name};
    if (len > JSON_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "%s: %zu bytes, the limit is %d", name, len, JSON_MAX_BYTES);
    json_error_t why;
    json_t *root = json_loadb(len ? text : "", len, JSON_REJECT_DUPLICATES, &why);
    if (root)
        return json_reader_init(reader, name, root, err);
    if (json_error_code(&why) == json_error_out_of_memory)
        return err_no_memory(err);
    err_set(err, ERR_INVALID, "%s: line %d: %s", name, MAX(why.line, 1), why.text);
    json_tame(err->text);
    return -1;
}

int json_finish(struct json_reader *reader, struct err *err)
{
    json_decref(reader->root);
    reader->root = NULL;
    if (reader->err.code == ERR_NONE)
        return 0;
    *err = reader->err;
    return -1;
}

/* ---- errors and places ---- */

static void fail(struct json_at at, enum err_code code, const char *cause)
{
    struct json_reader *reader = at.reader;
    if (reader->err.code != ERR_NONE)
        return;
    const char *gap = at.path[0] ? ": " : "";
    err_set(&reader->err, code, "%s: %s%s%s", reader->name, at.path, gap, cause);
    json_tame(reader->err.text);
}

void json_fail(struct json_at at, const char *fmt, ...)
{
    char cause[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(cause, sizeof cause, fmt, args);
    va_end(args);
    fail(at, ERR_INVALID, cause);
}

static bool is_live(struct json_at at)
{
    return at.value && at.reader->err.code == ERR_NONE;
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "a list",  [JSON_STRING] = "text",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",        [JSON_NULL] = "null",
    };
    return names[json_typeof(value)];
}

/* The same place, if it holds what is wanted; a dead one after telling so. */
static struct json_at want(struct json_at at, bool right, const char *wanted)
{
    if (is_live(at) && !right) {
        bool quotes = str_eq(wanted, "text") && !json_is_object(at.value) && !json_is_array(at.value);
        json_fail(at, "must be %s, not %s%s", wanted, type_name(at.value),
                  quotes ? "; put it in quotes" : "");
    }
    if (!is_live(at))
        at.value = NULL;
    return at;
}

static struct json_at place_of(struct json_at at, const char *key, json_t *value)
{
    struct json_at child = {.reader = at.reader, .value = value};
    snprintf(child.path, sizeof child.path, "%s%s%s", at.path, at.path[0] ? "." : "", key);
    return child;
}

static struct json_at member(struct json_at at, const char *key)
{
    at = json_as_object(at);
    struct json_at child = place_of(at, key, at.value ? json_object_get(at.value, key) : NULL);
    if (at.value && !child.value)
        json_fail(child, "is missing");
    return child;
}

struct json_at json_root(struct json_reader *reader)
{
    return json_as_object((struct json_at){.reader = reader, .value = reader->root});
}

bool json_has(struct json_at at, const char *key)
{
    json_t *value = is_live(at) ? json_object_get(at.value, key) : NULL;
    return value && !json_is_null(value);
}

bool json_has_null(struct json_at at, const char *key)
{
    return is_live(at) && json_is_null(json_object_get(at.value, key));
}

bool json_has_text(struct json_at at, const char *key)
{
    return is_live(at) && json_is_string(json_object_get(at.value, key));
}

struct json_at json_child(struct json_at at, const char *key)
{
    return json_as_object(member(at, key));
}

struct json_at json_list(struct json_at at, const char *key, size_t max, size_t *out_count)
{
    struct json_at list = member(at, key);
    list = want(list, json_is_array(list.value), "a list");
    size_t count = json_array_size(list.value);
    if (list.value && count > max) {
        json_fail(list, "has %zu items, the limit is %zu", count, max);
        list.value = NULL;
    }
    *out_count = list.value ? count : 0;
    return list;
}

struct json_at json_item(struct json_at list, size_t index)
{
    struct json_at item = {.reader = list.reader};
    snprintf(item.path, sizeof item.path, "%.80s[%zu]", list.path, index);
    if (!is_live(list))
        return item;
    item.value = json_array_get(list.value, index);
    if (!item.value)
        json_fail(item, "is missing");
    return item;
}

struct json_at json_as_object(struct json_at at)
{
    return want(at, json_is_object(at.value), "an object");
}

/* ---- values at a place ---- */

void json_as_string(struct json_at at, char *out, size_t out_size)
{
    at = want(at, json_is_string(at.value), "text");
    if (!at.value)
        return;
    if (json_string_length(at.value) >= out_size)
        json_fail(at, "has %zu bytes, the limit is %zu", json_string_length(at.value), out_size - 1);
    else
        str_copy(out, out_size, json_string_value(at.value));
}

static const char *text_of(struct json_at at)
{
    return is_live(at) ? json_string_value(at.value) : NULL;
}

void json_as_name(struct json_at at, char *out, size_t out_size)
{
    const char *text = text_of(at);
    if (text && strlen(text) < out_size && !str_is_name(text, out_size - 1))
        json_fail(at, "\"%.60s\" is no name; use letters, digits and . _ - and start with a letter or digit",
                  text);
    json_as_string(at, out, out_size);
}

void json_as_line(struct json_at at, char *out, size_t out_size)
{
    const char *text = text_of(at);
    if (text && !json_is_line(text))
        json_fail(at, "must be one line without control characters");
    json_as_string(at, out, out_size);
}

void json_as_int(struct json_at at, int64_t min, int64_t max, int64_t *out)
{
    at = want(at, json_is_integer(at.value), "an integer");
    if (!at.value)
        return;
    int64_t value = json_integer_value(at.value);
    if (value < min || value > max)
        json_fail(at, "is %lld, must be from %lld to %lld", (long long)value, (long long)min, (long long)max);
    else
        *out = value;
}

void json_as_double(struct json_at at, double min, double max, double *out)
{
    at = want(at, json_is_number(at.value), "a number");
    if (!at.value)
        return;
    double value = json_number_value(at.value);
    if (!(value >= min && value <= max))
        json_fail(at, "is %g, must be from %g to %g", value, min, max);
    else
        *out = value;
}

static void as_bool(struct json_at at, bool *out)
{
    at = want(at, json_is_boolean(at.value), "true or false");
    if (at.value)
        *out = json_is_true(at.value);
}

static void as_digest(struct json_at at, struct digest *out)
{
    at = want(at, json_is_string(at.value), "text");
    if (at.value && !digest_parse(json_string_value(at.value), out))
        json_fail(at, "must be \"sha256:\" and 64 lower-case hexadecimal digits");
}

static void list_words(const char *const *words, size_t count, char *out, size_t out_size)
{
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < count && used < out_size; i++)
        if (words[i])
            used += (size_t)snprintf(out + used, out_size - used, "%s%s", used ? ", " : "", words[i]);
}

static void as_choice(struct json_at at, const char *const *words, size_t count, int *out)
{
    at = want(at, json_is_string(at.value), "text");
    if (!at.value)
        return;
    for (size_t i = 0; i < count; i++) {
        if (words[i] && str_eq(words[i], json_string_value(at.value))) {
            *out = (int)i;
            return;
        }
    }
    char known[120];
    list_words(words, count, known, sizeof known);
    json_fail(at, "\"%.40s\" is unknown; use one of %s", json_string_value(at.value), known);
}

/* ---- members ---- */

void json_get_string(struct json_at at, const char *key, char *out, size_t out_size)
{
    json_as_string(member(at, key), out, out_size);
}

void json_get_name(struct json_at at, const char *key, char *out, size_t out_size)
{
    json_as_name(member(at, key), out, out_size);
}

void json_get_line(struct json_at at, const char *key, char *out, size_t out_size)
{
    json_as_line(member(at, key), out, out_size);
}

void json_get_int(struct json_at at, const char *key, int64_t min, int64_t max, int64_t *out)
{
    json_as_int(member(at, key), min, max, out);
}

void json_get_u64(struct json_at at, const char *key, uint64_t max, uint64_t *out)
{
    int64_t value = -1;
    json_as_int(member(at, key), 0, (int64_t)MIN(max, (uint64_t)INT64_MAX), &value);
    if (value >= 0)
        *out = (uint64_t)value;
}

void json_get_double(struct json_at at, const char *key, double min, double max, double *out)
{
    json_as_double(member(at, key), min, max, out);
}

void json_get_bool(struct json_at at, const char *key, bool *out)
{
    as_bool(member(at, key), out);
}

void json_get_digest(struct json_at at, const char *key, struct digest *out)
{
    as_digest(member(at, key), out);
}

void json_get_digest_or_null(struct json_at at, const char *key, struct digest *out)
{
    *out = (struct digest){0};
    if (json_has_null(at, key))
        return;
    as_digest(member(at, key), out);
    if (is_live(at) && digest_is_zero(out))
        json_fail(member(at, key), "must not be the digest of zeros; write null");
}

void json_get_choice(struct json_at at, const char *key, const char *const *words, size_t count, int *out)
{
    as_choice(member(at, key), words, count, out);
}

void json_each(struct json_at at, void (*visit)(const char *key, struct json_at value, void *arg), void *arg)
{
    at = json_as_object(at);
    if (!at.value)
        return;
    for (void *it = json_object_iter(at.value); it; it = json_object_iter_next(at.value, it)) {
        const char *key = json_object_iter_key(it);
        visit(key, place_of(at, key, json_object_iter_value(it)), arg);
    }
}

static bool is_known(const char *key, const char *const *known)
{
    for (; *known; known++)
        if (str_eq(*known, key))
            return true;
    return false;
}

void json_only(struct json_at at, const char *const *known)
{
    at = json_as_object(at);
    if (!at.value)
        return;
    for (void *it = json_object_iter(at.value); it; it = json_object_iter_next(at.value, it))
        if (!is_known(json_object_iter_key(it), known))
            json_fail(place_of(at, json_object_iter_key(it), NULL), "is unknown here; check the spelling");
}

char *json_canonical(struct json_at at)
{
    if (!is_live(at))
        return NULL;
    char *text = json_write(at.value);
    if (!text)
        fail(at, ERR_NO_MEMORY, "out of memory");
    return text;
}
