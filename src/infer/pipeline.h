/* From a camera frame to detections: preprocess → model → decode → NMS. Used by the runner on robots and by
 * `muster pack`, `eval` and `bench`, so that what is measured is what runs.
 *
 * After pipeline_open nothing is allocated per frame. Not thread-safe: one pipeline per thread.
 */
#ifndef MUSTER_INFER_PIPELINE_H
#define MUSTER_INFER_PIPELINE_H

#include "base/err.h"
#include "stats/detection.h"
#include "wire/golden.h"
#include "wire/release.h"

#include <stddef.h>
#include <stdint.h>

struct pipeline;

struct pipeline_options {
    const char *runtime_path; /* libonnxruntime.so.1; NULL: searched for, see runtime.h */
    int threads;              /* intra-op; 0: 1 */
    bool spin;                /* busy-wait between operators: lower p50, worse for neighbours */
};

struct pipeline_times {
    int64_t preprocess_ns, run_ns, decode_ns; /* run_ns: the bare Run() */
};

/* Loads, checks that the runtime sees the tensors that `release` names, binds inputs and outputs, warms up (≥
 * 3 runs). Errors: UNSUPPORTED without a runtime; REFUSED if the model does not load or its tensors differ.
 * `release` is copied. */
int pipeline_open(const char *model_path, const struct release *release,
                  const struct pipeline_options *options, struct pipeline **out, struct err *err) must_check;
void pipeline_close(struct pipeline *pipeline);

/* One RGB8 interleaved frame of any size. Detections in pixels of that frame, clipped to it, by descending
 * score; at most `max` and at most what the release allows. `times` may be NULL. Errors: INVALID if an output
 * holds NaN or infinity (nothing else is said about that frame then); else as the runtime says. The pipeline
 * stays usable. */
int pipeline_run(struct pipeline *pipeline, const uint8_t *rgb, int width, int height, struct detection *out,
                 size_t max, size_t *out_count, struct pipeline_times *times, struct err *err) must_check;

/* The raw output tensors of the last run: float32, valid until the next one. */
const float *pipeline_output(const struct pipeline *pipeline, size_t index, size_t *out_len);

/* Runs every golden case and compares all output elements: |a - b| ≤ tolerance * max(1, |b|).
 * Errors: REFUSED with the case, the output, the element and the two values. */
int pipeline_self_test(struct pipeline *pipeline, const struct golden *golden, double tolerance,
                       struct err *err) must_check;

/* "onnxruntime 1.22.0 cpu": for reports. Lives as long as the pipeline. */
const char *pipeline_backend(const struct pipeline *pipeline);

#endif
