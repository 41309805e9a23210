#include "wire/oms.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/json_tree.h"
#include "wire/json_write.h"
#include "wire/oms_inside.h"

#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define PREDICATE_TYPE "https://model_signing/signature/v1.0"

static bool is_name(const char *name)
{
    return str_eq(name, ".") || (str_is_safe_path(name) && json_is_line(name));
}

static bool is_ignorable(const char *path)
{
    return str_is_safe_path(path) && json_is_line(path) && !strpbrk(path, "*?[");
}

static bool hex_digest(const char *text, struct digest *out)
{
    return strlen(text) == 64 && hex_decode(text, 64, out->bytes);
}

static void read_hex(struct json_at at, const char *key, struct digest *out)
{
    char hex[130] = "";
    json_get_string(at, key, hex, sizeof hex);
    if (!hex_digest(hex, out))
        json_fail(at, "%s: must be 64 lower-case hexadecimal digits", key);
}

static void read_subject(struct json_at root, struct oms_statement *out)
{
    size_t count = 0;
    char name[OMS_NAME_SIZE] = "";
    struct json_at list = json_list(root, "subject", 16, &count);
    if (count != 1) {
        json_fail(list, "must hold one subject, not %zu", count);
        return;
    }
    struct json_at subject = json_as_object(json_item(list, 0));
    json_get_line(subject, "name", name, sizeof name);
    read_hex(json_child(subject, "digest"), "sha256", &out->root);
    out->subject = mem_strdup(name);
    if (!out->subject)
        (void)err_no_memory(&root.reader->err);
    else if (!name[0])
        json_fail(subject, "name: must not be empty");
}

static void read_resource(struct json_at at, struct oms_statement *out)
{
    char name[OMS_NAME_SIZE] = "", algorithm[32] = "";
    struct digest digest = {0};
    json_get_line(at, "name", name, sizeof name);
    json_get_line(at, "algorithm", algorithm, sizeof algorithm);
    if (algorithm[0] && !str_eq(algorithm, "sha256"))
        oms_unsupported(at, "a file hashed with something else than sha256");
    read_hex(at, "digest", &digest);
    struct err failure = {0};
    if (at.reader->err.code != ERR_NONE)
        return;
    if (oms_statement_add(out, name, &digest, &failure) < 0)
        json_fail(at, "%.180s", failure.text);
}

static void read_serialization(struct json_at at, struct oms_statement *out)
{
    char method[64] = "", hash[32] = "", path[OMS_NAME_SIZE] = "";
    size_t count = 0;
    json_get_line(at, "method", method, sizeof method);
    json_get_line(at, "hash_type", hash, sizeof hash);
    json_get_bool(at, "allow_symlinks", &out->allow_symlinks);
    if (method[0] && !str_eq(method, "files"))
        oms_unsupported(
            at, "the files were hashed in shards; only whole files (method \"files\") are understood");
    if (hash[0] && !str_eq(hash, "sha256"))
        oms_unsupported(at, "the files were hashed with something else than sha256");
    if (!json_has(at, "ignore_paths"))
        return;
    struct json_at list = json_list(at, "ignore_paths", OMS_MAX_IGNORED, &count);
    for (size_t i = 0; i < count && at.reader->err.code == ERR_NONE; i++) {
        struct err failure = {0};
        json_as_string(json_item(list, i), path, sizeof path);
        if (at.reader->err.code == ERR_NONE && oms_statement_ignore(out, path, &failure) < 0)
            json_fail(list, "%.180s", failure.text);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct oms_resource *)a)->name, ((const struct oms_resource *)b)->name);
}

/* Other tools sort otherwise, so the order stays as it is: it is what the root digest is made of. */
static void check_unique(struct json_at at, const struct oms_statement *statement)
{
    if (at.reader->err.code != ERR_NONE || statement->count == 0)
        return;
    cleanup_free struct oms_resource *sorted =
        mem_dup(statement->resources, statement->count * sizeof *sorted);
    if (!sorted) {
        (void)err_no_memory(&at.reader->err);
        return;
    }
    qsort(sorted, statement->count, sizeof *sorted, by_name);
    for (size_t i = 1; i < statement->count; i++)
        if (str_eq(sorted[i - 1].name, sorted[i].name))
            json_fail(at, "resources: \"%.100s\" stands there twice", sorted[i].name);
}

static void read_predicate(struct json_at at, struct oms_statement *out)
{
    size_t count = 0;
    read_serialization(json_child(at, "serialization"), out);
    struct json_at list = json_list(at, "resources", OMS_MAX_RESOURCES, &count);
    if (count == 0)
        json_fail(list, "names no file");
    for (size_t i = 0; i < count && at.reader->err.code == ERR_NONE; i++)
        read_resource(json_as_object(json_item(list, i)), out);
    check_unique(at, out);
}

