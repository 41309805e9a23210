#include "infer/fidelity.h"

#include "base/testing.h"

#include <math.h>
#include <string.h>

static struct lab_tensor tensor(const float *data, size_t count, int64_t rows, int64_t columns)
{
    return (struct lab_tensor){.dtype = DTYPE_FLOAT32,
                               .dim_count = 3,
                               .dims = {1, rows, columns},
                               .data = data,
                               .bytes = count * sizeof *data};
}

static double compare(struct fidelity fidelity, const float *a, const float *b, int64_t rows, int64_t columns)
{
    struct lab_tensor parent = tensor(a, (size_t)(rows * columns), rows, columns);
    struct lab_tensor candidate = tensor(b, (size_t)(rows * columns), rows, columns);
    fidelity.output_count = 1;
    return fidelity_of(&fidelity, &parent, &candidate);
}

static void a_model_agrees_with_itself(void **state)
{
    const float data[24] = {0.1F, 0.9F, 0.4F, 0.6F, 0, 1, 0.5F, 0.5F};
    for (int kind = 0; kind <= FIDELITY_MAP; kind++)
        if (kind != FIDELITY_DETECTIONS)
            assert_true(compare((struct fidelity){.kind = (enum fidelity_kind)kind}, data, data, 12, 2) == 1);
}

static void nan_and_infinity_are_nothing(void **state)
{
    const float good[4] = {0.1F, 0.9F, 0.4F, 0.6F};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++)
        for (int kind = 0; kind <= FIDELITY_MAP; kind++) {
            float data[4] = {0.1F, 0.9F, 0.4F, bad[i]};
            assert_true(compare((struct fidelity){.kind = (enum fidelity_kind)kind}, good, data, 2, 2) == 0);
        }
}

static void another_shape_is_nothing(void **state)
{
    const float data[6] = {0};
    struct fidelity fidelity = {.kind = FIDELITY_VALUES, .output_count = 1};
    struct lab_tensor a = tensor(data, 6, 2, 3), b = tensor(data, 6, 3, 2);
    assert_true(fidelity_of(&fidelity, &a, &b) == 0);
    b = tensor(data, 4, 2, 2);
    assert_true(fidelity_of(&fidelity, &a, &b) == 0);
}

static void values_fall_with_the_distance(void **state)
{
    const struct fidelity fidelity = {.kind = FIDELITY_VALUES};
    const float a[2] = {3, 4}, near[2] = {3, 4.5F}, far[2] = {-3, -4}, none[2] = {0, 0};
    assert_true(fabs(compare(fidelity, a, near, 1, 2) - 0.9) < 1e-6);
    assert_true(compare(fidelity, a, far, 1, 2) == 0);
    assert_true(compare(fidelity, none, none, 1, 2) == 1);
    assert_true(compare(fidelity, none, a, 1, 2) == 0);
}

static void the_worst_output_counts_and_state_does_not(void **state)
{
    const float a[2] = {3, 4}, b[2] = {3, 4.5F}, c[2] = {0, 0};
    struct lab_tensor parent[3] = {tensor(a, 2, 1, 2), tensor(a, 2, 1, 2), tensor(a, 2, 1, 2)};
    struct lab_tensor candidate[3] = {tensor(a, 2, 1, 2), tensor(b, 2, 1, 2), tensor(c, 2, 1, 2)};
    struct fidelity fidelity = {.kind = FIDELITY_VALUES, .output_count = 2};
    assert_true(fabs(fidelity_of(&fidelity, parent, candidate) - 0.9) < 1e-6);
}

static void classes_count_positions(void **state)
{
    const struct fidelity fidelity = {.kind = FIDELITY_CLASSES};
    const float a[8] = {0.1F, 0.9F, 0.8F, 0.2F, 0.3F, 0.7F, 0.6F, 0.4F};
    const float b[8] = {0.4F, 0.6F, 0.8F, 0.2F, 0.7F, 0.3F, 0.6F, 0.4F};
    assert_true(compare(fidelity, a, b, 4, 2) == 0.75);
    assert_true(compare(fidelity, a, b, 1, 8) == 0);    /* 1 beside 2 */
    assert_true(compare(fidelity, a, b, 8, 1) == 0.75); /* yes or no at a half */
}

static void a_map_is_compared_where_either_sees_something(void **state)
{
    const struct fidelity fidelity = {.kind = FIDELITY_MAP};
    float a[64] = {0}, b[64] = {0};
    assert_true(compare(fidelity, a, b, 8, 8) == 1);
    a[0] = a[1] = a[2] = 0.9F;
    assert_true(compare(fidelity, a, b, 8, 8) == 0);
    b[0] = b[1] = b[3] = 0.6F;
    assert_true(fabs(compare(fidelity, a, b, 8, 8) - 2.0 / 3) < 1e-9);
}

/* ---- detections ---- */

