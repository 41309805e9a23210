#include "cli/verbs.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/operate.h"
#include "cli/output.h"
#include "forge/optimize/optimize.h"
#include "forge/optimize/report.h"
#include "stats/bound.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char help[] =
    "usage: muster optimize MODEL.onnx|release.yaml --calib DIR -o OUT [options]\n"
    "\n"
    "Makes smaller, faster variants of a float32 model from unlabelled samples, and measures before it "
    "promises: a "
    "variant\n"
    "that is slower, larger in memory or less faithful than allowed is refused, with the reason, and the "
    "model stays. "
    "The\n"
    "result is OUT/<profile>.onnx for each profile that passed, OUT/report.json and OUT/report.html. "
    "Interrupted, the "
    "same\n"
    "command goes on where it was.\n"
    "\n"
    "  -c, --calib DIR         samples: pictures, .npy or .f32 files, or one folder per sample with "
    "INPUT.npy for each "
    "input;\n"
    "                          half of them are held out to judge what comes out. 128 or more are best\n"
    "  -o, --output OUT        folder for the variants\n"
    "  -p, --profile NAME      cpu-x86, cpu-arm, trt or all; may be given several times (default: all)\n"
    "      --int8, --fp16      which precisions (default: int8; for trt int8 with float16, else float16)\n"
    "      --max-drop X        how much fidelity may go: its lower bound has to be at least 1 - X (default: "
    "0.1)\n"
    "      --prune RATIO       first remove this share of the channels, without labels; judged by itself\n"
    "      --sparse            2:4 sparse weights in the trt profile\n"
    "      --second-order      round weights by second order: slower, closer to the model\n"
    "      --rounds N          pairs of runs that the latencies are judged by, at most (default: 200)\n"
    "      --shape NAME=DIMS   size of an input with open dimensions, as images=1,3,224,224; may be given "
    "several "
    "times\n"
    "      --runtime FILE      libonnxruntime.so.1 to use (MUSTER_ONNXRUNTIME)\n"
    "      --json              the report as JSON\n"
    "of a bare ONNX file, what it does not say itself (a release.yaml does):\n"
    "      --task NAME         detection, classification, timeseries, control or raw (default: as the "
    "outputs look)\n"
    "      --mean A[,B,C] --std A[,B,C] --scale X     pictures: (pixel * scale - mean) / std (default: scale "
    "1/255)\n"
    "      --bgr --stretch                            blue first; stretched instead of letterboxed\n"
    "\n"
    "examples:\n"
    "  muster optimize release.yaml --calib pictures -o optimized\n"
    "  muster optimize model.onnx --calib pictures -o out --profile cpu-x86 --max-drop 0.05\n"
    "  muster optimize classifier.onnx --calib crops -o out --shape x=1,3,48,192 --mean 0.5 --std 0.5\n"
    "  muster optimize model.onnx --calib pictures -o out --prune 0.15 --json\n";

/* ---- progress ---- */

enum { TELL_AFTER_MS = 2000 };

struct watch {
    int64_t began_ms;
    size_t began_at; /* what an earlier run had done says nothing about this one's pace */
    bool begun;
};

static int64_t left_s(struct watch *watch, size_t done, size_t total)
{
    int64_t now_ms = clock_mono_ms();
    if (!watch->begun)
        *watch = (struct watch){.began_ms = now_ms, .began_at = done, .begun = true};
    if (done <= watch->began_at || now_ms - watch->began_ms < TELL_AFTER_MS)
        return -1;
    double pace = (double)(now_ms - watch->began_ms) / (double)(done - watch->began_at);
    return (int64_t)(pace * (double)(total - done) / 1000);
}

static int show(void *arg, const char *step, size_t done, size_t total, struct err *err)
{
    char line[192];
    if (operate_interrupted())
        return err_set(err, ERR_BUSY, "interrupted; the same command goes on where this one was");
    int64_t left = left_s(arg, done, total);
    if (left < 0)
        progress_show(step, done, total);
    else {
        snprintf(line, sizeof line, "%s, %" PRId64 ":%02" PRId64 " left,", step, left / 60, left % 60);
        progress_show(line, done, total);
    }
    return 0;
}

/* ---- answers ---- */

