#include "release/image.h"

#include "base/mem.h"
#include "base/str.h"
#include "release/blob.h"
#include "release/index.h"
#include "sys/file.h"
#include "wire/onnx/summary.h"
#include "wire/profile.h"
#include "wire/sealed.h"

static int check_manifest_blobs(const struct image *image, const struct oci_manifest *manifest,
                                struct err *err)
{
    if (blob_check(image->dir, &manifest->config, "config", err) < 0)
        return -1;
    for (size_t i = 0; i < manifest->layer_count; i++) {
        const struct oci_descriptor *layer = &manifest->layers[i];
        if (image_uses_layer(image->use, layer) &&
            blob_check(image->dir, layer, layer->filepath[0] ? layer->filepath : "layer", err) < 0)
            return -1;
    }
    return 0;
}

/* Calls visit for every manifest beside the release (blob_refers), until it says 1: that one is in `out` then. */
static int each_referrer(const struct image *image, struct oci_manifest *out,
                         int (*visit)(const struct image *, const struct oci_manifest *, struct err *),
                         struct err *err)
{
    cleanup_free struct oci_index *index = mem_zalloc(1, sizeof *index);
    if (!index)
        return err_no_memory(err);
    if (layout_read_index(image->dir, index, err) < 0)
        return -1;
    int result = 0;
    for (size_t i = 0; i < index->count && result == 0; i++) {
        const struct oci_descriptor *item = &index->manifests[i];
        if (digest_equal(&item->digest, &image->digest) ||
            str_eq(item->artifact_type, MODELPACK_ARTIFACT_TYPE) ||
            !str_eq(item->media_type, OCI_MANIFEST_TYPE))
            continue;
        if (blob_read_manifest(image->dir, item, out, err) < 0)
            return -1;
        if (blob_refers(out, &image->digest))
            result = visit(image, out, err);
    }
    return result;
}

static int is_model_signature(const struct image *image, const struct oci_manifest *manifest, struct err *err)
{
    return str_eq(manifest->artifact_type, OMS_BUNDLE_TYPE);
}

static int check_referrer(const struct image *image, const struct oci_manifest *manifest, struct err *err)
{
    return check_manifest_blobs(image, manifest, err);
}

int image_check_blobs(const struct image *image, struct err *err)
{
    if (check_manifest_blobs(image, &image->manifest, err) < 0)
        return -1;
    cleanup_free struct oci_manifest *referrer = mem_zalloc(1, sizeof *referrer);
    if (!referrer)
        return err_no_memory(err);
    return each_referrer(image, referrer, check_referrer, err);
}

static int read_document(const struct image *image, const struct oci_manifest *manifest, const char *type,
                         struct buf *out, struct err *err)
{
    const struct oci_descriptor *layer = oci_layer(manifest, type, NULL);
    if (!layer)
        return err_set(err, ERR_INVALID, "the signature manifest has no layer %s", type);
    return blob_read(image->dir, layer, out, err);
}

int image_model_signature(const struct image *image, struct buf *out, struct err *err)
{
    cleanup_free struct oci_manifest *manifest = mem_zalloc(1, sizeof *manifest);
    if (!manifest)
        return err_no_memory(err);
    int found = each_referrer(image, manifest, is_model_signature, err);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(err, ERR_NOT_FOUND,
                       "no model signature; make one with muster sign %s --model-key FILE", image->dir);
    return read_document(image, manifest, OMS_BUNDLE_TYPE, out, err);
}

int image_statement(const struct image *image, struct oms_statement *out, struct err *err)
{
    char ref[128];
    image_ref(&image->release, ref);
    *out = (struct oms_statement){.subject = mem_strdup(ref)};
    int result = out->subject ? 0 : err_no_memory(err);
    for (size_t i = 0; i < image->manifest.layer_count && result == 0; i++) {
        const struct oci_descriptor *layer = &image->manifest.layers[i];
        if (layer->filepath[0])
            result = oms_statement_add(out, layer->filepath, &layer->digest, err);
    }
    if (result < 0)
        oms_statement_fini(out);
    else
        oms_statement_sort(out);
    return result;
}

static int check_one_model(const struct image *image, const struct oci_descriptor *layer, struct err *err)
{
    cleanup_free char *path = image_blob_path(image->dir, &layer->digest);
    if (!path)
        return err_no_memory(err);
    cleanup_file_map struct file_map map = {0};
    if (file_map(path, &map, err) < 0)
        return -1;
    struct onnx_summary summary = {0};
    if (onnx_summarize(map.data, map.size, &summary, err) < 0) {
        if (err->code == ERR_INVALID)
            err->code = ERR_REFUSED;
        return -1;
    }
    return onnx_check_release(&summary, &image->release, err);
}

