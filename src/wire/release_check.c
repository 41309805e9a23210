/* What a release must be beyond well-formed: every number in range, and everything consistent with everything
 * else. */
#include "wire/release_check.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/json_tree.h"

#include <math.h>

enum {
    MAX_DETECTIONS = 128,
    MAX_SIDE = 8192,
    MAX_FRAME_FLOATS = 16 << 20 /* 64 MiB, a ring's largest slot */
};
#define NO_LIMIT 1e30
static const int64_t max_elements = 1 << 26;

static const char *const safe_states[] = {"stop", "slow",   "hold",   "hover",
                                          "land", "return", "crouch", "alert"};

static int check_identity(const struct release *release, struct err *err)
{
    if (!str_is_name(release->name, sizeof release->name - 1))
        return release_wrong(err, "name", "must be of letters, digits and . _ -");
    if (!version_valid(release->version))
        return err_set(err, ERR_INVALID,
                       "version: \"%s\" is no semantic version; write it as 1.2.3 or 1.2.3-rc.1",
                       release->version);
    if (!json_is_line(release->description))
        return release_wrong(err, "description", "must be one line without control characters");
    return 0;
}

/* No empty, doubled or unprintable word in an array of fixed-size texts. */
static int check_words(const char *what, const char *words, size_t count, size_t stride, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        const char *word = words + i * stride;
        if (!word[0] || !json_is_line(word))
            return err_set(err, ERR_INVALID, "%s[%zu]: must be one line of text", what, i);
        for (size_t k = 0; k < i; k++)
            if (str_eq(words + k * stride, word))
                return err_set(err, ERR_INVALID, "%s[%zu]: \"%s\" appears twice", what, i, word);
    }
    return 0;
}

static int check_targets(const struct release *release, struct err *err)
{
    if (release->target_count < 1 || release->target_count > RELEASE_MAX_TARGETS)
        return release_wrong(err, "targets", "name at least one machine, for example x86_64");
    return check_words("targets", release->targets[0], release->target_count, sizeof release->targets[0],
                       err);
}

static int check_tensor(const char *kind, size_t index, const struct tensor_spec *tensor, struct err *err)
{
    if (!tensor->name[0] || !json_is_line(tensor->name))
        return err_set(err, ERR_INVALID, "model.%s[%zu].name: must be one line of text", kind, index);
    if (str_eq(tensor_dtype_name(tensor->dtype), "unknown type"))
        return err_set(err, ERR_INVALID, "model.%s[%zu].dtype: %d is unknown", kind, index,
                       (int)tensor->dtype);
    if (tensor->dim_count < 1 || tensor->dim_count > RELEASE_MAX_DIMS)
        return err_set(err, ERR_INVALID, "model.%s[%zu].shape: must have 1 to %d dimensions", kind, index,
                       RELEASE_MAX_DIMS);
    int64_t elements = 1;
    for (size_t i = 0; i < tensor->dim_count; i++) {
        if (tensor->dims[i] < 1 || tensor->dims[i] > max_elements / elements)
            return err_set(err, ERR_INVALID,
                           "model.%s[%zu].shape: must be of positive sizes with a product of at most %lld",
                           kind, index, (long long)max_elements);
        elements *= tensor->dims[i];
    }
    return 0;
}

static int check_tensors(const char *kind, const struct tensor_spec *tensors, size_t count, struct err *err)
{
    if (count < 1 || count > RELEASE_MAX_TENSORS)
        return err_set(err, ERR_INVALID, "model.%s: must name 1 to %d tensors", kind, RELEASE_MAX_TENSORS);
    for (size_t i = 0; i < count; i++) {
        if (check_tensor(kind, i, &tensors[i], err) < 0)
            return -1;
        for (size_t k = 0; k < i; k++)
            if (str_eq(tensors[k].name, tensors[i].name))
                return err_set(err, ERR_INVALID, "model.%s[%zu].name: \"%s\" appears twice", kind, i,
                               tensors[i].name);
    }
    return 0;
}

static int check_model(const struct release *release, struct err *err)
{
    if (check_tensors("inputs", release->inputs, release->input_count, err) < 0)
        return -1;
    return check_tensors("outputs", release->outputs, release->output_count, err);
}

