#include "robot/store/store.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "release/image.h"
#include "robot/store/inside.h"
#include "sys/file.h"
#include "wire/oci.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { STATE_MAX_BYTES = 64 << 10, SPACE_RESERVE_BYTES = 4 << 20 };

const char *store_dir(const struct store *store)
{
    return store->dir;
}

const char *store_layout(const struct store *store)
{
    return store->layout;
}

char *store_path(const struct store *store, const char *name)
{
    return file_join(store->dir, name);
}

const struct robot_state *store_state(const struct store *store)
{
    return &store->state;
}

/* Opening. */

struct sweep {
    const char *dir;
    int rc;
    struct err *err;
};

static int sweep_one(const char *name, void *arg)
{
    struct sweep *sweep = arg;
    if (!strstr(name, FILE_TEMP_MARK))
        return 0;
    cleanup_free char *path = file_join(sweep->dir, name);
    if (!path)
        sweep->rc = err_no_memory(sweep->err);
    else if (unlink(path) < 0 && errno != ENOENT)
        sweep->rc = err_errno(sweep->err, "%s", path);
    return sweep->rc;
}

/* Removes what a cut between write and rename left behind. */
static int sweep_dir(const char *dir, struct err *err)
{
    struct sweep sweep = {.dir = dir, .err = err};
    if (file_list(dir, sweep_one, &sweep, err) < 0)
        return -1;
    return sweep.rc;
}

static int sweep_all(struct store *store, struct err *err)
{
    return sweep_dir(store->dir, err) < 0 || sweep_dir(store->layout, err) < 0 ||
                   sweep_dir(store->blobs, err) < 0
               ? -1
               : 0;
}

static int set_paths(struct store *store, const char *state_dir, struct err *err)
{
    store->dir = mem_strdup(state_dir);
    store->layout = file_join(state_dir, "store");
    store->blobs = file_join(state_dir, "store/blobs/sha256");
    store->partials = file_join(state_dir, "partial");
    store->state_path = file_join(state_dir, "state.json");
    if (!store->dir || !store->layout || !store->blobs || !store->partials || !store->state_path)
        return err_no_memory(err);
    return 0;
}

static int make_dirs(struct store *store, struct err *err)
{
    if (file_make_dirs(store->dir, 0700, err) < 0)
        return -1;
    cleanup_free char *lock = file_join(store->dir, "agent.lock");
    if (!lock)
        return err_no_memory(err);
    if (file_lock(lock, &store->lock, err) < 0)
        return -1;
    return file_make_dirs(store->partials, 0700, err) < 0 || layout_init(store->layout, err) < 0 ? -1 : 0;
}

/* A damaged state is kept for a person to look at. Generations continue at a number that was never given. */
static int recover_state(struct store *store, struct err *err)
{
    cleanup_free char *aside = mem_printf("%s.damaged", store->state_path);
    if (!aside)
        return err_no_memory(err);
    if (file_rename(store->state_path, aside, err) < 0)
        return -1;
    robot_state_init(&store->state);
    store->state.install.next_generation = (uint64_t)MAX(clock_wall_ms() / 1000, (int64_t)1);
    return 0;
}

static int load_state(struct store *store, bool *out_recovered, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(STATE_MAX_BYTES);
    struct err why = {0};
    robot_state_init(&store->state);
    if (file_read(store->state_path, &text, &why) < 0) {
        if (why.code == ERR_NOT_FOUND)
            return 0;
        if (why.code != ERR_TOO_BIG) {
            *err = why;
            return -1;
        }
    } else if (robot_state_parse(text.data, text.len, &store->state, &why) == 0) {
        return 0;
    }
    *out_recovered = true;
    return recover_state(store, err);
}

int store_open(const char *state_dir, struct store **out, bool *out_recovered, struct err *err)
{
    cleanup_store struct store *store = mem_zalloc(1, sizeof *store);
    if (!store)
        return err_no_memory(err);
    store->lock = -1;
    *out_recovered = false;
    if (set_paths(store, state_dir, err) < 0 || make_dirs(store, err) < 0 || sweep_all(store, err) < 0 ||
        load_state(store, out_recovered, err) < 0)
        return -1;
    *out = TAKE_PTR(store);
    return 0;
}

void store_free(struct store *store)
{
    if (!store)
        return;
    mem_cleanup_close(&store->lock);
    free(store->dir);
    free(store->layout);
    free(store->blobs);
    free(store->partials);
    free(store->state_path);
    free(store);
}

int store_save(struct store *store, const struct robot_state *state, struct err *err)
{
    cleanup_free char *text = robot_state_format(state);
    if (!text)
        return err_no_memory(err);
    if (file_replace(store->state_path, text, strlen(text), 0600, err) < 0)
        return -1;
    store->state = *state;
    return 0;
}

/* Blobs. */

char *store_blob_path(const struct store *store, const struct digest *digest)
{
    struct digest_text text = digest_format(digest);
    return file_join(store->blobs, digest_hex(&text));
}

bool store_has_blob(const struct store *store, const struct digest *digest, uint64_t size)
{
    cleanup_free char *path = store_blob_path(store, digest);
    struct stat st;
    return path && stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
}

int store_drop_blob(struct store *store, const struct digest *digest, struct err *err)
{
    cleanup_free char *path = store_blob_path(store, digest);
    if (!path)
        return err_no_memory(err);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_errno(err, "%s", path);
    return file_fsync_dir(store->blobs, err);
}

int store_check_space(const struct store *store, uint64_t bytes, struct err *err)
{
    struct statvfs fs;
    if (statvfs(store->dir, &fs) < 0)
        return err_errno(err, "%s", store->dir);
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (room >= SPACE_RESERVE_BYTES && room - SPACE_RESERVE_BYTES >= bytes)
        return 0;
    return err_set(err, ERR_NO_SPACE,
                   "disk full: %llu MiB needed, %llu MiB free in %s; free some space there",
                   (unsigned long long)((bytes + SPACE_RESERVE_BYTES + (1 << 20) - 1) >> 20),
                   (unsigned long long)(room >> 20), store->dir);
}

int store_add_release(struct store *store, const struct digest *digest, uint64_t size, struct err *err)
{
    struct oci_descriptor descriptor = {.digest = *digest, .size = size};
    str_copy(descriptor.media_type, sizeof descriptor.media_type, OCI_MANIFEST_TYPE);
    str_copy(descriptor.artifact_type, sizeof descriptor.artifact_type, MODELPACK_ARTIFACT_TYPE);
    return layout_add_manifest(store->layout, &descriptor, err);
}
