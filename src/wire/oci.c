#include "wire/oci.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/json.h"
#include "wire/json_tree.h"
#include "wire/json_write.h"

#define ANNOTATION_FILEPATH "org.cncf.model.filepath"
#define ANNOTATION_REF_NAME "org.opencontainers.image.ref.name"
#define ANNOTATION_VARIANT "org.muster.variant"

/* ---- reading ---- */

/* RFC 6838: type/subtype, each 1..127 of the restricted characters, starting with a letter or digit. */
static bool is_media_type(const char *text)
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&-^_.+";
    size_t type = strspn(text, set);
    if (type == 0 || text[type] != '/')
        return false;
    size_t subtype = strspn(text + type + 1, set);
    return subtype > 0 && text[type + 1 + subtype] == 0;
}

static void get_media_type(struct json_at at, const char *key, char *out, size_t out_size)
{
    json_get_string(at, key, out, out_size);
    if (out[0] && !is_media_type(out))
        json_fail(at, "%s: is no media type", key);
}

static void get_optional(struct json_at at, const char *key, char *out, size_t out_size)
{
    if (json_has(at, key))
        json_get_line(at, key, out, out_size);
}

static void decode_annotations(struct json_at at, struct oci_descriptor *out)
{
    if (!json_has(at, "annotations"))
        return;
    struct json_at annotations = json_child(at, "annotations");
    get_optional(annotations, ANNOTATION_FILEPATH, out->filepath, sizeof out->filepath);
    get_optional(annotations, ANNOTATION_REF_NAME, out->ref_name, sizeof out->ref_name);
    if (json_has(annotations, ANNOTATION_VARIANT))
        json_get_name(annotations, ANNOTATION_VARIANT, out->variant, sizeof out->variant);
    if (out->filepath[0] && !str_is_safe_path(out->filepath))
        json_fail(annotations, "%s: must be a relative path without \"..\"", ANNOTATION_FILEPATH);
}

static void decode_descriptor(struct json_at at, struct oci_descriptor *out)
{
    get_media_type(at, "mediaType", out->media_type, sizeof out->media_type);
    json_get_digest(at, "digest", &out->digest);
    json_get_u64(at, "size", INT64_MAX, &out->size);
    if (json_has(at, "artifactType"))
        get_media_type(at, "artifactType", out->artifact_type, sizeof out->artifact_type);
    decode_annotations(at, out);
}

static void check_header(struct json_at root, const char *media_type, bool required)
{
    int64_t version;
    json_get_int(root, "schemaVersion", 2, 2, &version);
    char found[96] = "";
    if (required || json_has(root, "mediaType"))
        json_get_string(root, "mediaType", found, sizeof found);
    if (found[0] && !str_eq(found, media_type))
        json_fail(root, "mediaType: must be %s, not \"%.60s\"", media_type, found);
}

static int check_size(const char *name, size_t len, struct err *err)
{
    if (len <= OCI_MAX_MANIFEST_BYTES)
        return 0;
    return err_set(err, ERR_TOO_BIG, "%s: %zu bytes, the limit is %d", name, len, OCI_MAX_MANIFEST_BYTES);
}

static void decode_manifest(struct json_at root, struct oci_manifest *out)
{
    check_header(root, OCI_MANIFEST_TYPE, true);
    if (json_has(root, "artifactType"))
        get_media_type(root, "artifactType", out->artifact_type, sizeof out->artifact_type);
    decode_descriptor(json_child(root, "config"), &out->config);
    out->has_subject = json_has(root, "subject");
    if (out->has_subject)
        decode_descriptor(json_child(root, "subject"), &out->subject);
    struct json_at layers = json_list(root, "layers", OCI_MAX_LAYERS, &out->layer_count);
    for (size_t i = 0; i < out->layer_count; i++)
        decode_descriptor(json_as_object(json_item(layers, i)), &out->layers[i]);
}

int oci_manifest_parse(const void *text, size_t len, struct oci_manifest *out, struct err *err)
{
    struct json_reader reader;
    if (check_size("manifest", len, err) < 0 || json_read(&reader, "manifest", text, len, err) < 0)
        return -1;
    memset(out, 0, sizeof *out);
    decode_manifest(json_root(&reader), out);
    return json_finish(&reader, err);
}

