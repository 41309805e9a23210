/* Plays the program of a humanoid: its inertial unit in sim/fall, libmuster, and honest book-keeping of what really happened.
 *
 * It raises an alarm when a checked probability reaches one half, and lowers it below. In a drill, which is staged, it knows what happened and tells the
 * guard the score; of everything else only the log knows (LOG.md), where whoever plays the operators may look.
 *
 * World time is wall time times `speed`, from a place that the seed gives: a program that is killed and started again goes on where it would be.
 */
#ifndef MUSTER_SIM_ROBOT_FALLS_H
#define MUSTER_SIM_ROBOT_FALLS_H

#include "sim/robot/play.h"

int play_falls(const struct play_options *options, const volatile sig_atomic_t *stop,
               struct err *err) must_check;

#endif
