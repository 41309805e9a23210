#include "base/mem.h"
#include "stats/detection.h"

#include <math.h>
#include <stdbool.h>

struct sample {
    size_t frame, order; /* order: the how manyeth of all */
    struct detection box;
};

/* "AP" of the COCO metric: the best 100 detections of a picture and class, IoU 0.5, 0.55 … 0.95. */
enum { COCO_MAX_FOUND = 100, COCO_THRESHOLDS = 10 };

struct samples {
    struct sample *items;
    size_t count, room;
};

struct ap_meter {
    size_t label_count, frames;
    struct samples found, truth; /* both in the order of frames */
};

struct ap_meter *ap_meter_new(size_t label_count)
{
    struct ap_meter *meter = mem_zalloc(1, sizeof *meter);
    if (meter)
        meter->label_count = label_count;
    return meter;
}

void ap_meter_free(struct ap_meter *meter)
{
    if (!meter)
        return;
    free(meter->found.items);
    free(meter->truth.items);
    free(meter);
}

static int append(struct samples *list, size_t frame, const struct detection *boxes, size_t count)
{
    if (list->count + count > list->room) {
        size_t room = MAX(list->room * 2, list->count + count + 64);
        struct sample *items = mem_grow(list->items, room, sizeof *items);
        if (!items)
            return -1;
        list->items = items;
        list->room = room;
    }
    for (size_t i = 0; i < count; i++)
        list->items[list->count++] = (struct sample){.frame = frame, .order = list->count, .box = boxes[i]};
    return 0;
}

int ap_meter_add(struct ap_meter *meter, const struct detection *found, size_t found_count,
                 const struct detection *truth, size_t truth_count)
{
    if (append(&meter->found, meter->frames, found, found_count) < 0 ||
        append(&meter->truth, meter->frames, truth, truth_count) < 0)
        return -1;
    meter->frames++;
    return 0;
}

uint64_t ap_meter_truths(const struct ap_meter *meter, size_t label)
{
    uint64_t count = 0;
    for (size_t i = 0; i < meter->truth.count; i++)
        count += meter->truth.items[i].box.label == label;
    return count;
}

static int by_descending_score(const void *left, const void *right)
{
    const struct sample *a = left, *b = right;
    if (a->box.score != b->box.score)
        return a->box.score < b->box.score ? 1 : -1;
    return (a->order > b->order) - (a->order < b->order);
}

/* All samples of one label, copied. NULL: none, or out of memory. */
static struct sample *of_label(const struct samples *list, size_t label, size_t *out_count)
{
    struct sample *items = mem_zalloc(list->count, sizeof *items);
    *out_count = 0;
    for (size_t i = 0; items && i < list->count; i++)
        if (list->items[i].box.label == label)
            items[(*out_count)++] = list->items[i];
    return items;
}

/* First truth of a frame, by bisection: truths are in the order of frames. */
static size_t first_of_frame(const struct sample *truth, size_t count, size_t frame)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (truth[middle].frame < frame)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Takes the best free truth for a detection; false if none reaches the IoU. */
static bool take_truth(const struct sample *found, const struct sample *truth, bool *taken, size_t count,
                       float iou)
{
    size_t best = count;
    float best_iou = iou;
    for (size_t t = first_of_frame(truth, count, found->frame); t < count && truth[t].frame == found->frame;
         t++) {
        float overlap = taken[t] ? 0 : detection_iou(&found->box, &truth[t].box);
        if (!taken[t] && overlap >= best_iou) {
            best_iou = overlap;
            best = t;
        }
    }
    if (best == count)
        return false;
    taken[best] = true;
    return true;
}

/* Area under the precision envelope. hits: detections by descending score, overwritten. */
static double area_under_envelope(const bool *hits, size_t found_count, size_t truth_count)
{
    double area = 0, envelope = 0;
    size_t total_hits = 0;
    for (size_t i = 0; i < found_count; i++)
        total_hits += hits[i];
    size_t hits_left = total_hits;
    for (size_t i = found_count;
         i-- > 0;) { /* from the right: the envelope is the best precision at any higher recall */
        double precision = (double)hits_left / (double)(i + 1);
        envelope = fmax(envelope, precision);
        if (hits[i]) {
            area += envelope / (double)truth_count;
            hits_left--;
        }
    }
    return area;
}

