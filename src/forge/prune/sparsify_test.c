#include "forge/prune/prune.h"

#include "base/str.h"
#include "forge/prune/prune_testing.h"

static const struct net_shape wide = {.size = 16, .channels = 32, .blocks = 2, .seed = 5};

/* Weights [outputs][channels][kernel] of a Conv, outputs first. */
struct filter {
    float *w; /* owned */
    size_t outputs, channels, kernel;
};

static struct filter filter_of(struct graph *graph, const struct onnx_node *node)
{
    const struct onnx_weight *weight = graph_input(graph, node, 1)->weight;
    struct filter filter = {.outputs = (size_t)weight->dims[0], .channels = (size_t)weight->dims[1]};
    size_t count;
    filter.w = graph_floats(graph, node->inputs[1], &count);
    assert_non_null(filter.w);
    filter.kernel = count / filter.outputs / filter.channels;
    return filter;
}

static bool is_sparse(const struct filter *filter)
{
    for (size_t o = 0; o < filter->outputs; o++)
        for (size_t c = 0; c + 4 <= filter->channels; c += 4)
            for (size_t k = 0; k < filter->kernel; k++) {
                int zeros = 0;
                for (size_t i = 0; i < 4; i++)
                    zeros += filter->w[(o * filter->channels + c + i) * filter->kernel + k] == 0;
                if (zeros < 2)
                    return false;
            }
    return filter->channels % 4 == 0;
}

/* How many Convs of a model hold to 2:4. */
static size_t sparse_convs(const char *path)
{
    cleanup_graph struct graph *graph = NULL;
    struct err err = {0};
    size_t count, sparse = 0;
    assert_ok(graph_open(path, &graph, &err), err);
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    for (size_t i = 0; i < count; i++) {
        if (!graph_is_op(nodes[i], "Conv"))
            continue;
        struct filter filter = filter_of(graph, nodes[i]);
        sparse += is_sparse(&filter);
        free(filter.w);
    }
    return sparse;
}

/* The smaller two of each four go, nothing else happens. */
static void by_magnitude(struct filter *filter)
{
    for (size_t o = 0; o < filter->outputs; o++)
        for (size_t c = 0; c < filter->channels; c += 4)
            for (size_t k = 0; k < filter->kernel; k++)
                for (int zero = 0; zero < 2; zero++) {
                    float *least = NULL;
                    for (size_t i = 0; i < 4; i++) {
                        float *w = &filter->w[(o * filter->channels + c + i) * filter->kernel + k];
                        if (*w != 0 && (!least || fabsf(*w) < fabsf(*least)))
                            least = w;
                    }
                    if (least)
                        *least = 0;
                }
}

/* The same Convs as in `like`, by magnitude. */
static void write_by_magnitude(const char *model, const char *out)
{
    cleanup_graph struct graph *graph = NULL;
    struct err err = {0};
    size_t count;
    assert_ok(graph_open(model, &graph, &err), err);
    struct onnx_node *const *sorted = graph_nodes(graph, &count);
    cleanup_free struct onnx_node **nodes = mem_dup(sorted, count * sizeof(struct onnx_node *));
    for (size_t i = 0; i < count; i++) {
        if (!graph_is_op(nodes[i], "Conv") || graph_input(graph, nodes[i], 1)->weight->dims[1] < 32)
            continue;
        struct filter filter = filter_of(graph, nodes[i]);
        const struct onnx_weight *old = graph_input(graph, nodes[i], 1)->weight;
        by_magnitude(&filter);
        const struct onnx_weight *now =
            graph_add_weight(graph, "magnitude", DTYPE_FLOAT32, old->dims, old->dim_count, filter.w);
        assert_non_null(now);
        assert_ok(graph_set_input(graph, nodes[i], 1, now->name, &err), err);
        free(filter.w);
    }
    assert_ok(graph_save(graph, out, &err), err);
}

static void two_of_four_are_zeros_and_the_others_make_up_for_it(void **state)
{
    static const enum net_kind kinds[] = {NET_RESIDUAL, NET_SILU};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const char *model = scratch_path("dense.onnx"), *out = scratch_path("sparse.onnx"),
                   *other = scratch_path("magnitude.onnx");
        struct sparsity_outcome outcome;
        struct err err = {0};
        assert_ok(net_write(kinds[i], &wide, model, &err), err);
        cleanup_samples struct samples *samples = samples_for(model, wide.size, 64);
        assert_ok(prune_sparsify(model, samples, scratch_dir, out, NULL, &outcome, &err), err);
        size_t blocks =
            kinds[i] == NET_RESIDUAL ? 4 : 2; /* all Convs but the first, whose input has 3 channels */
        assert_int_equal(outcome.weighted, blocks + 2);
        assert_int_equal(outcome.sparse, blocks + 1); /* and the Gemm */
        assert_int_equal(sparse_convs(model), 0);
        assert_int_equal(sparse_convs(out), blocks);
        write_by_magnitude(model, other);
        assert_int_equal(sparse_convs(other), blocks);
        size_t held = samples_calibrate(samples);
        assert_true(relative_error(model, out, samples, held, 8) <
                    relative_error(model, other, samples, held, 8));
    }
}

static void what_does_not_fit_stays_dense(void **state)
{
    const struct net_shape narrow = {.size = 16, .channels = 16, .blocks = 1, .seed = 5};
    const char *model = scratch_path("narrow.onnx"), *out = scratch_path("still-dense.onnx");
    struct sparsity_outcome outcome;
    struct err err = {0};
    assert_ok(net_write(NET_RESIDUAL, &narrow, model, &err), err);
    cleanup_samples struct samples *samples = samples_for(model, narrow.size, TEST_SAMPLES);
    assert_ok(prune_sparsify(model, samples, scratch_dir, out, NULL, &outcome, &err), err);
    assert_int_equal(outcome.weighted, 4);
    assert_int_equal(outcome.sparse, 0);
    assert_true(relative_error(model, out, samples, 0, 4) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_of_four_are_zeros_and_the_others_make_up_for_it),
        cmocka_unit_test(what_does_not_fit_stays_dense),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
