#include "forge/optimize/target.h"

#include "base/str.h"
#include "forge/bench.h"
#include "forge/graph/graph.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "wire/json.h"

#include <stdlib.h>
#include <string.h>

enum { YAML_MAX = 256 << 10, PATH_SIZE = 1024 };

void target_free_parts(struct optimize_target *target)
{
    free(target->model_path);
    free(target->work_path);
    target->model_path = target->work_path = NULL;
}

/* ---- the model ---- */

static void count_weight(const struct onnx_weight *weight, struct optimize_target *out, struct hash *hash)
{
    size_t elements = onnx_weight_elements(weight);
    if (weight->dtype == DTYPE_FLOAT32 || weight->dtype == DTYPE_FLOAT16)
        out->parameters += elements == SIZE_MAX ? 0 : elements;
    if (!weight->external.location)
        return;
    out->size_bytes += weight->data.len;
    hash_update(hash, weight->data.data, weight->data.len);
}

static int read_model(struct optimize_target *out, struct hash *hash, struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    if (graph_open(out->model_path, &graph, err) < 0 ||
        hash_file(out->model_path, &out->file, &out->size_bytes, err) < 0)
        return -1;
    hash_update(hash, out->file.bytes, sizeof out->file.bytes);
    const struct onnx_graph *inner = onnx_model_graph(graph_model(graph));
    for (size_t i = 0; i < inner->weight_count; i++)
        count_weight(inner->weights[i], out, hash);
    return 0;
}

/* ---- release.yaml ---- */

static int read_tap(const char *path, const struct buf *text, struct optimize_target *out, struct err *err)
{
    struct json_reader reader;
    if (yaml_read(&reader, path, text->data, text->len, err) < 0)
        return -1;
    if (json_has(json_root(&reader), "tap"))
        json_get_line(json_root(&reader), "tap", out->tap, sizeof out->tap);
    return json_finish(&reader, err);
}

/* As recipe_read, but without what only the packer needs: `optimized` may name the very folder that is about to be made. */
static int read_yaml(const char *path, struct optimize_target *out, struct hash *hash, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(YAML_MAX);
    char model[PATH_SIZE] = "";
    if (file_read(path, &text, err) < 0 ||
        release_parse_yaml(path, buf_text(&text), text.len, &out->release, model, sizeof model, err) < 0)
        return -1;
    if (read_tap(path, &text, out, err) < 0)
        return -1;
    hash_update(hash, text.data, text.len);
    const char *slash = strrchr(path, '/');
    out->model_path = model[0] == '/' || !slash ? mem_strdup(model)
                                                : mem_printf("%.*s/%s", (int)(slash - path), path, model);
    return out->model_path ? 0 : err_no_memory(err);
}

static bool is_fixed_already(const struct optimize_target *target, const char *input)
{
    for (size_t i = 0; i < target->fixed_count; i++)
        if (str_eq(target->fixed[i].input, input))
            return true;
    return false;
}

static void fix_by_release(struct optimize_target *out)
{
    for (size_t i = 0; i < out->release.input_count && out->fixed_count < OPTIMIZE_MAX_FIXED; i++) {
        const struct tensor_spec *input = &out->release.inputs[i];
        if (is_fixed_already(out, input->name))
            continue;
        struct optimize_fixed *fixed = &out->fixed[out->fixed_count++];
        *fixed = (struct optimize_fixed){.dim_count = input->dim_count};
        str_copy(fixed->input, sizeof fixed->input, input->name);
        memcpy(fixed->dims, input->dims, sizeof fixed->dims);
    }
}

static bool guesses(const struct optimize_guess *guess)
{
    return guess->task || guess->mean || guess->std || guess->scale > 0 || guess->bgr || guess->stretch;
}

int target_read(const struct optimize_job *job, struct optimize_target *out, struct err *err)
{
    cleanup_hash struct hash *hash = hash_new();
    *out = (struct optimize_target){.fixed_count = job->fixed_count};
    memcpy(out->fixed, job->fixed, sizeof out->fixed);
    if (!hash)
        return err_no_memory(err);
    out->bare = !str_ends(job->model, ".yaml") && !str_ends(job->model, ".yml");
    if (!out->bare && guesses(&job->guess))
        return err_set(err, ERR_USAGE,
                       "a release.yaml says task and preprocessing itself; leave the options for them out");
    if (out->bare)
        out->model_path = mem_strdup(job->model);
    else if (read_yaml(job->model, out, hash, err) < 0)
        return -1;
    out->work_path = out->model_path ? mem_strdup(out->model_path) : NULL;
    if (!out->work_path)
        return err_no_memory(err);
    if (!out->bare)
        fix_by_release(out);
    if (read_model(out, hash, err) < 0)
        return -1;
    out->digest = hash_finish(hash);
    return 0;
}

