/* release.json, written. What is asked of a release without reading it again is here too. */
#include "base/mem.h"
#include "base/str.h"
#include "wire/json_write.h"
#include "wire/release.h"
#include "wire/release_words.h"

const char *tensor_dtype_name(enum tensor_dtype dtype)
{
    bool known = (unsigned)dtype < ARRAY_LEN(dtype_words) && dtype_words[dtype];
    return known ? dtype_words[dtype] : "unknown type";
}

const char *task_name(enum release_task task)
{
    return (unsigned)task < ARRAY_LEN(task_words) ? task_words[task] : "unknown task";
}

const char *precision_name(enum precision precision)
{
    return (unsigned)precision < ARRAY_LEN(precision_words) ? precision_words[precision]
                                                            : "unknown precision";
}

const char *provider_name(enum provider provider)
{
    return (unsigned)provider < ARRAY_LEN(provider_words) ? provider_words[provider] : "unknown provider";
}

size_t tensor_element_bytes(enum tensor_dtype dtype)
{
    static const uint8_t sizes[] = {
        [DTYPE_FLOAT32] = 4, [DTYPE_UINT8] = 1,   [DTYPE_INT8] = 1,   [DTYPE_UINT16] = 2,
        [DTYPE_INT16] = 2,   [DTYPE_INT32] = 4,   [DTYPE_INT64] = 8,  [DTYPE_BOOL] = 1,
        [DTYPE_FLOAT16] = 2, [DTYPE_FLOAT64] = 8, [DTYPE_UINT32] = 4, [DTYPE_UINT64] = 8,
        [DTYPE_BFLOAT16] = 2};
    return (unsigned)dtype < ARRAY_LEN(sizes) ? sizes[dtype] : 0;
}

size_t tensor_elements(const struct tensor_spec *tensor)
{
    uint64_t elements = 1;
    for (size_t i = 0; i < tensor->dim_count; i++)
        if (__builtin_mul_overflow(elements, (uint64_t)tensor->dims[i], &elements))
            return SIZE_MAX;
    return elements;
}

size_t release_value_count(const struct release *release)
{
    switch (release->postprocess.decoder) {
    case DECODER_SCORES:
        return release->label_count;
    case DECODER_RAW:
        return tensor_elements(&release->outputs[0]);
    case DECODER_YOLOV8:
        break;
    }
    return 0;
}

size_t release_answer_count(const struct release *release)
{
    return release->output_count - (release->tap[0] && release->output_count ? 1 : 0);
}

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
    return json_pack("{s:s, s:f, s:f, s:i, s:s}", "decoder", decoder_words[release->postprocess.decoder],
                     "score_threshold", release->postprocess.score_threshold, "iou_threshold",
                     release->postprocess.iou_threshold, "max_detections",
                     release->postprocess.max_detections, "activation",
                     activation_words[release->postprocess.activation]);
}

static json_t *from_budgets(const struct release *release)
{
    return json_pack("{s:f, s:f, s:i}", "latency_p99_ms", release->budgets.latency_p99_ms, "deadline_ms",
                     release->budgets.deadline_ms, "memory_mib", release->budgets.memory_mib);
}

static json_t *from_envelope(const struct release *release)
{
    return json_pack("{s:i, s:f, s:f, s:f, s:i, s:i, s:f, s:f, s:f, s:f}", "max_detections",
                     release->envelope.max_detections, "min_score", release->envelope.min_score,
                     "max_miss_share", release->envelope.max_miss_share, "max_age_ms",
                     release->envelope.max_age_ms, "frozen_frames", release->envelope.frozen_frames,
                     "latch_after", release->envelope.latch_after, "value_min", release->envelope.value_min,
                     "value_max", release->envelope.value_max, "max_rate", release->envelope.max_rate,
                     "max_jump", release->envelope.max_jump);
}

static json_t *from_state(const struct release *release)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < release->state_count; i++)
        json_append(list, json_pack("{s:s, s:s}", "input", release->state[i].input, "output",
                                    release->state[i].output));
    return list;
}

static json_t *from_runtime(const struct release *release)
{
    json_t *providers = json_array();
    for (size_t i = 0; providers && i < release->runtime.provider_count; i++)
        json_append(providers, json_string(provider_name(release->runtime.providers[i])));
    return json_pack("{s:i, s:b, s:s, s:o}", "threads", release->runtime.threads, "spin",
                     (int)release->runtime.spin, "queue", queue_words[release->runtime.queue], "providers",
                     providers);
}

static json_t *from_switch(const struct release *release)
{
    return json_pack("{s:s, s:i, s:f, s:i, s:s}", "policy", policy_words[release->switching.policy],
                     "shadow_frames", release->switching.shadow_frames, "min_agreement",
                     release->switching.min_agreement, "hold_s", release->switching.hold_s, "at",
                     at_words[release->switching.at]);
}

static json_t *from_model(const struct release *release)
{
    return json_pack("{s:s, s:o, s:o}", "format", "onnx", "inputs",
                     from_tensors(release->inputs, release->input_count), "outputs",
                     from_tensors(release->outputs, release->output_count));
}

static json_t *from_variants(const struct release *release)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < release->variant_count; i++) {
        const struct release_variant *variant = &release->variants[i];
        json_append(list, json_pack("{s:s, s:s, s:f}", "name", variant->name, "precision",
                                    precision_name(variant->precision), "fidelity", variant->fidelity));
    }
    return list;
}

static json_t *from_release(const struct release *release)
{
    json_t *targets = from_words(release->targets[0], release->target_count, sizeof release->targets[0]);
    json_t *labels = from_words(release->labels[0], release->label_count, sizeof release->labels[0]);
    json_t *variants = release->variant_count ? from_variants(release) : NULL;
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, "
                     "s:{s:f}, s:o*, s:s*}",
                     "schema", 1, "name", release->name, "version", release->version, "description",
                     release->description, "task", task_words[release->task], "targets", targets, "model",
                     from_model(release), "frame", frame_words[release->frame], "state", from_state(release),
                     "preprocess", from_preprocess(release), "postprocess", from_postprocess(release),
                     "labels", labels, "budgets", from_budgets(release), "envelope", from_envelope(release),
                     "runtime", from_runtime(release), "switch", from_switch(release), "safe_state",
                     release->safe_state, "golden", "tolerance", release->golden_tolerance, "variants",
                     variants, "tap", release->tap[0] ? release->tap : NULL);
}

char *release_format(const struct release *release)
{
    return json_write_new(from_release(release));
}