static int print_json(const struct optimize_report *report, struct err *err)
{
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    report_write_json_here(&out, report);
    return output_print(&out, err);
}

static void print_cell(double value, int width, int digits)
{
    if (isnan(value))
        printf(" %*s", width, "-");
    else
        printf(" %*.*f", width, digits, value);
}

static const char *tried(const struct optimize_profile *profile)
{
    return profile->attempt_count
               ? profile->attempts[profile->promoted ? profile->attempt_count - 1 : 0].precision
               : profile->precision;
}

static void print_row(const struct optimize_profile *profile)
{
    const struct gate_answer *gate = &profile->gate;
    printf("%-8s %-10s %10s", profile->profile, tried(profile),
           profile->size_bytes ? format_bytes(profile->size_bytes).text : "-");
    print_cell(gate->candidate_p50_ms, 9, 3);
    print_cell(gate->speedup, 8, 2);
    print_cell(gate->fidelity, 8, 4);
    print_cell(gate->fidelity_lower, 8, 4);
    printf("  %s\n", profile->promoted ? "promoted" : "refused");
}

/* Paths in a release.yaml are relative to where it lies; the model mostly lies there too. */
static const char *beside_model(const struct optimize_report *report)
{
    const char *slash = strrchr(report->model_path, '/');
    size_t len = slash ? (size_t)(slash - report->model_path) + 1 : 0;
    bool below = len && strncmp(report->out_path, report->model_path, len) == 0 && report->out_path[len];
    return below ? report->out_path + len : report->out_path;
}

static void print_next(const struct optimize_report *report, const struct optimize_job *job)
{
    bool any = false;
    for (size_t i = 0; i < report->profile_count; i++)
        any = any || report->profiles[i].promoted;
    printf("\nreport: %s/report.html, %s/report.json\n", job->out_dir, job->out_dir);
    if (any)
        printf("into release.yaml, to ship what was promoted:\n  optimized: %s\n", beside_model(report));
}

static void print_text(const struct optimize_report *report, const struct optimize_job *job)
{
    printf("%s: %.2f million parameters; fidelity of %s on %zu held-out samples of %zu\n\n", report->model,
           (double)report->parameters / 1e6, report->fidelity_kind, report->held_out, report->samples);
    printf("%-8s %-10s %10s %9s %8s %8s %8s\n", "profile", "precision", "size", "p50 ms", "speed-up",
           "fidelity", "at least");
    for (size_t i = 0; i < report->profile_count; i++)
        print_row(&report->profiles[i]);
    putchar('\n');
    for (size_t i = 0; i < report->profile_count; i++)
        printf("%s: %s\n", report->profiles[i].profile, report->profiles[i].reason);
    if (report->pruning.asked && !report->pruning.done)
        printf("not pruned: %s\n", report->pruning.reason);
    print_next(report, job);
}

/* ---- arguments ---- */

struct flags {
    const char *calib, *out;
    struct option_list profiles, shapes;
    int64_t rounds;
    bool json;
};

static int take_profiles(const struct option_list *list, struct optimize_job *job, struct err *err)
{
    for (size_t i = 0; i < list->count; i++) {
        enum quant_profile profile = PROFILE_COUNT;
        bool all = str_eq(list->items[i], "all");
        if (!all && !quant_profile_of(list->items[i], &profile))
            return err_set(err, ERR_USAGE, "--profile %.40s: must be cpu-x86, cpu-arm, trt or all",
                           list->items[i]);
        for (int k = 0; k < PROFILE_COUNT; k++)
            job->profiles[k] = job->profiles[k] || all || k == (int)profile;
    }
    for (int k = 0; k < PROFILE_COUNT && !list->count; k++)
        job->profiles[k] = true;
    return 0;
}

