#include "wire/release.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/json.h"
#include "wire/release_words.h"

#define NO_LIMIT 1e30

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
        JSON_ONLY(model, "format", "inputs", "outputs", "path", "signature", "key");
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
        json_as_double(json_item(list, i), -NO_LIMIT, NO_LIMIT, &out[i]);
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
        json_get_double(at, "scale", -NO_LIMIT, NO_LIMIT, &out->preprocess.scale);
    if (given(decoder, at, "mean"))
        decode_triple(at, "mean", out->preprocess.mean);
    if (given(decoder, at, "std"))
        decode_triple(at, "std", out->preprocess.std);
}

/* A person need not say what the task leaves no choice about. */
static enum decoder_kind decoder_of_task(enum release_task task)
{
    static const enum decoder_kind decoders[] = {[TASK_DETECTION] = DECODER_YOLOV8,
                                                 [TASK_CLASSIFICATION] = DECODER_SCORES,
                                                 [TASK_TIMESERIES] = DECODER_SCORES,
                                                 [TASK_CONTROL] = DECODER_RAW,
                                                 [TASK_RAW] = DECODER_RAW};
    return (unsigned)task < ARRAY_LEN(decoders) ? decoders[task] : DECODER_YOLOV8;
}

static void decode_postprocess(const struct decoder *decoder, struct json_at root)
{
    if (decoder->lenient)
        decoder->out->postprocess.decoder = decoder_of_task(decoder->out->task);
    if (!given(decoder, root, "postprocess"))
        return;
    struct release *out = decoder->out;
    struct json_at at = json_child(root, "postprocess");
    JSON_ONLY(at, "decoder", "score_threshold", "iou_threshold", "max_detections", "activation");
    if (given(decoder, at, "decoder"))
        GET_CHOICE(at, "decoder", decoder_words, out->postprocess.decoder);
    if (given(decoder, at, "score_threshold"))
        json_get_double(at, "score_threshold", 0, 1, &out->postprocess.score_threshold);
    if (given(decoder, at, "iou_threshold"))
        json_get_double(at, "iou_threshold", 0, 1, &out->postprocess.iou_threshold);
    if (given(decoder, at, "max_detections"))
        out->postprocess.max_detections = get_int(at, "max_detections", 1, 128, 0);
    if (given(decoder, at, "activation"))
        GET_CHOICE(at, "activation", activation_words, out->postprocess.activation);
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
    JSON_ONLY(at, "max_detections", "min_score", "max_miss_share", "max_age_ms", "frozen_frames",
              "latch_after", "value_min", "value_max", "max_rate", "max_jump");
    const struct {
        const char *key;
        double min, max;
        double *target;
    } numbers[] = {
        {"min_score", 0, 1, &out->envelope.min_score},
        {"max_miss_share", 0, 1, &out->envelope.max_miss_share},
        {"max_age_ms", 0, 1e6, &out->envelope.max_age_ms},
        {"value_min", -NO_LIMIT, NO_LIMIT, &out->envelope.value_min},
        {"value_max", -NO_LIMIT, NO_LIMIT, &out->envelope.value_max},
        {"max_rate", 0, NO_LIMIT, &out->envelope.max_rate},
        {"max_jump", 0, NO_LIMIT, &out->envelope.max_jump},
    };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (given(decoder, at, numbers[i].key))
            json_get_double(at, numbers[i].key, numbers[i].min, numbers[i].max, numbers[i].target);
    if (given(decoder, at, "max_detections"))
        out->envelope.max_detections = get_int(at, "max_detections", 1, 128, 0);
    if (given(decoder, at, "frozen_frames"))
        out->envelope.frozen_frames = get_int(at, "frozen_frames", 0, RELEASE_MAX_RUN, 0);
    if (given(decoder, at, "latch_after"))
        out->envelope.latch_after = get_int(at, "latch_after", 0, RELEASE_MAX_RUN, 0);
}

static void decode_state(const struct decoder *decoder, struct json_at root)
{
    if (!given(decoder, root, "state"))
        return;
    struct release *out = decoder->out;
    struct json_at list = json_list(root, "state", RELEASE_MAX_TENSORS, &out->state_count);
    for (size_t i = 0; i < out->state_count; i++) {
        struct json_at pair = json_as_object(json_item(list, i));
        JSON_ONLY(pair, "input", "output");
        json_get_line(pair, "input", out->state[i].input, sizeof out->state[i].input);
        json_get_line(pair, "output", out->state[i].output, sizeof out->state[i].output);
    }
}

static void decode_provider(struct json_at at, enum provider *out)
{
    char word[16] = "";
    json_as_string(at, word, sizeof word);
    for (size_t i = 0; i < ARRAY_LEN(provider_words); i++)
        if (str_eq(provider_words[i], word)) {
            *out = (enum provider)i;
            return;
        }
    json_fail(at, "must be one of tensorrt, cuda, cpu");
}

