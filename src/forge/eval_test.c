#include "forge/fixture.h"

#include "forge/bench.h"
#include "forge/eval.h"
#include "forge/recipe.h"
#include "forge/spread.h"

#include <math.h>

/* Two pictures, out of order: a.png with red in quadrant 0, b.png with green in quadrant 3. Then more
 * annotations and the name of a third category. */
#define COCO                                                                                                 \
    "{\"images\": [{\"id\": 7, \"file_name\": \"b.png\"}, {\"id\": 3, \"file_name\": \"a.png\"}],"           \
    " \"annotations\": [{\"image_id\": 7, \"category_id\": 2, \"bbox\": [8, 8, 8, 8]},"                      \
    "  {\"image_id\": 3, \"category_id\": 1, \"bbox\": [0, 0, 8, 8]},"                                       \
    "  {\"image_id\": 3, \"category_id\": 1, \"bbox\": [9, 9, 2, 2], \"iscrowd\": 1}%s],"                    \
    " \"categories\": [{\"id\": 1, \"name\": \"red\"}, {\"id\": 2, \"name\": \"green\"},"                    \
    "  {\"id\": 9, \"name\": \"%s\"}]}"

static int parse(const char *text, size_t len, struct err *err)
{
    struct coco *out = NULL;
    if (coco_parse(text, len, &out, err) < 0)
        return -1;
    coco_free(out);
    return 0;
}

static void annotations_are_read_whatever_their_order(void **state)
{
    struct err err = {0};
    struct coco *out = NULL;
    cleanup_free char *text = mem_printf(COCO, "", "blue");
    assert_ok(coco_parse(text, strlen(text), &out, &err), err);
    assert_int_equal(out->image_count, 2);
    assert_int_equal(out->box_count, 2); /* the crowd does not count */
    assert_string_equal(out->images[0].file_name, "a.png");
    assert_int_equal(out->images[0].count, 1);
    assert_int_equal(out->boxes[out->images[0].first].box.label, 0);
    assert_int_equal(out->boxes[out->images[1].first].box.label, 1);
    assert_true(out->boxes[out->images[1].first].box.x1 == 16);
    coco_free(out);
}

static void bad_annotations_are_refused(void **state)
{
    static const char *const more[] = {
        ", {\"image_id\": 8, \"category_id\": 1, \"bbox\": [0, 0, 1, 1]}", /* no such image */
        ", {\"image_id\": 7, \"category_id\": 5, \"bbox\": [0, 0, 1, 1]}", /* no such category */
        ", {\"image_id\": 7, \"category_id\": 1, \"bbox\": [0, 0, 1]}",
        ", {\"image_id\": 7, \"category_id\": 1, \"bbox\": [0, 0, 1, 1, 1]}",
        ", {\"image_id\": 7, \"category_id\": 1, \"bbox\": [0, 0, -1, 1]}",
        ", {\"image_id\": 7, \"category_id\": 1}",
        ", 7",
        ", {\"image_id\": 7, \"image_id\": 7, \"category_id\": 1, \"bbox\": [0, 0, 1, 1]}",
    };
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        cleanup_free char *text = mem_printf(COCO, more[i], "blue");
        assert_fails(parse(text, strlen(text), &err), err, ERR_INVALID);
    }
    static const char escaping[] =
        "{\"images\": [{\"id\": 1, \"file_name\": \"../../etc/passwd\"}], \"annotations\": [], "
        "\"categories\": []}";
    assert_fails(parse(escaping, strlen(escaping), &err), err, ERR_INVALID);
    cleanup_free char *whole = mem_printf(COCO, "", "blue");
    for (size_t len = 0; len < strlen(whole); len++)
        assert_fails(parse(whole, len, &err), err, ERR_INVALID);
}

static void write_data(const struct fixture *fixture, const char *more, const char *third)
{
    cleanup_free char *a = mem_printf("%s/a.png", fixture->dir), *b = mem_printf("%s/b.png", fixture->dir);
    cleanup_free char *annotations = mem_printf("%s/annotations.json", fixture->dir);
    cleanup_free char *text = mem_printf(COCO, more, third);
    fixture_picture(a, 0, 0);
    fixture_picture(b, 3, 1);
    fixture_write(annotations, text);
}

