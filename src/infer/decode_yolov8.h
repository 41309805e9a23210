/* The output of YOLOv8-like detectors: [4 + labels, columns], row-major. Rows 0..3: centre x, centre y,
 * width, height in input pixels; then one row of probabilities per label. A column is one candidate.
 *
 * Each candidate has its best label only; those above the threshold become detections in pixels of the frame,
 * clipped to it. */
#ifndef MUSTER_INFER_DECODE_YOLOV8_H
#define MUSTER_INFER_DECODE_YOLOV8_H

#include "base/err.h"
#include "infer/preprocess.h"
#include "stats/detection.h"

#include <stddef.h>
#include <stdint.h>

struct decoder {
    size_t labels, columns;
    float score_threshold, iou_threshold;
    float *best;                  /* owned; the best score per column */
    int32_t *best_label;          /* owned */
    struct detection *candidates; /* owned; room for all columns */
};

/* Errors: UNSUPPORTED unless output 0 is float32 [1, 4 + labels, columns]. */
int decoder_init(struct decoder *decoder, const struct release *release, struct err *err) must_check;
void decoder_fini(struct decoder *decoder);

/* A candidate's box, from input pixels to pixels of the frame, clipped to it. */
struct detection decoder_box(const float *output, size_t columns, size_t column,
                             const struct placement *placement, float frame_width, float frame_height);

/* Returns how many detections it wrote (≤ max), by descending score. Allocates nothing. */
size_t decoder_run(struct decoder *decoder, const float *output, const struct placement *placement,
                   int frame_width, int frame_height, struct detection *out, size_t max);

#endif
