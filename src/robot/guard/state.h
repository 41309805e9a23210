/* Everything the guard knows, for the files of this room.
 *
 *   guard.c     set-up, epoll loop, tick
 *   peers.c     connections: accept, drop, doom
 *   hello.c     a robot program or a runner introduces itself
 *   orders.c    what the agent asks for
 *   answer.c    the state machine, and telling runners who answers
 *   frames.c    frames seen, deadlines, verdicts
 *   results.c   results taken and checked
 *   counters.c  statistics
 */
#ifndef MUSTER_ROBOT_GUARD_STATE_H
#define MUSTER_ROBOT_GUARD_STATE_H

#include "robot/ctl/ctl.h"
#include "robot/decide/guard_check.h"
#include "robot/decide/guard_fsm.h"
#include "robot/guard/guard.h"
#include "robot/ring/ring.h"

#include <sys/types.h>

enum { GUARD_MAX_PEERS = 16, GUARD_PENDING = RING_MAX_SLOTS };

struct guard_peer {
    bool used;
    int fd, pid_fd;
    pid_t pid;
    uint32_t role; /* enum ctl_role; 0 before HELLO */
    int64_t since_ns;
    int64_t doomed_ns; /* killed if it is still there then; 0: never */
    struct guard_runner *runner;
};

struct guard_runner {
    uint64_t generation; /* 0: free slot */
    struct digest release;
    struct ctl_limits limits;
    bool admitted, hung;
    struct guard_peer *peer; /* NULL: not connected */

    struct ring results, control;
    uint64_t next_result, control_seq;
    int bell_fd;
    bool active;   /* what its control page says */
    bool draining; /* it was told something else while it may have been at work: one result is excused */

    uint32_t silent_frames; /* given since its last result */
    int64_t silent_since_ns;
    uint32_t restarts;
    struct ctl_counters counters;
};

struct guard_entry {
    struct guard_frame frame;
    bool answered; /* a result came for it, in time or late */
    bool fallback; /* given to the fallback, because the primary is lost */
};

struct guard_stream {
    struct guard_peer *peer; /* NULL: no robot program */
    struct ring frames, verdicts;
    uint64_t number;
    uint64_t seen; /* all frames up to here are in `entries` or forgotten */
    int64_t last_frame_ns;
    struct guard_entry entries[GUARD_PENDING]; /* frame seq at seq mod GUARD_PENDING */
};

struct guard {
    struct guard_options options;
    int lock_fd, listen_fd, epoll_fd, signal_fd;
    bool stop;

    uint64_t epoch, streams;
    int64_t started_ns, next_tick_ns;
    enum guard_state state;
    uint64_t active, fallback; /* generations; 0: none */
    uint64_t checked, safe;

    struct guard_peer peers[GUARD_MAX_PEERS];
    struct guard_runner runners[CTL_MAX_RUNNERS];
    struct guard_stream stream;

    struct ring_result result;   /* scratch: the private copy that is checked */
    struct ring_verdict verdict; /* scratch */
    struct ctl_status_packet status;
};

/* epoll data: what woke us. */
enum guard_source { GUARD_FROM_LISTEN, GUARD_FROM_SIGNAL, GUARD_FROM_PEER, GUARD_FROM_BELL };
int guard_watch(struct guard *guard, int fd, uint32_t events, enum guard_source source, size_t index,
                struct err *err) must_check;

/* peers.c */
void guard_accept(struct guard *guard, int64_t now_ns);
void guard_peer_ready(struct guard *guard, struct guard_peer *peer, int64_t now_ns);
void guard_peer_drop(struct guard *guard, struct guard_peer *peer, int64_t now_ns);
void guard_peer_kill(const struct guard_peer *peer);
void guard_peers_tick(struct guard *guard, int64_t now_ns);
bool guard_peer_gone(const struct guard_peer *peer); /* it hung up already */
int guard_reply(const struct guard_peer *peer, const struct ctl_message *asked, const struct err *why);

/* hello.c; -1: refuse the peer with *err */
int guard_hello(struct guard *guard, struct guard_peer *peer, const struct ctl_message *hello,
                struct ctl_fds *fds, int64_t now_ns, struct err *err) must_check;
void guard_runner_disconnect(struct guard *guard, struct guard_runner *runner);

/* orders.c; false: this kind is none of ours */
bool guard_order(struct guard *guard, struct guard_peer *peer, const struct ctl_message *order,
                 int64_t now_ns);
struct guard_runner *guard_runner_find(struct guard *guard, uint64_t generation); /* NULL if there is none */
/* The runner's slot, made if need be. NULL if all are taken. */
struct guard_runner *guard_runner_slot(struct guard *guard, uint64_t generation,
                                       const struct digest *release);

/* answer.c */
bool guard_runner_live(const struct guard_runner *runner); /* NULL is fine */
struct guard_runner *guard_answerer(struct guard *guard);  /* NULL: the safe state answers */
void guard_event(struct guard *guard, enum guard_event event, int64_t now_ns);
void guard_runner_ready(struct guard *guard, const struct guard_runner *runner, int64_t now_ns);
void guard_runner_lost(struct guard *guard, struct guard_runner *runner, int64_t now_ns);
void guard_direct(struct guard *guard); /* writes the control pages that changed */

/* frames.c */
void guard_frames_scan(struct guard *guard, int64_t now_ns);
void guard_frames_expire(struct guard *guard, int64_t now_ns);
void guard_frames_reassign(struct guard *guard, uint64_t from_generation, int64_t now_ns);
struct guard_entry *guard_frame_find(struct guard *guard, uint64_t stream, uint64_t seq);
/* The one verdict of a frame. `result` NULL: SAFE for `reason`. */
void guard_decide(struct guard *guard, struct guard_entry *entry, const struct ring_result *result,
                  enum intervention reason, int64_t now_ns);
uint64_t guard_oldest_open(const struct guard *guard, uint64_t generation); /* seq, or seen + 1 */
int64_t guard_next_deadline_ns(const struct guard *guard);                  /* INT64_MAX: nothing is open */

/* results.c */
void guard_results_drain(struct guard *guard, struct guard_runner *runner, int64_t now_ns);

/* counters.c */
void guard_count_latency(uint32_t buckets[CTL_HIST_BUCKETS], int64_t ns);
int64_t guard_plausible_run_ns(int64_t claimed_ns, int64_t capture_ns, int64_t now_ns);
void guard_count_result(struct ctl_counters *counters, const struct ring_result *result, int64_t frame_ns);
void guard_fill_status(struct guard *guard);

#endif
