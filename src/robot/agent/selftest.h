/* The golden self-test of a release in a process of its own: `muster-runner --self-test`, with a time limit.
 *
 *     selftest_start(&test, …)   then for every child that ended: selftest_reaped; and selftest_result in
 * every turn */
#ifndef MUSTER_ROBOT_AGENT_SELFTEST_H
#define MUSTER_ROBOT_AGENT_SELFTEST_H

#include "base/digest.h"
#include "base/err.h"
#include "robot/agent/spawn.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct selftest {
    pid_t pid; /* 0: none runs */
    int64_t until_ms;
    bool ended, late;
    int status; /* of waitpid */
    char log[320];
};

int selftest_start(struct selftest *test, const struct spawn_options *spawn, const struct digest *release,
                   int64_t until_ms, struct err *err) must_check;
bool selftest_reaped(struct selftest *test, pid_t pid, int status); /* false: not its child */

/* 1: passed; 0: not yet; -1 with *err: failed. REFUSED: the release is at fault; any other code: perhaps the
 * machine. */
int selftest_result(struct selftest *test, int64_t now_ms, struct err *err);
void selftest_cancel(struct selftest *test);

#endif
