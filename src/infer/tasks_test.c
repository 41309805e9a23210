/* Frames of floats, values, scores, memory and deadlines, through the real runtime. */
#include "infer/tasks_testing.h"

#include "base/clock.h"

#include <math.h>
#include <sys/mman.h>

static void frames_are_read_where_they_lie(void **state)
{
    struct model model = values_model(1, 16);
    model_node(&model, "Neg", "x", "y");
    const char *path = scratch_path("neg.onnx");
    model_save(&model, path);
    struct release release = values_release(1, 16);
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    assert_ok(pipeline_open(path, &release, NULL, &pipeline, &err), err);
    static float ring[PIPELINE_MAX_SLOTS + 1][16], other[16], out[PIPELINE_MAX_VALUES];
    const void *slots[PIPELINE_MAX_SLOTS + 1];
    for (size_t i = 0; i < ARRAY_LEN(slots); i++)
        slots[i] = ring[i];
    assert_fails(pipeline_bind_frames(pipeline, slots, ARRAY_LEN(slots), &err), err, ERR_TOO_BIG);
    for (size_t bound = 0; bound <= PIPELINE_MAX_SLOTS; bound += 32) { /* 0: all are copied */
        assert_ok(pipeline_bind_frames(pipeline, slots, bound, &err), err);
        for (int round = 0; round < 200; round++) {
            float *x = round % 7 ? ring[round % PIPELINE_MAX_SLOTS] : other;
            for (int i = 0; i < 16; i++)
                x[i] = (float)(round * 100 + i);
            assert_ok(run_values(pipeline, x, 16, out, &err), err);
            for (int i = 0; i < 16; i++)
                assert_true(out[i] == -x[i]);
        }
    }
    assert_fails(run_values(pipeline, other, 15, out, &err), err, ERR_REFUSED);
    assert_fails(run_values(pipeline, other, 17, out, &err), err, ERR_REFUSED);
    pipeline_close(pipeline);
}

