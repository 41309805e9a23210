#include "forge/explain/explain.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/explain/masks.h"

#include <stdlib.h>

enum { CELLS_OF_TIME = 16, CELLS = 8 };

static double second_largest(const float *values, size_t count, size_t largest)
{
    double best = 0;
    bool any = false;
    for (size_t i = 0; i < count; i++)
        if (i != largest && (!any || (double)values[i] > best)) {
            best = (double)values[i];
            any = true;
        }
    return best;
}

static void describe(const struct subject *subject, struct explanation *out)
{
    const struct release *release = subject_release(subject);
    size_t detections, values;
    const struct detection *boxes = subject_detections(subject, &detections);
    const float *numbers = subject_values(subject, &values);
    out->limit = subject_limit(subject);
    out->focus = subject_focus(subject);
    uint32_t label = (uint32_t)out->target;
    if (detections) {
        out->box = boxes[out->target];
        out->score = (double)out->box.score;
        label = out->box.label;
    } else {
        out->score = (double)numbers[out->target];
    }
    if (label < release->label_count)
        str_copy(out->label, sizeof out->label, release->labels[label]);
    out->margin = isnan(out->limit) ? out->score - second_largest(numbers, values, out->target)
                                    : out->score - out->limit;
    out->stands = isnan(out->limit) || out->score >= out->limit;
}

static struct saliency_plan plan_of(const struct subject *subject, const struct explain_how *how,
                                    const struct explanation *out)
{
    const struct scene *scene = subject_scene(subject);
    const bool series = scene->rows_apart;
    return (struct saliency_plan){.passes = how->passes,
                                  .seed = how->seed,
                                  .focus = out->focus,
                                  .cells_x = series ? MIN(CELLS_OF_TIME, scene->width) : CELLS,
                                  .cells_y = series ? scene->height : CELLS,
                                  .progress = how->progress,
                                  .progress_arg = how->progress_arg};
}

static int make(struct subject *subject, const struct explain_how *how, struct explanation *out,
                struct err *err)
{
    out->target = how->target == EXPLAIN_STRONGEST ? subject_strongest(subject) : how->target;
    if (subject_aim(subject, out->target, err) < 0)
        return -1;
    describe(subject, out);
    const struct scene *scene = subject_scene(subject);
    const struct saliency_plan plan = plan_of(subject, how, out);
    if (saliency_make(scene, &plan, &out->saliency, err) < 0 ||
        faith_judge(scene, out->saliency.map, out->saliency.full, how->seed, &out->faith, err) < 0 ||
        flip_find(scene, &out->saliency, &out->focus, subject_raise(subject), &out->flip, err) < 0 ||
        near_find(subject, how->profile, &out->near, err) < 0)
        return -1;
    out->passes = out->saliency.passes + out->faith.passes + out->flip.passes + (out->near.count > 0);
    return 0;
}

int explain_make(struct subject *subject, const struct explain_how *how, struct explanation **out,
                 struct err *err)
{
    cleanup_explanation struct explanation *made = mem_zalloc(1, sizeof *made);
    if (!made)
        return err_no_memory(err);
    if (make(subject, how, made, err) < 0)
        return -1;
    *out = TAKE_PTR(made);
    return 0;
}

void explanation_free(struct explanation *explanation)
{
    saliency_fini(&explanation->saliency);
    free(explanation);
}
