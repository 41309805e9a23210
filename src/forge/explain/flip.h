/* The smallest set found of cells whose covering changes the decision (cover.h): a counterfactual, stated only if it was run once more and did. */
#ifndef MUSTER_FORGE_EXPLAIN_FLIP_H
#define MUSTER_FORGE_EXPLAIN_FLIP_H

#include "forge/explain/cover.h"
#include "forge/explain/saliency.h"

enum { FLIP_GRID = 8, FLIP_MAX_CELLS = FLIP_GRID * FLIP_GRID + SALIENCY_MAX_TILES, FLIP_MAX_PASSES = 1000 };

struct flip {
    bool found; /* it flipped when it was run again */
    size_t count;
    struct cell cells[FLIP_MAX_CELLS]; /* of the focus, and tiles of the context */
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
