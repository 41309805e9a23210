/* Each rule on a graph that breaks it and nothing else; then what forge/quant/plan_trt.c places on every small network, with and without float16. */
#include "base/testing.h"

#include "base/half.h"
#include "base/mem.h"
#include "base/str.h"
#include "forge/precision/half.h"
#include "forge/quant/emit.h"
#include "forge/testing/nets.h"
#include "forge/trt/placement.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- a graph that breaks nothing: residual block with a Concat, as placement makes it ----
 *
 *     x [1,16,8,8] ─P─ conv1 ─ Relu ─┬─P─ conv2 ──────────── Add ─┬─ Concat ─P─ conv3 ─ Sigmoid, Mul ─ GlobalAveragePool ─ y
 *                                    └─P──────────────────────┘   └─P─ conv4 ─ Relu ─┘
 */

enum { CHANNELS = 16, SIDE = 8 };

struct stage {
    struct onnx_model *model;
    struct graph *graph;
    float scale;
};

static const char *weight(struct stage *stage, const char *name, enum tensor_dtype dtype, const int64_t *dims,
                          size_t dim_count, const void *data)
{
    const struct onnx_weight *made = onnx_model_add_weight(stage->model, name, dtype, dims, dim_count, data);
    assert_non_null(made);
    return made->name;
}

static void node(struct stage *stage, const char *op, const char *name, const char *inputs,
                 const char *output)
{
    char text[200];
    const char *words[4];
    size_t count = 0;
    str_copy(text, sizeof text, inputs);
    for (char *at = text, *word; (word = strsep(&at, " "));)
        words[count++] = word;
    assert_non_null(onnx_model_add_node(stage->model, op, name, words, count, &output, 1));
}

/* `to` = DQ(Q(`from`)); nodes are called Q_to and DQ_to, the constants s_to and z_to. */
static void pair(struct stage *stage, const char *from, const char *to)
{
    char scale[40], zero[40], q[40], name[48], inputs[140];
    snprintf(scale, sizeof scale, "s_%s", to);
    snprintf(zero, sizeof zero, "z_%s", to);
    snprintf(q, sizeof q, "q_%s", to);
    weight(stage, scale, DTYPE_FLOAT32, NULL, 0, &stage->scale);
    weight(stage, zero, DTYPE_INT8, NULL, 0, &(int8_t){0});
    snprintf(inputs, sizeof inputs, "%s %s %s", from, scale, zero);
    snprintf(name, sizeof name, "Q_%s", to);
    node(stage, "QuantizeLinear", name, inputs, q);
    snprintf(inputs, sizeof inputs, "%s %s %s", q, scale, zero);
    snprintf(name, sizeof name, "DQ_%s", to);
    node(stage, "DequantizeLinear", name, inputs, to);
}

static struct onnx_node *last(struct stage *stage)
{
    const struct onnx_graph *contents = onnx_model_graph(stage->model);
    return contents->nodes[contents->node_count - 1];
}

static void set_int(struct stage *stage, struct onnx_node *of, const char *attr, int64_t value)
{
    struct err err = {0};
    assert_ok(onnx_node_set_int(stage->model, of, attr, value, &err), err);
}

