/* Plays the program of a delivery drone: sim/drone, libmuster, and honest book-keeping.
 *
 * It flies its rounds by the clock. In the air it is busy (muster_busy): no model changes there. If a change is under way when it is to take off, it
 * stays on its pad until that is over. On the pad, and only there, it knows what it sees, and tells the guard the score. Its battery stands below
 * BOARD/sys/class/power_supply, where muster-watch and the agent look for it (--board-root). */
#ifndef MUSTER_SIM_ROBOT_DRONES_H
#define MUSTER_SIM_ROBOT_DRONES_H

#include "sim/robot/play.h"

int play_drone(const struct play_options *options, const volatile sig_atomic_t *stop,
               struct err *err) must_check;

#endif
