/* muster-runner: one process per generation; it turns frames into results and can do nothing else.
 *
 *        frames memfd (read-only)                      results memfd (only we write)
 *   ───────────────────────────────▶  engine.run  ───────────────────────────────────▶ guard
 *        control memfd (read-only): which frames            pipe: rings the guard
 *
 * Of the frames it is to process it always takes the newest (latest wins). Nobody is told to process a frame
 * while the control page says IDLE, but for one that was given to it before; then it sleeps on its socket and
 * costs nothing. When the guard goes away it comes back to the next one for RUNNER_PATIENCE_MS, keeping the
 * loaded model.
 */
#ifndef MUSTER_ROBOT_RUNNER_H
#define MUSTER_ROBOT_RUNNER_H

#include "base/digest.h"
#include "base/err.h"
#include "stats/detection.h"

#include <stddef.h>
#include <stdint.h>

struct runner_times {
    int64_t preprocess_ns, run_ns, decode_ns;
};

/* What computes. `rgb` is read-only shared memory of somebody else: it may change while it is read.
 * Errors: INVALID if the model's output is not finite. */
struct runner_engine {
    void *self;
    int (*run)(void *self, const uint8_t *rgb, uint32_t width, uint32_t height, struct detection *out,
               size_t max, size_t *out_count, struct runner_times *times, struct err *err);
};

struct runner_options {
    const char *run_dir;
    uint64_t generation;
    struct digest release;
    int patience_ms; /* 0: RUNNER_PATIENCE_MS */
};

enum { RUNNER_PATIENCE_MS = 30000 };

/* Serves until the guard says EXIT (0). Errors: EXISTS or REFUSED if the guard does not want this runner;
 * UNREACHABLE if there was no guard for too long. */
int runner_serve(const struct runner_options *options, const struct runner_engine *engine,
                 struct err *err) must_check;

#endif
