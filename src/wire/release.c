#include "wire/release.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/json.h"
#include "wire/json_write.h"

static const char *const task_words[] = {[TASK_DETECTION] = "detection", [TASK_RAW] = "raw"};
static const char *const color_words[] = {[COLOR_RGB] = "rgb", [COLOR_BGR] = "bgr"};
static const char *const layout_words[] = {[LAYOUT_NCHW] = "nchw", [LAYOUT_NHWC] = "nhwc"};
static const char *const resize_words[] = {[RESIZE_LETTERBOX] = "letterbox", [RESIZE_STRETCH] = "stretch"};
static const char *const decoder_words[] = {[DECODER_YOLOV8] = "yolov8", [DECODER_RAW] = "raw"};
static const char *const dtype_words[] = {[DTYPE_FLOAT32] = "float32",
                                          [DTYPE_UINT8] = "uint8",
                                          [DTYPE_INT8] = "int8",
                                          [DTYPE_INT32] = "int32",
                                          [DTYPE_INT64] = "int64"};

static const double no_limit = 1e30;

const char *tensor_dtype_name(enum tensor_dtype dtype)
{
    bool known = (unsigned)dtype < ARRAY_LEN(dtype_words) && dtype_words[dtype];
    return known ? dtype_words[dtype] : "unknown type";
}

/* ---- reading ---- */

/* In a YAML file by a person some members may be left out; in release.json none. */
struct decoder {
    bool lenient;
    struct release *out;
};

static bool given(const struct decoder *decoder, struct json_at at, const char *key)
{
    return !decoder->lenient || json_has(at, key);
}

#define GET_CHOICE(at, key, words, target)                                                                   \
    do {                                                                                                     \
        int index_ = (int)(target);                                                                          \
        json_get_choice(at, key, words, ARRAY_LEN(words), &index_);                                          \
        (target) = (__typeof__(target))index_;                                                               \
    } while (0)

static int get_int(struct json_at at, const char *key, int64_t min, int64_t max, int old)
{
    int64_t value = old;
    json_get_int(at, key, min, max, &value);
    return (int)value;
}

static void decode_tensor(struct json_at at, struct tensor_spec *out)
{
    JSON_ONLY(at, "name", "dtype", "shape");
    json_get_line(at, "name", out->name, sizeof out->name);
    GET_CHOICE(at, "dtype", dtype_words, out->dtype);
    struct json_at shape = json_list(at, "shape", RELEASE_MAX_DIMS, &out->dim_count);
    for (size_t i = 0; i < out->dim_count; i++)
        json_as_int(json_item(shape, i), 1, INT32_MAX, &out->dims[i]);
}

static size_t decode_tensors(struct json_at model, const char *key, struct tensor_spec *out)
{
    size_t count;
    struct json_at list = json_list(model, key, RELEASE_MAX_TENSORS, &count);
    for (size_t i = 0; i < count; i++)
        decode_tensor(json_as_object(json_item(list, i)), &out[i]);
    return count;
}

static void decode_model(const struct decoder *decoder, struct json_at root)
{
    static const char *const formats[] = {"onnx"};
    struct release *out = decoder->out;
    struct json_at model = json_child(root, "model");
    if (decoder->lenient)
        JSON_ONLY(model, "format", "inputs", "outputs", "path");
    else
        JSON_ONLY(model, "format", "inputs", "outputs");
    int format = 0;
    if (given(decoder, model, "format"))
        GET_CHOICE(model, "format", formats, format);
    out->input_count = decode_tensors(model, "inputs", out->inputs);
    out->output_count = decode_tensors(model, "outputs", out->outputs);
}

static void decode_triple(struct json_at at, const char *key, double out[3])
{
    size_t count;
    struct json_at list = json_list(at, key, 3, &count);
    for (size_t i = 0; i < 3; i++)
        json_as_double(json_item(list, i), -no_limit, no_limit, &out[i]);
}

static void decode_preprocess(const struct decoder *decoder, struct json_at root)
{
    if (!given(decoder, root, "preprocess"))
        return;
    struct release *out = decoder->out;
    struct json_at at = json_child(root, "preprocess");
    JSON_ONLY(at, "color", "layout", "resize", "pad", "scale", "mean", "std");
    if (given(decoder, at, "color"))
        GET_CHOICE(at, "color", color_words, out->preprocess.color);
    if (given(decoder, at, "layout"))
        GET_CHOICE(at, "layout", layout_words, out->preprocess.layout);
    if (given(decoder, at, "resize"))
        GET_CHOICE(at, "resize", resize_words, out->preprocess.resize);
    if (given(decoder, at, "pad"))
        out->preprocess.pad = get_int(at, "pad", 0, 255, 0);
    if (given(decoder, at, "scale"))
        json_get_double(at, "scale", -no_limit, no_limit, &out->preprocess.scale);
    if (given(decoder, at, "mean"))
        decode_triple(at, "mean", out->preprocess.mean);
    if (given(decoder, at, "std"))
        decode_triple(at, "std", out->preprocess.std);
}

