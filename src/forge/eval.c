#include "forge/eval.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/spread.h"
#include "infer/pipeline.h"
#include "picture/picture.h"
#include "sys/file.h"

#include <math.h>

enum { ANNOTATIONS_MAX = 4 << 20, MAX_FOUND = 128, MAX_TRUTHS = 256, UNKNOWN = -1 };

static const float iou_at = 0.5F;

struct eval {
    const struct release *release;
    const char *data_dir;
    struct coco *coco;
    struct pipeline *pipeline;
    struct ap_meter *meter;
    int category_of[RELEASE_MAX_LABELS]; /* release label → category, or UNKNOWN */
    struct spread total, run;
    struct detection_match match;
};

static void eval_fini(struct eval *eval)
{
    if (eval->coco)
        coco_free(eval->coco);
    if (eval->meter)
        ap_meter_free(eval->meter);
    pipeline_close(eval->pipeline);
    spread_fini(&eval->total);
    spread_fini(&eval->run);
}
#define cleanup_eval __attribute__((cleanup(eval_fini)))

static int load_data(struct eval *eval, struct err *err)
{
    cleanup_free char *path = file_join(eval->data_dir, "annotations.json");
    if (!path)
        return err_no_memory(err);
    cleanup_buf struct buf text = BUF_INIT(ANNOTATIONS_MAX);
    if (file_read(path, &text, err) < 0)
        return -1;
    if (coco_parse(text.data, text.len, &eval->coco, err) < 0)
        return err_prefix(err, "%s", eval->data_dir);
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
    struct pipeline_times times;
    size_t count = 0;
    if (pipeline_run(eval->pipeline, picture->rgb, picture->width, picture->height, found, MAX_FOUND, &count,
                     &times, err) < 0)
        return -1;
    if (spread_add(&eval->total, times.preprocess_ns + times.run_ns + times.decode_ns, err) < 0 ||
        spread_add(&eval->run, times.run_ns, err) < 0)
        return -1;
    return score(eval, image, found, to_categories(eval, found, count), err);
}

static int eval_image(struct eval *eval, const struct coco_image *image, struct err *err)
{
    cleanup_picture struct picture picture = {0};
    cleanup_free char *path = file_join(eval->data_dir, image->file_name);
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
    return part + rest ? (double)part / (double)(part + rest) : NAN;
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
    *out = (struct eval_report){
        .frames = eval->coco->image_count,
        .map50 = ap_meter_map(eval->meter, (double)iou_at),
        .precision = ratio(eval->match.tp, eval->match.fp),
        .recall = ratio(eval->match.tp, eval->match.fn),
        .score_threshold = eval->release->postprocess.score_threshold,
        .latency_p50_ms = spread_quantile_ms(&eval->total, 0.5),
        .latency_p99_ms = spread_quantile_ms(&eval->total, 0.99),
        .run_p50_ms = spread_quantile_ms(&eval->run, 0.5),
        .run_p99_ms = spread_quantile_ms(&eval->run, 0.99),
    };
    str_copy(out->name, sizeof out->name, eval->release->name);
    str_copy(out->version, sizeof out->version, eval->release->version);
    str_copy(out->backend, sizeof out->backend, pipeline_backend(eval->pipeline));
    report_classes(eval, out);
}

static int open_pipeline(struct eval *eval, const char *model_path, const struct eval_options *options,
                         struct err *err)
{
    cleanup_free struct release *wide = mem_dup(eval->release, sizeof *wide);
    if (!wide)
        return err_no_memory(err);
    wide->postprocess.score_threshold = options->min_score < 0 ? EVAL_MIN_SCORE : options->min_score;
    struct pipeline_options pipeline_options = {.runtime_path = options->runtime_path,
                                                .threads = options->threads};
    return pipeline_open(model_path, wide, &pipeline_options, &eval->pipeline, err);
}

int eval_model(const char *model_path, const struct release *release, const char *data_dir,
               const struct eval_options *options, struct eval_report *out, struct err *err)
{
    if (release->task != TASK_DETECTION)
        return err_set(
            err, ERR_UNSUPPORTED,
            "only detection can be evaluated so far, %s %s has another task; muster bench measures it",
            release->name, release->version);
    cleanup_eval struct eval eval = {.release = release, .data_dir = data_dir};
    if (load_data(&eval, err) < 0 || open_pipeline(&eval, model_path, options, err) < 0)
        return -1;
    map_labels(&eval);
    for (size_t i = 0; i < eval.coco->image_count; i++) {
        if (eval_image(&eval, &eval.coco->images[i], err) < 0)
            return -1;
        if (options->progress)
            options->progress(i + 1, eval.coco->image_count, options->progress_arg);
    }
    report(&eval, out);
    return 0;
}
