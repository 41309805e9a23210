/* Which parts of a frame a result hangs on, in score per place, anytime and the same for the same seed.
 *
 *   1. what is there to explain: the score of the whole frame, with the focus covered, with all but the focus covered (by both fills)
 *   2. context: everything outside the focus, by halving where there is an effect
 *          tile ─▶ four tiles; effect of one = ½ (score loses when it is covered + score gains when it alone is uncovered)
 *          best first, down to 1/32 of the frame, as long as a part's effect is worth mentioning
 *   3. focus: pairs of a smooth random mask and its complement, map += (log score(mask) - log score(complement)) * (mask - ½)
 *   4. core: the smallest covering found (cover.h) of small cells of the focus under which the result is gone, by the map so far; what they lose
 *      together is theirs, the rest of the focus shares what is left
 *   5. places of the focus that look like what covers them get less of it, others more (scene.h: contrast)
 *
 * Both parts are in the same unit: the map's sum over the focus is what the score loses without the focus, likewise for a tile. Passes go to
 * context and focus as their effects are. A second pair's mask is what makes the estimate centred: whatever all masks have in common cancels
 * out. Without the first two steps a map of a detector shows where its box is and nothing else.
 */
#ifndef MUSTER_FORGE_EXPLAIN_SALIENCY_H
#define MUSTER_FORGE_EXPLAIN_SALIENCY_H

#include "forge/explain/masks.h"

enum { SALIENCY_MIN_PASSES = 8, SALIENCY_MAX_PASSES = 100000, SALIENCY_MAX_TILES = 1024 };

/* A tile's effect counts from this share of the score on: below it is what covering anything does to any model. */
#define SALIENCY_WORTH 0.05

struct saliency_plan {
    int passes; /* SALIENCY_MIN_PASSES … */
    uint64_t seed;
    struct area focus;                                 /* empty: the whole frame, no context */
    int cells_x, cells_y;                              /* of the focus; 0: 8 */
    void (*progress)(int done, int passes, void *arg); /* NULL: nobody asks */
    void *progress_arg;
};

struct saliency_tile {
    struct area area;
    double effect; /* of the score */
    bool whole;    /* no part of it is worth mentioning alone */
};

struct saliency {
    int width, height, passes; /* passes: what was used */
    bool rows_apart;           /* as the scene says */
    float *map; /* [height][width], owned: score per place; negative: the score is higher without it */
    double full, without_focus, without_context; /* scores */
    enum fill context_fill;                      /* that made the greater difference to the context */
    size_t core_count;                           /* cells of the core; 0: none was found within the passes */
    size_t tile_count;
    struct saliency_tile tiles[SALIENCY_MAX_TILES]; /* of the context, that were not split further */
};

int saliency_make(const struct scene *scene, const struct saliency_plan *plan, struct saliency *out,
                  struct err *err) must_check;
void saliency_fini(struct saliency *saliency);
#define cleanup_saliency __attribute__((cleanup(saliency_fini)))

/* The context's strongest tile if it is worth mentioning; NULL: the result does not hang on the context. */
const struct saliency_tile *saliency_context(const struct saliency *saliency);

#endif