static int take_shape(const char *text, struct optimize_fixed *out, struct err *err)
{
    const char *equals = strrchr(text, '=');
    cleanup_free char *dims = mem_strdup(equals ? equals + 1 : "");
    if (!dims)
        return err_no_memory(err);
    if (!equals || equals == text || (size_t)(equals - text) >= sizeof out->input)
        return err_set(err, ERR_USAGE, "--shape %.60s: must look like images=1,3,224,224", text);
    snprintf(out->input, sizeof out->input, "%.*s", (int)(equals - text), text);
    char *rest = dims;
    for (char *part; (part = strsep(&rest, ","));) {
        int64_t dim = 0;
        if (out->dim_count == RELEASE_MAX_DIMS || !str_to_i64(part, &dim) || dim < 1 || dim > INT32_MAX)
            return err_set(err, ERR_USAGE, "--shape %.60s: must look like images=1,3,224,224", text);
        out->dims[out->dim_count++] = dim;
    }
    return 0;
}

static int take_flags(const struct flags *flags, struct optimize_job *job, struct err *err)
{
    if (!flags->calib || !flags->calib[0])
        return err_set(err, ERR_USAGE, "which samples? give --calib DIR");
    if (!flags->out || !flags->out[0])
        return err_set(err, ERR_USAGE, "where to? give -o OUT");
    if (job->max_drop <= 0 || job->max_drop >= 1)
        return err_set(err, ERR_USAGE, "--max-drop must be above 0 and below 1");
    if (job->prune < 0 || job->prune > 0.9)
        return err_set(err, ERR_USAGE, "--prune must be from 0 to 0.9");
    if (flags->shapes.count > OPTIMIZE_MAX_FIXED)
        return err_set(err, ERR_USAGE, "--shape: more than %d times", OPTIMIZE_MAX_FIXED);
    job->calib_dir = flags->calib;
    job->out_dir = flags->out;
    job->rounds = (int)flags->rounds;
    for (; job->fixed_count < flags->shapes.count; job->fixed_count++)
        if (take_shape(flags->shapes.items[job->fixed_count], &job->fixed[job->fixed_count], err) < 0)
            return -1;
    return take_profiles(&flags->profiles, job, err);
}

static int optimize(const struct optimize_job *job, bool json, struct err *err)
{
    cleanup_free struct optimize_report *report = mem_zalloc(1, sizeof *report);
    if (!report)
        return err_no_memory(err);
    operate_catch_signals();
    int result = optimize_run(job, report, err);
    progress_clear();
    if (result == 0 && json)
        result = print_json(report, err);
    else if (result == 0)
        print_text(report, job);
    optimize_report_fini(report);
    return result;
}

static int run(int argc, char **argv, struct err *err)
{
    struct watch watch = {0};
    struct flags flags = {.rounds = OPTIMIZE_ROUNDS};
    struct optimize_job job = {.max_drop = OPTIMIZE_MAX_DROP, .progress = show, .arg = &watch};
    struct operands operands = {.usage = "MODEL.onnx or release.yaml", .min = 1, .max = 1};
    const struct option_def options[] = {
        OPT_TEXT("calib", 'c', &flags.calib),
        OPT_TEXT("output", 'o', &flags.out),
        OPT_LIST("profile", 'p', &flags.profiles),
        OPT_FLAG("int8", 0, &job.int8),
        OPT_FLAG("fp16", 0, &job.half),
        OPT_DOUBLE("max-drop", 0, &job.max_drop),
        OPT_DOUBLE("prune", 0, &job.prune),
        OPT_FLAG("sparse", 0, &job.sparse),
        OPT_FLAG("second-order", 0, &job.second_order),
        OPT_INT("rounds", 0, &flags.rounds, 2 * GATE_MIN_PAIRS, 100000),
        OPT_LIST("shape", 0, &flags.shapes),
        OPT_TEXT("runtime", 0, &job.runtime_path),
        OPT_TEXT("task", 0, &job.guess.task),
        OPT_TEXT("mean", 0, &job.guess.mean),
        OPT_TEXT("std", 0, &job.guess.std),
        OPT_DOUBLE("scale", 0, &job.guess.scale),
        OPT_FLAG("bgr", 0, &job.guess.bgr),
        OPT_FLAG("stretch", 0, &job.guess.stretch),
        OPT_FLAG("json", 0, &flags.json),
    };
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    job.model = operands.items[0];
    if (take_flags(&flags, &job, err) < 0)
        return -1;
    return optimize(&job, flags.json, err);
}

const struct verb verb_optimize = {.name = "optimize",
                                   .summary =
                                       "make smaller, faster variants of a model, measured before promised",
                                   .help = help,
                                   .run = run};
