/* What the robot could not run: task, decoder, frame, state and tensors against each other. */
#include "base/mem.h"
#include "base/str.h"
#include "wire/release_check.h"

enum {
    MAX_DETECTIONS = 128,
    MAX_SIDE = 8192,
    MAX_FRAME_FLOATS = 16 << 20 /* 64 MiB, the largest slot of a ring */
};

int release_wrong(struct err *err, const char *what, const char *why)
{
    return err_set(err, ERR_INVALID, "%s: %s", what, why);
}

int release_in_range(const char *what, double value, double min, double max, struct err *err)
{
    if (value >= min && value <= max)
        return 0;
    return err_set(err, ERR_INVALID, "%s: is %g, must be from %g to %g", what, value, min, max);
}

int release_is_positive(const char *what, double value, double max, struct err *err)
{
    if (value > 0 && value <= max)
        return 0;
    return err_set(err, ERR_INVALID, "%s: is %g, must be above 0 and at most %g", what, value, max);
}

int release_check_decoder(const struct release *release, struct err *err)
{
    static const struct {
        enum decoder_kind decoder;
        const char *rule;
    } needed[] = {
        [TASK_DETECTION] = {DECODER_YOLOV8, "task \"detection\" needs decoder \"yolov8\""},
        [TASK_CLASSIFICATION] = {DECODER_SCORES, "task \"classification\" needs decoder \"scores\""},
        [TASK_TIMESERIES] = {DECODER_SCORES, "task \"timeseries\" needs decoder \"scores\""},
        [TASK_CONTROL] = {DECODER_RAW, "task \"control\" needs decoder \"values\""},
        [TASK_RAW] = {DECODER_RAW, "task \"raw\" needs decoder \"values\""},
    };
    if ((unsigned)release->task > TASK_RAW || (unsigned)release->postprocess.decoder > DECODER_SCORES)
        return release_wrong(err, "postprocess.decoder", "task or decoder is unknown");
    if (needed[release->task].decoder != release->postprocess.decoder)
        return release_wrong(err, "postprocess.decoder", needed[release->task].rule);
    if ((unsigned)release->postprocess.activation > ACTIVATION_SIGMOID ||
        (release->postprocess.activation != ACTIVATION_NONE &&
         release->postprocess.decoder != DECODER_SCORES))
        return release_wrong(err, "postprocess.activation", "must be none, except for decoder \"scores\"");
    if (release_in_range("postprocess.score_threshold", release->postprocess.score_threshold, 0, 1, err) <
            0 ||
        release_is_positive("postprocess.iou_threshold", release->postprocess.iou_threshold, 1, err) < 0)
        return -1;
    return release_in_range("postprocess.max_detections", release->postprocess.max_detections, 1,
                            MAX_DETECTIONS, err);
}

/* ---- which tensor is what: the first input is the frame, the first output the result, all others are state ---- */

static const struct tensor_spec *find_tensor(const struct tensor_spec *tensors, size_t count,
                                             const char *name)
{
    for (size_t i = 1; i < count; i++)
        if (str_eq(tensors[i].name, name))
            return &tensors[i];
    return NULL;
}

static bool same_tensor(const struct tensor_spec *a, const struct tensor_spec *b)
{
    return a->dtype == b->dtype && a->dim_count == b->dim_count &&
           memcmp(a->dims, b->dims, a->dim_count * sizeof a->dims[0]) == 0;
}

static int check_state_pair(const struct release *release, size_t index, struct err *err)
{
    const char *in_name = release->state[index].input, *out_name = release->state[index].output;
    const struct tensor_spec *in = find_tensor(release->inputs, release->input_count, in_name);
    const struct tensor_spec *out = find_tensor(release->outputs, release->output_count, out_name);
    if (!in)
        return err_set(err, ERR_INVALID, "state[%zu].input: \"%s\" is none of the inputs after the first",
                       index, in_name);
    if (!out)
        return err_set(err, ERR_INVALID, "state[%zu].output: \"%s\" is none of the outputs after the first",
                       index, out_name);
    if (in->dtype != DTYPE_FLOAT32)
        return err_set(err, ERR_INVALID, "state[%zu]: \"%s\" is %s, a state must be float32", index, in_name,
                       tensor_dtype_name(in->dtype));
    if (!same_tensor(in, out))
        return err_set(err, ERR_INVALID, "state[%zu]: \"%s\" and \"%s\" differ in type or shape", index,
                       in_name, out_name);
    for (size_t i = 0; i < index; i++)
        if (str_eq(release->state[i].input, in_name) || str_eq(release->state[i].output, out_name))
            return err_set(err, ERR_INVALID, "state[%zu]: \"%s\" or \"%s\" appears twice", index, in_name,
                           out_name);
    return 0;
}

