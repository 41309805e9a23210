/* Everything the guard knows, for the files of this room.
 *
 *   guard.c     set-up, epoll loop, tick
 *   peers.c     connections: accept, drop, doom
 *   hello.c     a robot program or a runner introduces itself
 *   orders.c    what the agent asks for
 *   human.c     what humans and the hardware ask for; what is kept of it (latch.h)
 *   answer.c    the state machine, and telling runners who answers
 *   frames.c    frames seen, deadlines, verdicts
 *   results.c   results taken and checked
 *   shadow.c    results compared and never used
 *   notice.c    what agents and observers are told
 *   counters.c  statistics
 *   program.c   the command line
 */
#ifndef MUSTER_ROBOT_GUARD_STATE_H
#define MUSTER_ROBOT_GUARD_STATE_H

#include "robot/ctl/ctl.h"
#include "robot/decide/guard_check.h"
#include "robot/decide/guard_fsm.h"
#include "robot/decide/guard_monitor.h"
#include "robot/decide/oversight.h"
#include "robot/guard/guard.h"
#include "robot/guard/latch.h"
#include "robot/ring/ring.h"

#include <sys/types.h>

enum {
    GUARD_MAX_PEERS = 16,
    GUARD_MAX_RUNNER_PEERS = 2 * CTL_MAX_RUNNERS,
    GUARD_PENDING = RING_MAX_SLOTS,
    GUARD_SHADOWS = 8
};

struct guard_peer {
    bool used;
    int fd, pid_fd;
    pid_t pid;
    bool foreign;  /* of the runners' user: may be nothing else */
    bool pressed;  /* its emergency stop is */
    uint32_t role; /* enum ctl_role; 0 before HELLO */
    int64_t since_ns;
    int64_t doomed_ns; /* killed if it is still there then; 0: never */
    struct guard_runner *runner;
};

struct guard_runner {
    uint64_t generation; /* 0: free slot */
    struct digest release;
    struct ctl_limits limits;
    bool admitted, hung, degraded;
    char backend[64];
    struct guard_peer *peer; /* NULL: not connected */

    struct ring results, control;
    uint64_t next_result, control_seq;
    int bell_fd;
    enum ring_mode mode; /* what its control page says */
    bool draining; /* it was told something else while it may have been at work: one result is excused */

    uint32_t silent_frames; /* given since its last result */
    int64_t silent_since_ns;
    uint32_t restarts;
    uint32_t shadow_left;
    uint64_t shadow_seq; /* of its last shadowing result: they only go up */
    uint64_t shadow_frames, shadow_agreed, shadow_failed;
    struct ctl_counters counters;
};

struct guard_entry {
    struct guard_frame frame;
    bool answered;              /* a result came for it, in time or late */
    enum intervention fallback; /* why the fallback was given it; INTERVENTION_COUNT: it was not */
    struct frame_cause cause;   /* what is wrong with it or its result; TIME: nothing */
};

struct guard_stream {
    struct guard_peer *peer; /* NULL: no robot program */
    struct ring frames, verdicts;
    uint64_t number;
    uint64_t seen; /* all frames up to here are in `entries` or forgotten */
    int64_t last_frame_ns;
    struct guard_monitor monitor;
    struct guard_entry entries[GUARD_PENDING]; /* frame seq at seq mod GUARD_PENDING */
};

struct guard_noted { /* interventions of one reason */
    int64_t last_ns;
    uint32_t since; /* not told yet */
};

struct guard {
    struct guard_options options;
    int lock_fd, listen_fd, epoll_fd, signal_fd;
    int spare_fd; /* given up for a moment where there is no other: see guard_accept */
    bool stop;

    uint64_t epoch, streams;
    int64_t started_ns, next_tick_ns;
    enum guard_state state;
    uint64_t active, fallback; /* generations; 0: none */
    uint64_t checked, safe, overridden;
    struct { /* an ACTIVATE that waits for the end of a sequence; generation 0: none */
        uint64_t generation, fallback;
        int64_t until_ns;
    } next;

    struct oversight oversight;
    struct latch latch;
    char who[48], reason[112]; /* of the last accepted command, or of the fault */
    bool mirror_lost;          /* an e-stop mirror went away: as good as pressed */
    bool fault;                /* too many frames in a row without a usable result: an event is due */

    struct guard_peer peers[GUARD_MAX_PEERS];
    struct guard_runner runners[CTL_MAX_RUNNERS];
    struct guard_stream stream;

    struct guard_noted noted[INTERVENTION_COUNT];
    struct ring_result
        shadows[GUARD_SHADOWS];  /* sound ones that wait for the active one's, at seq mod GUARD_SHADOWS */
    struct ring_result result;   /* scratch: the private copy that is checked */
    struct ring_verdict verdict; /* scratch */
    struct ctl_status_packet status;
};

/* epoll data: what woke us. */
enum guard_source {
    GUARD_BY_LISTEN,
    GUARD_BY_SIGNAL,
    GUARD_BY_PEER,
    GUARD_BY_DEATH, /* of a peer's process */
    GUARD_BY_BELL,
};
int guard_watch(struct guard *guard, int fd, uint32_t events, enum guard_source source, size_t index,
                struct err *err) must_check;

/* guard.c: once around the loop: sleeps until there is something to do, does it */
int guard_turn(struct guard *guard, struct err *err) must_check;

