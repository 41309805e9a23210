#include "forge/explain/saliency_inside.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS = 8 };
#define FAINT 0.1 /* of the score: differences among scores far below it say little */

static void making_fini(struct making *making)
{
    free(making->keep);
    free(making->sum);
}
#define cleanup_making __attribute__((cleanup(making_fini)))

int making_pass(struct making *making, enum fill fill, double *out, struct err *err)
{
    making->left--;
    making->out->passes++;
    struct answer answer = {0};
    if (making->scene->ask(making->scene->arg, making->keep, fill, &answer, err) < 0)
        return -1;
    *out = answer.score;
    if (making->plan->progress)
        making->plan->progress(making->out->passes, making->plan->passes, making->plan->progress_arg);
    return 0;
}

void making_cover(struct making *making, const struct area *area, float keep)
{
    mask_set(area, making->scene->width, keep, making->keep);
}

void making_cover_all(struct making *making, float keep)
{
    const struct area all = scene_all(making->scene);
    making_cover(making, &all, keep);
}

static bool has_context(const struct making *making)
{
    const struct area all = scene_all(making->scene), *focus = &making->focus;
    return memcmp(focus, &all, sizeof all) != 0;
}

/* ---- what there is to explain ---- */

static int weigh(struct making *making, struct err *err)
{
    struct saliency *out = making->out;
    making_cover_all(making, 1);
    if (making_pass(making, FILL_MEAN, &out->full, err) < 0)
        return -1;
    making_cover(making, &making->focus, 0);
    if (making_pass(making, FILL_MEAN, &out->without_focus, err) < 0)
        return -1;
    out->without_context = out->full;
    if (!has_context(making))
        return 0;
    for (int fill = 0; fill < FILLS; fill++) {
        double score;
        making_cover_all(making, 0);
        making_cover(making, &making->focus, 1);
        if (making_pass(making, (enum fill)fill, &score, err) < 0)
            return -1;
        if (fabs(score - out->full) <= fabs(out->without_context - out->full))
            continue;
        out->without_context = score;
        out->context_fill = (enum fill)fill;
    }
    return 0;
}

/* ---- the focus ---- */

static void add_pair(struct making *making, const float *mask, double difference)
{
    const int width = making->scene->width;
    for (int y = making->focus.y0; y < making->focus.y1; y++)
        for (int x = making->focus.x0; x < making->focus.x1; x++) {
            size_t place = (size_t)y * (size_t)width + (size_t)x;
            making->sum[place] += difference * ((double)mask[place] - 0.5);
        }
}

/* Where any half of an object is enough to lose it, nearly all masks leave next to nothing of the score: which of them leaves less is seen in its
 * logarithm. A model's values that are not above 0 are taken as they are. */
static double part_of(const struct making *making, double score)
{
    const double full = making->out->full;
    return full > 0 ? log(MAX(score, 0) / full + FAINT) : score;
}

static int search_focus(struct making *making, int keep_passes, struct err *err)
{
    const struct scene *scene = making->scene;
    const struct saliency_plan *plan = making->plan;
    struct mask_grid grid = {.area = making->focus,
                             .cells_x = plan->cells_x ? plan->cells_x : CELLS,
                             .cells_y = plan->cells_y ? plan->cells_y : CELLS,
                             .share = 0.5,
                             .rows_apart = scene->rows_apart};
    while (making->left - keep_passes >= 2) {
        double with, without;
        making_cover_all(making, 1);
        mask_smooth(&grid, &making->random, scene->width, making->keep);
        if (making_pass(making, FILL_MEAN, &with, err) < 0)
            return -1;
        mask_complement(&making->focus, scene->width, making->keep);
        if (making_pass(making, FILL_MEAN, &without, err) < 0)
            return -1;
        add_pair(making, making->keep, part_of(making, without) - part_of(making, with));
    }
    return 0;
}

/* ---- one map of both ---- */

static void put_focus(struct making *making)
{
    double positive = 0, effect = making->out->full - making->out->without_focus;
    const size_t places = scene_places(making->scene);
    for (size_t i = 0; i < places; i++)
        positive += MAX(making->sum[i], 0);
    if (positive <= 0)
        return;
    for (size_t i = 0; i < places; i++)
        making->out->map[i] = (float)(making->sum[i] / positive * fabs(effect));
}

