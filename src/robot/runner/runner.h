/* muster-runner: one process per generation; it turns frames into results and can do nothing else.
 *
 *        frames memfd (read-only)                      results memfd (only we write)
 *   ───────────────────────────────▶  engine.run  ───────────────────────────────────▶ guard
 *        control memfd (read-only): which frames            pipe: rings the guard
 *
 *   load ─▶ warm up ─▶ golden self-test ─▶ HELLO ─▶ IDLE ⇄ SHADOW ⇄ ACTIVE ─▶ EXIT
 *
 * Nobody learns of a runner before its model has proved itself: whoever is connected is ready.
 *
 * Which frame next:
 *   latest    the newest one it may process. Those it leaves out are answered STALE at once: dropped, never in silence.
 *   lossless  the next one in order, for models with memory. Bounded by the ring: one that was overwritten before its
 *             turn is answered STALE.
 * A frame whose time is up before its turn is answered STALE as well; one whose time is up while the model runs: FAILED,
 * at once (the engine aborts it), and the runner lives on.
 *
 * Nobody is told to process a frame while the control page says IDLE, but for one that was given to it before; then
 * it sleeps on its socket and costs nothing. SHADOW is ACTIVE at the lowest priority, with results that say so. When
 * the guard goes away the runner comes back to the next one for RUNNER_PATIENCE_MS, keeping the loaded model.
 *
 * Per frame: no allocation, no copy of a payload, and no system call but the bell and the wait for the next one.
 */
#ifndef MUSTER_ROBOT_RUNNER_H
#define MUSTER_ROBOT_RUNNER_H

#include "base/digest.h"
#include "base/err.h"
#include "robot/ring/ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One frame in shared memory of somebody else: read-only here, and it may change while it is read. */
struct runner_frame {
    uint64_t seq;
    const uint8_t *payload; /* 64-byte aligned */
    size_t payload_bytes;   /* fits width, height and format */
    uint32_t slot;          /* payload == slots.payload[slot] of the last attach */
    uint32_t width, height; /* FLOAT32: `width` floats, height 1 */
    enum ring_format format;
    int64_t deadline_ns; /* CLOCK_MONOTONIC: a result later than this is worth nothing */
};

/* Where the payloads of a stream will be, for as long as it lasts. */
struct runner_slots {
    uint32_t count;
    size_t payload_bytes; /* room in each */
    const void *payload[RING_MAX_SLOTS];
};

/* What computes. One thread calls it. */
struct runner_engine {
    void *self;
    /* A robot program attached: frames of another stream than before, so whatever was remembered of earlier ones is
     * void. May be NULL. After an error no frame of this stream is given to it; each is answered FAILED. */
    int (*attach)(void *self, const struct runner_slots *slots, struct err *err);
    /* Fills in kind, count, the payload and the three times of *out. Errors: INVALID if the model's output is not
     * finite; TIMEOUT if the deadline passed meanwhile; others: FAILED. */
    int (*run)(void *self, const struct runner_frame *frame, struct ring_result *out, struct err *err);
};

/* How the next frame is awaited. */
enum runner_wait {
    RUNNER_WAIT_PACE = 0, /* sleep, but look out while it is due (robot/ring/pace.h) */
    RUNNER_WAIT_SLEEP,
    RUNNER_WAIT_SPIN, /* look out all the time: for a core that is free to burn */
};

struct runner_options {
    const char *run_dir;
    uint64_t generation;
    struct digest release;
    int patience_ms;     /* 0: RUNNER_PATIENCE_MS */
    int64_t deadline_us; /* of the release, capture to checked result; 0: only the frame's own */
    bool lossless;
    enum runner_wait wait;
    const char *backend; /* for reports; NULL: none */
    bool degraded;       /* it runs, but not on the accelerator it is meant for */
    bool keep_priority;  /* never at the lowest one, not even as a shadow */
};

enum { RUNNER_PATIENCE_MS = 30000 };

/* Serves until the guard says EXIT (0). Errors: EXISTS or REFUSED if the guard does not want this runner;
 * UNREACHABLE if there was no guard for too long. */
int runner_serve(const struct runner_options *options, const struct runner_engine *engine,
                 struct err *err) must_check;

#endif
