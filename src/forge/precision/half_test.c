/* float16: on all small networks the strict types and what ONNX Runtime makes of them; each rule on a graph of its own. */
#include "base/testing.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "forge/precision/half.h"
#include "forge/precision/types.h"
#include "forge/testing/nets.h"
#include "infer/lab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- graphs ---- */

struct tally {
    size_t nodes, casts, chains, mixed;
};

static struct tally tally_of(struct graph *graph)
{
    struct tally tally = {0};
    struct err err = {0};
    cleanup_types struct types types = {0};
    struct onnx_node *const *nodes = graph_nodes(graph, &tally.nodes);
    assert_ok(types_infer(graph, &types, &err), err);
    for (size_t i = 0; i < tally.nodes; i++) {
        tally.mixed += !types_agree(&types, graph, nodes[i]);
        if (!graph_is_op(nodes[i], "Cast"))
            continue;
        const struct graph_tensor *from = graph_input(graph, nodes[i], 0);
        tally.casts++;
        tally.chains += from->maker && graph_is_op(from->maker, "Cast");
    }
    return tally;
}

static void check_ends(struct graph *graph)
{
    const struct onnx_graph *model = onnx_model_graph(graph_model(graph));
    struct err err = {0};
    cleanup_types struct types types = {0};
    assert_ok(types_infer(graph, &types, &err), err);
    for (size_t i = 0; i < model->input_count; i++)
        assert_int_equal(model->inputs[i]->dtype, DTYPE_FLOAT32);
    for (size_t i = 0; i < model->output_count; i++) {
        assert_int_equal(model->outputs[i]->dtype, DTYPE_FLOAT32);
        assert_int_equal(types_of(&types, graph_tensor(graph, model->outputs[i]->name)), DTYPE_FLOAT32);
    }
}

/* The first output for one input of smooth values. */
static float *run(struct graph *graph, size_t *out_count)
{
    cleanup_buf struct buf bytes = BUF_INIT(256 << 20);
    cleanup_lab struct lab *lab = NULL;
    struct err err = {0};
    struct lab_tensor input, output[4];
    size_t count = 1;
    assert_ok(graph_format(graph, &bytes, &err), err);
    assert_ok(lab_open(NULL, bytes.data, bytes.len, &(struct lab_how){.level = LAB_BASIC}, &lab, &err), err);
    const struct lab_value *value = lab_input(lab, 0);
    input = (struct lab_tensor){.dtype = value->dtype, .dim_count = value->dim_count};
    for (size_t i = 0; i < value->dim_count; i++) {
        input.dims[i] = value->dims[i];
        count *= (size_t)value->dims[i];
    }
    cleanup_free float *pixels = mem_zalloc(count, sizeof *pixels);
    for (size_t i = 0; i < count; i++)
        pixels[i] = 0.5F + 0.5F * sinf((float)i * 0.01F);
    input.data = pixels;
    input.bytes = count * sizeof *pixels;
    assert_ok(lab_run(lab, &input, NULL, 0, output, &err), err);
    assert_int_equal(output[0].dtype, DTYPE_FLOAT32);
    *out_count = output[0].bytes / sizeof(float);
    return mem_dup(output[0].data, output[0].bytes);
}

static double difference(const float *a, const float *b, size_t count)
{
    double distance = 0, length = 0;
    for (size_t i = 0; i < count; i++) {
        distance += pow((double)a[i] - (double)b[i], 2);
        length += pow((double)a[i], 2);
    }
    return sqrt(distance / length);
}

static struct graph *small_net(enum net_kind kind)
{
    const struct net_shape shape = {
        .size = kind == NET_YOLO ? 64 : 32, .channels = 16, .blocks = 2, .seed = 7};
    struct graph *graph = NULL;
    struct err err = {0};
    assert_ok(net_build(kind, &shape, &graph, &err), err);
    return graph;
}

