/* muster optimize beside onnxruntime.quantization: how fast, how faithful, how small, what really became integers, and what it cost to make.
 *
 *     bench-forge [--net NAME]… [--model FILE.onnx --samples DIR] [--rounds N] [--python PYTHON] [--json]
 *
 * The networks are those of src/forge/testing/nets.h (all, or those named), or one of yours. The peer is run where PYTHON can import it; without
 * it that side of the table says so. One thread, all sides in turns, the medians of all rounds. Fidelity: against the float model, on
 * samples that nobody was calibrated with. */
#include "bench/forge.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "forge/bench.h"
#include "forge/testing/nets.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "usage.h"
#include "wire/json.h"
#include "wire/json_stream.h"

#include <getopt.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { OUTPUT_MAX = 4 << 20, SAMPLES = 128 };

struct bench {
    char dir[64];
    const char *python, *model, *samples_dir;
    bool nets[NET_COUNT];
    int rounds;
    bool json;
    struct json_writer out;
};

/* ---- making the candidates ---- */

/* Runs a program to its end; its wall time and the largest memory of it and its children. */
static int run_measured(const char *const *argv, struct buf *out, struct side *side, struct err *err)
{
    struct rusage before, after;
    int status = 0;
    getrusage(RUSAGE_CHILDREN, &before);
    int64_t start = clock_mono_ns();
    if (proc_run(argv, 0, out, &status, err) < 0)
        return -1;
    side->made_in_s = (double)(clock_mono_ns() - start) / 1e9;
    getrusage(RUSAGE_CHILDREN, &after);
    if (after.ru_maxrss > before.ru_maxrss) /* else somebody before it was larger: not known */
        side->peak_rss_mib = (double)after.ru_maxrss / 1024;
    if (status != 0)
        return err_set(err, ERR_REFUSED, "%s: exit status %d", argv[0], status);
    return 0;
}

/* profiles[0]: its candidate, promoted or not. */
static int read_report(const struct buf *text, const char *dir, struct side *side, struct err *err)
{
    struct json_reader reader;
    size_t count = 0;
    char path[256] = "", candidate[256] = "";
    bool promoted = false;
    if (json_read(&reader, "muster optimize", text->data, text->len, err) < 0)
        return -1;
    struct json_at profile = json_item(json_list(json_root(&reader), "profiles", 8, &count), 0);
    json_get_bool(profile, "promoted", &promoted);
    if (promoted)
        json_get_string(profile, "path", path, sizeof path);
    else if (json_has(profile, "candidate"))
        json_get_string(profile, "candidate", candidate, sizeof candidate);
    if (json_finish(&reader, err) < 0)
        return -1;
    const char *file = promoted ? path : candidate;
    side->note = promoted ? "promoted" : "refused";
    if (file[0])
        snprintf(side->path, sizeof side->path, "%s%s%s", file[0] == '/' ? "" : dir,
                 file[0] == '/' ? "" : "/", file);
    return 0;
}

static int make_ours(const char *model, const char *samples, const char *dir, struct side *side,
                     struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(OUTPUT_MAX);
    cleanup_free char *self = proc_self_dir(), *muster = self ? file_join(self, "muster") : NULL;
    if (!muster)
        return err_no_memory(err);
    const char *const argv[] = {muster,    "optimize", model, "--calib", samples,  "--profile",
                                "cpu-x86", "--int8",   "-o",  dir,       "--json", NULL};
    if (run_measured(argv, &text, side, err) < 0)
        return -1;
    return read_report(&text, dir, side, err);
}

static bool has_peer(const char *python)
{
    struct err err = {0};
    int status = 1;
    const char *const argv[] = {python, "-c", "import onnx, onnxruntime.quantization", NULL};
    return python && proc_run(argv, 120000, NULL, &status, &err) == 0 && status == 0;
}

