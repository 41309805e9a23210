#include "forge/prune/couple.h"

#include "base/str.h"
#include "forge/prune/prune_testing.h"

/* ---- small graphs: "x" [1, 3, 8, 8], Convs of 3x3, outputs are what nobody reads ---- */

static struct graph *net;

/* Names outlive the graph that they come from: it is saved and opened again. */
static const char *fresh(const char *base)
{
    static char names[64][48];
    static size_t turn;
    char *name = names[turn++ % ARRAY_LEN(names)];
    snprintf(name, sizeof names[0], "%s", graph_fresh(net, base));
    return name;
}

static const char *add(const char *op, const char *const *inputs, size_t count)
{
    const char *out = fresh(op);
    assert_non_null(graph_add(net, op, inputs, count, &out, 1));
    return out;
}

static struct onnx_node *maker(const char *tensor)
{
    return graph_tensor(net, tensor)->maker;
}

static const char *floats(const int64_t *dims, size_t dim_count)
{
    static uint32_t seed = 1;
    float values[4096];
    size_t count = 1;
    for (size_t i = 0; i < dim_count; i++)
        count *= (size_t)dims[i];
    assert_true(count <= ARRAY_LEN(values));
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525U + 1013904223U;
        values[i] = (float)(seed >> 8) / (float)(1U << 24) - 0.5F;
    }
    struct onnx_weight *weight = graph_add_weight(net, "w", DTYPE_FLOAT32, dims, dim_count, values);
    assert_non_null(weight);
    return weight->name;
}

static const char *ints(const int64_t *values, size_t count)
{
    struct onnx_weight *weight =
        graph_add_weight(net, "i", DTYPE_INT64, (int64_t[]){(int64_t)count}, 1, values);
    assert_non_null(weight);
    return weight->name;
}

static void set_ints(const char *tensor, const char *name, const int64_t *values, size_t count)
{
    struct err err = {0};
    assert_ok(onnx_node_set_ints(graph_model(net), maker(tensor), name, values, count, &err), err);
}

static void set_int(const char *tensor, const char *name, int64_t value)
{
    struct err err = {0};
    assert_ok(onnx_node_set_int(graph_model(net), maker(tensor), name, value, &err), err);
}

static const char *conv(const char *x, int in, int out)
{
    const char *w = floats((const int64_t[]){out, in, 3, 3}, 4), *b = floats((const int64_t[]){out}, 1);
    const char *y = add("Conv", (const char *[]){x, w, b}, 3);
    set_ints(y, "pads", (const int64_t[]){1, 1, 1, 1}, 4);
    return y;
}

static const char *depthwise(const char *x, int channels, int times)
{
    const char *w = floats((const int64_t[]){channels * times, 1, 3, 3}, 4);
    const char *y = add("Conv", (const char *[]){x, w}, 2);
    set_ints(y, "pads", (const int64_t[]){1, 1, 1, 1}, 4);
    set_int(y, "group", channels);
    return y;
}

static const char *gemm(const char *x, int in, int out, bool trans)
{
    const char *w = floats((const int64_t[]){trans ? out : in, trans ? in : out}, 2);
    const char *y = add("Gemm", (const char *[]){x, w}, 2);
    set_int(y, "transB", trans);
    return y;
}

static const char *unary(const char *op, const char *x)
{
    return add(op, &x, 1);
}

static const char *binary(const char *op, const char *x, const char *y)
{
    return add(op, (const char *[]){x, y}, 2);
}

static void begin(void)
{
    struct err err = {0};
    assert_ok(graph_new(17, &net, &err), err);
    struct onnx_graph *tree = onnx_model_graph(graph_model(net));
    assert_non_null(onnx_model_add_value(graph_model(net), &tree->inputs, &tree->input_count, "x",
                                         DTYPE_FLOAT32, (int64_t[]){1, 3, 8, 8}, 4));
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
    assert_ok(graph_format(net, &bytes, &err), err);
    assert_ok(file_replace(scratch_path("begin.onnx"), bytes.data, bytes.len, 0644, &err), err);
    graph_free(TAKE_PTR(net));
    assert_ok(graph_open(scratch_path("begin.onnx"), &net, &err), err);
}

/* Saved, opened again, looked at. */
struct coupled {
    struct samples *samples;
    struct couple *couple;
    const char *path;
};

