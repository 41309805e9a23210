#include "cli/verbs.h"

#include "base/mem.h"
#include "cli/output.h"
#include "cli/target.h"
#include "forge/eval.h"
#include "sys/file.h"
#include "wire/profile.h"

#include <math.h>

static const char help[] =
    "usage: muster eval RELEASE --data DIR [--json]\n"
    "\n"
    "Measures how good a release is on labelled data, and how fast. RELEASE is a packed release "
    "(RELEASE:VARIANT "
    "for one of its\n"
    "variants) or a release.yaml. What DIR holds depends on the task:\n"
    "\n"
    "  detection       pictures and annotations.json (COCO): average precision per class at IoU 0.5, their "
    "mean, "
    "COCO's AP\n"
    "                  (IoU 0.5 to 0.95); a class that the release does not know counts 0\n"
    "  classification  files and labels.json {\"FILE\": \"LABEL\", …}: accuracy, precision, recall, F1\n"
    "  timeseries      series and events.json (docs/forge.md): events found, false alarms per hour, delay\n"
    "\n"
    "Intervals are exact and hold at 95 %. Of a release whose reference profile was made with labelled data "
    "it is told besides\n"
    "what would be thought of this data without its labels (docs/accuracy.md).\n"
    "\n"
    "  -d, --data DIR       samples and what is true about them\n"
    "      --min-score X    detections from this score on make the precision curve (default: 0.01)\n"
    "      --event-score X  frames from this score on belong to an event (default: 0.5)\n"
    "      --threads N      of the runtime (default: 1)\n"
    "      --runtime FILE   libonnxruntime.so.1 to use (MUSTER_ONNXRUNTIME)\n"
    "      --json           as JSON: task, map50, coco_map | accuracy, macro_f1 | recall, "
    "false_alarms_per_hour, … classes[]\n"
    "\n"
    "examples:\n"
    "  muster-sim frames --seed 900001 --site all --count 400 -o unseen\n"
    "  muster eval detector-2 --data unseen\n"
    "  muster eval detector-2:cpu-x86 --data unseen --json\n";

static void show_progress(size_t done, size_t total, void *arg)
{
    progress_show("evaluating", done, total);
}

static void json_bounds(struct json_writer *out, const char *low, const char *high,
                        const struct eval_bounds *bounds)
{
    jsonw_real(out, low, bounds->low);
    jsonw_real(out, high, bounds->high);
}

static void json_class(struct json_writer *out, enum release_task task, const struct eval_class *item)
{
    jsonw_object(out, NULL);
    jsonw_text(out, "name", item->name);
    if (task == TASK_DETECTION) {
        jsonw_boolean(out, "known", item->known);
        jsonw_i64(out, "objects", (int64_t)item->truths);
        jsonw_real(out, "ap50", item->ap50);
    } else {
        jsonw_i64(out, task == TASK_TIMESERIES ? "events" : "samples", (int64_t)item->truths);
        jsonw_real(out, "precision", item->precision);
        jsonw_real(out, "recall", item->recall);
        json_bounds(out, "recall_low", "recall_high", &item->recall_bounds);
        jsonw_real(out, "f1", item->f1);
    }
    if (task == TASK_TIMESERIES)
        jsonw_i64(out, "false_alarms", (int64_t)item->false_alarms);
    jsonw_close(out);
}

static void json_measures(struct json_writer *out, const struct eval_report *report)
{
    if (report->task == TASK_DETECTION) {
        jsonw_real(out, "map50", report->map50);
        jsonw_real(out, "coco_map", report->coco_map);
        jsonw_real(out, "precision", report->precision);
        jsonw_real(out, "recall", report->recall);
        jsonw_real(out, "score_threshold", report->score_threshold);
    } else if (report->task == TASK_CLASSIFICATION) {
        jsonw_real(out, "accuracy", report->accuracy);
        json_bounds(out, "accuracy_low", "accuracy_high", &report->accuracy_bounds);
        jsonw_real(out, "macro_f1", report->macro_f1);
    } else {
        jsonw_i64(out, "series", (int64_t)report->series);
        jsonw_real(out, "hours", report->hours);
        jsonw_i64(out, "events", (int64_t)report->events);
        jsonw_i64(out, "found", (int64_t)report->found);
        jsonw_real(out, "recall", report->recall);
        json_bounds(out, "recall_low", "recall_high", &report->recall_bounds);
        jsonw_real(out, "precision", report->precision);
        jsonw_i64(out, "false_alarms", (int64_t)report->false_alarms);
        jsonw_real(out, "false_alarms_per_hour", report->false_alarms_per_hour);
        json_bounds(out, "false_alarms_per_hour_low", "false_alarms_per_hour_high",
                    &report->false_alarm_bounds);
        jsonw_real(out, "mean_delay_s", report->mean_delay_s);
    }
}

