/* What a result hangs on outside of its focus. */
#include "forge/explain/saliency_inside.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { FINEST = 32 };

static double worth(const struct making *making)
{
    return SALIENCY_WORTH * fabs(making->out->full);
}

static int without_tile(struct making *making, const struct area *tile, double *out_loss, struct err *err)
{
    double score;
    making_cover_all(making, 1);
    making_cover(making, tile, 0);
    making_cover(making, &making->focus, 1);
    if (making_pass(making, making->out->context_fill, &score, err) < 0)
        return -1;
    *out_loss = making->out->full - score;
    return 0;
}

static int tile_alone(struct making *making, const struct area *tile, double *out_gain, struct err *err)
{
    double score;
    making_cover_all(making, 0);
    making_cover(making, tile, 1);
    making_cover(making, &making->focus, 1);
    if (making_pass(making, making->out->context_fill, &score, err) < 0)
        return -1;
    *out_gain = score - making->out->without_context;
    return 0;
}

/* The tiles of one level below `parent`. What they lose one by one may be less than what they lose together, where each of them would do:
 * then what each of them gains alone is asked too. */
static int split(struct making *making, const struct saliency_tile *parent, struct saliency_tile *out,
                 size_t *out_count, struct err *err)
{
    struct area parts[4];
    size_t parts_count = area_quarter(&parent->area, parts), count = 0;
    double sum = 0, loss;
    for (size_t i = 0; i < parts_count; i++) {
        if (area_inside(&parts[i], &making->focus))
            continue;
        if (without_tile(making, &parts[i], &loss, err) < 0)
            return -1;
        out[count++] = (struct saliency_tile){.area = parts[i], .effect = loss};
        sum += loss;
    }
    *out_count = count;
    if (fabs(sum) >= 0.7 * fabs(parent->effect) || making->left < (int)count)
        return 0;
    for (size_t i = 0; i < count; i++) {
        if (tile_alone(making, &out[i].area, &loss, err) < 0)
            return -1;
        out[i].effect = (out[i].effect + loss) / 2;
    }
    return 0;
}

static bool can_split(const struct making *making, const struct saliency_tile *tile)
{
    const struct area *area = &tile->area;
    return !tile->whole && fabs(tile->effect) >= worth(making) &&
           ((area->x1 - area->x0) * FINEST > making->scene->width ||
            (area->y1 - area->y0) * FINEST > making->scene->height);
}

/* The tile with the largest effect of those that may be split. */
static struct saliency_tile *best_tile(const struct making *making)
{
    struct saliency_tile *best = NULL;
    for (size_t i = 0; i < making->out->tile_count; i++) {
        struct saliency_tile *tile = &making->out->tiles[i];
        if (can_split(making, tile) && (!best || fabs(tile->effect) > fabs(best->effect)))
            best = tile;
    }
    return best;
}

static bool any_worth(const struct making *making, const struct saliency_tile *tiles, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fabs(tiles[i].effect) >= worth(making))
            return true;
    return false;
}

int saliency_search_context(struct making *making, int passes, struct err *err)
{
    struct saliency *out = making->out;
    const int stop_at = making->left - passes;
    out->tiles[out->tile_count++] =
        (struct saliency_tile){.area = scene_all(making->scene), .effect = out->full - out->without_context};
    struct saliency_tile *tile;
    while (making->left - stop_at >= 4 && out->tile_count + 3 <= SALIENCY_MAX_TILES &&
           (tile = best_tile(making))) {
        struct saliency_tile parts[4];
        size_t count = 0;
        if (split(making, tile, parts, &count, err) < 0)
            return -1;
        if (any_worth(making, parts, count)) {
            *tile = out->tiles[--out->tile_count];
            memcpy(&out->tiles[out->tile_count], parts, count * sizeof *parts);
            out->tile_count += count;
        } else {
            tile->whole = true;
        }
    }
    return 0;
}
