/* Explanations of real models, and of one that only hands its input on. */
#include "base/testing.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/explain/explain.h"
#include "forge/recipe.h"
#include "sys/file.h"
#include "wire/onnx/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MODELS MUSTER_SOURCE_DIR "/models/"

/* NULL: there is no runtime on this machine. */
static struct subject *open_recipe(const char *yaml)
{
    struct err err = {0};
    struct subject *subject = NULL;
    cleanup_recipe struct recipe recipe = {0};
    assert_ok(recipe_read(yaml, &recipe, &err), err);
    if (subject_open(recipe.model_path, &recipe.release, NULL, &subject, &err) < 0) {
        print_message("%s\n", err.text);
        assert_int_equal(err.code, ERR_UNSUPPORTED);
    }
    return subject;
}

static struct explanation *explain(struct subject *subject, const char *frame, uint64_t seed)
{
    struct err err = {0};
    struct explanation *explanation = NULL;
    const struct explain_how how = {.target = EXPLAIN_STRONGEST, .passes = 60, .seed = seed};
    assert_ok(subject_read(subject, frame, &err), err);
    assert_ok(explain_make(subject, &how, &explanation, &err), err);
    return explanation;
}

/* Another session, and nothing but what was stated. */
static void assert_flips(struct subject *again, const char *frame, const struct explanation *explanation)
{
    struct err err = {0};
    struct answer answer;
    assert_ok(subject_read(again, frame, &err), err);
    assert_ok(subject_aim(again, explanation->target, &err), err);
    const struct scene *scene = subject_scene(again);
    cleanup_free float *keep = mem_zalloc(scene_places(scene), sizeof *keep);
    flip_mask(scene, &explanation->flip, keep);
    assert_ok(scene->ask(scene->arg, keep, explanation->flip.fill, &answer, &err), err);
    assert_false(answer.stands);
    assert_true(fabs(answer.score - explanation->flip.after) < 1e-4);
}

static void assert_picture(const struct subject *subject, const struct explanation *explanation)
{
    struct err err = {0};
    cleanup_picture struct picture picture = {0};
    assert_ok(explanation_paint(subject, explanation, &picture, &err), err);
    assert_true(picture.width >= 640 && picture.width % explanation->saliency.width == 0);
}

static void check(const char *yaml, const char *frame, const char *label)
{
    cleanup_subject struct subject *subject = open_recipe(yaml);
    cleanup_subject struct subject *again = NULL;
    if (!subject)
        skip();
    again = open_recipe(yaml);
    cleanup_explanation struct explanation *explanation = explain(subject, frame, 1);
    cleanup_explanation struct explanation *same = explain(again, frame, 1);
    if (label)
        assert_string_equal(explanation->label, label);
    assert_true(explanation->stands && explanation->margin >= 0);
    assert_true(explanation->flip.found);
    assert_true(explanation->faith.worth > FAITH_LOW);
    assert_memory_equal(explanation->saliency.map, same->saliency.map,
                        sizeof(float) * (size_t)explanation->saliency.width *
                            (size_t)explanation->saliency.height);
    assert_flips(again, frame, explanation);
    assert_picture(subject, explanation);
}

static void test_detection(void **state)
{
    check(MODELS "detector-2.0.0/release.yaml", MODELS "golden/dock.png", NULL);
    check(MODELS "detector-2.0.0/release.yaml", MODELS "golden/north.png", NULL);
}

static void test_series(void **state)
{
    check(MODELS "fall-2.0.0/release.yaml", MODELS "golden-fall/forward.f32", "fall");
}

/* What does not happen is explained too: what would have to be covered for it to happen, if anything. */
static void test_below(void **state)
{
    cleanup_subject struct subject *subject = open_recipe(MODELS "fall-2.0.0/release.yaml");
    if (!subject)
        skip();
    cleanup_explanation struct explanation *explanation = explain(subject, MODELS "golden-fall/none.f32", 1);
    assert_false(explanation->stands);
    assert_true(explanation->margin < 0);
}

static void test_refused(void **state)
{
    struct err err = {0};
    cleanup_subject struct subject *pictures = open_recipe(MODELS "detector-2.0.0/release.yaml");
    cleanup_subject struct subject *series = open_recipe(MODELS "fall-2.0.0/release.yaml");
    if (!pictures || !series)
        skip();
    assert_fails(subject_read(pictures, MODELS "golden-fall/none.f32", &err), err, ERR_REFUSED);
    assert_fails(subject_read(series, MODELS "golden/dock.png", &err), err, ERR_REFUSED);
    assert_fails(subject_tell(series, (const float[7]){0}, 7, &err), err, ERR_REFUSED);
    assert_fails(subject_read(pictures, MODELS "golden/none.png", &err), err, ERR_NOT_FOUND);
    assert_ok(subject_read(pictures, MODELS "golden/dock.png", &err), err);
    assert_fails(subject_aim(pictures, 1000, &err), err, ERR_NOT_FOUND);
}