enum { LABELS = 2, COLUMNS = 9, ROWS = 4 + LABELS };

static struct release detector(void)
{
    struct release release = {
        .task = TASK_DETECTION, .input_count = 1, .output_count = 1, .label_count = LABELS};
    release.inputs[0] = (struct tensor_spec){
        .name = "images", .dtype = DTYPE_FLOAT32, .dim_count = 4, .dims = {1, 3, 64, 96}};
    release.outputs[0] = (struct tensor_spec){
        .name = "output0", .dtype = DTYPE_FLOAT32, .dim_count = 3, .dims = {1, ROWS, COLUMNS}};
    release.preprocess.layout = LAYOUT_NCHW;
    release.postprocess.decoder = DECODER_YOLOV8;
    release.postprocess.score_threshold = 0.4;
    release.postprocess.iou_threshold = 0.5;
    release.postprocess.max_detections = 20;
    return release;
}

static void put(float *output, int column, float cx, float cy, float side, int label, float score)
{
    const float box[4] = {cx, cy, side, side};
    for (int row = 0; row < 4; row++)
        output[row * COLUMNS + column] = box[row];
    output[(4 + label) * COLUMNS + column] = score;
}

static void detections_are_matched_by_place_and_label(void **state)
{
    struct release release = detector();
    const struct fidelity fidelity = {.kind = FIDELITY_DETECTIONS, .release = &release};
    float a[ROWS * COLUMNS] = {0}, b[ROWS * COLUMNS] = {0};
    assert_true(compare(fidelity, a, b, ROWS, COLUMNS) == 1);
    put(a, 0, 20, 20, 16, 0, 0.9F);
    put(a, 1, 80, 40, 16, 1, 0.6F);
    put(b, 5, 21, 20, 16, 0, 0.5F);  /* a little moved */
    put(b, 6, 80, 40, 16, 1, 0.39F); /* too weak */
    assert_true(fabs(compare(fidelity, a, b, ROWS, COLUMNS) - 2.0 / 3) < 1e-9);
    put(b, 6, 80, 40, 16, 1, 0.41F);
    assert_true(compare(fidelity, a, b, ROWS, COLUMNS) == 1);
    put(b, 7, 40, 40, 12, 1, 0.5F); /* one too many */
    assert_true(fabs(compare(fidelity, a, b, ROWS, COLUMNS) - 0.8) < 1e-9);
    put(b, 5, 30, 20, 16, 0, 0.5F); /* moved too far: one missed, two too many */
    assert_true(fabs(compare(fidelity, a, b, ROWS, COLUMNS) - 0.4) < 1e-9);
    release.label_count = 1; /* does not fit the tensor any more */
    assert_true(compare(fidelity, a, b, ROWS, COLUMNS) == 0);
}

/* ---- the kind ---- */

static void the_kind_follows_the_task_or_the_numbers(void **state)
{
    struct release release = detector();
    float data[128];
    for (int i = 0; i < 128; i++)
        data[i] = 0.5F;
    struct lab_tensor outputs[2] = {tensor(data, 2, 1, 2), tensor(data, 2, 1, 2)};
    assert_int_equal(fidelity_for(&release, outputs, 1).kind, FIDELITY_DETECTIONS);
    release = (struct release){.task = TASK_CONTROL, .postprocess.decoder = DECODER_RAW, .state_count = 1};
    struct fidelity fidelity = fidelity_for(&release, outputs, 2);
    assert_int_equal(fidelity.kind, FIDELITY_VALUES);
    assert_int_equal(fidelity.output_count, 1);
    release = (struct release){.task = TASK_CLASSIFICATION, .postprocess.decoder = DECODER_SCORES};
    assert_int_equal(fidelity_for(&release, outputs, 1).kind, FIDELITY_CLASSES);
    assert_int_equal(fidelity_for(NULL, outputs, 1).kind, FIDELITY_CLASSES);
    outputs[0] = tensor(data, 64, 8, 8);
    assert_int_equal(fidelity_for(NULL, outputs, 1).kind, FIDELITY_MAP);
    assert_int_equal(fidelity_for(NULL, outputs, 2).kind, FIDELITY_VALUES); /* one of each */
    data[5] = 1.5F;
    assert_int_equal(fidelity_for(NULL, outputs, 1).kind, FIDELITY_VALUES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_agrees_with_itself),
        cmocka_unit_test(nan_and_infinity_are_nothing),
        cmocka_unit_test(another_shape_is_nothing),
        cmocka_unit_test(values_fall_with_the_distance),
        cmocka_unit_test(the_worst_output_counts_and_state_does_not),
        cmocka_unit_test(classes_count_positions),
        cmocka_unit_test(a_map_is_compared_where_either_sees_something),
        cmocka_unit_test(detections_are_matched_by_place_and_label),
        cmocka_unit_test(the_kind_follows_the_task_or_the_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
