/* Waits for a good moment to change the model: robot/decide/occasion.h with the world around it (RUN_DIR/busy.lock, the battery, the clock). While a
 * change is under way it holds the lock, so that the robot program does not begin something meanwhile (muster_busy). */
#ifndef MUSTER_ROBOT_AGENT_OCCASION_H
#define MUSTER_ROBOT_AGENT_OCCASION_H

#include "base/err.h"
#include "robot/agent/config.h"
#include "robot/board/board.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct occasion_watch {
    const struct agent_config *config;
    struct board *board; /* NULL: no battery is asked for */
    int lock_fd;
    bool held;
    int64_t look_ms; /* not before then */
    char why[128];   /* what it waits for */
};

int occasion_open(const struct agent_config *config, struct occasion_watch *out, struct err *err) must_check;
void occasion_close(struct occasion_watch *watch);
/* True: now, and the lock is held until occasion_over. False: watch->why. Looks every few seconds, however often it is asked. */
bool occasion_comes(struct occasion_watch *watch, int64_t now_ms);
void occasion_over(struct occasion_watch *watch);

#endif
