/* The builder of engines with a trtexec that is a script: it takes the same words, writes files of the same form, and goes wrong in all
 * the ways that the real one does. What runs an engine is played too: there is no GPU here. */
#include "infer/tensorrt.h"

#include "infer/tasks_testing.h"

#include "base/clock.h"
#include "base/str.h"
#include "infer/tensorrt_args.h"
#include "sys/proc.h"
#include "wire/trt_plan.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* $d/mode says what it does; $d/words keeps what it was told, $d/builds one byte per call. The plan is the header, then the model. */
static const char script[] =
    "#!/bin/sh\n"
    "d=${0%/*}; mode=$(cat $d/mode); echo \"$@\" > $d/words; printf x >> $d/builds\n"
    "for word; do case $word in\n"
    "  --onnx=*) onnx=${word#*=};; --saveEngine=*) plan=${word#*=};; --timingCacheFile=*) "
    "timing=${word#*=};;\n"
    "  --stronglyTyped|--skipInference|--builderOptimizationLevel=*|--memPoolSize=*|--shapes=*|--useDLACore=*"
    "|--allowGPUFallback) ;;\n"
    "  *) echo \"[E] Unknown option: $word\"; exit 1;; esac; done\n"
    "[ -n \"$onnx\" ] && [ -n \"$plan\" ] && [ -r \"$onnx\" ] || { echo '[E] No model'; exit 1; }\n"
    "header() { printf 'ftrt\\000\\000\\000\\000................\\012\\003\\000\\'$1; }\n"
    "case $mode in\n"
    "good) [ -e $timing ] && printf t >> $d/had_timing; header 036 > $plan; cat $onnx >> $plan; echo times > "
    "$timing;;\n"
    "slow) sleep 60; header 036 > $plan;;\n"
    "hang) sleep 600 & sleep 600;;\n"
    "crash) header 036 > $plan; kill -SEGV $$;;\n"
    "version) header 037 > $plan; cat $onnx >> $plan;;\n"
    "wrong) header 036 > $plan; echo 'another model' >> $plan;;\n"
    "nothing) ;;\n"
    "empty) : > $plan;;\n"
    "torn) printf ftrt > $plan;;\n"
    "full) header 036 > $plan; head -c 5000000 /dev/zero >> $plan || { echo '[E] Saving engine to file "
    "failed.'; exit 1; };;\n"
    "oom) echo '[01/02/2026-03:04:05] [E] Error[10]: Could not find any implementation for node /conv.'; "
    "exit 1;;\n"
    "esac\n";

struct stage {
    char dir[64], cache[96], model[96];
    struct machine machine;
    struct release release;
    struct tensorrt tensorrt;
    struct derived_builder builder;
    struct derived_request request;
};

static char *in(const struct stage *stage, const char *name)
{
    static char path[2][160];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", stage->dir, name);
    return path[turn];
}

static void write_text(const char *path, const char *text, mode_t mode)
{
    struct err err = {0};
    assert_ok(file_replace(path, text, strlen(text), mode, &err), err);
}

static void behave(const struct stage *stage, const char *mode)
{
    write_text(in(stage, "mode"), mode, 0644);
}

/* It "runs" an engine: right if the model is in it. */
static int played_prove(const struct tensorrt *self, const char *target, struct err *err)
{
    cleanup_file_map struct file_map engine = {0}, model = {0};
    cleanup_free char *path = mem_printf("%s/../model.onnx", self->dir);
    if (file_map(target, &engine, err) < 0 || file_map(path, &model, err) < 0)
        return -1;
    return memmem(engine.data, engine.size, model.data, model.size)
               ? 0
               : err_set(err, ERR_REFUSED, "golden case 0: output y: element 0 is 7");
}

