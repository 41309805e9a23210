#include "infer/derived_inside.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "wire/json.h"

#include <ctype.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORD_MAX = 4096, MAX_ENTRIES = 256, KEY_LEN = 64 };

static const char *const state_words[] = {
    [DERIVED_BUILDING] = "building", [DERIVED_BUILT] = "built", [DERIVED_FAILED] = "failed"};

static char *entry_path(const char *dir, const char *key, const char *tail)
{
    return mem_printf("%s/%s%s", dir, key, tail);
}

/* ---- one record ---- */

static void decode(struct json_at root, struct derived_record *out)
{
    int64_t schema;
    int state = 0;
    JSON_ONLY(root, "schema", "state", "builder", "source", "file", "size", "at_ms", "why");
    json_get_int(root, "schema", 1, 1, &schema);
    json_get_choice(root, "state", state_words, ARRAY_LEN(state_words), &state);
    json_get_name(root, "builder", out->builder, sizeof out->builder);
    json_get_digest(root, "source", &out->source);
    json_get_digest(root, "file", &out->file);
    json_get_u64(root, "size", INT64_MAX, &out->size);
    json_get_int(root, "at_ms", 0, INT64_MAX, &out->at_ms);
    json_get_line(root, "why", out->why, sizeof out->why);
    out->state = (enum derived_state)state;
}

void derived_record_read(const char *dir, const char *key, struct derived_record *out)
{
    struct err err = {0};
    struct json_reader reader;
    cleanup_buf struct buf text = BUF_INIT(RECORD_MAX);
    cleanup_free char *path = entry_path(dir, key, ".json");
    *out = (struct derived_record){0};
    if (!path || file_read(path, &text, &err) < 0 || json_read(&reader, path, text.data, text.len, &err) < 0)
        return;
    decode(json_root(&reader), out);
    if (json_finish(&reader, &err) < 0)
        *out = (struct derived_record){0};
}

/* Nothing that JSON would have to escape. */
static void make_plain(char *text)
{
    for (char *c = text; *c; c++)
        if (!isprint((unsigned char)*c) || *c == '"' || *c == '\\')
            *c = '\'';
}

int derived_record_write(const char *dir, const char *key, const struct derived_record *record,
                         struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(RECORD_MAX);
    cleanup_free char *path = entry_path(dir, key, ".json");
    struct digest_text source = digest_format(&record->source), file = digest_format(&record->file);
    char why[sizeof record->why];
    str_copy(why, sizeof why, record->why);
    make_plain(why);
    if (!path)
        return err_no_memory(err);
    if (buf_printf(&text, err,
                   "{\"at_ms\":%lld,\"builder\":\"%s\",\"file\":\"%s\",\"schema\":1,\"size\":%llu,"
                   "\"source\":\"%s\",\"state\":\"%s\",\"why\":\"%s\"}\n",
                   (long long)record->at_ms, record->builder, file.text, (unsigned long long)record->size,
                   source.text, state_words[record->state], why) < 0)
        return -1;
    return file_replace(path, text.data, text.len, 0644, err);
}

void derived_remove(const char *dir, const char *key)
{
    static const char *const tails[] = {".bin", ".tmp",
                                        ".json"}; /* the record last: it is what finds the others */
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        cleanup_free char *path = entry_path(dir, key, tails[i]);
        if (path)
            unlink(path);
    }
}

/* ---- all of them ---- */

struct entry {
    char key[KEY_LEN + 1];
    uint64_t bytes;
    int64_t used_s;
};

struct entries {
    const char *dir;
    size_t count;
    struct entry items[MAX_ENTRIES];
};

static bool is_key(const char *name)
{
    return strspn(name, "0123456789abcdef") == KEY_LEN;
}

static int collect(const char *name, void *arg)
{
    struct entries *entries = arg;
    if (strstr(name, FILE_TEMP_MARK)) { /* a record that was being written when its writer died */
        cleanup_free char *path = file_join(entries->dir, name);
        if (path)
            unlink(path);
        return 0;
    }
    if (!is_key(name) || entries->count == MAX_ENTRIES)
        return 0;
    struct entry *last = entries->count ? &entries->items[entries->count - 1] : NULL;
    if (!last || strncmp(last->key, name, KEY_LEN) != 0) { /* names come sorted */
        last = &entries->items[entries->count++];
        *last = (struct entry){0};
        snprintf(last->key, sizeof last->key, "%.*s", KEY_LEN, name);
    }
    cleanup_free char *path = file_join(entries->dir, name);
    struct stat st;
    if (path && str_ends(name, ".bin") && stat(path, &st) == 0) {
        last->bytes = (uint64_t)st.st_size;
        last->used_s = st.st_mtim.tv_sec;
    }
    return 0;
}

static bool is_stale(const char *dir, const char *key, const struct derived_record *now)
{
    struct derived_record record;
    derived_record_read(dir, key, &record);
    return record.state == DERIVED_NONE ||
           (str_eq(record.builder, now->builder) && digest_equal(&record.source, &now->source));
}

static void drop(struct entries *entries, size_t index)
{
    derived_remove(entries->dir, entries->items[index].key);
    entries->items[index] = entries->items[--entries->count];
}

static uint64_t total(const struct entries *entries)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < entries->count; i++)
        bytes += entries->items[i].bytes;
    return bytes;
}

/* The entry with a file that was not used for the longest time; `count` if there is none but `keep`. */
static size_t oldest(const struct entries *entries, const char *keep)
{
    size_t found = entries->count;
    for (size_t i = 0; i < entries->count; i++)
        if (entries->items[i].bytes && !str_eq(entries->items[i].key, keep) &&
            (found == entries->count || entries->items[i].used_s < entries->items[found].used_s))
            found = i;
    return found;
}

void derived_sweep(const char *dir, const char *keep, const struct derived_record *now, uint64_t cache_bytes)
{
    struct err err = {0};
    cleanup_free struct entries *entries = mem_zalloc(1, sizeof *entries);
    if (!entries)
        return;
    entries->dir = dir;
    if (file_list(dir, collect, entries, &err) < 0)
        return;
    for (size_t i = entries->count; i-- > 0;)
        if (!str_eq(entries->items[i].key, keep) && is_stale(dir, entries->items[i].key, now))
            drop(entries, i);
    for (size_t i; total(entries) > cache_bytes && (i = oldest(entries, keep)) < entries->count;)
        drop(entries, i);
}