/* Convolution 1 x 1 `name` of `from` (already behind its pair) with quantized weights. */
static void conv(struct stage *stage, const char *name, const char *from, size_t in, const char *to)
{
    const int64_t dims[] = {CHANNELS, (int64_t)in, 1, 1}, channels[] = {CHANNELS};
    float *data = mem_zalloc(CHANNELS * in, sizeof *data), scales[CHANNELS];
    int8_t zeros[CHANNELS] = {0};
    char w[40], s[40], z[40], q[40], d[40], b[40], inputs[140], node_name[48];
    for (size_t i = 0; i < CHANNELS; i++)
        scales[i] = 0.01F;
    for (size_t i = 0; i < CHANNELS * in; i++)
        data[i] = sinf((float)i);
    snprintf(w, sizeof w, "w_%s", name);
    snprintf(s, sizeof s, "ws_%s", name);
    snprintf(z, sizeof z, "wz_%s", name);
    snprintf(q, sizeof q, "wq_%s", name);
    snprintf(d, sizeof d, "wd_%s", name);
    snprintf(b, sizeof b, "b_%s", name);
    weight(stage, w, DTYPE_FLOAT32, dims, 4, data);
    weight(stage, s, DTYPE_FLOAT32, channels, 1, scales);
    weight(stage, z, DTYPE_INT8, channels, 1, zeros);
    weight(stage, b, DTYPE_FLOAT32, channels, 1, scales);
    snprintf(inputs, sizeof inputs, "%s %s %s", w, s, z);
    snprintf(node_name, sizeof node_name, "WQ_%s", name);
    node(stage, "QuantizeLinear", node_name, inputs, q);
    set_int(stage, last(stage), "axis", 0);
    snprintf(inputs, sizeof inputs, "%s %s %s", q, s, z);
    snprintf(node_name, sizeof node_name, "WDQ_%s", name);
    node(stage, "DequantizeLinear", node_name, inputs, d);
    set_int(stage, last(stage), "axis", 0);
    snprintf(inputs, sizeof inputs, "%s %s %s", from, d, b);
    node(stage, "Conv", name, inputs, to);
    free(data);
}

static void open_stage(struct stage *stage)
{
    const int64_t in[] = {1, CHANNELS, SIDE, SIDE}, out[] = {1, CHANNELS, 1, 1};
    struct err err = {0};
    *stage = (struct stage){.model = onnx_model_new(9, 19), .scale = 0.05F};
    struct onnx_graph *contents = onnx_model_graph(stage->model);
    assert_non_null(onnx_model_add_value(stage->model, &contents->inputs, &contents->input_count, "x",
                                         DTYPE_FLOAT32, in, 4));
    assert_non_null(onnx_model_add_value(stage->model, &contents->outputs, &contents->output_count, "y",
                                         DTYPE_FLOAT32, out, 4));
    pair(stage, "x", "xd");
    conv(stage, "conv1", "xd", CHANNELS, "c1");
    node(stage, "Relu", "relu", "c1", "r");
    pair(stage, "r", "rd");
    conv(stage, "conv2", "rd", CHANNELS, "c2");
    node(stage, "Add", "add", "c2 rd", "a");
    pair(stage, "a", "ad");
    conv(stage, "conv4", "ad", CHANNELS, "c4");
    node(stage, "Relu", "relu4", "c4", "r4");
    node(stage, "Concat", "concat", "a r4", "both");
    set_int(stage, last(stage), "axis", 1);
    pair(stage, "both", "bd");
    conv(stage, "conv3", "bd", 2 * CHANNELS, "c3");
    node(stage, "Sigmoid", "sigmoid", "c3", "sg");
    node(stage, "Mul", "mul", "c3 sg", "m");
    node(stage, "GlobalAveragePool", "pool", "m", "y");
    assert_ok(graph_of(stage->model, &stage->graph, &err), err);
}

/* ---- how to break it ---- */

static struct onnx_node *named(struct stage *stage, const char *name)
{
    size_t count;
    struct onnx_node *const *nodes = graph_nodes(stage->graph, &count);
    for (size_t i = 0; i < count; i++)
        if (str_eq(nodes[i]->name, name))
            return nodes[i];
    fail_msg("no node %s", name);
    return NULL;
}

static void reads(struct stage *stage, const char *name, size_t input, const char *tensor)
{
    struct err err = {0};
    assert_ok(graph_set_input(stage->graph, named(stage, name), input, tensor, &err), err);
}

static void constant(struct stage *stage, const char *name, size_t input, enum tensor_dtype dtype,
                     const void *value)
{
    const struct onnx_weight *made = graph_add_weight(stage->graph, "other", dtype, NULL, 0, value);
    assert_non_null(made);
    reads(stage, name, input, made->name);
}

