/* The parts of bench-faults; bench/faults.c says what it is.
 *
 *      bench: robot program (libmuster) · agent · operator · conductor
 *        │ frames, orders, kill(2), lies                 ▲ verdicts, status
 *        ▼                                               │
 *   muster-guard (the real program) ◀──results── generation 1  a light runner: runner_serve with a trivial engine, forked
 *                                                generation 2  another one, the hot fallback
 *                                                generation 3  a puppet: a runner in the bench's own hands, which lies
 *                                                generation 4  muster-runner, or a candidate
 *
 * A case is one row of a table. Before each injection world_ready makes the world whole again, whatever the last one left of
 * it; then the row's function injects, looks, and fills in a sight, which is compared with what the row expects.
 */
#ifndef MUSTER_BENCH_FAULTS_H
#define MUSTER_BENCH_FAULTS_H

#include "base/err.h"
#include "base/mem.h"
#include "muster/muster.h"
#include "robot/ctl/ctl.h"
#include "robot/ring/ring.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { SIDE = 32, DEADLINE_MS = 5, PATIENCE_MS = 20000, LONG_US = 2000000 };
enum { PRIMARY = 1, SPARE, PUPPET, CANDIDATE, GENERATIONS };

/* ---- what is looked for ---- */

enum measure {
    CRASH,         /* from the death to the first verdict that is safe, or the fallback's */
    OVER_DEADLINE, /* from the deadline to its verdict */
    ANSWERED,      /* from the injection to the verdict, the refusal or the state that follows from it */
    NOT_TIMED,
};

struct sight;
struct world;
struct fault_case {
    const char *name, *injected, *also; /* `also`: what else has to hold, in words; may be NULL */
    void (*inject)(struct world *world, const struct fault_case *row, struct sight *seen);
    unsigned answers;       /* 1u << enum muster_answer, any of these; 0: no frame is looked at */
    unsigned reasons;       /* 1u << enum muster_reason, any of these; 0: not looked at */
    enum guard_state state; /* of the guard, afterwards; GUARD_STATE_COUNT: not looked at */
    enum measure measure;
    uint32_t bound_us; /* for the 99th percentile */
    uint32_t share;    /* how often, compared with the others; 10,000 in all */
    int variant;       /* for `inject` */
    const void *detail;
};

#define IS_OK (1u << MUSTER_OK)
#define IS_FALLBACK (1u << MUSTER_FALLBACK)
#define IS_SAFE (1u << MUSTER_SAFE)
#define BECAUSE(reason) (1u << MUSTER_REASON_##reason)

struct sight {
    int64_t us; /* what was measured */
    enum muster_answer answer;
    enum muster_reason reason;
    uint64_t generation;
    int64_t decided_ns, at_ns;
    char wrong[200];      /* the first thing that was not as it should be */
    char impossible[120]; /* this machine does not allow it: not counted */
};

struct group {
    const struct fault_case *cases;
    size_t count;
};
extern const struct group faults_crash, faults_hang, faults_lies, faults_frames, faults_peers, faults_hello,
    faults_orders, faults_human, faults_latch, faults_real;