static void make_peers(const struct bench *bench, const char *model, const char *samples, const char *dir,
                       struct side sides[2])
{
    static const char script[] = MUSTER_BENCH_DIR "/forge_peer.py";
    static const char *const files[] = {"default.onnx", "advised.onnx"};
    struct err err = {0};
    cleanup_buf struct buf text = BUF_INIT(OUTPUT_MAX);
    const char *const argv[] = {bench->python, script, model, samples, dir, NULL};
    if (!has_peer(bench->python)) {
        sides[0].note = sides[1].note = "no Python with onnx and onnxruntime: --python";
        return;
    }
    if (run_measured(argv, &text, &sides[0], &err) < 0)
        sides[0].note = sides[1].note = "it failed";
    for (size_t i = 0; i < 2; i++) {
        snprintf(sides[i].path, sizeof sides[i].path, "%s/%s", dir, files[i]);
        if (!file_exists(sides[i].path))
            sides[i].path[0] = '\0';
    }
}

/* ---- the table ---- */

static void put_side(struct json_writer *out, const struct side *side)
{
    jsonw_object(out, NULL);
    jsonw_text(out, "side", side->name);
    if (side->note)
        jsonw_text(out, "note", side->note);
    if (side->measured) {
        jsonw_real(out, "p50_ms", side->p50_ms);
        jsonw_real(out, "p99_ms", side->p99_ms);
        jsonw_real(out, "speedup", side->speedup);
        jsonw_real(out, "fidelity", side->fidelity);
        jsonw_i64(out, "size_bytes", (int64_t)side->size_bytes);
        jsonw_i64(out, "integer_operators", (int64_t)side->integer);
        jsonw_i64(out, "float_operators", (int64_t)side->floating);
    }
    if (side->made_in_s > 0)
        jsonw_real(out, "made_in_s", side->made_in_s);
    if (side->peak_rss_mib > 0)
        jsonw_real(out, "peak_rss_mib", side->peak_rss_mib);
    jsonw_close(out);
}

static void print_side(const char *name, const struct side *side)
{
    printf("%-14s %-20s", name, side->name);
    if (side->measured)
        printf(" %9.3f %9.3f %7.2fx %9.4f %9.1f %5zu %5zu %8.1f", side->p50_ms, side->p99_ms, side->speedup,
               side->fidelity, (double)side->size_bytes / 1024, side->integer, side->floating,
               side->made_in_s);
    printf("  %s\n", side->note ? side->note : "");
}

static int measure(struct bench *bench, const char *name, const char *model, const char *samples_dir,
                   struct err *err)
{
    struct side sides[SIDES_MAX] = {{.name = "fp32"},
                                    {.name = "muster"},
                                    {.name = "onnxruntime default"},
                                    {.name = "onnxruntime advised"}};
    static struct release release;
    cleanup_samples struct samples *samples = NULL;
    cleanup_free char *ours = mem_printf("%s/ours-%s", bench->dir, name);
    cleanup_free char *theirs = mem_printf("%s/theirs-%s", bench->dir, name);
    if (!ours || !theirs)
        return err_no_memory(err);
    str_copy(sides[0].path, sizeof sides[0].path, model);
    if (bench_release_of(model, &release, err) < 0 ||
        samples_open(samples_dir, &release, &samples, err) < 0 ||
        make_ours(model, samples_dir, ours, &sides[1], err) < 0)
        return err_prefix(err, "%s", name);
    make_peers(bench, model, samples_dir, theirs, &sides[2]);
    int result = sides_measure(sides, SIDES_MAX, samples, bench->rounds, bench->dir, err);
    if (bench->json) {
        jsonw_object(&bench->out, NULL);
        jsonw_text(&bench->out, "net", name);
        jsonw_array(&bench->out, "sides");
    }
    for (size_t i = 0; i < SIDES_MAX && result == 0; i++)
        if (bench->json)
            put_side(&bench->out, &sides[i]);
        else
            print_side(name, &sides[i]);
    if (bench->json) {
        jsonw_close(&bench->out);
        jsonw_close(&bench->out);
    }
    sides_close(sides, SIDES_MAX);
    return result;
}

