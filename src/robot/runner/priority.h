/* The lowest priority and back, for all threads of this process; and the cores it may use.
 *
 * Linux lets anybody lower himself, but only those with CAP_SYS_NICE or RLIMIT_NICE ≥ 20 come back. So it is tried
 * first, in a thread that may be spoilt: where there is no way back nothing is lowered at all. A runner that stayed at
 * the lowest priority would be worse than a loud one. */
#ifndef MUSTER_ROBOT_RUNNER_PRIORITY_H
#define MUSTER_ROBOT_RUNNER_PRIORITY_H

#include "base/err.h"

#include <stdbool.h>

/* Finds out, once; the priority at that time is the normal one. Before threads are confined or lowered. */
bool priority_can_return(void);

/* All threads of this process, and those that they start: SCHED_IDLE, or what they were. Does nothing if there is no
 * way back, or nothing to change. */
void priority_lower(void);
void priority_restore(void);

/* Binds this process to cores: "0", "2-3,6". Errors: INVALID; UNSUPPORTED if the machine has none of them. */
int priority_pin(const char *cores, struct err *err) must_check;

#endif
