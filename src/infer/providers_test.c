/* The order in which providers are tried, what counts as degraded, and the real runtime on machines that are not there. */
#include "infer/providers.h"

#include "infer/backend.h"
#include "infer/tasks_testing.h"

#include "base/str.h"

struct tries {
    unsigned fails; /* a bit for each provider that does not load */
    char log[64];
};

static int try_load(void *self, enum provider provider, struct err *err)
{
    struct tries *tries = self;
    size_t len = strlen(tries->log);
    snprintf(tries->log + len, sizeof tries->log - len, "%s ", provider_name(provider));
    return tries->fails & 1U << provider ? err_set(err, ERR_REFUSED, "%s is broken", provider_name(provider))
                                         : 0;
}

static struct release preferring(size_t count, const enum provider *providers)
{
    struct release release = values_release(1, 2);
    release.runtime.provider_count = count;
    memcpy(release.runtime.providers, providers, count * sizeof *providers);
    return release;
}

static const enum provider all[] = {PROVIDER_TENSORRT, PROVIDER_CUDA, PROVIDER_CPU};
static const struct machine jetson = {
    .node = true,
    .usable = {true, true, true},
    .runtime = "1.22.0",
    .gpu = {.name = "Orin", .compute = 87, .driver = 12060},
    .tensorrt = {.version = {10, 3, 0, 30}},
};

static void expect(const struct release *release, const struct machine *machine, unsigned skip,
                   unsigned fails, const char *log, enum provider used, const char *degraded)
{
    struct tries tries = {.fails = fails};
    struct providers picked;
    struct err err = {0};
    assert_ok(providers_pick(release, machine, skip, try_load, &tries, &picked, &err), err);
    assert_string_equal(tries.log, log);
    assert_int_equal(picked.used, used);
    assert_string_equal(picked.degraded, degraded);
}

static void the_first_that_loads_is_taken(void **state)
{
    struct release release = preferring(3, all);
    expect(&release, &jetson, 0, 0, "tensorrt ", PROVIDER_TENSORRT, "");
    expect(&release, &jetson, 0, 1U << PROVIDER_TENSORRT, "tensorrt cuda ", PROVIDER_CUDA,
           "no tensorrt: tensorrt is broken");
    expect(&release, &jetson, 0, 1U << PROVIDER_TENSORRT | 1U << PROVIDER_CUDA, "tensorrt cuda cpu ",
           PROVIDER_CPU, "no tensorrt: tensorrt is broken");
    struct machine without = jetson;
    without.usable[PROVIDER_TENSORRT] = false;
    str_copy(without.why[PROVIDER_TENSORRT], sizeof without.why[0], "no libnvinfer");
    expect(&release, &without, 0, 0, "cuda ", PROVIDER_CUDA, "no tensorrt: no libnvinfer");
}

static void what_was_given_up_is_not_tried(void **state)
{
    struct release release = preferring(3, all);
    struct tries tries = {0};
    struct providers picked;
    struct err err = {0};
    unsigned skip = 1U << PROVIDER_TENSORRT | 1U << PROVIDER_CUDA;
    assert_ok(providers_pick(&release, &jetson, skip, try_load, &tries, &picked, &err), err);
    assert_string_equal(tries.log, "cpu ");
    assert_non_null(strstr(picked.degraded, "no tensorrt: "));
}

static void what_comes_after_the_cpu_is_not_wanted(void **state)
{
    static const enum provider cpu_first[] = {PROVIDER_CPU};
    static const enum provider cuda_first[] = {PROVIDER_CUDA, PROVIDER_CPU};
    struct release cpu = preferring(1, cpu_first), cuda = preferring(2, cuda_first);
    expect(&cpu, &jetson, 0, 0, "cpu ", PROVIDER_CPU, "");
    expect(&cuda, &jetson, 0, 0, "cuda ", PROVIDER_CUDA, "");
}

/* It never had any: nothing is worse than it could be. */
static void a_robot_without_the_hardware_is_not_degraded(void **state)
{
    const struct machine plain = {.usable = {true}};
    struct release release = preferring(3, all);
    expect(&release, &plain, 0, 0, "cpu ", PROVIDER_CPU, "");
}

static void if_nothing_loads_that_is_an_error(void **state)
{
    struct release release = preferring(3, all);
    struct tries tries = {.fails = ~0U};
    struct providers picked;
    struct err err = {0};
    assert_fails(providers_pick(&release, &jetson, 0, try_load, &tries, &picked, &err), err, ERR_REFUSED);
    assert_string_equal(err.text, "cpu is broken");
}

/* ---- the real runtime, which has no such provider here ---- */

static const char *double_model(void)
{
    struct model model = values_model(1, 2);
    model_node(&model, "Add", "x x", "y");
    const char *path = scratch_path("double.onnx");
    model_save(&model, path);
    return path;
}

