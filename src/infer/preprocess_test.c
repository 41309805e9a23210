#include "infer/preprocess.h"

#include "base/testing.h"
#include "infer/convert.h"

#include <math.h>
#include <string.h>

static struct release image_release(int width, int height)
{
    struct release release = {.input_count = 1};
    release.inputs[0] = (struct tensor_spec){
        .name = "images", .dtype = DTYPE_FLOAT32, .dim_count = 4, .dims = {1, 3, height, width}};
    release.preprocess.scale = 1.0 / 255;
    release.preprocess.pad = 114;
    for (int c = 0; c < 3; c++)
        release.preprocess.std[c] = 1;
    return release;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

static void fill(uint8_t *data, size_t len, uint32_t seed)
{
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)next_random(&seed);
}

/* Every element against the definition x = (u8 * scale - mean) / std, at sizes that leave remainders for the
 * vectoriser. */
static void each_element_follows_the_definition(void **state)
{
    static uint8_t frame[33 * 7 * 3];
    static float out[33 * 7 * 3];
    const int width = 33, height = 7, pixels = width * height;
    fill(frame, sizeof frame, 1);
    for (int layout = 0; layout < 2; layout++) {
        for (int color = 0; color < 2; color++) {
            struct err err = {0};
            struct release release = image_release(width, height);
            release.preprocess.layout = layout ? LAYOUT_NHWC : LAYOUT_NCHW;
            release.preprocess.color = color ? COLOR_BGR : COLOR_RGB;
            if (layout)
                memcpy(release.inputs[0].dims, (int64_t[]){1, height, width, 3}, 4 * sizeof(int64_t));
            for (int c = 0; c < 3; c++) {
                release.preprocess.mean[c] = 0.1 * (c + 1);
                release.preprocess.std[c] = 0.5 + c;
            }
            struct preprocess pre;
            assert_ok(preprocess_init(&pre, &release, &err), err);
            assert_ok(preprocess_run(&pre, frame, width, height, out, &err), err);
            for (int i = 0; i < pixels; i++) {
                for (int c = 0; c < 3; c++) {
                    double raw = frame[3 * i + (color ? 2 - c : c)];
                    double want = (raw / 255 - release.preprocess.mean[c]) / release.preprocess.std[c];
                    assert_true(fabs((double)out[layout ? 3 * i + c : c * pixels + i] - want) < 1e-5);
                }
            }
            preprocess_fini(&pre);
        }
    }
}

/* A box in the frame, sent through the placement, covers what the resized frame shows there. */
static void letterbox_keeps_shape_and_place(void **state)
{
    static const int sizes[][2] = {{160, 128}, {320, 256}, {640, 360}, {100, 300}, {64, 64}, {17, 5}, {1, 1}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        int width = sizes[s][0], height = sizes[s][1];
        uint8_t *frame = calloc((size_t)width * height, 3);
        float *out = calloc(160 * 128, 3 * sizeof *out);
        memset(frame, 255, (size_t)width * height * 3);
        struct err err = {0};
        struct release release = image_release(160, 128);
        struct preprocess pre;
        assert_ok(preprocess_init(&pre, &release, &err), err);
        assert_ok(preprocess_run(&pre, frame, width, height, out, &err), err);
        const struct placement *at = &pre.placement;
        float right = at->offset_x + width * at->scale_x, bottom = at->offset_y + height * at->scale_y;
        assert_true(at->offset_x >= 0 && at->offset_y >= 0 && right <= 160.01F && bottom <= 128.01F);
        if (width >= 64 && height >= 64) /* rounding to whole pixels aside, the shape stays */
            assert_true(fabsf(at->scale_x / at->scale_y - 1) < 0.05F);
        for (int y = 0; y < 128; y++) {
            for (int x = 0; x < 160; x++) {
                bool inside = x + 0.5F > at->offset_x && x + 0.5F < right && y + 0.5F > at->offset_y &&
                              y + 0.5F < bottom;
                float want = inside ? 1.0F : 114.0F / 255;
                if (width != 160 || height != 128)
                    assert_true(fabsf(out[y * 160 + x] - want) < 1e-5F);
            }
        }
        preprocess_fini(&pre);
        free(frame);
        free(out);
    }
}

