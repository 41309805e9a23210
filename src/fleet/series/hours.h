/* Hours of series on disk (SQLite, a file of its own), for SERIES_KEEP_HOURS and at most a number of bytes.
 *
 * Everything is added up, so it does not matter in which order hours come, or in how many pieces. The file can be deleted at any time: it holds what
 * people look at, nothing that the server decides on; hence no fsync for each write.
 */
#ifndef MUSTER_FLEET_SERIES_HOURS_H
#define MUSTER_FLEET_SERIES_HOURS_H

#include "fleet/series/series.h"

struct series_hours;

int series_hours_open(const char *path, uint64_t max_bytes, struct series_hours **out,
                      struct err *err) must_check;
void series_hours_close(struct series_hours *hours);
MUSTER_CLEANUP(struct series_hours *, series_hours_close)
#define cleanup_series_hours __attribute__((cleanup(series_hours_closep)))

/* Writes what series_flush hands over, at most `limit`, in one transaction. */
int series_hours_flush(struct series_hours *hours, struct series_set *set, size_t limit, size_t *out_count,
                       struct err *err) must_check;
/* Hours from..until (both included) of one series, by time. */
int series_hours_each(struct series_hours *hours, struct series *series, uint32_t from, uint32_t until,
                      int (*visit)(const struct series_hour *hour, void *arg), void *arg,
                      struct err *err) must_check;
/* Drops what is older than SERIES_KEEP_HOURS, the oldest days while the file is over its size, and names without hours when there are many. */
int series_hours_prune(struct series_hours *hours, struct series_set *set, int64_t now_ms,
                       struct err *err) must_check;

#endif
