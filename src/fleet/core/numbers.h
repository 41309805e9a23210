/* What robots tell in numbers, beside what the store counts: series for people to look at, and the same to a Prometheus that wants them. */
#ifndef MUSTER_FLEET_CORE_NUMBERS_H
#define MUSTER_FLEET_CORE_NUMBERS_H

#include "base/err.h"
#include "fleet/remote/remote.h"
#include "fleet/series/hours.h"
#include "fleet/series/series.h"
#include "fleet/store/store.h"
#include "wire/otlp.h"
#include "wire/otlp_points.h"

struct fleet;

enum { NUMBERS_MAX_BYTES = 1 << 30 }; /* of DIR/series.db */

struct numbers;

/* `remote->url` NULL: nobody wants them. A series.db that cannot be opened is told in the log, and hours are not kept. */
int numbers_open(struct fleet *fleet, const struct remote_options *remote, struct numbers **out,
                 struct err *err) must_check;
void numbers_close(struct numbers *numbers);

/* Inside of the transaction that applies the export. An event says when a robot begins to send more series than it may. */
int numbers_apply(struct fleet *fleet, const char *robot, const struct otlp_points *points, uint64_t skipped,
                  struct err *err) must_check;
/* A window was added to what this robot did with this release (its row, after it). */
void numbers_window(struct fleet *fleet, const struct telemetry_row *row, const struct otlp_window *window);

struct series_set *numbers_series(struct numbers *numbers);
struct series_hours *numbers_hours(struct numbers *numbers); /* NULL: not kept */
struct remote *numbers_remote(struct numbers *numbers);      /* NULL: none */

#endif
