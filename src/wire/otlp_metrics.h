/* The table of metrics that otlp_format.c and otlp_parse.c share. Private to wire/. */
#ifndef MUSTER_WIRE_OTLP_METRICS_H
#define MUSTER_WIRE_OTLP_METRICS_H

#include "wire/otlp.h"
#include "wire/otlp_points.h"

enum { OTLP_MAX_BYTES = 1 << 20, OTLP_MAX_WINDOWS = 4, OTLP_DELTA = 1, OTLP_METRICS = 10 };

enum otlp_kind { OTLP_COUNT, OTLP_REAL, OTLP_HISTOGRAM };

struct otlp_metric {
    const char *name, *unit;
    enum otlp_kind kind;
    size_t offset;         /* in struct otlp_window: of a uint64_t (array), double or struct exphist */
    const char *attribute; /* NULL: one number; else one number per word of `values` */
    const char *const *values;
    size_t value_count; /* ≥ 1 */
    bool always;        /* sent even when 0 */
};

extern const struct otlp_metric otlp_metrics[OTLP_METRICS];

static inline uint64_t *otlp_counts(const struct otlp_metric *metric, struct otlp_window *window)
{
    return (uint64_t *)((char *)window + metric->offset);
}
static inline double *otlp_real(const struct otlp_metric *metric, struct otlp_window *window)
{
    return (double *)((char *)window + metric->offset);
}
static inline struct exphist *otlp_histogram(const struct otlp_metric *metric, struct otlp_window *window)
{
    return (struct exphist *)((char *)window + metric->offset);
}

/* What both sides hold to. */
int otlp_check_source(const char *robot, size_t robot_size, const char *stream, uint64_t seq,
                      struct err *err) must_check;
bool otlp_check_point(const struct otlp_point *point); /* can be written and stored */
int otlp_check_window(const struct otlp_window *window, struct err *err) must_check;

#endif
