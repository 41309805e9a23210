/* The guard's socket: who talks to whom on a robot, and in which words.
 *
 *   RUN_DIR/guard.sock   AF_UNIX, SOCK_SEQPACKET, one fixed-size message per packet, descriptors by SCM_RIGHTS.
 *   No frame and no result ever goes over it: those live in single-writer shared memory (robot/ring/ring.h).
 *
 *   robot program ──HELLO(client) + frames memfd──▶ guard          the program writes frames, nobody else can
 *                 ◀──WELCOME + verdicts memfd──────                the guard writes verdicts, nobody else can
 *                 ──FRAME─────────────────────────▶                "look": while nobody else will make it (ring_asked), and when
 *                                                                  one got no verdict in time
 *   runner        ──HELLO(runner) + results memfd─▶ guard          the runner writes results, nobody else can
 *                 ◀──WELCOME + control memfd, doorbell pipe─────   mode word of this runner; rings the guard
 *                 ◀──STREAM + frames memfd─────────                whenever a robot program attaches
 *   agent         ──HELLO(agent)──────────────────▶ guard
 *                 ──ADMIT / SHADOW / ACTIVATE / RETIRE / STATUS──▶  ◀──REPLY / STATUS──
 *                 ──COMMAND (a human's, verified by the agent)──▶  ◀──REPLY──
 *   local operator──HELLO(operator)───────────────▶ guard          stands at the robot: outranks everybody remote
 *                 ──COMMAND / STATUS──▶  ◀──REPLY / STATUS──
 *   e-stop mirror ──HELLO(estop)──────────────────▶ guard          a process that watches a hardware line; the robot
 *                 ──ESTOP──▶                                        program may send ESTOP as well. A mirror that goes
 *                                                                   away counts as pressed
 *   recorder      ──HELLO(observer)───────────────▶ guard          reads, can change nothing
 *                 ◀──WELCOME, STREAM + frames and verdicts memfds, NOTICE──
 *
 * Agent and guard are level-triggered: the agent reads STATUS, compares with what it wants and says the difference, so
 * either may die at any instant. A generation names one installed instance of a release: given by the agent, growing, never used
 * for another one; a rollback activates the older generation again, whose runner is still hot.
 *
 * Everything in a packet is hostile until checked: ctl_check.
 */
#ifndef MUSTER_ROBOT_CTL_H
#define MUSTER_ROBOT_CTL_H

#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CTL_MAGIC = 0x4c54434d, CTL_VERSION = 2, CTL_MAX_RUNNERS = 4, CTL_HIST_BUCKETS = 160 };
enum { CTL_SEQUENCE_WAIT_MS = 60000 };

enum ctl_kind {
    CTL_HELLO = 1,
    CTL_WELCOME,
    CTL_STREAM, /* guard → runner: a robot program attached; its frames memfd */
    CTL_ADMIT,  /* agent → guard: this release may run as this generation, under these limits */
    CTL_ACTIVATE, /* agent → guard: this generation answers from the next frame on; that one is the hot fallback.
                     guard → runner: look at your control page now */
    CTL_RETIRE, /* agent → guard: forget the generation, make its runner exit */
    CTL_EXIT,   /* guard → runner: finish and exit */
    CTL_STATUS_REQUEST,
    CTL_STATUS,
    CTL_REPLY, /* guard → agent: result of ADMIT, ACTIVATE, RETIRE */
    CTL_SCORE, /* robot program → guard: how a verdict compared with labels it knew (a reference station) */
    CTL_SHADOW, /* agent → guard: this admitted generation computes the next `count` live frames beside the active one;
                   compared, never used. count 0: stop */
    CTL_COMMAND, /* agent or local operator → guard: what a human wants; `command` */
    CTL_ESTOP,   /* e-stop mirror or robot program → guard: count 1 pressed, 0 released */
    CTL_NOTICE, /* guard → observers and agent: something a recorder or a report should know; `notice` and text */
    CTL_FRAME, /* robot program → guard: there are frames to look at */
    CTL_KIND_END
};