static void stage_open(struct stage *stage)
{
    struct err err = {0};
    memset(stage, 0, sizeof *stage);
    str_copy(stage->dir, sizeof stage->dir, "/tmp/muster-engine-XXXXXX");
    assert_non_null(mkdtemp(stage->dir));
    str_copy(scratch_dir, sizeof scratch_dir, stage->dir);
    snprintf(stage->cache, sizeof stage->cache, "%s/cache", stage->dir);
    struct model model = values_model(1, 4);
    model_node(&model, "Identity", "x", "y");
    str_copy(stage->model, sizeof stage->model, scratch_path("model.onnx"));
    model_save(&model, stage->model);
    write_text(in(stage, "trtexec"), script, 0755);
    behave(stage, "good");
    stage->machine = (struct machine){.node = true,
                                      .usable = {true, true, true},
                                      .runtime = "1.22.0",
                                      .l4t = "R36",
                                      .gpu = {.name = "Orin", .compute = 87, .driver = 12060},
                                      .tensorrt = {.version = {10, 3, 0, 30}, .plugins = "ab"}};
    str_copy(stage->machine.tensorrt.trtexec, sizeof stage->machine.tensorrt.trtexec, in(stage, "trtexec"));
    stage->release = values_release(1, 4);
    stage->tensorrt = tensorrt_here(&stage->machine, &stage->release, NULL, NULL, stage->cache);
    stage->tensorrt.way = TENSORRT_TRTEXEC;
    stage->tensorrt.prove = played_prove;
    stage->builder = tensorrt_builder(&stage->tensorrt);
    stage->request = (struct derived_request){.dir = stage->cache,
                                              .source = stage->model,
                                              .source_digest = {.bytes = {1}},
                                              .limits = tensorrt_limits(),
                                              .now_ms = 1700000000000};
    stage->request.limits.time_ms = 60000;
    assert_ok(file_make_dirs(stage->cache, 0755, &err), err);
}

static void stage_close(struct stage *stage)
{
    struct err err = {0};
    assert_ok(file_remove_tree(stage->dir, &err), err);
}

static struct derived_result ask(struct stage *stage)
{
    struct err err = {0};
    struct derived_result result;
    assert_ok(derived_open(&stage->request, &stage->builder, &result, &err), err);
    return result;
}

/* True if there is an engine; its reason if not. */
static bool engine(struct stage *stage, char *why, size_t size)
{
    cleanup_derived struct derived_result result = ask(stage);
    if (why)
        str_copy(why, size, result.why);
    return result.ready;
}

static uint64_t builds(const struct stage *stage)
{
    struct err err = {0};
    uint64_t size = 0;
    return file_size(in(stage, "builds"), &size, &err) < 0 ? 0 : size;
}

static void an_engine_is_built_once_in_the_form_that_the_runtime_takes(void **state)
{
    struct stage stage;
    struct err err = {0};
    cleanup_buf struct buf words = BUF_INIT(4096);
    stage_open(&stage);
    for (int i = 0; i < 2; i++) {
        cleanup_derived struct derived_result result = ask(&stage);
        if (!result.ready)
            fail_msg("%s", result.why);
        assert_int_equal(result.built, i == 0);
        assert_ok(tensorrt_check_file(&stage.machine, result.path, &err), err);
    }
    assert_int_equal(builds(&stage), 1);
    assert_ok(file_read(in(&stage, "words"), &words, &err), err);
    assert_non_null(strstr(buf_text(&words), " --stronglyTyped"));
    assert_non_null(strstr(buf_text(&words), " --skipInference"));
    assert_null(strstr(buf_text(&words), "--shapes")); /* the model leaves nothing open */
    assert_null(strstr(buf_text(&words), "--useDLACore"));
    stage_close(&stage);
}

static void what_is_measured_once_helps_the_next_build(void **state)
{
    struct stage stage;
    stage_open(&stage);
    assert_true(engine(&stage, NULL, 0));
    assert_false(file_exists(in(&stage, "had_timing")));
    stage.tensorrt.level = 4;
    assert_true(engine(&stage, NULL, 0));
    assert_true(file_exists(in(&stage, "had_timing")));
    behave(&stage, "oom");
    stage.tensorrt.level = 5;
    assert_false(engine(&stage, NULL, 0));
    assert_false(file_exists(in(&stage, "cache/timing.cache"))); /* it may be why */
    stage_close(&stage);
}

