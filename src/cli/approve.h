/* For `muster rollout approve ID`, which is `muster approve --rollout ID`. */
#ifndef MUSTER_CLI_APPROVE_H
#define MUSTER_CLI_APPROVE_H

#include "base/err.h"

int approve_rollout_run(int argc, char **argv, struct err *err);

#endif
