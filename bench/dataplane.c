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
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "forge/pack.h"
#include "robot/link/link.h"
#include "robot/runner/made_release.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <getopt.h>
#if defined(__SSE__)
#include <immintrin.h>
#define CAMERA "dma"
#else
#define CAMERA "cpu"
#endif
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

enum {
    DETECTOR_WIDTH = 160,
    DETECTOR_HEIGHT = 128,
    COUNTED_FRAMES = 500,
    TOUCHED_FRAMES = 40,
    CAMERA_US = 300
};

static const uint32_t all_bytes[] = {64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20};
enum { SIZES = ARRAY_LEN(all_bytes), LARGEST = SIZES - 1 };

struct arguments {
    const char *model, *store;
    uint64_t frames, fps, try_bytes;
};

struct series {
    double *us;
    size_t count;
};

enum what { WHOLE, BARE, OWN_RUN, OWN_ADDED, TO_RUNNER, TO_GUARD, TO_PROGRAM, PREPARE, DECODE, HTTP, WHATS };

/* One size in one mode. */
struct row {
    struct frames frames;
    const struct mode *mode;
    bool reads_all, by_cpu; /* by_cpu: the frame is written through the caches, see paint */
    uint64_t not_ok;
    struct series series[WHATS];
    double guard_cpu_us, copies;
};

struct bench {
    struct arguments args;
    char *dir;
    bool niced;       /* this process and all its children */
    uint8_t *picture; /* owned; of any size: what the HTTP peer is sent */
    char backend[64];
    struct mode spin, sleep, pace;
    struct row rows[2 * SIZES + 4], detector;
    size_t row_count;
    struct count counts[COUNT_ROLES];
    uint64_t guard_rss_kib;
};

size_t frames_bytes(const struct frames *frames)
{
    return frames->floats ? frames->floats * sizeof(float) : (size_t)frames->width * frames->height * 3;
}

/* ---- one frame ---- */

static void note(struct row *row, enum what what, double us)
{
    struct series *series = &row->series[what];
    series->us[series->count++] = us;
}

/* Past the caches, as the DMA of a camera writes; where the compiler has no such stores: through them. */
static void store(float *to, float a, float b, float c, float d)
{
#if defined(__SSE__)
    _mm_stream_ps(to, _mm_setr_ps(a, b, c, d));
#else
    to[0] = a;
    to[1] = b;
    to[2] = c;
    to[3] = d;
#endif
}

/* A camera that is never late, and never the same twice in a row: it writes, and reads nothing. Frames begin at 64
 * bytes and are a multiple of 16 long. */
static void paint(uint8_t *frame, const struct row *row, uint64_t n)
{
    float *to = (float *)(void *)frame;
    size_t count = frames_bytes(&row->frames) / sizeof(float);
    for (size_t i = 0; i < count; i += 4) {
        float at = (float)((i + n * 16) & 1023) * (1.0f / 1024);
        if (row->by_cpu)
            memcpy(to + i, (const float[]){at, 1 - at, at, at * at}, 4 * sizeof at);
        else
            store(to + i, at, 1 - at, at, at * at);
    }
#if defined(__SSE__)
    _mm_sfence();
#endif
}

static void whole_frame(struct rig *rig, struct row *row, uint64_t n, bool counts)
{
    struct muster_verdict verdict;
    uint8_t *to =
        row->frames.floats ? (uint8_t *)muster_values_begin(rig->robot) : muster_frame_begin(rig->robot);
    paint(to, row, n);
    int64_t start_ns = clock_mono_ns();
    uint64_t seq = muster_frame_submit(rig->robot, start_ns, 1000000);
    enum muster_answer answer = muster_verdict_wait(rig->robot, seq, &verdict);
    int64_t end_ns = clock_mono_ns();
    if (!counts)
        return;
    if (answer != MUSTER_OK) {
        row->not_ok++;
        return;
    }
    const struct ring_verdict *raw = link_last_verdict(rig->robot);
    note(row, WHOLE, (double)(end_ns - start_ns) / 1000);
    note(row, OWN_RUN, (double)raw->run_ns / 1000);
    note(row, OWN_ADDED, (double)(end_ns - start_ns - raw->run_ns) / 1000);
    note(row, TO_RUNNER, (double)(raw->started_ns - start_ns) / 1000);
    note(row, TO_GUARD, (double)(raw->decided_ns - raw->finished_ns) / 1000);
    note(row, TO_PROGRAM, (double)(end_ns - raw->decided_ns) / 1000);
}