/* ... of a machine that has none; after a build that failed with it, never the same one again. */
static void the_timing_cache_of_the_release_is_a_start(void **state)
{
    struct stage stage;
    stage_open(&stage);
    char seed[160];
    str_copy(seed, sizeof seed, in(&stage, "seed"));
    write_text(seed, "times of another robot", 0644);
    stage.tensorrt.timing_seed = seed;
    assert_true(engine(&stage, NULL, 0));
    assert_true(file_exists(in(&stage, "had_timing")));
    behave(&stage, "oom");
    stage.tensorrt.level = 4;
    assert_false(engine(&stage, NULL, 0)); /* its own one is gone now */
    assert_int_equal(unlink(in(&stage, "had_timing")), 0);
    behave(&stage, "good");
    stage.tensorrt.level = 5;
    assert_true(engine(&stage, NULL, 0));
    assert_false(file_exists(in(&stage, "had_timing")));
    assert_int_equal(unlink(in(&stage, "cache/timing.cache")), 0);
    write_text(seed, "times of the next release", 0644);
    stage.tensorrt.level = 2;
    assert_true(engine(&stage, NULL, 0));
    assert_true(file_exists(in(&stage, "had_timing")));
    stage_close(&stage);
}

static void strong_types_are_asked_for_where_that_is_an_option(void **state)
{
    for (int major = 8; major <= 11; major++) {
        struct err err = {0};
        bool found = false;
        const struct tensorrt_args args = {
            .program = "trtexec", .model = "m", .plan = "p", .major = major, .level = 3, .dla_core = -1};
        cleanup_tensorrt_words struct tensorrt_words words = {0};
        assert_ok(tensorrt_args_words(&args, &words, &err), err);
        assert_null(words.words[words.count]);
        for (size_t i = 0; i < words.count; i++)
            found |= str_eq(words.words[i], "--stronglyTyped");
        assert_int_equal(found, major == 9 || major == 10);
    }
}

static void whatever_goes_wrong_is_said_and_not_tried_again(void **state)
{
    static const struct {
        const char *mode, *says;
    } cases[] = {
        {"slow", "it took longer than 1500 ms"},
        {"hang", "it took longer than 1500 ms"},
        {"crash", "trtexec ended with signal 11"},
        {"version", "the engine is of TensorRT 10.3.0.31, here is 10.3.0.30"},
        {"wrong", "golden case 0"},
        {"nothing", "trtexec left no engine"},
        {"empty", "no TensorRT engine"},
        {"torn", "no TensorRT engine"},
        {"full", "trtexec"},
        {"oom", "Could not find any implementation for node /conv."},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stage stage;
        char why[200], again[200];
        stage_open(&stage);
        behave(&stage, cases[i].mode);
        bool late = strstr(cases[i].says, "longer");
        stage.request.limits.time_ms = late ? 1500 : 60000;
        stage.request.limits.file_bytes = 1 << 20;
        assert_false(engine(&stage, why, sizeof why));
        if (!strstr(why, cases[i].says))
            fail_msg("%s: %s", cases[i].mode, why);
        assert_int_equal(builds(&stage), 1);
        behave(&stage, "good");
        stage.request.limits.time_ms = 60000;
        assert_false(engine(&stage, again, sizeof again)); /* remembered */
        assert_string_equal(why, again);
        assert_int_equal(builds(&stage), 1);
        stage.request.now_ms += DERIVED_RETRY_MS;
        assert_true(engine(&stage, NULL, 0));
        stage_close(&stage);
    }
}

