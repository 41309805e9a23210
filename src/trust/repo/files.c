/* Names and files of a repository: "7.targets.json" is version 7 of targets. */
#include "trust/repo/inside.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"

#include <inttypes.h>

void repo_listing_fini(struct repo_listing *listing)
{
    free(listing->items);
    *listing = (struct repo_listing){0};
}

bool repo_role_is_known(const char *role)
{
    return str_is_name(role, sizeof((struct repo_role_version *)0)->role - 1);
}

enum tuf_kind repo_kind_of(const char *role)
{
    for (int kind = 0; kind < TUF_TARGETS; kind++)
        if (str_eq(role, tuf_kind_name(kind)))
            return kind;
    return TUF_TARGETS;
}

uint64_t repo_max_bytes(enum tuf_kind kind)
{
    static const uint64_t max[] = {
        [TUF_ROOT] = 512000, [TUF_TIMESTAMP] = 16384, [TUF_SNAPSHOT] = 2000000, [TUF_TARGETS] = 5000000};
    return max[kind];
}

/* "7.targets.json" → 7, "targets". */
static bool name_split(const char *name, struct repo_role_version *out)
{
    const char *dot = strchr(name, '.');
    char digits[20] = "";
    uint64_t version = 0;
    if (!dot || dot == name || name[0] == '0' || (size_t)(dot - name) >= sizeof digits ||
        !str_ends(dot + 1, ".json"))
        return false;
    size_t len = strlen(dot + 1) - strlen(".json");
    if (len == 0 || len >= sizeof out->role)
        return false;
    memcpy(digits, name, (size_t)(dot - name));
    memcpy(out->role, dot + 1, len);
    out->role[len] = 0;
    if (!str_to_u64(digits, &version) || version > INT64_MAX || !repo_role_is_known(out->role))
        return false;
    out->version = (int64_t)version;
    return true;
}

struct listing_walk {
    struct repo_listing *listing;
    bool no_memory;
};

/* Names come in byte order, in which versions of a role are not neighbours. */
static int note_name(const char *name, void *arg)
{
    struct listing_walk *walk = arg;
    struct repo_listing *all = walk->listing;
    struct repo_role_version found;
    if (!name_split(name, &found))
        return 0;
    for (size_t i = 0; i < all->count; i++) {
        if (!str_eq(all->items[i].role, found.role))
            continue;
        all->items[i].version = MAX(all->items[i].version, found.version);
        return 0;
    }
    void *grown = mem_grow(all->items, all->count + 1, sizeof *all->items);
    walk->no_memory = !grown;
    if (!grown)
        return 1;
    all->items = grown;
    all->items[all->count++] = found;
    return 0;
}

static int by_role(const void *a, const void *b)
{
    return strcmp(((const struct repo_role_version *)a)->role, ((const struct repo_role_version *)b)->role);
}

int repo_list(const char *dir, struct repo_listing *out, struct err *err)
{
    struct listing_walk walk = {.listing = out};
    *out = (struct repo_listing){0};
    if (file_list(dir, note_name, &walk, err) < 0 || walk.no_memory) {
        repo_listing_fini(out);
        return walk.no_memory ? err_no_memory(err) : -1;
    }
    if (out->count > 0)
        qsort(out->items, out->count, sizeof *out->items, by_role);
    return 0;
}

int repo_newest(const struct repo *repo, const char *role, int64_t *out_version, struct err *err)
{
    cleanup_repo_listing struct repo_listing all = {0};
    if (repo_list(repo->dir, &all, err) < 0)
        return -1;
    *out_version = 0;
    for (size_t i = 0; i < all.count; i++)
        if (str_eq(all.items[i].role, role))
            *out_version = all.items[i].version;
    return 0;
}

static char *path_of(const struct repo *repo, const char *sub, const char *role, int64_t version)
{
    return mem_printf("%s/%s%" PRId64 ".%s.json", repo->dir, sub, version, role);
}

