#include "release/image.h"

#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "release/blob.h"
#include "sys/file.h"

/* The digests that some manifest of index.json reaches. */
struct reach {
    size_t count, cap;
    struct digest *items; /* owned */
};

static int reach_add(struct reach *reach, const struct digest *digest, struct err *err)
{
    if (reach->count == reach->cap) {
        size_t cap = reach->cap ? 2 * reach->cap : 64;
        struct digest *grown = mem_grow(reach->items, cap, sizeof *grown);
        if (!grown)
            return err_no_memory(err);
        reach->items = grown;
        reach->cap = cap;
    }
    reach->items[reach->count++] = *digest;
    return 0;
}

static bool reach_has(const struct reach *reach, const struct digest *digest)
{
    for (size_t i = 0; i < reach->count; i++)
        if (digest_equal(&reach->items[i], digest))
            return true;
    return false;
}

static int mark_manifest(const char *dir, const struct oci_descriptor *descriptor, struct reach *reach,
                         struct err *err)
{
    cleanup_free struct oci_manifest *manifest = mem_zalloc(1, sizeof *manifest);
    if (!manifest)
        return err_no_memory(err);
    if (blob_read_manifest(dir, descriptor, manifest, err) < 0 ||
        reach_add(reach, &descriptor->digest, err) < 0 || reach_add(reach, &manifest->config.digest, err) < 0)
        return -1;
    for (size_t i = 0; i < manifest->layer_count; i++)
        if (reach_add(reach, &manifest->layers[i].digest, err) < 0)
            return -1;
    return 0;
}

static int mark(const char *dir, struct reach *reach, struct err *err)
{
    cleanup_free struct oci_index *index = mem_zalloc(1, sizeof *index);
    if (!index)
        return err_no_memory(err);
    if (layout_read_index(dir, index, err) < 0)
        return -1;
    for (size_t i = 0; i < index->count; i++)
        if (mark_manifest(dir, &index->manifests[i], reach, err) < 0)
            return -1;
    return 0;
}

struct sweep {
    const char *blobs; /* DIR/blobs/sha256 */
    const struct reach *reach;
    uint64_t bytes;
    struct err *err;
};

/* A blob that nothing reaches, or a temporary file that an interrupted layout_add_file left. Other names are
 * not ours. */
static bool is_garbage(const char *name, const struct reach *reach)
{
    struct digest digest;
    if (str_starts(name, LAYOUT_TEMP_PREFIX))
        return true;
    return strlen(name) == 64 && hex_decode(name, 64, digest.bytes) && !reach_has(reach, &digest);
}

static int sweep_one(const char *name, void *arg)
{
    struct sweep *sweep = arg;
    if (!is_garbage(name, sweep->reach))
        return 0;
    cleanup_free char *path = file_join(sweep->blobs, name);
    if (!path)
        return err_no_memory(sweep->err);
    uint64_t size = 0;
    if (file_size(path, &size, sweep->err) < 0)
        return -1;
    if (unlink(path) < 0)
        return err_errno(sweep->err, "remove %s", path);
    sweep->bytes += size;
    return 0;
}

static int collect(const char *dir, struct reach *reach, uint64_t *out_bytes, struct err *err)
{
    cleanup_free char *blobs = file_join(dir, "blobs/sha256");
    if (!blobs)
        return err_no_memory(err);
    if (mark(dir, reach, err) < 0)
        return -1;
    struct err failure = {0};
    struct sweep sweep = {.blobs = blobs, .reach = reach, .err = &failure};
    if (file_list(blobs, sweep_one, &sweep, err) < 0)
        return -1;
    *out_bytes = sweep.bytes;
    if (failure.code == ERR_NONE)
        return 0;
    *err = failure;
    return -1;
}

int layout_collect(const char *dir, uint64_t *out_bytes, struct err *err)
{
    struct reach reach = {0};
    int result = collect(dir, &reach, out_bytes, err);
    free(reach.items);
    return result < 0 ? err_prefix(err, "layout %s", dir) : 0;
}
