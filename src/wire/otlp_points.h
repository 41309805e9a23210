/* The other half of what robots tell as OTLP metrics: numbers with a name, beside the windows of otlp.h. Same export, same (muster.stream, muster.seq).
 *
 *     gauge or delta sum  muster.system.cpu.utilization{cpu…}          struct board_sample, mean over the window
 *                         muster.signal{muster.signal, muster.release}  mean of the window's frames; …signal.sd
 *                         muster.drift.log_e{muster.signal | "all" …}   see stats/drift; muster.drift.alarm: enum drift_cause, 0 none
 *                         muster.labels{muster.label, muster.release}   delta sum: detections by label
 *                         muster.confidence.bin{muster.bin, …}          delta sum: 64 bins, only those that are not 0
 *                         muster.battery…, muster.link…
 *
 * At most OTLP_MAX_POINTS in an export; what a robot says beyond its budget of series is summed up by the server as otel.metric.overflow=true.
 */
#ifndef MUSTER_WIRE_OTLP_POINTS_H
#define MUSTER_WIRE_OTLP_POINTS_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { OTLP_MAX_POINTS = 256 };
enum otlp_point_kind { OTLP_GAUGE, OTLP_DELTA_SUM };

struct otlp_point {
    char name[48], unit[16]; /* "muster.signal", "1" */
    enum otlp_point_kind kind;
    char attribute[32], word[48]; /* one attribute of its own: "muster.signal"="luma"; "" none */
    char release[72];             /* "sha256:…" or "" */
    int64_t start_ms, end_ms;     /* Unix time */
    double value;                 /* finite */
};

struct otlp_points {
    char robot[64];
    char stream[33];
    uint64_t seq;
    size_t count;
    struct otlp_point points[OTLP_MAX_POINTS];
};

int otlp_points_format(const struct otlp_points *in, struct buf *out, struct err *err) must_check;
/* Takes what it knows the shape of (gauges and delta sums with at most that one attribute, double or int) and counts the rest in *out_skipped.
 * Values that are not finite are skipped. Errors: INVALID, TOO_BIG as otlp_parse. */
int otlp_points_parse(const uint8_t *data, size_t len, struct otlp_points *out, uint64_t *out_skipped,
                      struct err *err) must_check;

/* ExportMetricsServiceResponse: empty if everything was taken, else how many points were not. Such an export is not to be sent again. */
int otlp_points_answer(uint64_t skipped, struct buf *out, struct err *err) must_check;

#endif