int target_expose(struct optimize_target *target, const char *path, struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    cleanup_free char *copy = mem_strdup(path);
    if (!target->tap[0])
        return 0;
    if (!copy)
        return err_no_memory(err);
    if (graph_open(target->model_path, &graph, err) < 0)
        return -1;
    if (graph_expose(graph, target->tap, err) < 0)
        return err_prefix(err, "%s: tap", target->model_path);
    free(target->work_path);
    target->work_path = TAKE_PTR(copy);
    return graph_save(graph, target->work_path, err);
}

/* ---- guesses ---- */

static int parse_three(const char *option, const char *text, double out[3], struct err *err)
{
    cleanup_free char *copy = mem_strdup(text);
    if (!copy)
        return err_no_memory(err);
    char *rest = copy;
    size_t count = 0;
    double value = 0;
    for (char *part; (part = strsep(&rest, ",")); count++) {
        if (count == 3 || !str_to_double(part, &value))
            return err_set(err, ERR_USAGE, "--%s %s: must be one number or three with commas", option, text);
        out[count] = value;
    }
    if (count == 2)
        return err_set(err, ERR_USAGE, "--%s %s: must be one number or three with commas", option, text);
    for (; count < 3; count++)
        out[count] = value;
    return 0;
}

static int guess_task(const char *name, struct release *out, struct err *err)
{
    const struct tensor_spec *first = &out->outputs[0];
    for (enum release_task task = TASK_DETECTION; task <= TASK_RAW; task++)
        if (str_eq(name, task_name(task))) {
            out->task = task;
            break;
        } else if (task == TASK_RAW)
            return err_set(err, ERR_USAGE,
                           "--task %s: must be detection, classification, timeseries, control or raw", name);
    if (out->task == TASK_CLASSIFICATION || out->task == TASK_TIMESERIES)
        out->postprocess.decoder = DECODER_SCORES;
    if (out->task != TASK_DETECTION)
        return 0;
    if (out->frame != FRAME_RGB8 || first->dim_count != 3 || first->dims[1] < 5 ||
        first->dims[1] > 4 + RELEASE_MAX_LABELS)
        return err_set(
            err, ERR_UNSUPPORTED,
            "--task detection: output %s is not [1, 4 + classes, boxes] of a picture; give --task raw",
            first->name);
    out->postprocess.decoder = DECODER_YOLOV8;
    out->postprocess.score_threshold = 0.25;
    out->postprocess.iou_threshold = 0.5;
    out->postprocess.max_detections = 100;
    out->label_count = (size_t)first->dims[1] - 4;
    for (size_t i = 0; i < out->label_count; i++)
        snprintf(out->labels[i], sizeof out->labels[i], "class-%zu", i);
    return 0;
}

static int guess_all(const struct optimize_guess *guess, struct release *out, struct err *err)
{
    if (guess->task && guess_task(guess->task, out, err) < 0)
        return -1;
    if ((guess->mean && parse_three("mean", guess->mean, out->preprocess.mean, err) < 0) ||
        (guess->std && parse_three("std", guess->std, out->preprocess.std, err) < 0))
        return -1;
    for (int c = 0; c < 3; c++)
        if (out->preprocess.std[c] == 0)
            return err_set(err, ERR_USAGE, "--std: 0 divides by nothing");
    if (guess->scale > 0)
        out->preprocess.scale = guess->scale;
    if (guess->bgr)
        out->preprocess.color = COLOR_BGR;
    if (guess->stretch)
        out->preprocess.resize = RESIZE_STRETCH;
    return 0;
}

/* Everything behind this takes tensors by their places. */
static int compare_order(const struct release *file, const struct release *said, struct err *err)
{
    if (file->input_count != said->input_count)
        return err_set(err, ERR_REFUSED, "the release names %zu inputs, the model has %zu", said->input_count,
                       file->input_count);
    for (size_t i = 0; i < file->input_count; i++)
        if (!str_eq(file->inputs[i].name, said->inputs[i].name))
            return err_set(
                err, ERR_UNSUPPORTED,
                "input %zu is %s in the release and %s in the model; write them in the model's order", i,
                said->inputs[i].name, file->inputs[i].name);
    return 0;
}

int target_describe(const struct optimize_job *job, const char *prepared_path, struct optimize_target *target,
                    struct err *err)
{
    cleanup_free struct release *file = mem_zalloc(1, sizeof *file);
    if (!file)
        return err_no_memory(err);
    if (bench_release_of(prepared_path, file, err) < 0)
        return -1;
    if (!target->bare)
        return compare_order(file, &target->release, err);
    target->release = *file;
    return guess_all(&job->guess, &target->release, err);
}
