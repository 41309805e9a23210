#include "base/mem.h"
#include "wire/tuf/tree.h"

enum { MAX_TEXTS = 65536, MAX_KEYIDS = 8192 };

/* ---- texts ---- */

static char *copy_text(struct json_at at, const char *key, const json_t *value)
{
    const char *text = json_string_value(value);
    if (!text || !*text) {
        json_fail(at, "%.40s must be text, and not empty", key);
        return NULL;
    }
    char *copy = mem_strdup(text);
    if (!copy)
        json_fail(at, "out of memory");
    return copy;
}

char *tuf_read_text(struct json_at at, const char *key)
{
    return copy_text(at, key, at.value ? json_object_get(at.value, key) : NULL);
}

static char **read_texts(struct json_at at, const char *key, size_t max, size_t *out_count)
{
    size_t count = 0;
    struct json_at list = json_list(at, key, max, &count);
    char **texts = mem_zalloc(count + 1, sizeof *texts);
    *out_count = texts ? count : 0;
    if (!texts)
        json_fail(at, "out of memory");
    for (size_t i = 0; i < *out_count; i++)
        texts[i] = copy_text(list, key, json_array_get(list.value, i));
    return texts;
}

char **tuf_read_texts(struct json_at at, const char *key, size_t *out_count)
{
    return read_texts(at, key, MAX_TEXTS, out_count);
}

static int compare_texts(const void *a, const void *b)
{
    const char *left, *right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return strcmp(left, right);
}

bool tuf_texts_unique(char *const *texts, size_t count)
{
    if (count < 2)
        return true;
    cleanup_free const char **sorted = mem_zalloc(count + 1, sizeof *sorted);
    if (!sorted)
        return false;
    memcpy(sorted, texts, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_texts);
    for (size_t i = 1; i < count; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            return false;
    return true;
}

void tuf_texts_free(char **texts, size_t count)
{
    for (size_t i = 0; texts && i < count; i++)
        free(texts[i]);
    free(texts);
}

/* ---- who speaks for a role ---- */

static bool all_there(char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!texts[i])
            return false;
    return true;
}

void tuf_read_keyset(struct json_at at, struct tuf_keyset *out)
{
    json_get_int(at, "threshold", 1, INT64_MAX, &out->threshold);
    out->keyids = read_texts(at, "keyids", MAX_KEYIDS, &out->count);
    if (all_there(out->keyids, out->count) && !tuf_texts_unique(out->keyids, out->count))
        json_fail(at, "keyids names a key twice");
}

void tuf_keyset_fini(struct tuf_keyset *set)
{
    tuf_texts_free(set->keyids, set->count);
    *set = (struct tuf_keyset){0};
}

static void read_key(struct json_at at, const char *id, struct tuf_key *out)
{
    cleanup_free char *type = tuf_read_text(at, "keytype");
    cleanup_free char *scheme = tuf_read_text(at, "scheme");
    struct json_at value = json_child(at, "keyval");
    out->id = mem_strdup(id);
    if (!type || !scheme || !out->id || !value.value)
        return;
    out->scheme = tuf_scheme_of(type, scheme);
    if (out->scheme == TUF_SCHEME_UNKNOWN && !json_is_string(json_object_get(value.value, "public")))
        out->public_text = mem_strdup("");
    else
        out->public_text = tuf_read_text(value, "public");
}

static int compare_keys(const void *a, const void *b)
{
    const struct tuf_key *left = a, *right = b;
    return strcmp(left->id, right->id);
}

struct tuf_key *tuf_read_keys(struct json_at at, size_t *out_count)
{
    struct json_at list = json_child(at, "keys");
    size_t count = list.value ? json_object_size(list.value) : 0, i = 0;
    struct tuf_key *keys = mem_zalloc(count + 1, sizeof *keys);
    *out_count = keys ? count : 0;
    if (!keys)
        json_fail(at, "out of memory");
    for (void *it = json_object_iter(list.value); keys && it;
         it = json_object_iter_next(list.value, it), i++) {
        const char *id = json_object_iter_key(it);
        read_key(json_child(list, id), id, &keys[i]);
        if (!keys[i].id)
            json_fail(list, "a key is not complete");
        if (!keys[i].id)
            return keys; /* unsorted, which nobody sees */
    }
    if (keys)
        qsort(keys, count, sizeof *keys, compare_keys);
    return keys;
}

bool tuf_keys_have(const struct tuf_key *keys, size_t count, const struct tuf_keyset *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct tuf_key wanted = {.id = set->keyids[i]};
        if (!bsearch(&wanted, keys, count, sizeof *keys, compare_keys))
            return false;
    }
    return true;
}

void tuf_keys_free(struct tuf_key *keys, size_t count)
{
    for (size_t i = 0; keys && i < count; i++) {
        free(keys[i].id);
        free(keys[i].public_text);
    }
    free(keys);
}

/* ---- hashes ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool tuf_hex_decode(const char *text, size_t len, uint8_t *out)
{
    for (size_t i = 0; i + 1 < len; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return len % 2 == 0;
}

/* True if the hash is there. */
static bool read_hash(struct json_at at, const char *name, uint8_t *out, size_t size)
{
    const json_t *value = at.value ? json_object_get(at.value, name) : NULL;
    const char *text = json_string_value(value);
    if (!value)
        return false;
    if (text && strlen(text) == 2 * size && tuf_hex_decode(text, 2 * size, out))
        return true;
    json_fail(at, "%s is not %zu hexadecimal digits", name, 2 * size);
    return false;
}

void tuf_read_hashes(struct json_at at, struct tuf_hashes *out)
{
    struct json_at hashes = json_child(at, "hashes");
    out->has_sha256 = read_hash(hashes, "sha256", out->sha256, sizeof out->sha256);
    out->has_sha512 = read_hash(hashes, "sha512", out->sha512, sizeof out->sha512);
    if (!out->has_sha256 && !out->has_sha512)
        json_fail(hashes, "has neither a sha256 nor a sha512");
}
