#include "robot/runner/build.h"

#include "base/log.h"
#include "base/mem.h"
#include "infer/pipeline.h"
#include "release/image.h"
#include "robot/runner/confine.h"
#include "sys/file.h"
#include "wire/golden.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* From here on everything is named from within the cache: above it the user of runners may not even walk. */
#define HERE "."
#define MODEL "model.onnx"
#define TRT_MODEL "trt.onnx"
#define TIMING_CACHE "timing.start"

struct build {
    const struct engine_job *job;
    struct image image;
    struct file_map golden_map;
    struct golden golden;
    struct image_use use;
    struct pipeline_cache cache;
    char *model, *trt_model,
        *timing; /* the copies; NULL where there is no such variant, no timing cache here */
};

static void build_fini(struct build *build)
{
    char *const copies[] = {build->model, build->trt_model, build->timing};
    for (size_t i = 0; i < ARRAY_LEN(copies); i++) {
        if (copies[i])
            unlink(copies[i]);
        free(copies[i]);
    }
    file_unmap(&build->golden_map);
    image_close(&build->image);
}

static int read_golden(struct build *build, struct err *err)
{
    cleanup_free char *path = NULL;
    if (image_golden_path(&build->image, &path, err) < 0 || file_map(path, &build->golden_map, err) < 0)
        return -1;
    return golden_parse(build->golden_map.data, build->golden_map.size, &build->golden, err);
}

/* The robot's store is closed to the user of runners, and TensorRT wants a path. A blob is called by its digest, which was held to account. */
static int copy_weights(const struct build *build, const char *variant, const char *name, char **out,
                        struct digest *out_digest, struct err *err)
{
    cleanup_free char *path = NULL;
    cleanup_file_map struct file_map map = {0};
    if (image_variant_path(&build->image, variant, &path, err) < 0 || file_map(path, &map, err) < 0)
        return -1;
    *out_digest = image_weights(&build->image, variant)->digest;
    *out = mem_strdup(name);
    if (!*out)
        return err_no_memory(err);
    return file_replace(name, map.data, map.size, 0644, err);
}

/* A help, if it was fetched; without it the build takes longer. */
static int copy_timing(struct build *build, struct err *err)
{
    const struct oci_descriptor *layer = oci_layer(&build->image.manifest, MUSTER_TIMING_TYPE, NULL);
    cleanup_free char *path = layer ? image_blob_path(build->image.dir, &layer->digest) : NULL;
    cleanup_file_map struct file_map map = {0};
    if (!path || !build->use.tensorrt || !file_exists(path))
        return 0;
    if (file_map(path, &map, err) < 0)
        return -1;
    build->timing = mem_strdup(TIMING_CACHE);
    if (!build->timing)
        return err_no_memory(err);
    build->cache.trt.timing_cache = build->timing;
    return file_replace(TIMING_CACHE, map.data, map.size, 0644, err);
}

static int copy_model(struct build *build, struct err *err)
{
    cleanup_free char *clear = NULL;
    if (image_model_path(&build->image, &clear, err) < 0) /* sealed: not even a folder is made */
        return -1;
    char *layout = realpath(build->image.dir, NULL); /* from within the cache, too */
    if (!layout)
        return err_errno(err, "%s", build->image.dir);
    free(build->image.dir);
    build->image.dir = layout;
    if (file_make_dirs(build->job->cache_dir, 0755, err) < 0)
        return -1;
    if (chdir(build->job->cache_dir) < 0)
        return err_errno(err, "%s", build->job->cache_dir);
    if (copy_weights(build, VARIANT_PARENT, MODEL, &build->model, &build->cache.model, err) < 0 ||
        copy_timing(build, err) < 0)
        return -1;
    const struct release_variant *variant = release_variant(&build->image.release, VARIANT_TRT);
    if (!variant || !build->use.tensorrt)
        return 0;
    if (copy_weights(build, VARIANT_TRT, TRT_MODEL, &build->trt_model, &build->cache.trt.digest, err) < 0)
        return -1;
    build->cache.trt.path = build->trt_model;
    build->cache.trt.promised = variant->fidelity;
    return 0;
}

/* The variant is used where it was fetched: this machine may not have had its accelerator then. */
static int check_release(struct build *build, struct err *err)
{
    struct image *image = &build->image;
    const struct oci_descriptor *weights = image_weights(image, VARIANT_TRT);
    cleanup_free char *path = weights ? image_blob_path(image->dir, &weights->digest) : NULL;
    build->use = (struct image_use){.machine = image_this_machine(), .tensorrt = path && file_exists(path)};
    image->use = &build->use;
    return image_check_blobs(image, err);
}

static int become(const struct build *build, struct err *err)
{
    const struct engine_job *job = build->job;
    if (job->uid == 0 || geteuid() != 0)
        return 0;
    if (chown(HERE, job->uid, job->gid) < 0 || chown(build->model, job->uid, job->gid) < 0 ||
        (build->trt_model && chown(build->trt_model, job->uid, job->gid) < 0) || setgroups(0, NULL) < 0 ||
        setresgid(job->gid, job->gid, job->gid) < 0 || setresuid(job->uid, job->uid, job->uid) < 0)
        return err_errno(err, "cannot become user %u", job->uid);
    return 0;
}

static void put_walls_up(void)
{
    char missing[96];
    (void)setenv("CUDA_CACHE_DISABLE", "1", 1); /* it would want to write into a home */
    (void)setenv("TMPDIR", HERE, 1);
    confine_build(HERE, missing, sizeof missing);
    if (missing[0])
        log_info("confined, but for: %s", missing);
}

static int run(struct build *build, struct err *err)
{
    const struct engine_job *job = build->job;
    build->cache = (struct pipeline_cache){.dir = HERE, .golden = &build->golden};
    const struct pipeline_options options = {.runtime_path = job->runtime_path, .cache = &build->cache};
    if (image_open(job->layout, job->release, &build->image, err) < 0 || check_release(build, err) < 0 ||
        read_golden(build, err) < 0 || copy_model(build, err) < 0 || become(build, err) < 0)
        return -1;
    put_walls_up();
    return pipeline_build_engine(build->model, &build->image.release, &options, err);
}

int engine_job_run(const struct engine_job *job, struct err *err)
{
    cleanup_free struct build *build = mem_zalloc(1, sizeof *build);
    if (!build)
        return err_no_memory(err);
    build->job = job;
    int result = run(build, err);
    build_fini(build);
    return result;
}
