#include "forge/prune/prune.h"

#include "base/str.h"
#include "forge/prune/prune_testing.h"

static const struct net_shape small = {.size = 16, .channels = 16, .blocks = 2, .seed = 5};

static struct prune_job job_for(const char *model, struct samples *samples, double ratio, const char *out)
{
    return (struct prune_job){.model_path = model,
                              .samples = samples,
                              .ratio = ratio,
                              .multiple = 4,
                              .how = PRUNE_OBS,
                              .work_dir = scratch_dir,
                              .out_path = out};
}

static struct net_shape shape_of(enum net_kind kind)
{
    struct net_shape shape = small;
    shape.size = kind == NET_YOLO ? 64 : small.size;
    shape.channels = kind == NET_RESIDUAL_BIG ? 8 : small.channels;
    shape.blocks = kind == NET_RESIDUAL_BIG ? 1 : small.blocks;
    return shape;
}

static const char *write_net(enum net_kind kind, const struct net_shape *shape)
{
    char name[64];
    struct err err = {0};
    snprintf(name, sizeof name, "%s.onnx", net_name(kind));
    const char *path = scratch_path(name);
    assert_ok(net_write(kind, shape, path, &err), err);
    return path;
}

/* ---- whatever goes, what is left fits ---- */

/* The weights of the node of this name have as many outputs as the outcome says. */
static void channels_are_as_told(const char *path, const struct prune_group *group)
{
    cleanup_graph struct graph *graph = NULL;
    struct err err = {0};
    size_t count;
    assert_ok(graph_open(path, &graph, &err), err);
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(nodes[i]->name, group->node))
            continue;
        const struct onnx_weight *weight = graph_input(graph, nodes[i], 1)->weight;
        bool rows = graph_is_op(nodes[i], "Conv") || onnx_node_int(nodes[i], "transB", 0);
        assert_int_equal(weight->dims[rows ? 0 : 1], group->left);
        return;
    }
    fail_msg("no node %s", group->node);
}

static uint64_t parameters_in(const char *path)
{
    cleanup_graph struct graph *graph = NULL;
    struct err err = {0};
    uint64_t sum = 0;
    assert_ok(graph_open(path, &graph, &err), err);
    const struct onnx_graph *tree = onnx_model_graph(graph_model(graph));
    for (size_t i = 0; i < tree->weight_count; i++)
        sum += tree->weights[i]->dtype == DTYPE_FLOAT32 ? onnx_weight_elements(tree->weights[i]) : 0;
    return sum;
}

static void check_outcome(const char *model, const char *path, const struct prune_outcome *outcome,
                          double ratio)
{
    size_t channels = 0, removed = 0;
    for (size_t i = 0; i < outcome->group_count; i++) {
        const struct prune_group *group = &outcome->groups[i];
        bool left_alone = group->why[0] != '\0';
        channels += left_alone ? 0 : group->channels;
        removed += group->channels - group->left;
        assert_true(!left_alone || group->left == group->channels);
        assert_true(group->left == group->channels || group->left % 4 == 0);
        assert_true(isfinite(group->loss) && group->loss >= 0);
        if (group->left != group->channels)
            channels_are_as_told(path, group);
    }
    assert_int_equal(channels, outcome->channels);
    assert_int_equal(removed, outcome->removed);
    assert_true((double)removed <= ratio * (double)channels);
    assert_int_equal(parameters_in(model), outcome->parameters);
    assert_int_equal(parameters_in(path), outcome->parameters_left);
}

static void all_nets_run_at_all_ratios(void **state)
{
    static const double ratios[] = {0.1, 0.4, 0.8};
    for (int kind = 0; kind < NET_COUNT; kind++) {
        struct net_shape shape = shape_of(kind);
        const char *model = write_net(kind, &shape);
        cleanup_samples struct samples *samples = samples_for(model, shape.size, TEST_SAMPLES);
        for (size_t r = 0; r < ARRAY_LEN(ratios); r++) {
            cleanup_prune_outcome struct prune_outcome outcome = {0};
            struct err err = {0};
            struct prune_job job = job_for(model, samples, ratios[r], scratch_path("pruned.onnx"));
            int result = prune_run(&job, &outcome, &err);
            if (result < 0 && err.code == ERR_UNSUPPORTED)
                continue; /* tiny: nothing to take */
            assert_ok(result, err);
            assert_true(ratios[r] < 0.3 || outcome.removed > 0);
            check_outcome(model, job.out_path, &outcome, ratios[r]);
            assert_true(isfinite(relative_error(model, job.out_path, samples, 0, 2)));
        }
    }
}

static void nothing_is_left_behind(void **state)
{
    const char *model = write_net(NET_RESIDUAL, &small);
    cleanup_samples struct samples *samples = samples_for(model, small.size, TEST_SAMPLES);
    cleanup_prune_outcome struct prune_outcome outcome = {0};
    struct prune_job job = job_for(model, samples, 0.2, scratch_path("clean.onnx"));
    cleanup_free char *work = mem_printf("%s/work", scratch_dir);
    struct err err = {0};
    assert_ok(file_make_dirs(work, 0755, &err), err);
    job.work_dir = work;
    assert_ok(prune_run(&job, &outcome, &err), err);
    assert_int_equal(rmdir(work), 0);
}

