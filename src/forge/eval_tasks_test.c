/* Classifiers and time series, judged through a model that only hands its input on: what it says is what the file says. */
#include "forge/fixture.h"

#include "forge/eval.h"
#include "forge/truth.h"
#include "wire/onnx/model.h"

#include <math.h>

enum { LABELS = 3 };

struct stage {
    struct fixture fixture;
    struct release release;
    char model[128];
};

static int put(void *arg, const void *data, size_t len, struct err *err)
{
    return buf_put(arg, data, len, err);
}

static void write_model(const char *path)
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

static void stage_init(struct stage *stage, enum release_task task)
{
    fixture_init(&stage->fixture);
    snprintf(stage->model, sizeof stage->model, "%s/echo.onnx", stage->fixture.dir);
    write_model(stage->model);
    const struct tensor_spec x = {.name = "x", .dtype = DTYPE_FLOAT32, .dim_count = 2, .dims = {1, LABELS}};
    stage->release =
        (struct release){.name = "echo",
                         .version = "1.0.0",
                         .task = task,
                         .frame = FRAME_FLOAT32,
                         .input_count = 1,
                         .output_count = 1,
                         .inputs = {x},
                         .outputs = {x},
                         .postprocess = {.decoder = DECODER_SCORES},
                         .label_count = LABELS,
                         .labels = {"calm", "walk", "fall"},
                         .runtime = {.threads = 1, .provider_count = 1, .providers = {PROVIDER_CPU}},
                         .safe_state = "alert"};
    str_copy(stage->release.outputs[0].name, sizeof stage->release.outputs[0].name, "y");
}

static void write_in(const struct stage *stage, const char *name, const void *data, size_t len)
{
    struct err err = {0};
    cleanup_free char *path = file_join(stage->fixture.dir, name);
    assert_ok(file_replace(path, data, len, 0644, &err), err);
}

static bool evaluate(const struct stage *stage, struct eval_report *out)
{
    struct err err = {0};
    const struct eval_options options = {.min_score = -1};
    if (eval_model(stage->model, &stage->release, stage->fixture.dir, &options, out, &err) < 0) {
        if (err.code != ERR_UNSUPPORTED)
            fail_msg("%s", err.text);
        return false; /* no runtime */
    }
    return true;
}

static void a_classifier_is_as_good_as_what_it_says(void **state)
{
    static struct stage stage;
    static struct eval_report report;
    struct err err = {0};
    cleanup_buf struct buf labels = BUF_INIT(4096);
    stage_init(&stage, TASK_CLASSIFICATION);
    for (int i = 0; i < 30; i++) { /* every fifth is wrong, and says the next label */
        char name[16];
        float scores[LABELS] = {0};
        int truth = i % LABELS;
        snprintf(name, sizeof name, "%d.f32", i);
        scores[i % 5 ? truth : (truth + 1) % LABELS] = 1;
        write_in(&stage, name, scores, sizeof scores);
        assert_ok(
            buf_printf(&labels, &err, "%s\"%s\": \"%s\"", i ? ", " : "{", name, stage.release.labels[truth]),
            err);
    }
    assert_ok(buf_puts(&labels, "}", &err), err);
    write_in(&stage, "labels.json", labels.data, labels.len);
    if (evaluate(&stage, &report)) {
        assert_int_equal(report.frames, 30);
        assert_true(fabs(report.accuracy - 0.8) < 1e-12);
        /* Clopper-Pearson, 24 of 30 */
        assert_true(fabs(report.accuracy_bounds.low - 0.6143) < 1e-3 &&
                    fabs(report.accuracy_bounds.high - 0.9229) < 1e-3);
        for (size_t i = 0; i < LABELS; i++)
            assert_true(fabs(report.classes[i].recall - 0.8) < 1e-12 && report.classes[i].truths == 10);
    }
    fixture_fini(&stage.fixture);
}