static int bare_frame(struct bare *bare, struct row *row, uint64_t n, bool counts, struct err *err)
{
    int64_t run_ns = 0;
    paint(bare_begin(bare), row, n);
    if (bare_run(bare, row->mode->spin, &run_ns, err) < 0)
        return -1;
    if (counts)
        note(row, BARE, (double)run_ns / 1000);
    return 0;
}

/* Until the camera has the next frame. */
static void wait_for_camera(const struct mode *mode)
{
    const struct timespec pause = {.tv_sec = mode->pause_us / 1000000,
                                   .tv_nsec = (long)(mode->pause_us % 1000000) * 1000};
    if (mode->pause_us)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/* ---- one row ---- */

static double cpu_seconds(pid_t pid)
{
    char path[48], text[512];
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    cleanup_file FILE *file = fopen(path, "re");
    if (!file || !fgets(text, sizeof text, file))
        return 0;
    return strtod(text, NULL) / 1e9;
}

static int take_turns(struct rig *rig, struct bare *bare, struct row *row, uint64_t frames, struct err *err)
{
    double before = 0;
    for (uint64_t n = 0; n < WARM_FRAMES + frames; n++) {
        if (n == WARM_FRAMES)
            before = cpu_seconds(rig->guard);
        wait_for_camera(row->mode);
        whole_frame(rig, row, n, n >= WARM_FRAMES);
        wait_for_camera(row->mode);
        if (bare_frame(bare, row, n, n >= WARM_FRAMES, err) < 0)
            return -1;
    }
    row->guard_cpu_us = (cpu_seconds(rig->guard) - before) * 1e6 / (double)frames;
    return 0;
}

/* Payloads' worth of memory that guard, runner and program touched outside the frames' own while frames went through: a
 * copy of each frame would be at least one. */
static int count_copies(struct rig *rig, struct row *row, struct err *err)
{
    const pid_t pids[] = {rig->guard, rig->runner, getpid()};
    uint64_t bytes = 0, frames_bytes_seen = 0, sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(pids); i++)
        if (touched_reset(pids[i], err) < 0)
            return -1;
    for (uint64_t n = 0; n < TOUCHED_FRAMES; n++)
        whole_frame(rig, row, n, false);
    for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
        if (touched_read(pids[i], &bytes, &frames_bytes_seen, err) < 0)
            return -1;
        sum += bytes;
    }
    row->copies = (double)sum / (double)frames_bytes(&row->frames);
    return 0;
}

static int behind_http(const struct bench *bench, const char *store, struct row *row, uint64_t frames,
                       struct err *err)
{
    struct http_peer peer;
    int64_t run_ns;
    int done = http_start(&peer, store, &row->frames, row->mode->cores.runner, err);
    for (uint64_t n = 0; done == 0 && n < WARM_FRAMES / 4 + frames; n++) {
        paint(bench->picture, row, n);
        int64_t start_ns = clock_mono_ns();
        done = http_run(&peer, bench->picture, frames_bytes(&row->frames), &run_ns, err);
        if (done == 0 && n >= WARM_FRAMES / 4)
            note(row, HTTP, (double)(clock_mono_ns() - start_ns) / 1000);
    }
    http_stop(&peer);
    return done;
}

static int make_series(struct row *row, uint64_t frames, struct err *err)
{
    for (int i = 0; i < WHATS; i++)
        if (!(row->series[i].us = mem_zalloc(frames, sizeof(double))))
            return err_no_memory(err);
    return 0;
}

/* Large frames take their time to be written; as many as there are of the small ones would not say more. */
static uint64_t frames_for(const struct bench *bench, size_t bytes)
{
    uint64_t frames = bench->args.frames;
    return bytes <= 1 << 20 ? frames : MAX(frames * (1 << 20) / bytes, MIN(frames, 200));
}

static int measure_row(struct bench *bench, const char *store, struct row *row, struct err *err)
{
    size_t bytes = frames_bytes(&row->frames);
    uint64_t frames = frames_for(bench, bytes);
    struct rig rig = {.agent = -1};
    struct bare bare = {.frames = {.fd = -1}, .results = {.fd = -1}};
    if (make_series(row, frames, err) < 0 || pin(0, row->mode->cores.program, err) < 0)
        return -1;
    int done = bare_start(&bare, store, &row->frames, row->mode->cores.runner, err);
    if (done == 0)
        done = rig_start(&rig, bench->dir, store, row->mode, &row->frames, false, err);
    if (done == 0)
        done = take_turns(&rig, &bare, row, frames, err);
    if (done == 0 && bytes == all_bytes[LARGEST])
        done = count_copies(&rig, row, err);
    bench->guard_rss_kib = proc_rss_bytes(rig.guard) / 1024;
    rig_stop(&rig);
    bare_stop(&bare);
    return done;
}

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
    if (made_release(bench->dir, &what, &store, err) < 0 || measure_row(bench, store, row, err) < 0)
        return -1;
    return variant == WITH_HTTP ? behind_http(bench, store, row, MAX(frames_for(bench, bytes) / 4, 20), err)
                                : 0;
}

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
        whole_frame(&rig, &row, n, false);
    count_arm(true);
    for (uint64_t n = 0; n < COUNTED_FRAMES; n++)
        whole_frame(&rig, &row, n, false);
    count_arm(false);
    for (int i = 0; i < COUNT_ROLES; i++)
        bench->counts[i] = count_of(i);
    rig_stop(&rig);
    return 0;
}

