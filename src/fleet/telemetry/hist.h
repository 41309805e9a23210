/* A histogram as bytes for a table column: little-endian, fixed places.
 *
 *   0 i32 scale   4 i32 offset   8 u32 used   12 u32 0, or 1: with a rest
 *  16 u64 count  24 u64 zero_count   32 f64 sum   40 f64 min   48 f64 max   56 u64 counts[used]   f64 sum_rest, if 1
 */
#ifndef MUSTER_FLEET_TELEMETRY_HIST_H
#define MUSTER_FLEET_TELEMETRY_HIST_H

#include "base/err.h"
#include "stats/exphist.h"

#include <stddef.h>
#include <stdint.h>

enum { HIST_HEAD_BYTES = 56, HIST_MAX_BYTES = HIST_HEAD_BYTES + 8 * EXPHIST_BUCKETS + 8 };

size_t hist_encode(const struct exphist *hist, uint8_t out[HIST_MAX_BYTES]); /* bytes written */
int hist_decode(const uint8_t *data, size_t len, struct exphist *out,
                struct err *err) must_check; /* CORRUPT */

#endif