static void a_provider_that_the_runtime_lacks_ends_on_the_cpu(void **state)
{
    static const enum provider cuda_first[] = {PROVIDER_CUDA, PROVIDER_CPU};
    struct release release = preferring(2, cuda_first);
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    float out[PIPELINE_MAX_VALUES];
    const struct pipeline_options options = {.machine = &jetson};
    assert_ok(pipeline_open(double_model(), &release, &options, &pipeline, &err), err);
    if (pipeline_provider(pipeline) == PROVIDER_CPU) { /* everywhere but on a machine with a GPU */
        assert_non_null(strstr(pipeline_degraded(pipeline), "no cuda: CUDA: "));
        assert_non_null(strstr(pipeline_backend(pipeline), " cpu"));
    }
    assert_ok(run_values(pipeline, (const float[]){1, 2}, 2, out, &err), err);
    assert_true(out[0] == 2 && out[1] == 4);
    pipeline_close(pipeline);
}

/* On accelerators each run has to hand its frame over; the same path, on the processor. */
static void a_model_that_computes_elsewhere_sees_every_frame(void **state)
{
    struct err err = {0};
    struct backend_model *model = NULL;
    struct release release = values_release(1, 2);
    const struct backend_load load = {.model_path = double_model(),
                                      .threads = 1,
                                      .elsewhere = true,
                                      .input_count = 1,
                                      .output_count = 1,
                                      .inputs = release.inputs,
                                      .outputs = release.outputs};
    float frames[2][2] = {{0}}, out[2][2] = {{0}};
    size_t binding[2];
    assert_ok(ort_backend.load(&load, &model, &err), err);
    for (int i = 0; i < 2; i++)
        assert_ok(ort_backend.bind(model, (void *[]){frames[i]}, (void *[]){out[i]}, &binding[i], &err), err);
    for (int round = 1; round < 10; round++) {
        int i = round % 2;
        frames[i][0] = (float)round;
        frames[i][1] = (float)-round;
        assert_ok(ort_backend.run(model, binding[i], &err), err);
        assert_true(out[i][0] == (float)(2 * round) && out[i][1] == (float)(-2 * round));
    }
    ort_backend.unload(model);
}

static void without_a_cache_there_is_no_engine(void **state)
{
    static const enum provider tensorrt_first[] = {PROVIDER_TENSORRT, PROVIDER_CPU};
    struct release release = preferring(2, tensorrt_first);
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    const struct pipeline_options options = {.machine = &jetson};
    assert_ok(pipeline_open(double_model(), &release, &options, &pipeline, &err), err);
    assert_int_equal(pipeline_provider(pipeline), PROVIDER_CPU);
    assert_string_equal(pipeline_degraded(pipeline), "no tensorrt: its engine needs a cache (--cache)");
    pipeline_close(pipeline);
}

static void an_engine_that_is_not_built_yet_is_not_waited_for(void **state)
{
    static const enum provider tensorrt_first[] = {PROVIDER_TENSORRT, PROVIDER_CPU};
    struct release release = preferring(2, tensorrt_first);
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    struct pipeline_cache cache = {.dir = scratch_dir, .model = {.bytes = {1}}};
    const struct pipeline_options options = {.machine = &jetson, .cache = &cache};
    assert_ok(pipeline_open(double_model(), &release, &options, &pipeline, &err), err);
    assert_string_equal(pipeline_degraded(pipeline), "no tensorrt: the engine is not built yet");
    pipeline_close(pipeline);
}

static void there_is_nothing_to_build_where_there_is_nothing_to_run_it(void **state)
{
    static struct golden golden;
    struct err err = {0};
    struct pipeline_cache cache = {.dir = scratch_dir, .model = {.bytes = {1}}, .golden = &golden};
    const struct machine plain = {.usable = {true}};
    struct release release = preferring(3, all);
    struct pipeline_options options = {.machine = &plain, .cache = &cache};
    assert_fails(pipeline_build_engine(double_model(), &release, &options, &err), err, ERR_UNSUPPORTED);
    struct machine without = jetson;
    without.usable[PROVIDER_TENSORRT] = false;
    str_copy(without.why[PROVIDER_TENSORRT], sizeof without.why[0], "no libnvinfer");
    options.machine = &without;
    assert_fails(pipeline_build_engine(double_model(), &release, &options, &err), err, ERR_UNSUPPORTED);
    assert_string_equal(err.text, "no tensorrt: no libnvinfer");
    cache.golden = NULL;
    assert_fails(pipeline_build_engine(double_model(), &release, &options, &err), err, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_loads_is_taken),
        cmocka_unit_test(what_was_given_up_is_not_tried),
        cmocka_unit_test(what_comes_after_the_cpu_is_not_wanted),
        cmocka_unit_test(a_robot_without_the_hardware_is_not_degraded),
        cmocka_unit_test(if_nothing_loads_that_is_an_error),
        cmocka_unit_test_setup_teardown(a_provider_that_the_runtime_lacks_ends_on_the_cpu,
                                        scratch_with_runtime, scratch_close),
        cmocka_unit_test_setup_teardown(a_model_that_computes_elsewhere_sees_every_frame,
                                        scratch_with_runtime, scratch_close),
        cmocka_unit_test_setup_teardown(without_a_cache_there_is_no_engine, scratch_with_runtime,
                                        scratch_close),
        cmocka_unit_test_setup_teardown(an_engine_that_is_not_built_yet_is_not_waited_for,
                                        scratch_with_runtime, scratch_close),
        cmocka_unit_test_setup_teardown(there_is_nothing_to_build_where_there_is_nothing_to_run_it,
                                        scratch_with_runtime, scratch_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
