/* What the tests of this room share: random values, and the three things every decoder must stand. */
#ifndef MUSTER_WIRE_TESTING_H
#define MUSTER_WIRE_TESTING_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "wire/json_write.h"

/* splitmix64: the same series everywhere */
static inline uint64_t random_u64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint64_t random_below(uint64_t *state, uint64_t limit)
{
    return random_u64(state) % limit;
}

static inline double random_between(uint64_t *state, double low, double high)
{
    return low + (high - low) * ((double)(random_u64(state) >> 11) / 9007199254740992.0);
}

/* 1..max characters of a name. */
static inline void random_name(uint64_t *state, char *out, size_t max)
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t len = 1 + random_below(state, max);
    for (size_t i = 0; i < len; i++)
        out[i] = set[random_below(state, i ? sizeof set - 1 : 62)];
    out[len] = 0;
}

/* 1..max bytes of one line of text, with characters that want escapes and some that have two bytes. */
static inline void random_line(uint64_t *state, char *out, size_t max)
{
    size_t len = 1 + random_below(state, max), i = 0;
    while (i < len) {
        if (random_below(state, 8) == 0 && i + 2 <= len) {
            out[i++] = (char)0xc3;
            out[i++] = (char)(0x80 + random_below(state, 64));
        } else {
            out[i++] = (char)(' ' + random_below(state, 95));
        }
    }
    out[len] = 0;
}

static inline void random_bytes(uint64_t *state, void *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = (uint8_t)random_u64(state);
}

/* A decoder under test: what it decoded is thrown away. */
typedef int decode_fn(const void *data, size_t len, struct err *err);

/* The message of a failure is one line without control characters. */
static inline void check_message(const struct err *err)
{
    assert_int_not_equal(err->code, ERR_NONE);
    assert_int_not_equal(err->code, ERR_INTERNAL);
    assert_true(err->text[0] != 0);
    for (const char *c = err->text; *c; c++)
        assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
}

/* A private copy of exactly this length, so that AddressSanitizer sees any read behind it. */
static inline int decode_copy(decode_fn *decode, const void *data, size_t len, struct err *err)
{
    cleanup_free uint8_t *copy = mem_dup(data, len);
    *err = (struct err){0};
    int rc = decode(copy, len, err);
    if (rc < 0)
        check_message(err);
    return rc;
}

static inline void every_truncation_fails(decode_fn *decode, const void *data, size_t len)
{
    struct err err;
    assert_ok(decode_copy(decode, data, len, &err), err);
    for (size_t cut = 0; cut < len; cut++)
        if (decode_copy(decode, data, cut, &err) == 0)
            fail_msg("decoded although cut at %zu of %zu", cut, len);
}

static inline void no_truncation_crashes(decode_fn *decode, const void *data, size_t len)
{
    struct err err;
    for (size_t cut = 0; cut <= len; cut++)
        (void)!decode_copy(decode, data, cut, &err);
}

static inline void no_flip_crashes(decode_fn *decode, const void *data, size_t len)
{
    struct err err;
    uint64_t state = len;
    cleanup_free uint8_t *copy = mem_dup(data, len);
    for (size_t at = 0; at < len; at++) {
        uint8_t old = copy[at];
        for (int i = 0; i < 4; i++) {
            copy[at] = (uint8_t)(i < 3 ? old ^ (1u << random_below(&state, 8)) : random_u64(&state));
            (void)!decode_copy(decode, copy, len, &err);
        }
        copy[at] = old;
    }
}

/* The good text with one piece of it exchanged: an error whose message is about `say`. */
static inline void refuse_piece(decode_fn *decode, const char *good, const char *piece, const char *instead,
                                const char *say)
{
    struct err err = {0};
    const char *at = strstr(good, piece);
    assert_non_null(at);
    cleanup_free char *text = mem_printf("%.*s%s%s", (int)(at - good), good, instead, at + strlen(piece));
    if (decode_copy(decode, text, strlen(text), &err) == 0)
        fail_msg("taken: %s", text);
    if (!strstr(err.text, say))
        fail_msg("%s: not about %s", err.text, say);
}

/* A seed of the fuzz target of this name, for example ("onnx", "detector.onnx"). */
static inline void read_seed(const char *target, const char *file, struct buf *out)
{
    struct err err = {0};
    uint8_t chunk[4096];
    cleanup_free char *path = mem_printf("%s/fuzz/corpora/%s/%s", MUSTER_SOURCE_DIR, target, file);
    cleanup_file FILE *stream = fopen(path, "rbe");
    if (!stream)
        fail_msg("cannot open %s", path);
    buf_reset(out);
    for (size_t len; (len = fread(chunk, 1, sizeof chunk, stream)) > 0;)
        assert_ok(buf_put(out, chunk, len, &err), err);
}

/* ---- members ---- */

static inline bool is_in(const char *key, const char *const *list)
{
    for (; list && *list; list++)
        if (str_eq(*list, key))
            return true;
    return false;
}

static inline void check_changed(decode_fn *decode, json_t *root, const char *key, const char *what)
{
    struct err err;
    cleanup_free char *text = json_write(root);
    if (decode_copy(decode, text, strlen(text), &err) == 0)
        fail_msg("decoded although \"%s\" is %s", key, what);
    if (!strstr(err.text, key))
        fail_msg("\"%s\" is %s, but the message is: %s", key, what, err.text);
}

static inline void check_without(decode_fn *decode, json_t *root, json_t *object, const char *key)
{
    json_t *value = json_incref(json_object_get(object, key));
    json_object_del(object, key);
    check_changed(decode, root, key, "missing");
    json_object_set_new(object, key, json_null());
    check_changed(decode, root, key, "null");
    json_object_set_new(object, key, json_pack("[[[]]]"));
    check_changed(decode, root, key, "of a wrong type");
    json_object_set_new(object, key, value);
}

static inline void check_members(decode_fn *decode, json_t *root, json_t *at, const char *const *optional)
{
    if (json_is_array(at) && json_array_size(at))
        check_members(decode, root, json_array_get(at, 0), optional);
    if (!json_is_object(at))
        return;
    const char *keys[64];
    size_t count = 0;
    for (void *it = json_object_iter(at); it && count < 64; it = json_object_iter_next(at, it))
        keys[count++] = json_object_iter_key(it);
    for (size_t i = 0; i < count; i++) {
        check_members(decode, root, json_object_get(at, keys[i]), optional);
        cleanup_free char *key = mem_strdup(keys[i]);
        if (!is_in(key, optional))
            check_without(decode, root, at, key);
    }
}

/* Every member of every object, removed, null, or a nested list instead: an error that names it. */
static inline void every_member_is_needed(decode_fn *decode, const char *text, const char *const *optional)
{
    cleanup_json json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    check_members(decode, root, root, optional);
}

static inline void check_surplus(decode_fn *decode, json_t *root, json_t *at)
{
    for (size_t i = 0; i < json_array_size(at); i++)
        check_surplus(decode, root, json_array_get(at, i));
    if (!json_is_object(at))
        return;
    for (void *it = json_object_iter(at); it; it = json_object_iter_next(at, it))
        check_surplus(decode, root, json_object_iter_value(it));
    json_object_set_new(at, "sruplus", json_true());
    check_changed(decode, root, "sruplus", "surplus");
    json_object_del(at, "sruplus");
}

/* An unknown member in any object: an error that names it. */
static inline void no_surplus_is_taken(decode_fn *decode, const char *text)
{
    cleanup_json json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    check_surplus(decode, root, root);
}

#endif
