#include "forge/calib/calib_testing.h"

#include "base/str.h"
#include "forge/calib/samples.h"
#include "picture/picture.h"

#include <math.h>

static struct release two_floats(void)
{
    struct release release = {.input_count = 1, .frame = FRAME_FLOAT32};
    release.inputs[0] =
        (struct tensor_spec){.name = "x", .dtype = DTYPE_FLOAT32, .dim_count = 2, .dims = {1, 2}};
    return release;
}

static void the_split_leaves_a_fair_share(void **state)
{
    assert_int_equal(samples_split(0), 0);
    assert_int_equal(samples_split(1), 1);
    assert_int_equal(samples_split(2), 1);
    assert_int_equal(samples_split(15), 7);
    assert_int_equal(samples_split(40), 8);
    assert_int_equal(samples_split(64), 16);
    assert_int_equal(samples_split(128), 64);
    assert_int_equal(samples_split(5000), 512);
    for (size_t count = 1; count < 3000; count++) {
        size_t fit = samples_split(count), held = count - fit;
        assert_true(fit >= 1 && fit <= 512 && (fit <= held || count == 1));
        if (count >= 56)
            assert_true(held >= 48 && fit >= 8);
    }
}

static struct samples *open_or_fail(const char *dir, const struct release *release)
{
    struct samples *samples = NULL;
    struct err err = {0};
    assert_ok(samples_open(dir, release, &samples, &err), err);
    return samples;
}

static const float *floats_of(struct samples *samples, size_t i, size_t input)
{
    const struct lab_tensor *inputs = NULL;
    struct err err = {0};
    assert_ok(samples_load(samples, i, &inputs, &err), err);
    return inputs[input].data;
}

static void files_of_several_frames_are_shuffled_the_same_way_every_time(void **state)
{
    float values[64];
    for (int i = 0; i < 64; i++)
        values[i] = (float)i;
    write_npy("many/a.npy", DTYPE_FLOAT32, "(24, 2)", values, 48 * sizeof *values);
    write_npy("many/notes.txt", DTYPE_FLOAT32, "(1,)", values, 4);
    write_npy("many/.hidden.npy", DTYPE_FLOAT32, "(1,)", values, 4);
    struct err err = {0};
    assert_ok(file_replace(scratch_path("many/b.f32"), values + 48, 16 * sizeof *values, 0644, &err), err);
    const struct release release = two_floats();
    cleanup_samples struct samples *first = open_or_fail(scratch_path("many"), &release);
    cleanup_samples struct samples *second = open_or_fail(scratch_path("many"), &release);
    assert_int_equal(samples_count(first), 32);
    assert_int_equal(samples_calibrate(first), 8);
    bool seen[32] = {0}, in_order = true;
    for (size_t i = 0; i < 32; i++) {
        const float *x = floats_of(first, i, 0);
        assert_float_equal(x[1], x[0] + 1, 0);
        size_t which = (size_t)x[0] / 2;
        assert_false(seen[which]);
        seen[which] = true;
        in_order = in_order && which == i;
        assert_string_equal(samples_name(first, i), which < 24 ? "a.npy" : "b.f32");
        assert_float_equal(floats_of(second, i, 0)[0], x[0], 0);
    }
    assert_false(in_order);
}

static void folders_give_inputs_by_name_and_the_rest_is_zero(void **state)
{
    static const float x[] = {3, 4};
    static const int64_t rate = 16000;
    struct release release = two_floats();
    release.inputs[1] =
        (struct tensor_spec){.name = "state", .dtype = DTYPE_FLOAT32, .dim_count = 2, .dims = {2, 2}};
    release.inputs[2] = (struct tensor_spec){.name = "serving/rate:0", .dtype = DTYPE_INT64};
    release.input_count = 3;
    write_npy("folders/one/x.npy", DTYPE_FLOAT32, "(2,)", x, sizeof x);
    write_npy("folders/one/serving_rate_0.npy", DTYPE_INT64, "()", &rate, sizeof rate);
    write_npy("folders/other/else.npy", DTYPE_INT64, "()", &rate, sizeof rate);
    cleanup_samples struct samples *samples = open_or_fail(scratch_path("folders"), &release);
    assert_int_equal(samples_count(samples), 1);
    assert_string_equal(samples_name(samples, 0), "one");
    const struct lab_tensor *inputs = NULL;
    struct err err = {0};
    for (int again = 0; again < 2; again++) {
        assert_ok(samples_load(samples, 0, &inputs, &err), err);
        assert_memory_equal(inputs[0].data, x, sizeof x);
        assert_int_equal(*(const int64_t *)inputs[2].data, 16000);
        assert_int_equal(inputs[2].dim_count, 0);
        for (int i = 0; i < 4; i++)
            assert_float_equal(((const float *)inputs[1].data)[i], 0, 0);
    }
}