/* peers.c */
void guard_accept(struct guard *guard, int64_t now_ns);
void guard_peer_ready(struct guard *guard, struct guard_peer *peer, int64_t now_ns);
void guard_peer_drop(struct guard *guard, struct guard_peer *peer, int64_t now_ns);
void guard_peer_died(struct guard *guard, struct guard_peer *peer, int64_t now_ns);
void guard_peer_kill(const struct guard_peer *peer);
void guard_peers_tick(struct guard *guard, int64_t now_ns);
bool guard_peer_gone(const struct guard_peer *peer); /* it hung up already */
int guard_reply(const struct guard_peer *peer, const struct ctl_message *asked, uint64_t generation,
                const struct err *why);

/* hello.c; -1: refuse the peer with *err */
int guard_hello(struct guard *guard, struct guard_peer *peer, const struct ctl_message *hello,
                struct ctl_fds *fds, int64_t now_ns, struct err *err) must_check;
void guard_runner_disconnect(struct guard *guard, struct guard_runner *runner);
bool guard_peer_is_runner(const struct guard_peer *peer); /* or hides what it is */

/* orders.c; false: this kind is none of ours */
bool guard_order(struct guard *guard, struct guard_peer *peer, const struct ctl_message *order,
                 int64_t now_ns);
/* The ACTIVATE that waits is carried out if it is time: at the end of a sequence, or too long after. */
void guard_activate_due(struct guard *guard, bool sequence_ends, int64_t now_ns);
struct guard_runner *guard_runner_find(struct guard *guard, uint64_t generation); /* NULL if there is none */
/* The runner's slot, made if need be. NULL if all are taken. */
struct guard_runner *guard_runner_slot(struct guard *guard, uint64_t generation,
                                       const struct digest *release);

/* human.c */
void guard_restore(struct guard *guard);
int guard_command(struct guard *guard, const struct guard_peer *peer, const struct ctl_message *order,
                  int64_t now_ns, struct err *err) must_check;
int guard_estop(struct guard *guard, const struct guard_peer *peer, const struct ctl_message *order,
                int64_t now_ns, struct err *err);
void guard_mirror_gone(struct guard *guard, int64_t now_ns);
void guard_humans_tick(struct guard *guard, int64_t now_ns); /* leases, faults */
void guard_keep(struct guard *guard);                        /* the latch says what is so */
bool guard_overruled(enum guard_state state); /* a human or a latch decides: no model answers */

/* answer.c */
bool guard_runner_live(const struct guard_runner *runner); /* NULL is fine */
struct guard_runner *guard_answerer(struct guard *guard);  /* NULL: the safe state answers */
void guard_event(struct guard *guard, enum guard_event event, int64_t now_ns);
void guard_activate(struct guard *guard, uint64_t generation, uint64_t fallback, int64_t now_ns);
void guard_runners_changed(struct guard *guard, int64_t now_ns); /* one more may be live */
void guard_runner_lost(struct guard *guard, struct guard_runner *runner, int64_t now_ns);
void guard_direct(struct guard *guard); /* writes the control pages that changed */

/* frames.c */
void guard_frames_scan(struct guard *guard, int64_t now_ns);
void guard_frames_expire(struct guard *guard, int64_t now_ns);
void guard_frames_reassign(struct guard *guard, uint64_t from_generation, int64_t now_ns);
void guard_frames_overrule(struct guard *guard, int64_t now_ns); /* open ones: SAFE, OVERSIGHT */
struct guard_entry *guard_frame_find(struct guard *guard, uint64_t stream, uint64_t seq);
/* The one verdict of a frame: the result, or SAFE for `reason`. `result`: the one that came for it, also if it is refused; NULL: none. */
void guard_decide(struct guard *guard, struct guard_entry *entry, const struct ring_result *result,
                  enum intervention reason, int64_t now_ns);
uint64_t guard_oldest_open(struct guard *guard, uint64_t generation); /* seq, or seen + 1 */
int64_t guard_next_deadline_ns(struct guard *guard);                  /* INT64_MAX: nothing is open */

/* results.c */
void guard_results_drain(struct guard *guard, struct guard_runner *runner, int64_t now_ns);

enum intervention guard_judge(const struct ring_result *result, const struct guard_frame *frame,
                              const struct ctl_limits *limits, int64_t now_ns, struct frame_cause *why);
struct guard_payload guard_payload_of(const struct ring_result *result);

/* shadow.c */
int guard_shadow_order(struct guard *guard, const struct guard_peer *peer, const struct ctl_message *order,
                       int64_t now_ns, struct err *err) must_check;
/* guard->result is of a shadowing runner: true if it was taken as such. */
bool guard_shadow_take(struct guard *guard, struct guard_runner *runner, const struct guard_entry *entry);
/* guard->verdict, with a result, was just given. */
void guard_shadow_compare(struct guard *guard);
void guard_shadow_forget(struct guard *guard);

/* notice.c */
void guard_notice(struct guard *guard, enum ctl_notice notice, uint64_t generation, const char *text);
void guard_notice_command(struct guard *guard, const struct ctl_command *command, bool local, int32_t result,
                          const char *text);
void guard_notice_intervention(struct guard *guard, const struct guard_entry *entry, enum intervention reason,
                               int64_t now_ns);
/* The frames, and for observers the verdicts too. */
void guard_tell_stream(struct guard *guard, const struct guard_peer *peer, bool verdicts);

/* counters.c */
void guard_count_latency(uint32_t buckets[CTL_HIST_BUCKETS], int64_t ns);
int64_t guard_plausible_run_ns(int64_t claimed_ns, int64_t capture_ns, int64_t now_ns);
void guard_count_result(struct ctl_counters *counters, const struct ring_result *result, int64_t frame_ns);
void guard_fill_status(struct guard *guard);

#endif