static void old_opset(struct stage *stage)
{
    struct err err = {0};
    assert_ok(onnx_model_set_opset(graph_model(stage->graph), "", 12, &err), err);
}

static void new_opset(struct stage *stage)
{
    struct err err = {0};
    assert_ok(onnx_model_set_opset(graph_model(stage->graph), "", 23, &err), err);
}

static void half_input(struct stage *stage)
{
    onnx_model_graph(graph_model(stage->graph))->inputs[0]->dtype = DTYPE_FLOAT16;
}

static void foreign(struct stage *stage)
{
    named(stage, "relu4")->domain = "com.microsoft";
}

static void integer_operator(struct stage *stage)
{
    named(stage, "relu4")->op = "QLinearConv";
}

static void mixed(struct stage *stage)
{
    constant(stage, "mul", 1, DTYPE_FLOAT16, &(uint16_t){0x3c00});
}

static struct onnx_node *insert(struct stage *stage, const char *op, const char *tensor, const char *reader,
                                size_t input)
{
    const char *output = graph_fresh(stage->graph, "new");
    struct onnx_node *made = graph_add(stage->graph, op, &tensor, 1, &output, 1);
    assert_non_null(made);
    reads(stage, reader, input, output);
    return made;
}

static void double_precision(struct stage *stage)
{
    struct onnx_node *up = insert(stage, "Cast", "r4", "concat", 1);
    set_int(stage, up, "to", DTYPE_FLOAT64);
    struct onnx_node *relu = insert(stage, "Relu", up->outputs[0], "concat", 1);
    set_int(stage, insert(stage, "Cast", relu->outputs[0], "concat", 1), "to", DTYPE_FLOAT32);
}

static void casts_in_a_row(struct stage *stage)
{
    struct onnx_node *down = insert(stage, "Cast", "r4", "concat", 1);
    set_int(stage, down, "to", DTYPE_FLOAT16);
    set_int(stage, insert(stage, "Cast", down->outputs[0], "concat", 1), "to", DTYPE_FLOAT32);
}

static void shifted(struct stage *stage)
{
    constant(stage, "Q_xd", 2, DTYPE_INT8, &(int8_t){1});
    reads(stage, "DQ_xd", 2, named(stage, "Q_xd")->inputs[2]);
}

static void unsigned_integers(struct stage *stage)
{
    constant(stage, "Q_xd", 2, DTYPE_UINT8, &(uint8_t){0});
    reads(stage, "DQ_xd", 2, named(stage, "Q_xd")->inputs[2]);
}

static void set_scale(struct stage *stage, const char *pair_name, float value)
{
    char name[48];
    snprintf(name, sizeof name, "Q_%s", pair_name);
    constant(stage, name, 1, DTYPE_FLOAT32, &value);
    const char *scale = named(stage, name)->inputs[1];
    snprintf(name, sizeof name, "DQ_%s", pair_name);
    reads(stage, name, 1, scale);
}

static void zero_scale(struct stage *stage)
{
    set_scale(stage, "xd", 0);
}

static void infinite_scale(struct stage *stage)
{
    set_scale(stage, "xd", INFINITY);
}

static void early_half_scale(struct stage *stage)
{
    struct err err = {0};
    const struct onnx_weight *half =
        graph_add_weight(stage->graph, "s", DTYPE_FLOAT16, NULL, 0, &(uint16_t){0x2a66});
    reads(stage, "DQ_xd", 1, half->name);
    constant(stage, "Q_xd", 1, DTYPE_FLOAT32, &(float){half_to_float(0x2a66)});
    struct onnx_node *cast = insert(stage, "Cast", "xd", "conv1", 0);
    set_int(stage, cast, "to", DTYPE_FLOAT32);
    assert_ok(onnx_model_set_opset(graph_model(stage->graph), "", 17, &err), err);
}