/* A robot program's memory is mapped read-only: operators that work in place must not try to. */
static void frames_are_only_read(void **state)
{
    enum { COUNT = 512 };
    struct model model = values_model(1, COUNT);
    model_node(&model, "Relu", "x", "a");
    model_node(&model, "Neg", "a", "b");
    model_node(&model, "Add", "b x", "y");
    const char *path = scratch_path("in_place.onnx");
    model_save(&model, path);
    struct release release = values_release(1, COUNT);
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    float *x = mmap(NULL, COUNT * sizeof *x, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(x, MAP_FAILED);
    for (int i = 0; i < COUNT; i++)
        x[i] = (float)(i - COUNT / 2);
    assert_int_equal(mprotect(x, COUNT * sizeof *x, PROT_READ), 0);
    assert_ok(pipeline_open(path, &release, NULL, &pipeline, &err), err);
    const void *slot = x;
    static float out[PIPELINE_MAX_VALUES];
    assert_ok(pipeline_bind_frames(pipeline, &slot, 1, &err), err);
    for (int round = 0; round < 3; round++) {
        assert_ok(run_values(pipeline, x, COUNT, out, &err), err);
        for (int i = 0; i < COUNT; i++)
            assert_true(out[i] == (x[i] > 0 ? 0 : x[i]));
    }
    pipeline_close(pipeline);
    munmap(x, COUNT * sizeof *x);
}

static void a_model_with_memory_sums_its_frames(void **state)
{
    struct release release = sum_release(3);
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    assert_ok(pipeline_open(sum_model(3), &release, NULL, &pipeline, &err), err);
    static float ring[4][3], out[PIPELINE_MAX_VALUES];
    const void *slots[] = {ring[0], ring[1], ring[2], ring[3]};
    assert_ok(pipeline_bind_frames(pipeline, slots, 3, &err), err); /* the fourth is copied */
    for (int sequence = 0; sequence < 3; sequence++) {
        float sum[3] = {0};
        for (int round = 0; round < 20; round++) {
            float *x = ring[round % 4];
            for (int i = 0; i < 3; i++)
                sum[i] += x[i] = (float)(round * 3 + i);
            assert_ok(run_values(pipeline, x, 3, out, &err), err);
            assert_memory_equal(out, sum, sizeof sum);
            size_t len = 0;
            assert_memory_equal(pipeline_output(pipeline, 1, &len), sum, sizeof sum);
            assert_int_equal(len, 3);
        }
        pipeline_reset_state(pipeline);
    }
    pipeline_close(pipeline);
}

static void a_frame_without_a_result_leaves_no_trace_in_the_memory(void **state)
{
    struct release release = sum_release(2);
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    assert_ok(pipeline_open(sum_model(2), &release, NULL, &pipeline, &err), err);
    float out[PIPELINE_MAX_VALUES];
    const float good[] = {1, 2}, bad[] = {NAN, 3}, big[] = {INFINITY, 0};
    assert_ok(run_values(pipeline, good, 2, out, &err), err);
    assert_fails(run_values(pipeline, bad, 2, out, &err), err, ERR_INVALID);
    assert_fails(run_values(pipeline, big, 2, out, &err), err, ERR_INVALID);
    assert_fails(run_values(pipeline, bad, 1, out, &err), err, ERR_REFUSED);
    assert_ok(run_values(pipeline, good, 2, out, &err), err);
    assert_true(out[0] == 2 && out[1] == 4);
    pipeline_close(pipeline);
}

static void golden_cases_of_a_model_with_memory_are_one_sequence(void **state)
{
    struct release release = sum_release(2);
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    assert_ok(pipeline_open(sum_model(2), &release, NULL, &pipeline, &err), err);
    static const float frames[2][2] = {{1, 2}, {10, 20}}, sums[2][2] = {{1, 2}, {11, 22}};
    struct golden golden = {.count = 2};
    for (int i = 0; i < 2; i++)
        golden.cases[i] =
            (struct golden_case){.format = FRAME_FLOAT32,
                                 .width = 2,
                                 .height = 1,
                                 .data = (const uint8_t *)frames[i],
                                 .output_count = 2,
                                 .output_len = {2, 2},
                                 .outputs = {(const uint8_t *)sums[i], (const uint8_t *)sums[i]}};
    float out[PIPELINE_MAX_VALUES];
    for (int round = 0; round < 3; round++) { /* whatever was in the memory before */
        assert_ok(pipeline_self_test(pipeline, &golden, 1e-6, &err), err);
        assert_ok(run_values(pipeline, frames[0], 2, out, &err), err);
        assert_true(out[0] == 1); /* and it is fresh afterwards */
    }
    golden.cases[1].outputs[1] = (const uint8_t *)sums[0];
    assert_fails(pipeline_self_test(pipeline, &golden, 1e-6, &err), err, ERR_REFUSED);
    assert_non_null(strstr(err.text, "golden case 1: output h_out: element 0"));
    golden.cases[0].format = FRAME_RGB8;
    assert_fails(pipeline_self_test(pipeline, &golden, 1e-6, &err), err, ERR_REFUSED);
    pipeline_close(pipeline);
}

static void scores_come_after_their_activation(void **state)
{
    struct model model = values_model(1, 3);
    model_node(&model, "Identity", "x", "y");
    const char *path = scratch_path("scores.onnx");
    model_save(&model, path);
    static const struct {
        enum activation activation;
        float want[3];
    } cases[] = {{ACTIVATION_NONE, {1, 2, 3}},
                 {ACTIVATION_SOFTMAX, {0.09003057F, 0.24472848F, 0.66524094F}},
                 {ACTIVATION_SIGMOID, {0.73105858F, 0.88079708F, 0.95257413F}}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct release release = values_release(1, 3);
        release.postprocess.decoder = DECODER_SCORES;
        release.postprocess.activation = cases[i].activation;
        release.label_count = 3;
        struct pipeline *pipeline = NULL;
        struct err err = {0};
        assert_ok(pipeline_open(path, &release, NULL, &pipeline, &err), err);
        float out[PIPELINE_MAX_VALUES];
        assert_ok(run_values(pipeline, (const float[]){1, 2, 3}, 3, out, &err), err);
        for (int k = 0; k < 3; k++)
            assert_true(fabsf(out[k] - cases[i].want[k]) < 1e-6F);
        pipeline_close(pipeline);
        release.label_count = 2;
        assert_fails(pipeline_open(path, &release, NULL, &pipeline, &err), err, ERR_UNSUPPORTED);
    }
}

static void a_run_is_given_up_at_its_deadline_and_the_next_one_works(void **state)
{
    enum { SIDE = 256, COUNT = SIDE * SIDE };
    struct release release = values_release(SIDE, SIDE);
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    assert_ok(pipeline_open(slow_model(SIDE, 300), &release, &(struct pipeline_options){.deadlines = true},
                            &pipeline, &err),
              err);
    cleanup_free float *x = mem_zalloc(COUNT, sizeof *x);
    struct pipeline_result result = {0};
    struct pipeline_times times = {0};
    struct pipeline_frame frame = {.data = x, .width = COUNT, .height = 1};
    assert_ok(pipeline_process(pipeline, &frame, &result, &times, &err), err);
    int64_t whole_ns = times.run_ns;
    for (int round = 0; round < 3; round++) {
        int64_t start_ns = clock_mono_ns();
        frame.deadline_ns = start_ns + whole_ns / 10;
        assert_fails(pipeline_process(pipeline, &frame, &result, &times, &err), err, ERR_TIMEOUT);
        assert_true(clock_mono_ns() >= frame.deadline_ns); /* not before, and it is never said twice */
        frame.deadline_ns = clock_mono_ns() + 600 * 1000000000ll;
        assert_ok(pipeline_process(pipeline, &frame, &result, &times, &err), err);
        frame.deadline_ns = 0;
        assert_ok(pipeline_process(pipeline, &frame, &result, &times, &err), err);
        frame.deadline_ns = clock_mono_ns() - 1;
        assert_fails(pipeline_process(pipeline, &frame, &result, &times, &err), err, ERR_TIMEOUT);
    }
    pipeline_close(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_are_read_where_they_lie, scratch_with_runtime, scratch_close),
        cmocka_unit_test_setup_teardown(frames_are_only_read, scratch_with_runtime, scratch_close),
        cmocka_unit_test_setup_teardown(a_model_with_memory_sums_its_frames, scratch_with_runtime,
                                        scratch_close),
        cmocka_unit_test_setup_teardown(a_frame_without_a_result_leaves_no_trace_in_the_memory,
                                        scratch_with_runtime, scratch_close),
        cmocka_unit_test_setup_teardown(golden_cases_of_a_model_with_memory_are_one_sequence,
                                        scratch_with_runtime, scratch_close),
        cmocka_unit_test_setup_teardown(scores_come_after_their_activation, scratch_with_runtime,
                                        scratch_close),
        cmocka_unit_test_setup_teardown(a_run_is_given_up_at_its_deadline_and_the_next_one_works,
                                        scratch_with_runtime, scratch_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
