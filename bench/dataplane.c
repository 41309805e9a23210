/* What a frame's way costs over the bare Run() call: robot program -> ring -> runner -> guard -> robot program, with
 * the real muster-guard and muster-runner in processes of their own.
 *
 *     bench-dataplane [--json] [--frames N] [--model release.yaml | --store LAYOUT] [--fps F] [--try BYTES]
 *
 * One run. For frames of 64 KiB to 8 MiB of float32, each with everybody spinning and with everybody sleeping, in turn:
 *
 *   one frame the whole way   written into the ring's slot; timed from muster_frame_submit to the return of
 *                             muster_verdict_wait
 *   one frame bare            written into a slot of a ring of the same shape; another process on the runner's core runs
 *                             the same model on it; timed is RunWithBinding alone
 *   added = whole - bare      percentile by percentile: all hand-overs, the runner's and the guard's checks
 *   own_added                 whole - the very Run() of that frame in the runner, frame by frame
 *
 * The model is eight means over the first 64 KiB of the frame (`reads_all`: over all of it, at 1 MiB), so that Run() is
 * short and steady and what is added shows. http_*: the same model behind an HTTP server, for scale.
 *
 * allocations_per_frame: guard, runner and program run once more from this program's own code, with counters before
 * malloc; those that ONNX Runtime makes inside its Run() are counted apart. payload_copies: private memory and shared
 * memory other than frames that guard, runner and program touched while frames of 8 MiB went through, in payloads.
 *
 * `detector`: the detector of models/ on pictures, with preprocessing and decoding, waiting as robots do by default
 * (robot/ring/pace.h); back to back, or --fps.
 */
#include "bench/dataplane.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "forge/pack.h"
#include "robot/runner/made_release.h"
#include "sys/file.h"
#include "usage.h"

#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { DETECTOR_WIDTH = 160, DETECTOR_HEIGHT = 128, CAMERA_US = 300 };

static const uint32_t all_bytes[SIZES] = {64 << 10, 256 << 10, 1 << 20, 4 << 20, BENCH_LARGEST};

/* ---- allocations ---- */

static int measure_counts(struct bench *bench, struct err *err)
{
    cleanup_free char *store = NULL;
    struct rig rig;
    struct row row = {.frames = {.floats = all_bytes[0] / sizeof(float)}, .mode = &bench->sleep};
    const struct made_model what = {.bytes = all_bytes[0]};
    if (made_release(bench->dir, &what, &store, err) < 0 ||
        rig_start(&rig, bench->dir, store, row.mode, &row.frames, true, err) < 0)
        return -1;
    for (uint64_t n = 0; n < WARM_FRAMES; n++)
        row_frame(&rig, &row, n, false);
    count_arm(true);
    for (uint64_t n = 0; n < COUNTED_FRAMES; n++)
        row_frame(&rig, &row, n, false);
    count_arm(false);
    for (int i = 0; i < COUNT_ROLES; i++)
        bench->counts[i] = count_of(i);
    rig_stop(&rig);
    return 0;
}

/* ---- modes ---- */

/* The n-th core that this process may use; the last one if there are fewer. */
static int nth_core(int n)
{
    cpu_set_t set;
    int found = -1;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return -1;
    for (int core = 0; core < CPU_SETSIZE && n >= 0; core++)
        if (CPU_ISSET((size_t)core, &set)) {
            found = core;
            n--;
        }
    return found;
}

static int core_count(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) < 0 ? 1 : CPU_COUNT(&set);
}

/* Spinning: a core each; of two, program and guard share one and yield to each other. Sleeping: all on one core, for the
 * way is one after the other anyway, and to wake another core costs more than all the rest. */
static void set_modes(struct bench *bench)
{
    int cores = core_count();
    bench->spin = (struct mode){
        .name = "spin",
        .guard_option = "--spin",
        .runner_wait = "spin",
        .spin = true,
        .cores = {.program = nth_core(0), .guard = nth_core(1), .runner = nth_core(cores > 2 ? 2 : 1)}};
    bench->sleep = (struct mode){.name = "sleep",
                                 .runner_wait = "sleep",
                                 .patient = true,
                                 .cores = {nth_core(0), nth_core(0), nth_core(0)}};
    bench->pace = (struct mode){.name = "pace",
                                .guard_option = "--realtime",
                                .runner_wait = "pace",
                                .cores = {-1, -1, -1},
                                .pause_us = bench->args.fps ? (uint32_t)(1000000 / bench->args.fps) : 0};
}

