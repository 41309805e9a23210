/* The arithmetic of observing: range and moments, then counts in bins. Pure; sums go in a fixed order, so equal numbers give equal bits. */
#ifndef MUSTER_FORGE_CALIB_TALLY_H
#define MUSTER_FORGE_CALIB_TALLY_H

#include <stddef.h>
#include <stdint.h>

enum { TALLY_BINS = 2048 };

struct tally {
    float min, max; /* of the finite ones; nothing seen: 0 */
    double sum, sum_square;
    uint64_t count;  /* finite ones */
    uint64_t broken; /* NaN, infinite */
};

void tally_add(struct tally *tally, const float *values, size_t count);

/* Counts the finite values of [min, max] into equal widths; what lies outside goes to the end bins. All into the first where min == max. */
void tally_count(uint64_t bins[TALLY_BINS], float min, float max, const float *values, size_t count);

#endif