static void integers_alone(struct stage *stage)
{
    const int64_t dims[] = {CHANNELS, CHANNELS, 1, 1};
    int8_t integers[CHANNELS * CHANNELS] = {1};
    const struct onnx_weight *made = graph_add_weight(stage->graph, "int", DTYPE_INT8, dims, 4, integers);
    reads(stage, "WDQ_conv4", 0, made->name);
    reads(stage, "conv4", 0, "a"); /* or it would have a pair on one side only */
}

static void other_scale_behind(struct stage *stage)
{
    constant(stage, "DQ_xd", 1, DTYPE_FLOAT32, &(float){0.06F});
}

static void scales_on_activations(struct stage *stage)
{
    float scales[CHANNELS];
    const int64_t dims[] = {CHANNELS};
    for (size_t i = 0; i < CHANNELS; i++)
        scales[i] = 0.05F;
    const struct onnx_weight *made = graph_add_weight(stage->graph, "many", DTYPE_FLOAT32, dims, 1, scales);
    reads(stage, "Q_xd", 1, made->name);
    reads(stage, "DQ_xd", 1, made->name);
}

static void second_grid(struct stage *stage)
{
    float other = 0.02F;
    const struct onnx_weight *s = graph_add_weight(stage->graph, "s", DTYPE_FLOAT32, NULL, 0, &other);
    const struct onnx_weight *z = graph_add_weight(stage->graph, "z", DTYPE_INT8, NULL, 0, &(int8_t){0});
    const char *const q_inputs[] = {"r", s->name, z->name}, *q = graph_fresh(stage->graph, "q"),
                      *d = graph_fresh(stage->graph, "d");
    const char *const d_inputs[] = {q, s->name, z->name};
    assert_non_null(graph_add(stage->graph, "QuantizeLinear", q_inputs, 3, &q, 1));
    assert_non_null(graph_add(stage->graph, "DequantizeLinear", d_inputs, 3, &d, 1));
    reads(stage, "add", 1, d);
}

static void float_input(struct stage *stage)
{
    reads(stage, "conv4", 0, "a");
}

static void float_weights(struct stage *stage)
{
    reads(stage, "conv4", 1, "w_conv4");
}

static void computed_weights(struct stage *stage)
{
    insert(stage, "Neg", "w_conv4", "WQ_conv4", 0);
    reads(stage, "WQ_conv4", 0, insert(stage, "Relu", "x", "WQ_conv4", 0)->outputs[0]);
}

static void one_scale_for_weights(struct stage *stage)
{
    constant(stage, "WQ_conv4", 1, DTYPE_FLOAT32, &(float){0.01F});
    reads(stage, "WDQ_conv4", 1, named(stage, "WQ_conv4")->inputs[1]);
}

static void wrong_axis(struct stage *stage)
{
    set_int(stage, named(stage, "WQ_conv4"), "axis", 1);
    set_int(stage, named(stage, "WDQ_conv4"), "axis", 1);
}

static void quantized_bias(struct stage *stage)
{
    const int64_t dims[] = {CHANNELS};
    int32_t integers[CHANNELS] = {1};
    const struct onnx_weight *made = graph_add_weight(stage->graph, "bias", DTYPE_INT32, dims, 1, integers);
    const char *const inputs[] = {made->name, "s_ad"}, *output = graph_fresh(stage->graph, "bd");
    assert_non_null(graph_add(stage->graph, "DequantizeLinear", inputs, 2, &output, 1));
    reads(stage, "conv4", 2, output);
}

static void few_channels(struct stage *stage)
{
    const int64_t dims[] = {CHANNELS, 3, 1, 1};
    float values[CHANNELS * 3] = {1};
    struct onnx_weight *w = (struct onnx_weight *)graph_tensor(stage->graph, "w_conv4")->weight;
    const struct onnx_weight *made = graph_add_weight(stage->graph, "thin", DTYPE_FLOAT32, dims, 4, values);
    (void)w;
    reads(stage, "WQ_conv4", 0, made->name);
    set_int(stage, named(stage, "conv4"), "group", 4);
}