/* ---- what it costs ---- */

/* conv 3x3 to 16 channels of which 8 are mixtures of the others - conv 3x3. */
static void write_dependent(const char *path)
{
    struct net_shape shape = {.size = 16, .channels = 16, .blocks = 1, .seed = 9};
    cleanup_graph struct graph *graph = NULL;
    struct err err = {0};
    static float first[16][27], second[4 * 16 * 9], bias[16];
    for (size_t o = 0; o < 16; o++)
        for (size_t i = 0; i < 27; i++)
            first[o][i] =
                o < 8 ? sinf((float)(o * 31 + i * 7)) : first[o - 8][i] * 0.5F - first[(o + 3) % 8][i];
    for (size_t i = 0; i < ARRAY_LEN(second); i++)
        second[i] = cosf((float)i * 0.7F);
    assert_ok(net_build(NET_RESIDUAL, &shape, &graph, &err), err);
    assert_ok(graph_save(graph, path, &err), err);
    graph_free(TAKE_PTR(graph));
    assert_ok(graph_open(path, &graph, &err), err);
    struct onnx_graph *tree = onnx_model_graph(graph_model(graph));
    struct onnx_weight *w1 =
        graph_add_weight(graph, "first", DTYPE_FLOAT32, (int64_t[]){16, 3, 3, 3}, 4, first);
    struct onnx_weight *b1 = graph_add_weight(graph, "bias", DTYPE_FLOAT32, (int64_t[]){16}, 1, bias);
    struct onnx_weight *w2 =
        graph_add_weight(graph, "second", DTYPE_FLOAT32, (int64_t[]){4, 16, 3, 3}, 4, second);
    assert_true(w1 && b1 && w2);
    const char *inner = graph_fresh(graph, "inner"), *out = graph_fresh(graph, "out");
    struct onnx_node *one = graph_add(graph, "Conv", (const char *[]){"x", w1->name, b1->name}, 3, &inner, 1);
    struct onnx_node *two = graph_add(graph, "Conv", (const char *[]){inner, w2->name}, 2, &out, 1);
    const int64_t pads[] = {1, 1, 1, 1};
    assert_true(one && two);
    assert_ok(onnx_node_set_ints(graph_model(graph), one, "pads", pads, 4, &err), err);
    assert_ok(onnx_node_set_ints(graph_model(graph), two, "pads", pads, 4, &err), err);
    tree->output_count = 0;
    assert_non_null(onnx_model_add_value(graph_model(graph), &tree->outputs, &tree->output_count, out,
                                         DTYPE_FLOAT32, (int64_t[]){1, 4, 16, 16}, 4));
    assert_ok(graph_tidy(graph, &err), err);
    assert_ok(graph_save(graph, path, &err), err);
}

static void channels_that_others_make_up_for_cost_nothing(void **state)
{
    const char *model = scratch_path("dependent.onnx"), *out = scratch_path("independent.onnx");
    write_dependent(model);
    cleanup_samples struct samples *samples = samples_for(model, 16, TEST_SAMPLES);
    cleanup_prune_outcome struct prune_outcome outcome = {0};
    struct prune_job job = job_for(model, samples, 0.5, out);
    struct err err = {0};
    assert_ok(prune_run(&job, &outcome, &err), err);
    assert_int_equal(outcome.removed, 8);
    assert_true(sqrt(relative_error(model, out, samples, samples_calibrate(samples), 4)) < 1e-3);
}

static struct onnx_node *conv_number(struct graph *graph, size_t number)
{
    size_t count;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    for (size_t i = 0; i < count; i++)
        if (graph_is_op(nodes[i], "Conv") && number-- == 0)
            return nodes[i];
    return NULL;
}

static void zero_from(struct graph *graph, struct onnx_node *node, size_t input, size_t from)
{
    struct err err = {0};
    size_t count;
    const struct onnx_weight *old = graph_input(graph, node, input)->weight;
    cleanup_free float *values = graph_floats(graph, node->inputs[input], &count);
    size_t each = count / (size_t)old->dims[0];
    memset(values + from * each, 0, (count - from * each) * sizeof *values);
    struct onnx_weight *now =
        graph_add_weight(graph, "silent", DTYPE_FLOAT32, old->dims, old->dim_count, values);
    assert_non_null(now);
    assert_ok(graph_set_input(graph, node, input, now->name, &err), err);
}

/* The second conv, inside of the first residual block, says nothing in channels from `from` on. */
static void silence_channels(const char *path, size_t from)
{
    cleanup_graph struct graph *graph = NULL;
    struct err err = {0};
    assert_ok(graph_open(path, &graph, &err), err);
    struct onnx_node *conv = conv_number(graph, 1);
    assert_non_null(conv);
    zero_from(graph, conv, 1, from);
    zero_from(graph, conv, 2, from);
    assert_ok(graph_tidy(graph, &err), err);
    assert_ok(graph_save(graph, path, &err), err);
}