int release_check_state(const struct release *release, struct err *err)
{
    if (release->state_count >= RELEASE_MAX_TENSORS)
        return release_wrong(err, "state", "there are too many");
    for (size_t i = 0; i < release->state_count; i++)
        if (check_state_pair(release, i, err) < 0)
            return -1;
    if (release->input_count != 1 + release->state_count)
        return err_set(err, ERR_INVALID,
                       "model.inputs: the first is the frame, the %zu others must all be state",
                       release->input_count - 1);
    if (release_answer_count(release) != 1 + release->state_count)
        return err_set(err, ERR_INVALID,
                       "model.outputs: the first is the result, the %zu others must all be state",
                       release_answer_count(release) - 1);
    return 0;
}

int release_check_tap(const struct release *release, struct err *err)
{
    if (!release->tap[0])
        return 0;
    const struct tensor_spec *last = &release->outputs[release->output_count - 1];
    if (release->output_count < 2 || !str_eq(last->name, release->tap))
        return err_set(err, ERR_INVALID, "tap: \"%s\" must be the last of the outputs, behind the result",
                       release->tap);
    if (last->dtype != DTYPE_FLOAT32 || last->dim_count < 2 || last->dim_count > 4 || last->dims[0] != 1 ||
        last->dims[1] > RELEASE_MAX_TAP_CHANNELS)
        return err_set(err, ERR_INVALID,
                       "tap: \"%s\" must be float32 of 1 x at most %d channels x at most two sides",
                       release->tap, RELEASE_MAX_TAP_CHANNELS);
    for (size_t i = 0; i < release->state_count; i++)
        if (str_eq(release->state[i].output, release->tap))
            return err_set(err, ERR_INVALID, "tap: \"%s\" is state; choose another tensor", release->tap);
    return 0;
}

static int check_image_input(const struct release *release, struct err *err)
{
    const struct tensor_spec *input = &release->inputs[0];
    if (input->dtype != DTYPE_FLOAT32 || input->dim_count != 4 || input->dims[0] != 1)
        return release_wrong(err, "model.inputs",
                             "frame \"rgb8\" wants a float32 input with 4 dimensions, the first of them 1");
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

int release_check_frame(const struct release *release, struct err *err)
{
    if ((unsigned)release->frame > FRAME_FLOAT32)
        return release_wrong(err, "frame", "must be rgb8 or float32");
    if (release->frame == FRAME_RGB8)
        return check_image_input(release, err);
    if (release->task == TASK_DETECTION)
        return release_wrong(err, "frame",
                             "task \"detection\" needs \"rgb8\": boxes are in pixels of a picture");
    if (release->inputs[0].dtype != DTYPE_FLOAT32)
        return release_wrong(err, "model.inputs[0].dtype", "must be float32, as the frame is");
    if (tensor_elements(&release->inputs[0]) > MAX_FRAME_FLOATS)
        return err_set(err, ERR_INVALID, "model.inputs[0].shape: a frame has at most %d floats",
                       MAX_FRAME_FLOATS);
    return 0;
}

/* ---- the result ---- */

static int check_yolov8_output(const struct release *release, struct err *err)
{
    const struct tensor_spec *output = &release->outputs[0];
    if (output->dim_count != 3 || output->dims[0] != 1)
        return release_wrong(
            err, "model.outputs",
            "decoder yolov8 wants one float32 output with 3 dimensions, the first of them 1");
    if (output->dims[1] != 4 + (int64_t)release->label_count)
        return err_set(err, ERR_INVALID,
                       "model.outputs[0].shape: %zu labels need %zu rows (4 for the box), not %lld",
                       release->label_count, 4 + release->label_count, (long long)output->dims[1]);
    return 0;
}

static int check_scores_output(const struct release *release, struct err *err)
{
    size_t elements = tensor_elements(&release->outputs[0]);
    if (elements != release->label_count)
        return err_set(
            err, ERR_INVALID,
            "model.outputs[0].shape: decoder scores wants one number per label: %zu labels, %zu numbers",
            release->label_count, elements);
    if (release->postprocess.activation == ACTIVATION_SOFTMAX && release->label_count < 2)
        return release_wrong(err, "postprocess.activation",
                             "softmax over one label is always 1; use sigmoid");
    return 0;
}

static int check_values_output(const struct release *release, struct err *err)
{
    size_t elements = tensor_elements(&release->outputs[0]);
    if (elements > RELEASE_MAX_VALUES)
        return err_set(err, ERR_INVALID, "model.outputs[0].shape: %zu values, a result holds at most %d",
                       elements, RELEASE_MAX_VALUES);
    if (release->label_count && release->label_count != elements)
        return err_set(err, ERR_INVALID, "labels: %zu names for %zu values; name all or none",
                       release->label_count, elements);
    return 0;
}

int release_check_result(const struct release *release, struct err *err)
{
    if (release->outputs[0].dtype != DTYPE_FLOAT32)
        return release_wrong(err, "model.outputs[0].dtype", "must be float32");
    if (release->postprocess.decoder != DECODER_RAW && release->label_count == 0)
        return release_wrong(err, "labels", "this task needs at least one");
    switch (release->postprocess.decoder) {
    case DECODER_YOLOV8:
        return check_yolov8_output(release, err);
    case DECODER_SCORES:
        return check_scores_output(release, err);
    case DECODER_RAW:
        break;
    }
    return check_values_output(release, err);
}