enum ctl_role {
    CTL_ROLE_CLIENT = 1,
    CTL_ROLE_RUNNER,
    CTL_ROLE_AGENT,
    CTL_ROLE_OPERATOR, /* at the robot itself */
    CTL_ROLE_ESTOP,
    CTL_ROLE_OBSERVER,
    CTL_ROLE_END
};

/* What the guard checks every result of a generation against; from release.json through the agent. */
struct ctl_limits {
    uint32_t deadline_us; /* capture → checked result */
    uint32_t max_detections;
    uint32_t label_count;
    float min_score; /* scores outside [min_score, 1] are refused */

    uint32_t max_age_us;    /* capture → seen by the guard: an older frame is STALE at once; 0: any age */
    uint32_t frozen_frames; /* this many frames in a row with the same picture: FROZEN; 0: not looked at */
    uint32_t latch_after; /* this many frames in a row without a usable result: a FAULT, latched; 0: never */
    uint32_t value_count; /* the results are this many values, not detections; 0: detections */
    float value_min, value_max; /* each value lies in between */
    float max_rate;             /* change of a value per second of capture time; 0: any */
    float max_jump; /* how far an object's centre may move per second, in frame diagonals; 0: any */
};

/* Why a frame did not get the primary's result. Same order as otlp_reason_names. */
enum intervention {
    INTERVENED_DEADLINE,    /* no result in time */
    INTERVENED_SEQUENCE,    /* a result for a frame nobody asked for, or twice, or backwards */
    INTERVENED_NOT_FINITE,  /* NaN or infinity */
    INTERVENED_RANGE,       /* box, score or label out of range */
    INTERVENED_TOO_MANY,    /* more detections than the envelope allows */
    INTERVENED_RUNNER_LOST, /* crash or hang */
    INTERVENED_STALE,       /* the frame was overwritten while it was read, or too old when it came */
    INTERVENED_FROZEN,      /* the camera repeats itself */
    INTERVENED_RATE,        /* a value or an object moved faster than it can */
    INTERVENED_OVERSIGHT, /* a human or a latch decided that no model answers; never counted against a release */
    INTERVENED_OTHER,
    INTERVENTION_COUNT
};

/* Counters since the guard admitted the generation; they only grow. Latencies as exponential histograms of fixed scale
 * CTL_HIST_SCALE in microseconds: bucket i counts (base^(i), base^(i+1)], base = 2^(2^-3); 160 buckets reach 1 s. */
enum { CTL_HIST_SCALE = 3 };
struct ctl_counters {
    uint64_t frames;  /* given to this generation */
    uint64_t results; /* of it, passed on as checked */
    uint64_t lost;    /* frames for which the robot program got no model's result at all */
    uint64_t interventions[INTERVENTION_COUNT];
    uint64_t score_frames, score_tp, score_fp, score_fn;
    uint64_t detections;
    double confidence_sum;
    double infer_sum_us, frame_sum_us;
    uint32_t infer_us
        [CTL_HIST_BUCKETS]; /* the runner's Run(), as measured by the runner, capped by the guard's own clock */
    uint32_t frame_us[CTL_HIST_BUCKETS]; /* capture → verdict */
};

struct ctl_runner_status {
    uint64_t generation; /* 0: free slot */
    struct digest release;
    int32_t pid;
    uint8_t connected; /* a live runner is there and ready */
    uint8_t admitted;
    uint8_t hung;
    uint8_t degraded;               /* it runs, but not on the accelerator it is meant for (HELLO said so) */
    uint32_t restarts;              /* how often its runner was lost */
    char backend[64];               /* "onnxruntime 1.22.0 cpu": the runner's word, from HELLO */
    uint32_t shadow_left, reserved; /* frames still to be shadowed */
    uint64_t shadow_frames, shadow_agreed,
        shadow_failed; /* compared; agreed with the active one; no sound result */
    struct ctl_counters counters;
};

