#include "forge/pack.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/engine.h"
#include "forge/golden_make.h"
#include "forge/pack_inside.h"
#include "forge/pack_variants.h"
#include "forge/recipe.h"
#include "forge/sbom.h"
#include "release/engine.h"
#include "release/image.h"
#include "sys/file.h"
#include "trust/oms/oms.h"
#include "trust/seal/seal.h"
#include "wire/profile.h"

#define ENGINE_SUFFIX "-engine"

static const char epoch[] = "1970-01-01T00:00:00Z";

/* ---- checking ---- */

/* What comes from elsewhere is what its maker signed, or it is not taken in. */
static int check_origin(const struct recipe *recipe, char out_key[65], struct err *err)
{
    cleanup_oms_key struct oms_key *key = NULL;
    out_key[0] = '\0';
    if (!recipe->signature)
        return 0;
    if (oms_public_load(recipe->signature_key, &key, err) < 0 ||
        oms_verify_file(recipe->model_path, recipe->signature, &(struct oms_believed){.key = key}, err) < 0)
        return -1;
    str_copy(out_key, 65, oms_key_hint(key));
    return 0;
}

static int check_documents(const struct recipe *recipe, struct err *err)
{
    for (size_t i = 0; i < recipe->document_count; i++)
        if (access(recipe->documents[i], R_OK) < 0)
            return err_errno(err, "%s", recipe->documents[i]);
    if (recipe->timing_cache && access(recipe->timing_cache, R_OK) < 0)
        return err_errno(err, "%s", recipe->timing_cache);
    return 0;
}

static int make_golden(const struct recipe *recipe, struct pipeline *pipeline, struct buf *out,
                       size_t *out_count, struct err *err)
{
    char **paths = NULL;
    size_t count = 0;
    if (recipe_list_golden(recipe, &paths, &count, err) < 0)
        return -1;
    int result = golden_make(pipeline, &recipe->release, paths, count, out, out_count, err);
    recipe_free_paths(paths, count);
    return result;
}

/* Loads and runs the model as a robot would. */
static int try_model(const struct recipe *recipe, const char *path, const struct pack_options *options,
                     struct buf *golden, struct pack_report *report, struct err *err)
{
    /* The reference is the processor: every robot has one, and it repeats itself. */
    struct pipeline_options pipeline_options = {.runtime_path = options ? options->runtime_path : NULL,
                                                .skip = ~(1U << PROVIDER_CPU)};
    struct pipeline *pipeline = NULL;
    if (pipeline_open(path, &recipe->release, &pipeline_options, &pipeline, err) < 0)
        return err->code == ERR_UNSUPPORTED ? -1 : err_prefix(err, "%s", recipe->model_path);
    str_copy(report->backend, sizeof report->backend, pipeline_backend(pipeline));
    int result = make_golden(recipe, pipeline, golden, &report->golden_count, err);
    pipeline_close(pipeline);
    return result;
}

/* ---- writing ---- */

struct packer {
    const char *dir;
    const struct recipe *recipe;
    const struct pack_models *models;
    const struct buf *golden, *profile; /* an empty profile: none */
    const char *created;
    const struct seal_key *seal; /* NULL: the weights lie in the clear */
    struct oci_manifest manifest;
    struct oci_descriptor engine; /* zero digest: none */
    struct pack_report *report;
    struct sbom sbom;
};

static struct oci_descriptor *next_layer(struct packer *packer, const char *media_type, const char *filepath)
{
    struct oci_descriptor *layer = &packer->manifest.layers[packer->manifest.layer_count++];
    str_copy(layer->media_type, sizeof layer->media_type, media_type);
    str_copy(layer->filepath, sizeof layer->filepath, filepath);
    return layer;
}

static int add_bytes(struct packer *packer, const void *data, size_t len, struct oci_descriptor *out,
                     struct err *err)
{
    out->size = len;
    packer->report->total_bytes += len;
    return layout_add_blob(packer->dir, data, len, &out->digest, err);
}

static int add_text(struct packer *packer, char *text, struct oci_descriptor *out, struct err *err)
{
    cleanup_free char *owned = text;
    return owned ? add_bytes(packer, owned, strlen(owned), out, err) : err_no_memory(err);
}