static void nothing_of_a_build_that_was_given_up_lives_on(void **state)
{
    struct stage stage;
    cleanup_buf struct buf out = BUF_INIT(64 << 10);
    struct err err = {0};
    int status = 0;
    stage_open(&stage);
    behave(&stage, "hang");
    stage.request.limits.time_ms = 500;
    assert_false(engine(&stage, NULL, 0));
    const char *const argv[] = {"pgrep", "-f", stage.dir, NULL}; /* only by the name of this very folder */
    if (proc_run(argv, 10000, &out, &status, &err) == 0)
        assert_int_not_equal(status, 0); /* none */
    stage_close(&stage);
}

/* Each of these is another key; the old entry goes only when the new one has passed. */
static void every_ingredient_is_another_engine(void **state)
{
    struct stage stage;
    char keys[12][65];
    size_t count = 0;
    stage_open(&stage);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct machine *machine = &stage.machine;
        if (i == 1)
            str_copy(machine->runtime, sizeof machine->runtime, "1.23.0");
        else if (i == 2)
            str_copy(machine->l4t, sizeof machine->l4t, "R35");
        else if (i == 3)
            str_copy(machine->gpu.name, sizeof machine->gpu.name, "Xavier");
        else if (i == 4)
            machine->gpu.compute = 72;
        else if (i == 5)
            machine->gpu.driver = 12020;
        else if (i == 6)
            str_copy(machine->tensorrt.plugins, sizeof machine->tensorrt.plugins, "cd");
        else if (i == 7)
            stage.tensorrt.level = 5;
        else if (i == 8)
            stage.tensorrt.dla_core = 0;
        else if (i == 9)
            stage.release.inputs[0].dims[0] = 2;
        else if (i == 10)
            stage.request.source_digest.bytes[0]++;
        else if (i == 11)
            stage.machine.tensorrt.version[3]++;
        stage.request.only_look = i == 11; /* no trtexec of that version here */
        cleanup_derived struct derived_result result = ask(&stage);
        assert_true(result.ready == (i != 11));
        str_copy(keys[count++], sizeof keys[0], result.key);
        for (size_t k = 0; k + 1 < count; k++)
            assert_string_not_equal(keys[k], result.key);
    }
    stage_close(&stage);
}

static size_t engines_kept(const struct stage *stage)
{
    size_t count = 0;
    DIR *dir = opendir(stage->cache);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += strstr(entry->d_name, ".bin") != NULL;
    closedir(dir);
    return count;
}

static void the_old_engine_stays_until_the_new_one_has_passed(void **state)
{
    struct stage stage;
    stage_open(&stage);
    assert_true(engine(&stage, NULL, 0));
    stage.machine.gpu.driver = 12080; /* an update of the system */
    behave(&stage, "wrong");
    assert_false(engine(&stage, NULL, 0));
    assert_int_equal(engines_kept(&stage), 1);
    stage.request.now_ms += DERIVED_RETRY_MS;
    behave(&stage, "good");
    assert_true(engine(&stage, NULL, 0));
    assert_int_equal(engines_kept(&stage), 1); /* the new one */
    stage_close(&stage);
}

static void the_folder_keeps_its_limit(void **state)
{
    struct stage stage;
    stage_open(&stage);
    cleanup_derived struct derived_result first = ask(&stage);
    struct err err = {0};
    uint64_t bytes = 0;
    assert_ok(file_size(first.path, &bytes, &err), err);
    stage.request.limits.cache_bytes = 3 * bytes + bytes / 2;
    for (uint8_t i = 0; i < 5; i++) {
        stage.request.source_digest.bytes[1] = i; /* five models */
        assert_true(engine(&stage, NULL, 0));
    }
    assert_int_equal(engines_kept(&stage), 3);
    stage_close(&stage);
}

/* ---- with the real runtime, which has no TensorRT here ---- */

