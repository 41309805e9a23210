#include "forge/calib/gram.h"

#include "forge/calib/calib_testing.h"
#include "forge/testing/nets.h"

#include <math.h>

enum { SAMPLES = 4, SIZE = 12 };

/* ---- the filter is the product of its weights and the columns ---- */

static float value_at(const struct im2col *shape, const float *input, size_t channel, size_t y, size_t x)
{
    bool inside = y < shape->height && x < shape->width;
    return inside ? input[(channel * shape->height + y) * shape->width + x] : 0;
}

static void columns_are_what_a_filter_meets(void **state)
{
    const struct im2col shape = {.channels = 6,
                                 .group = 2,
                                 .height = 7,
                                 .width = 9,
                                 .kernel_h = 3,
                                 .kernel_w = 2,
                                 .stride_h = 2,
                                 .stride_w = 1,
                                 .dilation_h = 1,
                                 .dilation_w = 3,
                                 .pad_top = 1,
                                 .pad_left = 2,
                                 .out_h = 4,
                                 .out_w = 10};
    float input[6 * 7 * 9], x[18 * 40];
    for (size_t i = 0; i < ARRAY_LEN(input); i++)
        input[i] = (float)i + 1;
    assert_int_equal(im2col_rows(&shape), 18);
    assert_int_equal(im2col_columns(&shape), 40);
    for (size_t group = 0; group < 2; group++)
        for (size_t step = 1; step <= 3; step++) {
            const size_t first = 2 * step, count = (40 - first + step - 1) / step;
            im2col_fill(&shape, input, group, first, step, count, x);
            for (size_t row = 0; row < 18; row++)
                for (size_t i = 0; i < count; i++) {
                    size_t at = first + i * step, c = row / 6, ky = row / 2 % 3, kx = row % 2;
                    float want =
                        value_at(&shape, input, group * 3 + c, at / 10 * 2 + ky - 1, at % 10 + 3 * kx - 2);
                    assert_true(x[row * count + i] == want);
                }
        }
}

static void rows_of_a_product_are_columns(void **state)
{
    const struct im2col shape = {.channels = 3,
                                 .group = 1,
                                 .height = 4,
                                 .width = 1,
                                 .kernel_h = 1,
                                 .kernel_w = 1,
                                 .out_h = 4,
                                 .out_w = 1,
                                 .columns_first = true};
    const float input[12] = {0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31, 32};
    float x[6];
    im2col_fill(&shape, input, 0, 1, 2, 2, x);
    const float want[6] = {10, 30, 11, 31, 12, 32};
    assert_memory_equal(x, want, sizeof x);
}

/* ---- against what the operator really makes ---- */

static struct samples *open_samples(void)
{
    struct release release = {.input_count = 1, .frame = FRAME_FLOAT32};
    release.inputs[0] =
        (struct tensor_spec){.name = "x", .dtype = DTYPE_FLOAT32, .dim_count = 4, .dims = {1, 3, SIZE, SIZE}};
    struct samples *samples = NULL;
    struct err err = {0};
    assert_ok(net_samples(scratch_path("samples"), SIZE, SAMPLES, 1, &err), err);
    assert_ok(samples_open(scratch_path("samples"), &release, &samples, &err), err);
    return samples;
}

struct sums { /* of one channel of an operator's output */
    double sum, square;
};

static void sum_outputs(const char *model, const char *tensor, struct samples *samples, bool last_axis,
                        struct sums *out)
{
    const char *part = scratch_path("part.onnx");
    const struct lab_how how = {0};
    cleanup_lab struct lab *lab = NULL;
    struct err err = {0};
    assert_ok(gram_cut(model, &tensor, 1, part, &err), err);
    assert_ok(lab_open(part, NULL, 0, &how, &lab, &err), err);
    for (size_t i = 0; i < SAMPLES; i++) {
        const struct lab_tensor *inputs = NULL;
        struct lab_tensor output;
        assert_ok(samples_load(samples, i, &inputs, &err), err);
        assert_ok(lab_run(lab, inputs, NULL, 0, &output, &err), err);
        const float *data = output.data;
        size_t channels = (size_t)output.dims[last_axis ? output.dim_count - 1 : 1];
        size_t inner = last_axis ? 1 : output.bytes / sizeof *data / channels;
        for (size_t k = 0; k < output.bytes / sizeof *data; k++) {
            out[k / inner % channels].sum += (double)data[k];
            out[k / inner % channels].square += (double)data[k] * (double)data[k];
        }
    }
}