/* COCO: the precision envelope at the recalls 0, 0.01 … 1, which are numpy's multiples of 0.01 to the last bit: a recall that should equal one
 * may fall short of it there, and so it does here. */
static double mean_at_101_recalls(const bool *hits, size_t found_count, size_t truth_count)
{
    double sum = 0, envelope = 0;
    size_t hits_left = 0;
    int wanted = 100;
    for (size_t i = 0; i < found_count; i++)
        hits_left += hits[i];
    for (size_t i = found_count; i-- > 0; hits_left -= hits[i]) {
        double recall = (double)hits_left / (double)truth_count;
        double before = i ? (double)(hits_left - hits[i]) / (double)truth_count : -1;
        envelope = fmax(envelope, (double)hits_left / (double)(i + 1));
        for (; wanted >= 0 && wanted * 0.01 > before; wanted--)
            sum += wanted * 0.01 <= recall ? envelope : 0;
    }
    return sum / 101;
}

/* At most `limit` detections of each frame, the best ones; the list is sorted by score. */
static size_t keep_best(struct sample *found, size_t count, size_t frames, size_t limit)
{
    cleanup_free size_t *seen = mem_zalloc(MAX(frames, 1), sizeof *seen);
    size_t kept = 0;
    for (size_t i = 0; seen && i < count; i++)
        if (seen[found[i].frame]++ < limit)
            found[kept++] = found[i];
    return seen ? kept : count;
}

typedef double area_function(const bool *hits, size_t found_count, size_t truth_count);

static double average_precision(const struct ap_meter *meter, size_t label, double iou, size_t limit,
                                area_function *area)
{
    size_t found_count, truth_count;
    cleanup_free struct sample *truth = of_label(&meter->truth, label, &truth_count);
    cleanup_free struct sample *found = of_label(&meter->found, label, &found_count);
    cleanup_free bool *taken = mem_zalloc(truth_count, sizeof *taken);
    cleanup_free bool *hits = mem_zalloc(found_count, sizeof *hits);
    if (!truth_count || !truth || !found || !taken || !hits)
        return NAN;
    qsort(found, found_count, sizeof *found, by_descending_score);
    if (limit)
        found_count = keep_best(found, found_count, meter->frames, limit);
    for (size_t i = 0; i < found_count; i++)
        hits[i] = take_truth(&found[i], truth, taken, truth_count, (float)iou);
    return area(hits, found_count, truth_count);
}

double ap_meter_ap(struct ap_meter *meter, size_t label, double iou)
{
    return average_precision(meter, label, iou, 0, area_under_envelope);
}

double ap_meter_coco(struct ap_meter *meter, size_t label, double iou)
{
    return average_precision(meter, label, iou, COCO_MAX_FOUND, mean_at_101_recalls);
}

/* The mean over classes that have truth. */
static double mean_over_classes(struct ap_meter *meter, double iou,
                                double (*ap)(struct ap_meter *, size_t, double))
{
    double sum = 0;
    size_t classes = 0;
    for (size_t label = 0; label < meter->label_count; label++) {
        double value = ap(meter, label, iou);
        if (isnan(value))
            continue;
        sum += value;
        classes++;
    }
    return classes ? sum / (double)classes : NAN;
}

double ap_meter_map(struct ap_meter *meter, double iou)
{
    return mean_over_classes(meter, iou, ap_meter_ap);
}

double ap_meter_coco_map(struct ap_meter *meter)
{
    double sum = 0;
    for (int i = 0; i < COCO_THRESHOLDS; i++)
        sum += mean_over_classes(meter, 0.5 + 0.05 * i, ap_meter_coco);
    return sum / COCO_THRESHOLDS;
}
