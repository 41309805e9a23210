#include "stats/detection.h"
#include "base/mem.h"

#include <math.h>
#include <stdbool.h>

static float area(const struct detection *box)
{
    float width = box->x1 - box->x0, height = box->y1 - box->y0;
    return width > 0 && height > 0 ? width * height : 0;
}

float detection_iou(const struct detection *a, const struct detection *b)
{
    struct detection both = {.x0 = fmaxf(a->x0, b->x0),
                             .y0 = fmaxf(a->y0, b->y0),
                             .x1 = fminf(a->x1, b->x1),
                             .y1 = fminf(a->y1, b->y1)};
    float common = area(&both);
    float joint = area(a) + area(b) - common;
    return common > 0 && joint > 0 ? common / joint : 0;
}

static int by_descending_score(const void *left, const void *right)
{
    const struct detection *a = left, *b = right;
    return (a->score < b->score) - (a->score > b->score);
}

size_t detection_nms(struct detection *items, size_t count, float iou_threshold, size_t max)
{
    qsort(items, count, sizeof *items, by_descending_score);
    size_t kept = 0;
    for (size_t i = 0; i < count && kept < max; i++) {
        bool covered = false;
        for (size_t k = 0; k < kept && !covered; k++)
            covered = items[k].label == items[i].label && detection_iou(&items[k], &items[i]) > iou_threshold;
        if (!covered)
            items[kept++] = items[i];
    }
    return kept;
}

enum { MATCH_MAX = 256 };

/* The unmatched truth of the same label with the highest IoU, if that reaches `iou`; else count. */
static size_t best_truth(const struct detection *found, const struct detection *truth, const bool *taken,
                         size_t count, float iou)
{
    size_t best = count;
    float best_iou = iou;
    for (size_t t = 0; t < count; t++) {
        if (taken[t] || truth[t].label != found->label)
            continue;
        float overlap = detection_iou(found, &truth[t]);
        if (overlap >= best_iou) {
            best_iou = overlap;
            best = t;
        }
    }
    return best;
}

struct detection_match detection_match(const struct detection *found, size_t found_count,
                                       const struct detection *truth, size_t truth_count, float min_score,
                                       float iou)
{
    struct detection_match match = {0};
    struct detection sorted[MATCH_MAX];
    bool taken[MATCH_MAX] = {0};
    found_count = MIN(found_count, (size_t)MATCH_MAX);
    truth_count = MIN(truth_count, (size_t)MATCH_MAX);
    if (found_count)
        memcpy(sorted, found, found_count * sizeof *found);
    qsort(sorted, found_count, sizeof *sorted, by_descending_score);
    for (size_t i = 0; i < found_count && sorted[i].score >= min_score; i++) {
        size_t hit = best_truth(&sorted[i], truth, taken, truth_count, iou);
        if (hit < truth_count) {
            taken[hit] = true;
            match.tp++;
        } else {
            match.fp++;
        }
    }
    match.fn = truth_count - match.tp;
    return match;
}
