/* The smallest set of cells found whose covering changes the decision: a counterfactual, stated only if it was run again and did.
 *
 *     cells of the focus (8 x 8) and tiles of the context, the strongest first ─▶ fewest first ones that flip it
 *       ─▶ each of them uncovered again, the weakest first, where the decision stays flipped without it ─▶ run once more
 *
 * What is left cannot lose any single cell; there may be another set that is smaller.
 */
#ifndef MUSTER_FORGE_EXPLAIN_FLIP_H
#define MUSTER_FORGE_EXPLAIN_FLIP_H

#include "forge/explain/saliency.h"

enum { FLIP_GRID = 8, FLIP_MAX_CELLS = FLIP_GRID * FLIP_GRID + SALIENCY_MAX_TILES };

struct flip_cell {
    struct area area;
    bool context; /* without what it has in common with the focus */
};

struct flip {
    bool found; /* it flipped when it was run again */
    size_t count;
    struct flip_cell cells[FLIP_MAX_CELLS];
    struct area focus;
    enum fill fill;
    double before, after; /* scores */
    double share;         /* of the frame that is covered */
    int passes;
};

/* `focus`: as in the plan of the saliency. `raise`: the decision would change if the score were higher. */
int flip_find(const struct scene *scene, const struct saliency *saliency, const struct area *focus,
              bool raise, struct flip *out, struct err *err) must_check;
/* keep[] as `flip` says it, for whoever wants to see for himself. */
void flip_mask(const struct scene *scene, const struct flip *flip, float *keep);

#endif
