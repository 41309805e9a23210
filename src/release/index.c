#include "release/index.h"

#include "base/mem.h"
#include "base/str.h"
#include "release/blob.h"
#include "sys/file.h"
#include "wire/json.h"

enum { INDEX_MAX = 1 << 20, LAYOUT_FILE_MAX = 4096 };

void image_ref(const struct release *release, char out[128])
{
    snprintf(out, 128, "%.62s-%.62s", release->name, release->version);
}

void index_referrer_ref(const struct digest *release, char out[128])
{
    struct digest_text text = digest_format(release);
    snprintf(out, 128, "sha256-%s.oms", digest_hex(&text));
}

static int read_document(const char *dir, const char *name, size_t max, struct json_reader *reader,
                         struct err *err)
{
    cleanup_free char *path = file_join(dir, name);
    if (!path)
        return err_no_memory(err);
    cleanup_buf struct buf text = BUF_INIT(max);
    if (file_read(path, &text, err) < 0)
        return -1;
    return json_read(reader, name, text.data, text.len, err);
}

static void expect_text(struct json_at at, const char *key, const char *want)
{
    char text[128] = "";
    json_get_string(at, key, text, sizeof text);
    if (at.reader->err.code == ERR_NONE && !str_eq(text, want))
        json_fail(at, "%s is not \"%s\"", key, want);
}

static int check_layout_file(const char *dir, struct err *err)
{
    struct json_reader reader;
    if (read_document(dir, "oci-layout", LAYOUT_FILE_MAX, &reader, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    json_only(root, (const char *const[]){"imageLayoutVersion", NULL});
    expect_text(root, "imageLayoutVersion", "1.0.0");
    return json_finish(&reader, err);
}

static void check_annotations(struct json_at item)
{
    if (!json_has(item, "annotations"))
        return;
    json_only(json_child(item, "annotations"),
              (const char *const[]){"org.opencontainers.image.ref.name", NULL});
}

static void check_members(struct json_at root)
{
    int64_t schema_version = 0;
    json_only(root, (const char *const[]){"schemaVersion", "mediaType", "manifests", NULL});
    json_get_int(root, "schemaVersion", 2, 2, &schema_version);
    if (json_has(root, "mediaType"))
        expect_text(root, "mediaType", OCI_INDEX_TYPE);
    size_t count = 0;
    struct json_at list = json_list(root, "manifests", OCI_MAX_MANIFESTS, &count);
    for (size_t i = 0; i < count; i++) {
        struct json_at item = json_as_object(json_item(list, i));
        json_only(item,
                  (const char *const[]){"mediaType", "artifactType", "digest", "size", "annotations", NULL});
        check_annotations(item);
    }
}

/* The name that index.json gives to the release or to its signature is their own, or there is none. */
static int check_ref(const struct image *image, const struct oci_descriptor *item, struct err *err)
{
    char want[128];
    if (!item->ref_name[0])
        return 0;
    if (digest_equal(&item->digest, &image->digest)) {
        image_ref(&image->release, want);
    } else {
        cleanup_free struct oci_manifest *manifest = mem_zalloc(1, sizeof *manifest);
        if (!manifest)
            return err_no_memory(err);
        if (blob_read_manifest(image->dir, item, manifest, err) < 0)
            return -1;
        if (!blob_refers(manifest, &image->digest))
            return 0;
        index_referrer_ref(&image->digest, want);
    }
    if (str_eq(item->ref_name, want))
        return 0;
    return err_set(err, ERR_CORRUPT, "index.json calls it \"%s\", its own name is %s; put that back",
                   item->ref_name, want);
}

static int check_refs(const struct image *image, struct err *err)
{
    cleanup_free struct oci_index *index = mem_zalloc(1, sizeof *index);
    if (!index)
        return err_no_memory(err);
    if (layout_read_index(image->dir, index, err) < 0)
        return -1;
    for (size_t i = 0; i < index->count; i++)
        if (check_ref(image, &index->manifests[i], err) < 0)
            return -1;
    return 0;
}

int index_check(const struct image *image, struct err *err)
{
    if (check_layout_file(image->dir, err) < 0)
        return -1;
    struct json_reader reader;
    if (read_document(image->dir, "index.json", INDEX_MAX, &reader, err) < 0)
        return -1;
    check_members(json_root(&reader));
    if (json_finish(&reader, err) < 0)
        return -1;
    return check_refs(image, err);
}
