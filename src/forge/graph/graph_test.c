/* The index follows every change; what no output needs goes; replacing keeps the names that others see. */
#include "base/testing.h"

#include "base/str.h"
#include "forge/graph/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- small graphs ---- */

static struct onnx_node *add(struct onnx_model *model, const char *op, const char *a, const char *b,
                             const char *y)
{
    const char *const inputs[] = {a, b};
    struct onnx_node *node = onnx_model_add_node(model, op, y, inputs, b ? 2 : 1, &y, 1);
    assert_non_null(node);
    return node;
}

static struct onnx_model *begin(void)
{
    struct onnx_model *model = onnx_model_new(8, 17);
    struct onnx_graph *graph = onnx_model_graph(model);
    const int64_t dims[] = {1, 4};
    assert_non_null(
        onnx_model_add_value(model, &graph->inputs, &graph->input_count, "x", DTYPE_FLOAT32, dims, 2));
    assert_non_null(
        onnx_model_add_value(model, &graph->outputs, &graph->output_count, "y", DTYPE_FLOAT32, dims, 2));
    assert_non_null(
        onnx_model_add_weight(model, "w", DTYPE_FLOAT32, dims + 1, 1, (const float[]){1, 2, 3, 4}));
    return model;
}

static struct graph *graph_from(struct onnx_model *model)
{
    struct err err = {0};
    struct graph *graph = NULL;
    assert_ok(graph_of(model, &graph, &err), err);
    return graph;
}

/* x ─▶ a = Relu ─▶ b = Add w ─▶ y = Relu */
static struct graph *chain(void)
{
    struct onnx_model *model = begin();
    add(model, "Relu", "x", NULL, "a");
    add(model, "Add", "a", "w", "b");
    add(model, "Relu", "b", NULL, "y");
    return graph_from(model);
}

static void refuse(struct onnx_model *model, const char *hint)
{
    struct err err = {0};
    struct graph *graph = NULL;
    assert_fails(graph_of(model, &graph, &err), err, ERR_INVALID);
    assert_non_null(strstr(err.text, hint));
}

/* ---- the index against one made from scratch ---- */

static int by_use(const void *a, const void *b)
{
    const struct graph_use *left = a, *right = b;
    if (left->node != right->node)
        return left->node->index < right->node->index ? -1 : 1;
    return (left->input > right->input) - (left->input < right->input);
}

static void check_uses(const struct slot *have, const struct slot *want)
{
    size_t count = have->tensor.use_count;
    assert_int_equal(count, want->tensor.use_count);
    if (!count)
        return;
    cleanup_free struct graph_use *a = mem_dup(have->tensor.uses, count * sizeof *a);
    cleanup_free struct graph_use *b = mem_dup(want->tensor.uses, count * sizeof *b);
    qsort(a, count, sizeof *a, by_use);
    qsort(b, count, sizeof *b, by_use);
    for (size_t i = 0; i < count; i++)
        assert_true(a[i].node == b[i].node && a[i].input == b[i].input);
}

static void check_index(const struct graph *graph)
{
    static const struct slot nothing;
    struct err err = {0};
    struct graph fresh = {.model = graph->model};
    assert_ok(graph_index(&fresh, &err), err);
    for (size_t i = 0; i < MAX(graph->slot_count, fresh.slot_count); i++) {
        const struct slot *have = i < graph->slot_count && graph->slots[i] ? graph->slots[i] : &nothing;
        const struct slot *want = i < fresh.slot_count && fresh.slots[i] ? fresh.slots[i] : &nothing;
        assert_ptr_equal(have->tensor.maker, want->tensor.maker);
        assert_int_equal(have->tensor.maker_output, want->tensor.maker_output);
        assert_int_equal(have->tensor.is_input, want->tensor.is_input);
        assert_int_equal(have->tensor.is_output, want->tensor.is_output);
        assert_int_equal(have->tensor.captured, want->tensor.captured);
        assert_int_equal(have->capture_count, want->capture_count);
        assert_int_equal(have->is_weight_named, want->is_weight_named);
        if (have->is_weight_named)
            assert_ptr_equal(have->tensor.weight, want->tensor.weight);
        assert_int_equal(have->tensor.weight != NULL, want->tensor.weight != NULL);
        check_uses(have, want);
    }
    graph_index_fini(&fresh);
}