static void every_network_computes_nearly_the_same_with_two_casts(void **state)
{
    for (int kind = 0; kind < NET_COUNT; kind++) {
        cleanup_graph struct graph *graph = small_net((enum net_kind)kind);
        struct half_outcome outcome;
        struct err err = {0};
        size_t count, again;
        cleanup_free float *before = run(graph, &count);
        assert_ok(half_convert(graph, NULL, &outcome, &err), err);
        check_ends(graph);
        const struct tally tally = tally_of(graph);
        assert_int_equal(tally.mixed, 0);
        assert_int_equal(tally.chains, 0);
        assert_int_equal(tally.casts, outcome.casts);
        assert_int_equal(outcome.casts, 2); /* in and out: nothing in these networks has to stay float32 */
        assert_int_equal(outcome.kept, 0);
        cleanup_free float *after = run(graph, &again);
        assert_int_equal(count, again);
        if (difference(before, after, count) > 0.01)
            fail_msg("%s: %g", net_name((enum net_kind)kind), difference(before, after, count));
    }
}

/* ---- rules, each on a graph of its own ---- */

static const int64_t row[] = {1, 4};

/* "x" [1, 4] ─▶ chain of operators ─▶ "y" */
static struct graph *chain_of(const char *const *ops)
{
    struct onnx_model *model = onnx_model_new(8, 17);
    struct onnx_graph *contents = onnx_model_graph(model);
    struct graph *graph = NULL;
    struct err err = {0};
    char from[16] = "x", to[16];
    assert_non_null(
        onnx_model_add_value(model, &contents->inputs, &contents->input_count, "x", DTYPE_FLOAT32, row, 2));
    assert_non_null(
        onnx_model_add_value(model, &contents->outputs, &contents->output_count, "y", DTYPE_FLOAT32, row, 2));
    for (size_t i = 0; ops[i]; i++) {
        snprintf(to, sizeof to, ops[i + 1] ? "t%zu" : "y", i);
        const char *const inputs[] = {from, from}, *const outputs[] = {to};
        const size_t count = str_eq(ops[i], "Add") || str_eq(ops[i], "MatMul") ? 2 : 1;
        assert_non_null(onnx_model_add_node(model, ops[i], ops[i], inputs, count, outputs, 1));
        str_copy(from, sizeof from, to);
    }
    assert_ok(graph_of(model, &graph, &err), err);
    return graph;
}

static enum tensor_dtype type_behind(struct graph *graph, const char *node_name)
{
    size_t count;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    struct err err = {0};
    cleanup_types struct types types = {0};
    assert_ok(types_infer(graph, &types, &err), err);
    for (size_t i = 0; i < count; i++)
        if (str_eq(nodes[i]->name, node_name))
            return types_of(&types, graph_output(graph, nodes[i], 0));
    fail_msg("no node %s", node_name);
    return 0;
}

static struct half_outcome convert(struct graph *graph, const struct observation *seen)
{
    struct half_outcome outcome;
    struct err err = {0};
    assert_ok(half_convert(graph, seen, &outcome, &err), err);
    const struct tally tally = tally_of(graph);
    assert_int_equal(tally.mixed, 0);
    assert_int_equal(tally.chains, 0);
    assert_int_equal(tally.casts, outcome.casts);
    check_ends(graph);
    return outcome;
}

static void a_blocked_operator_stays_float32_and_so_do_its_light_neighbours(void **state)
{
    const char *const ops[] = {"Relu", "Exp", "Sqrt", NULL};
    cleanup_graph struct graph *graph = chain_of(ops);
    const struct half_outcome outcome = convert(graph, NULL);
    assert_int_equal(outcome.casts, 0);
    assert_int_equal(outcome.kept, 3);
    assert_int_equal(outcome.blocked, 1);
}

static void casts_stand_around_a_blocked_operator_between_strong_ones(void **state)
{
    const char *const ops[] = {"Softmax", "Relu", "Exp", "Relu", "Transpose", "GlobalMaxPool", NULL};
    cleanup_graph struct graph *graph = chain_of(ops);
    const struct half_outcome outcome = convert(graph, NULL);
    assert_int_equal(outcome.casts, 4); /* in, before Exp, behind it, out */
    assert_int_equal(outcome.half, 4);
    assert_int_equal(outcome.kept, 2); /* Exp, and the Relu behind it: first arithmetic, then the Cast */
    assert_int_equal(outcome.blocked, 1);
    assert_int_equal(type_behind(graph, "Exp"), DTYPE_FLOAT32);
    assert_int_equal(type_behind(graph, "Transpose"), DTYPE_FLOAT16);
}

