/* The optimized model of this machine, through the real runtime. */
#include "infer/tasks_testing.h"

#include "infer/derived_inside.h"
#include "infer/optimize.h"
#include "infer/pipeline_inside.h"
#include "sys/hash.h"

static float weights[64 * 64];

/* y = relu(x · W), and what must come out for one x. */
static const char *make_model(struct golden *golden)
{
    static float x[64], y[64];
    for (int i = 0; i < 64 * 64; i++)
        weights[i] = (float)(i * 7919 % 101 - 50) / 50;
    struct model model = values_model(1, 64);
    model_weights(&model, "w", weights, 64, 64);
    model_node(&model, "MatMul", "x w", "t");
    model_node(&model, "Relu", "t", "u");
    model_node(&model, "Identity", "u", "v");
    model_node(&model, "Identity", "v", "y");
    const char *path = scratch_path("model.onnx");
    model_save(&model, path);
    memset(y, 0, sizeof y);
    for (int i = 0; i < 64; i++)
        x[i] = (float)i / 64;
    for (int column = 0; column < 64; column++) {
        for (int row = 0; row < 64; row++)
            y[column] += x[row] * weights[row * 64 + column];
        y[column] = y[column] > 0 ? y[column] : 0;
    }
    *golden = (struct golden){.count = 1,
                              .cases = {{.format = FRAME_FLOAT32,
                                         .width = 64,
                                         .height = 1,
                                         .data = (const uint8_t *)x,
                                         .output_count = 1,
                                         .output_len = {64},
                                         .outputs = {(const uint8_t *)y}}}};
    return path;
}

static struct pipeline *open_cached(const char *path, const struct pipeline_cache *cache)
{
    struct release release = values_release(1, 64);
    release.golden_tolerance = 1e-4;
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    assert_ok(pipeline_open(path, &release, &(struct pipeline_options){.cache = cache}, &pipeline, &err),
              err);
    return pipeline;
}

static bool is_optimized(struct pipeline *pipeline)
{
    return strstr(pipeline_backend(pipeline), ", optimized") != NULL;
}

static void the_optimized_model_is_made_once_and_gives_the_same(void **state)
{
    static struct golden golden;
    struct err err = {0};
    const char *path = make_model(&golden);
    char dir[96];
    snprintf(dir, sizeof dir, "%s/cache", scratch_dir);
    struct pipeline_cache cache = {.dir = dir, .model = {.bytes = {1}}};
    struct pipeline *pipeline = open_cached(path, &cache); /* without golden cases nothing is made */
    assert_false(is_optimized(pipeline));
    assert_string_equal(pipeline_plain_because(pipeline), "not built yet");
    pipeline_close(pipeline);
    cache.golden = &golden;
    pipeline = open_cached(path, &cache);
    if (!is_optimized(pipeline))
        fail_msg("%s", pipeline_plain_because(pipeline));
    assert_null(pipeline_plain_because(pipeline));
    assert_ok(pipeline_self_test(pipeline, &golden, 1e-4, &err), err);
    pipeline_close(pipeline);
    cache.golden = NULL;
    pipeline = open_cached(path, &cache);
    assert_true(is_optimized(pipeline));
    assert_ok(pipeline_self_test(pipeline, &golden, 1e-4, &err), err);
    pipeline_close(pipeline);
}

static void an_optimized_model_that_gives_something_else_is_not_used(void **state)
{
    static struct golden golden;
    struct err err = {0};
    const char *path = make_model(&golden);
    static float wrong[64] = {12345};
    char dir[96];
    snprintf(dir, sizeof dir, "%s/cache", scratch_dir);
    const uint8_t *right = golden.cases[0].outputs[0];
    golden.cases[0].outputs[0] = (const uint8_t *)wrong;
    const struct pipeline_cache cache = {.dir = dir, .model = {.bytes = {2}}, .golden = &golden};
    for (int round = 0; round < 2; round++) { /* the second time it is remembered */
        struct pipeline *pipeline = open_cached(path, &cache);
        assert_false(is_optimized(pipeline));
        assert_non_null(strstr(pipeline_plain_because(pipeline), "golden case 0"));
        golden.cases[0].outputs[0] = right;
        assert_ok(pipeline_self_test(pipeline, &golden, 1e-4, &err), err); /* the plain one runs */
        pipeline_close(pipeline);
    }
}

static int spoil(const char *name, void *arg)
{
    struct err err = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/%s", (const char *)arg, name);
    if (strstr(name, ".bin"))
        assert_ok(file_replace(path, "nonsense", 8, 0600, &err), err);
    return 0;
}

static void a_spoilt_file_is_made_anew(void **state)
{
    static struct golden golden;
    struct err err = {0};
    const char *path = make_model(&golden);
    char dir[96];
    snprintf(dir, sizeof dir, "%s/cache", scratch_dir);
    struct pipeline_cache cache = {.dir = dir, .model = {.bytes = {3}}, .golden = &golden};
    pipeline_close(open_cached(path, &cache));
    assert_ok(file_list(dir, spoil, dir, &err), err);
    struct pipeline *pipeline = open_cached(path, &cache);
    assert_true(is_optimized(pipeline));
    pipeline_close(pipeline);
}

/* A record that vouches for nonsense: the engine refuses it, and so it is not offered again. */
static void what_the_engine_does_not_take_is_rejected(void **state)
{
    static struct golden golden;
    struct err err = {0};
    const char *path = make_model(&golden);
    char dir[96], bin[256];
    snprintf(dir, sizeof dir, "%s/cache", scratch_dir);
    struct pipeline_cache cache = {.dir = dir, .model = {.bytes = {4}}, .golden = &golden};
    struct release release = values_release(1, 64);
    struct optimizer optimizer = {.release = &release, .golden = &golden};
    struct derived_builder builder = optimize_builder(&optimizer);
    struct derived_request request = {.dir = dir,
                                      .source = path,
                                      .source_digest = cache.model,
                                      .limits = {1, 1, 1, 1},
                                      .now_ms = 1,
                                      .only_look = true};
    cleanup_derived struct derived_result result;
    assert_ok(derived_open(&request, &builder, &result, &err), err);
    snprintf(bin, sizeof bin, "%s/%s.bin", dir, result.key);
    struct derived_record record = {
        .state = DERIVED_BUILT, .builder = "onnxruntime-cpu", .source = cache.model};
    assert_ok(file_make_dirs(dir, 0700, &err), err);
    assert_ok(file_replace(bin, "nonsense", 8, 0600, &err), err);
    assert_ok(hash_file(bin, &record.file, &record.size, &err), err);
    assert_ok(derived_record_write(dir, result.key, &record, &err), err);
    struct pipeline *pipeline = open_cached(path, &cache);
    assert_false(is_optimized(pipeline));
    assert_non_null(strstr(pipeline_plain_because(pipeline), "the model does not load"));
    assert_false(file_exists(bin));
    pipeline_close(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_optimized_model_is_made_once_and_gives_the_same,
                                        scratch_with_runtime, scratch_close),
        cmocka_unit_test_setup_teardown(an_optimized_model_that_gives_something_else_is_not_used,
                                        scratch_with_runtime, scratch_close),
        cmocka_unit_test_setup_teardown(a_spoilt_file_is_made_anew, scratch_with_runtime, scratch_close),
        cmocka_unit_test_setup_teardown(what_the_engine_does_not_take_is_rejected, scratch_with_runtime,
                                        scratch_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
