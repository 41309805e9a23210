#include "forge/explain/flip.h"

#include "base/mem.h"

#include <string.h>

/* ---- which cells there are ---- */

struct listing {
    struct cover_cell *cells;
    size_t count;
};

static double value_of(const struct saliency *saliency, const struct area *area)
{
    double sum = 0;
    for (int y = area->y0; y < area->y1; y++)
        for (int x = area->x0; x < area->x1; x++)
            sum += (double)saliency->map[(size_t)y * (size_t)saliency->width + (size_t)x];
    return sum;
}

static void add_cell(struct listing *listing, const struct cell *cell, double value)
{
    if (!area_empty(&cell->area) && value > 0)
        listing->cells[listing->count++] = (struct cover_cell){.cell = *cell, .value = value};
}

static void list_cells(const struct saliency *saliency, const struct area *focus, double sign,
                       struct listing *listing)
{
    const int width = focus->x1 - focus->x0, height = focus->y1 - focus->y0;
    for (int y = 0; y < FLIP_GRID; y++)
        for (int x = 0; x < FLIP_GRID; x++) {
            const struct cell cell = {
                .area = {focus->x0 + width * x / FLIP_GRID, focus->y0 + height * y / FLIP_GRID,
                         focus->x0 + width * (x + 1) / FLIP_GRID, focus->y0 + height * (y + 1) / FLIP_GRID}};
            add_cell(listing, &cell, value_of(saliency, &cell.area) * sign);
        }
    for (size_t i = 0; i < saliency->tile_count; i++)
        add_cell(listing, &(struct cell){saliency->tiles[i].area, true}, saliency->tiles[i].effect * sign);
}

/* ---- what flips ---- */

static bool flipped(const struct answer *answer, double goal)
{
    return !answer->stands;
}

/* Once more, from nothing but what is stated. */
static int confirm(const struct scene *scene, struct flip *out, struct err *err)
{
    struct answer answer;
    size_t covered = 0;
    cleanup_free float *keep = mem_zalloc(scene_places(scene), sizeof *keep);
    if (!keep)
        return err_no_memory(err);
    flip_mask(scene, out, keep);
    for (size_t i = 0; i < scene_places(scene); i++)
        covered += keep[i] <= 0;
    out->passes++;
    if (scene->ask(scene->arg, keep, out->fill, &answer, err) < 0)
        return -1;
    out->found = !answer.stands;
    out->after = answer.score;
    out->share = (double)covered / (double)scene_places(scene);
    return 0;
}

static int find_with(const struct scene *scene, const struct listing *listing, enum fill fill,
                     struct flip *out, struct err *err)
{
    struct cover cover = {.scene = scene,
                          .focus = out->focus,
                          .fill = fill,
                          .enough = flipped,
                          .left = FLIP_MAX_PASSES,
                          .cells = listing->cells,
                          .count = listing->count};
    bool found;
    if (cover_find(&cover, &found, err) < 0)
        return -1;
    out->passes += FLIP_MAX_PASSES - cover.left;
    out->fill = fill;
    out->count = 0;
    for (size_t i = 0; found && i < cover.count; i++)
        if (cover.cells[i].covered)
            out->cells[out->count++] = cover.cells[i].cell;
    return found ? confirm(scene, out, err) : 0;
}

int flip_find(const struct scene *scene, const struct saliency *saliency, const struct area *focus,
              bool raise, struct flip *out, struct err *err)
{
    cleanup_free struct cover_cell *cells = mem_zalloc(FLIP_MAX_CELLS, sizeof *cells);
    struct listing listing = {.cells = cells};
    if (!cells)
        return err_no_memory(err);
    *out = (struct flip){.before = saliency->full, .focus = area_empty(focus) ? scene_all(scene) : *focus};
    list_cells(saliency, &out->focus, raise ? -1 : 1, &listing);
    for (int fill = 0; fill < FILLS && !out->found; fill++)
        if (find_with(scene, &listing, (enum fill)fill, out, err) < 0)
            return -1;
    if (!out->found)
        out->count = 0;
    return 0;
}

void flip_mask(const struct scene *scene, const struct flip *flip, float *keep)
{
    cells_mask(scene, &flip->focus, flip->cells, flip->count, keep);
}
