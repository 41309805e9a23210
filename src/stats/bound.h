/* Exact bounds: they hold for every number of samples, not only for many.
 *
 * Clopper and Pearson (Biometrika 26, 1934) for shares of yes and no; for values anywhere in [0, 1] the capital of a bettor against every
 * smaller mean (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024, hedged capital, one
 * side), which equals Clopper-Pearson where all values are 1. The beta-binomial confidence sequence may be looked at after every sample.
 */
#ifndef MUSTER_STATS_BOUND_H
#define MUSTER_STATS_BOUND_H

#include <stddef.h>
#include <stdint.h>

/* Lower and upper bounds for the share behind k of n, each one-sided at level alpha (0 < alpha < 1); n = 0: 0 and 1. */
double bound_share_lower(uint64_t k, uint64_t n, double alpha);
double bound_share_upper(uint64_t k, uint64_t n, double alpha);
/* For the mean of independent values in [0, 1], in the order they came. */
double bound_mean_lower(const double *values, size_t n, double alpha);
/* Confidence sequence for a share: valid at all times together (prior Beta(1/2, 1/2)). */
void bound_share_anytime(uint64_t k, uint64_t n, double alpha, double *out_lower, double *out_upper);
double bound_incomplete_beta(double a, double b, double x); /* regularised, 0 ≤ x ≤ 1 */

#endif
