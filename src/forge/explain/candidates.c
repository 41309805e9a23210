#include "forge/explain/candidates.h"

#include "base/mem.h"

#include <math.h>

static float clip(float value, int max)
{
    return value < 0 ? 0 : MIN(value, (float)max);
}

struct detection candidates_box(const struct candidates *all, size_t column)
{
    const size_t n = all->columns;
    const float cx = all->values[column], cy = all->values[n + column];
    const float half_width = all->values[2 * n + column] / 2, half_height = all->values[3 * n + column] / 2;
    const struct placement *at = &all->placement;
    return (struct detection){
        .x0 = clip((cx - half_width - at->offset_x) / at->scale_x, all->frame_width),
        .y0 = clip((cy - half_height - at->offset_y) / at->scale_y, all->frame_height),
        .x1 = clip((cx + half_width - at->offset_x) / at->scale_x, all->frame_width),
        .y1 = clip((cy + half_height - at->offset_y) / at->scale_y, all->frame_height),
    };
}

double candidates_score(const struct candidates *all, const struct detection *target)
{
    const float *scores = all->values + (4 + (size_t)target->label) * all->columns;
    float best = 0;
    for (size_t i = 0; i < all->columns; i++) {
        if (scores[i] <= best)
            continue;
        const struct detection box = candidates_box(all, i);
        if (detection_iou(&box, target) >= CANDIDATES_SAME_IOU)
            best = scores[i];
    }
    return (double)best;
}

struct area area_around(const struct detection *box, int width, int height)
{
    const float w = box->x1 - box->x0, h = box->y1 - box->y0;
    const float x = MAX(w / 2, MIN(1.5F * w, h / 2)), y = MAX(h / 2, MIN(1.5F * h, w / 2));
    const struct area area = {(int)floorf(box->x0 - x), (int)floorf(box->y0 - y), (int)ceilf(box->x1 + x),
                              (int)ceilf(box->y1 + y)};
    return (struct area){MAX(area.x0, 0), MAX(area.y0, 0), MIN(area.x1, width), MIN(area.y1, height)};
}
