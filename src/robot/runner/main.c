/* muster-runner: see robot/runner/runner.h. Loads one release and serves it, or only runs its golden cases.
 */
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "infer/pipeline.h"
#include "release/image.h"
#include "robot/runner/confine.h"
#include "robot/runner/runner.h"
#include "sys/file.h"

#include <getopt.h>

static const char usage[] =
    "usage: muster-runner --run-dir DIR --store LAYOUT --release DIGEST --generation N [--threads N] "
    "[--spin]\n"
    "       muster-runner --self-test --store LAYOUT --release DIGEST\n"
    "Runs the model of one release on the frames of this robot, or only checks it against its golden cases.\n"
    "  --run-dir DIR      where muster-guard listens\n"
    "  --store LAYOUT     an OCI image layout that holds the release\n"
    "  --release DIGEST   sha256:… of its manifest\n"
    "  --generation N     the number under which the guard knows this runner\n"
    "  --threads N        of the inference engine (default 1); --spin lets them busy-wait\n"
    "  --self-test        exit status 0 if all golden cases hold, 3 with the reason if not\n"
    "  --version\n";

struct arguments {
    const char *store;
    struct runner_options runner;
    struct pipeline_options pipeline;
    uint64_t threads;
    bool self_test, bad, answered;
};

static void take_option(struct arguments *args, int opt)
{
    bool ok = opt != '?';
    if (opt == 'd')
        args->runner.run_dir = optarg;
    else if (opt == 's')
        args->store = optarg;
    else if (opt == 'r')
        ok = digest_parse(optarg, &args->runner.release);
    else if (opt == 'g')
        ok = str_to_u64(optarg, &args->runner.generation);
    else if (opt == 't')
        ok = str_to_u64(optarg, &args->threads) && args->threads <= 256;
    else if (opt == 'p')
        args->pipeline.spin = true;
    else if (opt == 'T')
        args->self_test = true;
    else if (opt == 'h' || opt == 'v')
        args->answered = fputs(opt == 'h' ? usage : "muster-runner " MUSTER_VERSION "\n", stdout) >= 0;
    args->bad |= !ok;
}

static void parse(int argc, char **argv, struct arguments *args)
{
    static const struct option options[] = {
        {"run-dir", required_argument, NULL, 'd'}, {"store", required_argument, NULL, 's'},
        {"release", required_argument, NULL, 'r'}, {"generation", required_argument, NULL, 'g'},
        {"threads", required_argument, NULL, 't'}, {"spin", no_argument, NULL, 'p'},
        {"self-test", no_argument, NULL, 'T'},     {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},       {0},
    };
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;)
        take_option(args, opt);
    args->pipeline.threads = (int)args->threads;
    bool serve = args->runner.run_dir && args->runner.generation;
    if (optind != argc || !args->store || digest_is_zero(&args->runner.release) ||
        (!args->self_test && !serve))
        args->bad = true;
}

static int open_model(const struct arguments *args, struct image *image, struct pipeline **out,
                      struct err *err)
{
    cleanup_free char *path = NULL;
    if (image_open(args->store, &args->runner.release, image, err) < 0 || image_check_blobs(image, err) < 0 ||
        image_model_path(image, &path, err) < 0)
        return -1;
    return pipeline_open(path, &image->release, &args->pipeline, out, err);
}

static int run_pipeline(void *self, const uint8_t *rgb, uint32_t width, uint32_t height,
                        struct detection *out, size_t max, size_t *out_count, struct runner_times *times,
                        struct err *err)
{
    struct pipeline_times measured = {0};
    int done = pipeline_run(self, rgb, (int)width, (int)height, out, max, out_count, &measured, err);
    *times = (struct runner_times){measured.preprocess_ns, measured.run_ns, measured.decode_ns};
    return done;
}

static int self_test(const struct image *image, struct pipeline *pipeline, struct err *err)
{
    cleanup_free char *path = NULL;
    cleanup_file_map struct file_map map = {0};
    cleanup_free struct golden *golden = mem_zalloc(1, sizeof *golden);
    if (!golden)
        return err_no_memory(err);
    if (image_golden_path(image, &path, err) < 0 || file_map(path, &map, err) < 0 ||
        golden_parse(map.data, map.size, golden, err) < 0 ||
        pipeline_self_test(pipeline, golden, image->release.golden_tolerance, err) < 0)
        return err_prefix(err, "self-test");
    printf("self-test passed: %s %s, %u golden cases, %s\n", image->release.name, image->release.version,
           golden->count, pipeline_backend(pipeline));
    return 0;
}

static int serve(const struct arguments *args, struct pipeline *pipeline, struct err *err)
{
    struct runner_engine engine = {.self = pipeline, .run = run_pipeline};
    char missing[96];
    confine_self(missing, sizeof missing);
    if (missing[0])
        log_info("confined, but for: %s", missing);
    return runner_serve(&args->runner, &engine, err);
}

int main(int argc, char **argv)
{
    struct arguments args = {0};
    parse(argc, argv, &args);
    if (args.answered)
        return 0;
    if (args.bad)
        return fputs("muster-runner: an option is missing or wrong; see muster-runner --help\n", stderr), 2;
    log_init("runner");
    struct err err = {0};
    cleanup_image struct image image = {0};
    struct pipeline *pipeline = NULL;
    int done = open_model(&args, &image, &pipeline, &err);
    if (done == 0)
        done = args.self_test ? self_test(&image, pipeline, &err) : serve(&args, pipeline, &err);
    if (pipeline)
        pipeline_close(pipeline);
    if (done == 0)
        return 0;
    if (args.self_test)
        fprintf(stderr, "muster-runner: %s\n", err.text);
    else
        log_error("%s", err.text);
    return err_exit_status(err.code);
}
