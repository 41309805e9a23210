/* What is explained: anything that gives one number for a frame of which parts are covered.
 *
 *     map of width x height places (pixels; of a series: steps x channels)
 *     keep[place]: 1 as it is … 0 covered by the fill          ask(keep, fill) ─▶ how sure the model is of what it said; does it still say it
 *
 * All that is computed about it (masks.h, saliency.h, faith.h, flip.h) knows nothing else, so a picture, a series and a made-up function are the
 * same to it.
 */
#ifndef MUSTER_FORGE_EXPLAIN_SCENE_H
#define MUSTER_FORGE_EXPLAIN_SCENE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* What covers. FILL_OPPOSITE is there for what looks like the mean anyway, which FILL_MEAN would not change. */
enum fill { FILL_MEAN, FILL_OPPOSITE, FILLS };

struct area { /* of places; x1 and y1 are behind the last ones */
    int x0, y0, x1, y1;
};

struct answer {
    double score;
    bool stands; /* the decision that is explained is still made */
};

struct scene {
    int width, height;
    bool rows_apart; /* neighbouring rows have nothing to do with each other: channels of a series */
    const float
        *contrast; /* per place, how far it is from the mean that covers, in any unit; NULL: nobody knows */
    int (*ask)(void *arg, const float *keep, enum fill fill, struct answer *out, struct err *err);
    void *arg;
};

static inline size_t scene_places(const struct scene *scene)
{
    return (size_t)scene->width * (size_t)scene->height;
}

static inline struct area scene_all(const struct scene *scene)
{
    return (struct area){0, 0, scene->width, scene->height};
}

static inline bool area_empty(const struct area *area)
{
    return area->x0 >= area->x1 || area->y0 >= area->y1;
}

static inline bool area_has(const struct area *area, int x, int y)
{
    return x >= area->x0 && x < area->x1 && y >= area->y0 && y < area->y1;
}

static inline bool area_inside(const struct area *inner, const struct area *outer)
{
    return inner->x0 >= outer->x0 && inner->y0 >= outer->y0 && inner->x1 <= outer->x1 &&
           inner->y1 <= outer->y1;
}

/* Into up to four parts; how many. */
static inline size_t area_quarter(const struct area *area, struct area out[4])
{
    const int mid_x = area->x0 + (area->x1 - area->x0 + 1) / 2,
              mid_y = area->y0 + (area->y1 - area->y0 + 1) / 2;
    const struct area parts[] = {{area->x0, area->y0, mid_x, mid_y},
                                 {mid_x, area->y0, area->x1, mid_y},
                                 {area->x0, mid_y, mid_x, area->y1},
                                 {mid_x, mid_y, area->x1, area->y1}};
    size_t count = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!area_empty(&parts[i]))
            out[count++] = parts[i];
    return count;
}

#endif
