/* Preparing: what comes out computes the same, and has the shape that the others rely on. Through the real runtime; skipped without one. */
#include "base/testing.h"

#include "base/str.h"
#include "forge/graph/graph.h"
#include "forge/optimize/optimize.h"
#include "forge/optimize/prepare.h"
#include "forge/testing/nets.h"
#include "infer/lab.h"
#include "infer/runtime.h"
#include "sys/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CORPUS MUSTER_SOURCE_DIR "/node_modules/.corpus/"

static char dir[64], model_path[96], prepared_path[96];

static int scratch_make(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/muster-prepare-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(model_path, sizeof model_path, "%s/model.onnx", dir);
    snprintf(prepared_path, sizeof prepared_path, "%s/prepared.onnx", dir);
    return 0;
}

static int scratch_remove(void **state)
{
    struct err err = {0};
    return file_remove_tree(dir, &err);
}

/* Skips the test where no runtime is. */
static void wants_runtime(void)
{
    const struct runtime *runtime = NULL;
    struct err err = {0};
    if (runtime_get(NULL, &runtime, &err) < 0)
        skip();
}

/* ---- the same outputs ---- */

/* Input i of a lab: the same noise for every lab; whole numbers are a sampling rate. */
static struct lab_tensor make_input(const struct lab_value *value)
{
    struct lab_tensor tensor = {.dtype = value->dtype, .dim_count = value->dim_count};
    size_t count = 1;
    for (size_t i = 0; i < value->dim_count; i++) {
        assert_true(value->dims[i] > 0);
        tensor.dims[i] = value->dims[i];
        count *= (size_t)value->dims[i];
    }
    tensor.bytes = count * tensor_element_bytes(value->dtype);
    void *data = malloc(tensor.bytes);
    assert_non_null(data);
    uint32_t seed = 7;
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525 + 1013904223;
        if (value->dtype == DTYPE_FLOAT32)
            ((float *)data)[i] = (float)(seed >> 8) / (1 << 24);
        else
            ((int64_t *)data)[i] = 16000;
    }
    tensor.data = data;
    return tensor;
}

static struct lab *open_or_fail(const char *path)
{
    struct lab *lab = NULL;
    struct err err = {0};
    assert_ok(lab_open(path, NULL, 0, &(struct lab_how){.level = LAB_BASIC}, &lab, &err), err);
    return lab;
}

static void compare(const struct lab_tensor *want, const struct lab_tensor *have)
{
    assert_int_equal(want->dtype, have->dtype);
    assert_int_equal(want->bytes, have->bytes);
    assert_int_equal(want->dim_count, have->dim_count);
    double scale = 0, worst = 0;
    const float *a = want->data, *b = have->data;
    for (size_t i = 0; want->dtype == DTYPE_FLOAT32 && i < want->bytes / sizeof *a; i++) {
        scale = fmax(scale, fabs((double)a[i]));
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    }
    if (!(worst <= 1e-4 * scale + 1e-6))
        fail_msg("differs by %g of %g", worst, scale);
}

static void computes_the_same(const char *model, const char *prepared)
{
    cleanup_lab struct lab *before = open_or_fail(model), *after = open_or_fail(prepared);
    struct lab_tensor inputs[RELEASE_MAX_TENSORS], want[RELEASE_MAX_TENSORS], have[RELEASE_MAX_TENSORS];
    struct err err = {0};
    assert_int_equal(lab_input_count(before), lab_input_count(after));
    assert_int_equal(lab_output_count(before), lab_output_count(after));
    for (size_t i = 0; i < lab_input_count(after); i++) {
        assert_string_equal(lab_input(before, i)->name, lab_input(after, i)->name);
        inputs[i] = make_input(lab_input(after, i));
    }
    assert_ok(lab_run(before, inputs, NULL, 0, want, &err), err);
    assert_ok(lab_run(after, inputs, NULL, 0, have, &err), err);
    for (size_t i = 0; i < lab_output_count(after); i++) {
        assert_string_equal(lab_output(before, i)->name, lab_output(after, i)->name);
        compare(&want[i], &have[i]);
    }
    for (size_t i = 0; i < lab_input_count(after); i++)
        free((void *)(uintptr_t)inputs[i].data);
}