static void test_black_frame(void **state)
{
    struct err err = {0};
    cleanup_subject struct subject *subject = open_recipe(MODELS "detector-2.0.0/release.yaml");
    cleanup_picture struct picture black = {0};
    if (!subject)
        skip();
    assert_ok(picture_init(&black, 160, 128, &err), err);
    assert_ok(subject_show(subject, &black, &err), err);
    assert_fails(subject_aim(subject, 0, &err), err, ERR_NOT_FOUND);
}

/* ---- a classifier of numbers ---- */

enum { LABELS = 4 };

static int put(void *arg, const void *data, size_t len, struct err *err)
{
    return buf_put(arg, data, len, err);
}

static void write_echo(const char *path)
{
    struct err err = {0};
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
    cleanup_onnx_model struct onnx_model *model = onnx_model_new(8, 17);
    struct onnx_graph *graph = onnx_model_graph(model);
    const int64_t dims[] = {1, LABELS};
    const char *const in[] = {"x"}, *const out[] = {"y"};
    graph->name = onnx_model_name(model, "echo");
    assert_non_null(
        onnx_model_add_value(model, &graph->inputs, &graph->input_count, "x", DTYPE_FLOAT32, dims, 2));
    assert_non_null(
        onnx_model_add_value(model, &graph->outputs, &graph->output_count, "y", DTYPE_FLOAT32, dims, 2));
    assert_non_null(onnx_model_add_node(model, "Identity", "echo", in, 1, out, 1));
    const struct onnx_writer writer = {.put = put, .arg = &bytes};
    assert_ok(onnx_model_write(model, &writer, &err), err);
    assert_ok(file_replace(path, bytes.data, bytes.len, 0644, &err), err);
}

static struct release echo_release(void)
{
    struct release release = {.name = "echo",
                              .version = "1.0.0",
                              .task = TASK_CLASSIFICATION,
                              .frame = FRAME_FLOAT32,
                              .input_count = 1,
                              .output_count = 1,
                              .label_count = LABELS,
                              .runtime = {.threads = 1, .provider_count = 1}};
    const struct tensor_spec x = {.name = "x", .dtype = DTYPE_FLOAT32, .dim_count = 2, .dims = {1, LABELS}};
    release.inputs[0] = release.outputs[0] = x;
    str_copy(release.outputs[0].name, sizeof release.outputs[0].name, "y");
    release.postprocess.decoder = DECODER_SCORES;
    for (int i = 0; i < LABELS; i++)
        snprintf(release.labels[i], sizeof release.labels[i], "label-%d", i);
    return release;
}

static void test_classes(void **state)
{
    struct err err = {0};
    char dir[] = "/tmp/muster-explain-XXXXXX";
    assert_non_null(mkdtemp(dir));
    cleanup_free char *path = mem_printf("%s/echo.onnx", dir);
    cleanup_subject struct subject *subject = NULL;
    cleanup_explanation struct explanation *explanation = NULL;
    const struct release release = echo_release();
    const struct explain_how how = {.target = EXPLAIN_STRONGEST, .passes = 40, .seed = 1};
    write_echo(path);
    int opened = subject_open(path, &release, NULL, &subject, &err);
    struct err removing = {0};
    assert_ok(file_remove_tree(dir, &removing), removing);
    if (opened < 0)
        skip();
    assert_ok(subject_tell(subject, (const float[]){0.1F, 0.6F, 0.9F, 0.2F}, LABELS, &err), err);
    assert_ok(explain_make(subject, &how, &explanation, &err), err);
    assert_string_equal(explanation->label, "label-2");
    assert_true(fabs(explanation->margin - 0.3) < 1e-6);
    assert_true(isnan(explanation->limit));
    for (int i = 0; i < LABELS; i++) /* it hangs on its own number alone */
        assert_true(explanation->saliency.map[2] >= explanation->saliency.map[i]);
    assert_true(explanation->flip.found);
    assert_int_equal(explanation->flip.count, 1);
    assert_int_equal(explanation->flip.cells[0].area.x0, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detection), cmocka_unit_test(test_series),      cmocka_unit_test(test_below),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_black_frame), cmocka_unit_test(test_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
