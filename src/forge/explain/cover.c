#include "forge/explain/cover.h"

#include "base/mem.h"
#include "forge/explain/masks.h"

#include <stdlib.h>

static void cover_kind(const struct scene *scene, const struct cell *cells, size_t count, bool context,
                       float *keep)
{
    for (size_t i = 0; i < count; i++)
        if (cells[i].context == context)
            mask_set(&cells[i].area, scene->width, 0, keep);
}

void cells_mask(const struct scene *scene, const struct area *focus, const struct cell *cells, size_t count,
                float *keep)
{
    const struct area all = scene_all(scene);
    mask_set(&all, scene->width, 1, keep);
    cover_kind(scene, cells, count, true, keep);
    mask_set(focus, scene->width, 1, keep);
    cover_kind(scene, cells, count, false, keep);
}

struct search {
    struct cover *cover;
    struct cell *covered; /* owned, as keep */
    float *keep;
};

static void search_fini(struct search *search)
{
    free(search->covered);
    free(search->keep);
}
#define cleanup_search __attribute__((cleanup(search_fini)))

static int ask(struct search *search, bool *out_enough, double *out_score, struct err *err)
{
    struct cover *cover = search->cover;
    struct answer answer;
    size_t count = 0;
    for (size_t i = 0; i < cover->count; i++)
        if (cover->cells[i].covered)
            search->covered[count++] = cover->cells[i].cell;
    cells_mask(cover->scene, &cover->focus, search->covered, count, search->keep);
    cover->left--;
    if (cover->scene->ask(cover->scene->arg, search->keep, cover->fill, &answer, err) < 0)
        return -1;
    *out_enough = cover->enough(&answer, cover->goal);
    *out_score = answer.score;
    return 0;
}

static int ask_first(struct search *search, size_t count, bool *out_enough, double *out_score,
                     struct err *err)
{
    struct cover *cover = search->cover;
    for (size_t i = 0; i < cover->count; i++)
        cover->cells[i].covered = i < count;
    return ask(search, out_enough, out_score, err);
}

/* Doubling: *high are enough, *low are not; *high 0: none are. */
static int gallop(struct search *search, size_t *low, size_t *high, struct err *err)
{
    struct cover *cover = search->cover;
    bool enough = false;
    *low = *high = 0;
    while (!enough && *high < cover->count && cover->left > 0) {
        *low = *high;
        *high = MIN(MAX(2 * *high, 1), cover->count);
        if (ask_first(search, *high, &enough, &cover->score, err) < 0)
            return -1;
    }
    if (!enough)
        *high = 0;
    return 0;
}

/* *out_count: of the fewest first cells that are enough; 0: none are. */
static int fewest(struct search *search, size_t *out_count, struct err *err)
{
    struct cover *cover = search->cover;
    size_t low, high;
    if (gallop(search, &low, &high, err) < 0)
        return -1;
    while (high > low + 1 && cover->left > 0) {
        const size_t middle = low + (high - low) / 2;
        bool enough;
        double score;
        if (ask_first(search, middle, &enough, &score, err) < 0)
            return -1;
        if (enough) {
            high = middle;
            cover->score = score;
        } else {
            low = middle;
        }
    }
    for (size_t i = 0; i < cover->count; i++)
        cover->cells[i].covered = i < high;
    *out_count = high;
    return 0;
}

static int prune(struct search *search, size_t count, struct err *err)
{
    struct cover *cover = search->cover;
    for (size_t i = count; i-- > 0 && cover->left > 0;) {
        bool enough;
        double score;
        cover->cells[i].covered = false;
        if (ask(search, &enough, &score, err) < 0)
            return -1;
        cover->cells[i].covered = !enough;
        cover->cells[i].loss = score - cover->score;
        if (enough)
            cover->score = score;
    }
    return 0;
}

static int by_value(const void *a, const void *b)
{
    const struct cover_cell *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    const struct area *p = &x->cell.area, *q = &y->cell.area; /* no two cells begin at the same place */
    if (p->y0 != q->y0)
        return p->y0 < q->y0 ? -1 : 1;
    return (p->x0 > q->x0) - (p->x0 < q->x0);
}

static int open_search(struct search *search, size_t count, struct err *err)
{
    search->covered = mem_zalloc(count, sizeof *search->covered);
    search->keep = mem_zalloc(scene_places(search->cover->scene), sizeof *search->keep);
    return search->covered && search->keep ? 0 : err_no_memory(err);
}

int cover_find(struct cover *cover, bool *out_found, struct err *err)
{
    cleanup_search struct search search = {.cover = cover};
    size_t count = 0;
    *out_found = false;
    if (!cover->count)
        return 0;
    if (open_search(&search, cover->count, err) < 0)
        return -1;
    qsort(cover->cells, cover->count, sizeof *cover->cells, by_value);
    if (fewest(&search, &count, err) < 0)
        return -1;
    *out_found = count > 0;
    return count ? prune(&search, count, err) : 0;
}

/* ---- finer ---- */

/* The covered ones to the front; how many. */
static size_t gather(struct cover *cover)
{
    size_t count = 0;
    for (size_t i = 0; i < cover->count; i++)
        if (cover->cells[i].covered)
            cover->cells[count++] = cover->cells[i];
    return count;
}

int cover_refine(struct cover *cover, size_t room, struct err *err)
{
    cleanup_search struct search search = {.cover = cover};
    const size_t count = gather(cover);
    cover->count = count;
    if (!count || 4 * count > room)
        return 0;
    cleanup_free struct cover_cell *whole = mem_dup(cover->cells, count * sizeof *whole);
    if (!whole || open_search(&search, 4 * count, err) < 0)
        return err_no_memory(err);
    cover->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct area parts[4];
        const size_t parts_count = area_quarter(&whole[i].cell.area, parts);
        for (size_t k = 0; k < parts_count; k++) {
            cover->cells[cover->count] = whole[i];
            cover->cells[cover->count].cell.area = parts[k];
            cover->cells[cover->count++].loss = whole[i].loss / (double)parts_count;
        }
    }
    return prune(&search, cover->count, err);
}