/* Notes the first thing that is wrong; false if it is. */
bool expect(struct sight *seen, bool holds, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void impossible(struct sight *seen, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- the world (faults_world.c) ---- */

enum act { /* what a light runner's engine does with a frame */
           ACT_WELL,
           ACT_WAIT, /* keeps it in hand until told otherwise */
           ACT_LOOP, /* the same, and burns the core */
           ACT_SLOW, /* answers after slow_ns */
           ACT_FAIL,
           ACT_SEGV,
           ACT_ABORT,
           ACT_EXIT,
           ACT_STARVE, /* no memory is left for it */
           ACT_EAT,    /* takes memory until it is killed */
};

/* Shared with the light runner of one generation. */
struct stage {
    _Atomic int act;
    _Atomic uint64_t in_hand;  /* the frame that it has begun last */
    _Atomic int64_t struck_ns; /* it is about to die by its own hand */
    _Atomic int64_t slow_ns;
};

struct puppet {
    int sock, bell_fd;
    struct ring results, control;
    uint64_t stream, count;
};

/* Faults below the guard's own code, for a guard that runs in a child of the bench. */
struct underfoot {
    _Atomic int sync_errno, accept_errno;
    _Atomic int64_t wall_step_s;
};
extern struct underfoot *underfoot; /* shared memory */

struct world {
    char dir[64], run_dir[96], state_dir[96], log_path[96];
    int log_fd;
    pid_t guard;
    bool own_guard;   /* in a child of the bench, with faults underfoot */
    uint32_t hang_ms; /* --hang-ms of the running guard */
    int agent, operator_fd;
    struct muster *robot;
    pid_t runner[GENERATIONS]; /* 0: none */
    struct stage *stage;       /* [GENERATIONS] */
    struct ctl_limits limits[GENERATIONS];
    struct puppet puppet;
    bool mounts, niced; /* this process has mounts of its own, runs before others */
};

struct needs {
    uint64_t active, fallback;       /* generations; active 0: none */
    const struct ctl_limits *limits; /* of the active one; NULL: world_limits() */
    bool no_robot, own_guard;
    uint32_t hang_ms; /* 0: a runner is never killed for being silent */
};

int world_open(struct world *world, struct err *err) must_check;
void world_close(struct world *world);
/* False: it could not be had, noted in *seen. */
bool world_ready(struct world *world, const struct needs *needs, struct sight *seen);
struct ctl_limits world_limits(void); /* a deadline of a second, four detections, three labels */
struct ctl_limits world_hasty(void);  /* the same with DEADLINE_MS */

void guard_kill(struct world *world, int signal); /* and reaped */
bool guard_start(struct world *world, struct sight *seen);
void latch_path(const struct world *world, char *out, size_t size);
pid_t child_start(
    struct world *world); /* fork; the child has the log for stderr and no descriptor but 0, 1, 2 */
void child_kill(pid_t *pid, int signal);

bool runner_start(struct world *world, uint64_t generation, struct sight *seen);
void runner_act(struct world *world, uint64_t generation, enum act act);
bool runner_has(struct world *world, uint64_t generation, uint64_t seq, struct sight *seen);

bool puppet_open(struct world *world, struct puppet *puppet, uint64_t generation, struct sight *seen);
void puppet_close(struct puppet *puppet);
bool puppet_meet(struct puppet *puppet, struct sight *seen); /* takes the stream, if one is new */
struct ring_result puppet_result(const struct puppet *puppet, uint64_t seq); /* a sound one */
void puppet_put(struct puppet *puppet, const struct ring_result *result);    /* without the bell */
void puppet_ring(struct puppet *puppet);
void puppet_say(struct puppet *puppet, const struct ring_result *result);

bool robot_open(struct world *world, struct sight *seen);
uint64_t frame_send(struct world *world, int64_t capture_ns, uint32_t deadline_us);
void frame_look(struct world *world, uint64_t seq, struct sight *seen); /* waits for its verdict */
/* A frame is answered OK by whoever is active (the puppet too). */
bool frame_healthy(struct world *world, struct sight *seen);

bool status_get(struct world *world, struct ctl_status *out, struct sight *seen);
bool status_until(struct world *world, enum guard_state state, int64_t within_ms, struct sight *seen);
const struct ctl_runner_status *status_runner(const struct ctl_status *status, uint64_t generation);
enum err_code order(struct world *world, enum ctl_kind kind, uint64_t generation, uint64_t fallback,
                    const struct ctl_limits *limits);
/* From a connection of any role; the lease may be NULL. `text` of the refusal or remark, may be NULL. */
enum err_code command(int fd, enum ctl_verb verb, uint64_t lease, uint32_t ttl_ms, uint64_t *out_lease,
                      char text[240]);
bool connected(int fd); /* the guard has not hung up */
int dial_as(struct world *world, enum ctl_role role, struct sight *seen);

int64_t now_ns(void);
int64_t us_since(int64_t ns);
void nap_us(int64_t us);

/* ---- what came of it (faults_report.c) ---- */

struct tally {
    const struct fault_case *row;
    size_t injections, wrong, impossible, times;
    int64_t *us;                  /* of the timed ones; owned */
    char seen[320], because[120]; /* `seen`: the last one in words, or the first wrong one */
};

struct campaign {
    struct tally *tallies; /* owned */
    size_t count;
    double took_s;
    bool niced;
};

void expected_text(const struct fault_case *row, char *out, size_t size);
void report_json(const struct campaign *campaign);
void report_text(const struct campaign *campaign);
void report_list(const struct campaign *campaign, bool markdown);
size_t campaign_bad(const struct campaign *campaign, bool states_only); /* wrong or slow */
void tally_note(struct tally *tally, const struct sight *seen, enum guard_state state);

#endif
