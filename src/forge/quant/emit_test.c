/* Models with Q and DQ compute what the float ones do, on integers. Without a runtime these tests are skipped. */
#include "forge/quant/quant_testing.h"

static const enum quant_profile profiles[] = {PROFILE_CPU_X86, PROFILE_CPU_ARM};

static const char *conv(struct layers *net, const char *x, int in, int out)
{
    const struct conv_shape shape = {.in = in, .out = out, .kernel = 3, .stride = 1};
    return layer_conv(net, x, &shape);
}

static const char *relu_beside(struct layers *net, const char *x)
{
    return layer2(net, "Add", layer_relu(net, x), x);
}
static const char *hard_sigmoid(struct layers *net, const char *x)
{
    return layer1(net, "HardSigmoid", x);
}
static const char *hard_swish(struct layers *net, const char *x)
{
    return layer1(net, "HardSwish", x);
}
static const char *minus_constant(struct layers *net, const char *x)
{
    return layer2(net, "Sub", x, layer_float(net, 0.7F));
}
static const char *divided(struct layers *net, const char *x)
{
    return layer2(net, "Div", x, layer_float(net, 3));
}
static const char *divided_beside(struct layers *net, const char *x)
{
    return layer2(net, "Add", layer2(net, "Div", x, layer_float(net, -3)), x);
}
static const char *clipped(struct layers *net, const char *x)
{
    return layer_relu6(net, layer2(net, "Mul", layer_float(net, 4), x));
}
static const char *clipped_and_scaled(struct layers *net, const char *x)
{
    return layer2(net, "Mul", layer_float(net, 0.25F), clipped(net, x));
}
static const char *old_hard_swish(struct layers *net, const char *x)
{
    return layer_hard_swish(net, x);
}
static const char *mean(struct layers *net, const char *x)
{
    const char *out = layer1(net, "ReduceMean", x);
    layers_set_ints(net, "axes", (const int64_t[]){-1, 2}, 2);
    layers_set_int(net, "keepdims", 1);
    return layer2(net, "Add", out, x);
}
static const char *joined_with_zeros(struct layers *net, const char *x)
{
    static const float zeros[4 * 16 * 16];
    const char *parts[] = {x, layer_floats(net, zeros, (const int64_t[]){1, 4, 16, 16}, 4)};
    return conv(net, layer_concat(net, parts, 2, 1), 12, 8);
}
static const char *both_ways(struct layers *net, const char *x)
{
    return layer2(net, "Add", x, x);
}

/* What an operator becomes, between two convolutions. */
static const struct turned {
    const char *name;
    const char *(*build)(struct layers *net, const char *x);
    const char *kernel; /* NULL: it vanishes in a grid */
} turns[] = {
    {.name = "Relu beside another reader", .build = relu_beside, .kernel = "QLinearLeakyRelu"},
    {.name = "HardSigmoid", .build = hard_sigmoid, .kernel = "QLinearAdd"},
    {.name = "HardSwish", .build = hard_swish, .kernel = "QLinearMul"},
    {.name = "Sub", .build = minus_constant, .kernel = "QLinearAdd"},
    {.name = "Div", .build = divided, .kernel = NULL},
    {.name = "Div beside another reader", .build = divided_beside, .kernel = "QLinearMul"},
    {.name = "Mul, Clip", .build = clipped, .kernel = NULL},
    {.name = "Mul, Clip, Mul", .build = clipped_and_scaled, .kernel = NULL},
    {.name = "hard-swish of old", .build = old_hard_swish, .kernel = "QLinearMul"},
    {.name = "ReduceMean", .build = mean, .kernel = "QLinearGlobalAveragePool"},
    {.name = "Concat with constants", .build = joined_with_zeros, .kernel = "QLinearConcat"},
    {.name = "Add of the same", .build = both_ways, .kernel = "QLinearAdd"},
};