/* The table is robot/decide/guard_table.def; who answers is in brackets. */
enum guard_state {
    GUARD_INIT,      /* [safe] being set up */
    GUARD_STANDBY,   /* [safe] nothing is there that may answer; goes on by itself when something is */
    GUARD_AUTO,      /* [primary] */
    GUARD_DEGRADED,  /* [primary] which runs, but not as it is meant to (no accelerator) */
    GUARD_FALLBACK,  /* [fallback] the primary is lost */
    GUARD_FORCED,    /* [fallback] a human wants it, until RELEASE */
    GUARD_HOLD,      /* [safe] a human wants it, until RELEASE */
    GUARD_OVERRIDE,  /* [nobody] a human with a lease is in control */
    GUARD_SAFE_STOP, /* [safe] latched, until RESET */
    GUARD_ESTOP,     /* [safe] mirror of the hardware, until that is released; then SAFE_STOP */
    GUARD_ACK_WAIT,  /* [safe] reset, until RESTART */
    GUARD_SERVICE,   /* [safe] maintenance, until RESET */
    GUARD_STATE_COUNT
};

/* What humans may ask for. */
enum ctl_verb {
    CTL_VERB_HOLD = 1,
    CTL_VERB_RELEASE,  /* ends HOLD, FORCED, OVERRIDE (of the holder's lease) */
    CTL_VERB_OVERRIDE, /* asks for the lease, for ttl_ms */
    CTL_VERB_RENEW,    /* keeps it for another ttl_ms */
    CTL_VERB_FALLBACK, /* the fallback release answers until RELEASE */
    CTL_VERB_STOP,     /* protective stop, latched */
    CTL_VERB_RESET,    /* acknowledges the latch; does not start anything */
    CTL_VERB_RESTART,  /* starts, after a reset */
    CTL_VERB_SERVICE,
    CTL_VERB_END
};

struct ctl_command {
    uint32_t verb; /* enum ctl_verb */
    uint32_t ttl_ms;
    uint64_t lease; /* RENEW, RELEASE of an override: the number that OVERRIDE's REPLY gave */
    char who[48];
    char reason[112];
};

/* What a human holds on this robot, for STATUS. */
struct ctl_oversight {
    uint64_t lease;          /* number of the current lease; they only grow, over reboots too; 0: none yet */
    int64_t lease_until_ns;  /* CLOCK_MONOTONIC of the robot; 0: nobody holds it */
    uint32_t local, latched; /* the holder stands at the robot; the state outlives a reboot */
    char who[48];            /* who gave the last accepted command */
    char reason[112];        /* why; or which fault latched */
};

enum ctl_notice {
    CTL_NOTICE_STATE = 1,
    CTL_NOTICE_COMMAND,
    CTL_NOTICE_INTERVENTION,
    CTL_NOTICE_LOST,
    CTL_NOTICE_END
};

struct ctl_status {
    uint64_t epoch; /* random per guard process: counters start anew when it changes */
    int64_t started_mono_ns;
    uint32_t state; /* enum guard_state */
    uint32_t client_connected;
    uint64_t active_generation, fallback_generation; /* 0: none */
    uint64_t checked; /* verdicts with a checked result, over all generations */
    uint64_t safe;    /* verdicts "safe state" */
    uint64_t
        overridden; /* of these: a model's result was there and a human's or a latch's word stood above it */
    struct ctl_oversight oversight;
    struct ctl_runner_status runners[CTL_MAX_RUNNERS];
};

struct ctl_message {
    uint32_t magic, version;
    uint32_t kind; /* enum ctl_kind */
    uint32_t role; /* HELLO */
    /* STREAM, and WELCOME to a client: the number of the stream. STATUS: the guard's epoch. REPLY to OVERRIDE: the lease. */
    uint64_t generation;
    uint64_t fallback; /* ACTIVATE: 0 for none. COMMAND: any number; the REPLY to it brings it back */
    struct digest release;
    struct ctl_limits limits; /* ADMIT */
    /* REPLY, NOTICE of a COMMAND: 0, or an enum err_code. NOTICE of an intervention: its enum intervention. */
    int32_t result;
    /* REPLY: the kind that it answers. SHADOW, ESTOP: see there. HELLO of a runner: 1 if degraded.
     * ACTIVATE: 1: not now but after the next frame that ends a sequence (RING_FRAME_SEQUENCE_END) with none behind it yet,
     * after CTL_SEQUENCE_WAIT_MS at the latest; STATUS shows when.
     * NOTICE: of an intervention, how many of them since the last notice; of a COMMAND, 1 if it was given at the robot
     * itself (`command` is it). */
    uint32_t count;
    uint32_t notice;            /* enum ctl_notice */
    uint32_t state;             /* NOTICE: the guard's state then */
    struct ctl_command command; /* COMMAND. NOTICE: `who` and `reason` of what stands */
    struct {
        uint64_t seq;
        uint32_t tp, fp, fn, reserved;
    } score;        /* SCORE, with `generation` from the verdict */
    char text[160]; /* HELLO of a runner: its backend */
};

