#include "forge/profile/answers.h"

#include "base/mem.h"
#include "forge/profile/camera.h"

#include <math.h>

enum { COPIES = 1 + CAMERA_COPIES };
static const float iou_at = 0.5F;

/* ---- judging ---- */

static bool claims(const struct detection *found, const struct detection *boxes, size_t count,
                   uint64_t *taken)
{
    for (size_t i = 0; i < MIN(count, (size_t)64); i++) {
        if (*taken >> i & 1 || boxes[i].label != found->label || detection_iou(&boxes[i], found) < iou_at)
            continue;
        *taken |= 1ULL << i;
        return true;
    }
    return false;
}

/* Detections come by descending score. */
static void judge_boxes(const struct frames *frames, const struct frames_file *file,
                        const struct pipeline_result *result, struct labelfree_copy *out)
{
    uint64_t taken = 0;
    for (size_t i = 0; i < result->count; i++) {
        const struct detection *found = &result->detections[i];
        labelfree_add(out, (double)found->score,
                      claims(found, frames->boxes + file->first, file->box_count, &taken));
    }
}

static void judge_class(const struct frames_file *file, const struct pipeline_result *result,
                        struct labelfree_copy *out)
{
    size_t top = 0;
    for (size_t i = 1; i < result->count; i++)
        top = result->values[i] > result->values[top] ? i : top;
    labelfree_add(out, (double)result->values[top], file->label == (int32_t)top);
}

void answers_judge(const struct frames *frames, const struct frames_file *file,
                   const struct pipeline_result *result, struct labelfree_copy *out)
{
    if (!file->known)
        return;
    if (frames->release->task == TASK_DETECTION)
        judge_boxes(frames, file, result, out);
    else if (result->count)
        judge_class(file, result, out);
}

/* ---- copies ---- */

static size_t labelled(const struct frames *frames)
{
    size_t count = 0;
    for (size_t i = 0; i < frames->count; i++)
        count += frames->files[i].known;
    return count;
}

/* A model with memory wants all frames in order; of others every so many is enough. */
static size_t step_of(const struct frames *frames)
{
    return frames->release->state_count ? 1 : labelled(frames) / ANSWERS_MAX_FRAMES + 1;
}

/* Copies that say something about frames of this kind. */
static bool applies(const struct frames *frames, size_t copy)
{
    return copy == 0 || frames->release->frame == FRAME_RGB8 || camera_copies[copy - 1].grain > 0;
}

size_t answers_runs(const struct frames *frames)
{
    size_t copies = 0;
    for (size_t i = 0; i < COPIES; i++)
        copies += applies(frames, i);
    return copies * (labelled(frames) / step_of(frames));
}

static int spoil(struct frames *frames, const struct pipeline_frame *frame, size_t copy, uint64_t seed,
                 struct err *err)
{
    const struct camera *camera = &camera_copies[copy - 1];
    const struct tensor_spec *input = &frames->release->inputs[0];
    if (frames->release->frame != FRAME_RGB8) {
        (void)camera_shake(frames->data, (size_t)frame->width, camera, seed);
        return 0;
    }
    const bool nchw = frames->release->preprocess.layout == LAYOUT_NCHW;
    const double scale = fmax((double)frame->width / (double)input->dims[nchw ? 3 : 2],
                              (double)frame->height / (double)input->dims[nchw ? 2 : 1]);
    return camera_take(frames->data, frame->width, frame->height, camera, scale, seed, err);
}

struct run {
    struct frames *frames;
    struct pipeline *pipeline;
    void (*progress)(void *arg);
    void *arg;
};

static int run_one(const struct run *run, size_t i, size_t copy, struct labelfree_copy *out, struct err *err)
{
    struct detection found[ANSWERS_MAX_DETECTIONS];
    float values[PIPELINE_MAX_VALUES];
    struct pipeline_result result = {.detections = found,
                                     .max_detections = ANSWERS_MAX_DETECTIONS,
                                     .values = values,
                                     .max_values = PIPELINE_MAX_VALUES};
    struct pipeline_frame frame;
    if (frames_load(run->frames, i, &frame, err) < 0 ||
        (copy && spoil(run->frames, &frame, copy, i * COPIES + copy, err) < 0) ||
        pipeline_process(run->pipeline, &frame, &result, NULL, err) < 0)
        return err_prefix(err, "%s", run->frames->files[i].path);
    answers_judge(run->frames, &run->frames->files[i], &result, out);
    if (run->progress)
        run->progress(run->arg);
    return 0;
}

static int run_copy(const struct run *run, size_t copy, struct labelfree_copy *out, struct err *err)
{
    const struct frames *frames = run->frames;
    const size_t step = step_of(frames);
    uint32_t sequence = UINT32_MAX;
    size_t seen = 0;
    for (size_t i = 0; i < frames->count; i++) {
        const struct frames_file *file = &frames->files[i];
        if (!file->known || seen++ % step)
            continue;
        if (file->sequence != sequence || frames->release->task == TASK_CLASSIFICATION)
            pipeline_reset_state(run->pipeline);
        sequence = file->sequence;
        if (run_one(run, i, copy, out, err) < 0)
            return -1;
    }
    return 0;
}

int answers_fit(struct frames *frames, struct pipeline *pipeline, void (*progress)(void *arg), void *arg,
                struct labelfree_reference *out, struct err *err)
{
    const struct run run = {.frames = frames, .pipeline = pipeline, .progress = progress, .arg = arg};
    cleanup_free struct labelfree_copy *copies = mem_zalloc(COPIES, sizeof *copies);
    size_t count = 0;
    *out = (struct labelfree_reference){.accuracy = NAN};
    if (!copies)
        return err_no_memory(err);
    if (labelled(frames) == 0)
        return 0;
    for (size_t i = 0; i < COPIES; i++)
        if (applies(frames, i) && run_copy(&run, i, &copies[count++], err) < 0)
            return -1;
    labelfree_fit(copies, count, out);
    return 0;
}