static void check_turn(const struct turned *turn, enum quant_profile profile)
{
    struct layers net = net_begin();
    cleanup_quant_plan struct quant_plan plan = {0};
    struct unfused unfused;
    const char *x = turn->build(&net, conv(&net, "x", 3, 8)), *out = conv(&net, x, 8, 4);
    net_end(&net, 16, &out, 1);
    struct trial trial = trial_open(16);
    trial_plan(&trial, profile, NULL, 0, &plan);
    for (size_t i = 0; i < plan.node_count; i++)
        assert_true(plan.nodes[i].integer);
    trial_emit(&trial, &plan);
    trial_count(&plan, &unfused);
    double sqnr = trial_sqnr(&trial, profile);
    print_message("%s for %s: %.1f dB\n", turn->name, quant_profile_name(profile), sqnr);
    assert_int_equal(unfused.unfused, 0);
    assert_int_equal(trial_optimized(profile, "QuantizeLinear"), 1);
    assert_int_equal(trial_optimized(profile, "DequantizeLinear"), 1);
    if (turn->kernel)
        assert_true(trial_optimized(profile, turn->kernel) > 0);
    assert_true(sqnr > 26);
    trial_close(&trial);
}

static void operators_without_a_kernel_become_one_that_has(void **state)
{
    wants_runtime();
    for (size_t i = 0; i < ARRAY_LEN(turns); i++)
        for (size_t k = 0; k < ARRAY_LEN(profiles); k++)
            check_turn(&turns[i], profiles[k]);
}

/* An output that operators read as well keeps its name; a float operator beside an integer one reads what it always read. */
static void outputs_on_the_way_keep_their_names(void **state)
{
    wants_runtime();
    struct layers net = net_begin();
    cleanup_quant_plan struct quant_plan plan = {0};
    struct unfused unfused;
    const char *x = layer_relu(&net, conv(&net, "x", 3, 8));
    const char *outputs[] = {x, layer1(&net, "Tanh", x), conv(&net, layer1(&net, "Tanh", x), 8, 4)};
    net_end(&net, 16, outputs, 3);
    struct trial trial = trial_open(16);
    trial_plan(&trial, PROFILE_CPU_X86, NULL, 0, &plan);
    trial_emit(&trial, &plan);
    trial_count(&plan, &unfused);
    assert_int_equal(unfused.unfused, 0);
    assert_int_equal(unfused.integer, 2);
    cleanup_lab struct lab *plain = trial_lab(scratch_path("net.onnx"), PROFILE_CPU_X86, LAB_ALL);
    cleanup_lab struct lab *lab = trial_lab(scratch_path("quant.onnx"), PROFILE_CPU_X86, LAB_ALL);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(lab_output(lab, i)->name, lab_output(plain, i)->name);
    assert_true(trial_sqnr(&trial, PROFILE_CPU_X86) > 30);
    trial_close(&trial);
}

/* A dead channel with a large bias: its weights' own scale could not carry the bias in 32 bits. */
static void a_bias_fits_whatever_its_weights_are(void **state)
{
    wants_runtime();
    static const float weights[4] = {1e-30F, 0, 1, -0.5F}, biases[4] = {5, -7, 0.25F, 0};
    struct layers net = net_begin();
    cleanup_quant_plan struct quant_plan plan = {0};
    float all[4 * 3];
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        all[i] = weights[i / 3];
    const char *inputs[] = {"x", layer_floats(&net, all, (const int64_t[]){4, 3, 1, 1}, 4),
                            layer_floats(&net, biases, (const int64_t[]){4}, 1)};
    const char *out = layer(&net, "Conv", inputs, 3);
    layers_set_ints(&net, "kernel_shape", (const int64_t[]){1, 1}, 2);
    net_end(&net, 16, &out, 1);
    struct trial trial = trial_open(16);
    for (size_t k = 0; k < ARRAY_LEN(profiles); k++) {
        struct unfused unfused;
        trial_plan(&trial, profiles[k], NULL, 0, &plan);
        trial_emit(&trial, &plan);
        trial_count(&plan, &unfused);
        assert_int_equal(unfused.integer, 1);
        assert_true(trial_sqnr(&trial, profiles[k]) > 40);
        quant_plan_fini(&plan);
    }
    trial_close(&trial);
}