static int measure_net(struct bench *bench, enum net_kind kind, struct err *err)
{
    cleanup_free char *model = mem_printf("%s/%s.onnx", bench->dir, net_name(kind));
    cleanup_free char *samples = mem_printf("%s/%s-samples", bench->dir, net_name(kind));
    if (!model || !samples)
        return err_no_memory(err);
    if (net_write(kind, NULL, model, err) < 0 ||
        net_samples(samples, net_size(kind, NULL), SAMPLES, 1, err) < 0)
        return -1;
    return measure(bench, net_name(kind), model, samples, err);
}

static int measure_all(struct bench *bench, struct err *err)
{
    if (bench->model)
        return measure(bench, "yours", bench->model, bench->samples_dir, err);
    for (int kind = 0; kind < NET_COUNT; kind++)
        if (bench->nets[kind] && measure_net(bench, (enum net_kind)kind, err) < 0)
            return -1;
    return 0;
}

/* ---- beginning and end ---- */

static const char usage[] = "usage: bench-forge [--net NAME]… [--model FILE.onnx --samples DIR] [--rounds N] "
                            "[--python PYTHON] [--json]\n"
                            "\n"
                            "muster optimize beside onnxruntime.quantization, in one table: latency, "
                            "fidelity, size, operators that became integers.\n"
                            "\n"
                            "example:\n"
                            "  bench-forge --net residual --net silu --python python3 --json\n";

static bool pick_net(struct bench *bench, const char *name)
{
    for (int kind = 0; kind < NET_COUNT; kind++)
        if (str_eq(net_name((enum net_kind)kind), name))
            return bench->nets[kind] = true;
    return false;
}

static bool read_options(struct bench *bench, int argc, char **argv)
{
    static const struct option options[] = {
        {"net", required_argument, NULL, 'n'},
        {"model", required_argument, NULL, 'm'},
        {"samples", required_argument, NULL, 's'},
        {"rounds", required_argument, NULL, 'r'},
        {"python", required_argument, NULL, 'p'},
        {"json", no_argument, NULL, 'j'},
        {0},
    };
    bool some = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'n' && !(some = pick_net(bench, optarg)))
            return false;
        if (c == 'm')
            bench->model = optarg;
        if (c == 's')
            bench->samples_dir = optarg;
        if (c == 'r')
            bench->rounds = (int)strtol(optarg, NULL, 10);
        if (c == 'p')
            bench->python = optarg;
        bench->json |= c == 'j';
        if (c == '?')
            return false;
    }
    for (int kind = 0; kind < NET_COUNT && !some; kind++)
        bench->nets[kind] = true;
    return optind == argc && bench->rounds > 0 && !bench->model == !bench->samples_dir;
}

int main(int argc, char **argv)
{
    static struct bench bench = {.dir = "/tmp/muster-bench-forge-XXXXXX", .rounds = 60, .python = "python3"};
    struct err err = {0}, ignored = {0};
    usage_on_help(argc, argv, usage);
    if (!read_options(&bench, argc, argv) || !mkdtemp(bench.dir)) {
        fputs(usage, stderr);
        return 2;
    }
    jsonw_init_indented(&bench.out);
    jsonw_object(&bench.out, NULL);
    jsonw_i64(&bench.out, "rounds", bench.rounds);
    jsonw_i64(&bench.out, "threads", 1);
    jsonw_array(&bench.out, "nets");
    if (!bench.json)
        printf("%-14s %-20s %9s %9s %8s %9s %9s %5s %5s %8s\n", "net", "side", "p50 ms", "p99 ms", "speed-up",
               "fidelity", "KiB", "int", "float", "made, s");
    int result = measure_all(&bench, &err);
    jsonw_close(&bench.out);
    jsonw_close(&bench.out);
    cleanup_free char *text = jsonw_take(&bench.out, &ignored);
    if (bench.json && result == 0)
        puts(text ? text : "");
    if (result < 0)
        fprintf(stderr, "bench-forge: %s\n", err.text);
    if (file_remove_tree(bench.dir, &ignored) < 0)
        fprintf(stderr, "bench-forge: %s\n", ignored.text);
    return result < 0;
}
