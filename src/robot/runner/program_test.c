/* The real muster-runner with the real engine, and a guard that the test plays: nobody hears of a runner whose model has
 * not proved itself; frames of floats; a model with memory. */
#include "base/testing.h"

#include "base/digest.h"
#include "base/mem.h"
#include "infer/runtime.h"
#include "release/image.h"
#include "robot/runner/fake_guard.h"
#include "robot/runner/made_release.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { FLOATS = MADE_PART_BYTES / sizeof(float), SLOTS = 8, REFUSED = 3, START_MS = 60000 };

struct program {
    struct fake_guard guard;
    pid_t pid;
};

static int set_up(void **state)
{
    /* A leak checker stops its process by ptrace, which a confined runner may not. */
    assert_int_equal(setenv("ASAN_OPTIONS", "detect_leaks=0", 1), 0);
    const struct runtime *runtime;
    struct err err = {0};
    if (runtime_get(NULL, &runtime, &err) < 0) {
        print_message("skipped: %s\n", err.text);
        skip();
    }
    return 0;
}

/* Starts muster-runner with a release made as `what` says. */
static void start(struct program *p, const struct made_model *what)
{
    struct err err = {0};
    cleanup_free char *store = NULL;
    cleanup_image struct image image = {0};
    fake_guard_open(&p->guard);
    assert_ok(made_release(p->guard.dir, what, &store, &err), err);
    assert_ok(image_open(store, NULL, &image, &err), err);
    struct digest_text digest = digest_format(&image.digest);
    const char *const argv[] = {MUSTER_BUILD_BIN "/muster-runner",
                                "--run-dir",
                                p->guard.dir,
                                "--store",
                                store,
                                "--release",
                                digest.text,
                                "--generation",
                                "7",
                                "--priority",
                                "low",
                                NULL};
    const struct proc_options options = {.argv = argv, .die_with_parent = true, .keep_fd = -1};
    assert_ok(proc_spawn(&options, &p->pid, &err), err);
}

