/* Does anybody notice a switch? A robot program submits F frames a second and looks at every verdict, while one
 * release after the other takes over, with the real muster-guard and a new muster-runner process each time.
 *
 *     bench-swap [--json] [--swaps N] [--kills N] [--fps F] [--shadow K] [--isolation MODE]
 *                [--runner-cpus LIST] [--check]
 *
 * This program plays the agent with the agent's own functions: the crew carries out what reconcile finds. Each switch:
 * start the runner (load, warm up, golden cases), shadow K live frames, judge them, ACTIVATE, drain, RETIRE, the old
 * process is gone. Then the robot works on undisturbed for a while: those windows are the steady state that the frames
 * during switches are compared with (p99_ratio), in the same run. Two releases of the same detector take turns.
 *
 * lost, duplicated, reordered: frames. A frame is lost if the robot program got no model's result for it; the guard's own
 * count of verdicts must equal the number of frames (else one was decided twice, or never).
 * rss_growth_kib: VmRSS of the guard plus that of this process (the agent's part), last switch against the first.
 * --kills: so often the active runner gets SIGKILL in the middle of a frame; that frame and the next one have to be
 * answered by the previous release or the safe state, by the guard, not by libmuster's patience.
 * --isolation: the walls around runners (docs/isolation.md), default none.
 * --runner-cpus: the cores that models run on, as muster-agent's option of that name; default: the last one, so that a
 * candidate takes what the model that answers leaves ("all": anywhere).
 * --check: exit status 1 if a count is not 0. No time is ever checked: frames that were only late (`late`, of `lost`) are
 * no failure there.
 */
#include "bench/swap.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/agent/crew.h"
#include "robot/agent/shelf.h"
#include "robot/agent/spawn.h"
#include "robot/decide/shadow.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "usage.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { PATIENCE_MS = 60000, STEADY_MS = 120, DRAIN_FRAMES = 2 };

struct arguments {
    uint64_t swaps, kills, fps, shadow;
    const char *isolation, *cpus;
    bool check;
};

struct bench {
    struct arguments args;
    char *dir, *layout, *run_dir, *guard_path, *runner_path; /* owned */
    struct digest releases[2];
    struct shelf shelf;
    struct spawn_options spawn;
    struct crew *crew;
    int epoll_fd;
    pid_t guard, robot;
    struct swap_log *log;
    struct wanted wanted;
    bool hurry;
    uint64_t current, next; /* generations: that answers; that is to */
    struct swap_outcome outcome;
};

/* The agent's part. */

static void on_report(const struct api_report *report, void *arg)
{
    log_debug("%s: %s", report_kind_name(report->kind), report->text);
}

static void on_note(enum report_kind kind, const struct digest *release, const char *text, void *arg)
{
    log_debug("%s: %s", report_kind_name(kind), text);
}

static int open_crew(struct bench *bench, struct err *err)
{
    cleanup_free char *bin = proc_self_dir();
    bench->guard_path = bin ? file_join(bin, "muster-guard") : NULL;
    bench->runner_path = bin ? file_join(bin, "muster-runner") : NULL;
    bench->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!bench->guard_path || !bench->runner_path || bench->epoll_fd < 0)
        return err_no_memory(err);
    bench->spawn = (struct spawn_options){
        .run_dir = bench->run_dir,
        .layout = bench->layout,
        .runner = bench->runner_path,
        .engines = bench->dir,
        .isolation = bench->args.isolation,
        .runner_user = "",
        .runner_cpus = bench->args.cpus,
    };
    if (spawn_prepare(&bench->spawn, err) < 0)
        return -1;
    struct crew_options options = {.run_dir = bench->run_dir,
                                   .state_dir = bench->dir,
                                   .guard = bench->guard_path,
                                   .spawn = &bench->spawn,
                                   .start_ms = PATIENCE_MS,
                                   .epoll_fd = bench->epoll_fd,
                                   .note = on_note,
                                   .report = on_report};
    return crew_new(&options, &bench->crew, err);
}

