#include "release/image.h"

#include "base/mem.h"
#include "base/str.h"
#include "release/blob.h"
#include "release/index.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { INDEX_MAX = 1 << 20, COPY_BYTES = 64 << 10 };

static const char layout_file[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

static char *index_path(const char *dir)
{
    return file_join(dir, "index.json");
}

static int write_index(const char *dir, const struct oci_index *index, struct err *err)
{
    cleanup_free char *path = index_path(dir);
    cleanup_free char *text = oci_index_format(index);
    if (!path || !text)
        return err_no_memory(err);
    return file_replace(path, text, strlen(text), 0644, err);
}

static int init_files(const char *dir, struct err *err)
{
    cleanup_free char *blobs = file_join(dir, "blobs/sha256");
    cleanup_free char *layout = file_join(dir, "oci-layout");
    cleanup_free char *index = index_path(dir);
    cleanup_free struct oci_index *empty = mem_zalloc(1, sizeof *empty);
    if (!blobs || !layout || !index || !empty)
        return err_no_memory(err);
    if (file_make_dirs(blobs, 0755, err) < 0)
        return -1;
    if (!file_exists(index) && write_index(dir, empty, err) < 0)
        return -1;
    if (file_exists(layout))
        return 0;
    return file_replace(layout, layout_file, strlen(layout_file), 0644, err);
}

int layout_init(const char *dir, struct err *err)
{
    if (init_files(dir, err) < 0)
        return err_prefix(err, "layout %s", dir);
    return 0;
}

int layout_read_index(const char *dir, struct oci_index *out, struct err *err)
{
    cleanup_free char *path = index_path(dir);
    if (!path)
        return err_no_memory(err);
    cleanup_buf struct buf text = BUF_INIT(INDEX_MAX);
    if (file_read(path, &text, err) < 0) {
        if (err->code == ERR_NOT_FOUND)
            err_set(err, ERR_NOT_FOUND,
                    "no index.json there: it is not a release; make one with muster pack");
        return -1;
    }
    return oci_index_parse(text.data, text.len, out, err);
}

int layout_add_blob(const char *dir, const void *data, size_t len, struct digest *out, struct err *err)
{
    *out = hash_bytes(data, len);
    cleanup_free char *path = image_blob_path(dir, out);
    if (!path)
        return err_no_memory(err);
    uint64_t size = 0; /* one that is there is only believed if it is the same */
    struct digest have;
    struct err ignored = {0};
    if (file_exists(path) && hash_file(path, &have, &size, &ignored) == 0 && digest_equal(&have, out))
        return 0;
    return file_replace(path, data, len, 0644, err);
}

static int write_all(int fd, const uint8_t *data, size_t len, const char *path, struct err *err)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0)
            return err_errno(err, "write %s", path);
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Copies and hashes what was really copied: the source may change meanwhile. */
static int copy_hashed(int from, int to, const char *path, struct hash *hash, uint64_t *out_size,
                       struct err *err)
{
    cleanup_free uint8_t *piece = mem_zalloc(1, COPY_BYTES);
    if (!piece)
        return err_no_memory(err);
    *out_size = 0;
    for (;;) {
        ssize_t n = read(from, piece, COPY_BYTES);
        if (n < 0)
            return err_errno(err, "read %s", path);
        if (n == 0)
            break;
        hash_update(hash, piece, (size_t)n);
        *out_size += (uint64_t)n;
        if (write_all(to, piece, (size_t)n, path, err) < 0)
            return -1;
    }
    return fsync(to) < 0 ? err_errno(err, "fsync %s", path) : 0;
}

static int add_opened(const char *dir, int from, int to, const char *temp, struct digest *out,
                      uint64_t *out_size, struct err *err)
{
    struct hash *hash = hash_new();
    if (!hash)
        return err_no_memory(err);
    int failed = copy_hashed(from, to, temp, hash, out_size, err);
    *out = hash_finish(hash);
    hash_free(hash);
    if (failed)
        return -1;
    cleanup_free char *path = image_blob_path(dir, out);
    if (!path)
        return err_no_memory(err);
    return file_rename(temp, path, err);
}

int layout_add_file(const char *dir, const char *path, struct digest *out, uint64_t *out_size,
                    struct err *err)
{
    cleanup_close int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return err_errno(err, "%s", path);
    cleanup_free char *temp = mem_printf("%s/blobs/sha256/" LAYOUT_TEMP_PREFIX "XXXXXX", dir);
    if (!temp)
        return err_no_memory(err);
    cleanup_close int to = mkostemp(temp, O_CLOEXEC);
    if (to < 0)
        return err_errno(err, "create %s", temp);
    if (fchmod(to, 0644) == 0 && add_opened(dir, from, to, temp, out, out_size, err) == 0)
        return 0;
    if (err->code == ERR_NONE)
        err_errno(err, "chmod %s", temp);
    unlink(temp);
    return -1;
}

