/* For the tests of this room: a real guard in a child process, with runners that behave as badly as a test
 * likes. */
#ifndef MUSTER_ROBOT_GUARD_HARNESS_H
#define MUSTER_ROBOT_GUARD_HARNESS_H

#include "muster/muster.h"
#include "robot/ctl/ctl.h"
#include "robot/guard/guard.h"
#include "robot/ring/ring.h"

#include <stdbool.h>
#include <sys/types.h>

enum { HARNESS_WIDTH = 32, HARNESS_HEIGHT = 16, PATIENCE_MS = 20000 };

struct harness {
    char dir[64];
    pid_t guard;
    int agent; /* connected as the agent */
    struct muster *robot;
};

/* A guard with an agent connected; `armed` (may be NULL) runs in the guard's process after its set-up. */
void harness_open(struct harness *h, const struct guard_options *options, void (*armed)(void));
/* The same in a directory that is there. */
void harness_open_in(struct harness *h, const char *dir, const struct guard_options *options,
                     void (*armed)(void));
int harness_close(struct harness *h);  /* wait status of the guard, ended by SIGTERM */
void harness_robot(struct harness *h); /* connects a robot program */
void harness_sweep(struct harness *h); /* closes what is left, removes the directory */

int harness_order(struct harness *h, enum ctl_kind kind, uint64_t generation, uint64_t fallback,
                  struct err *err);
void harness_admit(struct harness *h, uint64_t generation);
void harness_activate(struct harness *h, uint64_t generation, uint64_t fallback);
struct ctl_status harness_status(struct harness *h);
struct ctl_runner_status harness_runner(struct harness *h, uint64_t generation);
struct digest harness_release(uint64_t generation);

/* Asks for the status until `holds` is true; fails the test if it never is. */
#define harness_until(h, status, holds)                                                                      \
    do {                                                                                                     \
        int64_t until_ms_ = harness_now_ms() + PATIENCE_MS;                                                  \
        struct ctl_status status;                                                                            \
        do                                                                                                   \
            status = harness_status(h);                                                                      \
        while (!(holds) && harness_now_ms() < until_ms_);                                                    \
        assert_true(holds);                                                                                  \
    } while (0)
int64_t harness_now_ms(void);

/* A runner in the test's own hands. */
struct puppet {
    uint64_t generation, stream, count;
    int sock, bell_fd;
    struct ring results, control, frames;
};
void puppet_open(struct puppet *p, struct harness *h, uint64_t generation);
void puppet_open_as(struct puppet *p, struct harness *h, uint64_t generation, uint32_t degraded,
                    const char *backend);
void puppet_close(struct puppet *p);
void puppet_take_stream(struct puppet *p);
struct ring_result puppet_result(const struct puppet *p, uint64_t seq); /* a sound one, two detections */
void puppet_say(struct puppet *p, const struct ring_result *result);

/* A runner in a process of its own (runner_serve), with an engine that answers, or plays dead. */
enum acting { ACT_WELL, ACT_HANG, ACT_HANG_AT_FRAME_3 };
pid_t actor_start(struct harness *h, uint64_t generation, enum acting acting);

/* Submits a frame; the verdict on it. */
uint64_t frame_send(struct harness *h, uint32_t deadline_ms);
enum muster_answer frame_wait(struct harness *h, uint64_t seq, struct muster_verdict *out);

#endif
