#include "infer/derived.h"

#include "base/mem.h"
#include "base/str.h"
#include "infer/derived_inside.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { KEY_MATERIAL_MAX = 64 << 10 };

static int make_key(const struct derived_request *request, const struct derived_builder *builder,
                    char out[65], struct err *err)
{
    cleanup_buf struct buf material = BUF_INIT(KEY_MATERIAL_MAX);
    struct digest_text source = digest_format(&request->source_digest);
    if (buf_printf(&material, err, "muster-derived 1\n%s\n%s\n", builder->name, source.text) < 0 ||
        builder->key(builder->self, &material, err) < 0)
        return -1;
    struct digest key = hash_bytes(material.data, material.len);
    struct digest_text text = digest_format(&key);
    str_copy(out, 65, digest_hex(&text));
    return 0;
}

static bool single_thread(void)
{
    size_t threads = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks)
        return false;
    for (struct dirent *entry; (entry = readdir(tasks));)
        threads += entry->d_name[0] != '.';
    closedir(tasks);
    return threads == 1;
}

static struct derived_record record_now(const struct derived_request *request,
                                        const struct derived_builder *builder, enum derived_state state)
{
    struct derived_record record = {
        .state = state, .source = request->source_digest, .at_ms = request->now_ms};
    str_copy(record.builder, sizeof record.builder, builder->name);
    return record;
}

static void not_ready(struct derived_result *out, const char *why)
{
    out->ready = out->built = false;
    free(out->path);
    out->path = NULL;
    str_copy(out->why, sizeof out->why, why);
}

static void fail(const struct derived_request *request, const struct derived_builder *builder,
                 struct derived_result *out, const char *why)
{
    struct err ignored = {0};
    struct derived_record record = record_now(request, builder, DERIVED_FAILED);
    str_copy(record.why, sizeof record.why, why);
    derived_remove(request->dir, out->key);
    if (derived_record_write(request->dir, out->key, &record, &ignored) < 0)
        derived_remove(request->dir, out->key); /* a full disk: it will be tried again, with room */
    not_ready(out, why);
}

/* ---- what is there already ---- */

static bool file_holds(const char *path, const struct derived_record *record)
{
    struct err err = {0};
    struct digest digest;
    uint64_t size = 0;
    return hash_file(path, &digest, &size, &err) == 0 && size == record->size &&
           digest_equal(&digest, &record->file);
}

/* True: it is there and whole. Changes nothing but the time of use, so it works on a folder that is read-only. */
static bool look(const struct derived_request *request, struct derived_result *out)
{
    struct derived_record record;
    derived_record_read(request->dir, out->key, &record);
    if (record.state != DERIVED_BUILT || !file_holds(out->path, &record))
        return false;
    (void)utimensat(AT_FDCWD, out->path, NULL, 0);
    out->ready = true;
    return true;
}

/* With the lock: is there a reason not to build? */
static bool must_not_build(const struct derived_request *request, const struct derived_builder *builder,
                           struct derived_result *out)
{
    struct derived_record record;
    derived_record_read(request->dir, out->key, &record);
    int64_t age_ms = request->now_ms - record.at_ms;
    if (record.state == DERIVED_BUILDING) { /* and we hold the lock: whoever built is gone */
        fail(request, builder, out, "the last build took its process or the machine down");
        return true;
    }
    if (record.state != DERIVED_FAILED || age_ms < 0 || age_ms >= DERIVED_RETRY_MS)
        return false;
    not_ready(out, record.why);
    return true;
}

/* ---- building ---- */

static int keep(const struct derived_request *request, const struct derived_builder *builder,
                const char *temp, const struct derived_result *out, struct err *err)
{
    struct derived_record record = record_now(request, builder, DERIVED_BUILT);
    if (hash_file(temp, &record.file, &record.size, err) < 0 || chmod(temp, 0644) < 0 ||
        file_rename(temp, out->path, err) < 0)
        return err->code == ERR_NONE ? err_errno(err, "%s", temp) : -1;
    return derived_record_write(request->dir, out->key, &record, err);
}

static int build(const struct derived_request *request, const struct derived_builder *builder,
                 const struct derived_result *out, struct err *err)
{
    cleanup_free char *temp = mem_printf("%s/%s.tmp", request->dir, out->key);
    struct derived_record record = record_now(request, builder, DERIVED_BUILDING);
    if (!temp)
        return err_no_memory(err);
    derived_remove(request->dir, out->key);
    if (derived_record_write(request->dir, out->key, &record, err) < 0 ||
        derived_build(builder, request->source, temp, &request->limits, err) < 0)
        return -1;
    return keep(request, builder, temp, out, err);
}

static void build_or_fail(const struct derived_request *request, const struct derived_builder *builder,
                          struct derived_result *out)
{
    struct err err = {0};
    if (build(request, builder, out, &err) < 0) {
        fail(request, builder, out, err.text);
        return;
    }
    struct derived_record now = record_now(request, builder, DERIVED_BUILT);
    derived_sweep(request->dir, out->key, &now, request->limits.cache_bytes);
    out->ready = out->built = true;
}

static void lock_and_build(const struct derived_request *request, const struct derived_builder *builder,
                           struct derived_result *out)
{
    struct err err = {0};
    cleanup_close int lock = -1;
    cleanup_free char *lock_path = file_join(request->dir, "lock");
    if (!lock_path || file_make_dirs(request->dir, 0755, &err) < 0)
        not_ready(out, lock_path ? err.text : "out of memory");
    else if (file_lock(lock_path, &lock, &err) < 0)
        not_ready(out, err.code == ERR_BUSY ? "another process is building" : err.text);
    else if (!look(request, out) && !must_not_build(request, builder, out))
        build_or_fail(request, builder, out);
}

int derived_open(const struct derived_request *request, const struct derived_builder *builder,
                 struct derived_result *out, struct err *err)
{
    const struct derived_limits *limits = &request->limits;
    *out = (struct derived_result){0};
    if (limits->time_ms <= 0 || !limits->memory_bytes || !limits->file_bytes || !limits->cache_bytes)
        return err_set(err, ERR_INVALID, "derived: every limit must be above 0");
    if (make_key(request, builder, out->key, err) < 0)
        return -1;
    out->path = mem_printf("%s/%s.bin", request->dir, out->key);
    if (!out->path)
        return err_no_memory(err);
    if (look(request, out))
        return 0;
    if (request->only_look || !single_thread())
        not_ready(out, "not built yet");
    else
        lock_and_build(request, builder, out);
    return 0;
}

void derived_fini(struct derived_result *result)
{
    free(result->path);
    result->path = NULL;
}

void derived_reject(const struct derived_request *request, const struct derived_builder *builder,
                    const struct derived_result *result, const char *why)
{
    struct derived_result copy = *result;
    copy.path = NULL;
    fail(request, builder, &copy, why);
}