char *repo_pending_path(const struct repo *repo, const char *role, int64_t version)
{
    return path_of(repo, "pending/", role, version);
}

int repo_load_bytes(const struct repo *repo, const char *sub, const char *role, int64_t version,
                    struct buf *out, struct err *err)
{
    cleanup_free char *path = path_of(repo, sub, role, version);
    return path ? file_read(path, out, err) : err_no_memory(err);
}

int repo_load(const struct repo *repo, const char *sub, const char *role, int64_t version,
              struct tuf_metadata *out, struct err *err)
{
    cleanup_buf struct buf bytes = BUF_INIT(repo_max_bytes(repo_kind_of(role)));
    if (repo_load_bytes(repo, sub, role, version, &bytes, err) < 0)
        return -1;
    if (tuf_metadata_parse(buf_text(&bytes), bytes.len, out, err) < 0) {
        err->code = err->code == ERR_INVALID ? ERR_CORRUPT : err->code;
        return err_prefix(err, "%s/%s%" PRId64 ".%s.json", repo->dir, sub, version, role);
    }
    if (out->kind == repo_kind_of(role) && out->version == version)
        return 0;
    err_set(err, ERR_CORRUPT, "%s/%s%" PRId64 ".%s.json: holds version %" PRId64 " of %s", repo->dir, sub,
            version, role, out->version, tuf_kind_name(out->kind));
    tuf_metadata_fini(out);
    return -1;
}

static bool same_bytes(const char *path, const void *bytes, size_t len)
{
    cleanup_buf struct buf there = BUF_INIT(len + 1);
    struct err ignored = {0};
    return file_read(path, &there, &ignored) == 0 && there.len == len &&
           memcmp(buf_text(&there), bytes, len) == 0;
}

int repo_store(const struct repo *repo, const char *role, int64_t version, const void *bytes, size_t len,
               struct err *err)
{
    cleanup_free char *path = path_of(repo, "", role, version);
    if (!path)
        return err_no_memory(err);
    if (file_create(path, bytes, len, 0644, err) == 0)
        return 0;
    if (err->code != ERR_EXISTS)
        return -1;
    if (!same_bytes(path, bytes, len))
        return err_set(err, ERR_CONFLICT, "%s is published with another content", path);
    *err = (struct err){0};
    return 0;
}

int repo_replace(const struct repo *repo, const char *name, const void *bytes, size_t len, struct err *err)
{
    cleanup_free char *path = file_join(repo->dir, name);
    return path ? file_replace(path, bytes, len, 0644, err) : err_no_memory(err);
}

static int remove_if_temporary(const char *name, void *arg)
{
    const char *dir = arg;
    const char *mark = strstr(name, FILE_TEMP_MARK);
    cleanup_free char *path =
        mark && strlen(mark) == strlen(FILE_TEMP_MARK) + 6 ? file_join(dir, name) : NULL;
    if (path)
        unlink(path);
    return 0;
}

void repo_sweep(const struct repo *repo)
{
    struct err ignored = {0};
    cleanup_free char *pending = file_join(repo->dir, "pending");
    if (file_list(repo->dir, remove_if_temporary, repo->dir, &ignored) < 0 ||
        (pending && file_list(pending, remove_if_temporary, pending, &ignored) < 0))
        return;
}

int repo_read(const struct repo *repo, const char *name, struct buf *out, struct err *err)
{
    struct repo_role_version file;
    char numbered[96];
    if (str_eq(name, "root.json") && repo->has_root) {
        snprintf(numbered, sizeof numbered, "%" PRId64 ".root.json", repo->root.version);
        name = numbered;
    }
    if (!str_eq(name, "timestamp.json") && !name_split(name, &file))
        return err_set(err, ERR_NOT_FOUND, "there is no metadata file of this name");
    cleanup_free char *path = file_join(repo->dir, name);
    return path ? file_read(path, out, err) : err_no_memory(err);
}
