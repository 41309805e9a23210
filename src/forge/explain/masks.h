/* Which parts of a frame are covered in one pass: smooth random masks, after Petsiuk, Das, Saenko, "RISE" (2018).
 *
 *     nodes, one per corner of a cell, kept with a probability ─▶ bilinear in between, shifted by a random part of a cell ─▶ keep[place]
 *
 * The same seed gives the same masks everywhere. Pure.
 */
#ifndef MUSTER_FORGE_EXPLAIN_MASKS_H
#define MUSTER_FORGE_EXPLAIN_MASKS_H

#include "forge/explain/scene.h"

#include <stdint.h>

enum { MASK_MAX_CELLS = 64 }; /* in either direction */

uint64_t mask_random(uint64_t *state); /* splitmix64 */
double mask_uniform(uint64_t *state);  /* 0 … below 1 */

/* `keep` of the places in `area` is written, all others are left as they are. cells_x, cells_y: 1 … MASK_MAX_CELLS. */
struct mask_grid {
    struct area area;
    int cells_x, cells_y;
    double share;    /* of the nodes are kept */
    bool rows_apart; /* one cell per row, nothing in between */
};
void mask_smooth(const struct mask_grid *grid, uint64_t *random, int width, float *keep);
void mask_complement(const struct area *area, int width, float *keep); /* 1 - keep, in the area */
void mask_set(const struct area *area, int width, float value, float *keep);

#endif
