/* bench-stop: from an operator's stop to a safe verdict, on many robots at once.
 *
 * A signed stop for all robots is sent to a real musterd over a fresh TLS connection, as `muster stop` does. Each robot is a
 * real muster-agent with its held question and a real muster-guard; the robot programs attach through libmuster and submit
 * frames all the time (--fps). The clock starts before the command is signed. For each robot it ends when its program has a
 * verdict in its hands that says SAFE_STOP: a frame is submitted as soon as its guard tells that it stopped, so that the
 * figure does not depend on when the next frame would have been due; a program at F frames/s sees it with its next frame.
 *
 * All of it runs on this one machine, which is busier than a hundred robots would be: so without their black boxes, whose
 * cost bench-blackbox tells, and with the robots' state in memory (/dev/shm), since they do not share one disk. The server's
 * database is on a real one, and it goes before the robots' agents where they want the same core (nice): it has a machine of
 * its own. */
#include "bench/stop.h"
#include "base/clock.h"
#include "base/str.h"
#include "robot/ctl/ctl.h"
#include "usage.h"

#include <getopt.h>
#include <poll.h>
#include <signal.h>

enum { ROUND_LIMIT_MS = 30000, DEADLINE_US = 20000, LOOK_US = 5000 };

struct bench {
    struct stop_fleet fleet;
    int64_t rounds, fps, settle_ms;
    int64_t ordered_ns; /* the clock of this round */
    size_t measured, unobeyed, answered;
    double *verdict_ms, *guard_ms; /* all rounds, a value per robot */
    double *answer_ms;             /* all rounds: the server's answer to the operator */
};

static volatile sig_atomic_t interrupted;
static _Atomic bool over;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* ---- a robot program ---- */

/* One frame; the state that its verdict tells. */
static enum muster_state frame(struct stop_robot *robot)
{
    struct muster_verdict verdict;
    (void)muster_frame_begin(robot->program);
    uint64_t seq = muster_frame_submit(robot->program, 0, DEADLINE_US);
    muster_verdict_wait(robot->program, seq, &verdict);
    return verdict.answer == MUSTER_SAFE ? verdict.state : MUSTER_STATE_UNKNOWN;
}

static void hear(struct stop_robot *robot)
{
    union ctl_packet packet;
    struct err err = {0};
    for (;;) {
        cleanup_ctl_fds struct ctl_fds fds;
        if (ctl_recv(robot->observer, &packet, &fds, &err) <= 0)
            return;
        if (packet.message.kind != CTL_NOTICE)
            continue;
        robot->state = packet.message.state;
        if (robot->state == GUARD_SAFE_STOP && !robot->stopped_ns)
            robot->stopped_ns = clock_mono_ns();
    }
}

/* Frames at the wanted pace; one at once when the guard says that it stopped. */
static void *run_program(void *arg)
{
    struct stop_robot *robot = arg;
    int64_t next_ns = clock_mono_ns() + robot->phase_ns;
    while (!over) {
        struct pollfd wait = {.fd = robot->observer, .events = POLLIN};
        int64_t left_ns = MAX(next_ns - clock_mono_ns(), (int64_t)0);
        if (poll(&wait, 1, (int)((left_ns + 999999) / 1000000)) > 0)
            hear(robot);
        bool stopped = robot->state == GUARD_SAFE_STOP && !robot->safe_ns;
        if (!stopped && clock_mono_ns() < next_ns)
            continue;
        if (frame(robot) == MUSTER_STATE_SAFE_STOP && stopped)
            robot->safe_ns = clock_mono_ns();
        if (clock_mono_ns() >= next_ns)
            next_ns = MAX(next_ns + robot->period_ns, clock_mono_ns());
    }
    return NULL;
}

/* ---- rounds ---- */

static bool all_in(const struct stop_fleet *fleet, enum guard_state state)
{
    for (size_t i = 0; i < fleet->count; i++)
        if (fleet->robots[i].state != state || (state == GUARD_SAFE_STOP && !fleet->robots[i].safe_ns))
            return false;
    return true;
}

