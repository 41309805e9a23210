/* Whether the graph that is optimized for this machine (src/infer/optimize.h) pays: the same release opened as it is and from
 * the derived cache, in turns, each time by a fresh process, as runners are.
 *
 *     bench-derived [--release YAML] [--rounds N] [--frames N] [--json]
 *
 * One JSON object: medians and the lowest and highest of all rounds, plain and derived. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "forge/pack.h"
#include "robot/runner/engine.h"
#include "sys/file.h"
#include "usage.h"
#include "wire/golden.h"

#include <fcntl.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_ROUNDS = 200, MAX_FRAMES = 10000 };

struct figures { /* of one process */
    double open_ms, run_us, private_kib;
    bool derived;
};

struct bench {
    char dir[64], store[96], cache[96];
    const char *yaml;
    struct pack_report packed;
    uint64_t rounds, frames;
    struct figures plain[MAX_ROUNDS], derived[MAX_ROUNDS];
};

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double private_kib(void)
{
    char line[256];
    double sum = 0, kib;
    cleanup_file FILE *file = fopen("/proc/self/smaps_rollup", "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Private_Clean: %lf", &kib) == 1 || sscanf(line, "Private_Dirty: %lf", &kib) == 1)
            sum += kib;
    return sum;
}

/* ---- in a child ---- */

static int time_frames(struct engine *engine, const struct golden_case *golden, uint64_t frames,
                       double *out_us, struct err *err)
{
    static double times[MAX_FRAMES];
    static struct detection found[128];
    static float values[PIPELINE_MAX_VALUES];
    struct pipeline_result result = {.detections = found,
                                     .max_detections = ARRAY_LEN(found),
                                     .values = values,
                                     .max_values = ARRAY_LEN(values)};
    const struct pipeline_frame frame = {
        .data = golden->data, .width = (int)golden->width, .height = (int)golden->height};
    for (uint64_t i = 0; i < frames; i++) {
        struct pipeline_times spent;
        if (pipeline_process(engine->pipeline, &frame, &result, &spent, err) < 0)
            return -1;
        times[i] = (double)spent.run_ns / 1e3;
    }
    qsort(times, frames, sizeof times[0], compare_doubles);
    *out_us = times[frames / 2];
    return 0;
}

static int measure(const struct bench *bench, const char *cache, bool make, struct figures *out,
                   struct err *err)
{
    static struct golden golden;
    static struct engine engine;
    cleanup_free char *path = NULL;
    cleanup_file_map struct file_map map = {0};
    engine.cache_dir = cache;
    engine.may_derive = make;
    int64_t start_ns = clock_mono_ns();
    if (engine_open(&engine, bench->store, &bench->packed.digest, &(struct pipeline_options){0}, err) < 0)
        return -1;
    out->open_ms = (double)(clock_mono_ns() - start_ns) / 1e6;
    out->derived = pipeline_is_derived(engine.pipeline);
    if (image_golden_path(&engine.image, &path, err) < 0 || file_map(path, &map, err) < 0 ||
        golden_parse(map.data, map.size, &golden, err) < 0 ||
        time_frames(&engine, &golden.cases[0], bench->frames, &out->run_us, err) < 0)
        return -1;
    out->private_kib = private_kib();
    return 0;
}

static int in_child(const struct bench *bench, const char *cache, bool make, struct figures *out,
                    struct err *err)
{
    int fds[2], status = 0;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(err, "pipe");
    pid_t pid = fork();
    if (pid == 0) {
        if (measure(bench, cache, make, out, err) < 0)
            _exit(fprintf(stderr, "bench-derived: %s\n", err->text) > 0);
        _exit(write(fds[1], out, sizeof *out) != (ssize_t)sizeof *out);
    }
    close(fds[1]);
    ssize_t got = pid > 0 ? read(fds[0], out, sizeof *out) : -1;
    close(fds[0]);
    if (pid > 0)
        waitpid(pid, &status, 0);
    return got == (ssize_t)sizeof *out ? 0 : err_set(err, ERR_INTERNAL, "a measuring process failed");
}

/* ---- all of them ---- */

