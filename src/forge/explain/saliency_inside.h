/* A map in the making. Private to saliency*.c. */
#ifndef MUSTER_FORGE_EXPLAIN_SALIENCY_INSIDE_H
#define MUSTER_FORGE_EXPLAIN_SALIENCY_INSIDE_H

#include "forge/explain/saliency.h"

struct making {
    const struct scene *scene;
    const struct saliency_plan *plan;
    struct saliency *out;
    float *keep; /* owned, as all that follow */
    double *sum; /* of the focus */
    struct area focus;
    int left; /* passes */
    uint64_t random;
};

/* One pass with making->keep. */
int making_pass(struct making *making, enum fill fill, double *out, struct err *err) must_check;
void making_cover(struct making *making, const struct area *area, float keep);
void making_cover_all(struct making *making, float keep);

/* Quarters where there is an effect, within `passes`. */
int saliency_search_context(struct making *making, int passes, struct err *err) must_check;

/* How many passes are to be left for it; 0: there is none to be found. */
int saliency_core_passes(const struct making *making);
/* Takes the map so far, and what is left of the passes. */
int saliency_search_core(struct making *making, struct err *err) must_check;

#endif
