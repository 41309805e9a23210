/* What agent and guard cost a robot that has a committed release and nothing to do: resident memory and CPU
 * share.
 *
 * A real fleet server, one robot, release 1.0.0 committed; then SETTLE_S seconds of quiet and MEASURE_S of
 * measuring. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/demo/procs.h"
#include "cli/demo/prologue.h"
#include "cli/demo/screen.h"
#include "cli/demo/tool.h"
#include "cli/demo/view.h"
#include "sys/proc.h"
#include "usage.h"

#include <unistd.h>

enum { SETTLE_S = 5, MEASURE_S = 30, COMMIT_LIMIT_S = 120 };

struct cost {
    double rss_mib, cpu_percent;
};

/* User and system time of a process so far, in seconds (proc(5), /proc/PID/stat fields 14 and 15). */
static double cpu_seconds(pid_t pid)
{
    char path[64], line[1024] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    cleanup_file FILE *file = fopen(path, "re");
    unsigned long user = 0, system = 0;
    if (!file || !fgets(line, sizeof line, file) || !strrchr(line, ')'))
        return 0;
    if (sscanf(strrchr(line, ')') + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &system) != 2)
        return 0;
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static int wait_committed(struct viewer *viewer, struct cast *cast, struct err *err)
{
    static struct view view;
    int64_t give_up_ms = clock_mono_ms() + COMMIT_LIMIT_S * 1000;
    while (clock_mono_ms() < give_up_ms) {
        if (cast_tend(cast, err) < 0)
            return -1;
        if (viewer_look(viewer, &view, err) == 0 && view.robot_count == 1 &&
            str_eq(view.robots[0].phase, "committed"))
            return 0;
        usleep(200000);
    }
    return err_set(err, ERR_TIMEOUT, "the robot did not commit release 1.0.0");
}

static int bring_up(struct stage *stage, struct cast *cast, struct err *err)
{
    struct viewer *viewer = NULL;
    char plan[2 * STAGE_PATH];
    snprintf(plan, sizeof plan, "%s/rollout-1.yaml", stage->rollouts);
    if (prologue_releases(stage, err) < 0 || prologue_server(stage, cast, err) < 0 ||
        prologue_robot(stage, cast, 0, false, err) < 0)
        return -1;
    usleep(500000);
    if (tool_run(stage, false, TOOL_ARGS("rollout", "start", plan), NULL, err) < 0 ||
        viewer_new(stage, &viewer, err) < 0)
        return -1;
    int rc = wait_committed(viewer, cast, err);
    viewer_free(viewer);
    return rc;
}

static int measure(struct stage *stage, struct cast *cast, struct cost cost[2], struct err *err)
{
    const char *name;
    struct procs_found guard;
    pid_t pids[2] = {cast_pick(cast, ACTOR_AGENT, 0, &name)};
    if (procs_find("muster-guard", stage->dir, &guard, 1) != 1 || !pids[0])
        return err_set(err, ERR_NOT_FOUND, "agent or guard is not running");
    pids[1] = guard.pid;
    sleep(SETTLE_S);
    double before[2] = {cpu_seconds(pids[0]), cpu_seconds(pids[1])};
    sleep(MEASURE_S);
    for (int i = 0; i < 2; i++) {
        cost[i].cpu_percent = 100 * (cpu_seconds(pids[i]) - before[i]) / MEASURE_S;
        cost[i].rss_mib = (double)proc_rss_bytes(pids[i]) / (1 << 20);
    }
    return 0;
}

static const char usage[] =
    "usage: bench-footprint [--json]    a demo of one robot, what its agent and guard take\n"
    "example: bench-footprint --json\n";

int main(int argc, char **argv)
{
    usage_on_help(argc, argv, usage);
    for (int i = 1; i < argc; i++)
        if (!str_eq(argv[i], "--json")) /* it is JSON in any case */
            return fputs(usage, stderr), 2;
    struct stage stage;
    struct cast *cast = NULL;
    struct cost cost[2];
    struct err err = {0};
    screen_init(true);
    int rc = stage_open(&stage, &play_warehouse, 1, "", &err);
    if (rc == 0)
        rc = cast_new(&stage, &cast, &err);
    if (rc == 0)
        rc = bring_up(&stage, cast, &err);
    if (rc == 0)
        rc = measure(&stage, cast, cost, &err);
    cast_end(cast);
    if (rc < 0) {
        fprintf(stderr, "bench-footprint: %s\n", err.text);
        return 1;
    }
    stage_remove(&stage);
    printf("{\"benchmark\":\"footprint\",\"seconds\":%d,\"agent_rss_mib\":%.2f,\"guard_rss_mib\":%.2f,"
           "\"both_rss_mib\":%.2f,\"agent_cpu_percent\":%.3f,\"guard_cpu_percent\":%.3f,"
           "\"both_cpu_percent\":%.3f}\n",
           MEASURE_S, cost[0].rss_mib, cost[1].rss_mib, cost[0].rss_mib + cost[1].rss_mib,
           cost[0].cpu_percent, cost[1].cpu_percent, cost[0].cpu_percent + cost[1].cpu_percent);
    return 0;
}
