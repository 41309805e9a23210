/* From a frame to a result: preprocess → model → finite? → decode. Used by the runner on robots and by `muster pack`,
 * `eval` and `bench`, so that what is measured is what runs.
 *
 *   frame rgb8     pixels ──resize, normalise──▶ input tensor ─┐
 *   frame float32  the caller's memory IS the input tensor ────┴▶ model ─▶ finite? ─▶ yolov8 │ scores │ values ─▶ result
 *                                                    state ──▲      │
 *                                                            └──────┘ of a model with memory: two sets of buffers, swapped
 *
 * After pipeline_open nothing of ours is allocated per frame and no payload is copied, if the frames' memory was bound
 * (pipeline_bind_frames). Not thread-safe: one pipeline per thread.
 */
#ifndef MUSTER_INFER_PIPELINE_H
#define MUSTER_INFER_PIPELINE_H

#include "base/digest.h"
#include "base/err.h"
#include "stats/detection.h"
#include "wire/golden.h"
#include "wire/release.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PIPELINE_MAX_SLOTS = 64, PIPELINE_MAX_VALUES = 768 };

struct pipeline;
struct machine;

/* Where this machine keeps what it derived from models (derived.h): the optimized graph is used if it is there, and made if there are golden
 * cases to test it with and the process has a single thread. Any trouble: the plain model runs. */
struct pipeline_cache {
    const char *dir;
    struct digest model;         /* of the model's file, checked by whoever opens it */
    const struct golden *golden; /* NULL: only look. Borrowed during pipeline_open */
    /* The release's variant "trt": what engines are built from before the model itself is tried. Its golden outputs are its own, so it is held to
     * what the release promises of them. */
    struct {
        const char *path; /* borrowed; NULL where nothing is built */
        struct digest digest;
        double promised;          /* 0: there is no such variant */
        const char *timing_cache; /* the release's, for a machine that has none of its own; NULL: none */
    } trt;
};

struct pipeline_options {
    const char *runtime_path; /* libonnxruntime.so.1; NULL: searched for, see runtime.h */
    int threads;              /* intra-op; 0: as the release says */
    bool spin;                /* busy-wait between operators even where the release does not ask for it */
    const struct pipeline_cache *cache; /* NULL: none */
    bool deadlines;                     /* frames may have deadlines: starts the watchdog (one thread) */
    /* The model itself, in memory, for weights that lie in the clear nowhere else; borrowed during pipeline_open. model_path only names it
     * then, and nothing is derived from it: `cache` has to be NULL. NULL: the file is loaded. */
    const void *model;
    size_t model_size;
    unsigned skip;                 /* providers that are not to be tried, a bit each: 1u << PROVIDER_CUDA */
    const struct machine *machine; /* what it has; NULL: this one (machine.h) */
};

struct pipeline_times {
    int64_t preprocess_ns, run_ns, decode_ns; /* run_ns: the bare Run() */
};

struct pipeline_frame {
    const void *data;
    int width, height;   /* rgb8: pixels, interleaved; float32: `width` floats, height 1 */
    int64_t deadline_ns; /* CLOCK_MONOTONIC: a run that is not done by then is given up; 0: none. Needs
                            options.deadlines */
};

/* Where a result goes, and what came. Detections and values may share their memory: one of them is written. */
struct pipeline_result {
    struct detection *detections;
    size_t max_detections;
    float *values;
    size_t max_values;
    size_t count; /* out: detections, or values if release_value_count() is not 0 */
};

/* Loads, checks that the runtime sees the tensors that `release` names, binds inputs and outputs, warms up (≥
 * 3 runs). Errors: UNSUPPORTED without a runtime; REFUSED if the model does not load or its tensors differ.
 * `release` is copied. */
int pipeline_open(const char *model_path, const struct release *release,
                  const struct pipeline_options *options, struct pipeline **out, struct err *err) must_check;
void pipeline_close(struct pipeline *pipeline);

