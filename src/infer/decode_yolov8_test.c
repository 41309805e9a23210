#include "infer/decode_yolov8.h"

#include "base/testing.h"

#include <math.h>
#include <string.h>

enum { LABELS = 3, COLUMNS = 21, ROWS = 4 + LABELS };

static const struct placement plain = {.scale_x = 1, .scale_y = 1};

static struct decoder new_decoder(double threshold)
{
    struct release release = {.output_count = 1, .label_count = LABELS};
    release.outputs[0] = (struct tensor_spec){
        .name = "output0", .dtype = DTYPE_FLOAT32, .dim_count = 3, .dims = {1, ROWS, COLUMNS}};
    release.postprocess.score_threshold = threshold;
    release.postprocess.iou_threshold = 0.5;
    struct decoder decoder;
    struct err err = {0};
    assert_ok(decoder_init(&decoder, &release, &err), err);
    return decoder;
}

static void put(float *output, int column, float cx, float cy, float width, float height, int label,
                float score)
{
    const float box[4] = {cx, cy, width, height};
    for (int row = 0; row < 4; row++)
        output[row * COLUMNS + column] = box[row];
    output[(4 + label) * COLUMNS + column] = score;
}

static void a_candidate_becomes_a_box(void **state)
{
    float output[ROWS * COLUMNS] = {0};
    struct decoder decoder = new_decoder(0.3);
    struct detection found[8];
    put(output, COLUMNS - 1, 50, 40, 20, 10, 2, 0.9F);
    assert_int_equal(decoder_run(&decoder, output, &plain, 100, 100, found, 8), 1);
    assert_true(found[0].x0 == 40 && found[0].x1 == 60 && found[0].y0 == 35 && found[0].y1 == 45);
    assert_true(found[0].label == 2 && found[0].score == 0.9F);
    decoder_fini(&decoder);
}

static void boxes_go_back_to_the_frame(void **state)
{
    float output[ROWS * COLUMNS] = {0};
    const struct placement placement = {.scale_x = 0.5F, .scale_y = 0.5F, .offset_x = 10, .offset_y = 4};
    struct decoder decoder = new_decoder(0.3);
    struct detection found[8];
    put(output, 3, 30, 24, 20, 20, 0, 0.9F);
    assert_int_equal(decoder_run(&decoder, output, &placement, 200, 200, found, 8), 1);
    assert_true(found[0].x0 == 20 && found[0].x1 == 60 && found[0].y0 == 20 && found[0].y1 == 60);
    decoder_fini(&decoder);
}

static void what_is_weak_or_outside_is_dropped_and_the_rest_clipped(void **state)
{
    float output[ROWS * COLUMNS] = {0};
    struct decoder decoder = new_decoder(0.3);
    struct detection found[8];
    put(output, 0, 50, 50, 10, 10, 0, 0.29F);
    put(output, 1, 500, 50, 10, 10, 0, 0.9F);
    put(output, 2, 50, 50, 0, 10, 0, 0.9F);
    put(output, 3, 0, 0, 30, 30, 1, 0.8F);
    assert_int_equal(decoder_run(&decoder, output, &plain, 100, 100, found, 8), 1);
    assert_true(found[0].x0 == 0 && found[0].y0 == 0 && found[0].x1 == 15 && found[0].y1 == 15);
    decoder_fini(&decoder);
}

/* Whatever a model says, what comes out is in range, ordered, and not more than asked for. */
static void any_finite_output_gives_sane_detections(void **state)
{
    struct decoder decoder = new_decoder(0);
    uint32_t seed = 3;
    for (int round = 0; round < 2000; round++) {
        float output[ROWS * COLUMNS];
        for (size_t i = 0; i < ROWS * COLUMNS; i++) {
            seed = seed * 1664525U + 1013904223U;
            float wild = ldexpf((float)(int32_t)seed / 2147483648.0F, (int)(seed % 60) - 20);
            output[i] = i < 4 * COLUMNS ? wild : (float)(seed >> 8) / 16777216.0F;
        }
        struct detection found[5];
        size_t count = decoder_run(&decoder, output, &plain, 160, 128, found, 5);
        assert_in_range(count, 0, 5);
        for (size_t i = 0; i < count; i++) {
            assert_true(found[i].x0 >= 0 && found[i].x1 <= 160 && found[i].x0 < found[i].x1);
            assert_true(found[i].y0 >= 0 && found[i].y1 <= 128 && found[i].y0 < found[i].y1);
            assert_true(found[i].label < LABELS && found[i].score >= 0 && found[i].score <= 1);
            assert_true(i == 0 || found[i - 1].score >= found[i].score);
        }
    }
    decoder_fini(&decoder);
}

static void only_the_yolov8_shape_is_taken(void **state)
{
    static const struct tensor_spec wrong[] = {
        {.dtype = DTYPE_FLOAT32, .dim_count = 3, .dims = {1, ROWS + 1, COLUMNS}},
        {.dtype = DTYPE_FLOAT32, .dim_count = 3, .dims = {2, ROWS, COLUMNS}},
        {.dtype = DTYPE_FLOAT32, .dim_count = 2, .dims = {ROWS, COLUMNS}},
        {.dtype = DTYPE_INT32, .dim_count = 3, .dims = {1, ROWS, COLUMNS}},
        {.dtype = DTYPE_FLOAT32, .dim_count = 3, .dims = {1, ROWS, INT64_MAX}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct release release = {.output_count = 1, .label_count = LABELS, .outputs = {wrong[i]}};
        struct decoder decoder;
        struct err err = {0};
        assert_fails(decoder_init(&decoder, &release, &err), err, ERR_UNSUPPORTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_candidate_becomes_a_box),
        cmocka_unit_test(boxes_go_back_to_the_frame),
        cmocka_unit_test(what_is_weak_or_outside_is_dropped_and_the_rest_clipped),
        cmocka_unit_test(any_finite_output_gives_sane_detections),
        cmocka_unit_test(only_the_yolov8_shape_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