static void decode_runtime(const struct decoder *decoder, struct json_at root)
{
    if (!given(decoder, root, "runtime"))
        return;
    struct release *out = decoder->out;
    struct json_at at = json_child(root, "runtime");
    JSON_ONLY(at, "threads", "spin", "queue", "providers");
    if (given(decoder, at, "threads"))
        out->runtime.threads = get_int(at, "threads", 1, RELEASE_MAX_THREADS, 0);
    if (given(decoder, at, "spin"))
        json_get_bool(at, "spin", &out->runtime.spin);
    if (given(decoder, at, "queue"))
        GET_CHOICE(at, "queue", queue_words, out->runtime.queue);
    if (!given(decoder, at, "providers"))
        return;
    struct json_at list = json_list(at, "providers", PROVIDER_COUNT, &out->runtime.provider_count);
    memset(out->runtime.providers, 0, sizeof out->runtime.providers);
    for (size_t i = 0; i < out->runtime.provider_count; i++)
        decode_provider(json_item(list, i), &out->runtime.providers[i]);
}

static void decode_switch(const struct decoder *decoder, struct json_at root)
{
    if (!given(decoder, root, "switch"))
        return;
    struct release *out = decoder->out;
    struct json_at at = json_child(root, "switch");
    JSON_ONLY(at, "policy", "shadow_frames", "min_agreement", "hold_s", "at");
    if (given(decoder, at, "policy"))
        GET_CHOICE(at, "policy", policy_words, out->switching.policy);
    if (given(decoder, at, "shadow_frames"))
        out->switching.shadow_frames = get_int(at, "shadow_frames", 0, RELEASE_MAX_RUN, 0);
    if (given(decoder, at, "min_agreement"))
        json_get_double(at, "min_agreement", 0, 1, &out->switching.min_agreement);
    if (given(decoder, at, "hold_s"))
        out->switching.hold_s = get_int(at, "hold_s", 0, RELEASE_MAX_HOLD_S, 0);
    if (given(decoder, at, "at"))
        GET_CHOICE(at, "at", at_words, out->switching.at);
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

static void decode_variants(struct json_at root, struct release *out)
{
    if (!json_has(root, "variants"))
        return;
    struct json_at list = json_list(root, "variants", RELEASE_MAX_VARIANTS, &out->variant_count);
    for (size_t i = 0; i < out->variant_count; i++) {
        struct release_variant *variant = &out->variants[i];
        struct json_at at = json_as_object(json_item(list, i));
        JSON_ONLY(at, "name", "precision", "fidelity");
        json_get_line(at, "name", variant->name, sizeof variant->name);
        GET_CHOICE(at, "precision", precision_words, variant->precision);
        json_get_double(at, "fidelity", 0, 1, &variant->fidelity);
    }
    if (out->variant_count == 0)
        json_fail(root, "variants: empty; leave it out");
}

static void decode_words(const struct decoder *decoder, struct json_at root)
{
    struct release *out = decoder->out;
    struct json_at targets = json_list(root, "targets", RELEASE_MAX_TARGETS, &out->target_count);
    for (size_t i = 0; i < out->target_count; i++)
        json_as_name(json_item(targets, i), out->targets[i], sizeof out->targets[i]);
    bool of_numbers = out->task == TASK_CONTROL || out->task == TASK_RAW; /* these may do without labels */
    if (of_numbers && !given(decoder, root, "labels"))
        return;
    struct json_at labels = json_list(root, "labels", RELEASE_MAX_LABELS, &out->label_count);
    for (size_t i = 0; i < out->label_count; i++)
        json_as_string(json_item(labels, i), out->labels[i], sizeof out->labels[i]);
}

static void check_members(const struct decoder *decoder, struct json_at root)
{
#define MEMBERS                                                                                              \
    "schema", "name", "version", "description", "task", "targets", "model", "frame", "state", "preprocess",  \
        "postprocess", "labels", "budgets", "envelope", "runtime", "switch", "safe_state", "golden",         \
        "variants", "tap"
    if (decoder->lenient)
        JSON_ONLY(root, MEMBERS, "created", "evaluation", "recipe", "optimized", "trt", "profile");
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
    decode_words(decoder, root);
    decode_model(decoder, root);
    if (given(decoder, root, "frame"))
        GET_CHOICE(root, "frame", frame_words, out->frame);
    decode_state(decoder, root);
    decode_preprocess(decoder, root);
    decode_postprocess(decoder, root);
    decode_budgets(root, out);
    decode_envelope(decoder, root);
    decode_runtime(decoder, root);
    decode_switch(decoder, root);
    json_get_line(root, "safe_state", out->safe_state, sizeof out->safe_state);
    decode_golden(decoder, root);
    if (decoder->lenient) /* there they are told to the packer */
        return;
    decode_variants(root, out);
    if (json_has(root, "tap"))
        json_get_line(root, "tap", out->tap, sizeof out->tap);
}

static const struct release defaults = {
    .preprocess = {.pad = 114, .scale = 1.0 / 255, .std = {1, 1, 1}},
    .postprocess = {.score_threshold = 0.35, .iou_threshold = 0.5, .max_detections = 100},
    .envelope = {.max_detections = 100,
                 .max_miss_share = 0.05,
                 .value_min = -NO_LIMIT,
                 .value_max = NO_LIMIT},
    .runtime = {.threads = 1,
                .provider_count = PROVIDER_COUNT,
                .providers = {PROVIDER_TENSORRT, PROVIDER_CUDA, PROVIDER_CPU}},
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