/* A packet is a ctl_message, except CTL_STATUS: a ctl_message header followed by a ctl_status. */
struct ctl_status_packet {
    struct ctl_message header;
    struct ctl_status status;
};

/* True if the bytes are a packet that may be looked at: size, magic, version, kind, role of a HELLO,
 * result of a REPLY, terminated text. */
bool ctl_check(const void *packet, size_t len);
void ctl_message_init(struct ctl_message *message, enum ctl_kind kind);

/* Descriptors that travel in one packet, in order. After a receive the caller owns them; unused ones are -1. */
enum { CTL_MAX_FDS = 2 };
struct ctl_fds {
    int fd[CTL_MAX_FDS];
};
void ctl_fds_init(struct ctl_fds *fds);
void ctl_fds_close(struct ctl_fds *fds); /* closes what is left in it */
#define cleanup_ctl_fds __attribute__((cleanup(ctl_fds_close)))

union ctl_packet {
    struct ctl_message message;
    struct ctl_status_packet status;
};

/* RUN_DIR/guard.sock, connected; the length of RUN_DIR does not matter. No packet is sent yet.
 * Errors: UNREACHABLE or NOT_FOUND if no guard is there; BUSY; DENIED or UNTRUSTED if it is another user's. (Root's is
 * nobody's but its runners': ctl_connect takes none but our own.) */
int ctl_dial(const char *run_dir, int *out_fd, struct err *err) must_check;

/* Sends one packet without waiting; `fds` may be NULL. Errors: BUSY if the socket is full; UNREACHABLE. */
int ctl_send(int fd, const struct ctl_message *message, const struct ctl_fds *fds,
             struct err *err) must_check;

/* Takes one packet without waiting. 1: *out holds a packet that passed ctl_check; 0: none there.
 * Errors: UNREACHABLE if the peer hung up; INVALID for nonsense (nothing of it is kept). */
int ctl_recv(int fd, union ctl_packet *out, struct ctl_fds *fds, struct err *err) must_check;

/* As ctl_recv, but waits up to timeout_ms. Errors: also TIMEOUT. */
int ctl_await(int fd, union ctl_packet *out, struct ctl_fds *fds, int timeout_ms, struct err *err) must_check;

/* Callers' side, blocking with a timeout; each returns 0 or -1 with *err. */
/* Dials, says HELLO and waits for WELCOME (2 s). For runners and clients use ctl_dial: their HELLO carries memory. */
int ctl_connect(const char *run_dir, enum ctl_role role, int *out_fd, struct err *err) must_check;
/* Sends and waits for the REPLY to it; a REPLY that says no becomes the error. */
int ctl_call(int fd, const struct ctl_message *message, int timeout_ms, struct err *err) must_check;
int ctl_status(int fd, int timeout_ms, struct ctl_status *out, struct err *err) must_check;
/* Sends a human's command (agent, operator) and waits for the guard's word. *out_lease: the lease's number after an
 * OVERRIDE; `out_lease` may be NULL. On success err->text (no code) is the guard's remark, if it has one: in force, but not
 * kept over a restart. Errors: the guard's refusal (oversight.h), TIMEOUT, UNREACHABLE. */
int ctl_command(int fd, const struct ctl_command *command, int timeout_ms, uint64_t *out_lease,
                struct err *err) must_check;

#endif
