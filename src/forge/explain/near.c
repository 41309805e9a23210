#include "forge/explain/near.h"

#include "base/mem.h"
#include "forge/explain/subject_inside.h"

#include <stdlib.h>

/* Both are of unit length, as rounded as novelty_distance takes them. */
static double cosine_distance(const int8_t a[PROFILE_DIMS], const int8_t b[PROFILE_DIMS])
{
    int dot = 0;
    for (int i = 0; i < PROFILE_DIMS; i++)
        dot += a[i] * b[i];
    return 1 - (double)dot / (INT8_MAX * INT8_MAX);
}

/* The candidate at the target's place; values have one. NULL: nobody looks there. */
static const struct novelty_candidate *candidate_of(const struct subject *subject,
                                                    const struct novelty_candidate *all, size_t count)
{
    if (!subject_is_detector(subject))
        return count ? &all[0] : NULL;
    const struct detection *target = &subject->detections[subject->target];
    for (size_t i = 0; i < count; i++) {
        const struct detection box = {
            .x0 = all[i].box[0], .y0 = all[i].box[1], .x1 = all[i].box[2], .y1 = all[i].box[3]};
        if (detection_iou(&box, target) >= 0.9F)
            return &all[i];
    }
    return NULL;
}

static void compare(const struct profile *profile, const struct novelty_candidate *candidate,
                    struct near *out)
{
    int8_t embedded[PROFILE_DIMS];
    uint32_t nearest[NOVELTY_NEIGHBOURS] = {0};
    novelty_embed(profile, candidate->features, candidate->stride, embedded);
    const float distance = novelty_distance(profile, embedded, nearest);
    out->distance = (double)distance;
    out->p = novelty_p(profile, distance);
    out->count = MIN((size_t)NOVELTY_NEIGHBOURS, (size_t)profile->prototype_count);
    for (size_t i = 0; i < out->count; i++) {
        out->cases[i].label = profile->prototype_labels[nearest[i]];
        out->cases[i].distance = cosine_distance(embedded, profile->prototypes[nearest[i]]);
    }
}

int near_find(struct subject *subject, const struct profile *profile, struct near *out, struct err *err)
{
    struct novelty_candidate candidates[NOVELTY_CANDIDATES];
    struct detection detections[SUBJECT_MAX_DETECTIONS];
    float values[PIPELINE_MAX_VALUES];
    struct pipeline_result result = {.detections = detections,
                                     .max_detections = SUBJECT_MAX_DETECTIONS,
                                     .values = values,
                                     .max_values = PIPELINE_MAX_VALUES};
    *out = (struct near){0};
    if (!profile || !profile->prototype_count)
        return 0;
    cleanup_free float *scratch = mem_zalloc(PROFILE_MAX_CHANNELS, sizeof *scratch);
    if (!scratch)
        return err_no_memory(err);
    if (subject_run(subject, NULL, FILL_MEAN, &result, err) < 0)
        return -1;
    const struct pipeline_frame frame = subject_last_frame(subject);
    size_t count = novelty_candidates(subject->pipeline, &frame, &result, scratch, candidates);
    const struct novelty_candidate *candidate = candidate_of(subject, candidates, count);
    if (candidate)
        compare(profile, candidate, out);
    return 0;
}
