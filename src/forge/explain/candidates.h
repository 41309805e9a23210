/* The raw output of a detector, all candidates, whatever their score: what a detection is compared with when it falls below the threshold.
 * Pure. */
#ifndef MUSTER_FORGE_EXPLAIN_CANDIDATES_H
#define MUSTER_FORGE_EXPLAIN_CANDIDATES_H

#include "forge/explain/scene.h"
#include "infer/preprocess.h"
#include "stats/detection.h"

struct candidates {
    const float *values; /* [4 + labels][columns], as infer/decode_yolov8.h says */
    size_t columns, labels;
    struct placement placement;
    int frame_width, frame_height; /* pixels */
};

#define CANDIDATES_SAME_IOU 0.5F /* from there on a box is the same thing */

struct detection candidates_box(const struct candidates *all,
                                size_t column); /* in pixels of the frame, clipped; score and label 0 */
/* The best probability of the target's label where a candidate's box is the target's; 0: there is none. */
double candidates_score(const struct candidates *all, const struct detection *target);

/* The focus of a map: half of the box's size around it, up to three halves across a long and thin one; within the frame. */
struct area area_around(const struct detection *box, int frame_width, int frame_height);

#endif