/* The command, and time until every robot is where it should be. */
static int carry_out(struct bench *bench, enum command_verb verb, enum guard_state wanted, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + ROUND_LIMIT_MS;
    bench->ordered_ns = clock_mono_ns();
    if (stop_fleet_order(&bench->fleet, verb, err) < 0)
        return -1;
    if (verb == COMMAND_STOP)
        bench->answer_ms[bench->answered++] = (double)(clock_mono_ns() - bench->ordered_ns) / 1e6;
    while (!all_in(&bench->fleet, wanted) && clock_mono_ms() < until_ms && !interrupted)
        usleep(LOOK_US);
    return interrupted ? err_set(err, ERR_CONFLICT, "interrupted") : 0;
}

static int one_round(struct bench *bench, struct err *err)
{
    struct stop_fleet *fleet = &bench->fleet;
    for (size_t i = 0; i < fleet->count; i++)
        fleet->robots[i].safe_ns = fleet->robots[i].stopped_ns = 0;
    if (carry_out(bench, COMMAND_STOP, GUARD_SAFE_STOP, err) < 0)
        return -1;
    for (size_t i = 0; i < fleet->count; i++) {
        const struct stop_robot *robot = &fleet->robots[i];
        if (!robot->safe_ns) {
            bench->unobeyed++;
            continue;
        }
        bench->guard_ms[bench->measured] = (double)(robot->stopped_ns - bench->ordered_ns) / 1e6;
        bench->verdict_ms[bench->measured++] = (double)(robot->safe_ns - bench->ordered_ns) / 1e6;
    }
    if (carry_out(bench, COMMAND_RESET, GUARD_ACK_WAIT, err) < 0)
        return -1;
    return carry_out(bench, COMMAND_RESTART, GUARD_STANDBY, err);
}

/* Frames alone, until the reports of the last orders are through: an operator stops a fleet that is at work. */
static void settle(const struct bench *bench)
{
    int64_t until_ms = clock_mono_ms() + bench->settle_ms;
    while (clock_mono_ms() < until_ms && !interrupted)
        usleep(LOOK_US);
}

/* The first round counts for nothing: it finds out that everybody hears. */
static int all_rounds(struct bench *bench, struct err *err)
{
    for (int64_t i = 0; i <= bench->rounds; i++) {
        settle(bench);
        if (one_round(bench, err) < 0)
            return -1;
        if (i == 0)
            bench->measured = bench->unobeyed = bench->answered = 0;
    }
    return 0;
}

static int open_bench(struct bench *bench, int64_t robots, struct err *err)
{
    const size_t values = (size_t)((bench->rounds + 1) * robots);
    bench->verdict_ms = mem_zalloc(values, sizeof bench->verdict_ms[0]);
    bench->guard_ms = mem_zalloc(values, sizeof bench->guard_ms[0]);
    bench->answer_ms = mem_zalloc((size_t)bench->rounds + 1, sizeof bench->answer_ms[0]);
    if (!bench->verdict_ms || !bench->guard_ms || !bench->answer_ms)
        return err_no_memory(err);
    if (stop_fleet_open(&bench->fleet, (size_t)robots, err) < 0)
        return -1;
    for (size_t i = 0; i < bench->fleet.count; i++) {
        struct stop_robot *robot = &bench->fleet.robots[i];
        robot->state = GUARD_STANDBY;
        robot->period_ns = 1000000000 / bench->fps;
        robot->phase_ns = robot->period_ns * (int64_t)i / robots;
        if (pthread_create(&robot->thread, NULL, run_program, robot) != 0)
            return err_set(err, ERR_NO_MEMORY, "no thread");
    }
    return 0;
}

static void close_bench(struct bench *bench)
{
    over = true;
    for (size_t i = 0; i < STOP_MAX_ROBOTS && bench->fleet.robots[i].thread; i++)
        pthread_join(bench->fleet.robots[i].thread, NULL);
    stop_fleet_close(&bench->fleet);
    free(bench->verdict_ms);
    free(bench->guard_ms);
    free(bench->answer_ms);
}

