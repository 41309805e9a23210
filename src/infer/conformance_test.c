/* The reference models of the ONNX project (Debian's libonnx-testdata) through the very adapter that robots run: load, bind, run,
 * compare. Each model counts exactly once: passed, failed, or not applicable for a reason that is printed and counted. The test
 * fails if one fails, if fewer are applicable than were, or if one that is known to differ does not any more. */
#include "base/testing.h"

#include "base/mem.h"
#include "base/str.h"
#include "infer/backend.h"
#include "sys/file.h"
#include "wire/onnx/summary.h"
#include "wire/onnx/tensor.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DATA "/usr/share/libonnx-testdata/data"

/* As they are with ONNX Runtime 1.22 and libonnx-testdata 1.12. */
enum { MODELS = 1072, APPLICABLE_AT_LEAST = 955, MAX_MODELS = 2048, MAX_REASONS = 32 };

#define RANDOM "the reference is one throw of the dice"
#define LAYOUT "ONNX Runtime has no recurrent operators with layout 1 on the CPU"
#define CONTRADICTION "the file of an input has another shape than its model says"
#define REFERENCE "ONNX Runtime differs from this reference, as its own list of exceptions says"

/* Where ONNX Runtime itself gives something else than the reference: the adapter only passes it on. */
static const struct {
    const char *model, *why;
} known[] = {
    {"node/test_bernoulli", RANDOM},
    {"node/test_bernoulli_double", RANDOM},
    {"node/test_bernoulli_double_expanded", RANDOM},
    {"node/test_bernoulli_expanded", RANDOM},
    {"node/test_bernoulli_seed", RANDOM},
    {"node/test_bernoulli_seed_expanded", RANDOM},
    {"node/test_training_dropout", RANDOM},
    {"node/test_training_dropout_default", RANDOM},
    {"node/test_training_dropout_default_mask", RANDOM},
    {"node/test_training_dropout_mask", RANDOM},
    {"node/test_gru_batchwise", LAYOUT},
    {"node/test_lstm_batchwise", LAYOUT},
    {"node/test_simple_rnn_batchwise", LAYOUT},
    {"node/test_castlike_BFLOAT16_to_FLOAT", CONTRADICTION},
    {"node/test_castlike_BFLOAT16_to_FLOAT_expanded", CONTRADICTION},
    {"node/test_castlike_FLOAT_to_BFLOAT16", CONTRADICTION},
    {"node/test_castlike_FLOAT_to_BFLOAT16_expanded", CONTRADICTION},
    {"node/test_maxunpool_export_with_output_shape", REFERENCE},
    {"node/test_resize_downsample_scales_cubic_align_corners", REFERENCE},
    {"node/test_resize_downsample_scales_linear_align_corners", REFERENCE},
};

/* Long sums whose terms cancel out: what should be 0 is so only in comparison with the terms. */
static const struct {
    const char *prefix;
    double absolute;
} rougher[] = {{"node/test_dft", 5e-4}, {"node/test_stft", 5e-4}};

enum verdict { PASSED, FAILED, NOT_APPLICABLE };

struct judgement {
    enum verdict verdict;
    char why[160];
};

static struct {
    char why[160];
    int count;
} reasons[MAX_REASONS];

static struct judgement not_applicable(const char *why)
{
    struct judgement judgement = {.verdict = NOT_APPLICABLE};
    str_copy(judgement.why, sizeof judgement.why, why);
    return judgement;
}

static struct judgement failed(const struct err *err)
{
    struct judgement judgement = {.verdict = FAILED};
    str_copy(judgement.why, sizeof judgement.why, err->text);
    return judgement;
}

/* ---- one set of inputs and outputs ---- */

struct set {
    size_t input_count, output_count;
    struct onnx_tensor inputs[RELEASE_MAX_TENSORS], outputs[RELEASE_MAX_TENSORS];
    struct tensor_spec input_specs[RELEASE_MAX_TENSORS], output_specs[RELEASE_MAX_TENSORS];
    void *results[RELEASE_MAX_TENSORS];
};

static void set_fini(struct set *set)
{
    for (size_t i = 0; i < RELEASE_MAX_TENSORS; i++) {
        onnx_tensor_fini(&set->inputs[i]);
        onnx_tensor_fini(&set->outputs[i]);
        free(set->results[i]);
    }
}

static int read_tensor(const char *dir, const char *kind, size_t index, const struct onnx_value *value,
                       struct onnx_tensor *out, struct tensor_spec *spec, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    cleanup_free char *path = mem_printf("%s/%s_%zu.pb", dir, kind, index);
    if (file_map(path, &map, err) < 0 || onnx_tensor_parse(map.data, map.size, out, err) < 0)
        return -1;
    if (value->elem_type == DTYPE_BFLOAT16 && out->elem_type == DTYPE_UINT16)
        out->elem_type = DTYPE_BFLOAT16; /* NumPy has no such type: the files hold its bits */
    *spec = (struct tensor_spec){.dtype = (enum tensor_dtype)out->elem_type, .dim_count = out->dim_count};
    memcpy(spec->dims, out->dims, sizeof spec->dims);
    if (!str_copy(spec->name, sizeof spec->name, value->name))
        return err_set(err, ERR_UNSUPPORTED, "names of more than 63 bytes");
    return 0;
}

