/* The plan of a rollout, as people approve it (wire/assignment.h): which robot in which wave, settled when the rollout is made. */
#ifndef MUSTER_FLEET_ENGINE_PLAN_H
#define MUSTER_FLEET_ENGINE_PLAN_H

#include "fleet/engine/engine.h"

/* Makes it from the robots that the rollout's selector matches now, keeps it as a blob and sets rollout->plan. *out: the robots with their
 * waves, for plan_store. */
int plan_make(struct fleet *fleet, struct rollout *rollout, struct engine_view *out,
              struct err *err) must_check;
/* Between group_enter and group_leave, when the rollout has its number. */
int plan_store(struct fleet *fleet, uint64_t rollout, const struct engine_view *view,
               struct err *err) must_check;

#endif
