/* Ten bad candidates, none promoted; a good one is. Through the real runtime; skipped without one. Speeds differ by factors, so that a busy machine
 * changes nothing. (An eleventh, fast only when cold, is played to the gate in stats/gate_test.c: no model can be made to be that.) */
#include "base/testing.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/bench.h"
#include "forge/optimize/optimize.h"
#include "forge/testing/layers.h"
#include "forge/testing/nets.h"
#include "infer/runtime.h"
#include "sys/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 32, WIDE = 24, OUT = 4, SAMPLES = 64, ROUNDS = 60, TABLE_ROWS = 6 << 20 };

static char dir[64];
static bool have_runtime;

/* ---- the models: a stem, layers that do nothing but take time, a head ---- */

struct make {
    int idle;          /* layers that do nothing */
    float noise;       /* on the head's weights, relative */
    float factor;      /* of the head's weights; 0: 1 */
    int outputs;       /* 0: OUT */
    bool table;        /* a large table of which one row, all zeros, is added */
    const char *input; /* NULL: "x" */
};

/* 3x3 convolution that hands its input on: nothing optimizes it away. */
static const char *idle_layer(struct layers *net, const char *x)
{
    const int64_t dims[] = {WIDE, WIDE, 3, 3};
    cleanup_free float *weights = mem_zalloc((size_t)WIDE * WIDE * 9, sizeof *weights);
    assert_non_null(weights);
    for (size_t c = 0; c < WIDE; c++)
        weights[(c * WIDE + c) * 9 + 4] = 1;
    const char *inputs[] = {x, layer_floats(net, weights, dims, 4)};
    const char *y = layer(net, "Conv", inputs, 2);
    const int64_t pads[] = {1, 1, 1, 1};
    layers_set_ints(net, "pads", pads, 4);
    return y;
}

static const char *head_layer(struct layers *net, const char *x, const struct make *make)
{
    struct layers other = {.random = 99};
    int outputs = make->outputs ? make->outputs : OUT;
    const int64_t dims[] = {outputs, WIDE, 1, 1};
    cleanup_free float *weights = mem_zalloc((size_t)outputs * WIDE, sizeof *weights);
    assert_non_null(weights);
    for (int i = 0; i < outputs * WIDE; i++) {
        float w = layers_normal(net);
        weights[i] = w * (make->factor != 0 ? make->factor : 1) + make->noise * layers_normal(&other);
    }
    const char *inputs[] = {x, layer_floats(net, weights, dims, 4)};
    return layer(net, "Conv", inputs, 2);
}

static const char *table_layer(struct layers *net, const char *x)
{
    const int64_t dims[] = {TABLE_ROWS, 1}, zero = 0;
    cleanup_free float *rows = mem_zalloc(TABLE_ROWS, sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 1; i < TABLE_ROWS; i++)
        rows[i] = (float)i;
    const char *gather[] = {layer_floats(net, rows, dims, 2), NULL};
    const char *shift[] = {layer1(net, "ReduceMin", x),
                           NULL}; /* so that nothing is folded: 0 times it, as a row */
    const char *off[] = {shift[0], layer_float(net, 0)};
    const char *index = layer1(net, "Cast", layer(net, "Mul", off, 2));
    layers_set_int(net, "to", DTYPE_INT64);
    (void)zero;
    gather[1] = layer_reshape(net, index, (const int64_t[]){1}, 1);
    const char *row = layer_reshape(net, layer(net, "Gather", gather, 2), (const int64_t[]){1}, 1);
    return layer2(net, "Add", x, row);
}