static void check_order(struct graph *graph)
{
    size_t count;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    cleanup_free bool *seen = mem_zalloc(onnx_model_name_count(graph->model) + 1, sizeof *seen);
    for (size_t i = 0; i < count; i++) {
        assert_false(nodes[i]->removed);
        for (size_t k = 0; k < nodes[i]->input_count; k++) {
            const struct graph_tensor *tensor = graph_input(graph, nodes[i], k);
            assert_true(!tensor || !tensor->maker || seen[onnx_name_id(tensor->name)]);
        }
        for (size_t k = 0; k < nodes[i]->output_count; k++)
            seen[onnx_name_id(nodes[i]->outputs[k])] = true;
    }
}

/* ---- random changes ---- */

static uint32_t random_state;

static uint32_t roll(uint32_t below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

static const char *random_tensor(struct graph *graph)
{
    size_t count;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    if (!count || roll(8) == 0)
        return "x";
    const char *name = nodes[roll((uint32_t)count)]->outputs[0];
    return name;
}

/* A reader behind some tensor, perhaps put between it and its other readers. */
static void grow(struct graph *graph)
{
    static const int64_t dims[] = {4};
    struct err err = {0};
    const char *from = random_tensor(graph), *to = graph_fresh(graph, "t");
    const struct onnx_weight *weight = graph_add_weight(graph, "w", DTYPE_FLOAT32, dims, 1, NULL);
    const char *const inputs[] = {from, roll(2) ? weight->name : from};
    assert_non_null(graph_add(graph, "Mul", inputs, 2, &to, 1));
    if (roll(2))
        assert_ok(graph_replace_uses(graph, from, to, &err), err);
}

static void mutate(struct graph *graph)
{
    struct err err = {0};
    size_t count;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    struct onnx_node *node = count ? nodes[roll((uint32_t)count)] : NULL;
    switch (roll(6)) {
    case 0:
        if (node && node->input_count &&
            *node->inputs[0]) /* bridge it: readers of what it makes read what it reads */
            assert_ok(graph_replace_uses(graph, node->outputs[0], node->inputs[0], &err), err);
        break;
    case 1:
        if (node && node->input_count)
            assert_ok(graph_set_input(graph, node, roll((uint32_t)node->input_count + 1),
                                      roll(2) ? "x" : NULL, &err),
                      err);
        break;
    case 2:
        assert_ok(graph_expose(graph, random_tensor(graph), &err), err);
        break;
    case 3:
        assert_ok(graph_tidy(graph, &err), err);
        break;
    default:
        grow(graph);
    }
}

static void the_index_follows_random_changes(void **state)
{
    for (uint32_t seed = 1; seed <= 60; seed++) {
        struct err err = {0};
        cleanup_graph struct graph *graph = chain();
        random_state = seed;
        for (int i = 0; i < 60; i++) {
            mutate(graph);
            check_index(graph);
            check_order(graph);
            assert_ok(graph_check(graph, &err), err);
            const struct graph_tensor *y = graph_tensor(graph, "y");
            assert_true(y && y->is_output);
        }
    }
}

/* ---- tidying ---- */

static void format(struct graph *graph, struct buf *out)
{
    struct err err = {0};
    assert_ok(graph_format(graph, out, &err), err);
}

static void tidying_twice_is_tidying_once(void **state)
{
    for (uint32_t seed = 100; seed < 130; seed++) {
        struct err err = {0};
        cleanup_graph struct graph *graph = chain();
        cleanup_buf struct buf once = BUF_INIT(1 << 20), twice = BUF_INIT(1 << 20);
        random_state = seed;
        for (int i = 0; i < 40; i++)
            mutate(graph);
        assert_ok(graph_tidy(graph, &err), err);
        format(graph, &once);
        assert_ok(graph_tidy(graph, &err), err);
        format(graph, &twice);
        assert_int_equal(once.len, twice.len);
        assert_memory_equal(once.data, twice.data, once.len);
        check_index(graph);
    }
}

static void what_no_output_needs_goes(void **state)
{
    struct err err = {0};
    struct onnx_model *model = begin();
    assert_non_null(onnx_model_add_weight(model, "unused", DTYPE_FLOAT32, NULL, 0, NULL));
    assert_non_null(onnx_model_add_weight(model, "of_dead", DTYPE_FLOAT32, NULL, 0, NULL));
    add(model, "Add", "x", "of_dead", "dead");
    add(model, "Relu", "dead", NULL, "dead_too");
    add(model, "Add", "x", "w", "y");
    cleanup_graph struct graph *graph = graph_from(model);
    assert_ok(graph_tidy(graph, &err), err);
    assert_int_equal(onnx_model_graph(model)->node_count, 1);
    assert_int_equal(onnx_model_graph(model)->weight_count, 1);
    assert_null(graph_tensor(graph, "dead"));
    assert_null(graph_tensor(graph, "unused"));
    assert_non_null(graph_tensor(graph, "w"));
    check_index(graph);
}

static void nodes_are_put_in_order(void **state)
{
    struct onnx_model *model = begin();
    add(model, "Relu", "b", NULL, "y");
    add(model, "Add", "a", "w", "b");
    add(model, "Relu", "x", NULL, "a");
    cleanup_graph struct graph *graph = graph_from(model);
    check_order(graph);
    assert_string_equal(onnx_model_graph(model)->nodes[0]->outputs[0], "a");
}

/* ---- what is no graph ---- */

static void cycles_and_unknown_names_are_refused(void **state)
{
    struct onnx_model *model = begin();
    add(model, "Add", "x", "b", "a");
    add(model, "Relu", "a", NULL, "b");
    add(model, "Relu", "b", NULL, "y");
    refuse(model, "cycle");
    model = begin();
    add(model, "Add", "y", "x", "y");
    refuse(model, "cycle");
    model = begin();
    add(model, "Add", "x", "missing", "y");
    refuse(model, "\"missing\"");
    model = begin();
    refuse(model, "output \"y\"");
    model = begin();
    add(model, "Relu", "x", NULL, "y");
    add(model, "Relu", "w", NULL, "y");
    refuse(model, "twice");
    model = begin();
    add(model, "Relu", "x", NULL, "w");
    refuse(model, "twice");
}

static void a_long_chain_needs_no_deep_stack(void **state)
{
    struct onnx_model *model = begin();
    char from[16] = "y", to[16];
    for (int i = 0; i < 100000; i++) { /* the last one first */
        snprintf(to, sizeof to, "t%d", i);
        add(model, "Relu", i == 99999 ? "x" : to, NULL, from);
        str_copy(from, sizeof from, to);
    }
    cleanup_graph struct graph *graph = graph_from(model);
    assert_string_equal(onnx_model_graph(model)->nodes[0]->inputs[0], "x");
}

/* ---- replacing ---- */

static void replacing_leaves_what_the_new_one_is_made_of(void **state)
{
    struct err err = {0};
    cleanup_graph struct graph *graph = chain();
    const char *q = graph_fresh(graph, "q"), *dq = graph_fresh(graph, "dq"), *a = "a";
    struct onnx_node *first = graph_add(graph, "Identity", &a, 1, &q, 1);
    assert_non_null(graph_add(graph, "Identity", &q, 1, &dq, 1));
    assert_ok(graph_replace_uses(graph, "a", dq, &err), err);
    assert_string_equal(first->inputs[0], "a");
    assert_string_equal(graph_tensor(graph, "b")->maker->inputs[0], dq);
    assert_ptr_equal(graph_only_user(graph, "a"), first);
    assert_ok(graph_tidy(graph, &err), err);
    check_index(graph);
}

static void an_outputs_name_stays(void **state)
{
    struct err err = {0};
    cleanup_graph struct graph *graph = chain();
    const char *y = "y", *made = graph_fresh(graph, "made");
    struct onnx_node *behind = graph_add(graph, "Sigmoid", &y, 1, &made, 1);
    assert_ok(graph_replace_uses(graph, "y", made, &err), err);
    assert_ptr_equal(graph_tensor(graph, "y")->maker, behind);
    assert_string_not_equal(behind->inputs[0], "y");
    assert_string_equal(graph_input(graph, behind, 0)->maker->op, "Relu");
    assert_ok(graph_tidy(graph, &err), err);
    assert_int_equal(onnx_model_graph(graph->model)->node_count, 4);
    check_index(graph);
}

static void an_input_in_an_outputs_place_comes_by_identity(void **state)
{
    struct err err = {0};
    cleanup_graph struct graph *graph = chain();
    assert_ok(graph_replace_uses(graph, "y", "x", &err), err);
    assert_ok(graph_tidy(graph, &err), err);
    assert_int_equal(onnx_model_graph(graph->model)->node_count, 1);
    assert_string_equal(graph_tensor(graph, "y")->maker->op, "Identity");
    assert_string_equal(graph_tensor(graph, "y")->maker->inputs[0], "x");
    check_index(graph);
}

static void a_captured_tensor_keeps_its_name(void **state)
{
    struct err err = {0};
    struct onnx_model *model = begin();
    add(model, "Relu", "x", NULL, "a");
    struct onnx_node *loop = add(model, "If", "a", NULL, "y");
    const char *captured = onnx_model_name(model, "a");
    loop->captures = &captured;
    loop->capture_count = 1;
    cleanup_graph struct graph *graph = graph_from(model);
    assert_true(graph_tensor(graph, "a")->captured);
    assert_null(graph_only_user(graph, "a"));
    const char *a = "a", *b = graph_fresh(graph, "b");
    struct onnx_node *behind = graph_add(graph, "Sigmoid", &a, 1, &b, 1);
    assert_ok(graph_replace_uses(graph, "a", b, &err), err);
    assert_ptr_equal(graph_tensor(graph, "a")->maker, behind);
    assert_string_equal(loop->inputs[0], "a");
    assert_ok(graph_tidy(graph, &err), err);
    assert_int_equal(onnx_model_graph(model)->node_count, 3);
    check_index(graph);
}

/* ---- the rest ---- */

static void constants_become_initializers(void **state)
{
    struct err err = {0};
    struct onnx_model *model = begin();
    const char *c = "c";
    struct onnx_node *node = onnx_model_add_node(model, "Constant", "c", NULL, 0, &c, 1);
    assert_ok(onnx_node_set_floats(model, node, "value_floats", (const float[]){5, 6}, 2, &err), err);
    add(model, "Add", "x", "c", "y");
    cleanup_graph struct graph *graph = graph_from(model);
    assert_ptr_equal(graph_tensor(graph, "c")->maker, node);
    assert_int_equal(graph_tensor(graph, "c")->dims[0], 2);
    assert_ok(graph_hoist_constants(graph, &err), err);
    assert_null(graph_tensor(graph, "c")->maker);
    size_t count;
    cleanup_free float *values = graph_floats(graph, "c", &count);
    assert_int_equal(count, 2);
    assert_true(values[0] == 5 && values[1] == 6);
    assert_ok(graph_tidy(graph, &err), err);
    assert_int_equal(onnx_model_graph(model)->node_count, 1);
    check_index(graph);
}

static void floats_of_all_widths(void **state)
{
    static const uint16_t halves[] = {0x3c00, 0xc000, 0x0001, 0x7c00, 0x8000, 0x03ff, 0x0400};
    static const float want[] = {1, -2, 0x1p-24F, (float)(1e30 * 1e30), -0.0F, 1023 * 0x1p-24F, 0x1p-14F};
    static const double wide[] = {0.5, -3};
    cleanup_graph struct graph *graph = chain();
    const int64_t dims[] = {ARRAY_LEN(halves)}, two[] = {2};
    size_t count;
    const char *name = graph_add_weight(graph, "h", DTYPE_FLOAT16, dims, 1, halves)->name;
    cleanup_free float *values = graph_floats(graph, name, &count);
    assert_int_equal(count, ARRAY_LEN(halves));
    assert_memory_equal(values, want, sizeof want);
    name = graph_add_weight(graph, "d", DTYPE_FLOAT64, two, 1, wide)->name;
    cleanup_free float *narrow = graph_floats(graph, name, &count);
    assert_true(count == 2 && narrow[0] == 0.5F && narrow[1] == -3);
    name = graph_add_weight(graph, "i", DTYPE_INT64, two, 1, NULL)->name;
    assert_null(graph_floats(graph, name, &count));
    assert_null(graph_floats(graph, "x", &count));
    assert_null(graph_floats(graph, "none such", &count));
}

static void symbols_are_fixed_wherever_they_stand(void **state)
{
    struct err err = {0};
    struct onnx_model *model = begin();
    struct onnx_graph *contents = onnx_model_graph(model);
    contents->inputs[0]->dims[0] = contents->outputs[0]->dims[0] = -1;
    contents->inputs[0]->params[0] = contents->outputs[0]->params[0] = onnx_model_name(model, "batch");
    add(model, "Add", "x", "w", "y");
    cleanup_graph struct graph *graph = graph_from(model);
    assert_int_equal(graph_tensor(graph, "y")->dims[0], -1);
    assert_fails(graph_fix_input(graph, "z", (const int64_t[]){3, 4}, 2, &err), err, ERR_INVALID);
    assert_fails(graph_fix_input(graph, "x", (const int64_t[]){3, 5}, 2, &err), err, ERR_INVALID);
    assert_fails(graph_fix_input(graph, "x", (const int64_t[]){3}, 1, &err), err, ERR_INVALID);
    assert_ok(graph_fix_input(graph, "x", (const int64_t[]){3, 4}, 2, &err), err);
    assert_int_equal(graph_tensor(graph, "x")->dims[0], 3);
    assert_int_equal(graph_tensor(graph, "y")->dims[0], 3);
    assert_int_equal(contents->outputs[0]->dims[0], 3);
}

static void an_input_can_be_bound_to_a_value(void **state)
{
    struct err err = {0};
    cleanup_graph struct graph *graph = chain();
    const int64_t dims[] = {1, 4}, wrong[] = {1, 5};
    const float x[] = {1, 2, 3, 4};
    assert_fails(graph_bind_input(graph, "z", DTYPE_FLOAT32, dims, 2, x, &err), err, ERR_INVALID);
    assert_fails(graph_bind_input(graph, "x", DTYPE_INT64, dims, 2, x, &err), err, ERR_INVALID);
    assert_fails(graph_bind_input(graph, "x", DTYPE_FLOAT32, wrong, 2, x, &err), err, ERR_INVALID);
    assert_ok(graph_bind_input(graph, "x", DTYPE_FLOAT32, dims, 2, x, &err), err);
    assert_int_equal(onnx_model_graph(graph->model)->input_count, 0);
    assert_false(graph_tensor(graph, "x")->is_input);
    assert_memory_equal(graph_tensor(graph, "x")->weight->data.data, x, sizeof x);
    check_index(graph);
}

static void fresh_names_are_fresh(void **state)
{
    cleanup_graph struct graph *graph = chain();
    assert_non_null(onnx_model_name(graph->model, "n_2"));
    const char *before = "";
    for (int i = 0; i < 10; i++) {
        const char *name = graph_fresh(graph, "n");
        assert_string_not_equal(name, "n_2");
        assert_string_not_equal(name, before);
        assert_null(graph_tensor(graph, name));
        before = name;
    }
}

static void an_initializer_that_is_an_input_is_a_constant(void **state)
{
    struct onnx_model *model = begin();
    struct onnx_graph *contents = onnx_model_graph(model);
    contents->ir_version = 3;
    assert_non_null(
        onnx_model_add_value(model, &contents->inputs, &contents->input_count, "w", DTYPE_FLOAT32, NULL, 0));
    add(model, "Add", "x", "w", "y");
    cleanup_graph struct graph *graph = graph_from(model);
    assert_int_equal(contents->input_count, 1);
    assert_int_equal(contents->ir_version, 4);
    assert_false(graph_tensor(graph, "w")->is_input);
    assert_non_null(graph_tensor(graph, "w")->weight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_index_follows_random_changes),
        cmocka_unit_test(tidying_twice_is_tidying_once),
        cmocka_unit_test(what_no_output_needs_goes),
        cmocka_unit_test(nodes_are_put_in_order),
        cmocka_unit_test(cycles_and_unknown_names_are_refused),
        cmocka_unit_test(a_long_chain_needs_no_deep_stack),
        cmocka_unit_test(replacing_leaves_what_the_new_one_is_made_of),
        cmocka_unit_test(an_outputs_name_stays),
        cmocka_unit_test(an_input_in_an_outputs_place_comes_by_identity),
        cmocka_unit_test(a_captured_tensor_keeps_its_name),
        cmocka_unit_test(constants_become_initializers),
        cmocka_unit_test(floats_of_all_widths),
        cmocka_unit_test(symbols_are_fixed_wherever_they_stand),
        cmocka_unit_test(an_input_can_be_bound_to_a_value),
        cmocka_unit_test(fresh_names_are_fresh),
        cmocka_unit_test(an_initializer_that_is_an_input_is_a_constant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
