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

/* Brings the highest score of items[from..count) (of equal ones the first) to `from`; the others keep their
 * order. */
static void raise_best(struct detection *items, size_t from, size_t count)
{
    size_t best = from;
    for (size_t i = from + 1; i < count; i++)
        if (items[i].score > items[best].score)
            best = i;
    struct detection top = items[best];
    memmove(&items[from + 1], &items[from], (best - from) * sizeof *items);
    items[from] = top;
}

/* Takes out of items[from..count) whatever `top` covers; returns the new count. */
static size_t drop_covered(struct detection *items, size_t from, size_t count, const struct detection *top,
                           float iou_threshold)
{
    size_t left = from;
    for (size_t i = from; i < count; i++)
        if (items[i].label != top->label || !(detection_iou(top, &items[i]) > iou_threshold))
            items[left++] = items[i];
    return left;
}

/* Selection and no qsort, which allocates: at most `max` rounds, and each one leaves fewer. */
size_t detection_nms(struct detection *items, size_t count, float iou_threshold, size_t max)
{
    size_t kept = 0;
    for (; kept < count && kept < max; kept++) {
        raise_best(items, kept, count);
        count = drop_covered(items, kept + 1, count, &items[kept], iou_threshold);
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
    for (size_t i = 0; i < found_count; i++) {
        raise_best(sorted, i, found_count);
        if (sorted[i].score < min_score)
            break;
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