static void json_share(struct json_writer *out, const char *key, double value)
{
    if (!isnan(value))
        jsonw_real(out, key, value);
}

/* What a fleet would be told of this data, where nobody knows what is right. */
static void json_estimate(struct json_writer *out, const struct labelfree_estimate *estimate)
{
    jsonw_object(out, "estimate");
    json_share(out, "accuracy", estimate->accuracy);
    json_share(out, "doc", estimate->doc);
    json_share(out, "atc", estimate->atc);
    json_share(out, "cbpe", estimate->cbpe);
    jsonw_i64(out, "answers", (int64_t)estimate->answers);
    jsonw_boolean(out, "valid", estimate->valid);
    if (estimate->because)
        jsonw_text(out, "because", estimate->because);
    jsonw_close(out);
}

static int print_json(const struct eval_report *report, const struct labelfree_estimate *estimate,
                      struct err *err)
{
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_text(&out, "name", report->name);
    jsonw_text(&out, "version", report->version);
    jsonw_text(&out, "task", task_name(report->task));
    jsonw_text(&out, "backend", report->backend);
    jsonw_i64(&out, "frames", (int64_t)report->frames);
    json_measures(&out, report);
    jsonw_real(&out, "latency_p50_ms", report->latency_p50_ms);
    jsonw_real(&out, "latency_p99_ms", report->latency_p99_ms);
    jsonw_real(&out, "run_p50_ms", report->run_p50_ms);
    jsonw_real(&out, "run_p99_ms", report->run_p99_ms);
    if (estimate)
        json_estimate(&out, estimate);
    jsonw_array(&out, "classes");
    for (size_t i = 0; i < report->class_count; i++)
        json_class(&out, report->task, &report->classes[i]);
    jsonw_close(&out);
    jsonw_close(&out);
    return output_print(&out, err);
}

/* "   0.937", "       -" for what has no meaning. */
static void put_number(double value)
{
    if (isnan(value))
        fputs("        -", stdout);
    else
        printf(" %8.3f", value);
}

static void print_detection(const struct eval_report *report)
{
    printf("%-16s %8s %8s\n", "class", "objects", "AP@0.5");
    for (size_t i = 0; i < report->class_count; i++) {
        const struct eval_class *item = &report->classes[i];
        printf("%-16s %8llu", item->name, (unsigned long long)item->truths);
        put_number(item->ap50);
        puts(item->known || isnan(item->ap50) ? "" : "  not known to the release");
    }
    printf("\nmAP@0.5 %.3f, COCO's AP@[.5:.95] %.3f\n", report->map50, report->coco_map);
    printf("precision %.3f, recall %.3f at score %g\n", report->precision, report->recall,
           report->score_threshold);
}

static void print_rows(const struct eval_report *report, const char *what)
{
    printf("%-16s %8s %8s %8s %8s\n", "class", what, "precis.", "recall", "F1");
    for (size_t i = 0; i < report->class_count; i++) {
        const struct eval_class *item = &report->classes[i];
        printf("%-16s %8llu", item->name, (unsigned long long)item->truths);
        put_number(item->precision);
        put_number(item->recall);
        put_number(item->f1);
        puts("");
    }
    puts("");
}

static void print_classification(const struct eval_report *report)
{
    print_rows(report, "samples");
    printf("accuracy %.4f (%.4f to %.4f), macro F1 %.4f\n", report->accuracy, report->accuracy_bounds.low,
           report->accuracy_bounds.high, report->macro_f1);
}