/* ---- the promised shape ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void is_prepared(const char *path)
{
    cleanup_graph struct graph *graph = NULL;
    struct err err = {0};
    size_t count = 0;
    assert_ok(graph_open(path, &graph, &err), err);
    assert_true(graph_opset(graph) >= 17);
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    cleanup_free const char **names = calloc(count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++) {
        assert_false(graph_is_op(nodes[i], "Constant"));
        assert_false(graph_is_op(nodes[i], "BatchNormalization"));
        assert_string_equal(nodes[i]->domain, "");
        assert_true(nodes[i]->name[0]);
        names[i] = nodes[i]->name;
    }
    qsort(names, count, sizeof *names, by_text);
    for (size_t i = 1; i < count; i++)
        assert_string_not_equal(names[i - 1], names[i]);
    const struct onnx_graph *model = onnx_model_graph(graph_model(graph));
    for (size_t i = 0; i < model->input_count; i++)
        for (size_t k = 0; k < model->inputs[i]->dim_count; k++)
            assert_true(model->inputs[i]->dims[k] > 0);
}

static void nothing_else_is_left(void)
{
    cleanup_free char *left = mem_printf("ls -A '%s' | grep -q tmp-", dir);
    assert_int_not_equal(system(left), 0);
}

static void every_test_network_computes_the_same(void **state)
{
    wants_runtime();
    struct err err = {0};
    for (int kind = 0; kind < NET_COUNT; kind++) {
        if (kind == NET_RESIDUAL_BIG)
            continue;
        assert_ok(net_write((enum net_kind)kind, &(struct net_shape){.seed = 3}, model_path, &err), err);
        assert_ok(prepare_model(model_path, NULL, 0, prepared_path, NULL, &err), err);
        is_prepared(prepared_path);
        computes_the_same(model_path, prepared_path);
        nothing_else_is_left();
    }
}

static const struct {
    const char *file;
    struct optimize_fixed fixed[2];
    size_t fixed_count;
} corpus[] = {
    {"ch_PP-OCRv4_det_infer.onnx", {{"x", 4, {1, 3, 160, 256}}}, 1},
    {"ch_PP-OCRv4_rec_infer.onnx", {{"x", 4, {1, 3, 48, 160}}}, 1},
    {"ch_ppocr_mobile_v2.0_cls_infer.onnx", {{"x", 4, {1, 3, 48, 192}}}, 1},
    {"face_detection_back_256x256_barracuda.onnx", {{{0}}}, 0},
    {"face_detection_front_128x128_barracuda.onnx", {{{0}}}, 0},
    {"mlsd_320x320_tiny.onnx", {{{0}}}, 0},
    {"mlsd_320x320_large.onnx", {{{0}}}, 0},
    {"silero_vad_legacy.onnx", {{"input", 2, {1, 512}}}, 1},
};

static void every_real_network_computes_the_same(void **state)
{
    wants_runtime();
    struct err err = {0};
    if (!file_exists(CORPUS "packages.txt"))
        skip();
    for (size_t i = 0; i < ARRAY_LEN(corpus); i++) {
        cleanup_free char *path = mem_printf(CORPUS "%s", corpus[i].file);
        print_message("%s\n", corpus[i].file);
        assert_ok(prepare_model(path, corpus[i].fixed, corpus[i].fixed_count, prepared_path, NULL, &err),
                  err);
        is_prepared(prepared_path);
        computes_the_same(path, prepared_path);
    }
}

/* ---- what is refused ---- */

