#include "release/image.h"

#include "base/mem.h"
#include "base/str.h"
#include "release/blob.h"
#include "sys/file.h"
#include "sys/hash.h"

enum { RELEASE_JSON_MAX = 1 << 20 };

static bool may_be_release(const struct oci_descriptor *descriptor)
{
    return str_eq(descriptor->media_type, OCI_MANIFEST_TYPE) &&
           (!descriptor->artifact_type[0] || str_eq(descriptor->artifact_type, MODELPACK_ARTIFACT_TYPE));
}

/* Tools that copy layouts drop artifactType from index.json: then the manifest itself tells. */
static int is_release(const char *dir, const struct oci_descriptor *descriptor, bool *out, struct err *err)
{
    *out = may_be_release(descriptor);
    if (!*out || descriptor->artifact_type[0])
        return 0;
    cleanup_free struct oci_manifest *manifest = mem_zalloc(1, sizeof *manifest);
    if (!manifest)
        return err_no_memory(err);
    if (blob_read_manifest(dir, descriptor, manifest, err) < 0)
        return -1;
    *out = str_eq(manifest->artifact_type, MODELPACK_ARTIFACT_TYPE);
    return 0;
}

static int find_only_release(const char *dir, const struct oci_index *index, struct oci_descriptor *out,
                             struct err *err)
{
    size_t found = 0;
    for (size_t i = 0; i < index->count; i++) {
        bool release = false;
        if (is_release(dir, &index->manifests[i], &release, err) < 0)
            return -1;
        if (release && found++ == 0)
            *out = index->manifests[i];
    }
    if (found == 0 && index->count == 0)
        return err_set(err, ERR_NOT_FOUND, "index.json is empty; make a release with muster pack");
    if (found == 0)
        return err_set(err, ERR_INVALID, "index.json lists no release (artifactType %s)",
                       MODELPACK_ARTIFACT_TYPE);
    if (found > 1)
        return err_set(err, ERR_INVALID, "index.json holds %zu releases; name one of them: FOLDER@sha256:...",
                       found);
    return 0;
}

static int find_by_digest(const struct oci_index *index, const struct digest *digest,
                          struct oci_descriptor *out, struct err *err)
{
    for (size_t i = 0; i < index->count; i++) {
        if (digest_equal(&index->manifests[i].digest, digest)) {
            *out = index->manifests[i];
            return 0;
        }
    }
    struct digest_text text = digest_format(digest);
    return err_set(err, ERR_NOT_FOUND, "no release %s in index.json", text.text);
}

static int find_release(const char *dir, const struct digest *digest, struct oci_descriptor *out,
                        struct err *err)
{
    cleanup_free struct oci_index *index = mem_zalloc(1, sizeof *index);
    if (!index)
        return err_no_memory(err);
    if (layout_read_index(dir, index, err) < 0)
        return -1;
    return digest ? find_by_digest(index, digest, out, err) : find_only_release(dir, index, out, err);
}

static int read_release(struct image *image, struct err *err)
{
    const struct oci_descriptor *layer = oci_layer(&image->manifest, MUSTER_RELEASE_TYPE, NULL);
    if (!layer)
        return err_set(err, ERR_INVALID, "manifest has no layer %s", MUSTER_RELEASE_TYPE);
    cleanup_buf struct buf text = BUF_INIT(RELEASE_JSON_MAX);
    if (blob_read(image->dir, layer, &text, err) < 0)
        return -1;
    if (release_parse(text.data, text.len, &image->release, err) < 0)
        return -1;
    return release_check(&image->release, err);
}

static int open_parts(struct image *image, const struct digest *digest, struct err *err)
{
    struct oci_descriptor descriptor = {0};
    if (find_release(image->dir, digest, &descriptor, err) < 0)
        return -1;
    if (blob_read_manifest(image->dir, &descriptor, &image->manifest, err) < 0)
        return -1;
    if (!str_eq(image->manifest.artifact_type, MODELPACK_ARTIFACT_TYPE))
        return err_set(err, ERR_INVALID, "artifactType is \"%s\", not a model",
                       image->manifest.artifact_type);
    image->digest = descriptor.digest;
    image->size = descriptor.size;
    return read_release(image, err);
}

int image_open(const char *dir, const struct digest *digest, struct image *out, struct err *err)
{
    *out = (struct image){.dir = mem_strdup(dir)};
    if (!out->dir)
        return err_no_memory(err);
    if (open_parts(out, digest, err) == 0)
        return 0;
    image_close(out);
    return err_prefix(err, "release %s", dir);
}

void image_close(struct image *image)
{
    free(image->dir);
    image->dir = NULL;
}

static int layer_path(const struct image *image, const struct oci_descriptor *layer, char **out,
                      struct err *err)
{
    *out = image_blob_path(image->dir, &layer->digest);
    return *out ? 0 : err_no_memory(err);
}

int image_golden_path(const struct image *image, char **out, struct err *err)
{
    const struct oci_descriptor *layer = oci_layer(&image->manifest, MUSTER_GOLDEN_TYPE, NULL);
    if (!layer)
        return err_set(err, ERR_INVALID, "the release has no golden inputs (layer %s)", MUSTER_GOLDEN_TYPE);
    return layer_path(image, layer, out, err);
}

int image_profile_path(const struct image *image, char **out, struct err *err)
{
    const struct oci_descriptor *layer = oci_layer(&image->manifest, MUSTER_PROFILE_TYPE, NULL);
    *out = NULL;
    return layer ? layer_path(image, layer, out, err) : 0;
}