static void print_series(const struct eval_report *report)
{
    print_rows(report, "events");
    printf("%llu of %llu events found in %.2f h: recall %.3f (%.3f to %.3f)\n",
           (unsigned long long)report->found, (unsigned long long)report->events, report->hours,
           report->recall, report->recall_bounds.low, report->recall_bounds.high);
    printf("%llu false alarms: %.3g per hour (%.3g to %.3g)\n", (unsigned long long)report->false_alarms,
           report->false_alarms_per_hour, report->false_alarm_bounds.low, report->false_alarm_bounds.high);
    if (!isnan(report->mean_delay_s))
        printf("found %.2f s late in the mean\n", report->mean_delay_s);
}

static void print_estimate(const struct labelfree_estimate *estimate)
{
    fputs("without labels: ", stdout);
    if (!isnan(estimate->accuracy))
        printf("%.4f by its confidence%s", estimate->accuracy, estimate->valid ? "\n" : "; ");
    if (!estimate->valid)
        printf("not to be believed: %s\n", estimate->because);
}

static void print_text(const struct eval_report *report, const struct labelfree_estimate *estimate)
{
    printf("%s %s on %zu frames, %s\n\n", report->name, report->version, report->frames, report->backend);
    if (report->task == TASK_DETECTION)
        print_detection(report);
    else if (report->task == TASK_CLASSIFICATION)
        print_classification(report);
    else
        print_series(report);
    if (estimate)
        print_estimate(estimate);
    printf("latency p50 %.2f ms, p99 %.2f ms (bare run %.2f, %.2f)\n", report->latency_p50_ms,
           report->latency_p99_ms, report->run_p50_ms, report->run_p99_ms);
}

/* *out_there: the release has a profile that was made with labelled data. */
static int estimate(const char *profile_path, const struct eval_report *report,
                    struct labelfree_estimate *out, bool *out_there, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    cleanup_profile struct profile profile = {0};
    if (!profile_path)
        return 0;
    if (file_map(profile_path, &map, err) < 0 || profile_parse(map.data, map.size, &profile, err) < 0)
        return -1;
    labelfree_estimate(&profile.accuracy, report->confidence, false, out);
    *out_there = !isnan(profile.accuracy.accuracy);
    return 0;
}

static int evaluate(const char *path, const char *data, const struct eval_options *how, bool json,
                    struct err *err)
{
    cleanup_target struct target target = {0};
    cleanup_free struct eval_report *report = mem_zalloc(1, sizeof *report);
    struct labelfree_estimate guess = {0};
    bool guessed = false;
    if (!report)
        return err_no_memory(err);
    if (target_open(path, &target, err) < 0 ||
        eval_model(target.model_path, &target.release, data, how, report, err) < 0 ||
        estimate(target.profile_path, report, &guess, &guessed, err) < 0)
        return -1;
    progress_clear();
    if (json)
        return print_json(report, guessed ? &guess : NULL, err);
    print_text(report, guessed ? &guess : NULL);
    return 0;
}

static int run(int argc, char **argv, struct err *err)
{
    const char *data = NULL;
    bool json = false;
    int64_t threads = 1;
    struct eval_options how = {
        .min_score = EVAL_MIN_SCORE, .event_score = EVAL_EVENT_SCORE, .progress = show_progress};
    struct operands operands = {.usage = "RELEASE", .min = 1, .max = 1};
    const struct option_def options[] = {
        OPT_TEXT("data", 'd', &data),
        OPT_DOUBLE("min-score", 0, &how.min_score),
        OPT_DOUBLE("event-score", 0, &how.event_score),
        OPT_INT("threads", 0, &threads, 1, 64),
        OPT_TEXT("runtime", 0, &how.runtime_path),
        OPT_FLAG("json", 0, &json),
    };
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    if (!data)
        return err_set(err, ERR_USAGE, "on which data? give --data DIR");
    if (how.min_score < 0 || how.min_score > 1)
        return err_set(err, ERR_USAGE, "--min-score must be from 0 to 1");
    if (how.event_score <= 0 || how.event_score > 1)
        return err_set(err, ERR_USAGE, "--event-score must be above 0 and at most 1");
    how.threads = (int)threads;
    return evaluate(operands.items[0], data, &how, json, err);
}

const struct verb verb_eval = {
    .name = "eval", .summary = "measure how good a release is on labelled data", .help = help, .run = run};
