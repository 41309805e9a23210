/* What a release must be beyond well-formed: every number in range, and everything consistent with everything
 * else. */
#include "base/mem.h"
#include "base/str.h"
#include "wire/json_tree.h"
#include "wire/release.h"

#include <math.h>

enum { MAX_DETECTIONS = 128, MAX_SIDE = 8192 };
static const int64_t max_elements = 1 << 26;

static const char *const safe_states[] = {"stop", "slow",   "hold",   "hover",
                                          "land", "return", "crouch", "alert"};

static int wrong(struct err *err, const char *what, const char *why)
{
    return err_set(err, ERR_INVALID, "%s: %s", what, why);
}

/* A number in [min, max]; NaN is in no range. */
static int check_range(const char *what, double value, double min, double max, struct err *err)
{
    if (value >= min && value <= max)
        return 0;
    return err_set(err, ERR_INVALID, "%s: is %g, must be from %g to %g", what, value, min, max);
}

static int check_positive(const char *what, double value, double max, struct err *err)
{
    if (value > 0 && value <= max)
        return 0;
    return err_set(err, ERR_INVALID, "%s: is %g, must be above 0 and at most %g", what, value, max);
}

static int check_identity(const struct release *release, struct err *err)
{
    if (!str_is_name(release->name, sizeof release->name - 1))
        return wrong(err, "name", "must be of letters, digits and . _ -");
    if (!version_valid(release->version))
        return err_set(err, ERR_INVALID,
                       "version: \"%s\" is no semantic version; write it as 1.2.3 or 1.2.3-rc.1",
                       release->version);
    if (!json_is_line(release->description))
        return wrong(err, "description", "must be one line without control characters");
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
        return wrong(err, "targets", "name at least one machine, for example x86_64");
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
        return wrong(err, "preprocess", "color, layout or resize is unknown");
    if (check_range("preprocess.pad", release->preprocess.pad, 0, 255, err) < 0 ||
        check_positive("preprocess.scale", release->preprocess.scale, 1e6, err) < 0)
        return -1;
    for (int i = 0; i < 3; i++)
        if (check_range("preprocess.mean", release->preprocess.mean[i], -1e6, 1e6, err) < 0 ||
            check_positive("preprocess.std", release->preprocess.std[i], 1e6, err) < 0)
            return -1;
    return 0;
}

static int check_postprocess(const struct release *release, struct err *err)
{
    if ((unsigned)release->task > TASK_RAW || (unsigned)release->postprocess.decoder > DECODER_RAW)
        return wrong(err, "postprocess.decoder", "task or decoder is unknown");
    if ((release->task == TASK_RAW) != (release->postprocess.decoder == DECODER_RAW))
        return wrong(err, "postprocess.decoder",
                     "task \"detection\" needs decoder \"yolov8\", task \"raw\" decoder \"raw\"");
    if (check_range("postprocess.score_threshold", release->postprocess.score_threshold, 0, 1, err) < 0 ||
        check_positive("postprocess.iou_threshold", release->postprocess.iou_threshold, 1, err) < 0)
        return -1;
    return check_range("postprocess.max_detections", release->postprocess.max_detections, 1, MAX_DETECTIONS,
                       err);
}

static int check_image_input(const struct release *release, struct err *err)
{
    const struct tensor_spec *input = &release->inputs[0];
    if (release->input_count != 1 || input->dtype != DTYPE_FLOAT32 || input->dim_count != 4 ||
        input->dims[0] != 1)
        return wrong(err, "model.inputs",
                     "a detector has one float32 input with 4 dimensions, the first of them 1");
    bool nchw = release->preprocess.layout == LAYOUT_NCHW;
    int64_t channels = input->dims[nchw ? 1 : 3], height = input->dims[nchw ? 2 : 1],
            width = input->dims[nchw ? 3 : 2];
    if (channels != 3)
        return err_set(err, ERR_INVALID,
                       "model.inputs[0].shape: layout %s wants 3 channels in place %d, not %lld",
                       nchw ? "nchw" : "nhwc", nchw ? 2 : 4, (long long)channels);
    if (height > MAX_SIDE || width > MAX_SIDE)
        return err_set(err, ERR_INVALID, "model.inputs[0].shape: images have at most %d x %d pixels",
                       MAX_SIDE, MAX_SIDE);
    return 0;
}

