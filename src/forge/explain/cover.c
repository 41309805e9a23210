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

static int ask_first(struct search *search, size_t count, bool *out_enough, struct err *err)
{
    struct cover *cover = search->cover;
    for (size_t i = 0; i < cover->count; i++)
        cover->cells[i].covered = i < count;
    return ask(search, out_enough, &cover->score, err);
}

/* *out_count: of the fewest first cells that are enough; 0: none are. */
static int fewest(struct search *search, size_t *out_count, struct err *err)
{
    struct cover *cover = search->cover;
    size_t low = 0, high = 0; /* `low` are not enough */
    bool enough = false;
    *out_count = 0;
    while (!enough && high < cover->count && cover->left > 0) {
        low = high;
        high = MIN(MAX(2 * high, 1), cover->count);
        if (ask_first(search, high, &enough, err) < 0)
            return -1;
    }
    if (!enough)
        return 0;
    while (high - low > 1 && cover->left > 1) {
        size_t middle = low + (high - low) / 2;
        if (ask_first(search, middle, &enough, err) < 0)
            return -1;
        if (enough)
            high = middle;
        else
            low = middle;
    }
    *out_count = high;
    return ask_first(search, high, &enough, err);
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

int cover_find(struct cover *cover, bool *out_found, struct err *err)
{
    cleanup_search struct search search = {.cover = cover};
    size_t count = 0;
    *out_found = false;
    if (!cover->count)
        return 0;
    search.covered = mem_zalloc(cover->count, sizeof *search.covered);
    search.keep = mem_zalloc(scene_places(cover->scene), sizeof *search.keep);
    if (!search.covered || !search.keep)
        return err_no_memory(err);
    qsort(cover->cells, cover->count, sizeof *cover->cells, by_value);
    if (fewest(&search, &count, err) < 0)
        return -1;
    *out_found = count > 0;
    return count ? prune(&search, count, err) : 0;
}
