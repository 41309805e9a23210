/* The part of /metrics that robots fill: their series, one metric after the other. */
#ifndef MUSTER_FLEET_API_PROMETHEUS_ROBOTS_H
#define MUSTER_FLEET_API_PROMETHEUS_ROBOTS_H

#include "base/buf.h"
#include "fleet/core/fleet.h"

/* Above this many the series of single robots are left out, and muster_series_exposed is 0. */
enum { PROMETHEUS_MAX_SERIES = 50000 };

int prometheus_robots(struct fleet *fleet, struct buf *out, struct err *err) must_check;
int prometheus_numbers(struct fleet *fleet, struct buf *out,
                       struct err *err) must_check;                                   /* how the series are */
int prometheus_escape(const char *text, struct buf *out, struct err *err) must_check; /* a label's value */

#endif