static int check_preprocess(const struct release *release, struct err *err)
{
    if ((unsigned)release->preprocess.color > COLOR_BGR ||
        (unsigned)release->preprocess.layout > LAYOUT_NHWC ||
        (unsigned)release->preprocess.resize > RESIZE_STRETCH)
        return release_wrong(err, "preprocess", "color, layout or resize is unknown");
    if (release_in_range("preprocess.pad", release->preprocess.pad, 0, 255, err) < 0 ||
        release_is_positive("preprocess.scale", release->preprocess.scale, 1e6, err) < 0)
        return -1;
    for (int i = 0; i < 3; i++)
        if (release_in_range("preprocess.mean", release->preprocess.mean[i], -1e6, 1e6, err) < 0 ||
            release_is_positive("preprocess.std", release->preprocess.std[i], 1e6, err) < 0)
            return -1;
    return 0;
}

static int check_labels(const struct release *release, struct err *err)
{
    if (release->label_count > RELEASE_MAX_LABELS)
        return release_wrong(err, "labels", "there are too many");
    return check_words("labels", release->labels[0], release->label_count, sizeof release->labels[0], err);
}

static int check_budgets(const struct release *release, struct err *err)
{
    if (release_is_positive("budgets.latency_p99_ms", release->budgets.latency_p99_ms, 1e6, err) < 0 ||
        release_is_positive("budgets.deadline_ms", release->budgets.deadline_ms, 1e6, err) < 0)
        return -1;
    if (release->budgets.deadline_ms < release->budgets.latency_p99_ms)
        return err_set(
            err, ERR_INVALID,
            "budgets.deadline_ms: %g ms is less than latency_p99_ms (%g ms), which is a part of it",
            release->budgets.deadline_ms, release->budgets.latency_p99_ms);
    return release_in_range("budgets.memory_mib", release->budgets.memory_mib, 1, 1e6, err);
}

/* A limit that nobody would look at is no limit: it must not look like one. */
static int check_limits_apply(const struct release *release, struct err *err)
{
    bool values = release->postprocess.decoder != DECODER_YOLOV8;
    if (values && release->envelope.max_jump > 0)
        return release_wrong(err, "envelope.max_jump", "is about detections, this release gives values");
    if (!values && release->envelope.max_rate > 0)
        return release_wrong(err, "envelope.max_rate", "is about values, this release gives detections");
    if (!values && (release->envelope.value_min > -NO_LIMIT || release->envelope.value_max < NO_LIMIT))
        return release_wrong(err, "envelope.value_min",
                             "and value_max are about values, this release gives detections");
    return 0;
}

static int check_values_range(const struct release *release, struct err *err)
{
    const double min = release->envelope.value_min, max = release->envelope.value_max;
    if (release_in_range("envelope.value_min", min, -NO_LIMIT, NO_LIMIT, err) < 0 ||
        release_in_range("envelope.value_max", max, -NO_LIMIT, NO_LIMIT, err) < 0)
        return -1;
    if (min > max)
        return err_set(err, ERR_INVALID, "envelope.value_min: %g is above value_max (%g)", min, max);
    return check_limits_apply(release, err);
}

static int check_history(const struct release *release, struct err *err)
{
    if (release_in_range("envelope.max_age_ms", release->envelope.max_age_ms, 0, 1e6, err) < 0 ||
        release_in_range("envelope.frozen_frames", release->envelope.frozen_frames, 0, RELEASE_MAX_RUN, err) <
            0 ||
        release_in_range("envelope.latch_after", release->envelope.latch_after, 0, RELEASE_MAX_RUN, err) <
            0 ||
        release_in_range("envelope.max_rate", release->envelope.max_rate, 0, NO_LIMIT, err) < 0 ||
        release_in_range("envelope.max_jump", release->envelope.max_jump, 0, NO_LIMIT, err) < 0)
        return -1;
    if (release->envelope.frozen_frames == 1)
        return release_wrong(err, "envelope.frozen_frames", "one frame repeats nothing; say 2 or more, or 0");
    return 0;
}

static int check_envelope(const struct release *release, struct err *err)
{
    if (release_in_range("envelope.max_detections", release->envelope.max_detections, 1, MAX_DETECTIONS,
                         err) < 0 ||
        release_in_range("envelope.min_score", release->envelope.min_score, 0, 1, err) < 0)
        return -1;
    if (release->task == TASK_DETECTION && release->envelope.min_score > release->postprocess.score_threshold)
        return err_set(
            err, ERR_INVALID,
            "envelope.min_score: %g is above postprocess.score_threshold (%g): good results would be refused",
            release->envelope.min_score, release->postprocess.score_threshold);
    if (!(release->envelope.max_miss_share > 0 && release->envelope.max_miss_share < 1))
        return release_wrong(err, "envelope.max_miss_share", "must be above 0 and below 1");
    return check_history(release, err) < 0 ? -1 : check_values_range(release, err);
}

