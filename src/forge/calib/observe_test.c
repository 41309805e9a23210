/* Observing through the real runtime. Without one these tests are skipped. */
#include "forge/calib/calib_testing.h"
#include "forge/calib/observe.h"
#include "forge/calib/watch.h"
#include "forge/graph/graph.h"
#include "infer/runtime.h"

#include <math.h>

enum { SAMPLES = 6, WIDTH = 4 };

/* Skips the test where no runtime is. */
static void wants_runtime(void)
{
    const struct runtime *runtime = NULL;
    struct err err = {0};
    if (runtime_get(NULL, &runtime, &err) < 0)
        skip();
}

/* u = x + w, y = relu(u), s = shape(u). */
static const char *make_model(void)
{
    static const float w[WIDTH] = {-1, 0, 1, 100};
    static const int64_t dims[] = {1, WIDTH};
    const char *path = scratch_path("model.onnx");
    struct err err = {0};
    cleanup_graph struct graph *graph = NULL;
    assert_ok(graph_new(17, &graph, &err), err);
    struct onnx_model *model = graph_model(graph);
    struct onnx_graph *inner = onnx_model_graph(model);
    assert_non_null(
        onnx_model_add_value(model, &inner->inputs, &inner->input_count, "x", DTYPE_FLOAT32, dims, 2));
    assert_non_null(
        onnx_model_add_value(model, &inner->outputs, &inner->output_count, "y", DTYPE_FLOAT32, dims, 2));
    assert_non_null(onnx_model_add_weight(model, "w", DTYPE_FLOAT32, dims, 2, w));
    assert_non_null(
        onnx_model_add_node(model, "Add", "a", (const char *[]){"x", "w"}, 2, (const char *[]){"u"}, 1));
    assert_non_null(
        onnx_model_add_node(model, "Relu", "b", (const char *[]){"u"}, 1, (const char *[]){"y"}, 1));
    assert_non_null(
        onnx_model_add_node(model, "Shape", "c", (const char *[]){"u"}, 1, (const char *[]){"s"}, 1));
    assert_ok(graph_save(graph, path, &err), err);
    return path;
}

static struct samples *make_samples(void)
{
    struct release release = {.input_count = 1, .frame = FRAME_FLOAT32};
    release.inputs[0] =
        (struct tensor_spec){.name = "x", .dtype = DTYPE_FLOAT32, .dim_count = 2, .dims = {1, WIDTH}};
    float x[SAMPLES * WIDTH];
    for (int i = 0; i < SAMPLES * WIDTH; i++)
        x[i] = (float)(i % 7) - 3;
    write_npy("samples/x.npy", DTYPE_FLOAT32, "(6, 4)", x, sizeof x);
    struct samples *samples = NULL;
    struct err err = {0};
    assert_ok(samples_open(scratch_path("samples"), &release, &samples, &err), err);
    return samples;
}

static void observe_or_fail(const char *const *names, size_t count, struct samples *samples,
                            const struct observe_options *options, struct observation *out)
{
    struct err err = {0};
    assert_ok(observe(make_model(), names, count, samples, options, out, &err), err);
}

static uint64_t bins_of(const struct observed *tensor)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < OBSERVE_BINS; i++)
        sum += tensor->bins[i];
    return sum;
}

static void inputs_and_inner_tensors_are_seen_as_they_are(void **state)
{
    wants_runtime();
    cleanup_samples struct samples *samples = make_samples();
    cleanup_observation struct observation observation = {0};
    const char *const names[] = {"y", "x", "u", "x"};
    observe_or_fail(names, ARRAY_LEN(names), samples, &(struct observe_options){.count = SAMPLES},
                    &observation);
    assert_int_equal(observation.count, 3);
    const struct observed *x = observation_find(&observation, "x"), *u = observation_find(&observation, "u"),
                          *y = observation_find(&observation, "y");
    assert_null(observation_find(&observation, "w"));
    assert_float_equal(x->min, -3, 0);
    assert_float_equal(x->max, 3, 0);
    assert_float_equal(u->max, 102, 0);
    assert_float_equal(u->min, -4, 0);
    assert_float_equal(y->min, 0, 0);
    assert_int_equal(u->count, SAMPLES * WIDTH);
    assert_int_equal(bins_of(u), SAMPLES * WIDTH);
    assert_int_equal(u->dim_count, 2);
    assert_int_equal(u->dims[1], WIDTH);
    assert_true(u->finite && u->dtype == DTYPE_FLOAT32);
    double sum = 0, square = 0;
    for (int i = 0; i < SAMPLES * WIDTH; i++) {
        sum += i % 7 - 3;
        square += (i % 7 - 3) * (i % 7 - 3);
    }
    assert_true(fabs(x->mean - sum / (SAMPLES * WIDTH)) < 1e-12);
    assert_true(fabs(x->mean_square - square / (SAMPLES * WIDTH)) < 1e-12);
}

static void what_else_is_observed_changes_nothing(void **state)
{
    wants_runtime();
    cleanup_samples struct samples *samples = make_samples();
    cleanup_observation struct observation all = {0}, one = {0};
    const char *const names[] = {"u", "x", "y"};
    const struct observe_options options = {0};
    observe_or_fail(names, 3, samples, &options, &all);
    observe_or_fail(names, 1, samples, &options, &one);
    const struct observed *a = observation_find(&all, "u"), *b = observation_find(&one, "u");
    assert_int_equal(a->count, SAMPLES / 2 * WIDTH); /* those for fitting */
    assert_memory_equal(a->bins, b->bins, sizeof a->bins);
    assert_true(a->min == b->min && a->max == b->max && a->mean == b->mean &&
                a->mean_square == b->mean_square);
}