static void activation_behind_a_pair(struct stage *stage)
{
    const char *const s = "s_rd", *const z = "z_rd";
    const char *const q_inputs[] = {"c4", s, z}, *q = graph_fresh(stage->graph, "q"),
                      *d = graph_fresh(stage->graph, "d");
    const char *const d_inputs[] = {q, s, z};
    assert_non_null(graph_add(stage->graph, "QuantizeLinear", q_inputs, 3, &q, 1));
    assert_non_null(graph_add(stage->graph, "DequantizeLinear", d_inputs, 3, &d, 1));
    reads(stage, "relu4", 0, d);
}

static void pool_behind_a_pair(struct stage *stage)
{
    const char *const s = "s_rd", *const z = "z_rd";
    const char *const q_inputs[] = {"m", s, z}, *q = graph_fresh(stage->graph, "q"),
                      *d = graph_fresh(stage->graph, "d");
    const char *const d_inputs[] = {q, s, z};
    assert_non_null(graph_add(stage->graph, "QuantizeLinear", q_inputs, 3, &q, 1));
    assert_non_null(graph_add(stage->graph, "DequantizeLinear", d_inputs, 3, &d, 1));
    reads(stage, "pool", 0, d);
}

static void quantized_output(struct stage *stage)
{
    struct err err = {0};
    assert_ok(graph_expose(stage->graph, "xd", &err), err);
}

static void sigmoid_behind_a_pair(struct stage *stage)
{
    reads(stage, "sigmoid", 0, "rd");
}

static void pinned_sigmoid(struct stage *stage)
{
    struct half_outcome outcome;
    struct err err = {0};
    assert_ok(half_convert(stage->graph, NULL, &outcome, &err), err);
    set_int(stage, insert(stage, "Cast", "c3", "sigmoid", 0), "to", DTYPE_FLOAT32);
    set_int(stage, insert(stage, "Cast", named(stage, "sigmoid")->outputs[0], "mul", 1), "to", DTYPE_FLOAT16);
}

static void float_skip(struct stage *stage)
{
    reads(stage, "add", 1, "r");
}

static void quantized_branch(struct stage *stage)
{
    const char *const s = "s_rd", *const z = "z_rd";
    const char *const q_inputs[] = {"c2", s, z}, *q = graph_fresh(stage->graph, "q"),
                      *d = graph_fresh(stage->graph, "d");
    const char *const d_inputs[] = {q, s, z};
    assert_non_null(graph_add(stage->graph, "QuantizeLinear", q_inputs, 3, &q, 1));
    assert_non_null(graph_add(stage->graph, "DequantizeLinear", d_inputs, 3, &d, 1));
    reads(stage, "add", 0, d);
}

static void quantized_constant_sum(struct stage *stage)
{
    constant(stage, "add", 0, DTYPE_FLOAT32, &(float){1});
}

static void unequal_concat(struct stage *stage)
{
    set_scale(stage, "bd", 0.06F);
}

