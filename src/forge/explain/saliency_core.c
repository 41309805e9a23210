/* The smallest covering found of the focus under which the result is gone. */
#include "forge/explain/saliency_inside.h"

#include "base/mem.h"
#include "forge/explain/cover.h"

enum { GRID = 8, PERCENT = 40, MIN_PASSES = 12 };
#define GONE 0.1   /* of the score: then there is nothing left of it */
#define MOST 0.625 /* of the focus: more than that is no core */

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
    for (int i = 0; i < GRID * GRID; i++) {
        const int x = i % GRID, y = i / GRID;
        struct cover_cell cell = {.cell.area = {focus->x0 + width * x / GRID, focus->y0 + height * y / GRID,
                                                focus->x0 + width * (x + 1) / GRID,
                                                focus->y0 + height * (y + 1) / GRID}};
        cell.value = sum_over(making, &cell.cell.area);
        if (!area_empty(&cell.cell.area) && cell.value > 0)
            cells[count++] = cell;
    }
    return count;
}

static double places_of(const struct area *area)
{
    return (double)(area->x1 - area->x0) * (double)(area->y1 - area->y0);
}

static double share_of_focus(const struct cover *cover)
{
    double covered = 0;
    for (size_t i = 0; i < cover->count; i++)
        if (cover->cells[i].covered)
            covered += places_of(&cover->cells[i].cell.area);
    return covered / places_of(&cover->focus);
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
        making->out->map[i] *= (float)GONE;
        most = MAX(most, (double)making->out->map[i]);
    }
    for (size_t i = 0; i < cover->count; i++) {
        const struct cover_cell *cell = &cover->cells[i];
        if (!cell->covered)
            continue;
        const struct area *area = &cell->cell.area;
        double share = 0.5 / (double)count + (sum > 0 ? 0.5 * MAX(cell->loss, 0) / sum : 0.5 / (double)count);
        mask_set(area, making->scene->width, (float)MAX(loss * share / places_of(area), 2 * most),
                 making->out->map);
    }
    making->out->core_count = count;
}

int saliency_search_core(struct making *making, struct err *err)
{
    struct cover_cell cells[GRID * GRID];
    struct cover cover = {.scene = making->scene,
                          .focus = making->focus,
                          .enough = is_gone,
                          .goal = GONE * making->out->full,
                          .left = making->left,
                          .cells = cells};
    bool found;
    cover.count = list_core(making, cells);
    if (cover_find(&cover, &found, err) < 0 || (found && cover_refine(&cover, ARRAY_LEN(cells), err) < 0))
        return -1;
    making->out->passes += making->left - cover.left;
    making->left = cover.left;
    if (found && share_of_focus(&cover) <= MOST)
        put_core(making, &cover, making->out->full - cover.score);
    return 0;
}

/* A result that is there goes, one that is not cannot; and it takes some passes. */
int saliency_core_passes(const struct making *making)
{
    const int passes = making->left * PERCENT / 100;
    const bool goes = making->out->without_focus <= GONE * making->out->full;
    return goes && passes >= MIN_PASSES ? passes : 0;
}
