/* What may come over a world from a point in time on: night, dirt on the lens, a kind of thing that was never there before. */
#ifndef MUSTER_SIM_WORLD_CHANGE_H
#define MUSTER_SIM_WORLD_CHANGE_H

#include "sim/world/instant.h"
#include "sim/world/world.h"

/* Into an instant that is set up already, before it is painted. Without a change nothing is touched. */
void change_apply(const struct world_change *change, int64_t time_ms, bool is_scene, struct instant *instant);

#endif