static struct coupled finish(const char *output)
{
    struct err err = {0};
    struct coupled coupled = {.path = scratch_path("net.onnx")};
    struct onnx_graph *tree = onnx_model_graph(graph_model(net));
    assert_non_null(onnx_model_add_value(graph_model(net), &tree->outputs, &tree->output_count, output,
                                         DTYPE_FLOAT32, NULL, 0));
    assert_ok(graph_save(net, coupled.path, &err), err);
    graph_free(TAKE_PTR(net));
    /* The output's shape is its maker's business. */
    struct release release = {.input_count = 1, .frame = FRAME_FLOAT32};
    release.inputs[0] =
        (struct tensor_spec){.name = "x", .dtype = DTYPE_FLOAT32, .dim_count = 4, .dims = {1, 3, 8, 8}};
    assert_ok(net_samples(scratch_path("eight"), 8, 4, 3, &err), err);
    assert_ok(samples_open(scratch_path("eight"), &release, &coupled.samples, &err), err);
    net = open_shaped(coupled.path, coupled.samples);
    assert_ok(couple_find(net, &coupled.couple, &err), err);
    return coupled;
}

static void end(struct coupled *coupled)
{
    couple_free(coupled->couple);
    samples_free(coupled->samples);
    graph_free(TAKE_PTR(net));
}

/* The group of channel `channel` of a tensor. */
static const struct channel_group *group_of(const struct coupled *coupled, const char *tensor, size_t channel)
{
    const struct channels *channels = couple_channels(coupled->couple, graph_tensor(net, tensor)->name);
    assert_non_null(channels);
    size_t number = couple_number(coupled->couple, channels, channel);
    for (size_t g = 0; g < couple_group_count(coupled->couple); g++)
        for (size_t i = 0; i < couple_group(coupled->couple, g)->count; i++)
            if (couple_group(coupled->couple, g)->numbers[i] == number)
                return couple_group(coupled->couple, g);
    fail_msg("%s: no group", tensor);
    return NULL;
}

/* Every other channel of all groups that can be pruned goes, with zeros in the consumers first: the answer must not change by that cut. */
static void cut_changes_nothing(struct coupled *coupled)
{
    struct err err = {0};
    cleanup_free bool *gone = mem_zalloc(couple_numbers(coupled->couple) + 1, sizeof *gone);
    const char *zeros = scratch_path("zeros.onnx"), *cut = scratch_path("cut.onnx");
    for (size_t g = 0; g < couple_group_count(coupled->couple); g++) {
        const struct channel_group *group = couple_group(coupled->couple, g);
        for (size_t i = 1; i < group->count && !group->why; i += 2)
            gone[group->numbers[i]] = true;
        for (size_t c = 0; c < group->consumer_count && !group->why; c++) {
            struct onnx_node *node = group->consumers[c].node;
            const struct channels *in = group->consumers[c].in;
            const struct onnx_weight *old = graph_input(net, node, 1)->weight;
            size_t count, axis = graph_is_op(node, "Gemm") && !onnx_node_int(node, "transB", 0) ? 0 : 1,
                          after = 1;
            cleanup_free float *w = graph_floats(net, node->inputs[1], &count);
            for (size_t d = axis + 1; d < old->dim_count; d++)
                after *= (size_t)old->dims[d];
            for (size_t k = 0; k < count; k++)
                if (gone[couple_number(coupled->couple, in, k / after % in->count)])
                    w[k] = 0;
            const struct onnx_weight *now =
                graph_add_weight(net, "zeros", DTYPE_FLOAT32, old->dims, old->dim_count, w);
            assert_non_null(now);
            assert_ok(graph_set_input(net, node, 1, now->name, &err), err);
        }
    }
    assert_ok(graph_save(net, zeros, &err), err);
    assert_ok(couple_cut(coupled->couple, gone, &err), err);
    assert_ok(graph_save(net, cut, &err), err);
    uint64_t before, after;
    assert_ok(file_size(zeros, &before, &err), err);
    assert_ok(file_size(cut, &after, &err), err);
    assert_true(after < before);
    assert_true(relative_error(zeros, cut, coupled->samples, 0, 2) < 1e-10);
}