static struct graph *net_or_fail(enum net_kind kind)
{
    struct graph *graph = NULL;
    struct err err = {0};
    assert_ok(net_build(kind, &(struct net_shape){.seed = 1}, &graph, &err), err);
    return graph;
}

static void refused(struct graph *graph, const struct optimize_fixed *fixed, size_t count, const char *why)
{
    struct err err = {0};
    assert_ok(graph_save(graph, model_path, &err), err);
    (void)remove(prepared_path);
    assert_fails(prepare_model(model_path, fixed, count, prepared_path, NULL, &err), err, ERR_UNSUPPORTED);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
    assert_false(file_exists(prepared_path));
    nothing_else_is_left();
}

static void open_shapes_are_named_with_the_remedy(void **state)
{
    wants_runtime();
    cleanup_graph struct graph *graph = net_or_fail(NET_RESIDUAL);
    struct onnx_graph *model = onnx_model_graph(graph_model(graph));
    struct err err = {0};
    model->inputs[0]->dims[0] = -1;
    model->inputs[0]->dims[2] = -1;
    model->inputs[0]->params[2] = onnx_model_name(graph_model(graph), "height");
    model->inputs[0]->raw = (struct onnx_bytes){0};
    refused(graph, NULL, 0, "input x has the open shape [?,3,?,56]: fix it with --shape x=");
    const struct optimize_fixed fixed = {"x", 4, {1, 3, 56, 56}};
    assert_ok(prepare_model(model_path, &fixed, 1, prepared_path, NULL, &err), err);
    is_prepared(prepared_path);
    const struct optimize_fixed wrong = {"x", 4, {1, 3, 56, 57}};
    assert_fails(prepare_model(model_path, &wrong, 1, prepared_path, NULL, &err), err, ERR_INVALID);
}

static void an_open_batch_is_one(void **state)
{
    wants_runtime();
    cleanup_graph struct graph *graph = net_or_fail(NET_RESIDUAL);
    struct onnx_graph *model = onnx_model_graph(graph_model(graph));
    struct err err = {0};
    model->inputs[0]->dims[0] = -1;
    model->inputs[0]->raw = (struct onnx_bytes){0};
    assert_ok(graph_save(graph, model_path, &err), err);
    assert_ok(prepare_model(model_path, NULL, 0, prepared_path, NULL, &err), err);
    is_prepared(prepared_path);
}

static void quantized_models_are_refused(void **state)
{
    wants_runtime();
    cleanup_graph struct graph *graph = net_or_fail(NET_TINY);
    const float scale = 1;
    size_t count = 0;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    const char *x = nodes[0]->inputs[0];
    const struct onnx_weight *weight = graph_add_weight(graph, "scale", DTYPE_FLOAT32, NULL, 0, &scale);
    assert_non_null(graph_add(graph, "QuantizeLinear", (const char *[]){x, weight->name}, 2,
                              (const char *[]){"quantized"}, 1));
    refused(graph, NULL, 0, "quantized already");
}

static void models_of_half_floats_are_refused(void **state)
{
    wants_runtime();
    cleanup_graph struct graph *graph = net_or_fail(NET_TINY);
    struct onnx_model *model = graph_model(graph);
    struct onnx_graph *inner = onnx_model_graph(model);
    for (size_t i = 0; i < inner->weight_count; i++)
        if (inner->weights[i]->dtype == DTYPE_FLOAT32) {
            inner->weights[i]->dtype = DTYPE_FLOAT16;
            inner->weights[i]->data.len /= 2;
        }
    refused(graph, NULL, 0, "16 bits");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_test_network_computes_the_same),
        cmocka_unit_test(every_real_network_computes_the_same),
        cmocka_unit_test(open_shapes_are_named_with_the_remedy),
        cmocka_unit_test(an_open_batch_is_one),
        cmocka_unit_test(quantized_models_are_refused),
        cmocka_unit_test(models_of_half_floats_are_refused),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
