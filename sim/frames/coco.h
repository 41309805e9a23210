/* Annotations in the COCO detection format: what `muster eval --data DIR` reads beside the pictures.
 *
 *     {"images": [{"id": 1, "file_name": "frame-000000.png", "width": 160, "height": 128}, ...],
 *      "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [x, y, width, height], "area": a,
 *                       "iscrowd": 0}, ...],
 *      "categories": [{"id": 1, "name": "person"}, ...]}                            id = label + 1
 */
#ifndef MUSTER_SIM_FRAMES_COCO_H
#define MUSTER_SIM_FRAMES_COCO_H

#include "base/buf.h"
#include "sim/world/world.h"

struct coco {
    struct buf images, annotations;
    int image_count, annotation_count;
    int classes;                          /* WORLD_CLASSES */
    const char *(*class_name)(int label); /* world_class_name */
};

void coco_init(struct coco *coco);
void coco_fini(struct coco *coco);
#define cleanup_coco __attribute__((cleanup(coco_fini)))

/* `file_name` must need no escaping. */
int coco_add(struct coco *coco, const char *file_name, const struct world_box *boxes, size_t count,
             struct err *err) must_check;

/* The whole document, appended to `out`. */
int coco_format(const struct coco *coco, struct buf *out, struct err *err) must_check;

#endif
