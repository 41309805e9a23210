/* How the machine was in a window (robot/board/board.h): means of samples, as points. A number that the board does not have is no point. Pure. */
#ifndef MUSTER_ROBOT_WATCH_MACHINE_H
#define MUSTER_ROBOT_WATCH_MACHINE_H

#include "robot/board/board.h"
#include "wire/otlp_points.h"

enum { MACHINE_NUMBERS = 28, MACHINE_NAMED = BOARD_MAX_ZONES + BOARD_MAX_RAILS + BOARD_MAX_ENGINES };

struct machine_mean {
    double sum;
    uint32_t count;
};

struct machine {
    struct machine_mean numbers[MACHINE_NUMBERS], named[MACHINE_NAMED];
    struct machine_mean hottest;
    struct board_sample last; /* for names */
};

void machine_add(struct machine *machine, const struct board_sample *sample);
void machine_points(const struct machine *machine, int64_t start_ms, int64_t end_ms, struct otlp_points *out);
void machine_begin(struct machine *machine);

#endif