static void drop(struct oci_index *index, size_t i)
{
    index->count--;
    memmove(&index->manifests[i], &index->manifests[i + 1], (index->count - i) * sizeof index->manifests[0]);
}

/* Removes every manifest whose subject is `subject` and, if not NULL, whose artifactType is `type`. What
 * cannot be read is no referrer that anybody could use: it stays for the garbage collector to complain about.
 */
static void drop_referrers(const char *dir, struct oci_index *index, const struct digest *subject,
                           const char *type, struct oci_manifest *scratch)
{
    for (size_t i = index->count; i-- > 0;) {
        struct err ignored = {0};
        if (blob_read_manifest(dir, &index->manifests[i], scratch, &ignored) < 0)
            continue;
        if (scratch->has_subject && digest_equal(&scratch->subject.digest, subject) &&
            (!type || str_eq(scratch->artifact_type, type)))
            drop(index, i);
    }
}

static void drop_digest(struct oci_index *index, const struct digest *digest)
{
    for (size_t i = index->count; i-- > 0;)
        if (digest_equal(&index->manifests[i].digest, digest))
            drop(index, i);
}

/* An index and room for one manifest: both are big, so they live on the heap. */
struct scratch {
    struct oci_index index;
    struct oci_manifest manifest;
};

static int add_manifest(const char *dir, const struct oci_descriptor *descriptor, struct scratch *scratch,
                        struct err *err)
{
    struct oci_index *index = &scratch->index;
    if (layout_read_index(dir, index, err) < 0 ||
        blob_read_manifest(dir, descriptor, &scratch->manifest, err) < 0)
        return -1;
    drop_digest(index, &descriptor->digest);
    if (scratch->manifest.has_subject && blob_refers(&scratch->manifest, &scratch->manifest.subject.digest)) {
        struct digest subject = scratch->manifest.subject.digest;
        drop_referrers(dir, index, &subject, OMS_BUNDLE_TYPE, &scratch->manifest);
    }
    if (index->count == OCI_MAX_MANIFESTS)
        return err_set(err, ERR_TOO_BIG, "index.json is full (%d manifests)", OCI_MAX_MANIFESTS);
    index->manifests[index->count++] = *descriptor;
    return write_index(dir, index, err);
}

int layout_add_manifest(const char *dir, const struct oci_descriptor *descriptor, struct err *err)
{
    cleanup_free struct scratch *scratch = mem_zalloc(1, sizeof *scratch);
    if (!scratch)
        return err_no_memory(err);
    return add_manifest(dir, descriptor, scratch, err);
}

int layout_remove_manifest(const char *dir, const struct digest *digest, struct err *err)
{
    cleanup_free struct scratch *scratch = mem_zalloc(1, sizeof *scratch);
    if (!scratch)
        return err_no_memory(err);
    if (layout_read_index(dir, &scratch->index, err) < 0)
        return -1;
    drop_digest(&scratch->index, digest);
    drop_referrers(dir, &scratch->index, digest, NULL, &scratch->manifest);
    return write_index(dir, &scratch->index, err);
}

static int add_layer_blob(const char *dir, const char *text, const char *media_type, const char *filepath,
                          struct oci_descriptor *out, struct err *err)
{
    *out = (struct oci_descriptor){.size = strlen(text)};
    str_copy(out->media_type, sizeof out->media_type, media_type);
    str_copy(out->filepath, sizeof out->filepath, filepath);
    return layout_add_blob(dir, text, strlen(text), &out->digest, err);
}

/* As OCI has it: a manifest of one layer whose subject is the release. */
int layout_set_model_signature(const char *dir, const struct image *image, const char *bundle,
                               struct err *err)
{
    cleanup_free struct oci_manifest *manifest = mem_zalloc(1, sizeof *manifest);
    if (!manifest)
        return err_no_memory(err);
    str_copy(manifest->artifact_type, sizeof manifest->artifact_type, OMS_BUNDLE_TYPE);
    manifest->has_subject = true;
    manifest->subject = (struct oci_descriptor){.digest = image->digest, .size = image->size};
    str_copy(manifest->subject.media_type, sizeof manifest->subject.media_type, OCI_MANIFEST_TYPE);
    manifest->layer_count = 1;
    if (add_layer_blob(dir, "{}", OCI_EMPTY_TYPE, "", &manifest->config, err) < 0 ||
        add_layer_blob(dir, bundle, OMS_BUNDLE_TYPE, "model.sig", &manifest->layers[0], err) < 0)
        return -1;
    cleanup_free char *text = oci_manifest_format(manifest);
    if (!text)
        return err_no_memory(err);
    struct oci_descriptor descriptor;
    if (add_layer_blob(dir, text, OCI_MANIFEST_TYPE, "", &descriptor, err) < 0)
        return -1;
    str_copy(descriptor.artifact_type, sizeof descriptor.artifact_type, OMS_BUNDLE_TYPE);
    index_referrer_ref(&image->digest, descriptor.ref_name);
    return layout_add_manifest(dir, &descriptor, err);
}