/* One turn, as the agent's loop takes it. */
static const struct ctl_status *turn(struct bench *bench)
{
    bool fresh;
    int status;
    struct epoll_event event;
    int64_t now_ms = clock_mono_ms();
    crew_tick(bench->crew, &bench->wanted, bench->hurry, now_ms);
    int64_t wait_ms = crew_next_ms(bench->crew, bench->hurry) - clock_mono_ms();
    if (epoll_wait(bench->epoll_fd, &event, 1, (int)MIN(MAX(wait_ms, (int64_t)0), (int64_t)20)) > 0)
        crew_guard_speaks(bench->crew, clock_mono_ms());
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        crew_reaped(bench->crew, pid, status, clock_mono_ms());
        bench->robot = pid == bench->robot ? 0 : bench->robot;
    }
    return crew_status(bench->crew, &fresh);
}

static const struct ctl_runner_status *runner_of(const struct ctl_status *status, uint64_t generation)
{
    for (size_t i = 0; status && generation && i < CTL_MAX_RUNNERS; i++)
        if (status->runners[i].generation == generation)
            return &status->runners[i];
    return NULL;
}

typedef bool holds_fn(struct bench *bench, const struct ctl_status *status);

static int until(struct bench *bench, holds_fn *holds, const char *what, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    bench->hurry = true;
    while (clock_mono_ms() < until_ms) {
        const struct ctl_status *status = turn(bench);
        if (status && holds(bench, status))
            return 0;
    }
    return err_set(err, ERR_TIMEOUT, "it never came about that %s", what);
}

static int want(struct bench *bench, uint64_t generation, bool standby, struct err *err)
{
    const struct digest *release = &bench->releases[generation % 2];
    const struct shelf_item *item = shelf_get(&bench->shelf, bench->layout, release, err);
    if (!item)
        return -1;
    bench->wanted.items[bench->wanted.count++] =
        (struct wanted_item){.generation = generation,
                             .release = *release,
                             .limits = item->limits,
                             .standby = standby,
                             .shadow = standby ? (uint32_t)bench->args.shadow : 0};
    return 0;
}

static int want_all(struct bench *bench, uint64_t answers, uint64_t hot, uint64_t standby, struct err *err)
{
    bench->wanted.count = 0;
    crew_look_now(bench->crew);
    if ((answers && want(bench, answers, false, err) < 0) || (hot && want(bench, hot, false, err) < 0) ||
        (standby && want(bench, standby, true, err) < 0))
        return -1;
    return 0;
}

static bool is_loaded_and_judged(struct bench *bench, const struct ctl_status *status)
{
    char reason[160];
    const struct ctl_runner_status *runner = runner_of(status, bench->next);
    if (!runner || !runner->connected)
        return false;
    struct shadow_limits limits = {
        .frames = bench->args.shadow, .wait_ms = PATIENCE_MS, .total_ms = PATIENCE_MS};
    struct shadow_evidence seen = {
        .compared = runner->shadow_frames, .agreed = runner->shadow_agreed, .unsound = runner->shadow_failed};
    enum shadow_verdict verdict = shadow_judge(&limits, &seen, reason, sizeof reason);
    if (verdict == SHADOW_FAIL)
        log_error("generation %llu: %s", (unsigned long long)bench->next, reason);
    return verdict == SHADOW_PASS;
}

static bool is_active(struct bench *bench, const struct ctl_status *status)
{
    return status->active_generation == bench->current;
}

static bool only_one_is_left(struct bench *bench, const struct ctl_status *status)
{
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++)
        if (status->runners[i].generation && status->runners[i].generation != bench->current)
            return false;
    return is_active(bench, status) && !crew_leaving(bench->crew);
}

static void work_on(struct bench *bench, int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms;
    bench->hurry = false;
    while (clock_mono_ms() < until_ms)
        turn(bench);
}

static void await_frames(struct bench *bench, uint64_t frames)
{
    uint64_t until_count = atomic_load(&bench->log->count) + frames;
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (atomic_load(&bench->log->count) < until_count && clock_mono_ms() < until_ms)
        turn(bench);
}

/* A new generation beside the one that answers, then in its place; the old one stays hot. */
static int take_over(struct bench *bench, struct err *err)
{
    uint64_t old = bench->current;
    bench->next += 1 + (bench->next + 1 - old + 1) % 2; /* of the other release */
    if (want_all(bench, old, 0, bench->next, err) < 0 ||
        until(bench, is_loaded_and_judged, "a new release passes", err) < 0 ||
        want_all(bench, bench->next, old, 0, err) < 0)
        return -1;
    bench->current = bench->next;
    if (until(bench, is_active, "it answers", err) < 0)
        return -1;
    await_frames(bench, DRAIN_FRAMES);
    return 0;
}