static struct pipeline *open_preferring_tensorrt(struct stage *stage, const struct golden *golden)
{
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    struct pipeline_cache cache = {
        .dir = stage->cache, .model = stage->request.source_digest, .golden = golden};
    const struct pipeline_options options = {.machine = &stage->machine, .cache = &cache};
    stage->release.runtime.provider_count = 2;
    stage->release.runtime.providers[0] = PROVIDER_TENSORRT;
    stage->release.runtime.providers[1] = PROVIDER_CPU;
    assert_ok(pipeline_open(stage->model, &stage->release, &options, &pipeline, &err), err);
    return pipeline;
}

static void an_engine_that_the_runtime_does_not_take_gives_way_to_the_cpu(void **state)
{
    struct stage stage;
    struct err err = {0};
    float out[PIPELINE_MAX_VALUES];
    stage_open(&stage);
    stage.request.now_ms = clock_wall_ms();
    assert_true(engine(&stage, NULL, 0));
    for (int i = 0; i < 2; i++) { /* the second time it is not even looked for */
        struct pipeline *pipeline = open_preferring_tensorrt(&stage, NULL);
        assert_int_equal(pipeline_provider(pipeline), PROVIDER_CPU);
        assert_non_null(
            strstr(pipeline_degraded(pipeline), i == 0 ? "no tensorrt: TensorRT: " : "not built yet"));
        assert_ok(run_values(pipeline, (const float[]){1, 2, 3, 4}, 4, out, &err), err);
        assert_true(out[3] == 4);
        pipeline_close(pipeline);
        assert_int_equal(engines_kept(&stage), 0);
        stage.request.now_ms = clock_wall_ms();
        assert_false(engine(&stage, NULL, 0)); /* and not built again before its time */
    }
    stage_close(&stage);
}

/* The engine of another TensorRT under a record that vouches for it: nobody deserializes it. */
static void the_header_is_looked_at_before_the_engine_is_opened(void **state)
{
    struct stage stage;
    struct err err = {0};
    stage_open(&stage);
    cleanup_derived struct derived_result result = ask(&stage);
    assert_true(result.ready);
    assert_ok(tensorrt_check_file(&stage.machine, result.path, &err), err);
    stage.machine.tensorrt.version[2]++;
    assert_fails(tensorrt_check_file(&stage.machine, result.path, &err), err, ERR_REFUSED);
    stage_close(&stage);
}

static void a_build_that_cannot_be_proved_is_a_failure_with_its_reason(void **state)
{
    static struct golden golden;
    static float values[4] = {1, 2, 3, 4};
    struct stage stage;
    struct err err = {0};
    golden = (struct golden){.count = 1,
                             .cases = {{.format = FRAME_FLOAT32,
                                        .width = 4,
                                        .height = 1,
                                        .data = (const uint8_t *)values,
                                        .output_count = 1,
                                        .output_len = {4},
                                        .outputs = {(const uint8_t *)values}}}};
    stage_open(&stage);
    struct pipeline_cache cache = {
        .dir = stage.cache, .model = stage.request.source_digest, .golden = &golden};
    const struct pipeline_options options = {.machine = &stage.machine, .cache = &cache};
    stage.release.runtime.provider_count = 2;
    stage.release.runtime.providers[0] = PROVIDER_TENSORRT;
    stage.release.runtime.providers[1] = PROVIDER_CPU;
    for (int i = 0; i < 2; i++) {
        err = (struct err){0};
        assert_fails(pipeline_build_engine(stage.model, &stage.release, &options, &err), err, ERR_REFUSED);
        assert_non_null(strstr(err.text, "tensorrt-trtexec: verify: "));
        assert_int_equal(builds(&stage), 1); /* by trtexec: once, then remembered */
    }
    assert_int_equal(engines_kept(&stage), 0);
    stage_close(&stage);
}

