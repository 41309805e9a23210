/* How good a model is on labelled pictures (coco.h): average precision per class at IoU 0.5, and how long it
 * takes.
 *
 * The classes are the categories of the data, matched with the release's labels by name. A category with
 * objects that the release does not know counts with AP 0. By default every detection above EVAL_MIN_SCORE
 * takes part, as in the COCO metric; precision and recall are those at the release's own score threshold.
 */
#ifndef MUSTER_FORGE_EVAL_H
#define MUSTER_FORGE_EVAL_H

#include "base/err.h"
#include "forge/coco.h"
#include "wire/release.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVAL_MIN_SCORE 0.01

struct eval_options {
    const char *runtime_path;                               /* NULL: see infer/runtime.h */
    double min_score;                                       /* < 0: EVAL_MIN_SCORE */
    int threads;                                            /* 0: 1 */
    void (*progress)(size_t done, size_t total, void *arg); /* NULL: none */
    void *progress_arg;
};

struct eval_class {
    char name[32];
    bool known; /* to the release */
    uint64_t truths;
    double ap50; /* NaN if there are no truths */
};

struct eval_report {
    char name[64], version[64], backend[64];
    size_t frames;
    double map50;             /* NaN if nothing is labelled */
    double precision, recall; /* at score_threshold and IoU 0.5; NaN without detections or truths */
    double score_threshold;
    double latency_p50_ms, latency_p99_ms; /* preprocess + run + decode */
    double run_p50_ms, run_p99_ms;         /* the bare run */
    size_t class_count;
    struct eval_class classes[COCO_MAX_CATEGORIES];
};

/* Errors: NOT_FOUND without DIR/annotations.json or one of its pictures; else as the pipeline says. */
int eval_model(const char *model_path, const struct release *release, const char *data_dir,
               const struct eval_options *options, struct eval_report *out, struct err *err) must_check;

#endif
