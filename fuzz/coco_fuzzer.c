/* deps: forge */
/* annotations.json of labelled pictures: what is accepted holds together. */
#include "forge/coco.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct coco *coco = NULL;
    struct err err = {0};
    if (coco_parse(data, size, &coco, &err) < 0) {
        assert(err.code != ERR_NONE && err.code != ERR_INTERNAL);
        return 0;
    }
    size_t boxes = 0;
    for (size_t i = 0; i < coco->image_count; i++) {
        assert(coco->images[i].first == boxes);
        boxes += coco->images[i].count;
    }
    assert(boxes == coco->box_count);
    for (size_t i = 0; i < boxes; i++)
        assert(coco->boxes[i].image < coco->image_count && coco->boxes[i].box.label < coco->category_count);
    coco_free(coco);
    return 0;
}
