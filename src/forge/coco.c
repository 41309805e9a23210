#include "forge/coco.h"

#include "base/str.h"
#include "wire/json.h"

static const int64_t id_max = INT64_MAX;

static void read_categories(struct json_at root, struct coco *coco)
{
    struct json_at list = json_list(root, "categories", COCO_MAX_CATEGORIES, &coco->category_count);
    for (size_t i = 0; i < coco->category_count; i++) {
        struct json_at item = json_as_object(json_item(list, i));
        json_get_int(item, "id", 0, id_max, &coco->categories[i].id);
        json_get_line(item, "name", coco->categories[i].name, sizeof coco->categories[i].name);
        for (size_t k = 0; k < i; k++)
            if (coco->categories[k].id == coco->categories[i].id)
                json_fail(item, "id: used twice");
    }
}

static void read_image(struct json_at item, struct coco_image *image)
{
    json_get_int(item, "id", 0, id_max, &image->id);
    json_get_line(item, "file_name", image->file_name, sizeof image->file_name);
    if (item.reader->err.code == ERR_NONE && !str_is_safe_path(image->file_name))
        json_fail(item, "file_name: must be a path below the folder");
}

static int by_id(const void *a, const void *b)
{
    const struct coco_image *left = a, *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

static int read_images(struct json_at root, struct coco *coco, struct err *err)
{
    struct json_at list = json_list(root, "images", COCO_MAX_IMAGES, &coco->image_count);
    coco->images = mem_zalloc(coco->image_count, sizeof *coco->images);
    if (!coco->images)
        return err_no_memory(err);
    for (size_t i = 0; i < coco->image_count; i++)
        read_image(json_as_object(json_item(list, i)), &coco->images[i]);
    qsort(coco->images, coco->image_count, sizeof *coco->images, by_id);
    for (size_t i = 1; i < coco->image_count; i++)
        if (coco->images[i - 1].id == coco->images[i].id)
            json_fail(list, "image id used twice");
    return 0;
}

static size_t find_image(const struct coco *coco, int64_t id)
{
    struct coco_image key = {.id = id};
    const struct coco_image *found = bsearch(&key, coco->images, coco->image_count, sizeof key, by_id);
    return found ? (size_t)(found - coco->images) : coco->image_count;
}

static size_t find_category(const struct coco *coco, int64_t id)
{
    size_t i = 0;
    while (i < coco->category_count && coco->categories[i].id != id)
        i++;
    return i;
}

static void read_bbox(struct json_at item, struct detection *out)
{
    double values[4] = {0};
    size_t count = 0;
    struct json_at list = json_list(item, "bbox", 4, &count);
    for (size_t i = 0; i < count; i++)
        json_as_double(json_item(list, i), i < 2 ? -1e6 : 0, 1e6, &values[i]);
    if (item.reader->err.code == ERR_NONE && count != 4)
        json_fail(item, "bbox: must be [x, y, width, height]");
    out->x0 = (float)values[0];
    out->y0 = (float)values[1];
    out->x1 = (float)(values[0] + values[2]);
    out->y1 = (float)(values[1] + values[3]);
}

/* False for one that does not count. */
static bool read_annotation(struct json_at item, const struct coco *coco, struct coco_box *out)
{
    int64_t image_id = 0, category_id = 0, crowd = 0;
    json_get_int(item, "image_id", 0, id_max, &image_id);
    json_get_int(item, "category_id", 0, id_max, &category_id);
    if (json_has(item, "iscrowd"))
        json_get_int(item, "iscrowd", 0, 1, &crowd);
    *out = (struct coco_box){.image = find_image(coco, image_id), .box = {.score = 1}};
    read_bbox(item, &out->box);
    size_t category = find_category(coco, category_id);
    out->box.label = (uint32_t)category;
    if (item.reader->err.code != ERR_NONE)
        return false;
    if (out->image == coco->image_count)
        json_fail(item, "image_id: no such image");
    else if (category == coco->category_count)
        json_fail(item, "category_id: no such category");
    return crowd == 0;
}

static int read_annotations(struct json_at root, struct coco *coco, struct err *err)
{
    size_t count = 0;
    struct json_at list = json_list(root, "annotations", COCO_MAX_ANNOTATIONS, &count);
    coco->boxes = mem_zalloc(count, sizeof *coco->boxes);
    if (!coco->boxes)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        if (read_annotation(json_as_object(json_item(list, i)), coco, &coco->boxes[coco->box_count]))
            coco->box_count++;
    return 0;
}

/* Brings the boxes into the order of the images by counting, so that those of one image keep theirs. */
static int group_boxes(struct coco *coco, struct err *err)
{
    struct coco_box *sorted = mem_zalloc(coco->box_count, sizeof *sorted);
    if (!sorted)
        return err_no_memory(err);
    for (size_t i = 0; i < coco->box_count; i++)
        coco->images[coco->boxes[i].image].count++;
    size_t at = 0;
    for (size_t i = 0; i < coco->image_count; i++) {
        coco->images[i].first = at;
        at += coco->images[i].count;
        coco->images[i].count = 0;
    }
    for (size_t i = 0; i < coco->box_count; i++) {
        struct coco_image *image = &coco->images[coco->boxes[i].image];
        sorted[image->first + image->count++] = coco->boxes[i];
    }
    free(coco->boxes);
    coco->boxes = sorted;
    return 0;
}

static int read_all(struct json_reader *reader, struct coco *coco, struct err *err)
{
    struct json_at root = json_root(reader);
    read_categories(root, coco);
    if (read_images(root, coco, err) < 0)
        return -1;
    return read_annotations(root, coco, err);
}

int coco_parse(const void *text, size_t len, struct coco **out, struct err *err)
{
    cleanup_coco struct coco *coco = mem_zalloc(1, sizeof *coco);
    if (!coco)
        return err_no_memory(err);
    struct json_reader reader;
    if (json_read(&reader, "annotations.json", text, len, err) < 0)
        return -1;
    int failed = read_all(&reader, coco, err);
    struct err first = {0};
    if (json_finish(&reader, failed ? &first : err) < 0 || failed)
        return -1;
    if (group_boxes(coco, err) < 0)
        return -1;
    *out = TAKE_PTR(coco);
    return 0;
}

void coco_free(struct coco *coco)
{
    free(coco->images);
    free(coco->boxes);
    free(coco);
}
