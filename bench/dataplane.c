/* What a frame's way costs over the bare Run() call: robot program -> ring -> runner -> guard -> robot
 * program, with the real muster-guard and muster-runner in processes of their own, side by side with the same
 * model in this process.
 *
 *     bench-dataplane [--json] [--model release.yaml | --store LAYOUT] [--frames N] [--fps F] [--patient]
 *
 * A camera of F frames per second (default 0: back to back); one frame the whole
 * way, the next one bare, so that both find the same machine, as warm or cold as the other. Whole way: from
 * muster_frame_submit to the return of muster_verdict_wait, the pixels being in the ring already. overhead =
 * whole way - bare Run(), percentile by percentile; it holds preprocessing, decoding, three hand-overs
 * between processes and the guard's check. own_* subtracts each frame's own Run() in the runner instead.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "forge/pack.h"
#include "infer/pipeline.h"
#include "muster/muster.h"
#include "release/image.h"
#include "robot/ctl/ctl.h"
#include "robot/link/link.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { WIDTH = 160, HEIGHT = 128, WARM_FRAMES = 50, PATIENCE_MS = 20000 };

struct arguments {
    const char *model, *store;
    uint64_t frames, fps;
    bool patient;
};

struct bench {
    struct arguments args;
    char *dir; /* owned: scratch */
    char *store;
    struct image image;
    struct pipeline *pipeline;
    struct muster *robot;
    pid_t guard, runner;
    int agent;
    uint64_t safe;
    double *bare_us, *prepare_us, *decode_us, *whole_us, *own_us, *to_runner_us, *to_guard_us, *to_program_us;
    double guard_idle_cpu, guard_busy_us;
};

static int spawn(const char *program, const char *const *rest, pid_t *out, struct err *err)
{
    cleanup_free char *bin = proc_self_dir();
    cleanup_free char *path = bin ? file_join(bin, program) : NULL;
    const char *argv[16] = {path};
    for (size_t i = 0; rest[i] && i < ARRAY_LEN(argv) - 2; i++)
        argv[i + 1] = rest[i];
    struct proc_options options = {.argv = argv, .die_with_parent = true};
    return path ? proc_spawn(&options, out, err) : err_no_memory(err);
}

static int prepare_release(struct bench *bench, struct err *err)
{
    struct pack_report report;
    cleanup_free char *model = NULL;
    if (bench->args.store)
        bench->store = mem_strdup(bench->args.store);
    else if ((bench->store = file_join(bench->dir, "release")) != NULL &&
             pack_release(bench->args.model, bench->store, &(struct pack_options){0}, &report, err) < 0)
        return -1;
    if (!bench->store)
        return err_no_memory(err);
    if (image_open(bench->store, NULL, &bench->image, err) < 0 ||
        image_model_path(&bench->image, &model, err) < 0)
        return -1;
    return pipeline_open(model, &bench->image.release, &(struct pipeline_options){.threads = 1},
                         &bench->pipeline, err);
}

static int connect_agent(struct bench *bench, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (ctl_connect(bench->dir, CTL_ROLE_AGENT, &bench->agent, err) < 0) {
        if (clock_mono_ms() > until_ms)
            return -1;
        poll(NULL, 0, 5);
    }
    return 0;
}

static int order(struct bench *bench, enum ctl_kind kind, struct err *err)
{
    const struct release *release = &bench->image.release;
    struct ctl_message message;
    ctl_message_init(&message, kind);
    message.generation = 1;
    message.release = bench->image.digest;
    message.limits = (struct ctl_limits){
        .deadline_us = 1000000,
        .max_detections = (uint32_t)release->envelope.max_detections,
        .label_count = (uint32_t)release->label_count,
        .min_score = (float)release->envelope.min_score,
    };
    return ctl_call(bench->agent, &message, PATIENCE_MS, err);
}

static int await_runner(struct bench *bench, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    struct ctl_status status;
    do {
        if (ctl_status(bench->agent, PATIENCE_MS, &status, err) < 0)
            return -1;
        if (status.runners[0].connected)
            return 0;
        poll(NULL, 0, 5);
    } while (clock_mono_ms() < until_ms);
    return err_set(err, ERR_TIMEOUT, "the runner did not come up");
}

