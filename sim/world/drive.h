/* The robot's drive: where it is and what it meets, as a function of time (the period is drawn in world.h).
 */
#ifndef MUSTER_SIM_WORLD_DRIVE_H
#define MUSTER_SIM_WORLD_DRIVE_H

#include "sim/world/instant.h"

struct drive {
    int period_ms, dock_ms;
    int64_t offset_ms; /* where in its period the robot is at time 0: robots do not dock all at once */
};

/* False, and nothing changed, if less than 4 s remain beside the dock or the period is over an hour. */
bool drive_init(struct drive *drive, uint64_t seed, int period_ms, int dock_ms);

/* The way from one dock to the next. */
float drive_bay_every_m(const struct drive *drive);

bool drive_at_dock(const struct drive *drive, int64_t time_ms);
void drive_build(const struct drive *drive, int64_t time_ms, struct instant *out);

#endif
