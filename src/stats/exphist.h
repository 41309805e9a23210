/* Exponential histogram (OpenTelemetry data model, "ExponentialHistogram"): relative-error buckets that merge
 * exactly.
 *
 * base = 2^(2^-scale); bucket i counts values in (base^i, base^(i+1)]. At most EXPHIST_BUCKETS buckets; when
 * the range needs more, the scale shrinks (two neighbours become one), which loses resolution but never a
 * count. Invariants: count = zero_count + sum of buckets.
 * Values ≤ 0 count as zero; NaN and infinities are ignored (and return false).
 *
 * Merging is commutative and associative in every bit, the sum too: values are summed up as multiples of 2^-24 (of a millisecond: 60 ps) in 128 bits,
 * and `sum` + `sum_rest` is that total exactly. `sum` alone is the total rounded once; up to 2^29 it is exact by itself, so that what went over
 * the wire as one double still merges exactly.
 */
#ifndef MUSTER_STATS_EXPHIST_H
#define MUSTER_STATS_EXPHIST_H

#include <stdbool.h>
#include <stdint.h>

enum { EXPHIST_BUCKETS = 160, EXPHIST_MAX_SCALE = 20, EXPHIST_MIN_SCALE = -10 };

struct exphist {
    int32_t scale;
    int32_t offset; /* index of counts[0] */
    uint32_t used;  /* buckets in use: counts[0..used) */
    uint64_t count, zero_count;
    double sum, min, max; /* min and max are 0 while count is 0 */
    double sum_rest;      /* what of the exact sum `sum` has no room for; 0 in most */
    uint64_t counts[EXPHIST_BUCKETS];
};

void exphist_init(struct exphist *hist);
bool exphist_add(struct exphist *hist, double value, uint64_t times);
void exphist_merge(struct exphist *into, const struct exphist *from);
/* The value below which a share q (0..1) of the values lies: upper edge of its bucket, clamped to [min, max];
 * 0 if empty. */
double exphist_quantile(const struct exphist *hist, double q);
/* Share of values above the limit, 0..1 (bucket resolution; 0 if empty). */
double exphist_share_above(const struct exphist *hist, double limit);
uint64_t exphist_count_above(const struct exphist *hist, double limit);
bool exphist_valid(const struct exphist *hist); /* the invariants hold: for decoded ones */

#endif
