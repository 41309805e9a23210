/* Sessions over any model, through the real runtime. */
#include "infer/lab.h"
#include "infer/model_testing.h"
#include "infer/tasks_testing.h"

static const float weights[] = {1, -1, 2, 0, 3, -2};

/* y [2, 3] = relu(x [2, 2] · w [2, 3]), flag [2, 3] = y > x · w, both outputs; a: an input of int64 that becomes `b`. */
static const char *make_model(void)
{
    struct model model = model_begin();
    model_value(&model, MODEL_INPUT, "x", 2, 2);
    model_typed(&model, MODEL_INPUT, "a", DTYPE_INT64, 1, 2);
    model_value(&model, MODEL_OUTPUT, "y", 2, 3);
    model_typed(&model, MODEL_OUTPUT, "flag", DTYPE_BOOL, 2, 3);
    model_typed(&model, MODEL_OUTPUT, "b", DTYPE_INT64, 1, 2);
    model_weights(&model, "w", weights, 2, 3);
    model_node(&model, "MatMul", "x w", "t");
    model_node(&model, "Identity", "t", "u");
    model_node(&model, "Relu", "u", "y");
    model_node(&model, "Greater", "y u", "flag");
    model_node(&model, "Add", "a a", "b");
    const char *path = scratch_path("lab.onnx");
    model_save(&model, path);
    return path;
}

static const float x_data[] = {1, 2, -1, 0.5F};
static const int64_t a_data[] = {5, INT64_C(1) << 40};
static const struct lab_tensor given[] = {
    {.dtype = DTYPE_FLOAT32, .dim_count = 2, .dims = {2, 2}, .data = x_data, .bytes = sizeof x_data},
    {.dtype = DTYPE_INT64, .dim_count = 2, .dims = {1, 2}, .data = a_data, .bytes = sizeof a_data},
};

static struct lab *open_or_fail(const char *path, const struct lab_how *how)
{
    struct lab *lab = NULL;
    struct err err = {0};
    assert_ok(lab_open(path, NULL, 0, how, &lab, &err), err);
    return lab;
}

static void names_types_and_shapes_are_those_of_the_model(void **state)
{
    if (no_runtime())
        skip();
    cleanup_lab struct lab *lab = open_or_fail(make_model(), &(struct lab_how){0});
    assert_int_equal(lab_input_count(lab), 2);
    assert_int_equal(lab_output_count(lab), 3);
    assert_string_equal(lab_input(lab, 0)->name, "x");
    assert_int_equal(lab_input(lab, 1)->dtype, DTYPE_INT64);
    assert_string_equal(lab_output(lab, 1)->name, "flag");
    assert_int_equal(lab_output(lab, 1)->dtype, DTYPE_BOOL);
    assert_int_equal(lab_output(lab, 0)->dim_count, 2);
    assert_int_equal(lab_output(lab, 0)->dims[1], 3);
}

static void check_outputs(const struct lab_tensor *y, const struct lab_tensor *flag,
                          const struct lab_tensor *b)
{
    for (int row = 0; row < 2; row++)
        for (int column = 0; column < 3; column++) {
            float sum = x_data[2 * row] * weights[column] + x_data[2 * row + 1] * weights[3 + column];
            assert_float_equal(((const float *)y->data)[3 * row + column], sum > 0 ? sum : 0, 1e-6);
            assert_int_equal(((const bool *)flag->data)[3 * row + column], sum < 0);
        }
    assert_int_equal(((const int64_t *)b->data)[1], INT64_C(1) << 41);
}

static void every_level_and_lean_sessions_compute_the_same(void **state)
{
    if (no_runtime())
        skip();
    const char *path = make_model();
    struct err err = {0};
    for (int level = LAB_PLAIN; level <= LAB_ALL; level++)
        for (int lean = 0; lean < 2; lean++) {
            const struct lab_how how = {.level = (enum lab_level)level, .lean = lean};
            cleanup_lab struct lab *lab = open_or_fail(path, &how);
            struct lab_tensor out[3];
            assert_ok(lab_run(lab, given, NULL, 0, out, &err), err);
            assert_int_equal(out[0].bytes, 6 * sizeof(float));
            assert_int_equal(out[1].dtype, DTYPE_BOOL);
            assert_int_equal(out[1].bytes, 6);
            check_outputs(&out[0], &out[1], &out[2]);
        }
}

