/* Why a model said what it said of one frame, from the very artifact that decides, in one go:
 *
 *     subject (subject.h) ─▶ margin to the threshold
 *                         ─▶ map (saliency.h) ─▶ how far it is to be trusted (faith.h) ─▶ smallest covering that changes the decision (flip.h)
 *                         ─▶ what known cases it is like (near.h)
 *                         ─▶ a picture of all that
 */
#ifndef MUSTER_FORGE_EXPLAIN_EXPLAIN_H
#define MUSTER_FORGE_EXPLAIN_EXPLAIN_H

#include "forge/explain/faith.h"
#include "forge/explain/flip.h"
#include "forge/explain/near.h"

#include <math.h>

#define EXPLAIN_STRONGEST ((size_t)-1)

struct explain_how {
    size_t target; /* EXPLAIN_STRONGEST: the first detection, the largest value */
    int passes;    /* of the map */
    uint64_t seed;
    const struct profile *profile;                     /* NULL: no known cases */
    void (*progress)(int done, int passes, void *arg); /* of the map */
    void *progress_arg;
};

struct explanation { /* large: not on the stack */
    size_t target;
    char label[32];
    struct detection box;        /* of a detector */
    double score, limit, margin; /* limit NaN: the largest value wins; margin then: over the second */
    bool stands;                 /* timeseries: the value is not below the limit; else true */
    struct area focus;           /* empty: the whole frame */
    struct saliency saliency;
    struct faith faith;
    struct flip flip;
    struct near near;
    int passes; /* of all */
};

/* The same subject, how and frame give the same explanation in every bit on the same processor and runtime. */
int explain_make(struct subject *subject, const struct explain_how *how, struct explanation **out,
                 struct err *err) must_check;
void explanation_free(struct explanation *explanation);
MUSTER_CLEANUP(struct explanation *, explanation_free)
#define cleanup_explanation __attribute__((cleanup(explanation_freep)))

/* The frame with the map over it (red: for the decision, blue: against it), the box, the context's strongest tile and the cells of the
 * counterfactual; of a series one strip per channel. At least 640 pixels wide. */
int explanation_paint(const struct subject *subject, const struct explanation *explanation,
                      struct picture *out, struct err *err) must_check;

#endif
