#include "forge/explain/subject_inside.h"

#include "base/mem.h"
#include "forge/explain/masks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- open ---- */

static int check_task(const struct release *release, struct err *err)
{
    if (release->task == TASK_DETECTION || release->task == TASK_CLASSIFICATION ||
        release->task == TASK_TIMESERIES)
        return 0;
    return err_set(err, ERR_UNSUPPORTED,
                   "%s %s: results of the task %s have no decision that could be explained", release->name,
                   release->version, task_name(release->task));
}

static int open_parts(struct subject *subject, const char *model_path, const struct subject_how *how,
                      struct err *err)
{
    const struct release *release = &subject->release;
    const struct pipeline_options options = {.runtime_path = how ? how->runtime_path : NULL,
                                             .threads = how ? how->threads : 0};
    if (check_task(release, err) < 0 ||
        pipeline_open(model_path, release, &options, &subject->pipeline, err) < 0)
        return -1;
    if (release->frame != FRAME_RGB8)
        return 0;
    subject->scratch = mem_zalloc(tensor_elements(&release->inputs[0]), sizeof(float));
    if (!subject->scratch)
        return err_no_memory(err);
    return preprocess_init(&subject->preprocess, release, err);
}

int subject_open(const char *model_path, const struct release *release, const struct subject_how *how,
                 struct subject **out, struct err *err)
{
    cleanup_subject struct subject *subject = mem_zalloc(1, sizeof *subject);
    if (!subject)
        return err_no_memory(err);
    subject->release = *release;
    if (open_parts(subject, model_path, how, err) < 0)
        return -1;
    *out = TAKE_PTR(subject);
    return 0;
}

void subject_free(struct subject *subject)
{
    pipeline_close(subject->pipeline);
    preprocess_fini(&subject->preprocess);
    picture_fini(&subject->picture);
    picture_fini(&subject->covered);
    free(subject->scratch);
    free(subject->contrast);
    free(subject->values);
    free(subject->covered_values);
    for (int i = 0; i < FILLS; i++)
        free(subject->fill[i]);
    free(subject);
}

bool subject_is_detector(const struct subject *subject)
{
    return subject->release.task == TASK_DETECTION;
}

/* ---- a new frame ---- */

static void look_at_candidates(struct subject *subject)
{
    size_t len = 0;
    const float *output = pipeline_output(subject->pipeline, 0, &len);
    const size_t rows = 4 + subject->release.label_count;
    subject->candidates = (struct candidates){.values = output,
                                              .columns = len / rows,
                                              .labels = subject->release.label_count,
                                              .placement = subject->preprocess.placement,
                                              .frame_width = subject->picture.width,
                                              .frame_height = subject->picture.height};
}

int subject_begin(struct subject *subject, struct err *err)
{
    struct pipeline_result result = {.detections = subject->detections,
                                     .max_detections = SUBJECT_MAX_DETECTIONS,
                                     .values = subject->result,
                                     .max_values = PIPELINE_MAX_VALUES};
    subject->target = 0;
    if (subject->release.frame == FRAME_RGB8 &&
        preprocess_run(&subject->preprocess, subject->picture.rgb, subject->picture.width,
                       subject->picture.height, subject->scratch, err) < 0)
        return -1;
    if (subject_run(subject, NULL, FILL_MEAN, &result, err) < 0)
        return -1;
    subject->result_count = result.count;
    return 0;
}

/* ---- what it says of a covered frame ---- */

static bool is_largest(const float *values, size_t count, size_t which)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] > values[which] || (values[i] == values[which] && i < which))
            return false;
    return true;
}

static struct answer judge(struct subject *subject, const struct pipeline_result *result)
{
    const double limit = subject->release.postprocess.score_threshold;
    if (subject_is_detector(subject)) {
        look_at_candidates(subject);
        double score = candidates_score(&subject->candidates, &subject->detections[subject->target]);
        return (struct answer){score, (float)score >= (float)limit};
    }
    double value = (double)result->values[subject->target];
    if (subject->release.task == TASK_TIMESERIES)
        return (struct answer){value, (value >= limit) == subject->above};
    return (struct answer){value, is_largest(result->values, result->count, subject->target)};
}

