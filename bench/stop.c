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
 * database is on a real one. */
#include "bench/stop.h"
#include "base/clock.h"
#include "base/str.h"
#include "robot/ctl/ctl.h"

#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>

enum { ROUND_LIMIT_MS = 30000, DEADLINE_US = 20000 };

struct bench {
    struct stop_fleet fleet;
    int epoll_fd;
    int64_t rounds, fps, settle_ms;
    int64_t ordered_ns; /* the clock of this round */
    double *ms;         /* all rounds */
    size_t measured, unobeyed;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* One frame; the state that its verdict tells. */
static enum muster_state frame(struct stop_robot *robot)
{
    struct muster_verdict verdict;
    (void)muster_frame_begin(robot->program);
    uint64_t seq = muster_frame_submit(robot->program, 0, DEADLINE_US);
    muster_verdict_wait(robot->program, seq, &verdict);
    return verdict.answer == MUSTER_SAFE ? verdict.state : MUSTER_STATE_UNKNOWN;
}

static void try_one(struct bench *bench, struct stop_robot *robot)
{
    if (robot->state == GUARD_SAFE_STOP && robot->ms < 0 && frame(robot) == MUSTER_STATE_SAFE_STOP)
        robot->ms = (double)(clock_mono_ns() - bench->ordered_ns) / 1e6;
}

static void hear(struct bench *bench, struct stop_robot *robot)
{
    union ctl_packet packet;
    struct err err = {0};
    for (;;) {
        cleanup_ctl_fds struct ctl_fds fds;
        ctl_fds_init(&fds);
        if (ctl_recv(robot->observer, &packet, &fds, &err) <= 0)
            return;
        if (packet.message.kind == CTL_NOTICE)
            robot->state = packet.message.state;
        try_one(bench, robot);
    }
}

/* Frames at the wanted pace, and whatever the guards say, for one millisecond or until something was said. */
static void turn(struct bench *bench, size_t *next, int64_t *next_ns)
{
    struct epoll_event events[64];
    struct stop_fleet *fleet = &bench->fleet;
    int count = epoll_wait(bench->epoll_fd, events, ARRAY_LEN(events), 1);
    for (int i = 0; i < count; i++)
        hear(bench, &fleet->robots[events[i].data.u64]);
    if (count > 0)
        return;
    for (size_t i = 0; i < fleet->count; i++)
        try_one(bench, &fleet->robots[i]); /* a verdict that did not come in time is asked for again */
    if (clock_mono_ns() < *next_ns)
        return;
    (void)frame(&fleet->robots[*next]);
    *next = (*next + 1) % fleet->count;
    *next_ns =
        MAX(*next_ns, clock_mono_ns() - 1000000000) + 1000000000 / (bench->fps * (int64_t)fleet->count);
}

static bool all_in(const struct stop_fleet *fleet, enum guard_state state)
{
    for (size_t i = 0; i < fleet->count; i++)
        if (fleet->robots[i].state != state || (state == GUARD_SAFE_STOP && fleet->robots[i].ms < 0))
            return false;
    return true;
}

struct order {
    struct stop_fleet *fleet;
    enum command_verb verb;
    struct err err;
    int rc;
};

static void *send_order(void *arg)
{
    struct order *order = arg;
    order->rc = stop_fleet_order(order->fleet, order->verb, &order->err);
    return NULL;
}

/* The command, and frames until every robot is where it should be. */
static int carry_out(struct bench *bench, enum command_verb verb, enum guard_state wanted, struct err *err)
{
    struct order order = {.fleet = &bench->fleet, .verb = verb};
    pthread_t thread;
    size_t next = 0;
    int64_t next_ns = clock_mono_ns(), until_ms = clock_mono_ms() + ROUND_LIMIT_MS;
    bench->ordered_ns = clock_mono_ns();
    if (pthread_create(&thread, NULL, send_order, &order) != 0)
        return err_set(err, ERR_NO_MEMORY, "no thread");
    while (!all_in(&bench->fleet, wanted) && clock_mono_ms() < until_ms && !interrupted)
        turn(bench, &next, &next_ns);
    pthread_join(thread, NULL);
    if (order.rc < 0) {
        *err = order.err;
        return -1;
    }
    return interrupted ? err_set(err, ERR_CONFLICT, "interrupted") : 0;
}

static int one_round(struct bench *bench, struct err *err)
{
    struct stop_fleet *fleet = &bench->fleet;
    for (size_t i = 0; i < fleet->count; i++)
        fleet->robots[i].ms = -1;
    if (carry_out(bench, COMMAND_STOP, GUARD_SAFE_STOP, err) < 0)
        return -1;
    for (size_t i = 0; i < fleet->count; i++) {
        if (fleet->robots[i].ms < 0)
            bench->unobeyed++;
        else
            bench->ms[bench->measured++] = fleet->robots[i].ms;
    }
    if (carry_out(bench, COMMAND_RESET, GUARD_ACK_WAIT, err) < 0)
        return -1;
    return carry_out(bench, COMMAND_RESTART, GUARD_STANDBY, err);
}

/* Frames alone, until the reports of the last orders are through: an operator stops a fleet that is at work. */
static void settle(struct bench *bench)
{
    size_t next = 0;
    int64_t next_ns = clock_mono_ns(), until_ms = clock_mono_ms() + bench->settle_ms;
    while (clock_mono_ms() < until_ms && !interrupted)
        turn(bench, &next, &next_ns);
}

/* The first round counts for nothing: it finds out that everybody hears. */
static int all_rounds(struct bench *bench, struct err *err)
{
    for (int64_t i = 0; i <= bench->rounds; i++) {
        settle(bench);
        if (one_round(bench, err) < 0)
            return -1;
        if (i == 0)
            bench->measured = bench->unobeyed = 0;
    }
    return 0;
}

static int open_bench(struct bench *bench, int64_t robots, struct err *err)
{
    bench->ms = mem_zalloc((size_t)((bench->rounds + 1) * robots), sizeof bench->ms[0]);
    bench->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!bench->ms || bench->epoll_fd < 0)
        return err_no_memory(err);
    if (stop_fleet_open(&bench->fleet, (size_t)robots, err) < 0)
        return -1;
    for (size_t i = 0; i < bench->fleet.count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = i};
        bench->fleet.robots[i].state = GUARD_STANDBY;
        if (epoll_ctl(bench->epoll_fd, EPOLL_CTL_ADD, bench->fleet.robots[i].observer, &event) < 0)
            return err_errno(err, "epoll");
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    double left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return left < right ? -1 : left > right;
}

