#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "trust/tuf/name.h"
#include "trust/tuf/shelf_inside.h"

#include <errno.h>

enum { MAX_NAME_BYTES = 240 }; /* of 255, less ".json" and what a temporary file's name adds */

struct dir {
    struct tuf_owned_shelf owned;
    char *path;
};

/* A name that is too long for a file is known by its hash. What lies under it is checked when it is loaded, as everything is. */
static char *file_of(const struct tuf_shelf *shelf, const char *role)
{
    const struct dir *dir = (const struct dir *)shelf;
    cleanup_free char *name = tuf_name_encode(role);
    if (!name)
        return NULL;
    if (strlen(name) <= MAX_NAME_BYTES - strlen(".json.tmp-XXXXXX"))
        return mem_printf("%s/%s.json", dir->path, name);
    struct digest digest = hash_bytes(role, strlen(role));
    struct digest_text text = digest_format(&digest);
    return mem_printf("%s/sha256-%s.json", dir->path, digest_hex(&text));
}

static int load(struct tuf_shelf *shelf, const char *role, struct buf *out, struct err *err)
{
    cleanup_free char *path = file_of(shelf, role);
    return path ? file_read(path, out, err) : err_no_memory(err);
}

static int store(struct tuf_shelf *shelf, const char *role, const void *bytes, size_t len, struct err *err)
{
    cleanup_free char *path = file_of(shelf, role);
    return path ? file_replace(path, bytes, len, 0644, err) : err_no_memory(err);
}

static int take_away(struct tuf_shelf *shelf, const char *role, struct err *err)
{
    cleanup_free char *path = file_of(shelf, role);
    if (!path)
        return err_no_memory(err);
    if (unlink(path) == 0)
        return file_fsync_dir(((struct dir *)shelf)->path, err);
    return errno == ENOENT ? 0 : err_errno(err, "%s: cannot remove it", path);
}

static void drop(struct tuf_shelf *shelf)
{
    struct dir *dir = (struct dir *)shelf;
    free(dir->path);
    free(dir);
}

/* What a cut left half written. */
static int remove_temporary(const char *name, void *arg)
{
    const char *mark = strstr(name, ".json" FILE_TEMP_MARK);
    cleanup_free char *path = mark ? file_join(arg, name) : NULL;
    if (path)
        unlink(path);
    return 0;
}

struct tuf_shelf *tuf_shelf_dir(const char *path, struct err *err)
{
    static const struct tuf_shelf_ops ops = {.load = load, .store = store, .remove = take_away};
    if (file_make_dirs(path, 0755, err) < 0 || file_list(path, remove_temporary, (char *)path, err) < 0)
        return NULL;
    struct dir *dir = mem_zalloc(1, sizeof *dir);
    if (dir)
        dir->path = mem_strdup(path);
    if (!dir || !dir->path) {
        free(dir);
        err_no_memory(err);
        return NULL;
    }
    dir->owned = (struct tuf_owned_shelf){.shelf.ops = &ops, .drop = drop};
    return &dir->owned.shelf;
}
