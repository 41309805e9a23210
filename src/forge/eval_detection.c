#include "forge/eval_inside.h"

#include "base/mem.h"
#include "base/str.h"
#include "picture/picture.h"
#include "sys/file.h"

#include <math.h>

enum { ANNOTATIONS_MAX = 4 << 20, MAX_FOUND = 128, MAX_TRUTHS = 256, UNKNOWN = -1 };

static const float iou_at = 0.5F;

struct eval {
    struct eval_run *run;
    const struct release *release;
    struct coco *coco;
    struct ap_meter *meter;
    int category_of[RELEASE_MAX_LABELS]; /* release label → category, or UNKNOWN */
    struct detection_match match;
};

static void eval_fini(struct eval *eval)
{
    if (eval->coco)
        coco_free(eval->coco);
    if (eval->meter)
        ap_meter_free(eval->meter);
}
#define cleanup_eval __attribute__((cleanup(eval_fini)))

static int load_data(struct eval *eval, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(ANNOTATIONS_MAX);
    if (eval_read(eval->run, "annotations.json", &text, err) < 0)
        return -1;
    if (coco_parse(text.data, text.len, &eval->coco, err) < 0)
        return err_prefix(err, "%s", eval->run->data_dir);
    eval->meter = ap_meter_new(eval->coco->category_count);
    return eval->meter ? 0 : err_no_memory(err);
}

static void map_labels(struct eval *eval)
{
    const struct coco *coco = eval->coco;
    for (size_t label = 0; label < eval->release->label_count; label++) {
        eval->category_of[label] = UNKNOWN;
        for (size_t i = 0; i < coco->category_count; i++)
            if (str_eq(coco->categories[i].name, eval->release->labels[label]))
                eval->category_of[label] = (int)i;
    }
}

/* Renames labels to categories; drops what the data has no name for. */
static size_t to_categories(const struct eval *eval, struct detection *found, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        int category = eval->category_of[found[i].label];
        if (category == UNKNOWN)
            continue;
        found[kept] = found[i];
        found[kept++].label = (uint32_t)category;
    }
    return kept;
}

static int score(struct eval *eval, const struct coco_image *image, struct detection *found, size_t count,
                 struct err *err)
{
    struct detection truth[MAX_TRUTHS];
    size_t truths = image->count;
    if (truths > MAX_TRUTHS)
        return err_set(err, ERR_TOO_BIG, "%zu labelled objects, the limit is %d", truths, MAX_TRUTHS);
    for (size_t i = 0; i < truths; i++)
        truth[i] = eval->coco->boxes[image->first + i].box;
    if (ap_meter_add(eval->meter, found, count, truth, truths) < 0)
        return err_no_memory(err);
    struct detection_match match = detection_match(found, count, truth, truths,
                                                   (float)eval->release->postprocess.score_threshold, iou_at);
    eval->match.tp += match.tp;
    eval->match.fp += match.fp;
    eval->match.fn += match.fn;
    return 0;
}

static int eval_picture(struct eval *eval, const struct coco_image *image, const struct picture *picture,
                        struct err *err)
{
    struct detection found[MAX_FOUND];
    const struct pipeline_frame frame = {
        .data = picture->rgb, .width = picture->width, .height = picture->height};
    struct pipeline_result result = {.detections = found, .max_detections = MAX_FOUND};
    if (eval_frame(eval->run, &frame, &result, err) < 0)
        return -1;
    return score(eval, image, found, to_categories(eval, found, result.count), err);
}

static int eval_image(struct eval *eval, const struct coco_image *image, struct err *err)
{
    cleanup_picture struct picture picture = {0};
    cleanup_free char *path = file_join(eval->run->data_dir, image->file_name);
    if (!path)
        return err_no_memory(err);
    if (picture_read(path, &picture, err) < 0)
        return -1;
    if (eval_picture(eval, image, &picture, err) < 0)
        return err_prefix(err, "%s", path);
    return 0;
}

static double ratio(uint64_t part, uint64_t rest)
{
    return part + rest ? (double)part / (double)(part + rest) : (double)NAN;
}

static void report_classes(struct eval *eval, struct eval_report *out)
{
    out->class_count = eval->coco->category_count;
    for (size_t i = 0; i < out->class_count; i++) {
        struct eval_class *item = &out->classes[i];
        str_copy(item->name, sizeof item->name, eval->coco->categories[i].name);
        item->truths = ap_meter_truths(eval->meter, i);
        item->ap50 = ap_meter_ap(eval->meter, i, (double)iou_at);
        for (size_t label = 0; label < eval->release->label_count; label++)
            item->known = item->known || eval->category_of[label] == (int)i;
    }
}

static void report(struct eval *eval, struct eval_report *out)
{
    out->frames = eval->coco->image_count;
    out->map50 = ap_meter_map(eval->meter, (double)iou_at);
    out->coco_map = ap_meter_coco_map(eval->meter);
    out->precision = ratio(eval->match.tp, eval->match.fp);
    out->recall = ratio(eval->match.tp, eval->match.fn);
    out->score_threshold = eval->release->postprocess.score_threshold;
    report_classes(eval, out);
}

int eval_detection(struct eval_run *run, struct eval_report *out, struct err *err)
{
    cleanup_eval struct eval eval = {.run = run, .release = run->release};
    if (load_data(&eval, err) < 0)
        return -1;
    map_labels(&eval);
    for (size_t i = 0; i < eval.coco->image_count; i++) {
        if (eval_image(&eval, &eval.coco->images[i], err) < 0)
            return -1;
        eval_show(run, i + 1, eval.coco->image_count);
    }
    report(&eval, out);
    return 0;
}