static const struct breakage {
    const char *rule;
    void (*apply)(struct stage *stage);
    const char *node;
} breakages[] = {{"opset", old_opset, ""},
                 {"opset", new_opset, ""},
                 {"io-float32", half_input, ""},
                 {"foreign-operator", foreign, "relu4"},
                 {"foreign-operator", integer_operator, "relu4"},
                 {"mixed-types", mixed, "mul"},
                 {"wide-float", double_precision, NULL},
                 {"cast-chain", casts_in_a_row, NULL},
                 {"symmetric", shifted, "Q_xd"},
                 {"symmetric", unsigned_integers, "Q_xd"},
                 {"scale", zero_scale, "Q_xd"},
                 {"scale", infinite_scale, "Q_xd"},
                 {"half-scale", early_half_scale, "DQ_xd"},
                 {"dangling-pair", integers_alone, "WDQ_conv4"},
                 {"pair-match", other_scale_behind, "DQ_xd"},
                 {"per-tensor-activations", scales_on_activations, "Q_xd"},
                 {"one-grid", second_grid, NULL},
                 {"all-inputs", float_input, "conv4"},
                 {"all-inputs", float_weights, "conv4"},
                 {"constant-weights", computed_weights, "conv4"},
                 {"per-channel-weights", one_scale_for_weights, "conv4"},
                 {"per-channel-weights", wrong_axis, "conv4"},
                 {"float-bias", quantized_bias, "conv4"},
                 {"few-channels", few_channels, "conv4"},
                 {"output-not-quantized", activation_behind_a_pair, "relu4"},
                 {"output-not-quantized", quantized_output, "DQ_xd"},
                 {"stray-pair", pool_behind_a_pair, "pool"},
                 {"sigmoid", sigmoid_behind_a_pair, "sigmoid"},
                 {"sigmoid", pinned_sigmoid, "sigmoid"},
                 {"residual-input", float_skip, "add"},
                 {"residual-input", quantized_branch, "add"},
                 {"residual-input", quantized_constant_sum, "add"},
                 {"concat-scale", unequal_concat, "Q_bd"}};

static struct trt_findings check(struct graph *graph)
{
    struct trt_findings findings;
    struct err err = {0};
    assert_ok(trt_check(graph, &findings, &err), err);
    return findings;
}

static void print(const char *what, const struct trt_findings *findings)
{
    for (size_t i = 0; i < MIN(findings->count, (size_t)TRT_MAX_FINDINGS); i++)
        print_message("%s: %s: %s\n", what, findings->items[i].node, findings->items[i].rule);
}

static void the_model_placement_breaks_no_rule(void **state)
{
    struct stage stage;
    open_stage(&stage);
    const struct trt_findings findings = check(stage.graph);
    print("whole", &findings);
    assert_int_equal(findings.count, 0);
    assert_int_equal(findings.weighted, 4);
    assert_int_equal(findings.quantized, 4);
    graph_free(stage.graph);
}

static bool is_found(const struct trt_findings *findings, const struct breakage *wanted)
{
    for (size_t i = 0; i < MIN(findings->count, (size_t)TRT_MAX_FINDINGS); i++)
        if (str_eq(findings->items[i].rule, wanted->rule) &&
            (!wanted->node || str_eq(findings->items[i].node, wanted->node)))
            return true;
    return false;
}

static void whatever_is_broken_is_found(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(breakages); i++) {
        struct stage stage;
        open_stage(&stage);
        breakages[i].apply(&stage);
        const struct trt_findings findings = check(stage.graph);
        if (!is_found(&findings, &breakages[i])) {
            print("found", &findings);
            fail_msg("%zu: %s is not found", i, breakages[i].rule);
        }
        graph_free(stage.graph);
    }
}

static void every_rule_has_been_broken_and_has_words(void **state)
{
    for (size_t r = 0; r < trt_rule_count(); r++) {
        bool tried = str_eq(trt_rule(r), "matrix-vector"); /* below */
        assert_non_null(trt_rule_text(trt_rule(r)));
        for (size_t i = 0; i < ARRAY_LEN(breakages); i++)
            tried |= str_eq(breakages[i].rule, trt_rule(r));
        if (!tried)
            fail_msg("nobody broke %s", trt_rule(r));
    }
    assert_null(trt_rule_text("no such rule"));
}

static void a_finding_is_one_line(void **state)
{
    struct stage stage;
    struct err err = {0};
    open_stage(&stage);
    assert_ok(trt_explain(&(struct trt_findings){0}, &err), err);
    shifted(&stage);
    const struct trt_findings findings = check(stage.graph);
    assert_fails(trt_explain(&findings, &err), err, ERR_REFUSED);
    assert_string_equal(err.text, "not as TensorRT wants it: Q_xd: zero points are int8 and 0 (and 1 more)");
    graph_free(stage.graph);
}

