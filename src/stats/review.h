/* What people's verdicts on chosen frames say about all frames: precision, recall, false alarms per hour, with intervals that may be looked at after
 * every verdict (confidence sequences).
 *
 *   precision       verdicts true / (true + false), each by one over its probability      share, peek-safe
 *   recall          found / (found + missed), missed from random audits and from reports    share, peek-safe
 *   false alarms    false verdicts per operating hour                                       rate, gamma-mixture confidence sequence
 *
 * Frames that were all taken with the same probability: beta-binomial (stats/bound.h), else betting on the weighted values (Waudby-Smith and Ramdas,
 * "Estimating means of bounded random variables by betting", 2024): a chosen frame of weight w = 1/probability has E[w·(good - share)] = 0 for the true share
 * of all frames, and w is bounded by 1/least. "unsure" verdicts count for neither; their share is told.
 *
 * `least` is the policy's, not the data's: before the first random audit all that was looked at is what the model was unsure of, and says nearly nothing
 * about all frames. Only the policy knows that there are others.
 */
#ifndef MUSTER_STATS_REVIEW_H
#define MUSTER_STATS_REVIEW_H

#include <stddef.h>
#include <stdint.h>

struct review_estimate {
    double value, low, high; /* NaN: nothing known */
    double evidence;         /* verdicts that count */
};

struct review_verdicts { /* in the order of time */
    size_t count;
    const double *probability; /* [count], in (0, 1] */
    const uint8_t *good;       /* [count] 1 or 0 */
    double
        least; /* the smallest probability that any frame could have been taken with; 0: the smallest of `probability` */
};

/* The share of good ones among all that could have been taken. Verdicts with a probability outside of (0, 1] do not count. */
void review_share(const struct review_verdicts *verdicts, double alpha, struct review_estimate *out);
/* Confidence sequence for the rate behind `events` in `time` (mixture over rates: Gamma(1/2, b) for b = 10⁻⁴ … 10⁵ of the unit of time). */
void review_rate(uint64_t events, double time, double alpha, struct review_estimate *out);

#endif