static int start_robot(struct bench *bench, struct err *err)
{
    struct digest_text digest = digest_format(&bench->image.digest);
    const char *guard[] = {"--run-dir", bench->dir, "--realtime", NULL};
    const char *runner[] = {"--run-dir", bench->dir,     "--store", bench->store, "--release",
                            digest.text, "--generation", "1",       NULL};
    struct muster_options options = {
        .run_dir = bench->dir, .width = WIDTH, .height = HEIGHT, .patient = bench->args.patient};
    char why[MUSTER_TEXT_SIZE];
    if (spawn("muster-guard", guard, &bench->guard, err) < 0 || connect_agent(bench, err) < 0 ||
        spawn("muster-runner", runner, &bench->runner, err) < 0 || order(bench, CTL_ADMIT, err) < 0 ||
        await_runner(bench, err) < 0 || order(bench, CTL_ACTIVATE, err) < 0)
        return -1;
    if (muster_open(&options, &bench->robot, why) != 0)
        return err_set(err, ERR_IO, "%s", why);
    return 0;
}

/* A picture with something in it, and different every time. */
static void paint(uint8_t *rgb, uint64_t n)
{
    for (size_t i = 0; i < WIDTH * HEIGHT * 3; i++)
        rgb[i] = (uint8_t)((i * 31 + n * 17) ^ (i >> 7));
}

static int bare_frame(struct bench *bench, const uint8_t *rgb, uint64_t n, struct err *err)
{
    struct detection found[128];
    struct pipeline_times times;
    size_t count;
    if (pipeline_run(bench->pipeline, rgb, WIDTH, HEIGHT, found, 128, &count, &times, err) < 0)
        return -1;
    bench->bare_us[n] = (double)times.run_ns / 1000;
    bench->prepare_us[n] = (double)times.preprocess_ns / 1000;
    bench->decode_us[n] = (double)times.decode_ns / 1000;
    return 0;
}

static void whole_frame(struct bench *bench, uint64_t n)
{
    struct muster_verdict verdict;
    paint(muster_frame_begin(bench->robot), n);
    int64_t start_ns = clock_mono_ns();
    uint64_t seq = muster_frame_submit(bench->robot, start_ns, 1000000);
    bench->safe += muster_verdict_wait(bench->robot, seq, &verdict) != MUSTER_OK;
    int64_t took_ns = clock_mono_ns() - start_ns;
    bench->whole_us[n] = (double)took_ns / 1000;
    const struct ring_verdict *raw = link_last_verdict(bench->robot);
    bench->to_runner_us[n] = (double)(raw->started_ns - start_ns) / 1000;
    bench->to_guard_us[n] = (double)(raw->decided_ns - raw->finished_ns) / 1000;
    bench->to_program_us[n] = (double)(start_ns + took_ns - raw->decided_ns) / 1000;
    bench->own_us[n] = (double)(took_ns - verdict.run_ns) / 1000;
}

static double cpu_seconds(pid_t pid)
{
    char path[48], text[512];
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    cleanup_file FILE *file = fopen(path, "re");
    if (!file || !fgets(text, sizeof text, file))
        return 0;
    return strtod(text, NULL) / 1e9;
}

/* The camera's next frame; a late one shifts those behind it. */
static int64_t wait_for_camera(const struct bench *bench, int64_t next_ns)
{
    if (!bench->args.fps)
        return next_ns;
    next_ns = MAX(next_ns + 1000000000 / (int64_t)bench->args.fps, clock_mono_ns());
    struct timespec until = {.tv_sec = next_ns / 1000000000, .tv_nsec = next_ns % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    return next_ns;
}

static int measure(struct bench *bench, struct err *err)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    uint64_t frames = bench->args.frames;
    int64_t next_ns = clock_mono_ns();
    for (uint64_t n = 0; n < WARM_FRAMES; n++) {
        whole_frame(bench, n % frames);
        next_ns = wait_for_camera(bench, next_ns);
    }
    bench->safe = 0;
    double before = cpu_seconds(bench->guard);
    for (uint64_t n = 0; n < frames; n++) {
        paint(rgb, n);
        whole_frame(bench, n);
        next_ns = wait_for_camera(bench, next_ns);
        if (bare_frame(bench, rgb, n, err) < 0)
            return -1;
        next_ns = wait_for_camera(bench, next_ns);
    }
    bench->guard_busy_us = (cpu_seconds(bench->guard) - before) * 1e6 / (double)frames;
    poll(NULL, 0, 1000); /* until its tick is slow */
    before = cpu_seconds(bench->guard);
    poll(NULL, 0, 3000);
    bench->guard_idle_cpu = (cpu_seconds(bench->guard) - before) / 3.0 * 100;
    return 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *values, uint64_t count, double q)
{
    qsort(values, count, sizeof *values, by_size);
    uint64_t index = (uint64_t)(q * (double)count);
    return values[MIN(index, count - 1)];
}

