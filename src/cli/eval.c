#include "cli/verbs.h"

#include "base/mem.h"
#include "cli/output.h"
#include "cli/target.h"
#include "forge/eval.h"

#include <math.h>

static const char help[] =
    "usage: muster eval RELEASE --data DIR [--json]\n"
    "\n"
    "Measures a detector on labelled pictures (DIR/annotations.json in the COCO format): average precision "
    "per class at\n"
    "IoU 0.5, their mean, and latency. A class that the release does not know counts 0. RELEASE is a packed "
    "release or\n"
    "a release.yaml.\n"
    "\n"
    "  -d, --data DIR       pictures and annotations.json\n"
    "      --min-score X    detections from this score on make the precision curve (default: 0.01)\n"
    "      --threads N      of the runtime (default: 1)\n"
    "      --runtime FILE   libonnxruntime.so.1 to use (MUSTER_ONNXRUNTIME)\n"
    "      --json           as JSON: map50, classes[], precision, recall, latency_p50_ms, …\n"
    "\n"
    "examples:\n"
    "  muster-sim frames --seed 900001 --site all --count 400 -o unseen\n"
    "  muster eval detector-2 --data unseen\n";

static void show_progress(size_t done, size_t total, void *arg)
{
    progress_show("evaluating", done, total);
}

static void json_classes(struct json_writer *out, const struct eval_report *report)
{
    jsonw_array(out, "classes");
    for (size_t i = 0; i < report->class_count; i++) {
        const struct eval_class *item = &report->classes[i];
        jsonw_object(out, NULL);
        jsonw_text(out, "name", item->name);
        jsonw_boolean(out, "known", item->known);
        jsonw_i64(out, "objects", (int64_t)item->truths);
        jsonw_real(out, "ap50", item->ap50);
        jsonw_close(out);
    }
    jsonw_close(out);
}

static int print_json(const struct eval_report *report, struct err *err)
{
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_text(&out, "name", report->name);
    jsonw_text(&out, "version", report->version);
    jsonw_text(&out, "backend", report->backend);
    jsonw_i64(&out, "frames", (int64_t)report->frames);
    jsonw_real(&out, "map50", report->map50);
    jsonw_real(&out, "precision", report->precision);
    jsonw_real(&out, "recall", report->recall);
    jsonw_real(&out, "score_threshold", report->score_threshold);
    jsonw_real(&out, "latency_p50_ms", report->latency_p50_ms);
    jsonw_real(&out, "latency_p99_ms", report->latency_p99_ms);
    jsonw_real(&out, "run_p50_ms", report->run_p50_ms);
    jsonw_real(&out, "run_p99_ms", report->run_p99_ms);
    json_classes(&out, report);
    jsonw_close(&out);
    return output_print(&out, err);
}

static void print_text(const struct eval_report *report)
{
    printf("%s %s on %zu frames, %s\n\n", report->name, report->version, report->frames, report->backend);
    printf("%-16s %8s %8s\n", "class", "objects", "AP@0.5");
    for (size_t i = 0; i < report->class_count; i++) {
        const struct eval_class *item = &report->classes[i];
        printf("%-16s %8llu ", item->name, (unsigned long long)item->truths);
        if (isnan(item->ap50))
            puts("       -");
        else
            printf("%8.3f%s\n", item->ap50, item->known ? "" : "  not known to the release");
    }
    printf("\nmAP@0.5 %.3f\n", report->map50);
    printf("precision %.3f, recall %.3f at score %g\n", report->precision, report->recall,
           report->score_threshold);
    printf("latency p50 %.2f ms, p99 %.2f ms (bare run %.2f, %.2f)\n", report->latency_p50_ms,
           report->latency_p99_ms, report->run_p50_ms, report->run_p99_ms);
}

static int evaluate(const char *path, const char *data, const struct eval_options *how, bool json,
                    struct err *err)
{
    cleanup_target struct target target = {0};
    cleanup_free struct eval_report *report = mem_zalloc(1, sizeof *report);
    if (!report)
        return err_no_memory(err);
    if (target_open(path, &target, err) < 0 ||
        eval_model(target.model_path, &target.release, data, how, report, err) < 0)
        return -1;
    progress_clear();
    if (json)
        return print_json(report, err);
    print_text(report);
    return 0;
}

static int run(int argc, char **argv, struct err *err)
{
    const char *data = NULL;
    bool json = false;
    int64_t threads = 1;
    struct eval_options how = {.min_score = EVAL_MIN_SCORE, .progress = show_progress};
    struct operands operands = {.usage = "RELEASE", .min = 1, .max = 1};
    const struct option_def options[] = {
        OPT_TEXT("data", 'd', &data),
        OPT_DOUBLE("min-score", 0, &how.min_score),
        OPT_INT("threads", 0, &threads, 1, 64),
        OPT_TEXT("runtime", 0, &how.runtime_path),
        OPT_FLAG("json", 0, &json),
    };
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    if (!data)
        return err_set(err, ERR_USAGE, "which pictures? give --data DIR");
    if (how.min_score < 0 || how.min_score > 1)
        return err_set(err, ERR_USAGE, "--min-score must be from 0 to 1");
    how.threads = (int)threads;
    return evaluate(operands.items[0], data, &how, json, err);
}

const struct verb verb_eval = {
    .name = "eval", .summary = "measure a release on labelled pictures", .help = help, .run = run};