static void a_chain_of_convs_is_a_group_each(void **state)
{
    begin();
    const char *a = unary("Relu", conv("x", 3, 8)), *b = unary("Relu", conv(a, 8, 6)), *c = conv(b, 6, 4);
    struct coupled coupled = finish(c);
    assert_int_equal(couple_group_count(coupled.couple), 3);
    const struct channel_group *first = group_of(&coupled, a, 0), *last = group_of(&coupled, c, 0);
    assert_null(first->why);
    assert_int_equal(first->count, 8);
    assert_int_equal(first->maker_count, 1);
    assert_int_equal(first->consumer_count, 1);
    assert_string_equal(last->why, "an output of the model");
    assert_null(couple_channels(coupled.couple, graph_tensor(net, "x")->name));
    cut_changes_nothing(&coupled);
    end(&coupled);
}

static void skips_tie_what_they_join(void **state)
{
    begin();
    const char *a = conv("x", 3, 8), *inner = conv(a, 8, 8), *b = binary("Add", a, conv(inner, 8, 8)),
               *c = conv(b, 8, 4);
    struct coupled coupled = finish(c);
    const struct channel_group *chain = group_of(&coupled, b, 3);
    assert_ptr_equal(chain, group_of(&coupled, a, 5));
    assert_int_equal(chain->maker_count, 2);
    assert_int_equal(chain->consumer_count, 2);
    assert_int_equal(group_of(&coupled, inner, 0)->maker_count, 1);
    cut_changes_nothing(&coupled);
    end(&coupled);
}

static void squeeze_and_excite_belongs_to_what_it_scales(void **state)
{
    begin();
    const char *a = depthwise(unary("HardSwish", conv("x", 3, 8)), 8, 1);
    const char *squeezed = unary("Relu", conv(unary("GlobalAveragePool", a), 8, 4));
    const char *scale = unary("HardSigmoid", conv(squeezed, 4, 8));
    const char *slope = floats((const int64_t[]){1, 8, 1, 1}, 4);
    const char *b = binary("Mul", binary("Mul", a, scale), slope), *c = conv(b, 8, 4);
    struct coupled coupled = finish(c);
    const struct channel_group *group = group_of(&coupled, b, 0);
    assert_null(group->why);
    assert_ptr_equal(group, group_of(&coupled, scale, 7));
    assert_int_equal(group->maker_count, 2);
    assert_int_equal(group->consumer_count, 2);
    assert_int_equal(group_of(&coupled, squeezed, 0)->count, 4);
    cut_changes_nothing(&coupled);
    end(&coupled);
}

static void concat_split_and_slice_are_offsets(void **state)
{
    begin();
    const char *a = conv("x", 3, 8), *b = conv("x", 3, 4);
    const char *both = add("Concat", (const char *[]){a, b}, 2);
    set_int(both, "axis", 1);
    const char *names[] = {fresh("low"), fresh("high")};
    const char *parts = ints((const int64_t[]){4, 8}, 2);
    struct onnx_node *split = graph_add(net, "Split", (const char *[]){both, parts}, 2, names, 2);
    struct err err = {0};
    assert_ok(onnx_node_set_int(graph_model(net), split, "axis", 1, &err), err);
    const char *sliced = add("Slice",
                             (const char *[]){names[1], ints((const int64_t[]){2}, 1),
                                              ints((const int64_t[]){-1}, 1), ints((const int64_t[]){1}, 1)},
                             4); /* channels 6 … 10 of both: 4 of a left out, 2 more; all of b but the last */
    const char *c = conv(sliced, 5, 4), *d = conv(names[0], 4, 4);
    struct coupled coupled = finish(binary("Add", c, d));
    assert_ptr_equal(group_of(&coupled, a, 0), group_of(&coupled, names[0], 3));
    assert_ptr_equal(group_of(&coupled, a, 7), group_of(&coupled, sliced, 1));
    assert_ptr_equal(group_of(&coupled, b, 0), group_of(&coupled, sliced, 2));
    assert_ptr_not_equal(group_of(&coupled, a, 0), group_of(&coupled, a, 7));
    assert_non_null(group_of(&coupled, a, 4)->why); /* sliced away: nobody reads it */
    assert_int_equal(group_of(&coupled, b, 0)->count, 3);
    cut_changes_nothing(&coupled);
    end(&coupled);
}