static int add_file(struct packer *packer, const char *path, struct oci_descriptor *out, struct err *err)
{
    if (layout_add_file(packer->dir, path, &out->digest, &out->size, err) < 0)
        return -1;
    packer->report->total_bytes += out->size;
    return 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The encrypted file lies in the layout for a moment under a name of its own; the plaintext never does. */
static int add_sealed(struct packer *packer, const char *path, struct oci_descriptor *out, struct err *err)
{
    cleanup_free char *temp = mem_printf("%s/blobs/sha256/" LAYOUT_TEMP_PREFIX "sealed", packer->dir);
    if (!temp)
        return err_no_memory(err);
    int result = seal_file(path, temp, packer->seal, err);
    if (result == 0)
        result = add_file(packer, temp, out, err);
    unlink(temp);
    return result;
}

static int add_weights(struct packer *packer, const char *variant, const char *stem, const char *path,
                       struct err *err)
{
    char name[64];
    snprintf(name, sizeof name, packer->seal ? "%s.onnx.sealed" : "%s.onnx", stem);
    struct oci_descriptor *layer =
        next_layer(packer, packer->seal ? MUSTER_SEALED_TYPE : MODELPACK_WEIGHT_TYPE, name);
    str_copy(layer->variant, sizeof layer->variant, variant);
    return packer->seal ? add_sealed(packer, path, layer, err) : add_file(packer, path, layer, err);
}

static int add_variants(struct packer *packer, struct err *err)
{
    const struct recipe *recipe = packer->recipe;
    for (size_t i = 0; i < recipe->variant_count; i++)
        if (add_weights(packer, recipe->variants[i].name, recipe->variants[i].name,
                        packer->models->variants[i], err) < 0)
            return -1;
    if (!recipe->timing_cache)
        return 0;
    struct oci_descriptor *layer = next_layer(packer, MUSTER_TIMING_TYPE, "trt.timing.cache");
    str_copy(layer->variant, sizeof layer->variant, VARIANT_TRT);
    return add_file(packer, recipe->timing_cache, layer, err);
}

static int add_layers(struct packer *packer, struct err *err)
{
    const struct recipe *recipe = packer->recipe;
    const struct buf *golden = packer->golden, *profile = packer->profile;
    if (add_weights(packer, VARIANT_PARENT, "model", packer->models->path, err) < 0 ||
        add_text(packer, release_format(&recipe->release),
                 next_layer(packer, MUSTER_RELEASE_TYPE, "release.json"), err) < 0 ||
        add_bytes(packer, golden->data, golden->len, next_layer(packer, MUSTER_GOLDEN_TYPE, "golden.bin"),
                  err) < 0 ||
        add_variants(packer, err) < 0)
        return -1;
    if (profile->len && add_bytes(packer, profile->data, profile->len,
                                  next_layer(packer, MUSTER_PROFILE_TYPE, "profile.bin"), err) < 0)
        return -1;
    for (size_t i = 0; i < recipe->document_count; i++) {
        const char *path = recipe->documents[i];
        if (add_file(packer, path, next_layer(packer, MODELPACK_DOC_TYPE, base_name(path)), err) < 0)
            return -1;
    }
    return 0;
}

/* Its three blobs are layers of the release; index.json names the image besides, for podman and skopeo. */
static int add_engine(struct packer *packer, const char *runtime_path, struct err *err)
{
    struct engine_options options = {.runtime = runtime_path,
                                     .created = packer->created,
                                     .file = sbom_add_engine_file,
                                     .arg = &packer->sbom};
    struct engine_parts parts;
    if (engine_build(packer->dir, &options, &parts, err) < 0)
        return -1;
    const struct oci_descriptor *const layers[] = {&parts.manifest, &parts.config, &parts.rootfs};
    for (size_t i = 0; i < ARRAY_LEN(layers); i++) {
        struct oci_descriptor *layer = &packer->manifest.layers[packer->manifest.layer_count++];
        *layer = *layers[i];
        str_copy(layer->variant, sizeof layer->variant, ENGINE_ARCHITECTURE);
        packer->report->total_bytes += layers[i]->size;
    }
    packer->engine = parts.manifest;
    packer->engine.filepath[0] = packer->engine.variant[0] = '\0';
    return 0;
}

/* Last, since it names the others. */
static int add_sbom(struct packer *packer, struct err *err)
{
    struct sbom *sbom = &packer->sbom;
    char *text = NULL;
    sbom->release = &packer->recipe->release;
    sbom->created = packer->created;
    sbom->tool_version = MUSTER_VERSION;
    sbom->model_signer = packer->report->model_signer;
    sbom->sealed = packer->seal != NULL;
    sbom->weights = packer->manifest.layers[0].digest;
    if (sbom_add_backend(sbom, packer->report->backend, !digest_is_zero(&packer->engine.digest), err) < 0 ||
        sbom_add_layers(sbom, &packer->manifest, err) < 0 || sbom_write(sbom, &text, err) < 0)
        return -1;
    return add_text(packer, text, next_layer(packer, SBOM_TYPE, "sbom.cdx.json"), err);
}

static int list_engine(struct packer *packer, struct err *err)
{
    if (digest_is_zero(&packer->engine.digest))
        return 0;
    snprintf(packer->engine.ref_name, sizeof packer->engine.ref_name, "%.119s" ENGINE_SUFFIX,
             packer->report->ref);
    return layout_add_manifest(packer->dir, &packer->engine, err);
}

static int add_config(struct packer *packer, struct err *err)
{
    const struct release *release = &packer->recipe->release;
    struct oci_manifest *manifest = &packer->manifest;
    str_copy(manifest->config.media_type, sizeof manifest->config.media_type, MODELPACK_CONFIG_TYPE);
    char *text = modelpack_config_format(release->name, release->version, release->description,
                                         packer->created, manifest->layers, manifest->layer_count);
    return add_text(packer, text, &manifest->config, err);
}

static int add_manifest(struct packer *packer, struct err *err)
{
    struct oci_descriptor descriptor = {0};
    str_copy(packer->manifest.artifact_type, sizeof packer->manifest.artifact_type, MODELPACK_ARTIFACT_TYPE);
    str_copy(descriptor.media_type, sizeof descriptor.media_type, OCI_MANIFEST_TYPE);
    str_copy(descriptor.artifact_type, sizeof descriptor.artifact_type, MODELPACK_ARTIFACT_TYPE);
    str_copy(descriptor.ref_name, sizeof descriptor.ref_name, packer->report->ref);
    if (add_text(packer, oci_manifest_format(&packer->manifest), &descriptor, err) < 0)
        return -1;
    packer->report->digest = descriptor.digest;
    return layout_add_manifest(packer->dir, &descriptor, err);
}

/* Takes the releases that were in the layout before, and their engines, out of it. */
static bool is_older(const struct packer *packer, const struct oci_descriptor *item)
{
    if (str_eq(item->artifact_type, MODELPACK_ARTIFACT_TYPE))
        return !digest_equal(&item->digest, &packer->report->digest);
    return str_ends(item->ref_name, ENGINE_SUFFIX) && !digest_equal(&item->digest, &packer->engine.digest);
}

static int drop_older(const struct packer *packer, struct err *err)
{
    const char *dir = packer->dir;
    cleanup_free struct oci_index *index = mem_zalloc(1, sizeof *index);
    if (!index)
        return err_no_memory(err);
    if (layout_read_index(dir, index, err) < 0)
        return -1;
    for (size_t i = 0; i < index->count; i++)
        if (is_older(packer, &index->manifests[i]) &&
            layout_remove_manifest(dir, &index->manifests[i].digest, err) < 0)
            return -1;
    uint64_t freed = 0;
    return layout_collect(dir, &freed, err);
}

static int write_release(struct packer *packer, const struct pack_options *options, struct err *err)
{
    if (layout_init(packer->dir, err) < 0 || add_layers(packer, err) < 0)
        return -1;
    if (options && options->engine && add_engine(packer, options->runtime_path, err) < 0)
        return -1;
    if (add_sbom(packer, err) < 0 || add_config(packer, err) < 0 || add_manifest(packer, err) < 0 ||
        list_engine(packer, err) < 0)
        return -1;
    return drop_older(packer, err);
}

static int count_entry(const char *name, void *arg)
{
    ++*(size_t *)arg;
    return 1;
}

static int check_target(const char *dir, struct err *err)
{
    cleanup_free char *layout = file_join(dir, "oci-layout");
    if (!layout)
        return err_no_memory(err);
    size_t entries = 0;
    if (!file_exists(dir) || file_exists(layout))
        return 0;
    if (file_list(dir, count_entry, &entries, err) < 0)
        return -1;
    if (entries > 0)
        return err_set(err, ERR_EXISTS, "%s is not empty and not a release; choose another folder", dir);
    return 0;
}

static int pack(struct recipe *recipe, const char *dir, const struct pack_options *options,
                struct pack_report *out, struct err *err)
{
    cleanup_buf struct buf golden = BUF_INIT(GOLDEN_MAX_BYTES), profile = BUF_INIT(PROFILE_MAX_BYTES);
    cleanup_pack_models struct pack_models models = NO_PACK_MODELS;
    cleanup_free struct packer *packer = mem_zalloc(1, sizeof *packer);
    const char *runtime_path = options ? options->runtime_path : NULL;
    if (!packer)
        return err_no_memory(err);
    if (check_origin(recipe, out->model_signer, err) < 0 || pack_check_model(recipe, err) < 0 ||
        check_documents(recipe, err) < 0 || pack_open_models(recipe, runtime_path, &models, err) < 0 ||
        try_model(recipe, models.path, options, &golden, out, err) < 0 ||
        pack_try_variants(recipe, models.variants, runtime_path, &golden, err) < 0 ||
        pack_get_profile(recipe, models.path, options, &profile, err) < 0)
        return -1;
    const char *told = options && options->created ? options->created : recipe->created;
    *packer = (struct packer){.dir = dir,
                              .recipe = recipe,
                              .models = &models,
                              .golden = &golden,
                              .profile = &profile,
                              .created = told[0] ? told : epoch,
                              .seal = options ? options->seal : NULL,
                              .report = out};
    str_copy(out->name, sizeof out->name, recipe->release.name);
    str_copy(out->version, sizeof out->version, recipe->release.version);
    image_ref(&recipe->release, out->ref);
    out->profile = profile.len > 0;
    int result = write_release(packer, options, err);
    sbom_fini(&packer->sbom);
    return result;
}

int pack_release(const char *yaml_path, const char *dir, const struct pack_options *options,
                 struct pack_report *out, struct err *err)
{
    *out = (struct pack_report){0};
    cleanup_recipe struct recipe recipe = {0};
    if (recipe_read(yaml_path, &recipe, err) < 0)
        return -1;
    if (check_target(dir, err) < 0)
        return -1;
    return pack(&recipe, dir, options, out, err);
}
