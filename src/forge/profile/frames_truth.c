/* What is true of the frames of one folder: annotations.json, labels.json, events.json. */
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "forge/coco.h"
#include "forge/profile/frames.h"
#include "forge/truth.h"
#include "sys/file.h"

enum { TRUTH_MAX = 4 << 20 };

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int find_label(const struct release *release, const char *name)
{
    for (size_t i = 0; i < release->label_count; i++)
        if (str_eq(release->labels[i], name))
            return (int)i;
    return FRAMES_UNKNOWN;
}

/* ---- boxes ---- */

static int add_boxes(struct frames *frames, struct frames_file *file, const struct coco *coco,
                     const struct coco_image *image, struct err *err)
{
    file->known = true;
    file->first = frames->box_count;
    if (frames->box_count + image->count > frames->box_room) {
        const size_t room = MAX(2 * frames->box_room, frames->box_count + image->count + 256);
        struct detection *grown = mem_grow(frames->boxes, room, sizeof *grown);
        if (!grown)
            return err_no_memory(err);
        frames->boxes = grown;
        frames->box_room = room;
    }
    for (size_t i = 0; i < image->count; i++) {
        struct detection box = coco->boxes[image->first + i].box;
        const int label = find_label(frames->release, coco->categories[box.label].name);
        if (label == FRAMES_UNKNOWN)
            continue;
        box.label = (uint32_t)label;
        frames->boxes[frames->box_count++] = box;
        file->box_count++;
    }
    return 0;
}

static int take_coco(const struct buf *text, struct frames *frames, size_t from, struct err *err)
{
    cleanup_coco struct coco *coco = NULL;
    if (coco_parse(text->data, text->len, &coco, err) < 0)
        return -1;
    for (size_t i = from; i < frames->count; i++)
        for (size_t k = 0; k < coco->image_count; k++) {
            /* Both are in order more often than not. */
            const struct coco_image *image = &coco->images[(i - from + k) % coco->image_count];
            if (!str_eq(image->file_name, base_name(frames->files[i].path)))
                continue;
            if (add_boxes(frames, &frames->files[i], coco, image, err) < 0)
                return -1;
            break;
        }
    return 0;
}

/* ---- classes ---- */

static int by_name(const void *key, const void *item)
{
    return strcmp(key, ((const struct truth_file *)item)->name);
}

static int take_labels(const struct buf *text, struct frames *frames, size_t from, struct err *err)
{
    cleanup_truth struct truth *truth = NULL;
    if (truth_parse_labels(text->data, text->len, frames->release, &truth, err) < 0)
        return -1;
    for (size_t i = from; i < frames->count; i++) {
        struct frames_file *file = &frames->files[i];
        const struct truth_file *found =
            bsearch(base_name(file->path), truth->files, truth->file_count, sizeof *truth->files, by_name);
        if (!found)
            continue;
        file->known = true;
        file->label = (int32_t)found->label;
    }
    return 0;
}

/* ---- events: a frame's class is that of the event it lies in, or any that is none ---- */

static int32_t label_at(const struct truth *truth, const struct truth_file *series, double at_s)
{
    for (size_t i = 0; i < series->count; i++) {
        const struct event *event = &truth->events[series->first + i];
        if (at_s >= event->from_s && at_s <= event->to_s)
            return (int32_t)event->label;
    }
    return FRAMES_UNKNOWN;
}

static bool is_event_label(const struct truth *truth, size_t label)
{
    for (size_t i = 0; i < truth->label_count; i++)
        if (truth->labels[i] == label)
            return true;
    return false;
}

/* The first label that is no event's: what the others are called. */
static int32_t background_of(const struct truth *truth, const struct release *release)
{
    for (size_t i = 0; i < release->label_count; i++)
        if (!is_event_label(truth, i))
            return (int32_t)i;
    return FRAMES_UNKNOWN;
}

static int take_events(const struct buf *text, struct frames *frames, size_t from, struct err *err)
{
    cleanup_truth struct truth *truth = NULL;
    if (truth_parse_events(text->data, text->len, frames->release, &truth, err) < 0)
        return -1;
    const int32_t background = background_of(truth, frames->release);
    for (size_t i = from; i < frames->count; i++)
        for (size_t k = 0; k < truth->file_count; k++) {
            struct frames_file *file = &frames->files[i];
            if (!str_eq(truth->files[k].name, base_name(file->path)))
                continue;
            file->label = label_at(truth, &truth->files[k], (double)file->index / truth->rate_hz);
            file->label = file->label == FRAMES_UNKNOWN ? background : file->label;
            file->known = file->label != FRAMES_UNKNOWN;
        }
    return 0;
}

/* ---- whichever the task has ---- */

int frames_read_truth(const char *dir, struct frames *frames, size_t from, struct err *err)
{
    static const struct {
        const char *name;
        int (*take)(const struct buf *, struct frames *, size_t, struct err *);
    } kinds[] = {[TASK_DETECTION] = {"annotations.json", take_coco},
                 [TASK_CLASSIFICATION] = {"labels.json", take_labels},
                 [TASK_TIMESERIES] = {"events.json", take_events}};
    const enum release_task task = frames->release->task;
    if ((unsigned)task >= ARRAY_LEN(kinds))
        return 0;
    cleanup_free char *path = file_join(dir, kinds[task].name);
    cleanup_buf struct buf text = BUF_INIT(TRUTH_MAX);
    if (!path)
        return err_no_memory(err);
    if (!file_exists(path))
        return 0;
    if (file_read(path, &text, err) < 0 || kinds[task].take(&text, frames, from, err) < 0)
        return err_prefix(err, "%s", path);
    return 0;
}
