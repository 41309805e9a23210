/* The reference models of the ONNX project (Debian's libonnx-testdata): each as it is, as the graph editor writes it (the same bits come out), and
 * brought to the newest opset that robots' runtimes know well (the same but for the last bits, since newer kernels may sum in another order). */
#include "base/testing.h"

#include "base/buf.h"
#include "base/str.h"
#include "forge/graph/graph.h"
#include "infer/lab.h"
#include "sys/file.h"
#include "wire/onnx/tensor.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA "/usr/share/libonnx-testdata/data"

/* As they are with ONNX Runtime 1.22 and libonnx-testdata 1.12. */
enum { MODELS = 1072, RUN_AT_LEAST = 960, UPGRADED_AT_LEAST = 855, MAX_VALUES = 16, NEW_OPSET = 17 };

struct values {
    size_t count;
    struct lab_tensor tensors[MAX_VALUES];
    void *data[MAX_VALUES];
};

static void values_fini(struct values *values)
{
    for (size_t i = 0; i < values->count; i++)
        free(values->data[i]);
    values->count = 0;
}

static const struct lab_how how = {.level = LAB_PLAIN};

/* ---- running ---- */

static int read_input(const char *folder, size_t i, const struct lab_value *want, struct values *out,
                      struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    cleanup_onnx_tensor struct onnx_tensor tensor = {0};
    cleanup_free char *path = mem_printf("%s/test_data_set_0/input_%zu.pb", folder, i);
    if (!tensor_element_bytes(want->dtype) || file_map(path, &map, err) < 0 ||
        onnx_tensor_parse(map.data, map.size, &tensor, err) < 0)
        return -1;
    struct lab_tensor *to = &out->tensors[i];
    *to = (struct lab_tensor){.dtype = want->dtype, .dim_count = tensor.dim_count, .bytes = tensor.bytes};
    memcpy(to->dims, tensor.dims, sizeof to->dims);
    to->data = out->data[i] = tensor.data;
    tensor.data = NULL;
    out->count = i + 1;
    return 0;
}

static int keep_outputs(const struct lab_tensor *outputs, size_t count, struct values *out)
{
    for (size_t i = 0; i < count; i++) {
        out->tensors[i] = outputs[i];
        out->data[i] = mem_zalloc(outputs[i].bytes + 1, 1);
        if (outputs[i].bytes)
            memcpy(out->data[i], outputs[i].data, outputs[i].bytes);
        out->count = i + 1;
    }
    return 0;
}

/* Of a file, or of bytes. */
static int run(const char *folder, const char *path, const struct buf *bytes, struct values *out,
               struct err *err)
{
    cleanup_lab struct lab *lab = NULL;
    struct values inputs = {0};
    struct lab_tensor outputs[MAX_VALUES];
    if (lab_open(path, bytes ? bytes->data : NULL, bytes ? bytes->len : 0, &how, &lab, err) < 0)
        return -1;
    if (lab_input_count(lab) > MAX_VALUES || lab_output_count(lab) > MAX_VALUES)
        return err_set(err, ERR_TOO_BIG, "more than %d inputs or outputs", MAX_VALUES);
    int result = 0;
    for (size_t i = 0; i < lab_input_count(lab) && result == 0; i++)
        result = read_input(folder, i, lab_input(lab, i), &inputs, err);
    if (result == 0)
        result = lab_run(lab, inputs.tensors, NULL, 0, outputs, err);
    if (result == 0)
        result = keep_outputs(outputs, lab_output_count(lab), out);
    values_fini(&inputs);
    return result;
}

/* ---- comparing ---- */

static bool near(const struct lab_tensor *a, const struct lab_tensor *b, const void *a_data,
                 const void *b_data)
{
    const float *left = a_data, *right = b_data;
    if (a->dtype != DTYPE_FLOAT32)
        return false;
    for (size_t i = 0; i < a->bytes / sizeof *left; i++)
        if (!(fabsf(left[i] - right[i]) <= 1e-5F * (1 + fabsf(left[i]))) && left[i] != right[i] &&
            !(isnan(left[i]) && isnan(right[i])))
            return false;
    return true;
}

static bool same(const struct values *a, const struct values *b, bool exactly)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct lab_tensor *left = &a->tensors[i], *right = &b->tensors[i];
        if (left->dtype != right->dtype || left->bytes != right->bytes ||
            memcmp(left->dims, right->dims, left->dim_count * sizeof *left->dims) != 0)
            return false;
        if (memcmp(a->data[i], b->data[i], left->bytes) != 0 &&
            (exactly || !near(left, right, a->data[i], b->data[i])))
            return false;
    }
    return true;
}

/* ---- one model ---- */

static struct {
    int models, run, upgraded, failed;
} count;

static void complain(const char *folder, const char *what, const struct err *err)
{
    print_message("%s: %s %s\n", folder, what, err->text);
    count.failed++;
}