/* The release's variant first, then the model; never the variant by what would not run it in its own types. */
static void the_variant_is_built_before_the_model(void **state)
{
    static struct golden golden = {.count = 1};
    cleanup_buf struct buf words = BUF_INIT(4096);
    struct stage stage;
    struct err err = {0};
    stage_open(&stage);
    cleanup_free char *variant = mem_strdup(in(&stage, "variant.onnx"));
    struct model model = values_model(1, 4);
    model_node(&model, "Neg", "x", "y");
    model_save(&model, variant);
    struct pipeline_cache cache = {.dir = stage.cache,
                                   .model = stage.request.source_digest,
                                   .golden = &golden,
                                   .trt = {.path = variant, .digest = {.bytes = {7}}, .promised = 0.9}};
    const struct pipeline_options options = {.machine = &stage.machine, .cache = &cache};
    stage.release.runtime.provider_count = 2;
    stage.release.runtime.providers[0] = PROVIDER_TENSORRT;
    stage.release.runtime.providers[1] = PROVIDER_CPU;
    assert_fails(pipeline_build_engine(stage.model, &stage.release, &options, &err), err, ERR_REFUSED);
    assert_int_equal(builds(&stage), 2);
    assert_ok(file_read(in(&stage, "words"), &words, &err), err);
    assert_null(strstr(buf_text(&words), variant)); /* the last one was the model */
    stage_close(&stage);
}

static int needs_runtime(void **state)
{
    return scratch_with_runtime(state) || scratch_close(state);
}

/* ---- killed anywhere ---- */

/* A process that builds is killed after `delay_us`, with all that it started; then the machine comes up again. */
static bool survives(struct stage *stage, useconds_t delay_us)
{
    struct err err = {0};
    pid_t pid = fork();
    if (pid == 0) {
        struct derived_result result;
        (void)!derived_open(&stage->request, &stage->builder, &result, &err);
        _exit(0);
    }
    usleep(delay_us);
    kill(pid, SIGKILL);
    int status = 0;
    waitpid(pid, &status, 0);
    char why[200];
    bool there;
    int64_t until_ms = clock_mono_ms() + 20000;
    do /* what it had started dies a moment later */
        there = engine(stage, why, sizeof why);
    while (!there && strstr(why, "another process is building") && clock_mono_ms() < until_ms);
    if (!there && !strstr(why, "took its process or the machine down"))
        fail_msg("%s", why);
    assert_true(engine(stage, NULL, 0) == there); /* and it stays so */
    if (!there) {
        stage->request.now_ms += DERIVED_RETRY_MS;
        assert_true(engine(stage, NULL, 0));
    }
    assert_int_equal(engines_kept(stage), 1);
    return WIFSIGNALED(status);
}

static void a_kill_at_any_instant_leaves_a_whole_engine_or_none(void **state)
{
    int killed = 0;
    for (useconds_t delay_us = 0; delay_us < 60000; delay_us += 1500) {
        struct stage stage;
        stage_open(&stage);
        killed += survives(&stage, delay_us);
        stage_close(&stage);
    }
    assert_true(killed > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_engine_is_built_once_in_the_form_that_the_runtime_takes),
        cmocka_unit_test(what_is_measured_once_helps_the_next_build),
        cmocka_unit_test(the_timing_cache_of_the_release_is_a_start),
        cmocka_unit_test(strong_types_are_asked_for_where_that_is_an_option),
        cmocka_unit_test(whatever_goes_wrong_is_said_and_not_tried_again),
        cmocka_unit_test(nothing_of_a_build_that_was_given_up_lives_on),
        cmocka_unit_test(every_ingredient_is_another_engine),
        cmocka_unit_test(the_old_engine_stays_until_the_new_one_has_passed),
        cmocka_unit_test(the_folder_keeps_its_limit),
        cmocka_unit_test_setup(an_engine_that_the_runtime_does_not_take_gives_way_to_the_cpu, needs_runtime),
        cmocka_unit_test(the_header_is_looked_at_before_the_engine_is_opened),
        cmocka_unit_test_setup(a_build_that_cannot_be_proved_is_a_failure_with_its_reason, needs_runtime),
        cmocka_unit_test_setup(the_variant_is_built_before_the_model, needs_runtime),
        cmocka_unit_test(a_kill_at_any_instant_leaves_a_whole_engine_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
