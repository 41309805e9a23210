/* The CPU profiles' plans, checked against what ONNX Runtime makes of the models. Without a runtime these tests are skipped. */
#include "forge/quant/quant_testing.h"

static const enum quant_profile profiles[] = {PROFILE_CPU_X86, PROFILE_CPU_ARM};

static const struct net {
    enum net_kind kind;
    int size;
    size_t float_by_plan;
    double sqnr_db; /* at least; what bad placement gives is far below */
} nets[] = {
    {NET_RESIDUAL, 24, 0, 24}, {NET_SILU, 24, 0, 18}, {NET_INVERTED, 24, 0, 20}, {NET_SQUEEZE, 24, 0, 20},
    {NET_CONCAT, 24, 0, 24},   {NET_YOLO, 64, 3, 14}, /* DFL, and the heads: their logits reach far */
    {NET_DENSE, 24, 0, 24},    {NET_TINY, 24, 0, 18},
};

/* ---- all networks ---- */

static bool made_by_integers(struct trial *trial, const struct quant_plan *plan, const char *name)
{
    const struct graph_tensor *tensor = graph_tensor(trial->graph, name);
    const struct quant_node *maker = tensor->maker ? quant_plan_node(plan, tensor->maker->name) : NULL;
    return maker && maker->integer;
}

/* One QuantizeLinear for each tensor that floats make and integers read, none else. */
static size_t expected_quantizers(struct trial *trial, const struct quant_plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->pair_count; i++)
        count += !made_by_integers(trial, plan, plan->pairs[i].tensor);
    return count;
}

static void check_net(const struct net *net, enum quant_profile profile)
{
    struct trial trial = trial_of_net(net->kind, net->size);
    cleanup_quant_plan struct quant_plan plan = {0};
    struct unfused unfused;
    print_message("%s for %s\n", net_name(net->kind), quant_profile_name(profile));
    trial_plan(&trial, profile, NULL, 0, &plan);
    trial_emit(&trial, &plan);
    trial_count(&plan, &unfused);
    assert_int_equal(unfused.unfused, 0);
    assert_int_equal(unfused.float_by_plan, net->float_by_plan);
    assert_int_equal(unfused.integer, unfused.weighted - unfused.float_by_plan);
    assert_int_equal(trial_optimized(profile, "QuantizeLinear"), expected_quantizers(&trial, &plan));
    double sqnr = trial_sqnr(&trial, profile);
    print_message("    %.1f dB\n", sqnr);
    assert_true(sqnr > net->sqnr_db);
    trial_close(&trial);
}

static void every_weighted_operator_fuses(void **state)
{
    wants_runtime();
    for (size_t i = 0; i < ARRAY_LEN(nets); i++)
        for (size_t k = 0; k < ARRAY_LEN(profiles); k++)
            check_net(&nets[i], profiles[k]);
}

static void check_groups(const struct quant_plan *plan)
{
    for (size_t i = 0; i < plan->pair_count; i++) {
        bool integer = false;
        assert_in_range(plan->pairs[i].group, 0, plan->group_count - 1);
        for (size_t k = 0; k < plan->node_count; k++)
            integer |= plan->nodes[k].group == plan->pairs[i].group && plan->nodes[k].integer;
        assert_true(integer);
    }
    for (size_t i = 0; i < plan->node_count; i++) {
        assert_true(plan->nodes[i].integer == (plan->nodes[i].group >= 0));
        assert_true(plan->nodes[i].integer == (plan->nodes[i].why == NULL));
    }
}

/* Whatever is taken out, what is left fuses, and no pair belongs to what was taken out. */
static void without_any_one_group_the_rest_still_fuses(void **state)
{
    wants_runtime();
    struct trial trial = trial_of_net(NET_SQUEEZE, 16);
    cleanup_quant_plan struct quant_plan whole = {0};
    trial_plan(&trial, PROFILE_CPU_X86, NULL, 0, &whole);
    check_groups(&whole);
    for (int group = 0; group < whole.group_count; group++) {
        struct quant_skip skip[16];
        size_t count = 0;
        for (size_t i = 0; i < whole.node_count; i++)
            if (whole.nodes[i].group == group)
                skip[count++] = (struct quant_skip){.node = whole.nodes[i].node, .why = "asked for"};
        cleanup_quant_plan struct quant_plan plan = {0};
        struct unfused unfused;
        trial_plan(&trial, PROFILE_CPU_X86, skip, count, &plan);
        check_groups(&plan);
        for (size_t i = 0; i < count; i++)
            assert_string_equal(quant_plan_node(&plan, skip[i].node)->why, "asked for");
        trial_emit(&trial, &plan);
        trial_count(&plan, &unfused);
        assert_int_equal(unfused.unfused, 0);
    }
    trial_close(&trial);
}

/* ---- single rules ---- */

static const char *conv(struct layers *net, const char *x, int in, int out)
{
    const struct conv_shape shape = {.in = in, .out = out, .kernel = 3, .stride = 1};
    return layer_conv(net, x, &shape);
}

static void plan_own(struct layers *net, const char *output, struct trial *trial, struct quant_plan *plan)
{
    net_end(net, 16, &output, 1);
    *trial = trial_open(16);
    trial_plan(trial, PROFILE_CPU_X86, NULL, 0, plan);
}

static const struct quant_node *planned(const struct quant_plan *plan, const char *op, size_t which)
{
    for (size_t i = 0; i < plan->node_count; i++)
        if (str_eq(plan->nodes[i].op, op) && which-- == 0)
            return &plan->nodes[i];
    fail_msg("the plan has no such %s", op);
    return NULL;
}

