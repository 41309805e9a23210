#include "cli/target.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/bench.h"
#include "forge/recipe.h"
#include "forge/tap.h"
#include "sys/file.h"
#include "wire/onnx/summary.h"

int target_image(const char *operand, struct image *out, struct err *err)
{
    const char *at = strstr(operand, "@sha256:");
    if (!at)
        return image_open(operand, NULL, out, err);
    struct digest digest;
    if (!digest_parse(at + 1, &digest))
        return err_set(err, ERR_USAGE, "%.80s is no digest: sha256: and 64 hexadecimal digits", at + 1);
    cleanup_free char *dir = mem_printf("%.*s", (int)(at - operand), operand);
    return dir ? image_open(dir, &digest, out, err) : err_no_memory(err);
}

static int open_release(const char *path, const char *variant, struct target *out, struct err *err)
{
    cleanup_image struct image image = {0};
    if (target_image(path, &image, err) < 0 || image_check_blobs(&image, err) < 0)
        return -1;
    out->release = image.release;
    if (image_profile_path(&image, &out->profile_path, err) < 0)
        return -1;
    return image_variant_path(&image, variant, &out->model_path, err);
}

/* The path of a recipe's variant, taken out of it; NULL: it has none of that name. */
static char *take_variant(struct recipe *recipe, const char *variant)
{
    if (str_eq(variant, VARIANT_PARENT))
        return TAKE_PTR(recipe->model_path);
    for (size_t i = 0; i < recipe->variant_count; i++)
        if (str_eq(recipe->variants[i].name, variant))
            return TAKE_PTR(recipe->variants[i].path);
    return NULL;
}

static bool fixed(const struct tensor_spec *spec)
{
    bool all = spec->dim_count > 0;
    for (size_t i = 0; i < spec->dim_count; i++)
        all = all && spec->dims[i] > 0;
    return all;
}

/* The file does not say it: the model is run once. */
static int ask_shape(const char *tap, const struct target *target, struct tensor_spec *out, struct err *err)
{
    cleanup_tapped struct tapped tapped = {.fd = -1};
    if (tapped_open(target->model_path, tap, &target->release, NULL, NULL, &tapped, err) < 0)
        return -1;
    *out = tapped.spec;
    return 0;
}

/* Of a model that is not packed yet, the tap is an output only of what muster optimize made. */
static int take_tap(const char *tap, struct target *out, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    struct onnx_summary summary = {0};
    if (file_map(out->model_path, &map, err) < 0 || onnx_summarize(map.data, map.size, &summary, err) < 0)
        return -1;
    for (size_t i = 0; i < summary.output_count; i++) {
        const struct onnx_value *value = &summary.outputs[i];
        struct tensor_spec spec = {.dtype = (enum tensor_dtype)value->elem_type,
                                   .dim_count = value->dim_count};
        if (!str_eq(value->name, tap))
            continue;
        str_copy(spec.name, sizeof spec.name, tap);
        memcpy(spec.dims, value->dims, sizeof spec.dims);
        if (!fixed(&spec) && ask_shape(tap, out, &spec, err) < 0)
            return -1;
        return tap_release(&spec, &out->release, err);
    }
    return 0;
}

static int open_recipe(const char *path, const char *variant, struct target *out, struct err *err)
{
    cleanup_recipe struct recipe recipe = {0};
    if (recipe_read(path, &recipe, err) < 0)
        return -1;
    out->release = recipe.release;
    out->model_path = take_variant(&recipe, variant);
    out->profile_path = TAKE_PTR(recipe.profile.file);
    if (!out->model_path)
        return err_set(err, ERR_NOT_FOUND, "%s names no variant %s", path, variant);
    return recipe.tap[0] ? take_tap(recipe.tap, out, err) : 0;
}

static int open_model(const char *path, struct target *out, struct err *err)
{
    if (bench_release_of(path, &out->release, err) < 0)
        return -1;
    out->model_path = mem_strdup(path);
    return out->model_path ? 0 : err_no_memory(err);
}

/* The variant that an operand names behind its last colon; NULL: none. */
static const char *named_variant(const char *operand)
{
    const char *colon = strrchr(operand, ':');
    if (!colon)
        return NULL;
    for (size_t i = 0; i < RELEASE_MAX_VARIANTS; i++)
        if (str_eq(colon + 1, variant_names[i]))
            return colon + 1;
    return str_eq(colon + 1, VARIANT_PARENT) ? colon + 1 : NULL;
}

int target_open(const char *operand, struct target *out, struct err *err)
{
    *out = (struct target){0};
    const char *variant = named_variant(operand);
    size_t len = variant ? (size_t)(variant - operand) - 1 : strlen(operand);
    cleanup_free char *path = mem_strndup(operand, len);
    if (!path)
        return err_no_memory(err);
    if (!variant && str_ends(path, ".onnx"))
        return open_model(path, out, err);
    if (str_ends(path, ".yaml") || str_ends(path, ".yml"))
        return open_recipe(path, variant ? variant : VARIANT_PARENT, out, err);
    return open_release(path, variant ? variant : VARIANT_PARENT, out, err);
}

void target_fini(struct target *target)
{
    free(target->model_path);
    free(target->profile_path);
    target->model_path = target->profile_path = NULL;
}
