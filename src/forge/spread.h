/* Durations as a distribution: collect, then ask for quantiles. */
#ifndef MUSTER_FORGE_SPREAD_H
#define MUSTER_FORGE_SPREAD_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct spread {
    size_t count, cap;
    int64_t *values_ns; /* owned */
};

int spread_add(struct spread *spread, int64_t value_ns, struct err *err) must_check;
void spread_fini(struct spread *spread);
#define cleanup_spread __attribute__((cleanup(spread_fini)))

/* What a quantile's true value lies between, with 95 % confidence whatever the distribution (stats/order.h), in ms; NaN on a side that so few
 * values cannot bound. Sorts. */
void spread_bounds_ms(struct spread *spread, double share, double *out_low, double *out_high);

/* The smallest value that at least `share` (0..1) of the values do not exceed, in ms; 0 if there are none.
 * Sorts. */
double spread_quantile_ms(struct spread *spread, double share);

#endif