static void make_model(const char *path, const struct make *make)
{
    struct err err = {0};
    struct graph *graph = NULL;
    struct onnx_model *model = onnx_model_new(8, 17);
    assert_non_null(model);
    struct layers net = {.model = model, .random = 7};
    struct onnx_graph *inner = onnx_model_graph(model);
    const int64_t in[] = {1, 3, SIDE, SIDE}, out[] = {1, make->outputs ? make->outputs : OUT, SIDE, SIDE};
    const char *input = make->input ? make->input : "x";
    assert_non_null(
        onnx_model_add_value(model, &inner->inputs, &inner->input_count, input, DTYPE_FLOAT32, in, 4));
    const struct conv_shape stem = {.in = 3, .out = WIDE, .kernel = 3, .stride = 1};
    const char *x = layer_conv(&net, onnx_model_name(model, input), &stem);
    for (int i = 0; i < make->idle; i++)
        x = idle_layer(&net, x);
    x = head_layer(&net, x, make);
    if (make->table)
        x = table_layer(&net, x);
    const char *named[] = {"y"};
    assert_non_null(onnx_model_add_node(model, "Identity", "last", &x, 1, named, 1));
    assert_non_null(
        onnx_model_add_value(model, &inner->outputs, &inner->output_count, "y", DTYPE_FLOAT32, out, 4));
    assert_false(net.failed);
    assert_ok(graph_of(model, &graph, &err), err);
    assert_ok(graph_save(graph, path, &err), err);
    graph_free(graph);
}

/* ---- the contest ---- */

struct stage {
    char parent[96], candidate[96], samples_dir[96];
    struct release release;
    struct samples *samples;
    struct fidelity fidelity;
    struct gate_answer answer;
    uint64_t memory[2];
};

static struct stage stage;