static void stretch_fills_the_input(void **state)
{
    uint8_t frame[4 * 3] = {0, 0, 0, 100, 100, 100, 200, 200, 200, 50, 50, 50};
    float out[3 * 64];
    struct err err = {0};
    struct release release = image_release(8, 8);
    release.preprocess.resize = RESIZE_STRETCH;
    release.preprocess.scale = 1;
    struct preprocess pre;
    assert_ok(preprocess_init(&pre, &release, &err), err);
    assert_ok(preprocess_run(&pre, frame, 2, 2, out, &err), err);
    assert_true(out[0] == 0 && out[7] == 100 && out[56] == 200 && out[63] == 50);
    for (int i = 1; i < 8; i++)
        assert_true(out[i] >= out[i - 1]); /* between the two upper pixels */
    preprocess_fini(&pre);
}

static void resizing_never_leaves_the_range_of_its_pixels(void **state)
{
    uint32_t seed = 7;
    for (int round = 0; round < 200; round++) {
        int from_width = 1 + (int)(next_random(&seed) % 60), from_height = 1 + (int)(next_random(&seed) % 60);
        int to_width = 1 + (int)(next_random(&seed) % 60), to_height = 1 + (int)(next_random(&seed) % 60);
        uint8_t *frame =
            malloc((size_t)from_width * from_height * 3); /* exact: the sanitizer watches the ends */
        uint8_t *out = malloc((size_t)to_width * to_height * 3);
        uint8_t low = 255, high = 0;
        for (int i = 0; i < from_width * from_height * 3; i++) {
            frame[i] = (uint8_t)(40 + next_random(&seed) % 100);
            low = frame[i] < low ? frame[i] : low;
            high = frame[i] > high ? frame[i] : high;
        }
        struct err err = {0};
        struct resize resize;
        assert_ok(resize_init(&resize, to_width, to_height, &err), err);
        resize_plan(&resize, from_width, from_height, to_width, to_height);
        resize_run(&resize, frame, out, (size_t)to_width * 3);
        for (int i = 0; i < to_width * to_height * 3; i++)
            assert_in_range(out[i], low, high);
        if (from_width == to_width && from_height == to_height)
            assert_memory_equal(out, frame, (size_t)to_width * to_height * 3);
        resize_fini(&resize);
        free(frame);
        free(out);
    }
}

static void bad_frames_and_bad_inputs_are_refused(void **state)
{
    struct err err = {0};
    struct release release = image_release(8, 8);
    struct preprocess pre;
    uint8_t frame[3] = {0};
    float out[3 * 64];
    assert_ok(preprocess_init(&pre, &release, &err), err);
    static const int sizes[][2] = {{0, 1}, {1, 0}, {-1, 1}, {FRAME_MAX_SIDE + 1, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_fails(preprocess_run(&pre, frame, sizes[i][0], sizes[i][1], out, &err), err, ERR_INVALID);
    preprocess_fini(&pre);
    release.inputs[0].dims[1] = 1;
    assert_fails(preprocess_init(&pre, &release, &err), err, ERR_UNSUPPORTED);
    release = image_release(8, 8);
    release.inputs[0].dtype = DTYPE_UINT8;
    assert_fails(preprocess_init(&pre, &release, &err), err, ERR_UNSUPPORTED);
}

static void one_nonfinite_value_anywhere_is_found(void **state)
{
    float values[37];
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 37; i++)
        values[i] = (float)i * 9e36F;
    assert_false(convert_any_nonfinite(values, 37));
    for (size_t i = 0; i < 37; i++) {
        for (size_t b = 0; b < 3; b++) {
            float saved = values[i];
            values[i] = bad[b];
            assert_true(convert_any_nonfinite(values, 37));
            values[i] = saved;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_element_follows_the_definition),
        cmocka_unit_test(letterbox_keeps_shape_and_place),
        cmocka_unit_test(stretch_fills_the_input),
        cmocka_unit_test(resizing_never_leaves_the_range_of_its_pixels),
        cmocka_unit_test(bad_frames_and_bad_inputs_are_refused),
        cmocka_unit_test(one_nonfinite_value_anywhere_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
