/* Kills random processes while the story plays: kill -9 of the server, an agent, a runner, a guard, a robot
 * program. */
#ifndef MUSTER_CLI_DEMO_CHAOS_H
#define MUSTER_CLI_DEMO_CHAOS_H

#include "cli/demo/cast.h"

struct chaos {
    bool on;
    uint32_t random;     /* the seed, then the state */
    int64_t interval_ms; /* mean time between kills */
    int64_t next_at_ms;  /* monotonic */
    int wanted;          /* at least so many */
    int kills;
    char last[80]; /* "killed r03-runner" */
};

void chaos_init(struct chaos *chaos, bool on, uint32_t seed, int wanted);
void chaos_step(struct chaos *chaos, struct cast *cast);
bool chaos_satisfied(const struct chaos *chaos); /* off, or enough kills */

#endif
