/* Prometheus remote write 1.0 (prometheus.WriteRequest), sending side: one sample after the other into a buffer, which then is the request.
 *
 *     WriteRequest  1 TimeSeries { 1 Label { 1 name  2 value } …, by name   2 Sample { 1 double value  2 int64 Unix time in ms } } …
 *
 * Its compressed form (snappy's block format) is fleet/remote's business.
 */
#ifndef MUSTER_WIRE_REMOTE_WRITE_H
#define MUSTER_WIRE_REMOTE_WRITE_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { REMOTE_MAX_LABELS = 8 };

struct remote_label {
    const char *name, *value; /* "__name__" is the metric; empty values are left out, as Prometheus has it */
};

/* Appends a TimeSeries with one sample. `labels` may come in any order, each name once. Errors: TOO_BIG (then nothing is appended), INVALID. */
int remote_write_sample(struct buf *out, const struct remote_label *labels, size_t count, double value,
                        int64_t time_ms, struct err *err) must_check;

#endif