int oci_index_parse(const void *text, size_t len, struct oci_index *out, struct err *err)
{
    struct json_reader reader;
    if (check_size("index.json", len, err) < 0 || json_read(&reader, "index.json", text, len, err) < 0)
        return -1;
    memset(out, 0, sizeof *out);
    struct json_at root = json_root(&reader);
    check_header(root, OCI_INDEX_TYPE, false);
    struct json_at list = json_list(root, "manifests", OCI_MAX_MANIFESTS, &out->count);
    for (size_t i = 0; i < out->count; i++)
        decode_descriptor(json_as_object(json_item(list, i)), &out->manifests[i]);
    return json_finish(&reader, err);
}

const struct oci_descriptor *oci_layer(const struct oci_manifest *manifest, const char *media_type,
                                       const char *variant)
{
    for (size_t i = 0; i < manifest->layer_count; i++) {
        const struct oci_descriptor *layer = &manifest->layers[i];
        if (str_eq(layer->media_type, media_type) && (!variant || str_eq(layer->variant, variant)))
            return layer;
    }
    return NULL;
}

/* ---- writing ---- */

static json_t *from_annotations(const struct oci_descriptor *descriptor)
{
    cleanup_json json_t *out = json_object();
    if (json_put_text(out, ANNOTATION_FILEPATH, descriptor->filepath) < 0 ||
        json_put_text(out, ANNOTATION_REF_NAME, descriptor->ref_name) < 0 ||
        json_put_text(out, ANNOTATION_VARIANT, descriptor->variant) < 0)
        return NULL;
    return TAKE_PTR(out);
}

static json_t *from_descriptor(const struct oci_descriptor *descriptor)
{
    cleanup_json json_t *out =
        json_pack("{s:s, s:o, s:I}", "mediaType", descriptor->media_type, "digest",
                  json_from_digest(&descriptor->digest), "size", (json_int_t)descriptor->size);
    cleanup_json json_t *annotations = from_annotations(descriptor);
    if (!out || !annotations || json_put_text(out, "artifactType", descriptor->artifact_type) < 0)
        return NULL;
    if (json_object_size(annotations) && json_object_set(out, "annotations", annotations) < 0)
        return NULL;
    return TAKE_PTR(out);
}

static json_t *from_descriptors(const struct oci_descriptor *descriptors, size_t count)
{
    cleanup_json json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_append(list, from_descriptor(&descriptors[i])) < 0)
            return NULL;
    return TAKE_PTR(list);
}

char *oci_manifest_format(const struct oci_manifest *manifest)
{
    cleanup_json json_t *root =
        json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", OCI_MANIFEST_TYPE, "config",
                  from_descriptor(&manifest->config), "layers",
                  from_descriptors(manifest->layers, manifest->layer_count));
    if (!root || json_put_text(root, "artifactType", manifest->artifact_type) < 0)
        return NULL;
    if (manifest->has_subject &&
        json_object_set_new(root, "subject", from_descriptor(&manifest->subject)) < 0)
        return NULL;
    return json_write(root);
}

char *oci_index_format(const struct oci_index *index)
{
    return json_write_new(json_pack("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType", OCI_INDEX_TYPE,
                                    "manifests", from_descriptors(index->manifests, index->count)));
}

static json_t *from_digests(const struct oci_descriptor *layers, size_t count)
{
    cleanup_json json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_append(list, json_from_digest(&layers[i].digest)) < 0)
            return NULL;
    return TAKE_PTR(list);
}

char *modelpack_config_format(const char *name, const char *version, const char *description,
                              const char *created, const struct oci_descriptor *layers, size_t layer_count)
{
    cleanup_json json_t *descriptor = json_pack("{s:s, s:s}", "name", name, "version", version);
    if (!descriptor || json_put_text(descriptor, "description", description ? description : "") < 0 ||
        json_put_text(descriptor, "createdAt", created ? created : "") < 0)
        return NULL;
    return json_write_new(json_pack("{s:O, s:{s:s}, s:{s:s, s:o}}", "descriptor", descriptor, "config",
                                    "format", "onnx", "modelfs", "type", "layers", "diffIds",
                                    from_digests(layers, layer_count)));
}
