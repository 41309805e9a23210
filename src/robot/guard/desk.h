/* A whole robot on a desk, for tests: the guard, its agent, runners and robot program in one process, turn by turn, under a clock
 * that only the test moves (robot/testbed). What happens, happens in the order of the test's lines, at the time it says. */
#ifndef MUSTER_ROBOT_GUARD_DESK_H
#define MUSTER_ROBOT_GUARD_DESK_H

#include "robot/guard/state.h"
#include "robot/testbed/testbed.h"

enum { DESK_WIDTH = 32, DESK_HEIGHT = 16, DESK_PIXELS = DESK_WIDTH * DESK_HEIGHT * 3 };
#define DESK_START_NS 5000000000000ll
#define DESK_MS 1000000ll
#define DESK_FAR (60000 * DESK_MS)

struct desk_runner {
    uint64_t generation, stream, count;
    int fd, bell;
    struct ring results, control, frames;
};

struct desk_robot {
    int fd;
    uint64_t seq, stream;
    struct ring frames, verdicts;
};

struct desk {
    char dir[64], state[64];
    struct guard *guard;
    int agent;
    struct desk_runner one, two; /* where a test wants them */
    struct desk_robot robot;
};

/* In `d`, zeroed or closed. `options` may be NULL; with `state_dir` set to anything the latch is kept on the desk. */
void desk_open(struct desk *d, const struct guard_options *options);
void desk_close(struct desk *d); /* and everything is swept away */
void desk_reopen(struct desk *d,
                 const struct guard_options *options); /* another guard in the same directories */
/* The same without a guard yet: for tests of how it comes up. */
void desk_make(struct desk *d);
int desk_start(struct desk *d, const struct guard_options *options, struct err *err);
void desk_sweep(struct desk *d);

/* Done between the nth look into shared memory from now on (ring_read) and what follows it; once. */
void desk_between(unsigned nth, void (*act)(void));

void desk_turn(struct desk *d);             /* once around its loop */
void desk_settle(struct desk *d);           /* until nothing more comes; the clock stands */
void desk_pass(struct desk *d, int64_t ns); /* the time passes, the guard wakes when it wants to */
void desk_jump(struct desk *d, int64_t ns); /* it passes at once, and nobody woke meanwhile */

int desk_knock(struct desk *d);                    /* a connection, nothing said yet */
int desk_join(struct desk *d, enum ctl_role role); /* agent, operator, e-stop, observer: welcome */
void desk_leave(struct desk *d, int *fd);
/* What is waiting for this peer; false: nothing (more). Descriptors are closed unless `fds` is given. */
bool desk_hear(int fd, union ctl_packet *out, struct ctl_fds *fds);
bool desk_hung_up(int fd);

void desk_send(struct desk *d, int fd, const struct ctl_message *message);
int desk_ask(struct desk *d, int fd, struct ctl_message *message,
             struct ctl_message *out); /* REPLY's result; -1: none came */
int desk_order(struct desk *d, enum ctl_kind kind, uint64_t generation, uint64_t fallback, uint32_t count);
int desk_admit(struct desk *d, uint64_t generation, const struct ctl_limits *limits);
int desk_command(struct desk *d, int fd, enum ctl_verb verb, uint64_t lease, uint32_t ttl_ms);
extern const struct ctl_limits desk_limits;
struct digest desk_release(uint64_t generation);

/* False: refused. */
bool desk_runner_try(struct desk *d, struct desk_runner *r, uint64_t generation, uint32_t degraded);
void desk_runner_open(struct desk *d, struct desk_runner *r,
                      uint64_t generation); /* and admitted with desk_limits */
void desk_runner_close(struct desk *d, struct desk_runner *r);
struct ring_result desk_result(const struct desk *d, const struct desk_runner *r, uint64_t seq);
void desk_say(struct desk *d, struct desk_runner *r, const struct ring_result *result); /* and rings */
void desk_murmur(struct desk_runner *r, const struct ring_result *result);              /* without ringing */
struct ring_control desk_page(const struct desk_runner *r);
struct guard_runner *desk_slot(struct desk *d, uint64_t generation);

bool desk_robot_try(struct desk *d, struct desk_robot *r, uint32_t slots);
void desk_robot_open(struct desk *d, struct desk_robot *r);
void desk_robot_close(struct desk *d, struct desk_robot *r);
/* Submitted now; nobody looks at it yet. */
uint64_t desk_submit(struct desk_robot *r, int64_t capture_ns, int64_t deadline_ns, uint32_t flags,
                     uint8_t shade);
uint64_t desk_frame(struct desk *d, struct desk_robot *r,
                    int64_t within_ns); /* ... and seen by the guard's tick */
const struct ring_verdict *desk_verdict(const struct desk_robot *r, uint64_t seq); /* NULL: none yet */

/* d->one and d->two are generations 1 and 2, and the one answers with the other as its fallback. A robot program too, if there is
 * none yet. */
void desk_pair_up(struct desk *d);
void desk_part(struct desk *d);                                        /* all three go */
void desk_answer(struct desk *d, struct desk_runner *r, uint64_t seq); /* with a sound result */
/* The verdict on that frame, to the last field that says who and why. */
void desk_expect(const struct desk *d, uint64_t seq, enum ring_verdict_status status,
                 enum intervention reason, uint64_t generation);

#endif