static int read_set(const char *dir, const struct onnx_summary *summary, struct set *set, struct err *err)
{
    set->input_count = summary->input_count;
    set->output_count = summary->output_count;
    for (size_t i = 0; i < set->input_count; i++)
        if (read_tensor(dir, "input", i, &summary->inputs[i], &set->inputs[i], &set->input_specs[i], err) < 0)
            return -1;
    for (size_t i = 0; i < set->output_count; i++) {
        if (read_tensor(dir, "output", i, &summary->outputs[i], &set->outputs[i], &set->output_specs[i],
                        err) < 0)
            return -1;
        set->results[i] = mem_zalloc(set->outputs[i].bytes + 1, 1);
    }
    return 0;
}

/* ---- comparing: the tolerances of the ONNX project's own runner ---- */

static double half(uint16_t bits)
{
    int exponent = bits >> 10 & 31;
    double fraction = (bits & 1023) / 1024.0, sign = bits >> 15 ? -1 : 1;
    if (exponent == 31)
        return (bits & 1023) != 0 ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexp(1 + fraction, exponent - 15) : ldexp(fraction, -14));
}

static double brain(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return (double)value;
}

static double element(const void *data, int32_t elem_type, size_t index)
{
    switch (elem_type) {
    case DTYPE_FLOAT32:
        return (double)((const float *)data)[index];
    case DTYPE_FLOAT64:
        return ((const double *)data)[index];
    case DTYPE_BFLOAT16:
        return brain(((const uint16_t *)data)[index]);
    default:
        return half(((const uint16_t *)data)[index]);
    }
}

static double absolute;                                                /* of the model at hand */
static const double relative = 1e-3, last_bit_of_bfloat16 = 1.0 / 128; /* some cut it off, some round it */

static void choose_tolerance(const char *model)
{
    absolute = 1e-7;
    for (size_t i = 0; i < ARRAY_LEN(rougher); i++)
        if (str_starts(model, rougher[i].prefix))
            absolute = rougher[i].absolute;
}

static bool close_enough(double got, double want, double relative_to)
{
    if (isnan(got) || isnan(want) || isinf(got) || isinf(want))
        return (isnan(got) && isnan(want)) || got == want;
    return fabs(got - want) <= absolute + relative_to * fabs(want);
}

static bool is_float(int32_t elem_type)
{
    return elem_type == DTYPE_FLOAT32 || elem_type == DTYPE_FLOAT64 || elem_type == DTYPE_FLOAT16 ||
           elem_type == DTYPE_BFLOAT16;
}

static int compare(const struct onnx_tensor *want, const void *got, struct err *err)
{
    if (!is_float(want->elem_type))
        return memcmp(want->data, got, want->bytes) == 0
                   ? 0
                   : err_set(err, ERR_REFUSED, "%s differs", want->name);
    double relative_to = want->elem_type == DTYPE_BFLOAT16 ? last_bit_of_bfloat16 : relative;
    for (size_t i = 0; i < want->element_count; i++) {
        double is = element(got, want->elem_type, i), should = element(want->data, want->elem_type, i);
        if (!close_enough(is, should, relative_to))
            return err_set(err, ERR_REFUSED, "%s[%zu] is %g, the reference %g", want->name, i, is, should);
    }
    return 0;
}

/* ---- one model ---- */

static int run_set(const char *model_path, struct set *set, struct err *err)
{
    const struct backend_load load = {.model_path = model_path,
                                      .threads = 1,
                                      .input_count = set->input_count,
                                      .output_count = set->output_count,
                                      .inputs = set->input_specs,
                                      .outputs = set->output_specs};
    struct backend_model *model = NULL;
    void *inputs[RELEASE_MAX_TENSORS];
    size_t binding = 0;
    for (size_t i = 0; i < set->input_count; i++)
        inputs[i] = set->inputs[i].data;
    if (ort_backend.load(&load, &model, err) < 0)
        return -1;
    int result = ort_backend.bind(model, inputs, set->results, &binding, err);
    if (result == 0)
        result = ort_backend.run(model, binding, err);
    ort_backend.unload(model);
    for (size_t i = 0; i < set->output_count && result == 0; i++)
        result = compare(&set->outputs[i], set->results[i], err);
    return result;
}

/* What says that this runtime does not have the operator at all. */
static bool no_kernel(const struct err *err)
{
    static const char *const signs[] = {"Could not find an implementation for",
                                        "is not a registered function/op", "is under development"};
    for (size_t i = 0; i < ARRAY_LEN(signs); i++)
        if (strstr(err->text, signs[i]))
            return true;
    return false;
}