static void report(struct bench *bench)
{
    uint64_t n = bench->args.frames;
    double bare = quantile(bench->bare_us, n, 0.5), whole = quantile(bench->whole_us, n, 0.5);
    double bare99 = quantile(bench->bare_us, n, 0.99), whole99 = quantile(bench->whole_us, n, 0.99);
    printf("{\"benchmark\":\"dataplane\",\"release\":\"%s "
           "%s\",\"backend\":\"%s\",\"frames\":%llu,\"frames_not_ok\":%llu,"
           "\"bare_run_p50_us\":%.1f,\"bare_run_p99_us\":%.1f,\"whole_way_p50_us\":%.1f,\"whole_way_p99_us\":"
           "%.1f,"
           "\"overhead_p50_us\":%.1f,\"overhead_p99_us\":%.1f,\"own_overhead_p50_us\":%.1f,\"own_overhead_"
           "p99_us\":%.1f,"
           "\"to_runner_p50_us\":%.1f,\"to_guard_p50_us\":%.1f,\"to_program_p50_us\":%.1f,"
           "\"preprocess_p50_us\":%.1f,\"decode_p50_us\":%.1f,"
           "\"guard_cpu_per_frame_us\":%.1f,\"guard_idle_cpu_percent\":%.3f,\"guard_rss_kib\":%llu}\n",
           bench->image.release.name, bench->image.release.version, pipeline_backend(bench->pipeline),
           (unsigned long long)n, (unsigned long long)bench->safe, bare, bare99, whole, whole99, whole - bare,
           whole99 - bare99, quantile(bench->own_us, n, 0.5), quantile(bench->own_us, n, 0.99),
           quantile(bench->to_runner_us, n, 0.5), quantile(bench->to_guard_us, n, 0.5),
           quantile(bench->to_program_us, n, 0.5), quantile(bench->prepare_us, n, 0.5),
           quantile(bench->decode_us, n, 0.5), bench->guard_busy_us, bench->guard_idle_cpu,
           (unsigned long long)proc_rss_bytes(bench->guard) / 1024);
}

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
    case 'p':
        args->patient = true;
        return true;
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
        {"patient", no_argument, NULL, 'p'},
        {"json", no_argument, NULL, 'j'},
        {0},
    };
    bool ok = true;
    for (int opt; ok && (opt = getopt_long(argc, argv, "", options, NULL)) != -1;)
        ok = take(args, opt);
    return ok && optind == argc;
}

static int run(struct bench *bench, struct err *err)
{
    double **series[] = {&bench->bare_us, &bench->prepare_us,   &bench->decode_us,   &bench->whole_us,
                         &bench->own_us,  &bench->to_runner_us, &bench->to_guard_us, &bench->to_program_us};
    for (size_t i = 0; i < ARRAY_LEN(series); i++)
        if (!(*series[i] = mem_zalloc(bench->args.frames, sizeof(double))))
            return err_no_memory(err);
    if (prepare_release(bench, err) < 0 || start_robot(bench, err) < 0 || measure(bench, err) < 0)
        return -1;
    report(bench);
    return 0;
}

static void clean_up(struct bench *bench)
{
    struct err ignored = {0};
    muster_close(bench->robot);
    pid_t children[] = {bench->runner, bench->guard};
    for (size_t i = 0; i < ARRAY_LEN(children); i++)
        if (children[i] > 0) {
            kill(children[i], SIGTERM);
            waitpid(children[i], NULL, 0);
        }
    if (bench->pipeline)
        pipeline_close(bench->pipeline);
    image_close(&bench->image);
    if (file_remove_tree(bench->dir, &ignored) < 0)
        fprintf(stderr, "bench-dataplane: %s\n", ignored.text);
    free(bench->store);
    free(bench->bare_us);
    free(bench->prepare_us);
    free(bench->decode_us);
    free(bench->whole_us);
    free(bench->own_us);
    free(bench->to_runner_us);
    free(bench->to_guard_us);
    free(bench->to_program_us);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/muster-bench-XXXXXX";
    struct err err = {0};
    struct bench bench = {.args = {.model = MUSTER_MODELS "/detector-2.0.0/release.yaml", .frames = 1000},
                          .agent = -1};
    if (!parse(argc, argv, &bench.args)) {
        fputs(
            "usage: bench-dataplane [--json] [--model release.yaml | --store LAYOUT] [--frames N] [--fps F] "
            "[--patient]\n",
            stderr);
        return 2;
    }
    log_init("bench");
    bench.dir = mkdtemp(dir);
    if (!bench.dir) {
        perror("bench-dataplane: /tmp");
        return 1;
    }
    int done = run(&bench, &err);
    if (done < 0)
        fprintf(stderr, "bench-dataplane: %s\n", err.text);
    clean_up(&bench);
    return done < 0 ? err_exit_status(err.code) : 0;
}
