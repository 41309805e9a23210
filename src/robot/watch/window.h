/* What one release said in one window, added up, and as points for telemetry (wire/otlp_points.h). Pure; no allocation.
 *
 *   add      a verdict that a model answered: its signals, its labels, its confidences
 *   points   brief: drift of all signals together, alarm; else also each signal's mean, sd and e-value, labels, bins of confidence
 */
#ifndef MUSTER_ROBOT_WATCH_WINDOW_H
#define MUSTER_ROBOT_WATCH_WINDOW_H

#include "robot/ring/ring.h"
#include "stats/drift/drift.h"
#include "stats/labelfree.h"
#include "wire/otlp_points.h"

#include <stdbool.h>
#include <stdint.h>

struct watch_window {
    int64_t start_ms; /* Unix time */
    uint64_t frames, bad_numbers;
    uint64_t count[SIGNALS]; /* finite values */
    double mean[SIGNALS], m2[SIGNALS];
    uint64_t labels[SIGNAL_LABELS], bins[LABELFREE_BINS];
};

struct window_about {    /* whose */
    const char *release; /* "sha256:…" */
    size_t label_count;
    const char (*labels)[32];         /* names */
    const struct drift_report *drift; /* NULL: nobody judges */
};

void window_begin(struct watch_window *window, int64_t start_ms);
void window_add(struct watch_window *window, const struct ring_verdict *verdict);
void window_merge(struct watch_window *into, const struct watch_window *from);
/* Appends to `out` as far as there is room. */
void window_points(const struct watch_window *window, const struct window_about *about, int64_t end_ms,
                   bool brief, struct otlp_points *out);

/* The next free point, filled with what all share; NULL: there is no more room. Value 0. */
struct otlp_point *points_next(struct otlp_points *out, const char *name, const char *unit, int64_t start_ms,
                               int64_t end_ms);

#endif
