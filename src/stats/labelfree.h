/* How good is a model where nobody says what is right? Estimates from its confidence alone, with a light that says whether they may be believed.
 *
 *     DoC  difference of confidences (Guillory et al., 2021): accuracy at home - (mean confidence at home - mean confidence here), fitted
 *     ATC  average thresholded confidence (Garg et al., 2022): share above the threshold that gives the accuracy at home
 *     light grey when the two disagree by more than 5 points, when drift says "novelty" or "model", or when less than 200 samples were seen:
 *     no estimate of this kind can be right under every shift (Garg et al., section 3), so it must be able to say "not known"
 */
#ifndef MUSTER_STATS_LABELFREE_H
#define MUSTER_STATS_LABELFREE_H

#include <stdbool.h>
#include <stdint.h>

enum { LABELFREE_BINS = 64 }; /* of confidence, [0, 1] */

struct
    labelfree_reference { /* from labelled data at pack time; accuracy NaN: there was none, nothing is ever said */
    double accuracy;      /* of what was answered */
    double mean_confidence;
    double atc_threshold;
    double
        slope; /* points of accuracy per point of confidence, from degraded copies of the data; 1: not fitted */
    double reach; /* the lowest mean confidence of copies on which the estimate held; lower here: not known */
    double error; /* largest error of the fit on those copies, 0..1 */
    double bins_accuracy[LABELFREE_BINS]; /* isotonic: accuracy at this confidence */
};

struct labelfree_estimate {
    double accuracy, doc, atc, cbpe; /* 0..1; NaN: not known */
    bool valid;                      /* the light */
    const char *because;             /* why not; static */
};

void labelfree_estimate(const struct labelfree_reference *reference,
                        const uint64_t confidence[LABELFREE_BINS], bool drifted,
                        struct labelfree_estimate *out);

#endif