/* ---- what the planner places ---- */

/* Every tensor was between -1 and 1; graph inputs and whatever nodes make. */
static void invent(struct graph *graph, struct observation *out)
{
    size_t count, room = 1;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    const struct onnx_graph *contents = onnx_model_graph(graph_model(graph));
    for (size_t i = 0; i < count; i++)
        room += nodes[i]->output_count;
    out->count = 0;
    out->tensors = mem_zalloc(room + contents->input_count, sizeof *out->tensors);
    for (size_t i = 0; i < contents->input_count + count; i++) {
        const char *name = i < contents->input_count ? contents->inputs[i]->name
                                                     : nodes[i - contents->input_count]->outputs[0];
        struct observed *tensor = &out->tensors[out->count++];
        *tensor = (struct observed){
            .name = mem_strdup(name), .finite = true, .min = -1, .max = 1, .count = OBSERVE_BINS};
        for (size_t b = 0; b < OBSERVE_BINS; b++)
            tensor->bins[b] = 1;
    }
}

static int compare_observed(const void *a, const void *b)
{
    return strcmp(((const struct observed *)a)->name, ((const struct observed *)b)->name);
}

static void plan(struct graph *graph, const struct quant_skip *skip, size_t skip_count,
                 struct quant_plan *out)
{
    const struct quant_options options = {.profile = PROFILE_TRT, .weight_bits = 8};
    cleanup_observation struct observation seen = {0};
    struct err err = {0};
    invent(graph, &seen);
    qsort(seen.tensors, seen.count, sizeof *seen.tensors, compare_observed);
    assert_ok(quant_plan_make(graph, &seen, &options, skip, skip_count, out, &err), err);
}

static struct graph *net(enum net_kind kind)
{
    struct graph *graph = NULL;
    struct err err = {0};
    const struct net_shape shape = {.blocks = 2, .seed = 3};
    assert_ok(net_build(kind, &shape, &graph, &err), err);
    return graph;
}

static void fail_if_any(const char *what, const struct trt_findings *findings)
{
    if (findings->count == 0)
        return;
    print(what, findings);
    fail_msg("%s: %zu findings", what, findings->count);
}

static size_t count_integer(const struct quant_plan *made, bool weighted)
{
    size_t count = 0;
    for (size_t i = 0; i < made->node_count; i++)
        count += made->nodes[i].integer && made->nodes[i].weighted == weighted;
    return count;
}

static void what_is_placed_passes_on_every_network_alone_and_with_float16(void **state)
{
    for (int kind = 0; kind < NET_COUNT; kind++) {
        cleanup_graph struct graph *graph = net((enum net_kind)kind);
        cleanup_quant_plan struct quant_plan made = {0};
        struct half_outcome outcome;
        struct err err = {0};
        plan(graph, NULL, 0, &made);
        assert_ok(quant_emit(graph, &made, NULL, 0, &err), err);
        struct trt_findings findings = check(graph);
        fail_if_any(net_name((enum net_kind)kind), &findings);
        assert_int_equal(findings.quantized, count_integer(&made, true));
        assert_true(findings.quantized > 0);
        assert_ok(half_convert(graph, NULL, &outcome, &err), err);
        const size_t quantized = findings.quantized;
        findings = check(graph);
        fail_if_any(net_name((enum net_kind)kind), &findings);
        assert_int_equal(findings.quantized, quantized);
        assert_true(outcome.casts <= 2);
    }
}

