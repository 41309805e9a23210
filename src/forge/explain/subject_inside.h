/* The inside of subject.h. Private to subject*.c. */
#ifndef MUSTER_FORGE_EXPLAIN_SUBJECT_INSIDE_H
#define MUSTER_FORGE_EXPLAIN_SUBJECT_INSIDE_H

#include "forge/explain/subject.h"

enum { SUBJECT_MAX_FLOATS = 1 << 24, SUBJECT_MAX_DETECTIONS = 128 };

/* Where a place of the map lies among the numbers of a frame: x * step_x + y * step_y + layer * step_layer. */
struct layout {
    int width, height, layers;
    size_t step_x, step_y, step_layer;
    bool rows_apart;
};

struct subject {
    struct release release;
    struct pipeline *pipeline;
    struct scene scene;
    struct preprocess preprocess; /* of pictures, for its placement */
    float *scratch;               /* owned: one input tensor */

    struct picture picture, covered; /* rgb8: the frame, and what the model is shown */
    uint8_t fill_rgb[FILLS][3];
    float *contrast; /* owned: of each pixel to the mean, see scene.h */

    struct layout layout;                         /* float32 */
    size_t count;                                 /* numbers, of all frames of a sequence */
    float *values, *covered_values, *fill[FILLS]; /* owned */

    struct detection detections[SUBJECT_MAX_DETECTIONS];
    float result[PIPELINE_MAX_VALUES];
    size_t result_count;
    struct candidates candidates;

    size_t target;
    bool above; /* timeseries: the value is not below the threshold */
};

bool subject_is_detector(const struct subject *subject);
/* Covers the frame by keep (NULL: not at all) and runs it. */
int subject_run(struct subject *subject, const float *keep, enum fill fill, struct pipeline_result *result,
                struct err *err) must_check;
/* What the model was shown last: of a sequence its last frame. */
struct pipeline_frame subject_last_frame(const struct subject *subject);
/* After a new frame has come. */
int subject_begin(struct subject *subject, struct err *err) must_check;

#endif
