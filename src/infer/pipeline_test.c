#include "infer/pipeline.h"

#include "base/testing.h"

#include <math.h>
#include <string.h>

#define MODELS MUSTER_SOURCE_DIR "/tests/data/models/"

/* The release that fits tests/data/models/quadrants.onnx: the score of label 0 (1) is a quadrant's mean red
 * (green). */
static struct release quadrants_release(void)
{
    struct release release = {.name = "quadrants",
                              .version = "1.0.0",
                              .input_count = 1,
                              .output_count = 1,
                              .label_count = 2,
                              .labels = {"red", "green"}};
    release.inputs[0] = (struct tensor_spec){
        .name = "images", .dtype = DTYPE_FLOAT32, .dim_count = 4, .dims = {1, 3, 16, 16}};
    release.outputs[0] =
        (struct tensor_spec){.name = "output0", .dtype = DTYPE_FLOAT32, .dim_count = 3, .dims = {1, 6, 4}};
    release.preprocess.scale = 1.0 / 255;
    for (int c = 0; c < 3; c++)
        release.preprocess.std[c] = 1;
    release.postprocess.decoder = DECODER_YOLOV8;
    release.postprocess.score_threshold = 0.3;
    release.postprocess.iou_threshold = 0.5;
    release.postprocess.max_detections = 100;
    return release;
}

static int need_runtime(void **state)
{
    struct release release = quadrants_release();
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    if (pipeline_open(MODELS "quadrants.onnx", &release, NULL, &pipeline, &err) < 0 &&
        err.code == ERR_UNSUPPORTED) {
        print_message("skipped: %s\n", err.text);
        skip();
    }
    pipeline_close(pipeline);
    return 0;
}

static void paint(uint8_t *rgb, int side, int quadrant, int channel, uint8_t value)
{
    for (int y = 0; y < side / 2; y++)
        for (int x = 0; x < side / 2; x++)
            rgb[3 * ((y + (quadrant / 2) * side / 2) * side + x + (quadrant % 2) * side / 2) + channel] =
                value;
}

static void each_quadrant_is_found_at_any_frame_size(void **state)
{
    struct release release = quadrants_release();
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    assert_ok(pipeline_open(MODELS "quadrants.onnx", &release, NULL, &pipeline, &err), err);
    static const int sides[] = {16, 64, 8, 16};
    for (int round = 0; round < 4 * 8; round++) {
        int side = sides[round / 8], quadrant = round % 4, channel = round / 4 % 2;
        static uint8_t rgb[64 * 64 * 3];
        memset(rgb, 0, sizeof rgb);
        paint(rgb, side, quadrant, channel, 204);
        struct detection found[4];
        struct pipeline_times times = {-1, -1, -1};
        size_t count = 0;
        assert_ok(pipeline_run(pipeline, rgb, side, side, found, 4, &count, &times, &err), err);
        assert_int_equal(count, 1);
        assert_int_equal(found[0].label, channel);
        assert_true(fabsf(found[0].score - 0.8F) < 0.1F);
        assert_true(fabsf(found[0].x0 - (float)(quadrant % 2 * side) / 2) < 0.01F);
        assert_true(fabsf(found[0].y1 - (float)((quadrant / 2 + 1) * side) / 2) < 0.01F);
        assert_true(times.preprocess_ns >= 0 && times.run_ns > 0 && times.decode_ns >= 0);
    }
    pipeline_close(pipeline);
}

static void a_bad_model_is_refused_in_one_line(void **state)
{
    static const char *const bad[] = {"garbage.onnx", "unknown_op.onnx", "transposed.onnx",
                                      "no-such-file.onnx", "make.py"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char path[512];
        snprintf(path, sizeof path, MODELS "%s", bad[i]);
        struct release release = quadrants_release();
        struct pipeline *pipeline = NULL;
        struct err err = {0};
        assert_fails(pipeline_open(path, &release, NULL, &pipeline, &err), err, ERR_REFUSED);
        assert_null(strchr(err.text, '\n'));
        assert_null(pipeline);
    }
}