static int check_providers(const struct release *release, struct err *err)
{
    size_t count = release->runtime.provider_count;
    if (count < 1 || count > PROVIDER_COUNT)
        return release_wrong(err, "runtime.providers", "name one to three of tensorrt, cuda, cpu");
    for (size_t i = 0; i < count; i++) {
        if ((unsigned)release->runtime.providers[i] >= PROVIDER_COUNT)
            return release_wrong(err, "runtime.providers", "one is unknown");
        for (size_t k = 0; k < i; k++)
            if (release->runtime.providers[k] == release->runtime.providers[i])
                return release_wrong(err, "runtime.providers", "one appears twice");
    }
    if (release->runtime.providers[count - 1] != PROVIDER_CPU)
        return release_wrong(err, "runtime.providers", "the last one must be cpu: every robot has it");
    return 0;
}

static int check_runtime(const struct release *release, struct err *err)
{
    if (release_in_range("runtime.threads", release->runtime.threads, 1, RELEASE_MAX_THREADS, err) < 0)
        return -1;
    if ((unsigned)release->runtime.queue > QUEUE_LOSSLESS)
        return release_wrong(err, "runtime.queue", "must be latest or lossless");
    if (release->task == TASK_TIMESERIES && release->state_count && release->runtime.queue != QUEUE_LOSSLESS)
        return release_wrong(
            err, "runtime.queue",
            "a time series with memory needs \"lossless\": a frame left out would be a gap in time");
    return check_providers(release, err);
}

static int check_switch(const struct release *release, struct err *err)
{
    if ((unsigned)release->switching.policy > SWITCH_MEMORY ||
        (unsigned)release->switching.at > SWITCH_AT_SEQUENCE_END)
        return release_wrong(err, "switch", "policy or at is unknown");
    if (release_in_range("switch.shadow_frames", release->switching.shadow_frames, 0, RELEASE_MAX_RUN, err) <
            0 ||
        release_in_range("switch.min_agreement", release->switching.min_agreement, 0, 1, err) < 0 ||
        release_in_range("switch.hold_s", release->switching.hold_s, 0, RELEASE_MAX_HOLD_S, err) < 0)
        return -1;
    if (release->switching.min_agreement > 0 && release->switching.shadow_frames == 0)
        return release_wrong(err, "switch.min_agreement", "needs shadow_frames: nothing is compared without");
    if (release->switching.policy == SWITCH_MEMORY &&
        (release->switching.shadow_frames || release->switching.hold_s))
        return release_wrong(
            err, "switch.policy",
            "\"memory\" leaves no old release to shadow or to hold: shadow_frames and hold_s must be 0");
    return 0;
}

static int check_safety(const struct release *release, struct err *err)
{
    if (release_in_range("golden.tolerance", release->golden_tolerance, 0, 1, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(safe_states); i++)
        if (str_eq(safe_states[i], release->safe_state))
            return 0;
    return release_wrong(err, "safe_state",
                         "must be one of stop, slow, hold, hover, land, return, crouch, alert");
}

int release_check(const struct release *release, struct err *err)
{
    static int (*const checks[])(const struct release *, struct err *) = {
        check_identity,      check_targets,         check_model,   release_check_tap,
        check_preprocess,    release_check_decoder, check_labels,  release_check_state,
        release_check_frame, release_check_result,  check_budgets, check_envelope,
        check_runtime,       check_switch,          check_safety,  release_check_variants,
    };
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        if (checks[i](release, err) < 0)
            return -1;
    return 0;
}

int release_check_machine(const struct release *release, const char *machine, struct err *err)
{
    char known[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < release->target_count && used < sizeof known; i++) {
        if (str_eq(release->targets[i], machine))
            return 0;
        used +=
            (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", release->targets[i]);
    }
    return err_set(err, ERR_REFUSED,
                   "%.40s %.20s is built for %.100s, this machine is %.20s; pack it for this one too",
                   release->name, release->version, known, machine);
}