static void channels_of_zeros_go_first_and_change_nothing(void **state)
{
    const char *model = write_net(NET_RESIDUAL, &small), *out = scratch_path("without-zeros.onnx");
    silence_channels(model, 8);
    cleanup_samples struct samples *samples = samples_for(model, small.size, TEST_SAMPLES);
    cleanup_prune_outcome struct prune_outcome outcome = {0};
    struct err err = {0};
    /* of 16 + 16 + 16 channels (the chain, and one inside of each block) the 8 that are silent */
    struct prune_job job = job_for(model, samples, 8.0 / 48 + 1e-6, out);
    assert_ok(prune_run(&job, &outcome, &err), err);
    assert_int_equal(outcome.channels, 48);
    assert_int_equal(outcome.removed, 8);
    assert_true(relative_error(model, out, samples, samples_calibrate(samples), 4) < 1e-8);
}

static double error_by(enum prune_how how, const char *model, struct samples *samples)
{
    cleanup_prune_outcome struct prune_outcome outcome = {0};
    struct prune_job job = job_for(model, samples, 0.3, scratch_path("by.onnx"));
    struct err err = {0};
    job.how = how;
    assert_ok(prune_run(&job, &outcome, &err), err);
    assert_true(outcome.removed > 0);
    return relative_error(model, job.out_path, samples, samples_calibrate(samples), 8);
}

static void second_order_beats_least_squares_alone_beats_magnitude(void **state)
{
    static const enum net_kind kinds[] = {NET_RESIDUAL, NET_SQUEEZE};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const char *model = write_net(kinds[i], &small);
        cleanup_samples struct samples *samples = samples_for(model, small.size, 64);
        double obs = error_by(PRUNE_OBS, model, samples), ls = error_by(PRUNE_MAGNITUDE_LS, model, samples),
               magnitude = error_by(PRUNE_MAGNITUDE, model, samples);
        assert_true(obs < ls);
        assert_true(ls < magnitude);
    }
}

static void measured_time_finds_its_way_into_the_budget(void **state)
{
    const struct net_shape shape = {.size = 32, .channels = 16, .blocks = 2, .seed = 5};
    for (int kind = NET_INVERTED; kind <= NET_CONCAT; kind++) {
        const char *model = write_net(kind, &shape);
        cleanup_samples struct samples *samples = samples_for(model, shape.size, TEST_SAMPLES);
        cleanup_prune_outcome struct prune_outcome outcome = {0};
        struct prune_job job = job_for(model, samples, 0.4, scratch_path("timed.onnx"));
        struct err err = {0};
        job.latency_table = true; /* which channels go depends on the machine, that they fit does not */
        assert_ok(prune_run(&job, &outcome, &err), err);
        assert_true(outcome.removed > 0);
        check_outcome(model, job.out_path, &outcome, 0.4);
        assert_true(isfinite(relative_error(model, job.out_path, samples, 0, 2)));
    }
}

/* ---- refusals ---- */

static int stop(void *arg, const char *what, size_t done, size_t total, struct err *err)
{
    assert_true(done < total);
    return done == *(size_t *)arg ? err_set(err, ERR_CONFLICT, "stopped") : 0;
}

static void it_can_be_stopped_at_any_step(void **state)
{
    const char *model = write_net(NET_SQUEEZE, &small), *out = scratch_path("stopped.onnx");
    cleanup_samples struct samples *samples = samples_for(model, small.size, TEST_SAMPLES);
    for (size_t at = 0;; at++) {
        cleanup_prune_outcome struct prune_outcome outcome = {0};
        struct prune_job job = job_for(model, samples, 0.3, out);
        struct err err = {0};
        job.progress = stop;
        job.arg = &at;
        if (prune_run(&job, &outcome, &err) == 0) {
            assert_true(at > 4);
            return;
        }
        assert_int_equal(err.code, ERR_CONFLICT);
        assert_false(file_exists(out));
    }
}

static void wishes_that_cannot_be_are_told(void **state)
{
    const char *model = write_net(NET_RESIDUAL, &small);
    cleanup_samples struct samples *samples = samples_for(model, small.size, TEST_SAMPLES);
    struct prune_outcome outcome;
    struct err err = {0};
    struct prune_job job = job_for(model, samples, 0.95, scratch_path("never.onnx"));
    assert_fails(prune_run(&job, &outcome, &err), err, ERR_INVALID);
    job.ratio = NAN;
    assert_fails(prune_run(&job, &outcome, &err), err, ERR_INVALID);
    job.ratio = 0.5;
    job.multiple = 64; /* no group has that many */
    assert_fails(prune_run(&job, &outcome, &err), err, ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_nets_run_at_all_ratios),
        cmocka_unit_test(nothing_is_left_behind),
        cmocka_unit_test(channels_that_others_make_up_for_cost_nothing),
        cmocka_unit_test(channels_of_zeros_go_first_and_change_nothing),
        cmocka_unit_test(second_order_beats_least_squares_alone_beats_magnitude),
        cmocka_unit_test(measured_time_finds_its_way_into_the_budget),
        cmocka_unit_test(it_can_be_stopped_at_any_step),
        cmocka_unit_test(wishes_that_cannot_be_are_told),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