/* Any part of a plan taken back leaves a plan that passes: what the search does. */
static void whatever_is_taken_back_the_rest_passes(void **state)
{
    static const enum net_kind kinds[] = {NET_RESIDUAL, NET_SILU,   NET_INVERTED,
                                          NET_SQUEEZE,  NET_CONCAT, NET_YOLO};
    uint32_t random = 12345;
    for (int round = 0; round < 60; round++) {
        cleanup_graph struct graph *graph = net(kinds[(size_t)round % ARRAY_LEN(kinds)]);
        struct quant_plan whole = {0}, rest = {0};
        struct quant_skip skip[64];
        struct err err = {0};
        size_t count = 0;
        plan(graph, NULL, 0, &whole);
        for (size_t i = 0; i < whole.node_count && count < ARRAY_LEN(skip); i++)
            if (whole.nodes[i].integer && (random = random * 1664525 + 1013904223) >> 30 == 0)
                skip[count++] = (struct quant_skip){whole.nodes[i].node, "a throw of the dice"};
        plan(graph, skip, count, &rest);
        for (size_t i = 0; i < rest.node_count; i++)
            for (size_t k = 0; k < count; k++)
                assert_false(str_eq(rest.nodes[i].node, skip[k].node) && rest.nodes[i].integer);
        assert_ok(quant_emit(graph, &rest, NULL, 0, &err), err);
        const struct trt_findings findings = check(graph);
        fail_if_any(net_name(kinds[(size_t)round % ARRAY_LEN(kinds)]), &findings);
        quant_plan_fini(&whole);
        quant_plan_fini(&rest);
    }
}

static void a_matrix_times_a_vector_stays_float(void **state)
{
    const int64_t dims[] = {1, 64};
    cleanup_graph struct graph *graph = net(NET_RESIDUAL);
    cleanup_quant_plan struct quant_plan made = {0};
    struct err err = {0};
    size_t count;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    const struct onnx_node *gemm = nodes[count - 1];
    assert_string_equal(gemm->op, "Gemm");
    const char *input = gemm->inputs[0];
    plan(graph, NULL, 0, &made); /* nobody knows its shape: it is quantized */
    assert_ok(quant_emit(graph, &made, NULL, 0, &err), err);
    graph_set_shape(graph, input, DTYPE_FLOAT32, dims, 2);
    struct trt_findings findings = check(graph);
    assert_int_equal(findings.count, 1);
    assert_string_equal(findings.items[0].rule, "matrix-vector");
    cleanup_graph struct graph *known = net(NET_RESIDUAL);
    cleanup_quant_plan struct quant_plan better = {0};
    graph_set_shape(known, input, DTYPE_FLOAT32, dims, 2);
    plan(known, NULL, 0, &better);
    assert_int_equal(count_integer(&better, true), count_integer(&made, true) - 1);
    assert_string_equal(better.nodes[better.node_count - 1].why, "a matrix times a vector");
}

/* ---- the command ---- */

static void the_command_is_one_line_for_a_shell(void **state)
{
    cleanup_buf struct buf text = BUF_INIT(4096);
    struct err err = {0};
    const struct trt_build build = {.model = "it's here/trt.onnx",
                                    .engine = "model.plan",
                                    .timing_cache = "timing.cache",
                                    .level = 3,
                                    .workspace_mib = 1024};
    assert_ok(trt_command(&build, &text, &err), err);
    assert_string_equal(
        buf_text(&text),
        "trtexec '--onnx=it'\\''s here/trt.onnx' --saveEngine=model.plan --timingCacheFile=timing.cache "
        "--builderOptimizationLevel=3 --memPoolSize=workspace:1024 --skipInference --stronglyTyped");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_placement_breaks_no_rule),
        cmocka_unit_test(whatever_is_broken_is_found),
        cmocka_unit_test(every_rule_has_been_broken_and_has_words),
        cmocka_unit_test(a_finding_is_one_line),
        cmocka_unit_test(what_is_placed_passes_on_every_network_alone_and_with_float16),
        cmocka_unit_test(whatever_is_taken_back_the_rest_passes),
        cmocka_unit_test(a_matrix_times_a_vector_stays_float),
        cmocka_unit_test(the_command_is_one_line_for_a_shell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
