#include "cli/target.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/bench.h"
#include "forge/recipe.h"

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

static int open_release(const char *path, struct target *out, struct err *err)
{
    cleanup_image struct image image = {0};
    if (target_image(path, &image, err) < 0 || image_check_blobs(&image, err) < 0)
        return -1;
    out->release = image.release;
    return image_model_path(&image, &out->model_path, err);
}

static int open_recipe(const char *path, struct target *out, struct err *err)
{
    cleanup_recipe struct recipe recipe = {0};
    if (recipe_read(path, &recipe, err) < 0)
        return -1;
    out->release = recipe.release;
    out->model_path = TAKE_PTR(recipe.model_path);
    return 0;
}

static int open_model(const char *path, struct target *out, struct err *err)
{
    if (bench_release_of(path, &out->release, err) < 0)
        return -1;
    out->model_path = mem_strdup(path);
    return out->model_path ? 0 : err_no_memory(err);
}

int target_open(const char *path, struct target *out, struct err *err)
{
    *out = (struct target){0};
    if (str_ends(path, ".onnx"))
        return open_model(path, out, err);
    if (str_ends(path, ".yaml") || str_ends(path, ".yml"))
        return open_recipe(path, out, err);
    return open_release(path, out, err);
}

void target_fini(struct target *target)
{
    free(target->model_path);
    target->model_path = NULL;
}