static int check_one_sealed(const struct image *image, const struct oci_descriptor *layer, struct err *err)
{
    cleanup_free char *path = image_blob_path(image->dir, &layer->digest);
    cleanup_file_map struct file_map map = {0};
    struct sealed_head head;
    if (!path)
        return err_no_memory(err);
    return file_map(path, &map, err) < 0 ? -1 : sealed_parse(map.data, map.size, map.size, &head, err);
}

static bool is_first_of(const struct image *image, const struct oci_descriptor *layer)
{
    return image_weights(image, layer->variant) == layer;
}

/* No weights that nobody promised anything of, and no promise without weights. */
static int check_variants(const struct image *image, struct err *err)
{
    const struct release *release = &image->release;
    for (size_t i = 0; i < release->variant_count; i++)
        if (!image_weights(image, release->variants[i].name))
            return err_set(err, ERR_REFUSED, "the weights of variant %s are missing",
                           release->variants[i].name);
    return 0;
}

static int check_promised(const struct image *image, const struct oci_descriptor *layer, struct err *err)
{
    if (!is_first_of(image, layer))
        return err_set(err, ERR_REFUSED, "two layers are the weights \"%s\"", layer->variant);
    if (str_eq(layer->variant, VARIANT_PARENT) || release_variant(&image->release, layer->variant))
        return 0;
    return err_set(err, ERR_REFUSED, "weights \"%s\", of which release.json promises nothing",
                   layer->variant);
}

/* A release has weights of one kind, so that nobody runs what others cannot look at beside what they can. */
static int check_weights(const struct image *image, const struct oci_descriptor *layer, struct err *err)
{
    bool plain = str_eq(layer->media_type, MODELPACK_WEIGHT_TYPE);
    if (!plain && !str_eq(layer->media_type, MUSTER_SEALED_TYPE))
        return 0;
    if (plain && image_is_sealed(image))
        return err_set(err, ERR_REFUSED, "the release has both sealed weights and others");
    if (check_promised(image, layer, err) < 0)
        return -1;
    if (image_uses_layer(image->use, layer) &&
        (plain ? check_one_model(image, layer, err) : check_one_sealed(image, layer, err)) < 0)
        return err_prefix(err, "%s", layer->filepath[0] ? layer->filepath : "model");
    return 0;
}

int image_check_model(const struct image *image, struct err *err)
{
    for (size_t i = 0; i < image->manifest.layer_count; i++)
        if (check_weights(image, &image->manifest.layers[i], err) < 0)
            return -1;
    if (!image_weights(image, VARIANT_PARENT))
        return err_set(err, ERR_REFUSED, "the release has no weights (layer %s, variant %s)",
                       MODELPACK_WEIGHT_TYPE, VARIANT_PARENT);
    return check_variants(image, err);
}

static int compare_tap(const struct release *release, const struct profile *profile, struct err *err)
{
    if (!profile->tap[0])
        return 0;
    const struct tensor_spec *tap = &release->outputs[release->output_count - 1];
    if (!str_eq(profile->tap, release->tap) || tap->dims[1] != profile->channels)
        return err_set(
            err, ERR_REFUSED,
            "the profile is of %u channels of \"%.40s\", the release has %s \"%.40s\"; pack it anew",
            profile->channels, profile->tap, release->tap[0] ? "the tap" : "no tap", release->tap);
    return 0;
}

int image_check_profile(const struct image *image, struct err *err)
{
    cleanup_free char *path = NULL;
    cleanup_file_map struct file_map map = {0};
    cleanup_profile struct profile profile = {0};
    if (image_profile_path(image, &path, err) < 0)
        return -1;
    if (!path)
        return 0;
    if (file_map(path, &map, err) < 0)
        return -1;
    if (profile_parse(map.data, map.size, &profile, err) < 0) {
        err->code = ERR_REFUSED;
        return -1;
    }
    return compare_tap(&image->release, &profile, err);
}

int image_check_machine(const struct image *image, const char *machine, struct err *err)
{
    return release_check_machine(&image->release, machine, err);
}

static int check_fitness(const struct image *image, const char *machine, struct err *err)
{
    if (machine && image_check_machine(image, machine, err) < 0)
        return -1;
    return image_check_model(image, err) < 0 ? -1 : image_check_profile(image, err);
}

int image_verify(const struct image *image, const char *machine, struct err *err)
{
    if (index_check(image, err) < 0 || image_check_blobs(image, err) < 0)
        return -1;
    return check_fitness(image, machine, err);
}
