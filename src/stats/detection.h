/* Detections, and how good they are against ground truth.
 *
 * Average precision at IoU 0.5, all-point interpolation (area under the precision envelope, PASCAL VOC 2010+;
 * the COCO metric AP50 differs only by its 101-point sampling). A class without ground truth does not enter
 * the mean.
 */
#ifndef MUSTER_STATS_DETECTION_H
#define MUSTER_STATS_DETECTION_H

#include <stddef.h>
#include <stdint.h>

struct detection {
    float x0, y0, x1, y1; /* pixels of the frame */
    float score;          /* 0..1 */
    uint32_t label;       /* index into the release's labels */
};

float detection_iou(const struct detection *a, const struct detection *b); /* 0..1; 0 for empty boxes */

/* Greedy per-class non-maximum suppression, in place and without an allocation; what is kept is in descending
 * order of score, equal scores in their old order; returns the new count (≤ max). */
size_t detection_nms(struct detection *items, size_t count, float iou_threshold, size_t max);

struct detection_match {
    uint64_t tp, fp, fn;
};
/* Matches found (score ≥ min_score) to truth of the same label by descending score at IoU ≥ iou. Counts ≤ 256
 * each. */
struct detection_match detection_match(const struct detection *found, size_t found_count,
                                       const struct detection *truth, size_t truth_count, float min_score,
                                       float iou);

/* Collects frames, then gives AP per class. */
struct ap_meter;
struct ap_meter *ap_meter_new(size_t label_count); /* NULL: out of memory */
void ap_meter_free(struct ap_meter *meter);
/* 0, or -1 if out of memory. */
int ap_meter_add(struct ap_meter *meter, const struct detection *found, size_t found_count,
                 const struct detection *truth, size_t truth_count);
double ap_meter_ap(struct ap_meter *meter, size_t label, double iou); /* NaN if the class has no truth */
double ap_meter_map(struct ap_meter *meter, double iou);              /* NaN if no class has truth */
/* As pycocotools computes them: the precision envelope at 101 recalls, at most 100 detections of a frame and class; the second one is the
 * mean over the IoUs 0.5, 0.55 … 0.95 too ("AP", "mAP@[.5:.95]"). */
double ap_meter_coco(struct ap_meter *meter, size_t label, double iou);
double ap_meter_coco_map(struct ap_meter *meter);
uint64_t ap_meter_truths(const struct ap_meter *meter, size_t label);

#endif