static int unpin(struct err *err)
{
    cpu_set_t set;
    memset(&set, 0xff, sizeof set);
    return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : err_errno(err, "cores");
}

/* ---- what is run ---- */

/* What differs from an ordinary row. */
enum variant { ORDINARY, READS_ALL, BY_CPU, WITH_HTTP };

static int measure_floats(struct bench *bench, uint32_t bytes, const struct mode *mode, enum variant variant,
                          struct err *err)
{
    cleanup_free char *store = NULL;
    struct row *row = &bench->rows[bench->row_count++];
    *row = (struct row){.frames = {.floats = bytes / sizeof(float)},
                        .mode = mode,
                        .reads_all = variant == READS_ALL,
                        .by_cpu = variant == BY_CPU};
    const struct made_model what = {.bytes = bytes, .reads_all = row->reads_all};
    if (made_release(bench->dir, &what, &store, err) < 0 || row_measure(bench, store, row, err) < 0)
        return -1;
    return variant == WITH_HTTP ? row_behind_http(bench, store, row, err) : 0;
}

static int measure_sizes(struct bench *bench, struct err *err)
{
    for (size_t i = 0; i < SIZES; i++)
        if (measure_floats(bench, all_bytes[i], &bench->spin, ORDINARY, err) < 0 ||
            measure_floats(bench, all_bytes[i], &bench->sleep, WITH_HTTP, err) < 0)
            return -1;
    const struct mode *const both[] = {&bench->spin, &bench->sleep};
    for (size_t i = 0; i < ARRAY_LEN(both); i++)
        if (measure_floats(bench, 1 << 20, both[i], READS_ALL, err) < 0 ||
            measure_floats(bench, BENCH_LARGEST, both[i], BY_CPU, err) < 0)
            return -1;
    return 0;
}