/* ---- report ---- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const struct row *row, enum what what, double q)
{
    const struct series *series = &row->series[what];
    if (!series->count)
        return 0;
    qsort(series->us, series->count, sizeof *series->us, by_size);
    size_t index = (size_t)(q * (double)series->count);
    return series->us[MIN(index, series->count - 1)];
}

static double added(const struct row *row, enum what what, double q)
{
    return quantile(row, what, q) - quantile(row, BARE, q);
}

static void print_row(const struct row *row)
{
    printf("{\"mode\":\"%s\",\"bytes\":%zu,\"reads_all\":%s,\"written_by\":\"%s\",\"frames\":%zu,\"frames_"
           "not_ok\":%llu,"
           "\"run_p50_us\":%.1f,\"run_p99_us\":%.1f,\"whole_p50_us\":%.1f,\"whole_p99_us\":%.1f,"
           "\"added_p50_us\":%.1f,\"added_p99_us\":%.1f,\"own_run_p50_us\":%.1f,\"own_added_p50_us\":%.1f,"
           "\"own_added_p99_us\":%.1f,\"to_runner_p50_us\":%.1f,\"to_guard_p50_us\":%.1f,"
           "\"to_program_p50_us\":%.1f,\"guard_cpu_per_frame_us\":%.1f",
           row->mode->name, frames_bytes(&row->frames), row->reads_all ? "true" : "false",
           row->by_cpu ? "cpu" : CAMERA, row->series[WHOLE].count, (unsigned long long)row->not_ok,
           quantile(row, BARE, 0.5), quantile(row, BARE, 0.99), quantile(row, WHOLE, 0.5),
           quantile(row, WHOLE, 0.99), added(row, WHOLE, 0.5), added(row, WHOLE, 0.99),
           quantile(row, OWN_RUN, 0.5), quantile(row, OWN_ADDED, 0.5), quantile(row, OWN_ADDED, 0.99),
           quantile(row, TO_RUNNER, 0.5), quantile(row, TO_GUARD, 0.5), quantile(row, TO_PROGRAM, 0.5),
           row->guard_cpu_us);
    if (row->series[HTTP].count)
        printf(",\"http_p50_us\":%.1f,\"http_added_p50_us\":%.1f", quantile(row, HTTP, 0.5),
               added(row, HTTP, 0.5));
    printf("}");
}

/* The worst of all sizes. */
static double worst(const struct bench *bench, const struct mode *mode, enum what what, double q)
{
    double most = -1e9;
    for (size_t i = 0; i < bench->row_count; i++) {
        const struct row *row = &bench->rows[i];
        if (row->mode != mode || row->reads_all || row->by_cpu)
            continue;
        most = MAX(most, what == WHOLE ? added(row, WHOLE, q) : quantile(row, what, q));
    }
    return most;
}

static const struct row *find_row(const struct bench *bench, const struct mode *mode, size_t bytes)
{
    for (size_t i = 0; i < bench->row_count; i++)
        if (bench->rows[i].mode == mode && frames_bytes(&bench->rows[i].frames) == bytes &&
            !bench->rows[i].reads_all && !bench->rows[i].by_cpu)
            return &bench->rows[i];
    return &bench->rows[0];
}

static void print_counts(const struct bench *bench)
{
    const struct count *counts = bench->counts;
    uint64_t ours = counts[COUNT_PROGRAM].ours + counts[COUNT_GUARD].ours + counts[COUNT_RUNNER].ours;
    uint64_t largest = all_bytes[LARGEST];
    double copies =
        MAX(find_row(bench, &bench->spin, largest)->copies, find_row(bench, &bench->sleep, largest)->copies);
    if (count_possible())
        printf("\"allocations_per_frame\":%g,\"engine_allocations_per_frame\":%g,",
               (double)ours / COUNTED_FRAMES, (double)counts[COUNT_RUNNER].engine / COUNTED_FRAMES);
    printf("\"payload_copies\":%d,\"touched_payloads\":%.3f,", (int)copies, copies);
}

