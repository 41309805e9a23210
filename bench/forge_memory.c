/* What `muster optimize` takes for a model of ten million parameters and 128 samples: time, and the largest process at its largest, beside the
 * bar of 2 x the model + 128 MiB. First the steps alone that hold the whole model in one process, then the program. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "forge/bench.h"
#include "forge/calib/observe.h"
#include "forge/graph/graph.h"
#include "forge/optimize/prepare.h"
#include "forge/testing/nets.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "usage.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BAR_BASE_BYTES = 128 << 20, BAR_SECONDS = 180 };

struct bench {
    char dir[64], model[96], prepared[96], samples[96], out[96], log[96];
    size_t count;
    const char *program; /* muster; NULL: without it */
    const char *prune;   /* share of channels; "0": none */
};

struct cost {
    double seconds;
    uint64_t peak_bytes;
};

/* ---- steps, each in a process of its own ---- */

static int prepare(const struct bench *bench, struct err *err)
{
    return prepare_model(bench->model, NULL, 0, bench->prepared, NULL, err);
}

/* All that nodes compute. */
static int tensor_names(const char *model, struct graph **out_graph, const char ***out, size_t *out_count,
                        struct err *err)
{
    size_t count = 0, room = 0;
    if (graph_open(model, out_graph, err) < 0)
        return -1;
    struct onnx_node *const *nodes = graph_nodes(*out_graph, &count);
    for (size_t i = 0; i < count; i++)
        room += nodes[i]->output_count;
    *out = mem_zalloc(room + 1, sizeof **out);
    if (!*out)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < nodes[i]->output_count; k++)
            (*out)[(*out_count)++] = nodes[i]->outputs[k];
    return 0;
}

static int observe_all(const struct bench *bench, struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    cleanup_free const char **names = NULL;
    cleanup_samples struct samples *samples = NULL;
    cleanup_observation struct observation observation = {0};
    struct release release = {0};
    size_t count = 0;
    if (tensor_names(bench->prepared, &graph, &names, &count, err) < 0 ||
        bench_release_of(bench->prepared, &release, err) < 0 ||
        samples_open(bench->samples, &release, &samples, err) < 0)
        return -1;
    const struct observe_options options = {.count = bench->count};
    return observe(bench->prepared, names, count, samples, &options, &observation, err);
}

