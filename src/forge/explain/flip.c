#include "forge/explain/flip.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct cell {
    struct flip_cell at;
    double value; /* how much it holds the decision */
    size_t index;
    bool covered;
};

struct search {
    const struct scene *scene;
    struct flip *out;
    float *keep;        /* owned */
    struct cell *cells; /* owned; the strongest first */
    size_t count;
};

static void search_fini(struct search *search)
{
    free(search->keep);
    free(search->cells);
}
#define cleanup_search __attribute__((cleanup(search_fini)))

/* ---- which cells there are ---- */

static double value_of(const struct saliency *saliency, const struct area *area)
{
    double sum = 0;
    for (int y = area->y0; y < area->y1; y++)
        for (int x = area->x0; x < area->x1; x++)
            sum += (double)saliency->map[(size_t)y * (size_t)saliency->width + (size_t)x];
    return sum;
}

static void add_cell(struct search *search, const struct flip_cell *at, double value)
{
    if (area_empty(&at->area) || value <= 0)
        return;
    search->cells[search->count] = (struct cell){.at = *at, .value = value, .index = search->count};
    search->count++;
}

static void add_focus(struct search *search, const struct saliency *saliency, double sign)
{
    const struct area *focus = &search->out->focus;
    const int width = focus->x1 - focus->x0, height = focus->y1 - focus->y0;
    for (int y = 0; y < FLIP_GRID; y++)
        for (int x = 0; x < FLIP_GRID; x++) {
            const struct flip_cell cell = {
                .area = {focus->x0 + width * x / FLIP_GRID, focus->y0 + height * y / FLIP_GRID,
                         focus->x0 + width * (x + 1) / FLIP_GRID, focus->y0 + height * (y + 1) / FLIP_GRID}};
            add_cell(search, &cell, value_of(saliency, &cell.area) * sign);
        }
}

static void add_context(struct search *search, const struct saliency *saliency, double sign)
{
    for (size_t i = 0; i < saliency->tile_count; i++)
        add_cell(search, &(struct flip_cell){saliency->tiles[i].area, true},
                 saliency->tiles[i].effect * sign);
}

static int by_value(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* ---- what flips ---- */

/* As it will be stated. */
static void list_covered(struct search *search)
{
    search->out->count = 0;
    for (size_t i = 0; i < search->count; i++)
        if (search->cells[i].covered)
            search->out->cells[search->out->count++] = search->cells[i].at;
}

static int ask(struct search *search, bool *out_flips, struct err *err)
{
    struct answer answer;
    list_covered(search);
    flip_mask(search->scene, search->out, search->keep);
    search->out->passes++;
    if (search->scene->ask(search->scene->arg, search->keep, search->out->fill, &answer, err) < 0)
        return -1;
    *out_flips = !answer.stands;
    return 0;
}

static int ask_first(struct search *search, size_t count, bool *out_flips, struct err *err)
{
    for (size_t i = 0; i < search->count; i++)
        search->cells[i].covered = i < count;
    return ask(search, out_flips, err);
}

/* The fewest first cells that flip it, by doubling and halving; *out_count 0: not even all of them do. */
static int fewest(struct search *search, size_t *out_count, struct err *err)
{
    size_t low = 0, high = 1; /* `low` does not flip */
    bool flips;
    for (;; high *= 2) {
        high = MIN(high, search->count);
        if (ask_first(search, high, &flips, err) < 0)
            return -1;
        if (flips)
            break;
        low = high;
        if (high == search->count) {
            *out_count = 0;
            return 0;
        }
    }
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (ask_first(search, middle, &flips, err) < 0)
            return -1;
        if (flips)
            high = middle;
        else
            low = middle;
    }
    *out_count = high;
    return ask_first(search, high, &flips, err);
}

static int prune(struct search *search, size_t count, struct err *err)
{
    for (size_t i = count; i-- > 0;) {
        bool flips;
        search->cells[i].covered = false;
        if (ask(search, &flips, err) < 0)
            return -1;
        search->cells[i].covered = !flips;
    }
    return 0;
}

/* Once more, from nothing but what is stated. */
static int confirm(struct search *search, struct err *err)
{
    struct flip *out = search->out;
    struct answer answer;
    size_t covered = 0;
    list_covered(search);
    flip_mask(search->scene, out, search->keep);
    for (size_t i = 0; i < scene_places(search->scene); i++)
        covered += search->keep[i] <= 0;
    out->passes++;
    if (search->scene->ask(search->scene->arg, search->keep, out->fill, &answer, err) < 0)
        return -1;
    out->found = !answer.stands;
    out->after = answer.score;
    out->share = (double)covered / (double)scene_places(search->scene);
    return 0;
}

static int find_with(struct search *search, enum fill fill, struct err *err)
{
    size_t count = 0;
    search->out->fill = fill;
    if (fewest(search, &count, err) < 0)
        return -1;
    if (!count)
        return 0;
    if (prune(search, count, err) < 0)
        return -1;
    return confirm(search, err);
}

int flip_find(const struct scene *scene, const struct saliency *saliency, const struct area *focus,
              bool raise, struct flip *out, struct err *err)
{
    cleanup_search struct search search = {.scene = scene, .out = out};
    *out = (struct flip){.before = saliency->full, .focus = area_empty(focus) ? scene_all(scene) : *focus};
    search.keep = mem_zalloc(scene_places(scene), sizeof(float));
    search.cells = mem_zalloc(FLIP_MAX_CELLS, sizeof *search.cells);
    if (!search.keep || !search.cells)
        return err_no_memory(err);
    add_focus(&search, saliency, raise ? -1 : 1);
    add_context(&search, saliency, raise ? -1 : 1);
    if (!search.count)
        return 0;
    qsort(search.cells, search.count, sizeof *search.cells, by_value);
    for (int fill = 0; fill < FILLS && !out->found; fill++)
        if (find_with(&search, (enum fill)fill, err) < 0)
            return -1;
    if (!out->found)
        out->count = 0;
    return 0;
}

static void cover(const struct scene *scene, const struct flip *flip, bool context, float *keep)
{
    for (size_t i = 0; i < flip->count; i++)
        if (flip->cells[i].context == context)
            mask_set(&flip->cells[i].area, scene->width, 0, keep);
}

void flip_mask(const struct scene *scene, const struct flip *flip, float *keep)
{
    const struct area all = scene_all(scene);
    mask_set(&all, scene->width, 1, keep);
    cover(scene, flip, true, keep);
    mask_set(&flip->focus, scene->width, 1, keep);
    cover(scene, flip, false, keep);
}
