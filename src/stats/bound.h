/* Exact bounds: they hold for every number of samples, not only for many.
 *
 *     yes and no          Clopper and Pearson (Biometrika 26, 1934)
 *     values in [0, 1]    one test against every smaller mean m; it says no if either of these is large:
 *                             their product:  ∏ xᵢ / mⁿ ≥ 2 / alpha                     (all of a bettor's capital on every value: sharp for values
 *                                                                                        that are nearly alike)
 *                             their sum:      ∑ xᵢ ≥ h + 1/c                            (Bentkus, Ann. Probab. 32, 2004: sharp for values that are
 *                                                                                        nearly all 0 or 1)
 *                         max(c·(∑ xᵢ - h)₊, alpha/2·∏ xᵢ/mⁿ) is convex in every xᵢ, so its mean is largest for coins of mean m (Hoeffding 1963);
 *                         c is chosen such that it is alpha there: then the test is wrong with at most alpha (Markov), whatever the
 *                         distribution. Where all values are 1 it is Clopper and Pearson's, to the last digit. The order does not matter.
 *     at any time         beta-binomial confidence sequence: may be looked at after every sample
 */
#ifndef MUSTER_STATS_BOUND_H
#define MUSTER_STATS_BOUND_H

#include <stddef.h>
#include <stdint.h>

/* Lower and upper bounds for the share behind k of n, each one-sided at level alpha (0 < alpha < 1); n = 0: 0 and 1. */
double bound_share_lower(uint64_t k, uint64_t n, double alpha);
double bound_share_upper(uint64_t k, uint64_t n, double alpha);
/* For the mean of independent values in [0, 1]; what lies outside is cut off, NaN counts 0. */
double bound_mean_lower(const double *values, size_t n, double alpha);
/* Confidence sequence for a share: valid at all times together (prior Beta(1/2, 1/2)). */
void bound_share_anytime(uint64_t k, uint64_t n, double alpha, double *out_lower, double *out_upper);
/* How many samples that are all right it takes to prove a share of at least `share` (0 < share < 1). */
uint64_t bound_samples_needed(double share, double alpha);
double bound_incomplete_beta(double a, double b, double x); /* regularised, 0 ≤ x ≤ 1 */

#endif