static void check_upgraded(const char *folder, struct graph *graph, const struct values *want)
{
    struct err err = {0};
    struct values got = {0};
    cleanup_buf struct buf bytes = BUF_INIT(64 << 20);
    if (graph_upgrade(graph, NEW_OPSET, &err) < 0 && err.code == ERR_UNSUPPORTED)
        return;
    if (graph_tidy(graph, &err) < 0 || graph_format(graph, &bytes, &err) < 0 ||
        run(folder, NULL, &bytes, &got, &err) < 0)
        complain(folder, "upgraded:", &err);
    else if (!same(want, &got, false))
        complain(folder, "upgraded: gives something else", &err);
    else
        count.upgraded++;
    values_fini(&got);
}

static void check_written(const char *folder, const char *path, const struct values *want)
{
    struct err err = {0};
    struct values got = {0};
    cleanup_graph struct graph *graph = NULL;
    cleanup_buf struct buf bytes = BUF_INIT(64 << 20);
    if (graph_open(path, &graph, &err) < 0 || graph_format(graph, &bytes, &err) < 0 ||
        run(folder, NULL, &bytes, &got, &err) < 0)
        complain(folder, "written:", &err);
    else if (!same(want, &got, true))
        complain(folder, "written: gives something else", &err);
    else
        check_upgraded(folder, graph, want);
    values_fini(&got);
}

/* Models that the runtime lacks, that have sequences or strings, or throw dice are passed over. */
static void check_model(const char *folder)
{
    struct err err = {0};
    struct values once = {0}, twice = {0};
    cleanup_free char *path = mem_printf("%s/model.onnx", folder);
    count.models++;
    if (run(folder, path, NULL, &once, &err) == 0 && run(folder, path, NULL, &twice, &err) == 0 &&
        same(&once, &twice, true)) {
        count.run++;
        check_written(folder, path, &once);
    }
    values_fini(&once);
    values_fini(&twice);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Says what is missing. */
static bool has_data_and_runtime(void)
{
    struct err err = {0};
    cleanup_lab struct lab *lab = NULL;
    if (!file_exists(DATA))
        print_message("skipped: no " DATA "; install libonnx-testdata\n");
    else if (lab_open(DATA "/node/test_abs/model.onnx", NULL, 0, &how, &lab, &err) == 0)
        return true;
    else
        print_message("skipped: %s\n", err.text);
    return false;
}

static void every_reference_model_computes_the_same(void **state)
{
    static const char *const groups[] = {DATA "/node", DATA "/pytorch-converted", DATA "/pytorch-operator",
                                         DATA "/simple"};
    if (!has_data_and_runtime())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        struct dirent **entries;
        int found = scandir(groups[i], &entries, NULL, by_name);
        assert_true(found >= 0);
        for (int k = 0; k < found; k++) {
            cleanup_free char *folder = mem_printf("%s/%s", groups[i], entries[k]->d_name);
            if (entries[k]->d_name[0] != '.')
                check_model(folder);
            free(entries[k]);
        }
        free(entries);
    }
    print_message("%d models: %d run and give the same bits when written, %d of them also with opset %d\n",
                  count.models, count.run - count.failed, count.upgraded, NEW_OPSET);
    assert_int_equal(count.failed, 0);
    assert_true(count.models != MODELS || (count.run >= RUN_AT_LEAST && count.upgraded >= UPGRADED_AT_LEAST));
}

/* ---- the project's own models ---- */

static int run_once(struct lab *lab, struct values *out, struct err *err)
{
    const struct lab_value *want = lab_input(lab, 0);
    struct lab_tensor input = {.dtype = want->dtype, .dim_count = want->dim_count, .bytes = sizeof(float)};
    struct lab_tensor outputs[MAX_VALUES];
    for (size_t i = 0; i < want->dim_count; i++)
        input.bytes *= (size_t)(input.dims[i] = want->dims[i]);
    cleanup_free float *pixels = mem_zalloc(1, input.bytes);
    for (size_t i = 0; i < input.bytes / sizeof *pixels; i++)
        pixels[i] = (float)(i * 7919 % 256) / 255;
    input.data = pixels;
    return lab_run(lab, &input, NULL, 0, outputs, err) < 0
               ? -1
               : keep_outputs(outputs, lab_output_count(lab), out);
}

static void the_projects_models_compute_the_same(void **state)
{
    static const char *const names[] = {"detector-1.0.0", "detector-2.0.0", "detector-3.0.0"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct err err = {0};
        struct values before = {0}, after = {0};
        cleanup_lab struct lab *first = NULL, *second = NULL;
        cleanup_graph struct graph *graph = NULL;
        cleanup_buf struct buf bytes = BUF_INIT(64 << 20);
        cleanup_free char *path = mem_printf(MUSTER_SOURCE_DIR "/models/%s/model.onnx", names[i]);
        if (lab_open(path, NULL, 0, &how, &first, &err) < 0 && err.code == ERR_UNSUPPORTED)
            skip();
        assert_ok(run_once(first, &before, &err), err);
        assert_ok(graph_open(path, &graph, &err), err);
        assert_ok(graph_tidy(graph, &err), err);
        assert_ok(graph_format(graph, &bytes, &err), err);
        assert_ok(lab_open(NULL, bytes.data, bytes.len, &how, &second, &err), err);
        assert_ok(run_once(second, &after, &err), err);
        assert_true(same(&before, &after, true));
        values_fini(&before);
        values_fini(&after);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reference_model_computes_the_same),
        cmocka_unit_test(the_projects_models_compute_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