static void a_series_is_judged_by_its_events(void **state)
{
    enum { RATE = 10, SECONDS = 60 };
    static struct stage stage;
    static struct eval_report report;
    static float frames[RATE * SECONDS][LABELS];
    stage_init(&stage, TASK_TIMESERIES);
    for (int i = 0; i < RATE * SECONDS; i++) {
        double t = (double)i / RATE;
        bool found = t >= 10.5 && t < 12, false_alarm = t >= 40 && t < 40.3;
        frames[i][found || false_alarm ? 2 : 0] = 1;
    }
    write_in(&stage, "day.f32", frames, sizeof frames);
    static const char events[] = "{\"rate_hz\": 10, \"labels\": [\"fall\"], \"tolerance_s\": 0.5, "
                                 "\"series\": [{\"file\": \"day.f32\", "
                                 "\"events\": [{\"label\": \"fall\", \"from_s\": 10, \"to_s\": 11}, "
                                 "{\"label\": \"fall\", \"from_s\": 25, "
                                 "\"to_s\": 26}]}]}";
    write_in(&stage, "events.json", events, strlen(events));
    if (evaluate(&stage, &report)) {
        assert_int_equal(report.events, 2);
        assert_int_equal(report.found, 1);
        assert_int_equal(report.false_alarms, 1);
        assert_true(fabs(report.mean_delay_s - 0.5) < 1e-9);
        assert_true(fabs(report.false_alarms_per_hour - 60) < 1e-9);
        assert_true(report.false_alarm_bounds.low < 60 && report.false_alarm_bounds.high > 60);
    }
    fixture_fini(&stage.fixture);
}

static int parse(const char *text, bool events, struct err *err)
{
    static const struct release release = {.label_count = LABELS, .labels = {"calm", "walk", "fall"}};
    cleanup_truth struct truth *truth = NULL;
    return events ? truth_parse_events(text, strlen(text), &release, &truth, err)
                  : truth_parse_labels(text, strlen(text), &release, &truth, err);
}

static void bad_truths_are_refused_in_one_line(void **state)
{
    static const struct {
        const char *text;
        bool events;
        enum err_code code;
    } rows[] = {
        {"{\"a.png\": \"flying\"}", false, ERR_REFUSED},
        {"{\"../a.png\": \"walk\"}", false, ERR_INVALID},
        {"{\"a.png\": 7}", false, ERR_INVALID},
        {"{}", false, ERR_INVALID},
        {"[]", false, ERR_INVALID},
        {"{\"rate_hz\": 0, \"labels\": [\"fall\"], \"series\": []}", true, ERR_INVALID},
        {"{\"rate_hz\": 9, \"labels\": [\"dive\"], \"series\": []}", true, ERR_REFUSED},
        {"{\"rate_hz\": 9, \"labels\": [\"fall\"], \"series\": []}", true, ERR_INVALID},
        {"{\"rate_hz\": 9, \"labels\": [\"fall\"], \"series\": [{\"file\": \"a\", \"events\": [{\"label\": "
         "\"fall\", "
         "\"from_s\": 3, \"to_s\": 2}]}]}",
         true, ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        assert_fails(parse(rows[i].text, rows[i].events, &err), err, rows[i].code);
        assert_null(strchr(err.text, '\n'));
    }
}

static void a_controller_has_no_measure(void **state)
{
    static struct stage stage;
    static struct eval_report report;
    struct err err = {0};
    const struct eval_options options = {.min_score = -1};
    stage_init(&stage, TASK_CONTROL);
    assert_fails(eval_model(stage.model, &stage.release, stage.fixture.dir, &options, &report, &err), err,
                 ERR_UNSUPPORTED);
    fixture_fini(&stage.fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_classifier_is_as_good_as_what_it_says),
        cmocka_unit_test(a_series_is_judged_by_its_events),
        cmocka_unit_test(bad_truths_are_refused_in_one_line),
        cmocka_unit_test(a_controller_has_no_measure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
