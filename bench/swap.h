/* For bench-swap: the robot program in a process of its own, and what it wrote down of every frame.
 *
 *   bench-swap (plays the agent: crew, reconcile, the judge of shadows) ──▶ muster-guard ◀──▶ muster-runner, one per release
 *        │  swap_log: shared memory                                              ▲
 *        └──▶ robot program (a child, libmuster, F frames a second, looks at each verdict) ──┘
 */
#ifndef MUSTER_BENCH_SWAP_H
#define MUSTER_BENCH_SWAP_H

#include "base/digest.h"
#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { SWAP_WIDTH = 160, SWAP_HEIGHT = 128, SWAP_DEADLINE_US = 150000, SWAP_MAX_FRAMES = 1 << 20 };

enum swap_flag {
    SWAP_LOST = 1, /* no result, only the safe state */
    SWAP_MIXED_UP =
        2, /* the verdict of another frame, or an older release after a newer one, or time runs back */
    SWAP_KILLED = 4,     /* the active runner was killed while it had this frame */
    SWAP_FALLBACK = 8,   /* the other release answered */
    SWAP_NOT_ASKED = 16, /* libmuster had to decide: the guard did not */
    SWAP_LATE = 32,      /* lost because its time was up, or it was overtaken */
};

struct swap_frame {
    int64_t submitted_ns;
    uint64_t generation; /* that answered */
    uint32_t latency_ns; /* submit to verdict */
    uint32_t flags;      /* enum swap_flag */
};

struct swap_log {
    atomic_uint_fast64_t count; /* frames that have their verdict */
    atomic_bool stop;
    atomic_int victim;           /* a process to kill in the middle of the next frame; 0: none */
    atomic_bool order_unchecked; /* going back to an older release is right now */
    struct swap_frame frames[SWAP_MAX_FRAMES];
};

/* Shared with children that are forked later. NULL: out of memory. */
struct swap_log *swap_log_new(void);
/* Starts the robot program. It ends when log->stop is set, or with this process. */
int swap_robot_start(struct swap_log *log, const char *run_dir, unsigned fps, pid_t *out_pid,
                     struct err *err) must_check;

enum { SWAP_MAX_WINDOWS = 1 << 15 };

struct swap_window { /* frames submitted in it belong to a switch, or to the steady state behind one */
    int64_t from_ns, to_ns;
    bool steady;
};

struct swap_outcome {
    uint64_t swaps, kills, fps, shadow;
    const char *isolation;
    size_t window_count;
    struct swap_window windows[SWAP_MAX_WINDOWS]; /* in order */
    uint64_t frames_at_end, verdicts_at_end;      /* of the switches, before the kills */
    int64_t rss_before, rss_after;                /* bytes; after the first switch and the last one */
    int fds_before, fds_after;
    double switches_s;
};

/* Packs two releases into `layout`, with scratch space in `dir`; in a child: packing runs the model, and its memory is
 * none of the agent's. */
int swap_pack(const char *dir, const char *layout, struct digest releases[2], struct err *err) must_check;
/* Judges what the robot program saw; one JSON object on stdout. *out_clean: no frame lost but for lack of time, doubled,
 * out of order or left alone, no descriptor leaked. */
int swap_report(const struct swap_log *log, const struct swap_outcome *outcome, bool *out_clean,
                struct err *err) must_check;

#endif
