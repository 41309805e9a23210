#include "cli/verbs.h"

#include "base/mem.h"
#include "cli/output.h"
#include "cli/target.h"
#include "forge/bench.h"

#include <math.h>

static const char help[] =
    "usage: muster bench MODEL|RELEASE … [--rounds N] [--json]\n"
    "\n"
    "Measures how long models take on this machine, side by side: in every round each runs once, in turn, "
    "every "
    "round begins\n"
    "with another one, and warm-up rounds do not count. Intervals hold at 95 % whatever the distribution; "
    "the "
    "speed-up is that\n"
    "over the first operand, round by round. An operand is a packed release (RELEASE:VARIANT for one of its "
    "variants), a\n"
    "release.yaml or an ONNX file.\n"
    "\n"
    "  -n, --rounds N      (default: 200)\n"
    "      --warmup N      rounds before (default: a tenth of the rounds, at least 5)\n"
    "      --threads N     of the runtime (default: 1)\n"
    "      --spin          let the runtime's threads busy-wait\n"
    "      --runtime FILE  libonnxruntime.so.1 to use (MUSTER_ONNXRUNTIME)\n"
    "      --json          as JSON: models[] with total_p50_ms, total_p99_ms, run_p50_ms, speedup,\n"
    "                      their intervals as …_low, …_high\n"
    "\n"
    "examples:\n"
    "  muster bench detector-2\n"
    "  muster bench detector-1 detector-2 detector-3 --rounds 500 --json\n"
    "  muster bench detector-2:fp32 detector-2:cpu-x86\n";

struct set { /* what is measured */
    size_t count;
    struct target targets[BENCH_MAX_MODELS];
    struct bench_model models[BENCH_MAX_MODELS];
    struct bench_report reports[BENCH_MAX_MODELS];
};

static void set_free(struct set *set)
{
    for (size_t i = 0; i < BENCH_MAX_MODELS; i++)
        target_fini(&set->targets[i]);
    free(set);
}
MUSTER_CLEANUP(struct set *, set_free)
#define cleanup_set __attribute__((cleanup(set_freep)))

/* NaN, too few rounds to tell, is null. */
static void json_bounds(struct json_writer *out, const char *low, const char *high,
                        const struct bench_bounds *bounds)
{
    jsonw_real(out, low, bounds->low);
    jsonw_real(out, high, bounds->high);
}

static int print_json(const struct set *set, int64_t rounds, struct err *err)
{
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_i64(&out, "rounds", rounds);
    jsonw_array(&out, "models");
    for (size_t i = 0; i < set->count; i++) {
        const struct bench_report *report = &set->reports[i];
        jsonw_object(&out, NULL);
        jsonw_text(&out, "name", set->models[i].name);
        jsonw_text(&out, "backend", report->backend);
        jsonw_real(&out, "total_p50_ms", report->total_p50_ms);
        jsonw_real(&out, "total_p99_ms", report->total_p99_ms);
        json_bounds(&out, "total_p50_low_ms", "total_p50_high_ms", &report->total_p50);
        json_bounds(&out, "total_p99_low_ms", "total_p99_high_ms", &report->total_p99);
        jsonw_real(&out, "speedup", report->speedup);
        json_bounds(&out, "speedup_low", "speedup_high", &report->speedup_bounds);
        jsonw_real(&out, "preprocess_p50_ms", report->preprocess_p50_ms);
        jsonw_real(&out, "run_p50_ms", report->run_p50_ms);
        jsonw_real(&out, "run_p99_ms", report->run_p99_ms);
        jsonw_real(&out, "decode_p50_ms", report->decode_p50_ms);
        jsonw_real(&out, "load_ms", report->load_ms);
        jsonw_real(&out, "rss_growth_mib", report->rss_mib);
        jsonw_close(&out);
    }
    jsonw_close(&out);
    jsonw_close(&out);
    return output_print(&out, err);
}

static void print_speedup(const struct bench_report *report)
{
    const struct bench_bounds *bounds = &report->speedup_bounds;
    printf(" %7.2fx", report->speedup);
    if (isfinite(bounds->low) && isfinite(bounds->high))
        printf(" (%.2f to %.2f)", bounds->low, bounds->high);
    puts("");
}

static void print_text(const struct set *set)
{
    printf("%-32s %9s %9s %9s %9s %9s %9s%s\n", "ms", "p50", "p99", "pre", "run", "decode", "load",
           set->count > 1 ? "  speed-up" : "");
    for (size_t i = 0; i < set->count; i++) {
        const struct bench_report *report = &set->reports[i];
        printf("%-32s %9.3f %9.3f %9.3f %9.3f %9.3f %9.1f", set->models[i].name, report->total_p50_ms,
               report->total_p99_ms, report->preprocess_p50_ms, report->run_p50_ms, report->decode_p50_ms,
               report->load_ms);
        if (set->count > 1)
            print_speedup(report);
        else
            puts("");
    }
}

static void show_progress(size_t done, size_t total, void *arg)
{
    progress_show("measuring", done, total);
}

static int measure(const struct operands *operands, const struct bench_options *how, bool json,
                   struct err *err)
{
    cleanup_set struct set *set = mem_zalloc(1, sizeof *set);
    if (!set)
        return err_no_memory(err);
    for (size_t i = 0; i < operands->count; i++) {
        if (target_open(operands->items[i], &set->targets[i], err) < 0)
            return -1;
        set->models[i] = (struct bench_model){.name = operands->items[i],
                                              .model_path = set->targets[i].model_path,
                                              .release = &set->targets[i].release};
        set->count++;
    }
    if (bench_models(set->models, set->count, how, set->reports, err) < 0)
        return -1;
    progress_clear();
    if (json)
        return print_json(set, how->rounds, err);
    print_text(set);
    return 0;
}

static int run(int argc, char **argv, struct err *err)
{
    bool json = false;
    int64_t rounds = 200, threads = 1, warmup = 0;
    struct bench_options how = {.progress = show_progress};
    struct operands operands = {.usage = "MODEL or RELEASE", .min = 1, .max = BENCH_MAX_MODELS};
    const struct option_def options[] = {
        OPT_INT("rounds", 'n', &rounds, 1, 1000000), OPT_INT("warmup", 0, &warmup, 0, 1000000),
        OPT_INT("threads", 0, &threads, 1, 64),      OPT_FLAG("spin", 0, &how.spin),
        OPT_TEXT("runtime", 0, &how.runtime_path),   OPT_FLAG("json", 0, &json),
    };
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    how.rounds = (int)rounds;
    how.warmup = (int)warmup;
    how.threads = (int)threads;
    return measure(&operands, &how, json, err);
}

const struct verb verb_bench = {
    .name = "bench", .summary = "measure how fast models are, side by side", .help = help, .run = run};
