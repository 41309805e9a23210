/* muster-agent: one process, one thread, one wait. It fetches, checks, switches, watches and reports; it
 * never touches a frame or a result. Everything that has to survive it is in the store or in other processes.
 */
#ifndef MUSTER_ROBOT_AGENT_AGENT_H
#define MUSTER_ROBOT_AGENT_AGENT_H

#include "base/err.h"
#include "robot/agent/config.h"

/* Until SIGTERM or SIGINT. Errors: what keeps it from starting at all. */
int agent_run(const struct agent_config *config, struct err *err) must_check;

#endif