static void flattening_makes_blocks_of_columns(void **state)
{
    begin();
    const char *a = unary("MaxPool", conv("x", 3, 6));
    set_ints(a, "kernel_shape", (const int64_t[]){2, 2}, 2);
    set_ints(a, "strides", (const int64_t[]){4, 4}, 2);
    const char *shaped = add("Reshape", (const char *[]){a, ints((const int64_t[]){1, -1}, 2)}, 2);
    const char *again = add("Reshape", (const char *[]){a, ints((const int64_t[]){0, 6, 4}, 3)}, 2);
    const char *mean = unary("ReduceMean", again);
    set_ints(mean, "axes", (const int64_t[]){2}, 1);
    set_int(mean, "keepdims", 0);
    const char *b = unary("Relu", gemm(shaped, 24, 8, true)), *c = gemm(mean, 6, 8, false);
    struct coupled coupled = finish(gemm(binary("Add", b, c), 8, 4, false));
    const struct channel_group *group = group_of(&coupled, shaped, 0);
    assert_null(group->why);
    assert_int_equal(group->count, 6);
    assert_int_equal(group->consumer_count, 2);
    assert_int_equal(couple_channels(coupled.couple, graph_tensor(net, shaped)->name)->count, 24);
    assert_int_equal(group_of(&coupled, b, 0)->maker_count, 2);
    cut_changes_nothing(&coupled);
    end(&coupled);
}

static void depthwise_convs_multiply(void **state)
{
    begin();
    const char *a = conv("x", 3, 4), *b = depthwise(a, 4, 2), *c = conv(b, 8, 4);
    struct coupled coupled = finish(c);
    const struct channel_group *group = group_of(&coupled, b, 7);
    assert_ptr_equal(group, group_of(&coupled, a, 3));
    assert_int_equal(group->count, 4);
    assert_null(group->why);
    cut_changes_nothing(&coupled);
    end(&coupled);
}

static void sizes_that_constants_say_are_corrected(void **state)
{
    begin();
    const char *a = conv("x", 3, 8);
    const char *big = add("Resize", (const char *[]){a, "", "", ints((const int64_t[]){1, 8, 16, 16}, 4)}, 4);
    const char *b = conv(unary("PRelu", big), 8, 4);
    struct err err = {0};
    assert_ok(graph_set_input(net, maker(graph_tensor(net, b)->maker->inputs[0]), 1,
                              floats((const int64_t[]){8, 1, 1}, 3), &err),
              err);
    struct coupled coupled = finish(b);
    assert_null(group_of(&coupled, a, 0)->why);
    cut_changes_nothing(&coupled);
    end(&coupled);
}

static void what_is_not_understood_is_left_alone(void **state)
{
    static const struct {
        const char *op, *why;
    } cases[] = {{"Shape", "read by an operator that is not understood"},
                 {"Softmax", "normalized over channels"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin();
        const char *a = conv("x", 3, 8), *b = conv(a, 8, 4), *odd = unary(cases[i].op, a);
        if (str_eq(cases[i].op, "Softmax"))
            set_int(odd, "axis", 1);
        if (str_eq(cases[i].op, "Shape")) {
            odd = unary("Cast", odd);
            set_int(odd, "to", DTYPE_FLOAT32);
        }
        odd = unary("ReduceMax", odd);
        set_int(odd, "keepdims", 0);
        struct coupled coupled = finish(binary("Mul", b, odd));
        assert_string_equal(group_of(&coupled, a, 0)->why, cases[i].why);
        end(&coupled);
    }
}

static void a_tensor_without_channels_left_is_refused(void **state)
{
    begin();
    const char *a = conv("x", 3, 8), *b = conv(a, 8, 4);
    struct coupled coupled = finish(b);
    struct err err = {0};
    cleanup_free bool *gone = mem_zalloc(couple_numbers(coupled.couple), sizeof *gone);
    const struct channel_group *group = group_of(&coupled, a, 0);
    for (size_t i = 0; i < group->count; i++)
        gone[group->numbers[i]] = true;
    assert_fails(couple_cut(coupled.couple, gone, &err), err, ERR_INVALID);
    end(&coupled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_of_convs_is_a_group_each),
        cmocka_unit_test(skips_tie_what_they_join),
        cmocka_unit_test(squeeze_and_excite_belongs_to_what_it_scales),
        cmocka_unit_test(concat_split_and_slice_are_offsets),
        cmocka_unit_test(flattening_makes_blocks_of_columns),
        cmocka_unit_test(depthwise_convs_multiply),
        cmocka_unit_test(sizes_that_constants_say_are_corrected),
        cmocka_unit_test(what_is_not_understood_is_left_alone),
        cmocka_unit_test(a_tensor_without_channels_left_is_refused),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
