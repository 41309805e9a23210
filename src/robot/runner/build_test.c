/* The process that builds an engine, but for the building: this program puts its own pipeline_build_engine in the place of the real one and looks at what
 * it is given, and at what it may do. */
#include "robot/runner/build.h"

#include "base/testing.h"

#include "base/mem.h"
#include "infer/pipeline.h"
#include "release/image.h"
#include "robot/runner/made_release.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOMEBODY = 65534 };

static uid_t expected_uid;
static bool wants_trt;

static bool can_make(const char *path)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0;
}

int pipeline_build_engine(const char *model_path, const struct release *release,
                          const struct pipeline_options *options, struct err *err)
{
    struct digest digest;
    cleanup_close int net = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cleanup_free char *engine = file_join(options->cache->dir, "engine");
    if (hash_file(model_path, &digest, NULL, err) < 0)
        return -1;
    if (!digest_equal(&digest, &options->cache->model) || release->input_count == 0 ||
        options->cache->golden->count == 0)
        return err_set(err, ERR_INTERNAL, "not the model, or no golden cases");
    if (wants_trt && (!options->cache->trt.path || options->cache->trt.promised != 0.95 ||
                      hash_file(options->cache->trt.path, &digest, NULL, err) < 0 ||
                      !digest_equal(&digest, &options->cache->trt.digest)))
        return err_set(err, ERR_INTERNAL, "not the variant");
    if (!wants_trt && options->cache->trt.promised != 0)
        return err_set(err, ERR_INTERNAL, "a variant that is not here");
    if (geteuid() != expected_uid || getuid() != expected_uid)
        return err_set(err, ERR_INTERNAL, "it is user %u", geteuid());
    if (net >= 0)
        return err_set(err, ERR_INTERNAL, "it has a network");
    return can_make(engine) ? err_set(err, ERR_BUSY, "as it should be") : err_errno(err, "%s", engine);
}

struct stage {
    char dir[64];
    char *store, *cache;
    struct digest digest;
};

static void stage_open(struct stage *stage)
{
    const struct made_model what = {.bytes = MADE_PART_BYTES, .trt = wants_trt};
    struct err err = {0};
    cleanup_image struct image image = {0};
    memset(stage, 0, sizeof *stage);
    snprintf(stage->dir, sizeof stage->dir, "/tmp/muster-build-XXXXXX"); /* 0700: closed to others */
    assert_non_null(mkdtemp(stage->dir));
    assert_ok(made_release(stage->dir, &what, &stage->store, &err), err);
    assert_ok(image_open(stage->store, NULL, &image, &err), err);
    stage->digest = image.digest;
    stage->cache = file_join(stage->dir, "derived/this");
}

static void stage_close(struct stage *stage)
{
    struct err err = {0};
    free(stage->store);
    free(stage->cache);
    assert_ok(file_remove_tree(stage->dir, &err), err);
}

/* In a child, since there is no way back. True if all was as it should be. */
static bool builds(const struct stage *stage, uid_t uid)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        const struct engine_job job = {.layout = stage->store,
                                       .cache_dir = stage->cache,
                                       .release = &stage->digest,
                                       .uid = uid,
                                       .gid = uid};
        int result = engine_job_run(&job, &err);
        if (result == 0 || err.code != ERR_BUSY)
            fprintf(stderr, "%s\n", err.text);
        _exit(result < 0 && err.code == ERR_BUSY ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void the_builder_has_the_model_the_cache_and_nothing_else(void **state)
{
    struct stage stage;
    stage_open(&stage);
    expected_uid = geteuid() == 0 ? SOMEBODY : geteuid();
    for (int i = 0; i < 2; i++) {
        assert_true(builds(&stage, SOMEBODY));
        cleanup_free char *engine = file_join(stage.cache, "engine");
        cleanup_free char *copy = file_join(stage.cache, "model.onnx");
        assert_true(file_exists(engine));
        assert_false(file_exists(copy)); /* no second copy of the model stays */
    }
    stage_close(&stage);
}

/* A robot that had no accelerator when it fetched the release does without. */
static void the_variant_for_tensorrt_is_built_from_if_it_is_here(void **state)
{
    struct stage stage;
    struct err err = {0};
    cleanup_image struct image image = {0};
    wants_trt = true;
    stage_open(&stage);
    expected_uid = geteuid() == 0 ? SOMEBODY : geteuid();
    assert_true(builds(&stage, SOMEBODY));
    cleanup_free char *copy = file_join(stage.cache, "trt.onnx");
    assert_false(file_exists(copy));
    assert_ok(image_open(stage.store, NULL, &image, &err), err);
    cleanup_free char *blob = NULL;
    assert_ok(image_variant_path(&image, VARIANT_TRT, &blob, &err), err);
    assert_int_equal(truncate(blob, 20), 0);
    assert_false(builds(&stage, SOMEBODY)); /* damaged is not the same as absent */
    assert_int_equal(unlink(blob), 0);
    wants_trt = false;
    assert_true(builds(&stage, SOMEBODY));
    stage_close(&stage);
}

static void a_release_that_is_not_there_builds_nothing(void **state)
{
    struct stage stage;
    struct err err = {0};
    stage_open(&stage);
    struct digest other = {.bytes = {9}};
    const struct engine_job job = {.layout = stage.store, .cache_dir = stage.cache, .release = &other};
    assert_int_equal(engine_job_run(&job, &err), -1);
    assert_false(file_exists(stage.cache));
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_builder_has_the_model_the_cache_and_nothing_else),
        cmocka_unit_test(the_variant_for_tensorrt_is_built_from_if_it_is_here),
        cmocka_unit_test(a_release_that_is_not_there_builds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