static void a_tensor_that_differs_is_named(void **state)
{
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    struct release release = quadrants_release();
    memcpy(release.inputs[0].name, "frames", 7);
    assert_fails(pipeline_open(MODELS "quadrants.onnx", &release, NULL, &pipeline, &err), err, ERR_REFUSED);
    assert_non_null(strstr(err.text, "frames"));
    release = quadrants_release();
    release.outputs[0].dims[2] = 5;
    assert_fails(pipeline_open(MODELS "quadrants.onnx", &release, NULL, &pipeline, &err), err, ERR_REFUSED);
    assert_non_null(strstr(err.text, "output0"));
    release = quadrants_release();
    release.output_count = 2;
    release.outputs[1] = release.outputs[0];
    assert_fails(pipeline_open(MODELS "quadrants.onnx", &release, NULL, &pipeline, &err), err, ERR_REFUSED);
}

static void a_result_that_is_no_number_is_an_error(void **state)
{
    struct release release = quadrants_release();
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    uint8_t rgb[16 * 16 * 3] = {0};
    struct detection found[4];
    size_t count = 0;
    assert_ok(pipeline_open(MODELS "nan.onnx", &release, NULL, &pipeline, &err), err);
    for (int i = 0; i < 3; i++)
        assert_fails(pipeline_run(pipeline, rgb, 16, 16, found, 4, &count, NULL, &err), err, ERR_INVALID);
    pipeline_close(pipeline);
}

static void the_self_test_notices_one_wrong_element(void **state)
{
    struct release release = quadrants_release();
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    uint8_t rgb[16 * 16 * 3];
    memset(rgb, 130, sizeof rgb);
    struct detection found[4];
    size_t count = 0, len = 0;
    assert_ok(pipeline_open(MODELS "quadrants.onnx", &release, NULL, &pipeline, &err), err);
    assert_ok(pipeline_run(pipeline, rgb, 16, 16, found, 4, &count, NULL, &err), err);
    float expected[24];
    const float *output = pipeline_output(pipeline, 0, &len);
    assert_int_equal(len, 24);
    memcpy(expected, output, sizeof expected);
    struct golden golden = {.count = 1,
                            .cases = {{.width = 16,
                                       .height = 16,
                                       .data = rgb,
                                       .output_count = 1,
                                       .output_len = {24},
                                       .outputs = {(const uint8_t *)expected}}}};
    assert_ok(pipeline_self_test(pipeline, &golden, 0.001, &err), err);
    for (int i = 0; i < 24; i++) {
        float saved = expected[i];
        const float wrong[] = {saved * 1.01F + 0.01F, NAN};
        for (int w = 0; w < 2; w++) {
            expected[i] = wrong[w];
            assert_fails(pipeline_self_test(pipeline, &golden, 0.001, &err), err, ERR_REFUSED);
        }
        expected[i] = saved;
    }
    golden.cases[0].output_len[0] = 23;
    assert_fails(pipeline_self_test(pipeline, &golden, 0.001, &err), err, ERR_REFUSED);
    assert_null(pipeline_output(pipeline, 1, &len));
    pipeline_close(pipeline);
}

static void a_named_runtime_that_is_none_is_an_error(void **state)
{
    struct release release = quadrants_release();
    struct pipeline_options options = {.runtime_path = "/nonexistent/libonnxruntime.so.1"};
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    assert_fails(pipeline_open(MODELS "quadrants.onnx", &release, &options, &pipeline, &err), err,
                 ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "/nonexistent/libonnxruntime.so.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_named_runtime_that_is_none_is_an_error), /* first: a process opens only one runtime */
        cmocka_unit_test_setup(each_quadrant_is_found_at_any_frame_size, need_runtime),
        cmocka_unit_test_setup(a_bad_model_is_refused_in_one_line, need_runtime),
        cmocka_unit_test_setup(a_tensor_that_differs_is_named, need_runtime),
        cmocka_unit_test_setup(a_result_that_is_no_number_is_an_error, need_runtime),
        cmocka_unit_test_setup(the_self_test_notices_one_wrong_element, need_runtime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