static int check_yolov8_output(const struct release *release, struct err *err)
{
    const struct tensor_spec *output = &release->outputs[0];
    if (release->output_count != 1 || output->dtype != DTYPE_FLOAT32 || output->dim_count != 3 ||
        output->dims[0] != 1)
        return wrong(err, "model.outputs",
                     "decoder yolov8 wants one float32 output with 3 dimensions, the first of them 1");
    if (output->dims[1] != 4 + (int64_t)release->label_count)
        return err_set(err, ERR_INVALID,
                       "model.outputs[0].shape: %zu labels need %zu rows (4 for the box), not %lld",
                       release->label_count, 4 + release->label_count, (long long)output->dims[1]);
    return 0;
}

static int check_labels(const struct release *release, struct err *err)
{
    if (release->label_count > RELEASE_MAX_LABELS)
        return wrong(err, "labels", "there are too many");
    return check_words("labels", release->labels[0], release->label_count, sizeof release->labels[0], err);
}

static int check_detection(const struct release *release, struct err *err)
{
    if (release->task != TASK_DETECTION)
        return 0;
    if (release->label_count == 0)
        return wrong(err, "labels", "a detector needs at least one");
    if (check_image_input(release, err) < 0)
        return -1;
    return check_yolov8_output(release, err);
}

static int check_budgets(const struct release *release, struct err *err)
{
    if (check_positive("budgets.latency_p99_ms", release->budgets.latency_p99_ms, 1e6, err) < 0 ||
        check_positive("budgets.deadline_ms", release->budgets.deadline_ms, 1e6, err) < 0)
        return -1;
    if (release->budgets.deadline_ms < release->budgets.latency_p99_ms)
        return err_set(
            err, ERR_INVALID,
            "budgets.deadline_ms: %g ms is less than latency_p99_ms (%g ms), which is a part of it",
            release->budgets.deadline_ms, release->budgets.latency_p99_ms);
    return check_range("budgets.memory_mib", release->budgets.memory_mib, 1, 1e6, err);
}

static int check_envelope(const struct release *release, struct err *err)
{
    if (check_range("envelope.max_detections", release->envelope.max_detections, 1, MAX_DETECTIONS, err) <
            0 ||
        check_range("envelope.min_score", release->envelope.min_score, 0, 1, err) < 0)
        return -1;
    if (release->task == TASK_DETECTION && release->envelope.min_score > release->postprocess.score_threshold)
        return err_set(
            err, ERR_INVALID,
            "envelope.min_score: %g is above postprocess.score_threshold (%g): good results would be refused",
            release->envelope.min_score, release->postprocess.score_threshold);
    if (!(release->envelope.max_miss_share > 0 && release->envelope.max_miss_share < 1))
        return wrong(err, "envelope.max_miss_share", "must be above 0 and below 1");
    return 0;
}

static int check_safety(const struct release *release, struct err *err)
{
    if (check_range("golden.tolerance", release->golden_tolerance, 0, 1, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(safe_states); i++)
        if (str_eq(safe_states[i], release->safe_state))
            return 0;
    return wrong(err, "safe_state", "must be one of stop, slow, hold, hover, land, return, crouch, alert");
}

int release_check(const struct release *release, struct err *err)
{
    static int (*const checks[])(const struct release *, struct err *) = {
        check_identity, check_targets,   check_model,   check_preprocess, check_postprocess,
        check_labels,   check_detection, check_budgets, check_envelope,   check_safety,
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
