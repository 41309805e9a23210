/* The exact boxes, read from the object numbers of a painted canvas. The rules stand in world.h. */
#ifndef MUSTER_SIM_WORLD_BOXES_H
#define MUSTER_SIM_WORLD_BOXES_H

#include "sim/world/instant.h"
#include "sim/world/world.h"

/* Object i of the instant was painted with number i + 1. Nearest first. Returns how many were written. */
size_t boxes_collect(const struct instant *instant, const struct canvas *canvas, struct world_box *boxes,
                     size_t max);

#endif
