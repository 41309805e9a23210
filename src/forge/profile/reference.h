/* One signal over the calibration frames: what is ordinary, how much it wanders, how long it remembers. Pure. Private to this room. */
#ifndef MUSTER_FORGE_PROFILE_REFERENCE_H
#define MUSTER_FORGE_PROFILE_REFERENCE_H

#include "stats/drift/drift.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order of the frames; NaN where there is no value. */
struct reference_series {
    const float *values;
    const uint32_t *sequence; /* of each frame: memory does not reach over its end */
    size_t count;
};

/* Integrated autocorrelation time in frames, at least 1: 1 + 2 Σ ρ(k), up to a lag of 5 of itself (Sokal, "Monte Carlo methods in statistical mechanics", 1997). */
double reference_memory(const struct reference_series *series);

/* `memory` 0: measured; else taken as said. Less than 30 values: sd 0, not watched. tolerance: what the mean of so many, so dependent frames is unsure of
 * (2 standard errors), and how far eighths of the calibration lie apart; at most half an sd, so that a drift of 0.8 sd stays one. Scratch: `sorted`
 * holds `count` floats. */
void reference_of(const struct reference_series *series, double memory, float *sorted,
                  struct drift_reference *out);

#endif
