/* What people's verdicts on chosen frames say about all frames: precision, recall, false alarms per hour, with intervals that may be looked at after
 * every verdict (confidence sequences).
 *
 *   precision       verdicts true / (true + false), each by one over its probability      share, peek-safe
 *   recall          found / (found + missed), missed from random audits and from reports    share, peek-safe
 *   false alarms    false verdicts per operating hour                                       rate, gamma-mixture confidence sequence
 *
 * Frames that were all taken with the same probability: beta-binomial (stats/bound.h), else a betting or empirical Bernstein sequence over the
 * weighted values (Waudby-Smith and Ramdas, 2024), whose weights are bounded by 1 / smallest probability. "unsure" verdicts count for neither; their
 * share is told.
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
};

void review_share(const struct review_verdicts *verdicts, double alpha, struct review_estimate *out);
/* Confidence sequence for the rate behind `events` in `time` (mixture over rates, prior Gamma(1/2, ·)). */
void review_rate(uint64_t events, double time, double alpha, struct review_estimate *out);

#endif
