/* For the tests of this room: guard and robot program in the test's own hands, and a runner in a thread. */
#ifndef MUSTER_ROBOT_RUNNER_FAKE_GUARD_H
#define MUSTER_ROBOT_RUNNER_FAKE_GUARD_H

#include "robot/ctl/ctl.h"
#include "robot/ring/ring.h"
#include "robot/runner/runner.h"

#include <pthread.h>

struct fake_guard {
    char dir[32];
    int listen, sock, bell; /* sock: the runner's; -1: none */
    struct ctl_message hello;
    struct ring control, results, frames;
    uint64_t control_seq, stream, seen, frame;
    pthread_t thread; /* the runner's */
    struct runner_options options;
    struct runner_engine engine;
    struct err err;
    int returned;
};

void fake_guard_open(struct fake_guard *g);
bool fake_guard_meet(struct fake_guard *g, int timeout_ms); /* a runner's HELLO, answered; false: none came */
void fake_guard_close(struct fake_guard *g);

/* The runner, in a thread, met. */
void fake_guard_run(struct fake_guard *g, struct runner_engine engine);
void fake_guard_end(struct fake_guard *g); /* EXIT; waits for it */

void fake_stream(struct fake_guard *g, uint64_t number, uint32_t slots, size_t payload_bytes);
void fake_orders(struct fake_guard *g, enum ring_mode mode, uint64_t from, uint64_t until, uint32_t flags);

/* A frame of floats, useful for 10 s. */
uint64_t fake_frame(struct fake_guard *g, float first, uint32_t count);
uint64_t fake_frame_until(struct fake_guard *g, float first, uint32_t count, int64_t deadline_ns);
/* The same of one that was begun (ring_begin) and filled in already. */
uint64_t fake_publish(struct fake_guard *g, uint32_t count);

/* The next result, in the order they were written; fails the test if none comes. */
struct ring_result fake_result(struct fake_guard *g);

#endif