static int make_release(struct bench *bench, struct err *err)
{
    struct figures first;
    str_copy(bench->dir, sizeof bench->dir, "/tmp/muster-bench-XXXXXX");
    if (!mkdtemp(bench->dir))
        return err_errno(err, "%s", bench->dir);
    snprintf(bench->store, sizeof bench->store, "%s/release", bench->dir);
    snprintf(bench->cache, sizeof bench->cache, "%s/cache", bench->dir);
    /* In a child, so that this process never opens the runtime: its children begin like runners. */
    pid_t pid = fork();
    if (pid == 0) {
        if (pack_release(bench->yaml, bench->store, &(struct pack_options){0}, &bench->packed, err) < 0)
            _exit(fprintf(stderr, "bench-derived: %s\n", err->text) > 0);
        _exit(0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    cleanup_image struct image image = {0};
    if (status != 0 || image_open(bench->store, NULL, &image, err) < 0)
        return err_set(err, ERR_REFUSED, "%s cannot be packed", bench->yaml);
    bench->packed.digest = image.digest;
    str_copy(bench->packed.name, sizeof bench->packed.name, image.release.name);
    str_copy(bench->packed.version, sizeof bench->packed.version, image.release.version);
    if (in_child(bench, bench->cache, true, &first, err) < 0)
        return -1;
    return first.derived ? 0 : err_set(err, ERR_REFUSED, "nothing could be derived here");
}

static int measure_all(struct bench *bench, struct err *err)
{
    for (uint64_t i = 0; i < bench->rounds; i++)
        if (in_child(bench, NULL, false, &bench->plain[i], err) < 0 ||
            in_child(bench, bench->cache, false, &bench->derived[i], err) < 0)
            return -1;
    return 0;
}

static void print_figure(const char *name, const struct figures *all, size_t offset, uint64_t count)
{
    double values[MAX_ROUNDS];
    for (uint64_t i = 0; i < count; i++)
        memcpy(&values[i], (const char *)&all[i] + offset, sizeof values[i]);
    qsort(values, count, sizeof values[0], compare_doubles);
    printf("\"%s\":{\"median\":%.3f,\"min\":%.3f,\"max\":%.3f}", name, values[count / 2], values[0],
           values[count - 1]);
}

static void print_side(const char *name, const struct figures *all, uint64_t count)
{
    printf(",\"%s\":{", name);
    print_figure("open_ms", all, offsetof(struct figures, open_ms), count);
    putchar(',');
    print_figure("run_p50_us", all, offsetof(struct figures, run_us), count);
    putchar(',');
    print_figure("private_kib", all, offsetof(struct figures, private_kib), count);
    putchar('}');
}

static int parse(int argc, char **argv, struct bench *bench)
{
    static const struct option options[] = {{"release", required_argument, NULL, 'r'},
                                            {"rounds", required_argument, NULL, 'n'},
                                            {"frames", required_argument, NULL, 'f'},
                                            {"json", no_argument, NULL, 'j'},
                                            {0}};
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (opt == '?' || (opt == 'n' && !str_to_u64(optarg, &bench->rounds)) ||
            (opt == 'f' && !str_to_u64(optarg, &bench->frames)))
            return -1;
        else if (opt == 'r')
            bench->yaml = optarg;
    bool fits =
        bench->rounds > 0 && bench->rounds <= MAX_ROUNDS && bench->frames > 0 && bench->frames <= MAX_FRAMES;
    return optind == argc && fits ? 0 : -1;
}

static const char usage[] = "usage: bench-derived [--release YAML] [--rounds N] [--frames N] [--json]\n"
                            "A model as it was shipped against its optimized graph, in turns.\n"
                            "example: bench-derived --rounds 15 --frames 500 --json\n";

int main(int argc, char **argv)
{
    static struct bench bench = {
        .yaml = MUSTER_MODELS "/detector-2.0.0/release.yaml", .rounds = 15, .frames = 200};
    struct err err = {0};
    usage_on_help(argc, argv, usage);
    if (parse(argc, argv, &bench) < 0)
        return fputs(usage, stderr), 2;
    int result = make_release(&bench, &err);
    if (result == 0)
        result = measure_all(&bench, &err);
    struct err ignored = {0};
    (void)!file_remove_tree(bench.dir, &ignored);
    if (result < 0)
        return fprintf(stderr, "bench-derived: %s\n", err.text), 1;
    printf("{\"benchmark\":\"derived\",\"release\":\"%s %s\",\"rounds\":%llu,\"frames\":%llu",
           bench.packed.name, bench.packed.version, (unsigned long long)bench.rounds,
           (unsigned long long)bench.frames);
    print_side("plain", bench.plain, bench.rounds);
    print_side("derived", bench.derived, bench.rounds);
    puts("}");
    return 0;
}
