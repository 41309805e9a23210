/* The smallest set found of cells whose covering is enough for something: that a decision changes (flip.h), that a result is gone (saliency.h).
 *
 *     cells, the strongest first ─▶ fewest first ones that are enough (doubling, then halving) ─▶ each of them uncovered again, the weakest
 *     first, and left so where the others are still enough
 *
 * What is left cannot lose any single cell, if the passes sufficed; there may be another set that is smaller.
 */
#ifndef MUSTER_FORGE_EXPLAIN_COVER_H
#define MUSTER_FORGE_EXPLAIN_COVER_H

#include "forge/explain/scene.h"

struct cell {
    struct area area;
    bool context; /* without what it has in common with the focus */
};

/* keep[]: all but these cells. */
void cells_mask(const struct scene *scene, const struct area *focus, const struct cell *cells, size_t count,
                float *keep);

struct cover_cell {
    struct cell cell;
    double value; /* how strong it is thought to be; the cells of equal value: rows from the top */
    bool covered; /* out */
    double
        loss; /* out: how much higher the score was when it alone of the set was uncovered; 0: nobody asked */
};

struct cover {
    const struct scene *scene;
    struct area focus;
    enum fill fill;
    bool (*enough)(const struct answer *answer, double goal);
    double goal;
    int left;                 /* passes; counted down */
    struct cover_cell *cells; /* borrowed; sorted here */
    size_t count;
    double score; /* out: with the set covered */
};

/* *out_found false: not even all cells are enough, or the passes did not suffice. */
int cover_find(struct cover *cover, bool *out_found, struct err *err) must_check;

/* The set that was found, finer: quarters of its cells in place of all cells. Of them those are left out again that are not needed, as long
 * as passes are left. `cells` has room for `room`; where that does not suffice nothing is done. */
int cover_refine(struct cover *cover, size_t room, struct err *err) must_check;

#endif