/* A sum that an integer convolution reads and a float operator as well: 1000 beside 1 would be all that the float one sees. */
static void mixed_ranges_stay_float_where_floats_read_them(void **state)
{
    wants_runtime();
    struct layers net = net_begin();
    struct trial trial;
    cleanup_quant_plan struct quant_plan plan = {0};
    const char *small = layer1(&net, "Sigmoid", conv(&net, "x", 3, 8));
    const char *large = layer_relu(
        &net, layer_conv(&net, "x",
                         &(struct conv_shape){.in = 3, .out = 8, .kernel = 3, .stride = 1, .gain = 1000}));
    const char *sum = layer_concat(&net, (const char *[]){small, large}, 2, 1);
    const char *parts[] = {conv(&net, sum, 16, 4), layer1(&net, "Tanh", sum)};
    plan_own(&net, layer_concat(&net, parts, 2, 1), &trial, &plan);
    assert_false(planned(&plan, "Concat", 0)->integer);
    assert_memory_equal(planned(&plan, "Concat", 0)->why, "mixed ranges", 12);
    assert_true(planned(&plan, "Conv", 2)->integer);
    trial_close(&trial);
}

static void what_follows_the_last_weights_stays_float(void **state)
{
    wants_runtime();
    struct layers net = net_begin();
    struct trial trial;
    cleanup_quant_plan struct quant_plan plan = {0};
    const char *x = layer1(&net, "Sigmoid", conv(&net, "x", 3, 8));
    const char *y = conv(&net, x, 8, 8);
    plan_own(&net, layer2(&net, "Add", layer1(&net, "Sigmoid", y), y), &trial, &plan);
    assert_true(planned(&plan, "Sigmoid", 0)->integer);
    assert_false(planned(&plan, "Sigmoid", 1)->integer);
    assert_false(planned(&plan, "Add", 0)->integer);
    assert_true(planned(&plan, "Conv", 1)->integer);
    trial_close(&trial);
}

static const char *conv_of(struct layers *net, const char *x, const char *weights)
{
    const char *out = layer2(net, "Conv", x, weights);
    layers_set_ints(net, "kernel_shape", (const int64_t[]){1, 1}, 2);
    return out;
}

static void weights_that_no_kernel_takes_are_named(void **state)
{
    wants_runtime();
    struct layers net = net_begin();
    struct trial trial;
    cleanup_quant_plan struct quant_plan plan = {0};
    float bad[9] = {1, NAN, 2, 3, 4, 5, 6, 7, 8}, bins[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const char *x = conv_of(&net, "x", layer_floats(&net, bad, (const int64_t[]){3, 3, 1, 1}, 4));
    const char *y =
        conv_of(&net, conv(&net, "x", 3, 8), layer_floats(&net, bins, (const int64_t[]){1, 8, 1, 1}, 4));
    const char *z = layer2(&net, "MatMul", "x", "x");
    const char *parts[] = {x, y, z};
    plan_own(&net, layer_concat(&net, parts, 3, 1), &trial, &plan);
    assert_string_equal(planned(&plan, "Conv", 0)->why, "its weights hold NaN or infinity");
    assert_string_equal(planned(&plan, "Conv", 2)->why, "the mean of a distribution over bins (DFL)");
    assert_string_equal(planned(&plan, "MatMul", 0)->why, "both factors are computed");
    assert_false(planned(&plan, "MatMul", 0)->weighted);
    trial_close(&trial);
}

static void an_unobserved_tensor_is_an_error(void **state)
{
    wants_runtime();
    struct trial trial = trial_of_net(NET_TINY, 16);
    struct observation nothing = {0};
    struct quant_plan plan;
    struct err err = {0};
    const struct quant_options options = {.profile = PROFILE_CPU_X86, .weight_bits = 8};
    assert_fails(quant_plan_make(trial.graph, &nothing, &options, NULL, 0, &plan, &err), err, ERR_INVALID);
    assert_non_null(strstr(err.text, "x was not observed"));
    trial_close(&trial);
}

/* Logits of a wide range in front of a Sigmoid, whatever lies between: only some units around 0 matter, and 8 bits have no step for them. */
static void heads_of_wide_logits_stay_float(void **state)
{
    wants_runtime();
    for (int sigmoid = 0; sigmoid < 2; sigmoid++) {
        struct layers net = net_begin();
        cleanup_quant_plan struct quant_plan plan = {0};
        const struct conv_shape body = {.in = 3, .out = 8, .kernel = 3, .stride = 1},
                                head = {.in = 8, .out = 4, .kernel = 1, .stride = 1, .gain = 100};
        const char *out = layer_conv(&net, layer_relu(&net, layer_conv(&net, "x", &body)), &head);
        out = layer1(&net, "Identity", out);
        for (int i = 0; i < 3; i++)
            out = layer_reshape(&net, out, (const int64_t[]){1, 4, 256 >> i, 1 << i}, 4);
        out = layer1(&net, sigmoid ? "Sigmoid" : "Identity", out);
        net_end(&net, 16, &out, 1);
        struct trial trial = trial_open(16);
        trial_plan(&trial, PROFILE_CPU_X86, NULL, 0, &plan);
        size_t heads = 0;
        for (size_t i = 0; i < plan.node_count; i++)
            heads += plan.nodes[i].why && str_starts(plan.nodes[i].why, "head:");
        assert_int_equal(heads, sigmoid);
        trial_close(&trial);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_of_wide_logits_stay_float),
        cmocka_unit_test(every_weighted_operator_fuses),
        cmocka_unit_test(without_any_one_group_the_rest_still_fuses),
        cmocka_unit_test(mixed_ranges_stay_float_where_floats_read_them),
        cmocka_unit_test(what_follows_the_last_weights_stays_float),
        cmocka_unit_test(weights_that_no_kernel_takes_are_named),
        cmocka_unit_test(an_unobserved_tensor_is_an_error),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
