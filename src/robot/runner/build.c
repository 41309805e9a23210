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

struct build {
    const struct engine_job *job;
    struct image image;
    struct file_map golden_map;
    struct golden golden;
    char *model; /* the copy */
    struct digest digest;
};

static void build_fini(struct build *build)
{
    if (build->model)
        unlink(build->model);
    free(build->model);
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

/* The robot's store is closed to the user of runners, and TensorRT wants a path. */
static int copy_model(struct build *build, struct err *err)
{
    cleanup_free char *path = NULL;
    cleanup_file_map struct file_map map = {0};
    char text[80];
    if (image_model_path(&build->image, &path, err) < 0 || file_map(path, &map, err) < 0 ||
        file_make_dirs(build->job->cache_dir, 0755, err) < 0)
        return -1;
    const char *slash = strrchr(path, '/'); /* a blob is called by its digest, which was held to account */
    snprintf(text, sizeof text, "sha256:%s", slash ? slash + 1 : path);
    if (!digest_parse(text, &build->digest))
        return err_set(err, ERR_INTERNAL, "the model is no blob");
    if (chdir(build->job->cache_dir) < 0)
        return err_errno(err, "%s", build->job->cache_dir);
    build->model = mem_strdup(MODEL);
    if (!build->model)
        return err_no_memory(err);
    return file_replace(build->model, map.data, map.size, 0644, err);
}

static int become(const struct engine_job *job, const char *model, struct err *err)
{
    if (job->uid == 0 || geteuid() != 0)
        return 0;
    if (chown(HERE, job->uid, job->gid) < 0 || chown(model, job->uid, job->gid) < 0 ||
        setgroups(0, NULL) < 0 || setresgid(job->gid, job->gid, job->gid) < 0 ||
        setresuid(job->uid, job->uid, job->uid) < 0)
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
    struct pipeline_cache cache = {.dir = HERE, .golden = &build->golden};
    const struct pipeline_options options = {.runtime_path = job->runtime_path, .cache = &cache};
    if (image_open(job->layout, job->release, &build->image, err) < 0 ||
        image_check_blobs(&build->image, err) < 0 || read_golden(build, err) < 0 ||
        copy_model(build, err) < 0 || become(job, build->model, err) < 0)
        return -1;
    cache.model = build->digest;
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
