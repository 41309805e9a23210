#include "forge/eval.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/eval_inside.h"
#include "sys/file.h"

#include <math.h>

int eval_read(const struct eval_run *run, const char *name, struct buf *out, struct err *err)
{
    cleanup_free char *path = file_join(run->data_dir, name);
    return path ? file_read(path, out, err) : err_no_memory(err);
}

void eval_show(const struct eval_run *run, size_t done, size_t total)
{
    if (run->options->progress)
        run->options->progress(done, total, run->options->progress_arg);
}

static void keep_confidence(struct eval_run *run, const struct pipeline_result *result)
{
    if (run->release->task == TASK_DETECTION) {
        for (size_t i = 0; i < result->count; i++)
            if ((double)result->detections[i].score >= run->release->postprocess.score_threshold)
                run->confidence[labelfree_bin((double)result->detections[i].score)]++;
        return;
    }
    float top = 0;
    for (size_t i = 0; i < result->count; i++)
        top = MAX(top, result->values[i]);
    run->confidence[labelfree_bin((double)top)]++;
}

int eval_frame(struct eval_run *run, const struct pipeline_frame *frame, struct pipeline_result *result,
               struct err *err)
{
    struct pipeline_times times;
    if (pipeline_process(run->pipeline, frame, result, &times, err) < 0 ||
        spread_add(&run->total, times.preprocess_ns + times.run_ns + times.decode_ns, err) < 0)
        return -1;
    keep_confidence(run, result);
    return spread_add(&run->run, times.run_ns, err);
}

/* The whole precision curve is wanted, so the threshold of detections is the caller's. */
static int open_pipeline(struct eval_run *run, const char *model_path, struct err *err)
{
    const struct eval_options *options = run->options;
    cleanup_free struct release *wide = mem_dup(run->release, sizeof *wide);
    if (!wide)
        return err_no_memory(err);
    if (wide->task == TASK_DETECTION)
        wide->postprocess.score_threshold = options->min_score < 0 ? EVAL_MIN_SCORE : options->min_score;
    struct pipeline_options pipeline_options = {.runtime_path = options->runtime_path,
                                                .threads = options->threads};
    return pipeline_open(model_path, wide, &pipeline_options, &run->pipeline, err);
}

static void report_run(struct eval_run *run, struct eval_report *out)
{
    out->task = run->release->task;
    memcpy(out->confidence, run->confidence, sizeof out->confidence);
    out->latency_p50_ms = spread_quantile_ms(&run->total, 0.5);
    out->latency_p99_ms = spread_quantile_ms(&run->total, 0.99);
    out->run_p50_ms = spread_quantile_ms(&run->run, 0.5);
    out->run_p99_ms = spread_quantile_ms(&run->run, 0.99);
    str_copy(out->name, sizeof out->name, run->release->name);
    str_copy(out->version, sizeof out->version, run->release->version);
    str_copy(out->backend, sizeof out->backend, pipeline_backend(run->pipeline));
}

typedef int measure_function(struct eval_run *run, struct eval_report *out, struct err *err);

static measure_function *measure_of(enum release_task task)
{
    switch (task) {
    case TASK_DETECTION:
        return eval_detection;
    case TASK_CLASSIFICATION:
        return eval_labels;
    case TASK_TIMESERIES:
        return eval_series;
    case TASK_CONTROL:
    case TASK_RAW:
        break;
    }
    return NULL;
}

int eval_model(const char *model_path, const struct release *release, const char *data_dir,
               const struct eval_options *options, struct eval_report *out, struct err *err)
{
    struct eval_run run = {.release = release, .data_dir = data_dir, .options = options};
    measure_function *measure = measure_of(release->task);
    if (!measure)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s %s: there is no measure for the task %s; muster bench tells how fast it is",
                       release->name, release->version, task_name(release->task));
    *out = (struct eval_report){0};
    int result = open_pipeline(&run, model_path, err);
    if (result == 0)
        result = measure(&run, out, err);
    if (result == 0)
        report_run(&run, out);
    pipeline_close(run.pipeline);
    spread_fini(&run.total);
    spread_fini(&run.run);
    return result;
}
