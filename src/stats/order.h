/* Quantiles of a distribution that nobody knows, with bounds that hold for every distribution: between which two of the sorted observations the
 * true quantile lies (order statistics; the number of observations below it is binomial. Conover, "Practical Nonparametric Statistics"). */
#ifndef MUSTER_STATS_ORDER_H
#define MUSTER_STATS_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ranks low and high, 0-based, so that sorted[low] ≤ q-quantile ≤ sorted[high] with confidence of at least 1 - alpha. A side that so few
 * observations cannot bound is -1 and `count`. 0 < q < 1, 0 < alpha < 1. */
void order_bounds(size_t count, double q, double alpha, ptrdiff_t *out_low, ptrdiff_t *out_high);

/* P(X ≤ k) for X ~ Binomial(n, p). */
double order_binomial(size_t k, size_t n, double p);

/* The rate behind `events` in `time`, two-sided at level alpha (Garwood, Biometrika 28, 1936): exact for a Poisson process. */
void order_rate_bounds(uint64_t events, double time, double alpha, double *out_low, double *out_high);

#endif