/* A place that looks like what covers it cannot have been missed: effect goes to places as they are far from it. */
static void put_contrast(struct making *making)
{
    const float *contrast = making->scene->contrast;
    float *map = making->out->map;
    double before = 0, after = 0;
    const size_t places = contrast ? scene_places(making->scene) : 0;
    for (size_t i = 0; i < places; i++) {
        before += (double)MAX(map[i], 0);
        after += (double)MAX(map[i], 0) * (double)contrast[i];
    }
    for (size_t i = 0; i < places && after > 0; i++)
        if (map[i] > 0)
            map[i] *= (float)((double)contrast[i] * before / after);
}

static void put_tile(struct making *making, const struct saliency_tile *tile)
{
    size_t places = 0;
    for (int y = tile->area.y0; y < tile->area.y1; y++)
        for (int x = tile->area.x0; x < tile->area.x1; x++)
            places += !area_has(&making->focus, x, y);
    for (int y = tile->area.y0; y < tile->area.y1; y++)
        for (int x = tile->area.x0; x < tile->area.x1; x++)
            if (!area_has(&making->focus, x, y))
                making->out->map[(size_t)y * (size_t)making->scene->width + (size_t)x] =
                    (float)(tile->effect / (double)places);
}

/* As the effects are, but for a tenth at least. */
static int passes_of_context(const struct making *making)
{
    const struct saliency *out = making->out;
    double context = fabs(out->full - out->without_context), focus = fabs(out->full - out->without_focus);
    double share = context + focus > 0 ? context / (context + focus) : 0;
    return (int)((double)making->left * MAX(MIN(share, 0.5), 0.1));
}

static int make(struct making *making, struct err *err)
{
    if (weigh(making, err) < 0)
        return -1;
    if (has_context(making) && saliency_search_context(making, passes_of_context(making), err) < 0)
        return -1;
    const int passes = saliency_core_passes(making);
    if (search_focus(making, passes, err) < 0)
        return -1;
    put_focus(making);
    if (passes && saliency_search_core(making, err) < 0)
        return -1;
    put_contrast(making);
    for (size_t i = 0; i < making->out->tile_count; i++)
        put_tile(making, &making->out->tiles[i]);
    return 0;
}

static int check(const struct scene *scene, const struct saliency_plan *plan, struct err *err)
{
    if (plan->passes < SALIENCY_MIN_PASSES || plan->passes > SALIENCY_MAX_PASSES)
        return err_set(err, ERR_INVALID, "a saliency map takes %d to %d passes", SALIENCY_MIN_PASSES,
                       SALIENCY_MAX_PASSES);
    const struct area all = scene_all(scene);
    if (!area_empty(&plan->focus) && !area_inside(&plan->focus, &all))
        return err_set(err, ERR_INVALID, "the focus lies outside of the frame");
    return 0;
}

int saliency_make(const struct scene *scene, const struct saliency_plan *plan, struct saliency *out,
                  struct err *err)
{
    if (check(scene, plan, err) < 0)
        return -1;
    const size_t places = scene_places(scene);
    cleanup_making struct making making = {
        .scene = scene,
        .plan = plan,
        .out = out,
        .keep = mem_zalloc(places, sizeof(float)),
        .sum = mem_zalloc(places, sizeof(double)),
        .focus = area_empty(&plan->focus) ? scene_all(scene) : plan->focus,
        .left = plan->passes,
        .random = plan->seed,
    };
    *out = (struct saliency){.width = scene->width, .height = scene->height, .rows_apart = scene->rows_apart};
    out->map = mem_zalloc(places, sizeof(float));
    if (!making.keep || !making.sum || !out->map) {
        saliency_fini(out);
        return err_no_memory(err);
    }
    if (make(&making, err) < 0) {
        saliency_fini(out);
        return -1;
    }
    return 0;
}

void saliency_fini(struct saliency *saliency)
{
    free(saliency->map);
    saliency->map = NULL;
}

const struct saliency_tile *saliency_context(const struct saliency *saliency)
{
    const struct saliency_tile *best = NULL;
    for (size_t i = 0; i < saliency->tile_count; i++) {
        const struct saliency_tile *tile = &saliency->tiles[i];
        if (tile->effect >= SALIENCY_WORTH * fabs(saliency->full) && (!best || tile->effect > best->effect))
            best = tile;
    }
    return best;
}
