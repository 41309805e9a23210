/* A battery as the kernel shows one: BOARD/sys/class/power_supply/BAT0/. */
#ifndef MUSTER_SIM_ROBOT_BATTERY_H
#define MUSTER_SIM_ROBOT_BATTERY_H

#include "base/err.h"

/* share: 0..1; power_w: positive while it charges. Files are replaced, each as a whole. */
int battery_show(const char *board, double share, double power_w, struct err *err) must_check;

#endif
