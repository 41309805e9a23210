/* How fast models are, side by side: in every round each model runs once, in turn, so that whatever else the
 * machine does hits all of them alike; every round begins with another model, so that none always runs on another's warm caches. Warm-up
 * rounds are not counted. Intervals are those of order statistics: 95 % whatever the distribution (stats/order.h). */
#ifndef MUSTER_FORGE_BENCH_H
#define MUSTER_FORGE_BENCH_H

#include "base/err.h"
#include "wire/release.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BENCH_MAX_MODELS = 8 };

struct bench_model {
    const char *name; /* for reports; borrowed */
    const char *model_path;
    const struct release *release;
};

struct bench_options {
    const char *runtime_path; /* NULL: see infer/runtime.h */
    int rounds;               /* ≥ 1 */
    int warmup;               /* rounds before; 0: a tenth of `rounds`, at least 5 */
    int threads;              /* 0: 1 */
    bool spin;
    void (*progress)(size_t done, size_t total, void *arg); /* NULL: none */
    void *progress_arg;
};

struct bench_report {
    char backend[64];
    double total_p50_ms, total_p99_ms; /* preprocess + run + decode */
    struct bench_bounds {
        double low, high; /* NaN: too few rounds to tell */
    } total_p50, total_p99;
    double speedup; /* over the first model: median over the rounds of its time by ours */
    struct bench_bounds speedup_bounds;
    double preprocess_p50_ms, run_p50_ms, run_p99_ms, decode_p50_ms;
    double load_ms; /* opening, with warm-up */
    double rss_mib; /* growth of this process by loading it */
};

/* The frame is noise of the input's own size, from a fixed seed. `out` has room for `count`. */
int bench_models(const struct bench_model *models, size_t count, const struct bench_options *options,
                 struct bench_report *out, struct err *err) must_check;

/* A release for a bare ONNX file, as far as its bytes tell: tensors, layout; decoder raw. */
int bench_release_of(const char *model_path, struct release *out, struct err *err) must_check;

#endif