/* ONNX Runtime does not ask how long a convolution's bias is. */
static void a_bias_of_another_length_is_refused(void **state)
{
    static const float weights[4 * 3] = {1}, biases[3] = {1, 2, 3};
    struct err err = {0};
    struct layers net = net_begin();
    const char *inputs[] = {"x", layer_floats(&net, weights, (const int64_t[]){4, 3, 1, 1}, 4),
                            layer_floats(&net, biases, (const int64_t[]){3}, 1)};
    const char *out = layer(&net, "Conv", inputs, 3);
    net_end(&net, 16, &out, 1);
    cleanup_graph struct graph *graph = NULL;
    assert_ok(graph_open(scratch_path("net.onnx"), &graph, &err), err);
    size_t count = 0;
    struct quant_node node = {
        .node = graph_nodes(graph, &count)[0]->name, .op = "Conv", .weighted = true, .integer = true};
    const struct quant_plan plan = {
        .options = {.profile = PROFILE_TRT, .weight_bits = 8}, .node_count = 1, .nodes = &node};
    assert_fails(quant_emit(graph, &plan, NULL, 0, &err), err, ERR_INVALID);
    assert_non_null(strstr(err.text, "3 numbers for 4 channels"));
}

/* The weights that a fix gives are those in the model, and its bias is added. */
static void fixes_are_taken_as_they_are(void **state)
{
    wants_runtime();
    struct layers net = net_begin();
    cleanup_quant_plan struct quant_plan plan = {0};
    struct err err = {0};
    const char *out = conv(&net, "x", 3, 4);
    net_end(&net, 16, &out, 1);
    struct trial trial = trial_open(16);
    trial_plan(&trial, PROFILE_CPU_X86, NULL, 0, &plan);
    int8_t weights[4 * 3 * 9];
    for (size_t i = 0; i < sizeof weights; i++)
        weights[i] = (int8_t)(i % 251) - 125;
    const float add[4] = {1, 2, 3, 4};
    size_t before_count = 0, after_count = 0, count = 0;
    struct onnx_node *node = graph_nodes(trial.graph, &count)[0];
    cleanup_free float *before = graph_floats(trial.graph, node->inputs[2], &before_count);
    const struct quant_fix fix = {.node = node->name, .weights = weights, .bias_add = add};
    assert_ok(quant_emit(trial.graph, &plan, &fix, 1, &err), err);
    const struct onnx_node *dq = graph_input(trial.graph, node, 1)->maker;
    assert_memory_equal(graph_input(trial.graph, dq, 0)->weight->data.data, weights, sizeof weights);
    const struct onnx_node *bias = graph_input(trial.graph, node, 2)->maker;
    const struct onnx_weight *numbers = graph_input(trial.graph, bias, 0)->weight;
    cleanup_free float *scales = graph_floats(trial.graph, bias->inputs[1], &after_count);
    for (size_t i = 0; i < 4; i++) {
        int32_t number = 0;
        memcpy(&number, numbers->data.data + i * sizeof number, sizeof number);
        assert_true(fabsf((float)number * scales[i] - before[i] - add[i]) < 1e-3F);
    }
    trial_close(&trial);
}

static void an_old_opset_is_refused(void **state)
{
    struct err err = {0};
    cleanup_graph struct graph *graph = NULL;
    const struct quant_plan plan = {.options = {.profile = PROFILE_CPU_X86, .weight_bits = 8}};
    assert_ok(graph_new(12, &graph, &err), err);
    assert_fails(quant_emit(graph, &plan, NULL, 0, &err), err, ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_without_a_kernel_become_one_that_has),
        cmocka_unit_test(outputs_on_the_way_keep_their_names),
        cmocka_unit_test(a_bias_fits_whatever_its_weights_are),
        cmocka_unit_test(a_bias_of_another_length_is_refused),
        cmocka_unit_test(fixes_are_taken_as_they_are),
        cmocka_unit_test(an_old_opset_is_refused),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