static void wanted_outputs_come_in_the_order_of_the_wish(void **state)
{
    if (no_runtime())
        skip();
    cleanup_lab struct lab *lab = open_or_fail(make_model(), &(struct lab_how){0});
    struct err err = {0};
    const size_t wish[] = {2, 0};
    struct lab_tensor out[2];
    for (int i = 0; i < 3; i++) {
        assert_ok(lab_run(lab, given, wish, 2, out, &err), err);
        assert_int_equal(out[0].dtype, DTYPE_INT64);
        assert_int_equal(out[1].dtype, DTYPE_FLOAT32);
    }
}

static void a_model_from_memory_is_the_same(void **state)
{
    if (no_runtime())
        skip();
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    struct err err = {0};
    cleanup_lab struct lab *lab = NULL;
    struct lab_tensor out[3];
    assert_ok(file_read(make_model(), &file, &err), err);
    assert_ok(lab_open(NULL, file.data, file.len, &(struct lab_how){.level = LAB_ALL}, &lab, &err), err);
    buf_fini(&file);
    assert_ok(lab_run(lab, given, NULL, 0, out, &err), err);
    check_outputs(&out[0], &out[1], &out[2]);
}

static void the_clock_runs_for_every_run_and_wants_the_same_shapes(void **state)
{
    if (no_runtime())
        skip();
    cleanup_lab struct lab *lab = open_or_fail(make_model(), &(struct lab_how){.level = LAB_ALL});
    struct err err = {0};
    int64_t ns = 0;
    for (int i = 0; i < 3; i++) {
        ns = -1;
        assert_ok(lab_time(lab, given, &ns, &err), err);
        assert_true(ns > 0);
    }
    struct lab_tensor other[] = {given[0], given[1]};
    other[0].dims[0] = 1;
    other[0].bytes = 8;
    assert_fails(lab_time(lab, other, &ns, &err), err, ERR_REFUSED);
    assert_fails(lab_run(lab, other, NULL, 0, (struct lab_tensor[3]){0}, &err), err, ERR_REFUSED);
    struct lab_tensor out[3]; /* and goes on after that */
    assert_ok(lab_run(lab, given, NULL, 0, out, &err), err);
}

static void the_dump_is_a_model_of_its_own_without_what_was_idle(void **state)
{
    if (no_runtime())
        skip();
    const char *path = make_model();
    char dump[128];
    snprintf(dump, sizeof dump, "%s/dump.onnx", scratch_dir);
    struct err err = {0};
    cleanup_buf struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
    assert_ok(lab_dump(path, &(struct lab_how){.level = LAB_BASIC, .lean = true, .dump_path = dump}, &err),
              err);
    assert_ok(file_read(path, &before, &err), err);
    assert_ok(file_read(dump, &after, &err), err);
    assert_non_null(memmem(before.data, before.len, "Identity", 8));
    assert_null(memmem(after.data, after.len, "Identity", 8));
    cleanup_lab struct lab *lab = open_or_fail(dump, &(struct lab_how){0});
    struct lab_tensor out[3];
    assert_ok(lab_run(lab, given, NULL, 0, out, &err), err);
    check_outputs(&out[0], &out[1], &out[2]);
}

static void what_cannot_be_opened_says_why(void **state)
{
    if (no_runtime())
        skip();
    struct lab *lab = NULL;
    struct err err = {0};
    const struct lab_how how = {0};
    assert_fails(lab_open("/nowhere/model.onnx", NULL, 0, &how, &lab, &err), err, ERR_NOT_FOUND);
    assert_fails(lab_open(NULL, "junk", 4, &how, &lab, &err), err, ERR_REFUSED);
    struct model model = model_begin();
    model_value(&model, MODEL_INPUT, "x", 1, 2);
    model_value(&model, MODEL_OUTPUT, "y", 1, 2);
    model_node(&model, "Abracadabra", "x", "y");
    const char *path = scratch_path("unknown.onnx");
    model_save(&model, path);
    assert_fails(lab_open(path, NULL, 0, &how, &lab, &err), err, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "Abracadabra"));
    assert_null(strchr(err.text, '\n'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_types_and_shapes_are_those_of_the_model),
        cmocka_unit_test(every_level_and_lean_sessions_compute_the_same),
        cmocka_unit_test(wanted_outputs_come_in_the_order_of_the_wish),
        cmocka_unit_test(a_model_from_memory_is_the_same),
        cmocka_unit_test(the_clock_runs_for_every_run_and_wants_the_same_shapes),
        cmocka_unit_test(the_dump_is_a_model_of_its_own_without_what_was_idle),
        cmocka_unit_test(what_cannot_be_opened_says_why),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
