#include "wire/trt_plan.h"

#include "base/testing.h"

#include "base/mem.h"
#include "wire/onnx/summary.h"

#include <string.h>

enum { PLAN_BYTES = 100000 };
static const int version[4] = {10, 3, 0, 30};

static void make_plan(uint8_t plan[PLAN_BYTES])
{
    static const uint8_t header[28] = {'f', 't', 'r', 't', [24] = 10, [25] = 3, [26] = 0, [27] = 30};
    for (int i = 0; i < PLAN_BYTES; i++)
        plan[i] = (uint8_t)(i * 31);
    memcpy(plan, header, sizeof header);
}

static struct release some_release(void)
{
    return (struct release){
        .input_count = 2,
        .output_count = 2,
        .inputs = {{.name = "image", .dtype = DTYPE_FLOAT32, .dim_count = 4, .dims = {1, 3, 128, 160}},
                   {.name = "h", .dtype = DTYPE_FLOAT32, .dim_count = 2, .dims = {1, 7}}},
        .outputs = {{.name = "out", .dtype = DTYPE_FLOAT32, .dim_count = 3, .dims = {1, 7, 420}},
                    {.name = "h_out", .dtype = DTYPE_FLOAT32, .dim_count = 2, .dims = {1, 7}}}};
}

static void only_the_very_version_of_an_engine_is_taken(void **state)
{
    uint8_t plan[PLAN_BYTES];
    struct err err = {0};
    make_plan(plan);
    assert_ok(trt_plan_check(plan, sizeof plan, version, &err), err);
    for (int i = 24; i < 28; i++) {
        plan[i]++;
        assert_fails(trt_plan_check(plan, sizeof plan, version, &err), err, ERR_REFUSED);
        plan[i]--;
    }
    assert_fails(trt_plan_check(plan, 28, version, &err), err, ERR_INVALID);
    assert_fails(trt_plan_check(plan, 0, version, &err), err, ERR_INVALID);
    plan[4] = 1; /* a format that nobody knows yet */
    assert_fails(trt_plan_check(plan, sizeof plan, version, &err), err, ERR_INVALID);
}

/* The wrapper is a model like any other to the reader of models: the release's tensors, one node. */
static void the_model_around_an_engine_has_the_releases_tensors(void **state)
{
    static uint8_t plan[PLAN_BYTES];
    struct err err = {0};
    struct onnx_summary *summary = mem_zalloc(1, sizeof *summary);
    cleanup_buf struct buf model = BUF_INIT(1 << 20);
    struct release release = some_release();
    make_plan(plan);
    assert_ok(trt_context_put(plan, sizeof plan, 87, &release, &model, &err), err);
    assert_ok(onnx_summarize(model.data, model.len, summary, &err), err);
    assert_ok(onnx_check_release(summary, &release, &err), err);
    assert_int_equal(summary->node_count, 1);
    assert_int_equal(summary->opset, 17);
    assert_non_null(memmem(model.data, model.len, plan, sizeof plan));
    assert_ok(trt_context_check(model.data, model.len, version, &err), err);
    free(summary);
}

static void an_engine_inside_a_model_is_looked_at_as_well(void **state)
{
    static uint8_t plan[PLAN_BYTES];
    struct err err = {0};
    cleanup_buf struct buf model = BUF_INIT(1 << 20);
    struct release release = some_release();
    make_plan(plan);
    plan[27]++;
    assert_ok(trt_context_put(plan, sizeof plan, 87, &release, &model, &err), err);
    assert_fails(trt_context_check(model.data, model.len, version, &err), err, ERR_REFUSED);
    assert_non_null(strstr(err.text, "10.3.0.31"));
    uint8_t *mode = memmem(model.data, model.len, "embed_mode", 10);
    assert_non_null(mode);
    mode[11] = 0; /* field 3: the number */
    assert_fails(trt_context_check(model.data, model.len, version, &err), err, ERR_INVALID);
    assert_non_null(strstr(err.text, "another file"));
    assert_fails(trt_context_check("", 0, version, &err), err, ERR_INVALID);
}

/* Cut anywhere it is refused, or what is left of it is no engine. */
static void a_model_that_is_cut_short_is_refused(void **state)
{
    static uint8_t plan[PLAN_BYTES];
    struct err err = {0};
    cleanup_buf struct buf model = BUF_INIT(1 << 20);
    struct release release = some_release();
    make_plan(plan);
    assert_ok(trt_context_put(plan, 200, 87, &release, &model, &err), err);
    for (size_t len = 0; len < model.len; len++)
        assert_int_equal(trt_context_check(model.data, len, version, &err), -1);
}

static void a_buffer_that_is_too_small_is_an_error(void **state)
{
    static uint8_t plan[PLAN_BYTES];
    struct err err = {0};
    cleanup_buf struct buf model = BUF_INIT(PLAN_BYTES);
    struct release release = some_release();
    make_plan(plan);
    assert_fails(trt_context_put(plan, sizeof plan, 87, &release, &model, &err), err, ERR_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_very_version_of_an_engine_is_taken),
        cmocka_unit_test(the_model_around_an_engine_has_the_releases_tensors),
        cmocka_unit_test(an_engine_inside_a_model_is_looked_at_as_well),
        cmocka_unit_test(a_model_that_is_cut_short_is_refused),
        cmocka_unit_test(a_buffer_that_is_too_small_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