static void decode_postprocess(const struct decoder *decoder, struct json_at root)
{
    if (!given(decoder, root, "postprocess"))
        return;
    struct release *out = decoder->out;
    struct json_at at = json_child(root, "postprocess");
    JSON_ONLY(at, "decoder", "score_threshold", "iou_threshold", "max_detections");
    if (given(decoder, at, "decoder"))
        GET_CHOICE(at, "decoder", decoder_words, out->postprocess.decoder);
    if (given(decoder, at, "score_threshold"))
        json_get_double(at, "score_threshold", 0, 1, &out->postprocess.score_threshold);
    if (given(decoder, at, "iou_threshold"))
        json_get_double(at, "iou_threshold", 0, 1, &out->postprocess.iou_threshold);
    if (given(decoder, at, "max_detections"))
        out->postprocess.max_detections = get_int(at, "max_detections", 1, 128, 0);
}

static void decode_budgets(struct json_at root, struct release *out)
{
    struct json_at at = json_child(root, "budgets");
    JSON_ONLY(at, "latency_p99_ms", "deadline_ms", "memory_mib");
    json_get_double(at, "latency_p99_ms", 0, 1e6, &out->budgets.latency_p99_ms);
    json_get_double(at, "deadline_ms", 0, 1e6, &out->budgets.deadline_ms);
    out->budgets.memory_mib = get_int(at, "memory_mib", 1, 1000000, 0);
}

static void decode_envelope(const struct decoder *decoder, struct json_at root)
{
    if (!given(decoder, root, "envelope"))
        return;
    struct release *out = decoder->out;
    struct json_at at = json_child(root, "envelope");
    JSON_ONLY(at, "max_detections", "min_score", "max_miss_share");
    if (given(decoder, at, "max_detections"))
        out->envelope.max_detections = get_int(at, "max_detections", 1, 128, 0);
    if (given(decoder, at, "min_score"))
        json_get_double(at, "min_score", 0, 1, &out->envelope.min_score);
    if (given(decoder, at, "max_miss_share"))
        json_get_double(at, "max_miss_share", 0, 1, &out->envelope.max_miss_share);
}

static void decode_golden(const struct decoder *decoder, struct json_at root)
{
    if (!given(decoder, root, "golden"))
        return;
    struct json_at at = json_child(root, "golden");
    if (decoder->lenient)
        JSON_ONLY(at, "tolerance", "inputs");
    else
        JSON_ONLY(at, "tolerance");
    if (given(decoder, at, "tolerance"))
        json_get_double(at, "tolerance", 0, 1, &decoder->out->golden_tolerance);
}

static void decode_words(struct json_at root, struct release *out)
{
    struct json_at targets = json_list(root, "targets", RELEASE_MAX_TARGETS, &out->target_count);
    for (size_t i = 0; i < out->target_count; i++)
        json_as_name(json_item(targets, i), out->targets[i], sizeof out->targets[i]);
    struct json_at labels = json_list(root, "labels", RELEASE_MAX_LABELS, &out->label_count);
    for (size_t i = 0; i < out->label_count; i++)
        json_as_string(json_item(labels, i), out->labels[i], sizeof out->labels[i]);
}

static void check_members(const struct decoder *decoder, struct json_at root)
{
#define MEMBERS                                                                                              \
    "schema", "name", "version", "description", "task", "targets", "model", "preprocess", "postprocess",     \
        "labels", "budgets", "envelope", "safe_state", "golden"
    if (decoder->lenient)
        JSON_ONLY(root, MEMBERS, "created", "evaluation", "recipe");
    else
        JSON_ONLY(root, MEMBERS);
}

static void decode(const struct decoder *decoder, struct json_at root)
{
    struct release *out = decoder->out;
    int64_t schema;
    check_members(decoder, root);
    json_get_int(root, "schema", 1, 1, &schema);
    json_get_name(root, "name", out->name, sizeof out->name);
    json_get_line(root, "version", out->version, sizeof out->version);
    if (given(decoder, root, "description"))
        json_get_line(root, "description", out->description, sizeof out->description);
    GET_CHOICE(root, "task", task_words, out->task);
    decode_words(root, out);
    decode_model(decoder, root);
    decode_preprocess(decoder, root);
    decode_postprocess(decoder, root);
    decode_budgets(root, out);
    decode_envelope(decoder, root);
    json_get_line(root, "safe_state", out->safe_state, sizeof out->safe_state);
    decode_golden(decoder, root);
}