/* Σ y = w·Σx + b n and Σ y² = wᵀGw + 2 b w·Σx + b² n. */
static void check_filter(const struct gram *gram, size_t group, const float *w, size_t w_step, double bias,
                         const struct sums *want)
{
    const double *g = gram->g + group * gram->n * gram->n, *sum = gram->sum + group * gram->n;
    double first = bias * (double)gram->columns, second = bias * bias * (double)gram->columns;
    for (size_t i = 0; i < gram->n; i++) {
        first += (double)w[i * w_step] * sum[i];
        second += 2 * bias * (double)w[i * w_step] * sum[i];
        for (size_t k = 0; k < gram->n; k++)
            second += (double)w[i * w_step] * g[i * gram->n + k] * (double)w[k * w_step];
    }
    assert_true(fabs(first - want->sum) < 1e-3 * (1 + sqrt(want->square * (double)gram->columns)));
    assert_true(fabs(second - want->square) < 1e-3 * (1 + want->square));
}

static void check_node(struct graph *graph, const struct onnx_node *node, const char *model,
                       struct samples *samples)
{
    static struct sums sums[4096];
    const struct gram_options options = {.work_dir = scratch_dir, .count = SAMPLES};
    cleanup_gram struct gram gram = {0};
    struct err err = {0};
    size_t weight_count = 0, bias_count = 0;
    const bool conv = graph_is_op(node, "Conv");
    memset(sums, 0, sizeof sums);
    assert_ok(gram_of_input(model, node->name, samples, &options, &gram, &err), err);
    sum_outputs(model, node->outputs[0], samples, !conv, sums);
    cleanup_free float *w = graph_floats(graph, node->inputs[1], &weight_count);
    cleanup_free float *b = node->input_count > 2 ? graph_floats(graph, node->inputs[2], &bias_count) : NULL;
    assert_non_null(w);
    const size_t filters = weight_count / gram.n;
    const bool turned = !conv && !onnx_node_int(node, "transB", 0);
    for (size_t f = 0; f < filters; f++)
        check_filter(&gram, f / (filters / gram.groups), turned ? w + f : w + f * gram.n,
                     turned ? filters : 1, b ? (double)b[f] : 0, &sums[f]);
}

static void moments_predict_what_operators_make(void **state)
{
    static const enum net_kind kinds[] = {NET_RESIDUAL, NET_INVERTED, NET_CONCAT, NET_DENSE};
    cleanup_samples struct samples *samples = open_samples();
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        cleanup_graph struct graph *graph = NULL;
        struct err err = {0};
        const struct net_shape shape = {.size = SIZE, .channels = 8, .blocks = 1, .seed = 3};
        cleanup_free char *model = mem_strdup(scratch_path("net.onnx"));
        assert_ok(net_write(kinds[k], &shape, model, &err), err);
        assert_ok(graph_open(model, &graph, &err), err);
        size_t count = 0, checked = 0;
        struct onnx_node *const *nodes = graph_nodes(graph, &count);
        for (size_t i = 0; i < count; i++)
            if (graph_is_op(nodes[i], "Conv") || graph_is_op(nodes[i], "Gemm")) {
                check_node(graph, nodes[i], model, samples);
                checked++;
            }
        assert_true(checked >= 2);
    }
}

static void limits_and_unknown_names_are_told(void **state)
{
    cleanup_samples struct samples *samples = open_samples();
    cleanup_graph struct graph *graph = NULL;
    struct err err = {0};
    const struct net_shape shape = {.size = SIZE, .channels = 8, .blocks = 1};
    cleanup_free char *model = mem_strdup(scratch_path("net.onnx"));
    struct gram gram;
    struct gram_options options = {.work_dir = scratch_dir, .count = 1};
    assert_ok(net_write(NET_RESIDUAL, &shape, model, &err), err);
    assert_fails(gram_of_input(model, "nobody", samples, &options, &gram, &err), err, ERR_NOT_FOUND);
    assert_ok(graph_open(model, &graph, &err), err);
    size_t count = 0;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    options.max_bytes = 100;
    assert_fails(gram_of_input(model, nodes[0]->name, samples, &options, &gram, &err), err, ERR_TOO_BIG);
    assert_null(gram.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_what_a_filter_meets),
        cmocka_unit_test(rows_of_a_product_are_columns),
        cmocka_unit_test(moments_predict_what_operators_make),
        cmocka_unit_test(limits_and_unknown_names_are_told),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