static double quantile(const struct bench *bench, double q)
{
    return bench->measured ? bench->ms[(size_t)((double)(bench->measured - 1) * q)] : -1;
}

static void say(struct bench *bench, bool json)
{
    qsort(bench->ms, bench->measured, sizeof bench->ms[0], compare);
    double p50 = quantile(bench, 0.5), p99 = quantile(bench, 0.99), max = quantile(bench, 1);
    if (json)
        printf("{\"robots\": %zu, \"rounds\": %lld, \"stops\": %zu, \"unobeyed\": %zu, "
               "\"stop_to_safe_verdict_p50_ms\": %.2f, \"stop_to_safe_verdict_p99_ms\": %.2f, "
               "\"stop_to_safe_verdict_max_ms\": %.2f}\n",
               bench->fleet.count, (long long)bench->rounds, bench->measured, bench->unobeyed, p50, p99, max);
    else
        printf("%zu robots, %zu stops, %zu not obeyed: stop to safe verdict p50 %.1f ms, p99 %.1f ms, max "
               "%.1f ms\n",
               bench->fleet.count, bench->measured, bench->unobeyed, p50, p99, max);
}

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
    fprintf(
        stderr,
        "usage: bench-stop [--robots 100] [--rounds 10] [--fps 5] [--settle-ms 2000] [--json]    (1 to %d)\n",
        STOP_MAX_ROBOTS);
    return -1;
}

int main(int argc, char **argv)
{
    static struct bench bench = {.rounds = 10, .fps = 5, .settle_ms = 2000, .epoll_fd = -1};
    const struct sigaction action = {.sa_handler = on_signal};
    int64_t robots = 100;
    bool json = false;
    struct err err = {0};
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
    stop_fleet_close(&bench.fleet);
    free(bench.ms);
    return rc < 0 ? err_exit_status(err.code) : bench.unobeyed ? 1 : 0;
}
