/* Numbers that robots tell over time (wire/otlp_points.h): who said what, when, bounded whatever they say.
 *
 *     point ──▶ series (robot, name, attribute, release) ──▶ last value
 *                                                       ├──▶ minutes: a ring of two hours, in memory
 *                                                       └──▶ hours: count, sum, least, most; handed to series_flush, kept by hours.h
 *
 * - A gauge's window is the mean of what fell into it; a delta sum's is the sum.
 * - Points may come in any order and late: each goes to its place in time. What is older than the ring goes to its hour only; what is older than
 *   SERIES_KEEP_HOURS is counted and left out. Times more than SERIES_AHEAD_MS ahead (a robot's clock jumped) are taken as now, and counted.
 * - An export is applied once by (stream, seq), also if the transaction around it failed and it comes again.
 * - A robot has at most SERIES_PER_ROBOT series (two watched releases of some 130 and a machine of some 60 are 320), the fleet SERIES_MAX. What is beyond is counted in a series of its own, SERIES_OVERFLOW_NAME with
 *   otel.metric.overflow=true; one that was silent for two hours makes room.
 * Nothing a gate decides on is here: windows (wire/otlp.h) are in the store. A server that dies loses the minutes, and hours not yet flushed.
 */
#ifndef MUSTER_FLEET_SERIES_SERIES_H
#define MUSTER_FLEET_SERIES_SERIES_H

#include "base/err.h"
#include "base/mem.h"
#include "wire/otlp_points.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SERIES_PER_ROBOT = 400, SERIES_MAX = 200000, SERIES_MINUTES = 120, SERIES_KEEP_HOURS = 90 * 24 };
enum { SERIES_AHEAD_MS = 600000, SERIES_OPEN_HOURS = 4 };
#define SERIES_OVERFLOW_NAME "muster.series.overflow"

struct series_minute {
    uint32_t minute; /* since 1970 */
    float sum, weight;
};

struct series_hour { /* what came since the last flush */
    uint32_t hour;
    double sum, weight, least, most;
};

struct series {
    char robot[64];
    char name[48], unit[16];
    char attribute[32], word[48]; /* "" none */
    char release[72];             /* "" none */
    enum otlp_point_kind kind;
    int64_t last_ms;   /* end of the newest point */
    int64_t heard_ms;  /* when the server last heard of it */
    double last;       /* gauges: newest value; sums: the newest delta */
    double total;      /* sums: all since this server knows it */
    int64_t stored_id; /* for hours.h; 0: not yet */
    uint64_t hash;
    size_t minute_count, minute_space;
    struct series_minute *minutes; /* by time */
    size_t hour_count;
    struct series_hour hours[SERIES_OPEN_HOURS];
};

struct series_counters {
    uint64_t points, overflowed, too_old, moved, skipped; /* skipped: of a shape that is not taken */
};

struct series_set;

int series_new(struct series_set **out, struct err *err) must_check;
void series_free(struct series_set *set);
MUSTER_CLEANUP(struct series_set *, series_free)
#define cleanup_series __attribute__((cleanup(series_freep)))

/* `robot` is whose certificate it came with. *out_new_overflow: this robot is over its number of series, and was not when the server started. */
int series_apply(struct series_set *set, const char *robot, const struct otlp_points *points, int64_t now_ms,
                 bool *out_new_overflow, struct err *err) must_check;

/* Series of a robot (NULL: all, by robot) with that name (NULL: all). Returns non-zero from `visit` to stop. Borrowed. */
void series_each(struct series_set *set, const char *robot, const char *name,
                 int (*visit)(struct series *series, void *arg), void *arg);
size_t series_count(const struct series_set *set);
struct series_counters *series_counters(struct series_set *set);

/* Hands over at most `limit` hours that came since the last time, and forgets them here once `write` returned 0. */
int series_flush(struct series_set *set, size_t limit,
                 int (*write)(struct series *series, const struct series_hour *hour, void *arg,
                              struct err *err),
                 void *arg, size_t *out_count, struct err *err) must_check;

double series_minute_value(const struct series *series, const struct series_minute *minute);
double series_hour_value(enum otlp_point_kind kind, const struct series_hour *hour);

#endif