static int optimize(const struct bench *bench, struct err *err)
{
    cleanup_close int log = open(bench->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
        return err_errno(err, "%s", bench->log);
    execl(bench->program, bench->program, "optimize", bench->model, "--calib", bench->samples, "--profile",
          "all", "--prune", bench->prune, "-o", bench->out, "--json", (char *)NULL);
    return err_errno(err, "%s", bench->program);
}

static const struct step {
    const char *name;
    int (*work)(const struct bench *bench, struct err *err);
} steps[] = {{"prepare", prepare}, {"observe", observe_all}, {"optimize", optimize}};

/* The largest of the step's process and all that it waited for. */
static int run_step(const struct bench *bench, const struct step *step, struct cost *out, struct err *err)
{
    int64_t start_ns = clock_mono_ns();
    int status = 0;
    struct rusage usage;
    pid_t child = fork();
    if (child < 0)
        return err_errno(err, "fork");
    if (child == 0) {
        if (step->work(bench, err) == 0)
            _exit(0);
        fprintf(stderr, "%s: %s\n", step->name, err->text);
        _exit(1);
    }
    if (wait4(child, &status, 0, &usage) < 0)
        return err_errno(err, "wait4");
    *out = (struct cost){.seconds = (double)(clock_mono_ns() - start_ns) / 1e9,
                         .peak_bytes = (uint64_t)usage.ru_maxrss * 1024};
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(err, ERR_INTERNAL, "%s failed; see %s", step->name, bench->log);
    return 0;
}

/* ---- the whole ---- */

static int set_up(struct bench *bench, struct err *err)
{
    snprintf(bench->dir, sizeof bench->dir, "/tmp/muster-memory-XXXXXX");
    if (!mkdtemp(bench->dir))
        return err_errno(err, "%s", bench->dir);
    snprintf(bench->model, sizeof bench->model, "%s/model.onnx", bench->dir);
    snprintf(bench->prepared, sizeof bench->prepared, "%s/prepared.onnx", bench->dir);
    snprintf(bench->samples, sizeof bench->samples, "%s/samples", bench->dir);
    snprintf(bench->out, sizeof bench->out, "%s/out", bench->dir);
    snprintf(bench->log, sizeof bench->log, "%s/log", bench->dir);
    const struct net_shape shape = {.seed = 1};
    if (net_write(NET_RESIDUAL_BIG, &shape, bench->model, err) < 0)
        return -1;
    return net_samples(bench->samples, net_size(NET_RESIDUAL_BIG, &shape), bench->count, 2, err);
}

static int run(struct bench *bench, bool *out_within, struct err *err)
{
    uint64_t model_bytes = 0;
    if (file_size(bench->model, &model_bytes, err) < 0)
        return -1;
    uint64_t bar = 2 * model_bytes + BAR_BASE_BYTES;
    printf("{\"benchmark\":\"forge-memory\",\"samples\":%zu,\"prune\":%s,\"model_bytes\":%llu,\"bar_peak_"
           "bytes\":%llu,"
           "\"bar_seconds\":%d,\"steps\":[",
           bench->count, bench->prune, (unsigned long long)model_bytes, (unsigned long long)bar, BAR_SECONDS);
    *out_within = true;
    for (size_t i = 0; i < ARRAY_LEN(steps) - !bench->program; i++) {
        struct cost cost;
        fflush(stdout);
        if (run_step(bench, &steps[i], &cost, err) < 0)
            return -1;
        bool within = cost.peak_bytes <= bar && cost.seconds <= BAR_SECONDS;
        *out_within = *out_within && within;
        printf("%s{\"step\":\"%s\",\"seconds\":%.1f,\"peak_rss_bytes\":%llu,\"within\":%s}", i ? "," : "",
               steps[i].name, cost.seconds, (unsigned long long)cost.peak_bytes, within ? "true" : "false");
    }
    printf("]}\n");
    return 0;
}

static const char usage[] =
    "usage: bench-forge-memory [--samples N] [--prune RATIO] [--no-program] [--json]    peak memory "
    "and time of muster optimize\n"
    "example: bench-forge-memory --json\n";

static bool read_options(int argc, char **argv, struct bench *bench)
{
    for (int i = 1; i < argc; i++) {
        uint64_t number = 0;
        double share = 0;
        if (str_eq(argv[i], "--samples") && i + 1 < argc && str_to_u64(argv[i + 1], &number) && number > 0 &&
            number <= 100000) {
            bench->count = (size_t)number;
            i++;
        } else if (str_eq(argv[i], "--prune") && i + 1 < argc && str_to_double(argv[i + 1], &share)) {
            bench->prune = argv[++i];
        } else if (str_eq(argv[i], "--no-program")) {
            bench->program = NULL;
        } else if (!str_eq(argv[i], "--json")) { /* it is JSON in any case */
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    cleanup_free char *beside = proc_self_dir();
    cleanup_free char *program = beside ? file_join(beside, "muster") : NULL;
    struct bench bench = {.count = 128, .program = program, .prune = "0"};
    struct err err = {0}, lost = {0};
    bool within = false;
    usage_on_help(argc, argv, usage);
    if (!read_options(argc, argv, &bench))
        return fputs(usage, stderr), 2;
    int result = set_up(&bench, &err);
    if (result == 0)
        result = run(&bench, &within, &err);
    if (result < 0) {
        fprintf(stderr, "bench-forge-memory: %s\n", err.text);
        return 1;
    }
    if (file_remove_tree(bench.dir, &lost) < 0)
        fprintf(stderr, "bench-forge-memory: %s\n", lost.text);
    return within ? 0 : 1;
}
