#include "base/buf.h"
#include "base/mem.h"
#include "wire/json_tree.h"
#include "wire/json_write.h"
#include "wire/tuf/tree.h"

#include <inttypes.h>

enum { MAX_CANONICAL_BYTES = 16 << 20, SLACK = 1024, BYTES_PER_CONTAINER = 16, BYTES_PER_VALUE = 8 };

/* ---- trees ---- */

/* Brackets and commas in the text, those in strings aside. An object is some 250 bytes in memory, an integer 40: real metadata has far
 * fewer of them per byte than a hostile text could. */
static bool is_affordable(const char *text, size_t len)
{
    size_t containers = 0, values = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (!in_string && (text[i] == '{' || text[i] == '['))
            containers++;
        else if (!in_string && text[i] == ',')
            values++;
    }
    return containers <= SLACK + len / BYTES_PER_CONTAINER && values <= SLACK + len / BYTES_PER_VALUE;
}

static json_t *load(const void *text, size_t len, size_t flags, struct err *err)
{
    json_error_t why;
    if (!is_affordable(text, len)) {
        err_set(err, ERR_INVALID, "too many members for %zu bytes", len);
        return NULL;
    }
    json_t *tree = json_loadb(len ? text : "", len, JSON_REJECT_DUPLICATES | flags, &why);
    if (tree)
        return tree;
    if (json_error_code(&why) == json_error_out_of_memory)
        err_no_memory(err);
    else
        err_set(err, ERR_INVALID, "line %d: %s", MAX(why.line, 1), why.text);
    json_tame(err->text);
    return NULL;
}

json_t *tuf_tree(const void *text, size_t len, struct err *err)
{
    return load(text, len, 0, err);
}

/* ---- OLPC canonical JSON ---- */

static int put_value(struct buf *out, const json_t *value, int depth, struct err *err);

static int put_string(struct buf *out, const char *text, size_t len, struct err *err)
{
    size_t done = 0;
    if (buf_puts(out, "\"", err) < 0)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '"' && text[i] != '\\')
            continue;
        if (buf_put(out, text + done, i - done, err) < 0 || buf_puts(out, "\\", err) < 0)
            return -1;
        done = i;
    }
    return buf_put(out, text + done, len - done, err) < 0 ? -1 : buf_puts(out, "\"", err);
}

static int put_array(struct buf *out, const json_t *array, int depth, struct err *err)
{
    if (buf_puts(out, "[", err) < 0)
        return -1;
    for (size_t i = 0; i < json_array_size(array); i++)
        if ((i && buf_puts(out, ",", err) < 0) || put_value(out, json_array_get(array, i), depth, err) < 0)
            return -1;
    return buf_puts(out, "]", err);
}

/* Bytes of UTF-8 sort as code points do. */
static int compare_keys(const void *a, const void *b)
{
    const char *left, *right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return strcmp(left, right);
}

static int put_object(struct buf *out, json_t *object, int depth, struct err *err)
{
    size_t count = 0;
    cleanup_free const char **keys = mem_zalloc(json_object_size(object) + 1, sizeof *keys);
    if (!keys)
        return err_no_memory(err);
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
        keys[count++] = json_object_iter_key(it);
    qsort(keys, count, sizeof *keys, compare_keys);
    if (buf_puts(out, "{", err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if ((i && buf_puts(out, ",", err) < 0) || put_string(out, keys[i], strlen(keys[i]), err) < 0 ||
            buf_puts(out, ":", err) < 0 || put_value(out, json_object_get(object, keys[i]), depth, err) < 0)
            return -1;
    return buf_puts(out, "}", err);
}

static int put_value(struct buf *out, const json_t *value, int depth, struct err *err)
{
    if (depth == 0)
        return err_set(err, ERR_INVALID, "nested more than %d levels deep", JSON_MAX_DEPTH);
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return put_object(out, (json_t *)value, depth - 1, err);
    case JSON_ARRAY:
        return put_array(out, value, depth - 1, err);
    case JSON_STRING:
        return put_string(out, json_string_value(value), json_string_length(value), err);
    case JSON_INTEGER:
        return buf_printf(out, err, "%" PRId64, (int64_t)json_integer_value(value));
    case JSON_REAL:
        return err_set(err, ERR_INVALID,
                       "a number with a fraction or an exponent; canonical JSON has integers only");
    case JSON_TRUE:
        return buf_puts(out, "true", err);
    case JSON_FALSE:
        return buf_puts(out, "false", err);
    case JSON_NULL:
        break;
    }
    return buf_puts(out, "null", err);
}

char *tuf_canonical_tree(const json_t *value, size_t *out_len, struct err *err)
{
    cleanup_buf struct buf out = BUF_INIT(MAX_CANONICAL_BYTES);
    if (put_value(&out, value, JSON_MAX_DEPTH, err) < 0)
        return NULL;
    *out_len = out.len;
    char *text = buf_take(&out);
    if (!text)
        err_no_memory(err);
    return text;
}

char *tuf_canonical(const void *text, size_t len, size_t *out_len, struct err *err)
{
    cleanup_json json_t *tree = load(text, len, JSON_DECODE_ANY, err);
    return tree ? tuf_canonical_tree(tree, out_len, err) : NULL;
}

/* ---- keys ---- */

static const struct {
    const char *type, *scheme;
} scheme_names[] = {
    [TUF_ED25519] = {"ed25519", "ed25519"},
    [TUF_ECDSA_P256] = {"ecdsa", "ecdsa-sha2-nistp256"},
    [TUF_RSA_PSS] = {"rsa", "rsassa-pss-sha256"},
    [TUF_RSA_PKCS1] = {"rsa", "rsa-pkcs1v15-sha256"},
};

json_t *tuf_key_tree(enum tuf_scheme scheme, const char *public_text)
{
    if (scheme == TUF_SCHEME_UNKNOWN || (size_t)scheme >= ARRAY_LEN(scheme_names))
        return NULL;
    return json_pack("{s:s, s:s, s:{s:s}}", "keytype", scheme_names[scheme].type, "scheme",
                     scheme_names[scheme].scheme, "keyval", "public", public_text);
}

char *tuf_key_canonical(enum tuf_scheme scheme, const char *public_text, size_t *out_len, struct err *err)
{
    cleanup_json json_t *tree = tuf_key_tree(scheme, public_text);
    if (tree)
        return tuf_canonical_tree(tree, out_len, err);
    err_set(err, ERR_INVALID, "a key of no known scheme, or not of text");
    return NULL;
}

enum tuf_scheme tuf_scheme_of(const char *type, const char *scheme)
{
    for (int i = TUF_ED25519; i <= TUF_RSA_PKCS1; i++)
        if (strcmp(type, scheme_names[i].type) == 0 && strcmp(scheme, scheme_names[i].scheme) == 0)
            return i;
    bool old = strcmp(type, "ecdsa-sha2-nistp256") == 0 && strcmp(scheme, "ecdsa-sha2-nistp256") == 0;
    return old ? TUF_ECDSA_P256 : TUF_SCHEME_UNKNOWN;
}