/* Makes the engine for the accelerator that the release prefers here, proves it and keeps it in options->cache, which has to have golden
 * cases; takes minutes, at the lowest priority, within limits. 0: it is there. The process must have a single thread.
 * Errors: UNSUPPORTED if there is nothing to build here; REFUSED with the reason, which is remembered for 24 h; BUSY if somebody builds. */
int pipeline_build_engine(const char *model_path, const struct release *release,
                          const struct pipeline_options *options, struct err *err) must_check;

/* Tells where float32 frames will lie (the payloads of a ring's slots), so that the model reads them in place. Allocates;
 * meant for once per ring. The memory must stay readable until the next call or pipeline_close; `count` 0: forget it all.
 * Frames elsewhere are copied once. Does nothing for rgb8. Errors: TOO_BIG beyond PIPELINE_MAX_SLOTS. */
int pipeline_bind_frames(struct pipeline *pipeline, const void *const *slots, size_t count,
                         struct err *err) must_check;

/* One frame. Detections in pixels of the frame, clipped to it, by descending score, at most what the release allows;
 * values in the order of the model's first output, after the activation. `times` may be NULL.
 * Errors: REFUSED if the frame does not fit the release; INVALID if an output but the tap holds NaN or infinity (nothing else is said about
 * that frame then); TIMEOUT if the deadline passed during the run: it ends at the next operator's boundary; else as the
 * runtime says. The pipeline stays usable, and the state of a model with memory is that of before the frame. */
int pipeline_process(struct pipeline *pipeline, const struct pipeline_frame *frame,
                     struct pipeline_result *result, struct pipeline_times *times,
                     struct err *err) must_check;

/* The same for one rgb8 frame of a detector. */
int pipeline_run(struct pipeline *pipeline, const uint8_t *rgb, int width, int height, struct detection *out,
                 size_t max, size_t *out_count, struct pipeline_times *times, struct err *err) must_check;

/* A new sequence begins: the state is all zeros again. Nothing for a model without memory. */
void pipeline_reset_state(struct pipeline *pipeline);

/* The raw output tensors of the last run: float32, valid until the next one. */
const float *pipeline_output(const struct pipeline *pipeline, size_t index, size_t *out_len);

/* Runs every golden case, in order and from a fresh state, and compares all output elements:
 * |a - b| ≤ tolerance * max(1, |b|); of an engine of the variant "trt": that it is as alike as promised. The state is fresh afterwards.
 * Errors: REFUSED with the case, the output, the element and the two values. */
int pipeline_self_test(struct pipeline *pipeline, const struct golden *golden, double tolerance,
                       struct err *err) must_check;

/* Runs every golden case and says how alike its outputs are to the golden ones (fidelity.h), on average: for what is not meant to give the same
 * numbers. The state is fresh afterwards. Errors: REFUSED if a case does not run or gives NaN. */
int pipeline_golden_fidelity(struct pipeline *pipeline, const struct golden *golden, double *out,
                             struct err *err) must_check;

/* "onnxruntime 1.22.0 cpu", "… cuda", "… tensorrt 10.3.0.30"; with ", optimized" or " (cache hit)" behind it if it runs what the cache
 * held: for reports. Lives as long as the pipeline. */
const char *pipeline_backend(const struct pipeline *pipeline);

enum provider pipeline_provider(const struct pipeline *pipeline);
bool pipeline_is_variant(const struct pipeline *pipeline); /* its engine was built from the variant "trt" */
bool pipeline_is_derived(const struct pipeline *pipeline); /* runs what the cache held */
/* NULL, or why there is a cache but the plain model runs. Lives as long as the pipeline. */
const char *pipeline_plain_because(const struct pipeline *pipeline);

/* NULL if it runs as the release wants it; else why it is degraded, in words ("no tensorrt: …"): a provider that the
 * release prefers is not in use although this machine has the hardware. Lives as long as the pipeline. */
const char *pipeline_degraded(const struct pipeline *pipeline);

#endif