static int stage_make(void **state)
{
    struct err err = {0};
    const struct runtime *runtime = NULL;
    snprintf(dir, sizeof dir, "/tmp/muster-judge-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(stage.parent, sizeof stage.parent, "%s/parent.onnx", dir);
    snprintf(stage.candidate, sizeof stage.candidate, "%s/candidate.onnx", dir);
    snprintf(stage.samples_dir, sizeof stage.samples_dir, "%s/samples", dir);
    assert_ok(file_make_dirs(stage.samples_dir, 0755, &err), err);
    assert_ok(net_samples(stage.samples_dir, SIDE, SAMPLES, 3, &err), err);
    make_model(stage.parent, &(struct make){.idle = 8});
    assert_ok(bench_release_of(stage.parent, &stage.release, &err), err);
    assert_ok(samples_open(stage.samples_dir, &stage.release, &stage.samples, &err), err);
    stage.fidelity = (struct fidelity){.kind = FIDELITY_VALUES, .release = &stage.release, .output_count = 1};
    have_runtime = runtime_get(NULL, &runtime, &err) == 0;
    return 0;
}

static int stage_remove(void **state)
{
    struct err err = {0};
    samples_free(stage.samples);
    return file_remove_tree(dir, &err);
}

static void judge(bool latency)
{
    struct err err = {0};
    if (!have_runtime)
        skip();
    const struct optimize_contest contest = {.parent_path = stage.parent,
                                             .candidate_path = stage.candidate,
                                             .samples = stage.samples,
                                             .fidelity = &stage.fidelity,
                                             .max_drop = 0.1,
                                             .rounds = ROUNDS,
                                             .latency = latency};
    assert_ok(optimize_judge(&contest, &stage.answer, stage.memory, &err), err);
}

static void is_refused(const struct make *make, const char *why)
{
    if (make)
        make_model(stage.candidate, make);
    judge(true);
    if (stage.answer.promoted || !strstr(stage.answer.reason, why))
        fail_msg("%s: %s; wanted: refused, %s", stage.answer.promoted ? "promoted" : "refused",
                 stage.answer.reason, why);
}

static void a_faster_one_that_computes_the_same_is_promoted(void **state)
{
    make_model(stage.candidate, &(struct make){.idle = 1});
    judge(true);
    if (!stage.answer.promoted)
        fail_msg("refused: %s", stage.answer.reason);
    assert_true(stage.answer.speedup > 1.5);
    assert_true(stage.answer.fidelity > 0.9999 && stage.answer.fidelity_lower > 0.88);
    assert_true(stage.memory[0] > 0 && stage.memory[1] > 0);
}

static void bad_1_slower(void **state)
{
    is_refused(&(struct make){.idle = 24}, "not faster");
}

static void bad_2_a_copy(void **state)
{
    is_refused(&(struct make){.idle = 8}, "not faster");
}

static void bad_3_a_wrong_layer(void **state)
{
    is_refused(&(struct make){.idle = 1, .noise = 1}, "less faithful");
}

static void bad_4_only_a_little_unfaithful(void **state)
{
    is_refused(&(struct make){.idle = 1, .noise = 0.2F}, "less faithful");
    assert_true(stage.answer.fidelity > 0.5);
}

static void bad_5_zeros(void **state)
{
    is_refused(&(struct make){.idle = 1, .factor = 1e-30F}, "less faithful");
}

static void bad_6_no_numbers(void **state)
{
    is_refused(&(struct make){.idle = 1, .factor = NAN}, "less faithful");
    assert_true(stage.answer.fidelity == 0);
}

static void bad_7_another_shape(void **state)
{
    is_refused(&(struct make){.idle = 1, .outputs = OUT + 1}, "its output y has another name, type or shape");
}

static void bad_8_another_input(void **state)
{
    is_refused(&(struct make){.idle = 1, .input = "z"}, "its input z has another name, type or shape");
}

static void bad_9_more_memory(void **state)
{
    is_refused(&(struct make){.idle = 1, .table = true}, "more memory");
}

static void bad_10_no_model_at_all(void **state)
{
    struct err err = {0};
    assert_ok(file_replace(stage.candidate, "no model", 8, 0644, &err), err);
    is_refused(NULL, "does not run");
    assert_ok(file_replace(stage.candidate, "", 0, 0644, &err), err);
    is_refused(NULL, "does not run");
}

static void without_latency_fidelity_alone_decides(void **state)
{
    make_model(stage.candidate, &(struct make){.idle = 9});
    judge(false);
    assert_true(stage.answer.promoted && isnan(stage.answer.candidate_p50_ms) && stage.memory[0] == 0);
    make_model(stage.candidate, &(struct make){.idle = 1, .noise = 1});
    judge(false);
    assert_false(stage.answer.promoted);
}

static int stop(void *arg, const char *what, size_t done, size_t total, struct err *err)
{
    return err_set(err, ERR_CONFLICT, "interrupted");
}

static void who_watches_can_stop_it_and_a_broken_parent_is_an_error(void **state)
{
    struct err err = {0};
    if (!have_runtime)
        skip();
    struct optimize_contest contest = {.parent_path = stage.parent,
                                       .candidate_path = stage.parent,
                                       .samples = stage.samples,
                                       .fidelity = &stage.fidelity,
                                       .max_drop = 0.1,
                                       .rounds = ROUNDS,
                                       .latency = true,
                                       .progress = stop};
    assert_fails(optimize_judge(&contest, &stage.answer, stage.memory, &err), err, ERR_CONFLICT);
    contest.progress = NULL;
    contest.parent_path = "/nonexistent.onnx";
    err = (struct err){0};
    assert_int_equal(optimize_judge(&contest, &stage.answer, stage.memory, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_faster_one_that_computes_the_same_is_promoted),
        cmocka_unit_test(bad_1_slower),
        cmocka_unit_test(bad_2_a_copy),
        cmocka_unit_test(bad_3_a_wrong_layer),
        cmocka_unit_test(bad_4_only_a_little_unfaithful),
        cmocka_unit_test(bad_5_zeros),
        cmocka_unit_test(bad_6_no_numbers),
        cmocka_unit_test(bad_7_another_shape),
        cmocka_unit_test(bad_8_another_input),
        cmocka_unit_test(bad_9_more_memory),
        cmocka_unit_test(bad_10_no_model_at_all),
        cmocka_unit_test(without_latency_fidelity_alone_decides),
        cmocka_unit_test(who_watches_can_stop_it_and_a_broken_parent_is_an_error),
    };
    return cmocka_run_group_tests(tests, stage_make, stage_remove);
}
