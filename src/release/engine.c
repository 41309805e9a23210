#include "release/engine.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "release/blob.h"
#include "sys/file.h"
#include "wire/tar.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <zlib.h>

enum { LOCK_MS = 60000, LOCK_STEP_MS = 20, PIECE_BYTES = 128 << 10 };

const struct oci_descriptor *engine_of(const struct image *image)
{
    return oci_layer(&image->manifest, OCI_MANIFEST_TYPE, ENGINE_ARCHITECTURE);
}

/* ---- from an archive to files ---- */

struct unpack {
    gzFile archive;
    int root; /* directory */
    uint64_t bytes;
    unsigned files;
    uint8_t *piece;
};

static int read_whole(struct unpack *unpack, void *out, unsigned size, struct err *err)
{
    int got = gzread(unpack->archive, out, size);
    if (got == (int)size)
        return 0;
    return err_set(err, ERR_CORRUPT, "its archive %s", got < 0 ? "is no gzip" : "ends too early");
}

static int copy_content(struct unpack *unpack, int fd, uint64_t size, struct err *err)
{
    while (size > 0) {
        unsigned now = (unsigned)MIN(size, (uint64_t)PIECE_BYTES);
        if (read_whole(unpack, unpack->piece, now, err) < 0)
            return -1;
        if (write(fd, unpack->piece, now) != (ssize_t)now)
            return err_errno(err, "write");
        size -= now;
    }
    return 0;
}

static int unpack_file(struct unpack *unpack, const struct tar_entry *entry, struct err *err)
{
    mode_t mode = entry->executable ? 0555 : 0444;
    cleanup_close int fd =
        openat(unpack->root, entry->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "%s", entry->name);
    if (copy_content(unpack, fd, entry->size, err) < 0 ||
        read_whole(unpack, unpack->piece, tar_padding(entry->size), err) < 0)
        return err_prefix(err, "%s", entry->name);
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
        return err_errno(err, "%s", entry->name);
    return 0;
}

static int unpack_entry(struct unpack *unpack, const struct tar_entry *entry, struct err *err)
{
    unpack->bytes += entry->size;
    if (++unpack->files > ENGINE_MAX_FILES || unpack->bytes > ENGINE_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "more than %d files or %llu bytes", ENGINE_MAX_FILES,
                       ENGINE_MAX_BYTES);
    if (!entry->directory)
        return unpack_file(unpack, entry, err);
    return mkdirat(unpack->root, entry->name, 0755) < 0 ? err_errno(err, "%s", entry->name) : 0;
}

/* Nothing in the archive is a link, and nothing was there before: every name stays below the root. */
static int unpack_all(struct unpack *unpack, struct err *err)
{
    for (;;) {
        uint8_t block[TAR_BLOCK];
        struct tar_entry entry;
        if (read_whole(unpack, block, sizeof block, err) < 0)
            return -1;
        int found = tar_parse(block, &entry, err);
        if (found <= 0)
            return found;
        if (unpack_entry(unpack, &entry, err) < 0)
            return -1;
    }
}

static int unpack_into(const char *archive, const char *dir, struct err *err)
{
    cleanup_close int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_free uint8_t *piece = mem_zalloc(1, PIECE_BYTES);
    gzFile file = gzopen(archive, "rbe");
    if (root < 0 || !piece || !file) {
        if (file)
            gzclose(file);
        return err_errno(err, "%s", root < 0 ? dir : archive);
    }
    struct unpack unpack = {.archive = file, .root = root, .piece = piece};
    int result = unpack_all(&unpack, err);
    gzclose(file);
    return result;
}

/* ---- the store of unpacked engines ---- */

/* The image's own manifest says which of the blobs is its file system; it has to be a blob of the release too, so that it is
 * signed and fetched with it. */
static int find_archive(const struct image *image, const struct oci_descriptor *engine,
                        struct oci_descriptor *out, struct err *err)
{
    cleanup_free struct oci_manifest *manifest = mem_zalloc(1, sizeof *manifest);
    if (!manifest)
        return err_no_memory(err);
    if (blob_read_manifest(image->dir, engine, manifest, err) < 0)
        return -1;
    const struct oci_descriptor *layer = oci_layer(manifest, OCI_IMAGE_LAYER_TYPE, NULL);
    if (!layer || manifest->layer_count != 1)
        return err_set(err, ERR_INVALID, "it has not exactly one layer %s", OCI_IMAGE_LAYER_TYPE);
    for (size_t i = 0; i < image->manifest.layer_count; i++)
        if (digest_equal(&image->manifest.layers[i].digest, &layer->digest)) {
            *out = *layer;
            return 0;
        }
    return err_set(err, ERR_INVALID, "its layer is none of the release's blobs; pack the release anew");
}