static const struct release defaults = {
    .preprocess = {.pad = 114, .scale = 1.0 / 255, .std = {1, 1, 1}},
    .postprocess = {.score_threshold = 0.35, .iou_threshold = 0.5, .max_detections = 100},
    .envelope = {.max_detections = 100, .max_miss_share = 0.05},
    .golden_tolerance = 0.001,
};

static int finish(struct json_reader *reader, const struct release *release, struct err *err)
{
    if (json_finish(reader, err) < 0)
        return -1;
    return release_check(release, err) < 0 ? err_prefix(err, "%s", reader->name) : 0;
}

int release_parse(const void *text, size_t len, struct release *out, struct err *err)
{
    struct json_reader reader;
    if (json_read(&reader, "release.json", text, len, err) < 0)
        return -1;
    memset(out, 0, sizeof *out);
    decode(&(struct decoder){.out = out}, json_root(&reader));
    return finish(&reader, out, err);
}

int release_parse_yaml(const char *name, const void *text, size_t len, struct release *out,
                       char *out_model_path, size_t path_size, struct err *err)
{
    struct json_reader reader;
    if (yaml_read(&reader, name, text, len, err) < 0)
        return -1;
    *out = defaults;
    struct json_at root = json_root(&reader);
    decode(&(struct decoder){.lenient = true, .out = out}, root);
    json_get_line(json_child(root, "model"), "path", out_model_path, path_size);
    return finish(&reader, out, err);
}

/* ---- writing ---- */

static json_t *from_tensors(const struct tensor_spec *tensors, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < count; i++) {
        json_t *shape = json_array();
        for (size_t d = 0; d < tensors[i].dim_count; d++)
            json_append(shape, json_integer(tensors[i].dims[d]));
        json_append(list, json_pack("{s:s, s:s, s:o}", "name", tensors[i].name, "dtype",
                                    tensor_dtype_name(tensors[i].dtype), "shape", shape));
    }
    return list;
}

static json_t *from_words(const char *words, size_t count, size_t stride)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < count; i++)
        json_append(list, json_string(words + i * stride));
    return list;
}

static json_t *from_preprocess(const struct release *release)
{
    const double *mean = release->preprocess.mean, *std = release->preprocess.std;
    return json_pack(
        "{s:s, s:s, s:s, s:i, s:f, s:[f,f,f], s:[f,f,f]}", "color", color_words[release->preprocess.color],
        "layout", layout_words[release->preprocess.layout], "resize",
        resize_words[release->preprocess.resize], "pad", release->preprocess.pad, "scale",
        release->preprocess.scale, "mean", mean[0], mean[1], mean[2], "std", std[0], std[1], std[2]);
}

static json_t *from_postprocess(const struct release *release)
{
    return json_pack("{s:s, s:f, s:f, s:i}", "decoder", decoder_words[release->postprocess.decoder],
                     "score_threshold", release->postprocess.score_threshold, "iou_threshold",
                     release->postprocess.iou_threshold, "max_detections",
                     release->postprocess.max_detections);
}

static json_t *from_budgets(const struct release *release)
{
    return json_pack("{s:f, s:f, s:i}", "latency_p99_ms", release->budgets.latency_p99_ms, "deadline_ms",
                     release->budgets.deadline_ms, "memory_mib", release->budgets.memory_mib);
}

static json_t *from_envelope(const struct release *release)
{
    return json_pack("{s:i, s:f, s:f}", "max_detections", release->envelope.max_detections, "min_score",
                     release->envelope.min_score, "max_miss_share", release->envelope.max_miss_share);
}

static json_t *from_release(const struct release *release)
{
    return json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:o, s:{s:s, s:o, s:o}, s:o, s:o, s:o, s:o, s:o, s:s, s:{s:f}}", "schema",
        1, "name", release->name, "version", release->version, "description", release->description, "task",
        task_words[release->task], "targets",
        from_words(release->targets[0], release->target_count, sizeof release->targets[0]), "model", "format",
        "onnx", "inputs", from_tensors(release->inputs, release->input_count), "outputs",
        from_tensors(release->outputs, release->output_count), "preprocess", from_preprocess(release),
        "postprocess", from_postprocess(release), "labels",
        from_words(release->labels[0], release->label_count, sizeof release->labels[0]), "budgets",
        from_budgets(release), "envelope", from_envelope(release), "safe_state", release->safe_state,
        "golden", "tolerance", release->golden_tolerance);
}

char *release_format(const struct release *release)
{
    return json_write_new(from_release(release));
}