static int ask(void *arg, const float *keep, enum fill fill, struct answer *out, struct err *err)
{
    struct subject *subject = arg;
    struct detection detections[SUBJECT_MAX_DETECTIONS];
    float values[PIPELINE_MAX_VALUES];
    struct pipeline_result result = {.detections = detections,
                                     .max_detections = SUBJECT_MAX_DETECTIONS,
                                     .values = values,
                                     .max_values = PIPELINE_MAX_VALUES};
    if (subject_run(subject, keep, fill, &result, err) < 0)
        return -1;
    *out = judge(subject, &result);
    return 0;
}

/* ---- results ---- */

const struct detection *subject_detections(const struct subject *subject, size_t *out_count)
{
    *out_count = subject_is_detector(subject) ? subject->result_count : 0;
    return subject->detections;
}

const float *subject_values(const struct subject *subject, size_t *out_count)
{
    *out_count = subject_is_detector(subject) ? 0 : subject->result_count;
    return subject->result;
}

size_t subject_count(const struct subject *subject)
{
    return subject->result_count;
}

size_t subject_strongest(const struct subject *subject)
{
    size_t best = 0;
    for (size_t i = 1; !subject_is_detector(subject) && i < subject->result_count; i++)
        if (subject->result[i] > subject->result[best])
            best = i;
    return best;
}

static struct scene picture_scene(const struct subject *subject)
{
    return (struct scene){
        .width = subject->picture.width, .height = subject->picture.height, .contrast = subject->contrast};
}

static struct scene floats_scene(const struct subject *subject)
{
    return (struct scene){.width = subject->layout.width,
                          .height = subject->layout.height,
                          .rows_apart = subject->layout.rows_apart};
}

int subject_aim(struct subject *subject, size_t target, struct err *err)
{
    if (!subject->result_count)
        return err_set(err, ERR_NOT_FOUND, "%s %s sees nothing in this frame: there is nothing to explain",
                       subject->release.name, subject->release.version);
    if (target >= subject->result_count)
        return err_set(err, ERR_NOT_FOUND, "there is no result %zu: the frame has %zu, from 0 on", target,
                       subject->result_count);
    subject->target = target;
    subject->above = !subject_is_detector(subject) &&
                     (double)subject->result[target] >= subject->release.postprocess.score_threshold;
    subject->scene = subject->release.frame == FRAME_RGB8 ? picture_scene(subject) : floats_scene(subject);
    subject->scene.ask = ask;
    subject->scene.arg = subject;
    return 0;
}

const struct scene *subject_scene(const struct subject *subject)
{
    return &subject->scene;
}

struct area subject_focus(const struct subject *subject)
{
    if (!subject_is_detector(subject))
        return (struct area){0};
    return area_around(&subject->detections[subject->target], subject->picture.width,
                       subject->picture.height);
}

double subject_limit(const struct subject *subject)
{
    return subject->release.task == TASK_CLASSIFICATION ? (double)NAN
                                                        : subject->release.postprocess.score_threshold;
}

bool subject_raise(const struct subject *subject)
{
    return subject->release.task == TASK_TIMESERIES && !subject->above;
}

const struct picture *subject_picture(const struct subject *subject)
{
    return subject->release.frame == FRAME_RGB8 ? &subject->picture : NULL;
}

const struct candidates *subject_candidates(const struct subject *subject)
{
    return subject_is_detector(subject) ? &subject->candidates : NULL;
}

struct pipeline *subject_pipeline(const struct subject *subject)
{
    return subject->pipeline;
}

const struct release *subject_release(const struct subject *subject)
{
    return &subject->release;
}
