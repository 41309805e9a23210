/* How far a map is to be trusted: whatever it says matters most is covered first (deletion), or uncovered first (insertion); the score is
 * watched. Areas under the curves over the share of the frame, relative to the score of the whole frame: a good map makes deletion
 * fall at once (0) and insertion rise at once (1).
 *
 *     worth = half of   1 - deletion / deletion in random order   +   (insertion - random's) / (1 - random's)          each within 0 … 1
 *
 * Random order: tiles of 1/16 of the frame, since single places at random would disturb any model.
 */
#ifndef MUSTER_FORGE_EXPLAIN_FAITH_H
#define MUSTER_FORGE_EXPLAIN_FAITH_H

#include "forge/explain/scene.h"

#include <stdint.h>

enum { FAITH_MAX_STEPS = 64 };
#define FAITH_LOW 0.5 /* below it: do not trust the map */

struct faith_steps { /* shares of the frame, ascending, from 0 to 1 */
    size_t count;
    double share[FAITH_MAX_STEPS];
};
extern const struct faith_steps faith_quick; /* 12 */
void faith_fine(struct faith_steps *out);    /* 52, for measuring methods against each other */

enum faith_kind { FAITH_DELETION, FAITH_INSERTION };

/* `map`: scene_places; `full`: the score of the whole frame. One pass per step. */
int faith_curve(const struct scene *scene, const float *map, double full, enum faith_kind kind,
                const struct faith_steps *steps, double *out_auc, struct err *err) must_check;
/* A map that means nothing, of the same grain as others: owned; NULL: out of memory. */
float *faith_random_map(const struct scene *scene, uint64_t seed);

struct faith {
    double deletion, insertion, random_deletion, random_insertion;
    double worth; /* 0 … 1 */
    int passes;
};
int faith_judge(const struct scene *scene, const float *map, double full, uint64_t seed, struct faith *out,
                struct err *err) must_check;

#endif
