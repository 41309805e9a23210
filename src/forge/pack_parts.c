/* What goes into a release beside its description: the models with their tap, and the reference profile. */
#include "base/mem.h"
#include "base/str.h"
#include "forge/pack_inside.h"
#include "sys/file.h"
#include "wire/onnx/summary.h"
#include "wire/profile.h"

/* ---- models ---- */

static int summarize(const char *path, struct onnx_summary *out, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    if (file_map(path, &map, err) < 0)
        return -1;
    if (onnx_summarize(map.data, map.size, out, err) < 0) {
        if (err->code == ERR_INVALID)
            err->code = ERR_REFUSED;
        return err_prefix(err, "%s", path);
    }
    return 0;
}

void pack_models_fini(struct pack_models *models)
{
    tapped_close(&models->tapped);
    for (size_t i = 0; i < RELEASE_MAX_VARIANTS; i++)
        tapped_close(&models->tapped_variants[i]);
}

static const char *path_of(const char *file, const struct tapped *tapped)
{
    return tapped->path[0] ? tapped->path : file;
}

int pack_check_model(const struct recipe *recipe, struct err *err)
{
    struct onnx_summary summary = {0};
    if (summarize(recipe->model_path, &summary, err) < 0)
        return -1;
    /* Before the tap is one of them, so that the yaml is held to the file as it is. */
    if (!recipe->tap[0] && onnx_check_release(&summary, &recipe->release, err) < 0)
        return err_prefix(err, "%s", recipe->model_path);
    return 0;
}

static int open_taps(struct recipe *recipe, const char *runtime_path, struct pack_models *out,
                     struct err *err)
{
    const struct release untapped = recipe->release;
    if (tapped_open(recipe->model_path, recipe->tap, &untapped, NULL, runtime_path, &out->tapped, err) < 0 ||
        tap_release(&out->tapped.spec, &recipe->release, err) < 0)
        return -1;
    for (size_t i = 0; i < recipe->variant_count; i++)
        if (tapped_open(recipe->variants[i].path, recipe->tap, &untapped, &out->tapped.spec, runtime_path,
                        &out->tapped_variants[i], err) < 0)
            return err_prefix(err, "variant %s", recipe->variants[i].name);
    return 0;
}

int pack_open_models(struct recipe *recipe, const char *runtime_path, struct pack_models *out,
                     struct err *err)
{
    if (recipe->tap[0] && open_taps(recipe, runtime_path, out, err) < 0)
        return -1;
    out->path = path_of(recipe->model_path, &out->tapped);
    for (size_t i = 0; i < recipe->variant_count; i++)
        out->variants[i] = path_of(recipe->variants[i].path, &out->tapped_variants[i]);
    if (!recipe->tap[0])
        return 0;
    struct onnx_summary summary = {0};
    if (summarize(out->path, &summary, err) < 0 || onnx_check_release(&summary, &recipe->release, err) < 0)
        return err_prefix(err, "%s", recipe->model_path);
    return 0;
}

/* ---- the reference profile ---- */

static int check_profile(const struct recipe *recipe, const struct buf *bytes, struct err *err)
{
    cleanup_profile struct profile profile = {0};
    if (profile_parse(bytes->data, bytes->len, &profile, err) < 0)
        return -1;
    if (!profile.tap[0] || str_eq(profile.tap, recipe->release.tap))
        return 0;
    return err_set(err, ERR_REFUSED, "made with the tap \"%.60s\", release.yaml says \"%.60s\"; make it anew",
                   profile.tap, recipe->release.tap);
}

static int read_profile(const struct recipe *recipe, struct buf *out, struct err *err)
{
    if (file_read(recipe->profile.file, out, err) < 0)
        return -1;
    return check_profile(recipe, out, err) < 0 ? err_prefix(err, "%s", recipe->profile.file) : 0;
}

static int make_profile(const struct recipe *recipe, const char *model, const struct pack_options *options,
                        struct buf *out, struct err *err)
{
    const struct pack_profile_job job = {.model_path = model,
                                         .release = &recipe->release,
                                         .calib = recipe->profile.calib,
                                         .runtime_path = options ? options->runtime_path : NULL,
                                         .progress = options ? options->progress : NULL,
                                         .progress_arg = options ? options->progress_arg : NULL};
    if (!options || !options->make_profile)
        return err_set(err, ERR_UNSUPPORTED,
                       "profile: cannot be made here; name a file that muster pack made");
    if (options->make_profile(&job, out, err) < 0 || check_profile(recipe, out, err) < 0)
        return err_prefix(err, "profile of %s", recipe->profile.calib);
    if (!recipe->profile.save)
        return 0;
    return file_replace(recipe->profile.save, out->data, out->len, 0644, err);
}

int pack_get_profile(const struct recipe *recipe, const char *model, const struct pack_options *options,
                     struct buf *out, struct err *err)
{
    if (recipe->profile.file)
        return read_profile(recipe, out, err);
    return recipe->profile.calib ? make_profile(recipe, model, options, out, err) : 0;
}
