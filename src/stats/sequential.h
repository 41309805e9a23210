/* Tests that may be looked at after every single observation without losing their error rate.
 *
 * A threshold rule ("stop when failures ≥ 5 % of at least 20") that is looked at again and again stops 41 %
 * of healthy rollouts. An e-process does not: under the null hypothesis the chance that it EVER exceeds
 * 1/alpha is at most alpha (Ville's inequality; Ramdas et al., "Game-theoretic statistics and safe
 * anytime-valid inference", 2023).
 */
#ifndef MUSTER_STATS_SEQUENTIAL_H
#define MUSTER_STATS_SEQUENTIAL_H

#include <stdbool.h>
#include <stdint.h>

/* log of the mixture likelihood ratio for k bad of n against "the share is at most limit" (0 < limit < 1),
 * over a grid of alternatives above the limit. Depends on counts only, so it can be recomputed at any time.
 */
double sequential_log_e(uint64_t bad, uint64_t total, double limit);

/* True if the data refute "the share is at most limit" at level alpha (0 < alpha < 1). */
bool sequential_exceeds(uint64_t bad, uint64_t total, double limit, double alpha);

#endif
