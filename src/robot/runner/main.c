/* muster-runner: see robot/runner/runner.h. Loads one release and serves it, or only runs its golden cases.
 */
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/runner/build.h"
#include "robot/runner/confine.h"
#include "robot/runner/engine.h"
#include "robot/runner/priority.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sys/resource.h>

static const char usage[] =
    "usage: muster-runner --run-dir DIR --store LAYOUT --release DIGEST --generation N [OPTION…]\n"
    "       muster-runner --self-test --store LAYOUT --release DIGEST [--cache DIR]\n"
    "       muster-runner --build-engine --store LAYOUT --release DIGEST --cache DIR [--user UID:GID]\n"
    "Runs the model of one release on the frames of this robot, or only checks it against its golden cases.\n"
    "It says HELLO to the guard only after the golden cases held in this very process.\n"
    "  --run-dir DIR      where muster-guard listens\n"
    "  --store LAYOUT     an OCI image layout that holds the release\n"
    "  --release DIGEST   sha256:… of its manifest\n"
    "  --generation N     the number under which the guard knows this runner\n"
    "  --self-test        exit status 0 if all golden cases hold, 3 with the reason if not\n"
    "  --cache DIR        what this machine derived from the model (an engine, an optimized graph): used if "
    "it is there, "
    "made by "
    "--self-test\n"
    "  --content-key-fd N a descriptor with the content key of sealed weights, read and closed at once "
    "(docs/confidential.md)\n"
    "  --build-engine     makes the engine that the release wants for this machine's accelerator, at the "
    "lowest\n"
    "                     priority; exit status 0 if it is in the cache then\n"
    "  --user UID:GID     whose the cache is, and who builds\n"
    "  --cpu-only         the model itself on the processor: no accelerator and no variant, whatever the "
    "release "
    "prefers\n"
    "  --cpu LIST         only these cores: 2, 0-1, 0,2-3\n"
    "  --priority P       low: at the lowest priority until the model is ready, for a robot that another "
    "runner\n"
    "                     serves meanwhile; normal (default); keep: not even a shadow is lowered\n"
    "  --wait HOW         for the next frame. pace (default): sleep, but look out while it is due; sleep; "
    "spin: look\n"
    "                     out all the time (default where the release says runtime.spin)\n"
    "  --threads N        of the inference engine, instead of what the release says; --spin lets them "
    "busy-wait\n"
    "  --version\n"
    "example: muster-runner --run-dir /run/muster --store /var/lib/muster/store --release sha256:… "
    "--generation 7 --cpu 2 --wait spin\n";

enum loading { LOAD_NORMAL, LOAD_LOW, LOAD_KEEP };

struct arguments {
    const char *store, *cpu, *cache;
    struct runner_options runner;
    struct pipeline_options pipeline;
    uint64_t threads;
    enum loading loading;
    uint64_t uid, gid;
    uint64_t key_fd; /* 0: none */
    struct seal_key content_key;
    bool self_test, build_engine, cpu_only, wait_given, bad, answered;
};

static bool take_word(const char *text, const char *const words[3], unsigned *out)
{
    for (unsigned i = 0; i < 3; i++)
        if (str_eq(text, words[i])) {
            *out = i;
            return true;
        }
    return false;
}

static bool take_priority(const char *text, struct arguments *args)
{
    static const char *const words[] = {[LOAD_NORMAL] = "normal", [LOAD_LOW] = "low", [LOAD_KEEP] = "keep"};
    return take_word(text, words, &args->loading);
}

static bool take_wait(const char *text, struct arguments *args)
{
    static const char *const words[] = {
        [RUNNER_WAIT_PACE] = "pace", [RUNNER_WAIT_SLEEP] = "sleep", [RUNNER_WAIT_SPIN] = "spin"};
    args->wait_given = true;
    return take_word(text, words, &args->runner.wait);
}

static bool take_number(struct arguments *args, int opt)
{
    if (opt == 'k')
        return str_to_u64(optarg, &args->key_fd) && args->key_fd > STDERR_FILENO && args->key_fd <= INT_MAX;
    if (opt == 'g')
        return str_to_u64(optarg, &args->runner.generation);
    return str_to_u64(optarg, &args->threads) && args->threads <= 256;
}

static bool take_user(const char *text, struct arguments *args)
{
    char uid[16];
    const char *colon = strchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof uid)
        return false;
    snprintf(uid, sizeof uid, "%.*s", (int)(colon - text), text);
    return str_to_u64(uid, &args->uid) && str_to_u64(colon + 1, &args->gid) && args->uid < UINT32_MAX &&
           args->gid < UINT32_MAX;
}

static void take_flag(struct arguments *args, int opt)
{
    if (opt == 'p')
        args->pipeline.spin = true;
    else if (opt == 'T')
        args->self_test = true;
    else if (opt == 'B')
        args->build_engine = true;
    else if (opt == 'O')
        args->cpu_only = true;
}

static void take_option(struct arguments *args, int opt)
{
    bool ok = opt != '?';
    take_flag(args, opt);
    if (opt == 'd')
        args->runner.run_dir = optarg;
    else if (opt == 's')
        args->store = optarg;
    else if (opt == 'c')
        args->cpu = optarg;
    else if (opt == 'C')
        args->cache = optarg;
    else if (opt == 'r')
        ok = digest_parse(optarg, &args->runner.release);
    else if (opt == 'g' || opt == 't' || opt == 'k')
        ok = take_number(args, opt);
    else if (opt == 'P')
        ok = take_priority(optarg, args);
    else if (opt == 'w')
        ok = take_wait(optarg, args);
    else if (opt == 'u')
        ok = take_user(optarg, args);
    else if (opt == 'h' || opt == 'v')
        args->answered = fputs(opt == 'h' ? usage : "muster-runner " MUSTER_VERSION "\n", stdout) >= 0;
    args->bad |= !ok;
}

