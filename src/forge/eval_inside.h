/* What the tasks of eval.h share, private to them. */
#ifndef MUSTER_FORGE_EVAL_INSIDE_H
#define MUSTER_FORGE_EVAL_INSIDE_H

#include "base/buf.h"
#include "forge/eval.h"
#include "forge/spread.h"
#include "infer/pipeline.h"

struct eval_run {
    const struct release *release;
    const char *data_dir;
    const struct eval_options *options;
    struct pipeline *pipeline;
    struct spread total, run;
    uint64_t confidence[LABELFREE_BINS];
};

/* Runs one frame and keeps its times. */
int eval_frame(struct eval_run *run, const struct pipeline_frame *frame, struct pipeline_result *result,
               struct err *err) must_check;
int eval_read(const struct eval_run *run, const char *name, struct buf *out,
              struct err *err) must_check; /* DIR/name */
void eval_show(const struct eval_run *run, size_t done, size_t total);

int eval_detection(struct eval_run *run, struct eval_report *out, struct err *err) must_check;
int eval_labels(struct eval_run *run, struct eval_report *out, struct err *err) must_check;
int eval_series(struct eval_run *run, struct eval_report *out, struct err *err) must_check;

#endif