int oms_statement_parse(const void *text, size_t len, struct oms_statement *out, struct err *err)
{
    struct json_reader reader;
    *out = (struct oms_statement){0};
    if (json_read(&reader, "model signature, statement", text, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    oms_expect(root, "_type", STATEMENT_TYPE);
    oms_expect(root, "predicateType", PREDICATE_TYPE);
    read_subject(root, out);
    read_predicate(json_child(root, "predicate"), out);
    if (json_finish(&reader, err) == 0)
        return 0;
    oms_statement_fini(out);
    return -1;
}

static json_t *from_resources(const struct oms_statement *statement)
{
    cleanup_json json_t *list = json_array();
    char hex[65];
    for (size_t i = 0; i < statement->count; i++) {
        hex_encode(statement->resources[i].digest.bytes, 32, hex);
        if (json_append(list, json_pack("{s:s, s:s, s:s}", "name", statement->resources[i].name, "digest",
                                        hex, "algorithm", "sha256")) < 0)
            return NULL;
    }
    return TAKE_PTR(list);
}

static json_t *from_ignored(const struct oms_statement *statement)
{
    cleanup_json json_t *list = json_array();
    for (size_t i = 0; i < statement->ignored_count; i++)
        if (json_append(list, json_string(statement->ignored[i])) < 0)
            return NULL;
    return TAKE_PTR(list);
}

char *oms_statement_format(const struct oms_statement *statement)
{
    char root[65];
    hex_encode(statement->root.bytes, 32, root);
    return json_write_new(json_pack(
        "{s:s, s:s, s:[{s:s, s:{s:s}}], s:{s:o, s:{s:s, s:s, s:b, s:o}}}", "_type", STATEMENT_TYPE,
        "predicateType", PREDICATE_TYPE, "subject", "name", statement->subject ? statement->subject : "",
        "digest", "sha256", root, "predicate", "resources", from_resources(statement), "serialization",
        "method", "files", "hash_type", "sha256", "allow_symlinks", (int)statement->allow_symlinks,
        "ignore_paths", from_ignored(statement)));
}

void oms_statement_fini(struct oms_statement *statement)
{
    for (size_t i = 0; i < statement->count; i++)
        free(statement->resources[i].name);
    for (size_t i = 0; i < statement->ignored_count; i++)
        free(statement->ignored[i]);
    free(statement->resources);
    free(statement->ignored);
    free(statement->subject);
    *statement = (struct oms_statement){0};
}

static bool is_utf8(const char *text)
{
    json_t *value = json_string(text);
    json_decref(value);
    return value != NULL;
}

int oms_statement_add(struct oms_statement *statement, const char *name, const struct digest *digest,
                      struct err *err)
{
    if (!is_name(name) || !is_utf8(name) || strlen(name) >= OMS_NAME_SIZE)
        return err_set(
            err, ERR_INVALID,
            "a file's name must be a plain relative path of UTF-8 without control characters or backslashes");
    if (statement->count == OMS_MAX_RESOURCES)
        return err_set(err, ERR_TOO_BIG, "more than %d files", OMS_MAX_RESOURCES);
    if ((statement->count & (statement->count - 1)) == 0) { /* 0 and powers of two */
        size_t room = statement->count ? 2 * statement->count : 1;
        struct oms_resource *grown = mem_grow(statement->resources, room, sizeof *grown);
        if (!grown)
            return err_no_memory(err);
        statement->resources = grown;
    }
    struct oms_resource *resource = &statement->resources[statement->count];
    *resource = (struct oms_resource){.name = mem_strdup(name), .digest = *digest};
    if (!resource->name)
        return err_no_memory(err);
    statement->count++;
    return 0;
}

int oms_statement_ignore(struct oms_statement *statement, const char *path, struct err *err)
{
    if (!is_ignorable(path) || !is_utf8(path) || strlen(path) >= OMS_NAME_SIZE)
        return err_set(err, ERR_INVALID, "\"%.60s\": a path to ignore is a plain relative path without * ? [",
                       path);
    if (statement->ignored_count == OMS_MAX_IGNORED)
        return err_set(err, ERR_TOO_BIG, "more than %d paths to ignore", OMS_MAX_IGNORED);
    if (!statement->ignored) {
        statement->ignored = mem_zalloc(OMS_MAX_IGNORED, sizeof *statement->ignored);
        if (!statement->ignored)
            return err_no_memory(err);
    }
    for (size_t i = 0; i < statement->ignored_count; i++)
        if (str_eq(statement->ignored[i], path))
            return 0;
    statement->ignored[statement->ignored_count] = mem_strdup(path);
    if (!statement->ignored[statement->ignored_count])
        return err_no_memory(err);
    statement->ignored_count++;
    return 0;
}

void oms_statement_sort(struct oms_statement *statement)
{
    if (statement->count)
        qsort(statement->resources, statement->count, sizeof *statement->resources, by_name);
}

const struct oms_resource *oms_statement_find(const struct oms_statement *statement, const char *name)
{
    for (size_t i = 0; i < statement->count; i++)
        if (str_eq(statement->resources[i].name, name))
            return &statement->resources[i];
    return NULL;
}