static int evaluate(const struct fixture *fixture, struct eval_report *out, struct err *err)
{
    const struct eval_options options = {.min_score = -1};
    cleanup_recipe struct recipe recipe = {0};
    if (recipe_read(fixture->yaml, &recipe, err) < 0)
        return -1;
    return eval_model(recipe.model_path, &recipe.release, fixture->dir, &options, out, err);
}

static void a_perfect_model_scores_one_and_a_blind_spot_costs(void **state)
{
    static struct eval_report report;
    struct err err = {0};
    struct fixture fixture;
    fixture_init(&fixture);
    write_data(&fixture, "", "blue");
    if (evaluate(&fixture, &report, &err) < 0 && err.code == ERR_UNSUPPORTED)
        skip();
    assert_ok(evaluate(&fixture, &report, &err), err);
    assert_int_equal(report.frames, 2);
    assert_true(report.map50 == 1 && report.precision == 1 && report.recall == 1);
    assert_true(isnan(report.classes[2].ap50)); /* nothing blue is there */

    /* something blue is there, which the model does not know: a third of the mean is gone */
    write_data(&fixture, ", {\"image_id\": 7, \"category_id\": 9, \"bbox\": [0, 0, 8, 8]}", "blue");
    assert_ok(evaluate(&fixture, &report, &err), err);
    assert_true(fabs(report.map50 - 2.0 / 3) < 1e-9);
    assert_true(report.classes[2].ap50 == 0 && !report.classes[2].known && report.classes[0].known);

    /* a red thing that is not seen */
    write_data(&fixture, ", {\"image_id\": 7, \"category_id\": 1, \"bbox\": [0, 0, 8, 8]}", "blue");
    assert_ok(evaluate(&fixture, &report, &err), err);
    assert_true(report.map50 < 1 && report.recall < 1 && report.precision == 1);
    assert_true(report.latency_p99_ms >= report.latency_p50_ms && report.latency_p50_ms >= report.run_p50_ms);

    cleanup_free char *picture = mem_printf("%s/a.png", fixture.dir);
    assert_int_equal(unlink(picture), 0);
    assert_fails(evaluate(&fixture, &report, &err), err, ERR_NOT_FOUND);
    fixture_fini(&fixture);
}

static void models_are_measured_side_by_side(void **state)
{
    struct err err = {0};
    static struct release releases[2];
    struct bench_report reports[2];
    struct bench_model models[2];
    const struct bench_options options = {.rounds = 5};
    static const char *const names[] = {MODELS "quadrants.onnx", MODELS "transposed.onnx"};
    for (int i = 0; i < 2; i++) {
        assert_ok(bench_release_of(names[i], &releases[i], &err), err);
        models[i] = (struct bench_model){.name = names[i], .model_path = names[i], .release = &releases[i]};
    }
    if (bench_models(models, 2, &options, reports, &err) < 0) {
        assert_int_equal(err.code, ERR_UNSUPPORTED);
        skip();
    }
    for (int i = 0; i < 2; i++)
        assert_true(reports[i].total_p99_ms >= reports[i].total_p50_ms && reports[i].total_p50_ms > 0);
    assert_fails(bench_release_of(MODELS "garbage.onnx", &releases[0], &err), err, ERR_INVALID);
}

static void quantiles_are_values_that_were_added(void **state)
{
    struct err err = {0};
    cleanup_spread struct spread spread = {0};
    assert_true(spread_quantile_ms(&spread, 0.5) == 0);
    for (int i = 1000; i >= 1; i--)
        assert_ok(spread_add(&spread, i * 1000000LL, &err), err);
    assert_true(spread_quantile_ms(&spread, 0) == 1);
    assert_true(spread_quantile_ms(&spread, 0.5) == 500);
    assert_true(spread_quantile_ms(&spread, 0.99) == 990);
    assert_true(spread_quantile_ms(&spread, 1) == 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(annotations_are_read_whatever_their_order),
        cmocka_unit_test(bad_annotations_are_refused),
        cmocka_unit_test(a_perfect_model_scores_one_and_a_blind_spot_costs),
        cmocka_unit_test(models_are_measured_side_by_side),
        cmocka_unit_test(quantiles_are_values_that_were_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