/* In a child: packing runs the model, and this process has to stay one that can be forked. */
static int pack(const char *yaml, const char *dir, char **out_store, struct err *err)
{
    cleanup_free char *store = file_join(dir, "packed");
    pid_t child = store ? fork() : -1;
    if (child < 0)
        return err_errno(err, "packing %s", yaml);
    if (child == 0) {
        struct pack_report report;
        int done = pack_release(yaml, store, &(struct pack_options){0}, &report, err);
        if (done < 0)
            fprintf(stderr, "bench-dataplane: %s: %s\n", yaml, err->text);
        _exit(done < 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0)
        return err_set(err, ERR_REFUSED, "%s could not be packed", yaml);
    *out_store = TAKE_PTR(store);
    return 0;
}

static int measure_detector(struct bench *bench, struct err *err)
{
    cleanup_free char *store = bench->args.store ? mem_strdup(bench->args.store) : NULL;
    struct row *row = &bench->detector;
    *row = (struct row){.frames = {.width = DETECTOR_WIDTH, .height = DETECTOR_HEIGHT}, .mode = &bench->pace};
    if (unpin(err) < 0 || (!store && pack(bench->args.model, bench->dir, &store, err) < 0))
        return -1;
    return row_measure(bench, store, row, err);
}

/* The same size in every way of waiting that there is: what each is worth on this machine. */
static int try_ways(struct bench *bench, struct err *err)
{
    int a = nth_core(0), b = nth_core(1);
    const uint32_t pause = CAMERA_US;
    const struct mode ways[] = {
        {"sleep, any core", NULL, "sleep", true, false, {-1, -1, -1}, pause},
        {"sleep, runner on another core", NULL, "sleep", true, false, {a, a, b}, pause},
        {"sleep, one core", NULL, "sleep", true, false, {a, a, a}, pause},
        {"sleep, one core, back to back", NULL, "sleep", true, false, {a, a, a}, 0},
        {"pace, any core", NULL, "pace", false, false, {-1, -1, -1}, pause},
        {"pace, runner on another core", NULL, "pace", false, false, {a, a, b}, pause},
        {"pace, program on another core", NULL, "pace", false, false, {a, b, b}, pause},
        {"pace, one core", NULL, "pace", false, false, {a, a, a}, pause},
        {"spin, any core", "--spin", "spin", false, true, {-1, -1, -1}, 0},
        {"spin, runner on another core", "--spin", "spin", false, true, {a, a, b}, 0},
        {"spin, program on another core", "--spin", "spin", false, true, {a, b, b}, 0},
        {"spin, guard sleeps beside runner", NULL, "spin", false, true, {a, b, b}, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        bench->row_count = 0;
        if (unpin(err) < 0 ||
            measure_floats(bench, (uint32_t)bench->args.try_bytes, &ways[i], ORDINARY, err) < 0)
            return -1;
        report_row(&bench->rows[0]);
        printf("\n");
        fflush(stdout);
    }
    return 0;
}

static int run(struct bench *bench, struct err *err)
{
    bench->picture = malloc(BENCH_LARGEST);
    if (!bench->picture)
        return err_no_memory(err);
    set_modes(bench);
    if (bench->args.try_bytes)
        return try_ways(bench, err);
    if (measure_counts(bench, err) < 0 || measure_sizes(bench, err) < 0 || measure_detector(bench, err) < 0)
        return -1;
    report_all(bench);
    return 0;
}

/* ---- command line ---- */

static bool take(struct arguments *args, int opt)
{
    switch (opt) {
    case 'm':
        args->model = optarg;
        return true;
    case 's':
        args->store = optarg;
        return true;
    case 'n':
        return str_to_u64(optarg, &args->frames) && args->frames >= 1 && args->frames <= 1000000;
    case 'f':
        return str_to_u64(optarg, &args->fps) && args->fps <= 1000;
    case 't':
        return str_to_u64(optarg, &args->try_bytes) && args->try_bytes >= all_bytes[0] &&
               args->try_bytes <= BENCH_LARGEST;
    default:
        return opt == 'j';
    }
}

static bool parse(int argc, char **argv, struct arguments *args)
{
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'},
        {"store", required_argument, NULL, 's'},
        {"frames", required_argument, NULL, 'n'},
        {"fps", required_argument, NULL, 'f'},
        {"try", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {0},
    };
    bool ok = true;
    for (int opt; ok && (opt = getopt_long(argc, argv, "", options, NULL)) != -1;)
        ok = take(args, opt);
    return ok && optind == argc;
}

static void clean_up(struct bench *bench)
{
    struct err ignored = {0};
    for (size_t i = 0; i < ARRAY_LEN(bench->rows); i++)
        row_free(&bench->rows[i]);
    row_free(&bench->detector);
    free(bench->picture);
    if (file_remove_tree(bench->dir, &ignored) < 0)
        fprintf(stderr, "bench-dataplane: %s\n", ignored.text);
}

static const char usage[] =
    "usage: bench-dataplane [--json] [--frames N] [--model release.yaml | --store LAYOUT] [--fps F]\n"
    "                       [--try BYTES]    one frame size in every way of waiting\n"
    "What the way through ring, runner and guard adds to the bare Run().\n"
    "example: bench-dataplane --frames 2000 --json\n";

int main(int argc, char **argv)
{
    char dir[] = "/tmp/muster-bench-XXXXXX";
    struct err err = {0};
    static struct bench bench = {
        .args = {.model = MUSTER_MODELS "/detector-2.0.0/release.yaml", .frames = 800}};
    usage_on_help(argc, argv, usage);
    if (!parse(argc, argv, &bench.args)) {
        fputs(usage, stderr);
        return 2;
    }
    log_init("bench");
    bench.niced =
        setpriority(PRIO_PROCESS, 0, -20) == 0; /* others' work on this machine is not what is measured */
    bench.dir = mkdtemp(dir);
    if (!bench.dir) {
        perror("bench-dataplane: /tmp");
        return 1;
    }
    int done = count_init(&err);
    if (done == 0)
        done = run(&bench, &err);
    if (done < 0)
        fprintf(stderr, "bench-dataplane: %s\n", err.text);
    clean_up(&bench);
    return done < 0 ? err_exit_status(err.code) : 0;
}
