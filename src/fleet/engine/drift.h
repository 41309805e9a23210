/* Drift over the fleet, once a minute. */
#ifndef MUSTER_FLEET_ENGINE_DRIFT_H
#define MUSTER_FLEET_ENGINE_DRIFT_H

#include "fleet/core/fleet.h"

/* Hears what robots say of each release (series muster.drift.log_e and muster.drift.alarm of the last 15 minutes) and keeps what is found, in a transaction
 * of its own: one row per release and cause while it is open. */
int engine_drift(struct fleet *fleet, int64_t now_ms, struct err *err) must_check;

#endif
