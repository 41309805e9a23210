/* A release's model with one frame before it, and the results that may be explained. The frame is covered here, in its own pixels or numbers, and
 * goes through the very pipeline that robots run (infer/pipeline.h): whatever artifact decides is the one that is asked.
 *
 *     frame rgb8      map: its pixels                         fill: mean colour; black or white, whichever is further from it
 *     frame float32   [1, C, T], [1, T, C], [1, T]: T x C     fill: each channel's mean; the line from its first to its last number
 *                     [1, C, H, W]: W x H
 *     with state      frames of one file are the sequence: its frames x numbers per frame; the last frame's result is explained
 *
 *     results         detection: one per detection, its score; it stands while a candidate of its label and place (IoU ≥ 0.5) is not below the threshold
 *                     classification: one per label, its value; it stands while it is the largest
 *                     timeseries: one per label, its value; it stands while it stays on its side of the threshold
 */
#ifndef MUSTER_FORGE_EXPLAIN_SUBJECT_H
#define MUSTER_FORGE_EXPLAIN_SUBJECT_H

#include "base/mem.h"
#include "forge/explain/candidates.h"
#include "forge/explain/scene.h"
#include "infer/pipeline.h"
#include "picture/picture.h"

struct subject;

struct subject_how {
    const char *runtime_path; /* NULL: searched for */
    int threads;              /* 0: as the release says */
};

/* Errors: UNSUPPORTED for the tasks control and raw; those of pipeline_open. The release is copied. */
int subject_open(const char *model_path, const struct release *release, const struct subject_how *how,
                 struct subject **out, struct err *err) must_check;
void subject_free(struct subject *subject);
MUSTER_CLEANUP(struct subject *, subject_free)
#define cleanup_subject __attribute__((cleanup(subject_freep)))

/* A picture (PNG, JPEG) or numbers (.npy, .f32), as the release's frames are; then it is run. Replaces the one before.
 * Errors: REFUSED if it does not fit. */
int subject_read(struct subject *subject, const char *path, struct err *err) must_check;
int subject_show(struct subject *subject, const struct picture *picture,
                 struct err *err) must_check; /* copied */
int subject_tell(struct subject *subject, const float *values, size_t count, struct err *err) must_check;

/* What it said of the whole frame; detections by descending score. */
const struct detection *subject_detections(const struct subject *subject, size_t *out_count);
const float *subject_values(const struct subject *subject, size_t *out_count);
size_t subject_strongest(const struct subject *subject); /* the largest value, the first detection */
size_t subject_count(const struct subject *subject);     /* of results */

/* Chooses what the scene asks for. The scene is valid until the next call of any of these. Errors: NOT_FOUND with how many there are. */
int subject_aim(struct subject *subject, size_t target, struct err *err) must_check;
const struct scene *subject_scene(const struct subject *subject);
struct area
subject_focus(const struct subject *subject); /* around a detection: twice its size and more; else empty */
double subject_limit(
    const struct subject *subject); /* the score at which the decision changes; NaN: there is none */
bool subject_raise(const struct subject *subject); /* it would change with a higher score */

const struct picture *subject_picture(const struct subject *subject); /* NULL: a frame of numbers */
const struct candidates *
subject_candidates(const struct subject *subject); /* of the last run; NULL: no detector */
struct pipeline *subject_pipeline(const struct subject *subject);
const struct release *subject_release(const struct subject *subject);

#endif
