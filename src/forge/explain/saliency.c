#include "forge/explain/saliency.h"

#include "base/mem.h"
#include "forge/explain/cover.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS = 8, FINEST = 32, CORE_GRID = 8, CORE_PERCENT = 40, CORE_MIN_PASSES = 12 };
#define CORE_GONE 0.1 /* of the score: then there is nothing left of it */

struct making {
    const struct scene *scene;
    const struct saliency_plan *plan;
    struct saliency *out;
    float *keep; /* owned, as all that follow */
    double *sum; /* of the focus */
    struct area focus;
    int left; /* passes */
    uint64_t random;
};

static void making_fini(struct making *making)
{
    free(making->keep);
    free(making->sum);
}
#define cleanup_making __attribute__((cleanup(making_fini)))

static int pass(struct making *making, enum fill fill, double *out, struct err *err)
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

static void cover(struct making *making, const struct area *area, float keep)
{
    mask_set(area, making->scene->width, keep, making->keep);
}

static void cover_all(struct making *making, float keep)
{
    const struct area all = scene_all(making->scene);
    cover(making, &all, keep);
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
    cover_all(making, 1);
    if (pass(making, FILL_MEAN, &out->full, err) < 0)
        return -1;
    cover(making, &making->focus, 0);
    if (pass(making, FILL_MEAN, &out->without_focus, err) < 0)
        return -1;
    out->without_context = out->full;
    if (!has_context(making))
        return 0;
    for (int fill = 0; fill < FILLS; fill++) {
        double score;
        cover_all(making, 0);
        cover(making, &making->focus, 1);
        if (pass(making, (enum fill)fill, &score, err) < 0)
            return -1;
        if (fabs(score - out->full) <= fabs(out->without_context - out->full))
            continue;
        out->without_context = score;
        out->context_fill = (enum fill)fill;
    }
    return 0;
}

/* ---- the context ---- */

static double worth(const struct making *making)
{
    return SALIENCY_WORTH * fabs(making->out->full);
}

static int without_tile(struct making *making, const struct area *tile, double *out_loss, struct err *err)
{
    double score;
    cover_all(making, 1);
    cover(making, tile, 0);
    cover(making, &making->focus, 1);
    if (pass(making, making->out->context_fill, &score, err) < 0)
        return -1;
    *out_loss = making->out->full - score;
    return 0;
}

static int tile_alone(struct making *making, const struct area *tile, double *out_gain, struct err *err)
{
    double score;
    cover_all(making, 0);
    cover(making, tile, 1);
    cover(making, &making->focus, 1);
    if (pass(making, making->out->context_fill, &score, err) < 0)
        return -1;
    *out_gain = score - making->out->without_context;
    return 0;
}

static bool inside(const struct area *inner, const struct area *outer)
{
    return inner->x0 >= outer->x0 && inner->y0 >= outer->y0 && inner->x1 <= outer->x1 &&
           inner->y1 <= outer->y1;
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
        if (inside(&parts[i], &making->focus))
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

static int search_context(struct making *making, int passes, struct err *err)
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
        cover_all(making, 1);
        mask_smooth(&grid, &making->random, scene->width, making->keep);
        if (pass(making, FILL_MEAN, &with, err) < 0)
            return -1;
        mask_complement(&making->focus, scene->width, making->keep);
        if (pass(making, FILL_MEAN, &without, err) < 0)
            return -1;
        add_pair(making, making->keep, without - with);
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

/* ---- the core ---- */

static double sum_over(const struct making *making, const struct area *area)
{
    double sum = 0;
    for (int y = area->y0; y < area->y1; y++)
        for (int x = area->x0; x < area->x1; x++)
            sum += (double)making->out->map[(size_t)y * (size_t)making->scene->width + (size_t)x];
    return sum;
}

static bool is_gone(const struct answer *answer, double goal)
{
    return answer->score <= goal;
}

static size_t list_core(const struct making *making, struct cover_cell *cells)
{
    const struct area *focus = &making->focus;
    const int width = focus->x1 - focus->x0, height = focus->y1 - focus->y0;
    size_t count = 0;
    for (int i = 0; i < CORE_GRID * CORE_GRID; i++) {
        const int x = i % CORE_GRID, y = i / CORE_GRID;
        struct cover_cell cell = {
            .cell.area = {focus->x0 + width * x / CORE_GRID, focus->y0 + height * y / CORE_GRID,
                          focus->x0 + width * (x + 1) / CORE_GRID, focus->y0 + height * (y + 1) / CORE_GRID}};
        cell.value = sum_over(making, &cell.cell.area);
        if (!area_empty(&cell.cell.area) && cell.value > 0)
            cells[count++] = cell;
    }
    return count;
}

/* The cells lose `loss` together: each as much of it as the score rose without it, and a part of them all. */
static void put_core(struct making *making, const struct cover *cover, double loss)
{
    double sum = 0, most = 0;
    size_t count = 0;
    for (size_t i = 0; i < cover->count; i++)
        if (cover->cells[i].covered) {
            sum += MAX(cover->cells[i].loss, 0);
            count++;
        }
    for (size_t i = 0; i < scene_places(making->scene); i++) {
        making->out->map[i] *= (float)CORE_GONE;
        most = MAX(most, (double)making->out->map[i]);
    }
    for (size_t i = 0; i < cover->count; i++) {
        const struct cover_cell *cell = &cover->cells[i];
        if (!cell->covered)
            continue;
        const struct area *area = &cell->cell.area;
        double share = 0.5 / (double)count + (sum > 0 ? 0.5 * MAX(cell->loss, 0) / sum : 0.5 / (double)count);
        double places = (double)(area->x1 - area->x0) * (double)(area->y1 - area->y0);
        mask_set(area, making->scene->width, (float)MAX(loss * share / places, 2 * most), making->out->map);
    }
    making->out->core_count = count;
}

static int search_core(struct making *making, struct err *err)
{
    struct cover_cell cells[CORE_GRID * CORE_GRID];
    struct cover cover = {.scene = making->scene,
                          .focus = making->focus,
                          .enough = is_gone,
                          .goal = CORE_GONE * making->out->full,
                          .left = making->left,
                          .cells = cells};
    bool found;
    cover.count = list_core(making, cells);
    if (cover_find(&cover, &found, err) < 0 || (found && cover_refine(&cover, ARRAY_LEN(cells), err) < 0))
        return -1;
    making->out->passes += making->left - cover.left;
    making->left = cover.left;
    if (found)
        put_core(making, &cover, making->out->full - cover.score);
    return 0;
}

/* A result that is there goes, one that is not cannot; and it takes some passes. */
static int passes_of_core(const struct making *making)
{
    const int passes = making->left * CORE_PERCENT / 100;
    const bool goes = making->out->without_focus <= CORE_GONE * making->out->full;
    return goes && passes >= CORE_MIN_PASSES ? passes : 0;
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
    if (has_context(making) && search_context(making, passes_of_context(making), err) < 0)
        return -1;
    const int passes = passes_of_core(making);
    if (search_focus(making, passes, err) < 0)
        return -1;
    put_focus(making);
    if (passes && search_core(making, err) < 0)
        return -1;
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
    if (!area_empty(&plan->focus) && !inside(&plan->focus, &all))
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
