#include "sim/frames/coco.h"

#define MAX_PART_BYTES (256 << 20)

void coco_init(struct coco *coco)
{
    *coco = (struct coco){.images = BUF_INIT(MAX_PART_BYTES),
                          .annotations = BUF_INIT(MAX_PART_BYTES),
                          .classes = WORLD_CLASSES,
                          .class_name = world_class_name};
}

void coco_fini(struct coco *coco)
{
    buf_fini(&coco->images);
    buf_fini(&coco->annotations);
}

static int add_box(struct coco *coco, const struct world_box *box, struct err *err)
{
    double wide = (double)box->x1 - (double)box->x0, tall = (double)box->y1 - (double)box->y0;
    int id = ++coco->annotation_count;

    return buf_printf(
        &coco->annotations, err,
        "%s\n  {\"id\": %d, \"image_id\": %d, \"category_id\": %d, \"bbox\": [%.1f, %.1f, %.1f, %.1f], "
        "\"area\": %.2f, \"iscrowd\": 0}",
        id > 1 ? "," : "", id, coco->image_count, box->label + 1, (double)box->x0, (double)box->y0, wide,
        tall, wide * tall);
}

int coco_add(struct coco *coco, const char *file_name, const struct world_box *boxes, size_t count,
             struct err *err)
{
    int id = ++coco->image_count;

    if (buf_printf(&coco->images, err,
                   "%s\n  {\"id\": %d, \"file_name\": \"%s\", \"width\": %d, \"height\": %d}",
                   id > 1 ? "," : "", id, file_name, WORLD_WIDTH, WORLD_HEIGHT) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (add_box(coco, &boxes[i], err) < 0)
            return -1;
    return 0;
}

int coco_format(const struct coco *coco, struct buf *out, struct err *err)
{
    if (buf_printf(out, err, "{\"images\": [%s],\n \"annotations\": [%s],\n \"categories\": [",
                   buf_text(&coco->images), buf_text(&coco->annotations)) < 0)
        return -1;
    for (int label = 0; label < coco->classes; label++)
        if (buf_printf(out, err, "%s\n  {\"id\": %d, \"name\": \"%s\"}", label ? "," : "", label + 1,
                       coco->class_name(label)) < 0)
            return -1;
    return buf_puts(out, "]}\n", err);
}