static int compare(const void *a, const void *b)
{
    double left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return left < right ? -1 : left > right;
}

static double quantile(double *values, size_t count, double q)
{
    qsort(values, count, sizeof values[0], compare);
    return count ? values[(size_t)((double)(count - 1) * q)] : -1;
}

static void say(struct bench *bench, bool json)
{
    double p50 = quantile(bench->verdict_ms, bench->measured, 0.5),
           p99 = quantile(bench->verdict_ms, bench->measured, 0.99),
           max = quantile(bench->verdict_ms, bench->measured, 1);
    if (!json) {
        printf("%zu robots, %zu stops, %zu not obeyed: stop to safe verdict p50 %.1f ms, p99 %.1f ms, max "
               "%.1f ms\n",
               bench->fleet.count, bench->measured, bench->unobeyed, p50, p99, max);
        return;
    }
    printf("{\"robots\": %zu, \"rounds\": %lld, \"stops\": %zu, \"unobeyed\": %zu, "
           "\"stop_to_safe_verdict_p50_ms\": %.2f, \"stop_to_safe_verdict_p99_ms\": %.2f, "
           "\"stop_to_safe_verdict_max_ms\": %.2f, ",
           bench->fleet.count, (long long)bench->rounds, bench->measured, bench->unobeyed, p50, p99, max);
    printf(
        "\"stop_to_guard_p50_ms\": %.2f, \"stop_to_guard_p99_ms\": %.2f, \"stop_to_answer_p50_ms\": %.2f}\n",
        quantile(bench->guard_ms, bench->measured, 0.5), quantile(bench->guard_ms, bench->measured, 0.99),
        quantile(bench->answer_ms, bench->answered, 0.5));
}

static const char usage[] = "usage: bench-stop [--robots 100] [--rounds 10] [--fps 5] [--settle-ms 2000] "
                            "[--json]    (1 to 256 robots)\n"
                            "From an operator's stop to the safe verdict, on many robots behind one server.\n"
                            "example: bench-stop --robots 100 --json\n";

static int parse(int argc, char **argv, struct bench *bench, int64_t *out_robots, bool *out_json)
{
    static const struct option options[] = {
        {"robots", required_argument, NULL, 'r'}, {"rounds", required_argument, NULL, 'n'},
        {"fps", required_argument, NULL, 'f'},    {"settle-ms", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},         {0}};
    bool ok = true;
    for (int opt; ok && (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int64_t *number = opt == 'r'   ? out_robots
                          : opt == 'n' ? &bench->rounds
                          : opt == 's' ? &bench->settle_ms
                                       : &bench->fps;
        int64_t max = opt == 's' ? 60000 : STOP_MAX_ROBOTS;
        if (opt == 'j')
            *out_json = true;
        else
            ok = opt != '?' && str_to_i64(optarg, number) && *number >= 1 && *number <= max;
    }
    if (ok && optind == argc)
        return 0;
    fputs(usage, stderr);
    return -1;
}

int main(int argc, char **argv)
{
    static struct bench bench = {.rounds = 10, .fps = 5, .settle_ms = 2000};
    const struct sigaction action = {.sa_handler = on_signal};
    int64_t robots = 100;
    bool json = false;
    struct err err = {0};
    usage_on_help(argc, argv, usage);
    if (parse(argc, argv, &bench, &robots, &json) < 0)
        return err_exit_status(ERR_USAGE);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int rc = open_bench(&bench, robots, &err);
    if (rc == 0)
        rc = all_rounds(&bench, &err);
    if (rc == 0)
        say(&bench, json);
    else
        fprintf(stderr, "bench-stop: %s\n", err.text);
    close_bench(&bench);
    return rc < 0 ? err_exit_status(err.code) : bench.unobeyed ? 1 : 0;
}
