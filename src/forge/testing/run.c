/* forge-run: what a model answers to samples, as arrays that Python reads; for tests and benches.
 *
 *     forge-run MODEL.onnx SAMPLES OUT [INPUT=1,3,256,256 …]
 *
 * OUT/<output>.npy: [samples, …]; OUT/names.txt: the samples in that order; OUT/model.onnx: the model with the shapes that were given.
 */
#include "base/mem.h"
#include "base/str.h"
#include "forge/bench.h"
#include "forge/calib/samples.h"
#include "forge/npy.h"
#include "forge/optimize/optimize.h"
#include "forge/optimize/prepare.h"
#include "infer/lab.h"
#include "sys/file.h"

#include <ctype.h>
#include <stdlib.h>

enum { HEAD = 256 };

struct answers {
    struct samples *samples;
    struct lab *lab;
    FILE *names, *files[RELEASE_MAX_TENSORS];
    size_t outputs;
};

/* Version 1.0, the head padded so that the numbers begin at a multiple of 64. */
static int put_head(FILE *file, const struct lab_tensor *first, size_t samples, struct err *err)
{
    char head[HEAD], shape[160];
    int len = snprintf(shape, sizeof shape, "%zu, ", samples);
    for (size_t i = 0; i < first->dim_count; i++)
        len += snprintf(shape + len, sizeof shape - (size_t)len, "%lld, ", (long long)first->dims[i]);
    memset(head, ' ', sizeof head);
    memcpy(head, "\x93NUMPY\x01\x00", 8);
    head[8] = (char)(HEAD - 10);
    head[9] = 0;
    char text[HEAD];
    int text_len = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                            npy_descr(first->dtype), shape);
    memcpy(head + 10, text, (size_t)text_len);
    head[HEAD - 1] = '\n';
    return fwrite(head, 1, sizeof head, file) == sizeof head ? 0 : err_errno(err, "npy");
}

static int open_file(const char *dir, const char *name, const char *suffix, FILE **out, struct err *err)
{
    cleanup_free char *path = mem_printf("%s/%s%s", dir, name, suffix);
    if (!path)
        return err_no_memory(err);
    for (char *c = path + strlen(dir) + 1; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '.' && *c != '_')
            *c = '-';
    *out = fopen(path, "we");
    return *out ? 0 : err_errno(err, "%s", path);
}

static int answer(struct answers *answers, size_t i, const char *dir, struct err *err)
{
    struct lab_tensor inputs[RELEASE_MAX_TENSORS], outputs[RELEASE_MAX_TENSORS];
    if (samples_feed(answers->samples, i, answers->lab, inputs, err) < 0 ||
        lab_run(answers->lab, inputs, NULL, 0, outputs, err) < 0)
        return -1;
    for (size_t k = 0; k < answers->outputs; k++) {
        if (i == 0 &&
            (open_file(dir, lab_output(answers->lab, k)->name, ".npy", &answers->files[k], err) < 0 ||
             put_head(answers->files[k], &outputs[k], samples_count(answers->samples), err) < 0))
            return -1;
        if (fwrite(outputs[k].data, 1, outputs[k].bytes, answers->files[k]) != outputs[k].bytes)
            return err_errno(err, "%s", dir);
    }
    fprintf(answers->names, "%s\n", samples_name(answers->samples, i));
    return 0;
}

static int run(const char *model, const char *from, const char *to, struct err *err)
{
    struct answers answers = {0};
    static struct release release;
    const struct lab_how how = {.level = LAB_ALL};
    int result = bench_release_of(model, &release, err);
    if (result == 0)
        result = samples_open(from, &release, &answers.samples, err);
    if (result == 0)
        result = lab_open(model, NULL, 0, &how, &answers.lab, err);
    if (result == 0 && lab_output_count(answers.lab) > RELEASE_MAX_TENSORS)
        result = err_set(err, ERR_UNSUPPORTED, "%s: more than %d outputs", model, RELEASE_MAX_TENSORS);
    if (result == 0)
        result = file_make_dirs(to, 0755, err);
    if (result == 0)
        result = open_file(to, "names", ".txt", &answers.names, err);
    answers.outputs = result == 0 ? lab_output_count(answers.lab) : 0;
    for (size_t i = 0; result == 0 && i < samples_count(answers.samples); i++)
        result = answer(&answers, i, to, err);
    for (size_t k = 0; k < answers.outputs; k++)
        if (answers.files[k] && fclose(answers.files[k]) != 0 && result == 0)
            result = err_errno(err, "%s", to);
    if (answers.names)
        fclose(answers.names);
    lab_close(answers.lab);
    samples_free(answers.samples);
    return result;
}

/* "x=1,3,48,192" */
static bool parse_shape(const char *text, struct optimize_fixed *out)
{
    const char *at = strchr(text, '=');
    if (!at || (size_t)(at - text) >= sizeof out->input)
        return false;
    *out = (struct optimize_fixed){0};
    memcpy(out->input, text, (size_t)(at - text));
    for (char *end; *at && out->dim_count < RELEASE_MAX_DIMS; at = end) {
        out->dims[out->dim_count] = strtoll(at + 1, &end, 10);
        if (out->dims[out->dim_count++] < 1 || (*end && *end != ','))
            return false;
    }
    return !*at;
}

/* The model with its shapes fixed, at `path`. */
static int fix(const char *model, char **shapes, size_t count, const char *dir, const char *path,
               struct err *err)
{
    struct optimize_fixed fixed[OPTIMIZE_MAX_FIXED];
    for (size_t i = 0; i < count; i++)
        if (i == OPTIMIZE_MAX_FIXED || !parse_shape(shapes[i], &fixed[i]))
            return err_set(err, ERR_USAGE, "%s is no shape", shapes[i]);
    if (file_make_dirs(dir, 0755, err) < 0)
        return -1;
    return prepare_model(model, fixed, count, path, NULL, err);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    if (argc < 4) {
        fputs("usage: forge-run MODEL.onnx SAMPLES OUT [INPUT=1,3,256,256 …]\n", stderr);
        return 2;
    }
    bool shaped = argc > 4;
    cleanup_free char *path = mem_printf("%s/model.onnx", argv[3]);
    if (!path || (shaped && fix(argv[1], argv + 4, (size_t)argc - 4, argv[3], path, &err) < 0) ||
        run(shaped ? path : argv[1], argv[2], argv[3], &err) < 0) {
        fprintf(stderr, "forge-run: %s\n", err.text);
        return 1;
    }
    return 0;
}
