/* A frame that a person should look at: what the robot saw and said, and why it was chosen. From muster-watch through the agent to musterd.
 *
 *   "MSAMPLE1"  u32 head bytes  u32 picture bytes  head: JSON  picture: JPEG, or float32 little-endian for frames of floats
 *
 *   {"time_ms", "release": "sha256:…", "seq", "stream", "reason": "audit|unsure|novel|intervention|operator|alarm", "probability": 0.0005,
 *    "width", "height", "rate_hz", "detections": [[label, score, x0, y0, x1, y1], …] or "values": […], "signals": {"luma": …}, "from_ms", "until_ms"}
 *
 * `probability` is that of having been taken for its reason, ≥ SAMPLE_LEAST_PROBABILITY: what makes the estimates of precision and recall unbiased (stats/review.h). 1 for what
 * is always taken.
 */
#ifndef MUSTER_WIRE_SAMPLE_H
#define MUSTER_WIRE_SAMPLE_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "stats/detection.h"
#include "stats/signals.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLE_LEAST_PROBABILITY                                                                             \
    1e-9 /* one over it is a weight: a smaller one would outweigh whatever else was said */
enum {
    SAMPLE_MAX_DETECTIONS = 128,
    SAMPLE_MAX_VALUES = 768,
    SAMPLE_MAX_PICTURE = 200 << 10,
    SAMPLE_MAX_BYTES = 256 << 10
};
enum sample_reason {
    SAMPLE_AUDIT,
    SAMPLE_UNSURE,
    SAMPLE_NOVEL,
    SAMPLE_INTERVENTION,
    SAMPLE_OPERATOR,
    SAMPLE_ALARM,
    SAMPLE_REASONS
};
const char *sample_reason_name(enum sample_reason reason);

struct sample {
    int64_t time_ms, from_ms, until_ms; /* Unix; from and until: of an alarm, else 0 */
    struct digest release;
    uint64_t seq, stream;
    enum sample_reason reason;
    double probability;
    uint32_t width, height; /* frames of floats: height 1 */
    double rate_hz;         /* of a time series; 0 */
    bool is_values;
    uint32_t count;
    struct detection detections[SAMPLE_MAX_DETECTIONS]; /* the first `count`, or values */
    float values[SAMPLE_MAX_VALUES];
    struct frame_signals signals;
    const uint8_t *picture; /* borrowed */
    size_t picture_bytes;
};

int sample_format(const struct sample *sample, struct buf *out, struct err *err) must_check;
int sample_parse(const void *data, size_t len, struct sample *out,
                 struct err *err) must_check; /* picture points into data */

#endif
