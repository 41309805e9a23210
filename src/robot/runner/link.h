/* The runner's connection to the guard: socket, control page, frames. Private to this room. */
#ifndef MUSTER_ROBOT_RUNNER_LINK_H
#define MUSTER_ROBOT_RUNNER_LINK_H

#include "robot/ctl/ctl.h"
#include "robot/ring/ring.h"
#include "robot/runner/runner.h"

struct runner_link {
    int sock, bell_fd;
    struct ring control, frames;
    uint64_t stream; /* of `frames`; 0: no robot program */
};

#define RUNNER_LINK_INIT                                                                                     \
    {                                                                                                        \
        .sock = -1, .bell_fd = -1, .control = {.fd = -1}, .frames = {.fd = -1 }                              \
    }

/* Introduces `results` to the guard; tries again until patience is over. */
int runner_link_open(struct runner_link *link, const struct runner_options *options,
                     const struct ring *results, struct err *err) must_check;
void runner_link_close(struct runner_link *link);

enum runner_news { RUNNER_NO_NEWS, RUNNER_TOLD_TO_EXIT, RUNNER_GUARD_LOST };

/* Takes all packets that are there. */
enum runner_news runner_link_read(struct runner_link *link);

/* What the guard wants now; all zero (IDLE, no frames) if it says nothing sensible. */
struct ring_control runner_link_orders(const struct runner_link *link);

#endif