static void print_headline(const struct bench *bench)
{
    const struct mode *spin = &bench->spin, *sleep = &bench->sleep;
    const struct row *largest = find_row(bench, spin, all_bytes[LARGEST]),
                     *smallest = find_row(bench, sleep, all_bytes[0]);
    printf("\"run_p50_us\":%.1f,\"added_p50_us_spin\":%.1f,\"added_p99_us_spin\":%.1f,\"added_p50_us_sleep\":"
           "%.1f,\"added_p99_us_sleep\":%.1f,\"own_added_p50_us_spin\":%.1f,\"own_added_p99_us_spin\":%.1f,"
           "\"own_added_p50_us_sleep\":%.1f,\"own_added_p99_us_sleep\":%.1f,\"http_added_p50_us\":%.1f,",
           quantile(largest, BARE, 0.5), worst(bench, spin, WHOLE, 0.5), worst(bench, spin, WHOLE, 0.99),
           worst(bench, sleep, WHOLE, 0.5), worst(bench, sleep, WHOLE, 0.99),
           worst(bench, spin, OWN_ADDED, 0.5), worst(bench, spin, OWN_ADDED, 0.99),
           worst(bench, sleep, OWN_ADDED, 0.5), worst(bench, sleep, OWN_ADDED, 0.99),
           added(smallest, HTTP, 0.5));
}

static void report(const struct bench *bench)
{
    const struct cores *spin = &bench->spin.cores, *sleep = &bench->sleep.cores;
    printf("{\"benchmark\":\"dataplane\",\"cores_spin\":[%d,%d,%d],\"cores_sleep\":[%d,%d,%d],\"niced\":%s,",
           spin->program, spin->guard, spin->runner, sleep->program, sleep->guard, sleep->runner,
           bench->niced ? "true" : "false");
    print_headline(bench);
    print_counts(bench);
    printf("\"guard_rss_kib\":%llu,\"detector\":", (unsigned long long)bench->guard_rss_kib);
    print_row(&bench->detector);
    printf(",\"sizes\":[");
    for (size_t i = 0; i < bench->row_count; i++) {
        printf(i ? "," : "");
        print_row(&bench->rows[i]);
    }
    printf("]}\n");
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

static int measure_sizes(struct bench *bench, struct err *err)
{
    for (size_t i = 0; i < SIZES; i++)
        if (measure_floats(bench, all_bytes[i], &bench->spin, ORDINARY, err) < 0 ||
            measure_floats(bench, all_bytes[i], &bench->sleep, WITH_HTTP, err) < 0)
            return -1;
    const struct mode *const both[] = {&bench->spin, &bench->sleep};
    for (size_t i = 0; i < ARRAY_LEN(both); i++)
        if (measure_floats(bench, 1 << 20, both[i], READS_ALL, err) < 0 ||
            measure_floats(bench, all_bytes[LARGEST], both[i], BY_CPU, err) < 0)
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
    return measure_row(bench, store, row, err);
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
        print_row(&bench->rows[0]);
        printf("\n");
        fflush(stdout);
    }
    return 0;
}

static int run(struct bench *bench, struct err *err)
{
    bench->picture = malloc(all_bytes[LARGEST]);
    if (!bench->picture)
        return err_no_memory(err);
    set_modes(bench);
    if (bench->args.try_bytes)
        return try_ways(bench, err);
    if (measure_counts(bench, err) < 0 || measure_sizes(bench, err) < 0 || measure_detector(bench, err) < 0)
        return -1;
    report(bench);
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
               args->try_bytes <= all_bytes[LARGEST];
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
    for (int what = 0; what < WHATS; what++) {
        for (size_t i = 0; i < ARRAY_LEN(bench->rows); i++)
            free(bench->rows[i].series[what].us);
        free(bench->detector.series[what].us);
    }
    free(bench->picture);
    if (file_remove_tree(bench->dir, &ignored) < 0)
        fprintf(stderr, "bench-dataplane: %s\n", ignored.text);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/muster-bench-XXXXXX";
    struct err err = {0};
    static struct bench bench = {
        .args = {.model = MUSTER_MODELS "/detector-2.0.0/release.yaml", .frames = 800}};
    if (!parse(argc, argv, &bench.args)) {
        fputs(
            "usage: bench-dataplane [--json] [--frames N] [--model release.yaml | --store LAYOUT] [--fps F]\n"
            "                       [--try BYTES]    one frame size in every way of waiting\n",
            stderr);
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
