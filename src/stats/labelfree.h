/* How good is a model where nobody says what is right? Estimates from its confidence alone, with a light that says whether they may be believed.
 *
 *     at pack time   labelled data, and copies of them as a worse camera would have made them (blurred, dark, grainy) ─▶ labelfree_fit
 *     on the fleet   how often which confidence was seen ─▶ labelfree_estimate
 *
 *     CBPE  mean of the accuracy at each confidence, which is isotonic over the copies within reach. This is the estimate
 *     DoC   difference of confidences (Guillory et al., 2021): accuracy at home - slope · (mean confidence at home - mean confidence here)
 *     ATC   average thresholded confidence (Garg et al., 2022): by the share above the threshold that gives the accuracy at home; its slope is fitted too,
 *           since without that it was off by 40 points on grainy pictures. Shown, not believed
 *
 *     light  grey when less than LABELFREE_MIN answers were seen; when drift says "novelty" or "model"; when the mean confidence is below that of every copy
 *            on which the estimate held (reach); when DoC and CBPE disagree by more than 5 points. No estimate of this kind can be right under every shift
 *            (Garg et al., section 3), so it must be able to say "not known".
 *
 * Why CBPE and not DoC: with a thousand labelled samples both come from the same copies, but a slope hangs on the few differences of their means, and an accuracy
 * at each confidence on all of their answers (docs/accuracy.md has the figures).
 *
 * Pure. Confidence is in LABELFREE_BINS equal bins over [0, 1]; 1 belongs to the last one.
 */
#ifndef MUSTER_STATS_LABELFREE_H
#define MUSTER_STATS_LABELFREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LABELFREE_BINS = 64, LABELFREE_MIN = 200 }; /* LABELFREE_MIN: answers without which nothing is said */
#define LABELFREE_FIT_ERROR                                                                                  \
    0.02 /* of the estimate on copies within reach, beyond one standard error, at most */
#define LABELFREE_DISAGREEMENT 0.05 /* of two estimates that are both believed, at most */

struct labelfree_reference { /* accuracy NaN: there were no labels, nothing is ever said */
    double accuracy;         /* of what was answered: of classes, or of detections (their precision) */
    double mean_confidence;
    double slope;                    /* DoC: points of accuracy per point of confidence */
    double atc_threshold, atc_slope; /* ATC: points of accuracy per point of share above the threshold */
    double reach;                    /* the lowest mean confidence of copies on which the estimate held */
    double error;                    /* its largest error on those, 0..1 */
    double bins_accuracy[LABELFREE_BINS]; /* CBPE */
};

/* One copy of the labelled data: how many answers of each confidence there were, and how many of them were right. */
struct labelfree_copy {
    uint64_t all[LABELFREE_BINS], right[LABELFREE_BINS];
};

size_t labelfree_bin(double confidence); /* NaN and what is outside: the nearest end */
void labelfree_add(struct labelfree_copy *copy, double confidence, bool right);

/* copies[0] is the data as they are. Fewer than LABELFREE_MIN answers there: accuracy NaN. One copy alone: slopes 1, and no reach beyond home. */
void labelfree_fit(const struct labelfree_copy *copies, size_t count, struct labelfree_reference *out);

struct labelfree_estimate {
    double accuracy, doc, atc,
        cbpe;            /* 0..1; NaN: not known. accuracy is cbpe, also while the light is grey */
    uint64_t answers;    /* seen */
    bool valid;          /* the light */
    const char *because; /* why it is grey; static; NULL while valid */
};

void labelfree_estimate(const struct labelfree_reference *reference,
                        const uint64_t confidence[LABELFREE_BINS], bool drifted,
                        struct labelfree_estimate *out);

#endif