static void note_window(struct bench *bench, int64_t from_ns, bool steady)
{
    struct swap_outcome *outcome = &bench->outcome;
    if (outcome->window_count < SWAP_MAX_WINDOWS)
        outcome->windows[outcome->window_count++] =
            (struct swap_window){.from_ns = from_ns, .to_ns = clock_mono_ns(), .steady = steady};
}

static int swap(struct bench *bench, struct err *err)
{
    int64_t from_ns = clock_mono_ns();
    if (take_over(bench, err) < 0 || want_all(bench, bench->current, 0, 0, err) < 0 ||
        until(bench, only_one_is_left, "the old release leaves", err) < 0)
        return -1;
    note_window(bench, from_ns, false);
    bench->outcome.switches_s += (double)(clock_mono_ns() - from_ns) / 1e9;
    from_ns = clock_mono_ns();
    work_on(bench, STEADY_MS);
    note_window(bench, from_ns, true);
    return 0;
}

static int count_fds(pid_t pid)
{
    int count = 0;
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static void look_at_resources(struct bench *bench, int64_t *out_rss, int *out_fds)
{
    *out_rss = (int64_t)(proc_rss_bytes(bench->guard) + proc_rss_bytes(getpid()));
    *out_fds = count_fds(bench->guard) + count_fds(getpid());
}

static int start(struct bench *bench, struct err *err)
{
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    bench->current = bench->next = 1;
    if (want_all(bench, 1, 0, 0, err) < 0 || until(bench, is_active, "the first release answers", err) < 0)
        return -1;
    if (getsockopt(crew_guard_fd(bench->crew), SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return err_errno(err, "guard");
    bench->guard = peer.pid;
    if (swap_robot_start(bench->log, bench->run_dir, (unsigned)bench->args.fps, &bench->robot, err) < 0)
        return -1;
    await_frames(bench, bench->args.fps);
    return 0;
}

static int all_swaps(struct bench *bench, struct err *err)
{
    for (uint64_t n = 0; n < bench->args.swaps; n++) {
        if (swap(bench, err) < 0)
            return err_prefix(err, "switch %llu", (unsigned long long)n + 1);
        if (n == 0)
            look_at_resources(bench, &bench->outcome.rss_before, &bench->outcome.fds_before);
    }
    look_at_resources(bench, &bench->outcome.rss_after, &bench->outcome.fds_after);
    return 0;
}

/* The guard's own count, when no frame is open: one verdict for each frame. */
static int count_verdicts(struct bench *bench, struct err *err)
{
    struct ctl_status status;
    for (int tries = 0; tries < 1000; tries++) {
        uint64_t before = atomic_load(&bench->log->count);
        if (ctl_status(crew_guard_fd(bench->crew), 1000, &status, err) < 0)
            return -1;
        bench->outcome.frames_at_end = atomic_load(&bench->log->count);
        bench->outcome.verdicts_at_end = status.checked + status.safe;
        if (before == bench->outcome.frames_at_end && before == bench->outcome.verdicts_at_end)
            return 0;
    }
    return 0;
}

/* The active runner dies in the middle of a frame; the previous one answers, then becomes the active one. */
static int one_kill(struct bench *bench, struct err *err)
{
    uint64_t old = bench->current;
    if (take_over(bench, err) < 0)
        return -1;
    const struct ctl_runner_status *runner = runner_of(turn(bench), bench->current);
    if (!runner)
        return err_set(err, ERR_CONFLICT, "the new release is gone");
    atomic_store(&bench->log->victim, runner->pid);
    await_frames(bench, 4);
    bench->current = old;
    return want_all(bench, old, 0, 0, err) < 0
               ? -1
               : until(bench, only_one_is_left, "the previous one answers", err);
}

static int all_kills(struct bench *bench, struct err *err)
{
    atomic_store(&bench->log->order_unchecked, true);
    for (uint64_t n = 0; n < bench->args.kills; n++)
        if (one_kill(bench, err) < 0)
            return err_prefix(err, "kill %llu", (unsigned long long)n + 1);
    return 0;
}

/* The program. */

static bool take(struct arguments *args, int opt)
{
    switch (opt) {
    case 's':
        return str_to_u64(optarg, &args->swaps) && args->swaps >= 1 && args->swaps <= 10000;
    case 'k':
        return str_to_u64(optarg, &args->kills) && args->kills <= 10000;
    case 'f':
        return str_to_u64(optarg, &args->fps) && args->fps >= 1 && args->fps <= 1000;
    case 'n':
        return str_to_u64(optarg, &args->shadow) && args->shadow <= 10000;
    case 'i':
        args->isolation = optarg;
        return true;
    case 'u':
        args->cpus = str_eq(optarg, "all") ? "" : optarg;
        return true;
    case 'c':
        return args->check = true;
    default:
        return opt == 'j';
    }
}

static bool parse(int argc, char **argv, struct arguments *args)
{
    static const struct option options[] = {
        {"swaps", required_argument, NULL, 's'},
        {"kills", required_argument, NULL, 'k'},
        {"fps", required_argument, NULL, 'f'},
        {"shadow", required_argument, NULL, 'n'},
        {"isolation", required_argument, NULL, 'i'},
        {"runner-cpus", required_argument, NULL, 'u'},
        {"check", no_argument, NULL, 'c'},
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
    bench->layout = file_join(bench->dir, "store");
    bench->run_dir = file_join(bench->dir, "run");
    bench->log = swap_log_new();
    if (!bench->layout || !bench->run_dir || !bench->log)
        return err_no_memory(err);
    if (swap_pack(bench->dir, bench->layout, bench->releases, err) < 0 || open_crew(bench, err) < 0 ||
        file_make_dirs(bench->run_dir, 0700, err) < 0 || start(bench, err) < 0 || all_swaps(bench, err) < 0 ||
        count_verdicts(bench, err) < 0 || all_kills(bench, err) < 0)
        return -1;
    bool clean;
    bench->outcome.swaps = bench->args.swaps;
    bench->outcome.kills = bench->args.kills;
    bench->outcome.fps = bench->args.fps;
    bench->outcome.shadow = bench->args.shadow;
    bench->outcome.isolation = bench->spawn.told[0] ? bench->spawn.told : bench->args.isolation;
    if (swap_report(bench->log, &bench->outcome, &clean, err) < 0)
        return -1;
    return clean || !bench->args.check ? 0 : err_set(err, ERR_REFUSED, "a count that has to be 0 is not");
}

static void clean_up(struct bench *bench)
{
    struct err ignored = {0};
    int64_t until_ms = clock_mono_ms() + 3000;
    if (bench->log)
        atomic_store(&bench->log->stop, true);
    while (bench->robot > 0 && waitpid(bench->robot, NULL, 0) < 0 && errno == EINTR)
        ;
    crew_free(bench->crew);
    if (bench->guard > 0 && crew_stop_all(bench->run_dir, &ignored) < 0)
        fprintf(stderr, "bench-swap: %s\n", ignored.text);
    while (waitpid(-1, NULL, WNOHANG) >= 0 && clock_mono_ms() < until_ms)
        usleep(10000);
    if (file_remove_tree(bench->dir, &ignored) < 0)
        fprintf(stderr, "bench-swap: %s\n", ignored.text);
    mem_cleanup_close(&bench->epoll_fd);
    free(bench->layout);
    free(bench->run_dir);
    free(bench->guard_path);
    free(bench->runner_path);
}

static const char usage[] =
    "usage: bench-swap [--json] [--swaps N] [--kills N] [--fps F] [--shadow K] [--isolation MODE]\n"
    "                  [--runner-cpus LIST] [--check]\n"
    "Switches releases under a robot program and counts what it loses.\n"
    "example: bench-swap --swaps 100 --kills 10 --json\n";

int main(int argc, char **argv)
{
    static struct bench bench = {
        .args = {.swaps = 1000, .kills = 50, .fps = 60, .shadow = 5, .isolation = "none"}, .epoll_fd = -1};
    char dir[] = "/tmp/muster-swap-XXXXXX", last_cpu[16];
    struct err err = {0};
    usage_on_help(argc, argv, usage);
    snprintf(last_cpu, sizeof last_cpu, "%ld", sysconf(_SC_NPROCESSORS_ONLN) - 1);
    bench.args.cpus = last_cpu;
    if (!parse(argc, argv, &bench.args)) {
        fputs(usage, stderr);
        return 2;
    }
    log_init("bench");
    bench.dir = mkdtemp(dir);
    if (!bench.dir) {
        perror("bench-swap: /tmp");
        return 1;
    }
    int done = run(&bench, &err);
    if (done < 0)
        fprintf(stderr, "bench-swap: %s\n", err.text);
    clean_up(&bench);
    return done < 0 ? err_exit_status(err.code) : 0;
}
