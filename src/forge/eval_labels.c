#include "forge/eval_inside.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/floats.h"
#include "forge/truth.h"
#include "picture/picture.h"
#include "stats/bound.h"
#include "stats/confusion.h"
#include "sys/file.h"

#include <math.h>

enum { LABELS_MAX = 4 << 20 };

static const double alpha = 0.05;

static size_t largest(const float *values, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (values[i] > values[best])
            best = i;
    return best;
}

static int classify(struct eval_run *run, const struct pipeline_frame *frame, size_t *out, struct err *err)
{
    float values[PIPELINE_MAX_VALUES];
    struct pipeline_result result = {.values = values, .max_values = PIPELINE_MAX_VALUES};
    if (eval_frame(run, frame, &result, err) < 0)
        return -1;
    *out = largest(values, result.count);
    return 0;
}

static int classify_picture(struct eval_run *run, const char *path, size_t *out, struct err *err)
{
    cleanup_picture struct picture picture = {0};
    if (picture_read(path, &picture, err) < 0)
        return -1;
    const struct pipeline_frame frame = {
        .data = picture.rgb, .width = picture.width, .height = picture.height};
    return classify(run, &frame, out, err);
}

static int classify_floats(struct eval_run *run, const char *path, size_t *out, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    const uint8_t *floats = NULL;
    size_t count = 0, wanted = tensor_elements(&run->release->inputs[0]);
    if (file_map(path, &map, err) < 0 || floats_find(path, map.data, map.size, &floats, &count, err) < 0)
        return -1;
    if (count != wanted)
        return err_set(err, ERR_INVALID, "%s: %zu numbers, a frame has %zu", path, count, wanted);
    cleanup_free void *aligned = mem_dup(floats, count * sizeof(float));
    if (!aligned)
        return err_no_memory(err);
    const struct pipeline_frame frame = {.data = aligned, .width = (int)count, .height = 1};
    return classify(run, &frame, out, err);
}

static int classify_file(struct eval_run *run, const char *name, size_t *out, struct err *err)
{
    cleanup_free char *path = file_join(run->data_dir, name);
    if (!path)
        return err_no_memory(err);
    pipeline_reset_state(run->pipeline);
    return run->release->frame == FRAME_RGB8 ? classify_picture(run, path, out, err)
                                             : classify_floats(run, path, out, err);
}

static void report(const struct eval_run *run, const struct confusion *confusion, struct eval_report *out)
{
    uint64_t total = confusion_total(confusion), right = confusion_right(confusion);
    out->frames = total;
    out->accuracy = confusion_accuracy(confusion);
    out->accuracy_bounds = (struct eval_bounds){bound_share_lower(right, total, alpha / 2),
                                                bound_share_upper(right, total, alpha / 2)};
    out->macro_f1 = confusion_macro_f1(confusion);
    out->class_count = run->release->label_count;
    for (size_t i = 0; i < out->class_count; i++) {
        struct eval_class *item = &out->classes[i];
        *item = (struct eval_class){.known = true,
                                    .truths = confusion_truths(confusion, i),
                                    .ap50 = NAN,
                                    .precision = confusion_precision(confusion, i),
                                    .recall = confusion_recall(confusion, i),
                                    .f1 = confusion_f1(confusion, i)};
        uint64_t hits = confusion_count(confusion, i, i);
        item->recall_bounds = (struct eval_bounds){bound_share_lower(hits, item->truths, alpha / 2),
                                                   bound_share_upper(hits, item->truths, alpha / 2)};
        str_copy(item->name, sizeof item->name, run->release->labels[i]);
    }
}

int eval_labels(struct eval_run *run, struct eval_report *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(LABELS_MAX);
    cleanup_truth struct truth *truth = NULL;
    if (eval_read(run, "labels.json", &text, err) < 0)
        return -1;
    if (truth_parse_labels(text.data, text.len, run->release, &truth, err) < 0)
        return err_prefix(err, "%s", run->data_dir);
    cleanup_confusion struct confusion *confusion = confusion_new(run->release->label_count);
    if (!confusion)
        return err_no_memory(err);
    for (size_t i = 0; i < truth->file_count; i++) {
        size_t said = 0;
        if (classify_file(run, truth->files[i].name, &said, err) < 0)
            return -1;
        confusion_add(confusion, truth->files[i].label, said);
        eval_show(run, i + 1, truth->file_count);
    }
    report(run, confusion, out);
    return 0;
}