/* 0..255 becomes -1..1 with float32's precision. */
static void what_is_computed_of_the_input_at_first_stays_float32(void **state)
{
    const char *const ops[] = {"Sqrt", "Neg", "Transpose", "GlobalMaxPool", NULL};
    cleanup_graph struct graph *graph = chain_of(ops);
    assert_int_equal(convert(graph, NULL).casts, 2);
    assert_int_equal(type_behind(graph, "Sqrt"), DTYPE_FLOAT32);
    assert_int_equal(type_behind(graph, "Neg"), DTYPE_FLOAT32);
    assert_int_equal(type_behind(graph, "Transpose"), DTYPE_FLOAT16);
}

static void a_range_beyond_half_of_float16_keeps_maker_and_readers(void **state)
{
    static const struct {
        float most;
        bool finite, stays;
    } cases[] = {
        {32000, true, false}, {33000, true, true}, {1, false, true}, {1e-5F, true, true}, {0, true, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const strong[] = {"Softmax", "MatMul", "GlobalMaxPool", "GlobalLpPool", NULL};
        cleanup_graph struct graph *graph = chain_of(strong);
        struct observed tensor = {
            .name = "t1", .dtype = DTYPE_FLOAT32, .finite = cases[i].finite, .max = cases[i].most};
        const struct observation seen = {.count = 1, .tensors = &tensor};
        const struct half_outcome outcome = convert(graph, &seen);
        assert_int_equal(outcome.blocked, cases[i].stays ? 2 : 0);
        assert_int_equal(type_behind(graph, "MatMul"), cases[i].stays ? DTYPE_FLOAT32 : DTYPE_FLOAT16);
        assert_int_equal(type_behind(graph, "Softmax"), DTYPE_FLOAT16);
    }
}

/* Softmax ─▶ Add(weight) ─▶ Softmax */
static void weights_that_float16_cannot_hold_keep_their_operator(void **state)
{
    static const struct {
        float weight;
        bool stays;
    } cases[] = {{0.5F, false}, {1e-6F, true}, {0, false}, {60000, false}, {70000, true}, {INFINITY, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const ops[] = {"Softmax", "Add", "GlobalMaxPool", NULL};
        cleanup_graph struct graph *graph = chain_of(ops);
        size_t count;
        struct err err = {0};
        struct onnx_node *add = graph_nodes(graph, &count)[1];
        const struct onnx_weight *weight =
            graph_add_weight(graph, "eps", DTYPE_FLOAT32, NULL, 0, &cases[i].weight);
        assert_ok(graph_set_input(graph, add, 1, weight->name, &err), err);
        assert_int_equal(convert(graph, NULL).blocked, cases[i].stays);
        assert_int_equal(type_behind(graph, "Add"), cases[i].stays ? DTYPE_FLOAT32 : DTYPE_FLOAT16);
    }
}

static void a_tensor_that_is_an_output_too_is_read_in_both_types(void **state)
{
    const char *const ops[] = {"Softmax", "GlobalMaxPool", NULL};
    cleanup_graph struct graph *graph = chain_of(ops);
    struct err err = {0};
    assert_ok(graph_expose(graph, "t0", &err), err);
    assert_int_equal(convert(graph, NULL).casts, 3);
    assert_int_equal(type_behind(graph, "GlobalMaxPool"), DTYPE_FLOAT16);
    assert_string_equal(onnx_model_graph(graph_model(graph))->outputs[1]->name, "t0");
}

/* ---- pairs ---- */

static const char *add_scalar(struct graph *graph, enum tensor_dtype dtype, const void *value)
{
    const struct onnx_weight *weight = graph_add_weight(graph, "scalar", dtype, NULL, 0, value);
    assert_non_null(weight);
    return weight->name;
}

/* A pair in front of the first input of each of these operators. */
static void put_pairs(struct graph *graph, const char *op, float scale)
{
    size_t count;
    struct err err = {0};
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    struct onnx_node *found[64];
    size_t found_count = 0;
    for (size_t i = 0; i < count && found_count < 64; i++)
        if (graph_is_op(nodes[i], op))
            found[found_count++] = nodes[i];
    for (size_t i = 0; i < found_count; i++) {
        const char *s = add_scalar(graph, DTYPE_FLOAT32, &scale),
                   *z = add_scalar(graph, DTYPE_INT8, &(int8_t){0});
        const char *q = graph_fresh(graph, "q"), *d = graph_fresh(graph, "d");
        const char *const q_inputs[] = {found[i]->inputs[0], s, z}, *const d_inputs[] = {q, s, z};
        assert_non_null(graph_add(graph, "QuantizeLinear", q_inputs, 3, &q, 1));
        assert_non_null(graph_add(graph, "DequantizeLinear", d_inputs, 3, &d, 1));
        assert_ok(graph_set_input(graph, found[i], 0, d, &err), err);
    }
}

static void pairs_need_no_casts_of_their_own(void **state)
{
    cleanup_graph struct graph *graph = small_net(NET_RESIDUAL);
    put_pairs(graph, "Conv", 0.03F);
    size_t count;
    cleanup_free float *before = run(graph, &count);
    const struct half_outcome outcome = convert(graph, NULL);
    assert_int_equal(graph_opset(graph), HALF_PAIR_OPSET);
    assert_int_equal(outcome.casts, 1); /* at the end: the input goes through its pair as float32 */
    cleanup_free float *after = run(graph, &count);
    assert_true(difference(before, after, count) < 0.05);
}

/* Both sides of a pair have the very same scale, which float16 can hold, also where one of them is float32. */
static void scales_are_the_same_on_both_sides(void **state)
{
    static const struct {
        float scale, want;
    } cases[] = {{0.1F, 0.0999755859375F}, {1e-7F, 0x1p-15F}, {0x1p-15F, 0x1p-15F}};
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        cleanup_graph struct graph *graph = small_net(NET_TINY);
        put_pairs(graph, "Conv", cases[c].scale);
        convert(graph, NULL);
        size_t count, values;
        struct onnx_node *const *nodes = graph_nodes(graph, &count);
        for (size_t i = 0; i < count; i++)
            if (graph_is_op(nodes[i], "QuantizeLinear") || graph_is_op(nodes[i], "DequantizeLinear")) {
                cleanup_free float *scale = graph_floats(graph, nodes[i]->inputs[1], &values);
                assert_int_equal(values, 1);
                assert_true(scale[0] == cases[c].want);
            }
    }
}

static void converting_is_reproducible(void **state)
{
    struct buf bytes[2] = {BUF_INIT(64 << 20), BUF_INIT(64 << 20)};
    struct err err = {0};
    for (int i = 0; i < 2; i++) {
        cleanup_graph struct graph *graph = small_net(NET_SQUEEZE);
        cleanup_free char *hole = mem_zalloc((size_t)i * 4097 + 1, 1); /* other addresses */
        convert(graph, NULL);
        assert_ok(graph_format(graph, &bytes[i], &err), err);
    }
    assert_int_equal(bytes[0].len, bytes[1].len);
    assert_memory_equal(bytes[0].data, bytes[1].data, bytes[0].len);
    buf_fini(&bytes[0]);
    buf_fini(&bytes[1]);
}

static void names_to_observe_are_all_computed_floats(void **state)
{
    const char *const ops[] = {"Softmax", "Shape", NULL};
    cleanup_graph struct graph *graph = chain_of(ops);
    size_t count;
    cleanup_free const char **names = half_tensors(graph, &count);
    assert_int_equal(count, 1);
    assert_string_equal(names[0], "t0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_network_computes_nearly_the_same_with_two_casts),
        cmocka_unit_test(a_blocked_operator_stays_float32_and_so_do_its_light_neighbours),
        cmocka_unit_test(casts_stand_around_a_blocked_operator_between_strong_ones),
        cmocka_unit_test(what_is_computed_of_the_input_at_first_stays_float32),
        cmocka_unit_test(a_range_beyond_half_of_float16_keeps_maker_and_readers),
        cmocka_unit_test(weights_that_float16_cannot_hold_keep_their_operator),
        cmocka_unit_test(a_tensor_that_is_an_output_too_is_read_in_both_types),
        cmocka_unit_test(pairs_need_no_casts_of_their_own),
        cmocka_unit_test(scales_are_the_same_on_both_sides),
        cmocka_unit_test(converting_is_reproducible),
        cmocka_unit_test(names_to_observe_are_all_computed_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
