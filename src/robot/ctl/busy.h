/* "Not now": how a robot program and the agent agree on when a model may change. One file, two kinds of lock on it, both gone with their process:
 *
 *     RUN_DIR/busy.lock     robot program: shared while it must not be disturbed      agent: exclusive while it changes the model
 *
 * So a flight never begins during a change, and no change during a flight. (Open file description locks, fcntl(2).)
 */
#ifndef MUSTER_ROBOT_CTL_BUSY_H
#define MUSTER_ROBOT_CTL_BUSY_H

#include "base/err.h"

#include <stdbool.h>

#define BUSY_FILE "busy.lock"

/* The file, made if need be (writable for the agent, readable for others). -1 with *err. */
int busy_open(const char *run_dir, bool for_change, struct err *err) must_check;
/* 0: held; 1: the other side has it. */
int busy_take(int fd, bool for_change);
void busy_leave(int fd);

#endif