static int stop_at_third(void *arg, size_t done, size_t total, struct err *err)
{
    size_t *seen = arg;
    assert_int_equal(total, 2 * SAMPLES);
    assert_int_equal(done, (*seen)++);
    return done == 3 ? err_set(err, ERR_CONFLICT, "interrupted") : 0;
}

static void it_stops_when_it_is_told_to_and_leaves_nothing_behind(void **state)
{
    wants_runtime();
    cleanup_samples struct samples *samples = make_samples();
    struct observation observation = {0};
    const char *const names[] = {"u"};
    size_t seen = 0;
    struct err err = {0};
    const struct observe_options options = {.count = SAMPLES, .progress = stop_at_third, .arg = &seen};
    assert_fails(observe(make_model(), names, 1, samples, &options, &observation, &err), err, ERR_CONFLICT);
    assert_int_equal(seen, 4);
    assert_null(observation.tensors);
    cleanup_free char *left = mem_printf("ls -A '%s' | grep -q tmp-", scratch_dir);
    assert_int_not_equal(system(left), 0);
}

static void what_cannot_be_observed_is_named(void **state)
{
    wants_runtime();
    cleanup_samples struct samples *samples = make_samples();
    struct observation observation = {0};
    struct err err = {0};
    const char *const unknown[] = {"u", "nobody"}, *const integers[] = {"s"}, *const good[] = {"u"};
    struct observe_options options = {0};
    const char *model = make_model();
    assert_fails(observe(model, unknown, 2, samples, &options, &observation, &err), err, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "nobody"));
    assert_fails(observe(model, integers, 1, samples, &options, &observation, &err), err, ERR_UNSUPPORTED);
    options = (struct observe_options){.first = 5, .count = 2};
    assert_fails(observe(model, good, 1, samples, &options, &observation, &err), err, ERR_INVALID);
}

/* A model that was watched before, or wants to be taken for one. */
static void watchers_of_the_models_own_are_passed_over(void **state)
{
    wants_runtime();
    cleanup_samples struct samples *samples = make_samples();
    cleanup_observation struct observation observation = {0};
    const struct observe_options options = {.count = SAMPLES};
    cleanup_graph struct graph *graph = NULL;
    const char *const names[] = {"u"}, *watch = "u", *out = "foreign";
    struct err err = {0};
    const char *path = make_model();
    assert_ok(graph_open(path, &graph, &err), err);
    struct onnx_model *model = graph_model(graph);
    for (int64_t which = 1; which < INT32_MAX; which *= 1000) {
        struct onnx_node *node = graph_add(graph, LAB_WATCH_OP, &watch, 1, &out, 1);
        node->domain = onnx_model_name(model, LAB_WATCH_DOMAIN);
        assert_ok(onnx_node_set_int(model, node, "which", which, &err), err);
        assert_ok(graph_expose(graph, out, &err), err);
        out = graph_fresh(graph, "foreign");
    }
    assert_ok(onnx_model_set_opset(model, LAB_WATCH_DOMAIN, 1, &err), err);
    assert_ok(graph_save(graph, path, &err), err);
    assert_ok(observe(path, names, 1, samples, &options, &observation, &err), err);
    assert_int_equal(observation_find(&observation, "u")->count, SAMPLES * WIDTH);
}

static void shapes_of_all_tensors_come_from_one_run(void **state)
{
    wants_runtime();
    cleanup_samples struct samples *samples = make_samples();
    cleanup_graph struct graph *graph = NULL;
    struct err err = {0};
    const char *model = make_model();
    assert_ok(graph_open(model, &graph, &err), err);
    assert_ok(observe_shapes(model, graph, samples, NULL, &err), err);
    const struct graph_tensor *u = graph_tensor(graph, "u"), *s = graph_tensor(graph, "s");
    assert_true(u->shaped && u->dtype == DTYPE_FLOAT32 && u->dim_count == 2 && u->dims[1] == WIDTH);
    assert_true(s->shaped && s->dtype == DTYPE_INT64 && s->dim_count == 1 && s->dims[0] == 2);
}

static void a_saved_observation_is_the_same_and_a_damaged_one_is_refused(void **state)
{
    wants_runtime();
    cleanup_samples struct samples *samples = make_samples();
    cleanup_observation struct observation made = {0}, read = {0};
    const char *const names[] = {"u", "x", "y"}, *path = scratch_path("observed.bin");
    struct err err = {0};
    observe_or_fail(names, 3, samples, &(struct observe_options){0}, &made);
    assert_ok(observation_save(&made, path, &err), err);
    assert_ok(observation_load(path, &read, &err), err);
    cleanup_buf struct buf first = BUF_INIT(1 << 20), second = BUF_INIT(1 << 20);
    assert_ok(observation_format(&made, &first, &err), err);
    assert_ok(observation_format(&read, &second, &err), err);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    struct observation broken = {0};
    for (size_t cut = 0; cut < first.len; cut += cut < 64 ? 1 : 977)
        assert_fails(observation_parse(first.data, cut, &broken, &err), err, ERR_INVALID);
    first.data[first.len - 1] ^= 1; /* bins that do not add up */
    assert_fails(observation_parse(first.data, first.len, &broken, &err), err, ERR_INVALID);
    assert_null(broken.tensors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_and_inner_tensors_are_seen_as_they_are),
        cmocka_unit_test(what_else_is_observed_changes_nothing),
        cmocka_unit_test(it_stops_when_it_is_told_to_and_leaves_nothing_behind),
        cmocka_unit_test(what_cannot_be_observed_is_named),
        cmocka_unit_test(watchers_of_the_models_own_are_passed_over),
        cmocka_unit_test(shapes_of_all_tensors_come_from_one_run),
        cmocka_unit_test(a_saved_observation_is_the_same_and_a_damaged_one_is_refused),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
