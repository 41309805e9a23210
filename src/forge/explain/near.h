/* What calibration frames were like it: the nearest prototypes of the release's profile (wire/profile.h), by the model's own inner features. */
#ifndef MUSTER_FORGE_EXPLAIN_NEAR_H
#define MUSTER_FORGE_EXPLAIN_NEAR_H

#include "forge/explain/subject.h"
#include "infer/novelty.h"

struct near {
    size_t count; /* 0: the release has no tap or no profile, or nobody looks at this place */
    struct {
        uint32_t label;  /* PROFILE_NO_LABEL: background */
        double distance; /* cosine, 0 … 2 */
    } cases[NOVELTY_NEIGHBOURS];
    double distance; /* the mean */
    double p;        /* share of calibration frames that are as far from what was known: small is new */
};

/* Of the subject's target; runs the whole frame once. `profile` NULL: count 0. */
int near_find(struct subject *subject, const struct profile *profile, struct near *out,
              struct err *err) must_check;

#endif
