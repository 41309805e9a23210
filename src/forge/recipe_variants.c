/* Where the variants of a release are: named one by one, or what `muster optimize` left in a folder. */
#include "base/mem.h"
#include "base/str.h"
#include "forge/recipe_inside.h"
#include "sys/file.h"
#include "wire/json.h"

enum { REPORT_MAX = 4 << 20, MAX_PROFILES = 16 };

static int add_variant(struct recipe *recipe, const char *name, char *path, double lower, struct err *err)
{
    if (!path)
        return err_no_memory(err);
    struct recipe_variant *variant = &recipe->variants[recipe->variant_count++];
    *variant = (struct recipe_variant){.path = path, .fidelity_lower = lower};
    str_copy(variant->name, sizeof variant->name, name);
    return 0;
}

static bool has_variant(const struct recipe *recipe, const char *name)
{
    for (size_t i = 0; i < recipe->variant_count; i++)
        if (str_eq(recipe->variants[i].name, name))
            return true;
    return false;
}

/* ---- named one by one ---- */

void recipe_read_variants(struct json_at root, struct recipe_extras *out)
{
    if (json_has(root, "optimized"))
        json_get_line(root, "optimized", out->optimized, sizeof out->optimized);
    if (json_has(root, "trt")) {
        struct json_at trt = json_child(root, "trt");
        JSON_ONLY(trt, "timing_cache");
        json_get_line(trt, "timing_cache", out->timing_cache, sizeof out->timing_cache);
    }
    if (!json_has(root, "variants"))
        return;
    struct json_at variants = json_child(root, "variants");
    JSON_ONLY(variants, "cpu-x86", "cpu-arm", "trt");
    for (size_t i = 0; i < RELEASE_MAX_VARIANTS; i++)
        if (json_has(variants, variant_names[i]))
            json_get_line(variants, variant_names[i], out->variants[i], sizeof out->variants[i]);
}

/* ---- what muster optimize left ---- */

struct profile {
    char name[16], path[256];
    bool promoted;
    double lower;
};

static void read_profile(struct json_at at, struct profile *out)
{
    json_get_line(at, "profile", out->name, sizeof out->name);
    json_get_bool(at, "promoted", &out->promoted);
    if (!out->promoted)
        return;
    json_get_line(at, "path", out->path, sizeof out->path);
    if (json_has(at, "fidelity_lower"))
        json_get_double(at, "fidelity_lower", 0, 1, &out->lower);
}

/* Other profiles than those of variants ("fp32": the model, pruned) are for a yaml of their own. */
static bool is_wanted(const struct recipe *recipe, const struct profile *profile)
{
    for (size_t i = 0; i < RELEASE_MAX_VARIANTS && profile->promoted; i++)
        if (str_eq(variant_names[i], profile->name))
            return !has_variant(recipe, profile->name);
    return false;
}

static int take_profiles(struct json_reader *reader, const char *dir, struct recipe *recipe, struct err *err)
{
    size_t count = 0;
    int result = 0;
    struct json_at root = json_root(reader);
    if (json_has(root, "model_digest"))
        json_get_digest(root, "model_digest", &recipe->optimized_of);
    struct json_at list = json_list(root, "profiles", MAX_PROFILES, &count);
    for (size_t i = 0; i < count && result == 0 && reader->err.code == ERR_NONE; i++) {
        struct json_at at = json_as_object(json_item(list, i));
        struct profile profile = {.lower = 1};
        read_profile(at, &profile);
        if (profile.promoted && !str_is_safe_path(profile.path))
            json_fail(at, "path: must lie in the folder of the report");
        else if (is_wanted(recipe, &profile))
            result = add_variant(recipe, profile.name, file_join(dir, profile.path), profile.lower, err);
    }
    return result;
}

static int read_report(const char *path, const char *dir, struct recipe *recipe, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(REPORT_MAX);
    struct json_reader reader;
    if (file_read(path, &text, err) < 0 || json_read(&reader, path, text.data, text.len, err) < 0)
        return -1;
    if (take_profiles(&reader, dir, recipe, err) == 0)
        return json_finish(&reader, err);
    struct err ignored = {0};
    (void)!json_finish(&reader, &ignored);
    return -1;
}

/* The reports travel with what they are about. */
static int add_report(struct recipe *recipe, char *path, struct err *err)
{
    if (!path)
        return err_no_memory(err);
    if (file_exists(path))
        recipe->documents[recipe->document_count++] = path;
    else
        free(path);
    return 0;
}

static int take_optimized(const char *dir, struct recipe *recipe, struct err *err)
{
    cleanup_free char *report = file_join(dir, "report.json");
    if (!report)
        return err_no_memory(err);
    if (read_report(report, dir, recipe, err) < 0)
        return err->code == ERR_NOT_FOUND
                   ? err_set(err, ERR_NOT_FOUND, "optimized: no report.json in %s; muster optimize makes it",
                             dir)
                   : -1;
    if (add_report(recipe, file_join(dir, "report.json"), err) < 0)
        return -1;
    return add_report(recipe, file_join(dir, "report.html"), err);
}

static int by_place(const void *a, const void *b)
{
    const struct recipe_variant *x = a, *y = b;
    size_t i = 0, k = 0;
    while (!str_eq(variant_names[i], x->name))
        i++;
    while (!str_eq(variant_names[k], y->name))
        k++;
    return (i > k) - (i < k);
}

int recipe_take_variants(const char *yaml_path, const struct recipe_extras *extras, struct recipe *out,
                         struct err *err)
{
    if (extras->timing_cache[0]) {
        out->timing_cache = recipe_beside(yaml_path, extras->timing_cache);
        if (!out->timing_cache)
            return err_no_memory(err);
    }
    for (size_t i = 0; i < RELEASE_MAX_VARIANTS; i++)
        if (extras->variants[i][0] &&
            add_variant(out, variant_names[i], recipe_beside(yaml_path, extras->variants[i]), 1, err) < 0)
            return -1;
    if (extras->optimized[0]) {
        cleanup_free char *dir = recipe_beside(yaml_path, extras->optimized);
        if (!dir)
            return err_no_memory(err);
        if (take_optimized(dir, out, err) < 0)
            return -1;
    }
    qsort(out->variants, out->variant_count, sizeof out->variants[0], by_place);
    return 0;
}