static int ended(struct program *p)
{
    int status = 0;
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void stop(struct program *p)
{
    struct err err = {0};
    struct ctl_message message;
    ctl_message_init(&message, CTL_EXIT);
    assert_ok(ctl_send(p->guard.sock, &message, NULL, &err), err);
    assert_int_equal(ended(p), 0);
}

static void sweep(struct program *p)
{
    struct err err = {0};
    char dir[sizeof p->guard.dir];
    memcpy(dir, p->guard.dir, sizeof dir);
    fake_guard_close(&p->guard);
    assert_ok(file_remove_tree(dir, &err), err);
}

/* A frame that is all `value`. */
static struct ring_result answer_to(struct program *p, float value)
{
    struct fake_guard *g = &p->guard;
    uint64_t seq = g->frame + 1;
    struct ring_frame *frame = ring_begin(&g->frames, seq);
    float *values = (float *)(void *)(frame + 1);
    for (int i = 0; i < FLOATS; i++)
        values[i] = value;
    assert_int_equal(fake_publish(g, FLOATS), seq);
    const struct ring_result result = fake_result(g);
    assert_int_equal(result.signals.valid, 1); /* also of one that the model could not answer */
    if (isfinite(value)) {
        assert_float_equal(result.signals.values[SIGNAL_LUMA], value, 1e-3f * fmaxf(1, fabsf(value)));
        assert_float_equal(result.signals.values[SIGNAL_CLIPPED], 1,
                           0); /* all at the extreme: a dead sensor */
        assert_true(isfinite(result.signals.values[SIGNAL_RUN_MS]));
    }
    assert_true(isnan(result.signals.values[SIGNAL_NOVELTY])); /* the release has no tap */
    return result;
}

static void expect_means(const struct ring_result *result, float value)
{
    assert_int_equal(result->status, RING_RESULT_OK);
    assert_int_equal(result->kind, RING_VALUES);
    assert_int_equal(result->count, MADE_MEANS);
    for (int i = 0; i < MADE_MEANS; i++)
        assert_true(fabsf(result->values[i] - value) < 1e-4f);
    assert_true(result->run_ns > 0);
}

static void a_model_that_fails_its_golden_cases_never_says_hello(void **state)
{
    struct program p;
    start(&p, &(struct made_model){.bytes = MADE_PART_BYTES, .wrong_golden = true});
    assert_int_equal(ended(&p), REFUSED);
    assert_false(fake_guard_meet(&p.guard, 0));
    sweep(&p);
}

static void floats_go_in_and_values_come_out(void **state)
{
    struct program p;
    start(&p, &(struct made_model){.bytes = MADE_PART_BYTES});
    assert_true(fake_guard_meet(&p.guard, START_MS));
    assert_non_null(strstr(p.guard.hello.text, "onnxruntime"));
    assert_int_equal(p.guard.hello.count, 0);
    fake_stream(&p.guard, 100, SLOTS, MADE_PART_BYTES);
    fake_orders(&p.guard, RING_MODE_ACTIVE, 1, UINT64_MAX, 0);
    for (int i = 1; i <= 3 * SLOTS; i++) {
        struct ring_result result = answer_to(&p, (float)i);
        assert_int_equal(result.seq, i);
        expect_means(&result, (float)i);
    }
    stop(&p);
    sweep(&p);
}

static void frames_of_another_size_are_failed_not_computed(void **state)
{
    struct program p;
    start(&p, &(struct made_model){.bytes = MADE_PART_BYTES});
    assert_true(fake_guard_meet(&p.guard, START_MS));
    fake_stream(&p.guard, 100, SLOTS, MADE_PART_BYTES);
    fake_orders(&p.guard, RING_MODE_ACTIVE, 1, UINT64_MAX, 0);
    fake_frame(&p.guard, 1, FLOATS / 2);
    struct ring_result result = fake_result(&p.guard);
    assert_int_equal(result.status, RING_RESULT_FAILED);
    assert_int_equal(result.count, 0);
    result = answer_to(&p, 2);
    expect_means(&result, 2);
    stop(&p);
    sweep(&p);
}

static void memory_lasts_as_long_as_the_stream(void **state)
{
    struct program p;
    start(&p, &(struct made_model){.bytes = MADE_PART_BYTES, .remembers = true});
    assert_true(fake_guard_meet(&p.guard, START_MS));
    for (uint64_t life = 100; life < 103; life++) {
        fake_stream(&p.guard, life, SLOTS, MADE_PART_BYTES);
        fake_orders(&p.guard, RING_MODE_ACTIVE, 1, UINT64_MAX, 0);
        float sum = 0;
        for (int i = 1; i <= 4; i++) {
            sum += (float)i;
            struct ring_result result = answer_to(&p, (float)i);
            assert_int_equal(result.stream, life);
            expect_means(&result, sum);
        }
    }
    stop(&p);
    sweep(&p);
}

/* Whatever a variant is like: the runner comes up, and what it answers is right. */
static void a_variant_serves_only_if_it_is_better(void **state)
{
    static const struct {
        enum made_variant variant;
        const char *says;
    } cases[] = {
        {MADE_FAST, " int8 "},
        {MADE_SAME, " refused: slower"},
        {MADE_WRONG, " refused: unfaithful"},
        {MADE_BROKEN, " refused: broken"},
    };
    if (!variant_of_machine(image_this_machine()))
        skip();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct program p;
        const struct made_model what = {
            .bytes = 64 * MADE_PART_BYTES, .reads_all = true, .variant = cases[i].variant};
        start(&p, &what);
        assert_true(fake_guard_meet(&p.guard, START_MS));
        if (!strstr(p.guard.hello.text, cases[i].says))
            fail_msg("wanted \"%s\" in: %s", cases[i].says, p.guard.hello.text);
        stop(&p);
        sweep(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_that_fails_its_golden_cases_never_says_hello),
        cmocka_unit_test(floats_go_in_and_values_come_out),
        cmocka_unit_test(a_variant_serves_only_if_it_is_better),
        cmocka_unit_test(frames_of_another_size_are_failed_not_computed),
        cmocka_unit_test(memory_lasts_as_long_as_the_stream),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
