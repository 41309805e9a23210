/* How good a model is on labelled data, and how long it takes.
 *
 *     task             data                                  measures
 *     detection        pictures, annotations.json (coco.h)   AP per class at IoU 0.5, mAP@0.5, COCO's AP; precision, recall at the threshold
 *     classification   files, labels.json (truth.h)          accuracy with its interval, precision, recall, F1 per class, macro F1
 *     timeseries       series, events.json (truth.h)         events found and missed, false alarms per hour, delay; with intervals
 *
 * Detection: the classes are the categories of the data, matched with the release's labels by name. A category with
 * objects that the release does not know counts with AP 0. By default every detection above EVAL_MIN_SCORE
 * takes part, as in the COCO metric; precision and recall are those at the release's own score threshold.
 * Intervals: 95 %, exact (stats/bound.h, stats/order.h). Time series: the model's state is fresh at the start of each.
 */
#ifndef MUSTER_FORGE_EVAL_H
#define MUSTER_FORGE_EVAL_H

#include "base/err.h"
#include "forge/coco.h"
#include "stats/labelfree.h"
#include "wire/release.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVAL_MIN_SCORE 0.01
#define EVAL_EVENT_SCORE 0.5

struct eval_options {
    const char *runtime_path; /* NULL: see infer/runtime.h */
    double min_score;         /* of detections; < 0: EVAL_MIN_SCORE */
    double event_score;       /* from which on a frame is an event's; 0: EVAL_EVENT_SCORE */
    int threads;              /* 0: 1 */
    void (*progress)(size_t done, size_t total, void *arg); /* NULL: none */
    void *progress_arg;
};

struct eval_bounds {
    double low, high;
};

/* One class, as far as its task has a meaning for it; else NaN. */
struct eval_class {
    char name[32];
    bool known;      /* to the release */
    uint64_t truths; /* objects, files, events */
    double ap50;     /* detection; NaN if there are no truths */
    double precision, recall, f1;
    struct eval_bounds recall_bounds;
    uint64_t false_alarms; /* timeseries */
};

struct eval_report {
    char name[64], version[64], backend[64];
    enum release_task task;
    size_t frames;                         /* pictures, files, or frames of all series */
    double latency_p50_ms, latency_p99_ms; /* preprocess + run + decode */
    double run_p50_ms, run_p99_ms;         /* the bare run */
    uint64_t confidence
        [LABELFREE_BINS]; /* of what was answered: detections from score_threshold on, the top class */
    size_t class_count;
    struct eval_class classes[COCO_MAX_CATEGORIES];

    /* detection */
    double map50;    /* NaN if nothing is labelled */
    double coco_map; /* COCO's "AP": mean over IoU 0.5 … 0.95, 101 recalls */
    double precision,
        recall; /* at score_threshold and IoU 0.5; NaN without detections or truths. Timeseries: of events */
    double score_threshold;

    /* classification */
    double accuracy, macro_f1;
    struct eval_bounds accuracy_bounds;

    /* timeseries */
    size_t series;
    double hours;
    uint64_t events, found, false_alarms;
    struct eval_bounds recall_bounds;
    double false_alarms_per_hour, mean_delay_s; /* NaN if nothing was found */
    struct eval_bounds false_alarm_bounds;      /* per hour */
};

/* Errors: NOT_FOUND without the data's file of truths or one of its samples; UNSUPPORTED for tasks without a measure; else as the pipeline says. */
int eval_model(const char *model_path, const struct release *release, const char *data_dir,
               const struct eval_options *options, struct eval_report *out, struct err *err) must_check;

#endif
