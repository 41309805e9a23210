/* Labelled pictures in the COCO detection format: a folder with pictures and annotations.json.
 *
 *     {"images":      [{"id": 1, "file_name": "000001.png", …}],
 *      "annotations": [{"image_id": 1, "category_id": 2, "bbox": [x, y, width, height], …}],
 *      "categories":  [{"id": 2, "name": "pallet", …}]}
 *
 * Unknown members are ignored; "iscrowd": 1 annotations are left out. Limits: the 4 MiB of wire/json.h, and
 * COCO_MAX_*.
 */
#ifndef MUSTER_FORGE_COCO_H
#define MUSTER_FORGE_COCO_H

#include "base/err.h"
#include "base/mem.h"
#include "stats/detection.h"

#include <stddef.h>
#include <stdint.h>

enum {
    COCO_MAX_IMAGES = 100000,
    COCO_MAX_ANNOTATIONS = 100000,
    COCO_MAX_CATEGORIES = 256,
    COCO_NAME_SIZE = 128
};

struct coco_image {
    int64_t id;
    char file_name[COCO_NAME_SIZE]; /* a safe relative path */
    size_t first, count;            /* its boxes: coco.boxes[first .. first + count) */
};

struct coco_box {
    size_t image;         /* index into images */
    struct detection box; /* label: index into categories; score 1 */
};

struct coco {
    size_t image_count, box_count, category_count;
    struct coco_image *images; /* ordered by id */
    struct coco_box *boxes;    /* ordered by image, then as in the file */
    struct {
        int64_t id;
        char name[32];
    } categories[COCO_MAX_CATEGORIES];
};

/* Errors: INVALID naming the place; TOO_BIG. */
int coco_parse(const void *text, size_t len, struct coco **out, struct err *err) must_check;
void coco_free(struct coco *coco);
MUSTER_CLEANUP(struct coco *, coco_free)
#define cleanup_coco __attribute__((cleanup(coco_freep)))

#endif
