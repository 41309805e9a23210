#include "forge/fixture.h"
#include "forge/floats.h"
#include "forge/pack.h"
#include "infer/model_testing.h"
#include "release/image.h"
#include "wire/golden.h"

/* A .npy file of version 1, as NumPy writes it: the head padded to 64 bytes. */
static size_t make_npy(uint8_t *out, const char *dict, const float *values, size_t count)
{
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = 118;
    out[9] = 0;
    memset(out + 10, ' ', 118);
    memcpy(out + 10, dict, strlen(dict));
    out[127] = '\n';
    memcpy(out + 128, values, count * sizeof *values);
    return 128 + count * sizeof *values;
}

static const char good_dict[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";

static void both_kinds_of_files_are_read(void **state)
{
    static const float values[] = {1, 2, 3, 4, 5, 6};
    uint8_t file[512];
    const uint8_t *found = NULL;
    size_t count = 0;
    struct err err = {0};
    size_t len = make_npy(file, good_dict, values, 6);
    assert_ok(floats_find("a.npy", file, len, &found, &count, &err), err);
    assert_int_equal(count, 6);
    assert_memory_equal(found, values, sizeof values);
    assert_ok(floats_find("a.f32", (const uint8_t *)values, sizeof values, &found, &count, &err), err);
    assert_int_equal(count, 6);
    assert_ptr_equal(found, values);
    for (size_t cut = 0; cut < len; cut++)
        if (cut < 128 || cut % 4 || cut == 128)
            assert_int_equal(floats_find("a.npy", file, cut, &found, &count, &err), -1);
    assert_fails(floats_find("a.f32", file, 0, &found, &count, &err), err, ERR_INVALID);
    assert_fails(floats_find("a.f32", file, 7, &found, &count, &err), err, ERR_INVALID);
    assert_true(floats_is_name("x/a.npy") && floats_is_name("a.f32"));
    assert_false(floats_is_name("a.png") || floats_is_name(".npy") || floats_is_name("npy"));
}

static void other_numbers_are_refused(void **state)
{
    static const char *const bad[] = {"{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }",
                                      "{'descr': '>f4', 'fortran_order': False, 'shape': (3,), }",
                                      "{'descr': '<f4', 'fortran_order': True, 'shape': (3,), }", "{}"};
    static const float values[6];
    uint8_t file[512];
    const uint8_t *found = NULL;
    size_t count = 0;
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        size_t len = make_npy(file, bad[i], values, 6);
        assert_fails(floats_find("a.npy", file, len, &found, &count, &err), err, ERR_UNSUPPORTED);
    }
    static const struct {
        size_t at;
        uint8_t value;
    } broken[] = {{0, 0}, {6, 0}, {6, 4}, {9, 255}};
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        size_t len = make_npy(file, good_dict, values, 6);
        file[broken[i].at] = broken[i].value;
        assert_fails(floats_find("a.npy", file, len, &found, &count, &err), err, ERR_INVALID);
    }
}

#define SUM_YAML                                                                                             \
    "schema: 1\nname: sum\nversion: 1.0.0\ntask: timeseries\ntargets: [x86_64, aarch64]\n"                   \
    "model:\n  path: sum.onnx\n"                                                                             \
    "  inputs: [{name: x, dtype: float32, shape: [1, 3]}, {name: h, dtype: float32, shape: [1, 3]}]\n"       \
    "  outputs: [{name: y, dtype: float32, shape: [1, 3]}, {name: h_out, dtype: float32, shape: [1, 3]}]\n"  \
    "frame: float32\nstate: [{input: h, output: h_out}]\n"                                                   \
    "postprocess: {decoder: scores, activation: softmax}\nlabels: [a, b, c]\n"                               \
    "budgets: {latency_p99_ms: 40, deadline_ms: 60, memory_mib: 128}\n"                                      \
    "runtime: {queue: lossless}\nsafe_state: alert\ngolden: {inputs: golden}\n"

static void write_sum_model(const struct fixture *fixture)
{
    struct model model = model_begin();
    cleanup_free char *path = mem_printf("%s/sum.onnx", fixture->dir);
    model_value(&model, MODEL_INPUT, "x", 1, 3);
    model_value(&model, MODEL_INPUT, "h", 1, 3);
    model_value(&model, MODEL_OUTPUT, "y", 1, 3);
    model_value(&model, MODEL_OUTPUT, "h_out", 1, 3);
    model_node(&model, "Add", "x h", "y");
    model_node(&model, "Identity", "y", "h_out");
    model_save(&model, path);
}

static void a_time_series_is_packed_with_its_sequence(void **state)
{
    static const float values[] = {1, 2, 3, 10, 20, 30}, sums[] = {11, 22, 33};
    struct fixture fixture;
    struct err err = {0};
    uint8_t file[512];
    fixture_init(&fixture);
    write_sum_model(&fixture);
    fixture_write(fixture.yaml, SUM_YAML);
    struct pack_report report = {0};
    assert_fails(pack_release(fixture.yaml, fixture.out, NULL, &report, &err), err, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, ".npy"));
    cleanup_free char *path = mem_printf("%s/golden/a.npy", fixture.dir);
    assert_ok(file_replace(path, file, make_npy(file, good_dict, values, 5), 0644, &err), err);
    int result = pack_release(fixture.yaml, fixture.out, NULL, &report, &err);
    if (result < 0 && err.code == ERR_UNSUPPORTED) {
        fixture_fini(&fixture);
        skip();
    }
    assert_int_equal(err.code, ERR_INVALID); /* five numbers are no frames of three */
    assert_ok(file_replace(path, file, make_npy(file, good_dict, values, 6), 0644, &err), err);
    assert_ok(pack_release(fixture.yaml, fixture.out, NULL, &report, &err), err);
    assert_int_equal(report.golden_count, 2);
    cleanup_image struct image image = {0};
    cleanup_free char *golden_path = NULL;
    cleanup_file_map struct file_map map = {0};
    cleanup_free struct golden *golden = mem_zalloc(1, sizeof *golden);
    assert_ok(image_open(fixture.out, NULL, &image, &err), err);
    assert_ok(image_golden_path(&image, &golden_path, &err), err);
    assert_ok(file_map(golden_path, &map, &err), err);
    assert_ok(golden_parse(map.data, map.size, golden, &err), err);
    assert_int_equal(golden->cases[1].format, FRAME_FLOAT32);
    assert_memory_equal(golden->cases[1].outputs[0], sums, sizeof sums);
    fixture_fini(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_kinds_of_files_are_read),
        cmocka_unit_test(other_numbers_are_refused),
        cmocka_unit_test(a_time_series_is_packed_with_its_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