static void pictures_are_preprocessed_as_the_release_says(void **state)
{
    struct release release = {.input_count = 1, .frame = FRAME_RGB8};
    release.inputs[0] =
        (struct tensor_spec){.name = "x", .dtype = DTYPE_FLOAT32, .dim_count = 4, .dims = {1, 3, 4, 4}};
    release.preprocess.scale = 1.0 / 255;
    release.preprocess.resize = RESIZE_STRETCH;
    for (int c = 0; c < 3; c++)
        release.preprocess.std[c] = 0.5;
    release.preprocess.mean[0] = 1;
    cleanup_picture struct picture picture = {0};
    struct err err = {0};
    assert_ok(picture_init(&picture, 8, 8, &err), err);
    for (int i = 0; i < 64; i++)
        picture.rgb[3 * i + 1] = 255;
    assert_ok(picture_write_png(scratch_path("pictures/green.png"), &picture, &err), err);
    cleanup_samples struct samples *samples = open_or_fail(scratch_path("pictures"), &release);
    const float *x = floats_of(samples, 0, 0);
    for (int i = 0; i < 16; i++) {
        assert_float_equal(x[i], -2, 1e-5);
        assert_float_equal(x[16 + i], 2, 1e-5);
        assert_float_equal(x[32 + i], 0, 1e-5);
    }
    assert_ok(file_replace(scratch_path("pictures/green.png"), "no picture", 10, 0644, &err), err);
    const struct lab_tensor *inputs = NULL;
    assert_fails(samples_load(samples, 0, &inputs, &err), err, ERR_INVALID);
    assert_non_null(strstr(err.text, "green.png"));
    struct release values = two_floats(); /* whoever takes numbers cannot take pictures */
    struct samples *none = NULL;
    assert_fails(samples_open(scratch_path("pictures"), &values, &none, &err), err, ERR_UNSUPPORTED);
}

static void what_does_not_fit_is_named(void **state)
{
    static const float x[6];
    const struct release release = two_floats();
    struct samples *samples = NULL;
    struct err err = {0};
    assert_fails(samples_open(scratch_path("nowhere/at/all"), &release, &samples, &err), err, ERR_NOT_FOUND);
    write_npy("empty/readme.md", DTYPE_FLOAT32, "()", x, 4);
    assert_fails(samples_open(scratch_path("empty"), &release, &samples, &err), err, ERR_NOT_FOUND);
    write_npy("type/wrong.npy", DTYPE_FLOAT64, "(1, 2)", x, 16);
    assert_fails(samples_open(scratch_path("type"), &release, &samples, &err), err, ERR_INVALID);
    assert_non_null(strstr(err.text, "type/wrong.npy: holds float64, input x wants float32"));
    write_npy("size/odd.npy", DTYPE_FLOAT32, "(5,)", x, 20);
    assert_fails(samples_open(scratch_path("size"), &release, &samples, &err), err, ERR_INVALID);
    assert_non_null(strstr(err.text, "size/odd.npy"));
    const float broken[] = {1, 2, 3, NAN, 5, INFINITY};
    write_npy("nan/a.npy", DTYPE_FLOAT32, "(3, 2)", broken, sizeof broken);
    assert_fails(samples_open(scratch_path("nan"), &release, &samples, &err), err, ERR_INVALID);
    assert_non_null(strstr(err.text, "nan/a.npy: number 3 is NaN"));
    write_npy("inf/one/x.npy", DTYPE_FLOAT32, "(2,)", broken + 4, 8);
    assert_fails(samples_open(scratch_path("inf"), &release, &samples, &err), err, ERR_INVALID);
    assert_non_null(strstr(err.text, "inf/one/x.npy: number 1 is infinite"));
    write_npy("frames/one/x.npy", DTYPE_FLOAT32, "(2, 2)", x, 16);
    assert_fails(samples_open(scratch_path("frames"), &release, &samples, &err), err, ERR_INVALID);
    assert_ok(file_replace(scratch_path("junk/a.npy"), "\x93NUM", 4, 0644, &err), err);
    assert_fails(samples_open(scratch_path("junk"), &release, &samples, &err), err, ERR_INVALID);
    struct release none = {.input_count = 0};
    assert_fails(samples_open(scratch_path("junk"), &none, &samples, &err), err, ERR_UNSUPPORTED);
}

/* As many numbers in another order would be a frame that nobody has seen. */
static void other_orders_of_the_same_sizes_are_named(void **state)
{
    static const float x[48];
    static const struct {
        const char *shape;
        bool fits;
    } cases[] = {{"(1, 2, 3, 4)", true}, {"(2, 3, 4)", true},    {"(2, 2, 3, 4)", true},
                 {"(24,)", true},        {"(6, 4)", true},       {"(1, 3, 4, 2)", false},
                 {"(3, 4, 2)", false},   {"(2, 3, 4, 2)", false}};
    struct release release = two_floats();
    release.inputs[0].dim_count = 4;
    memcpy(release.inputs[0].dims, (const int64_t[]){1, 2, 3, 4}, 4 * sizeof(int64_t));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct samples *samples = NULL;
        struct err err = {0};
        size_t bytes =
            (str_starts(cases[i].shape, "(2, 2") || str_starts(cases[i].shape, "(2, 3, 4, 2") ? 48 : 24) * 4;
        write_npy("order/a.npy", DTYPE_FLOAT32, cases[i].shape, x, bytes);
        int result = samples_open(scratch_path("order"), &release, &samples, &err);
        assert_int_equal(result, cases[i].fits ? 0 : -1);
        if (result < 0)
            assert_non_null(strstr(err.text, "another order"));
        samples_free(samples);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_split_leaves_a_fair_share),
        cmocka_unit_test(files_of_several_frames_are_shuffled_the_same_way_every_time),
        cmocka_unit_test(folders_give_inputs_by_name_and_the_rest_is_zero),
        cmocka_unit_test(pictures_are_preprocessed_as_the_release_says),
        cmocka_unit_test(what_does_not_fit_is_named),
        cmocka_unit_test(other_orders_of_the_same_sizes_are_named),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