static int unpack_to(const struct image *image, const struct oci_descriptor *engine, const char *dir,
                     struct err *err)
{
    struct oci_descriptor layer;
    if (find_archive(image, engine, &layer, err) < 0 || blob_check(image->dir, &layer, "engine", err) < 0)
        return -1;
    cleanup_free char *archive = image_blob_path(image->dir, &layer.digest);
    cleanup_free char *temp = mem_printf("%s" FILE_TEMP_MARK "engine", dir);
    if (!archive || !temp)
        return err_no_memory(err);
    if (file_remove_tree(temp, err) < 0 || file_make_dirs(temp, 0755, err) < 0)
        return -1;
    if (unpack_into(archive, temp, err) == 0 && chmod(temp, 0755) == 0 && file_rename(temp, dir, err) == 0)
        return 0;
    struct err ignored = {0};
    if (file_remove_tree(temp, &ignored) < 0)
        return -1;
    return -1;
}

static int lock(const char *engines, int *out_fd, struct err *err)
{
    cleanup_free char *path = file_join(engines, "lock");
    if (!path)
        return err_no_memory(err);
    for (int64_t until_ms = clock_mono_ms() + LOCK_MS;; poll(NULL, 0, LOCK_STEP_MS)) {
        if (file_lock(path, out_fd, err) == 0)
            return 0;
        if (err->code != ERR_BUSY || clock_mono_ms() > until_ms)
            return -1;
    }
}

struct keep {
    const struct image *image;
    const char *engines;
    struct oci_index *index;
    struct oci_manifest *manifest;
};

static bool is_wanted(const struct keep *keep, const char *name)
{
    struct err ignored = {0};
    for (size_t i = 0; i < keep->index->count; i++) {
        if (blob_read_manifest(keep->image->dir, &keep->index->manifests[i], keep->manifest, &ignored) < 0)
            return true; /* better one too many */
        for (size_t k = 0; k < keep->manifest->layer_count; k++) {
            struct digest_text text = digest_format(&keep->manifest->layers[k].digest);
            if (str_eq(digest_hex(&text), name))
                return true;
        }
    }
    return false;
}

static int drop_unwanted(const char *name, void *arg)
{
    const struct keep *keep = arg;
    struct err ignored = {0};
    if (str_eq(name, "lock") || is_wanted(keep, name))
        return 0;
    cleanup_free char *path = file_join(keep->engines, name);
    if (path && file_remove_tree(path, &ignored) < 0)
        return 1;
    return 0;
}

/* Engines of releases that have left the store. Whoever still runs from one keeps its files open. */
static void collect(const struct image *image, const char *engines)
{
    struct err ignored = {0};
    cleanup_free struct oci_index *index = mem_zalloc(1, sizeof *index);
    cleanup_free struct oci_manifest *manifest = mem_zalloc(1, sizeof *manifest);
    struct keep keep = {.image = image, .engines = engines, .index = index, .manifest = manifest};
    if (index && manifest && layout_read_index(image->dir, index, &ignored) == 0 &&
        file_list(engines, drop_unwanted, &keep, &ignored) < 0)
        return;
}

int engine_unpack(const struct image *image, const char *engines, char **out, struct err *err)
{
    const struct oci_descriptor *engine = engine_of(image);
    if (!engine)
        return err_set(err, ERR_NOT_FOUND, "the release carries no engine");
    struct digest_text text = digest_format(&engine->digest);
    cleanup_free char *dir = file_join(engines, digest_hex(&text));
    cleanup_close int lock_fd = -1;
    if (!dir)
        return err_no_memory(err);
    if (!file_exists(dir)) {
        if (file_make_dirs(engines, 0755, err) < 0 || lock(engines, &lock_fd, err) < 0)
            return err_prefix(err, "engine");
        collect(image, engines);
        if (!file_exists(dir) && unpack_to(image, engine, dir, err) < 0)
            return err_prefix(err, "engine %s", text.text);
    }
    *out = TAKE_PTR(dir);
    return 0;
}
