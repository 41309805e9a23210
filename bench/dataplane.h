/* The parts of bench-dataplane; bench/dataplane.c says what is measured and how. */
#ifndef MUSTER_BENCH_DATAPLANE_H
#define MUSTER_BENCH_DATAPLANE_H

#include "base/err.h"
#include "muster/muster.h"
#include "release/image.h"
#include "robot/ring/ring.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PATIENCE_MS = 20000, WARM_FRAMES = 60 };

/* Which core each process keeps to; -1: any. */
struct cores {
    int program, guard, runner;
};

/* How everybody waits, and where. */
struct mode {
    const char *name;
    const char *guard_option, *runner_wait; /* of muster-guard (NULL: none), of muster-runner --wait */
    bool patient, spin;                     /* of muster_options */
    struct cores cores;
    uint32_t pause_us; /* the program sleeps that long before each frame: a camera's time */
};

/* ---- guard, runner and robot program (dataplane_rig.c) ---- */

struct rig {
    char run_dir[64];
    pid_t guard, runner; /* 0: none */
    int agent;
    struct muster *robot;
};

/* What the frames are: floats, or pictures. */
struct frames {
    uint32_t floats, width, height;
};
size_t frames_bytes(const struct frames *frames);

/* As programs of their own, or (`counted`) as children of this one, which counts their allocations. */
int rig_start(struct rig *rig, const char *dir, const char *store, const struct mode *mode,
              const struct frames *frames, bool counted, struct err *err) must_check;
void rig_stop(struct rig *rig);
int pin(pid_t pid, int core, struct err *err) must_check; /* core -1: nothing */

/* ---- who it is compared with (dataplane_peers.c) ---- */

/* A process that does nothing but the bare Run() of the same model, on the same kind of memory as the runner, on the
 * runner's core. It sleeps until it is rung. */
struct bare {
    pid_t pid;
    struct ring frames, results;
    uint64_t seq;
};
int bare_start(struct bare *bare, const char *store, const struct frames *frames, int core,
               struct err *err) must_check;
uint8_t *bare_begin(struct bare *bare); /* where the frame goes */
int bare_run(struct bare *bare, bool spin, int64_t *out_run_ns, struct err *err) must_check;
void bare_stop(struct bare *bare);

/* ONNX Runtime behind an HTTP server of its own process: POST of the frame's bytes over a kept connection on
 * loopback; the answer is the values, with the run's own time in a header. */
struct http_peer {
    pid_t pid;
    int sock;
};
int http_start(struct http_peer *peer, const char *store, const struct frames *frames, int core,
               struct err *err) must_check;
int http_run(struct http_peer *peer, const void *frame, size_t bytes, int64_t *out_run_ns,
             struct err *err) must_check;
void http_stop(struct http_peer *peer);

/* ---- counting (dataplane_count.c) ---- */

enum count_role { COUNT_PROGRAM, COUNT_GUARD, COUNT_RUNNER, COUNT_ROLES };

int count_init(struct err *err) must_check; /* before any fork */
void count_as(enum count_role role);        /* this process is that one from now on */
void count_arm(bool armed);                 /* in all of them */
struct count {
    uint64_t ours, engine; /* allocations; `engine`: called from ONNX Runtime's own code */
};
struct count count_of(enum count_role role);
bool count_possible(void); /* not under a sanitizer: it brings an allocator of its own */

/* Memory touched since: private memory of a process, and shared memory other than frames, in bytes; `heads` what it
 * touched of the frames. */
int touched_reset(pid_t pid, struct err *err) must_check;
int touched_read(pid_t pid, uint64_t *out_bytes, uint64_t *out_frames_bytes, struct err *err) must_check;

/* ---- what is measured (dataplane_row.c), and how it is told (dataplane_report.c) ---- */

enum { SIZES = 5, BENCH_LARGEST = 8 << 20, COUNTED_FRAMES = 500 };

struct arguments {
    const char *model, *store;
    uint64_t frames, fps, try_bytes;
};

struct series {
    double *us;
    size_t count;
};

enum what { WHOLE, BARE, OWN_RUN, OWN_ADDED, TO_RUNNER, TO_GUARD, TO_PROGRAM, HTTP, WHATS };

/* One size in one mode. */
struct row {
    struct frames frames;
    const struct mode *mode;
    bool reads_all, by_cpu; /* by_cpu: the frame is written through the caches, see paint */
    uint64_t not_ok;
    struct series series[WHATS];
    double guard_cpu_us, copies;
};

struct bench {
    struct arguments args;
    char *dir;
    bool niced;       /* this process and all its children */
    uint8_t *picture; /* owned; of any size: what the HTTP peer is sent */
    struct mode spin, sleep, pace;
    struct row rows[2 * SIZES + 4], detector;
    size_t row_count;
    struct count counts[COUNT_ROLES];
    uint64_t guard_rss_kib;
};

/* Fills in the timings of a row that says what it is: the whole way and the bare Run() in turn; and of the HTTP peer. */
int row_measure(struct bench *bench, const char *store, struct row *row, struct err *err) must_check;
int row_behind_http(const struct bench *bench, const char *store, struct row *row,
                    struct err *err) must_check;
void row_free(struct row *row);
/* One frame the whole way; `counts`: it is noted. */
void row_frame(struct rig *rig, struct row *row, uint64_t n, bool counts);

void report_row(const struct row *row); /* one JSON object on stdout */
void report_all(const struct bench *bench);

#endif
