/* Drift over a fleet. What robots send are e-values (log10 M of each); sums of them stay e-values, whatever depends on what.
 *
 *     all robots ─▶ average of M ≥ budget: something common (a new product in all warehouses, a season)      power in many small shifts
 *     one robot  ─▶ e-BH (Wang and Ramdas, 2022) over the robots: which ones, at a rate of false discoveries
 */
#ifndef MUSTER_STATS_DRIFT_FLEET_H
#define MUSTER_STATS_DRIFT_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* log10 of the mean of 10^logs; NaN entries are left out. -INFINITY without any. */
double fleet_drift_average(const double *log10_e, size_t count);
/* Likewise, but no robot counts for more than arl / share: it reaches log10(arl) only if at least that share of the robots speaks for it. One robot that is
 * broken alone lifts the plain average as high as it likes. */
double fleet_drift_common(const double *log10_e, size_t count, double arl, double share);
/* e-BH at false discovery rate q: writes the indices found, largest first; returns how many. order: scratch of `count`. What is compared is M / arl: of
 * a robot that has been judged for at most arl blocks without drift its mean is at most 1. */
size_t fleet_drift_point(const double *log10_e, size_t count, double q, double arl, size_t *order);

#endif