static void parse(int argc, char **argv, struct arguments *args)
{
    static const struct option options[] = {
        {"run-dir", required_argument, NULL, 'd'}, {"store", required_argument, NULL, 's'},
        {"release", required_argument, NULL, 'r'}, {"generation", required_argument, NULL, 'g'},
        {"threads", required_argument, NULL, 't'}, {"cpu", required_argument, NULL, 'c'},
        {"cache", required_argument, NULL, 'C'},   {"priority", required_argument, NULL, 'P'},
        {"wait", required_argument, NULL, 'w'},    {"spin", no_argument, NULL, 'p'},
        {"self-test", no_argument, NULL, 'T'},     {"build-engine", no_argument, NULL, 'B'},
        {"cpu-only", no_argument, NULL, 'O'},      {"content-key-fd", required_argument, NULL, 'k'},
        {"user", required_argument, NULL, 'u'},    {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},       {0},
    };
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;)
        take_option(args, opt);
    args->pipeline.threads = (int)args->threads;
    args->pipeline.deadlines = !args->self_test;
    args->pipeline.skip = args->cpu_only ? ~(1U << PROVIDER_CPU) : 0;
    bool serve = args->runner.run_dir && args->runner.generation;
    if (optind != argc || !args->store || digest_is_zero(&args->runner.release) ||
        (!args->self_test && !serve && !args->build_engine) || (args->build_engine && !args->cache))
        args->bad = true;
}

static int self_test(struct engine *engine, struct err *err)
{
    if (engine_self_test(engine, err) < 0)
        return -1;
    const struct release *release = &engine->image.release;
    printf("self-test passed: %s %s, %u golden cases, %s\n", release->name, release->version,
           engine->golden_count, engine->backend);
    if (engine->variant_said[0])
        puts(engine->variant_said);
    if (pipeline_plain_because(engine->pipeline))
        printf("not optimized: %s\n", pipeline_plain_because(engine->pipeline));
    return 0;
}

static void follow_release(struct arguments *args, const struct engine *engine)
{
    const struct release *release = &engine->image.release;
    struct runner_options *options = &args->runner;
    options->deadline_us = (int64_t)(release->budgets.deadline_ms * 1000);
    options->lossless = release->runtime.queue == QUEUE_LOSSLESS;
    if (!args->wait_given && release->runtime.spin)
        options->wait = RUNNER_WAIT_SPIN;
    options->backend = engine->backend;
    options->degraded = pipeline_degraded(engine->pipeline) != NULL;
    options->keep_priority = args->loading == LOAD_KEEP;
    if (options->degraded)
        log_warn("degraded: %s", pipeline_degraded(engine->pipeline));
}

static int serve(struct arguments *args, struct engine *engine, struct err *err)
{
    char missing[96];
    if (engine_self_test(engine, err) < 0)
        return -1;
    follow_release(args, engine);
    priority_restore();
    if (!priority_can_return())
        log_info("no way back from the lowest priority (RLIMIT_NICE): it is not used");
    confine_self(missing, sizeof missing);
    if (missing[0])
        log_info("confined, but for: %s", missing);
    const struct runner_engine served = engine_of(engine);
    return runner_serve(&args->runner, &served, err);
}

/* From a pipe: it is in no file, no argument and no environment, and gone once it is read. */
static int take_content_key(struct arguments *args, struct err *err)
{
    size_t got = 0;
    int fd = (int)args->key_fd;
    const struct rlimit no_core = {0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    while (got < sizeof args->content_key.bytes) {
        ssize_t n = read(fd, args->content_key.bytes + got, sizeof args->content_key.bytes - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(err, ERR_DENIED, "descriptor %d holds no content key", fd);
        got += (size_t)n;
    }
    close(fd);
    return 0;
}

static int open_engine(struct arguments *args, struct engine *engine, struct err *err)
{
    if (args->key_fd && take_content_key(args, err) < 0)
        return -1;
    engine->content_key = args->key_fd ? &args->content_key : NULL;
    int result = engine_open(engine, args->store, &args->runner.release, &args->pipeline, err);
    engine->content_key = NULL;
    seal_key_wipe(&args->content_key);
    return result;
}

static int build_engine(const struct arguments *args, struct err *err)
{
    const struct engine_job job = {.layout = args->store,
                                   .cache_dir = args->cache,
                                   .release = &args->runner.release,
                                   .uid = (uid_t)args->uid,
                                   .gid = (gid_t)args->gid};
    if (engine_job_run(&job, err) < 0)
        return -1;
    printf("the engine is in %s\n", args->cache);
    return 0;
}

static int run(struct arguments *args, struct engine *engine, struct err *err)
{
    if (args->cpu && priority_pin(args->cpu, err) < 0)
        return -1;
    if (args->build_engine)
        return build_engine(args, err);
    if (args->loading == LOAD_LOW)
        priority_lower();
    engine->cache_dir = args->cache;
    engine->may_derive = args->self_test;
    engine->plain_only = args->cpu_only;
    if (open_engine(args, engine, err) < 0)
        return -1;
    return args->self_test ? self_test(engine, err) : serve(args, engine, err);
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
    struct engine engine = {0};
    int done = run(&args, &engine, &err);
    engine_close(&engine);
    if (done == 0)
        return 0;
    if (args.self_test || args.build_engine)
        fprintf(stderr, "muster-runner: %s\n", err.text);
    else
        log_error("%s", err.text);
    return err_exit_status(err.code);
}