static struct judgement judge_set(const char *model_path, const char *dir, const struct onnx_summary *summary)
{
    struct err err = {0};
    struct set set = {0};
    struct judgement judgement = {.verdict = PASSED};
    if (read_set(dir, summary, &set, &err) < 0)
        judgement = err.code == ERR_UNSUPPORTED ? not_applicable(err.text) : failed(&err);
    else if (run_set(model_path, &set, &err) < 0)
        judgement =
            no_kernel(&err) ? not_applicable("ONNX Runtime has no such operator for the CPU") : failed(&err);
    set_fini(&set);
    return judgement;
}

static bool only_tensors(const struct onnx_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (values[i].elem_type == 0)
            return false;
    return true;
}

static bool any_strings(const struct onnx_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (values[i].elem_type == 8)
            return true;
    return false;
}

static struct judgement judge_sets(const char *dir, const char *model_path,
                                   const struct onnx_summary *summary)
{
    struct judgement judgement = not_applicable("no inputs and outputs in the package");
    for (int i = 0;; i++) {
        cleanup_free char *set = mem_printf("%s/test_data_set_%d", dir, i);
        if (!file_exists(set))
            return judgement;
        judgement = judge_set(model_path, set, summary);
        if (judgement.verdict != PASSED)
            return judgement;
    }
}

static struct judgement judge(const char *dir)
{
    struct err err = {0};
    cleanup_free char *model_path = mem_printf("%s/model.onnx", dir);
    cleanup_free struct onnx_summary *summary = mem_zalloc(1, sizeof *summary);
    cleanup_file_map struct file_map map = {0};
    if (file_map(model_path, &map, &err) < 0)
        return failed(&err);
    if (onnx_summarize(map.data, map.size, summary, &err) < 0)
        return err.code == ERR_TOO_BIG ? not_applicable(err.text) : failed(&err);
    if (!only_tensors(summary->inputs, summary->input_count) ||
        !only_tensors(summary->outputs, summary->output_count))
        return not_applicable("sequences, maps or optional values");
    if (any_strings(summary->inputs, summary->input_count) ||
        any_strings(summary->outputs, summary->output_count))
        return not_applicable("strings");
    return judge_sets(dir, model_path, summary);
}

/* ---- all of them ---- */

static void note_reason(const char *why)
{
    for (size_t i = 0; i < MAX_REASONS; i++) {
        if (reasons[i].count && !str_eq(reasons[i].why, why))
            continue;
        str_copy(reasons[i].why, sizeof reasons[i].why, why);
        reasons[i].count++;
        return;
    }
}

static const char *why_known(const char *model)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(known[i].model, model))
            return known[i].why;
    return NULL;
}

static void list_models(const char *group, char **out, size_t *count)
{
    cleanup_free char *path = mem_printf(DATA "/%s", group);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && *count < MAX_MODELS)
            out[(*count)++] = mem_printf("%s/%s", group, entry->d_name);
    closedir(dir);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void every_reference_model_gives_what_it_should(void **state)
{
    static const char *const groups[] = {"node", "pytorch-converted", "pytorch-operator", "simple"};
    static char *models[MAX_MODELS];
    size_t count = 0;
    int verdicts[3] = {0}, wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        list_models(groups[i], models, &count);
    qsort(models, count, sizeof *models, by_name);
    for (size_t i = 0; i < count; i++) {
        cleanup_free char *dir = mem_printf(DATA "/%s", models[i]);
        choose_tolerance(models[i]);
        struct judgement judgement = judge(dir);
        const char *differs = why_known(models[i]);
        if (differs) {
            bool stale = judgement.verdict != FAILED && count == MODELS; /* newer packages mended some */
            wrong += stale;
            if (stale)
                print_message("%s: known to differ (%s), but does not\n", models[i], differs);
            judgement = not_applicable(differs);
        }
        verdicts[judgement.verdict]++;
        if (judgement.verdict == NOT_APPLICABLE)
            note_reason(judgement.why);
        if (judgement.verdict == FAILED)
            print_message("%s: %s\n", models[i], judgement.why);
        free(models[i]);
    }
    print_message("%zu reference models: %d passed, %d failed, %d not applicable:\n", count, verdicts[PASSED],
                  verdicts[FAILED], verdicts[NOT_APPLICABLE]);
    for (size_t i = 0; i < MAX_REASONS && reasons[i].count; i++)
        print_message("%5d  %s\n", reasons[i].count, reasons[i].why);
    assert_int_equal(verdicts[FAILED], 0);
    assert_int_equal(wrong, 0);
    assert_true(verdicts[PASSED] >= APPLICABLE_AT_LEAST);
}

static int need_data_and_runtime(void **state)
{
    const struct backend_load load = {.model_path = DATA "/node/test_abs/model.onnx", .threads = 1};
    struct backend_model *model = NULL;
    struct err err = {0};
    if (!file_exists(DATA)) {
        print_message("skipped: no " DATA "; install libonnx-testdata\n");
        skip();
    }
    if (ort_backend.load(&load, &model, &err) < 0 && err.code == ERR_UNSUPPORTED) {
        print_message("skipped: %s\n", err.text);
        skip();
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_reference_model_gives_what_it_should, need_data_and_runtime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
