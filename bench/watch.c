/* Does muster-watch notice what it should, and nothing else? Robots live in a simulated world with the real model, engine and signals, and the watcher's core
 * (src/robot/watch/core.h) judges, in accelerated time.
 *
 *     bench-watch --release DIR [--world warehouse|falls] [--robots N] [--days N] [--hours N] [--step-min N] [--frames N] [--check]
 *
 * Simulated: every --step-min (10) minutes of each robot's day one block of --frames (20; falls: 300) frames, spread over one minute of it; in the warehouse
 * each with the frame 0.1 s before it, so that change and flicker are what they are. Of the other minutes nothing is made, so all counts are in blocks.
 * First --days (2) ordinary days of all, of which the first is the one that is learned; then for --hours (12) three robots of each four meet a change each
 * (watch_warehouse.c, watch_falls.c), and the fourth goes on as it was. The machine's own time is left out (SIGNAL_RUN_MS): it is that of a bench.
 *
 * One JSON object: ordinary {robot_days, blocks, false_alarms}, rows[] {robot, site, change, cause, first_cause, delay_blocks, log10_e}, pointed[] (e-BH over
 * the robots at the end, false discovery rate 0.05), frame_ms. --check: exit status 1 unless every change is found with its cause and nothing else is. */
#include "watch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/runner/engine.h"
#include "robot/watch/catalog.h"
#include "robot/watch/core.h"
#include "sim/world/prng.h"
#include "stats/drift/fleet.h"
#include "usage.h"
#include "wire/decision.h"

#include <getopt.h>
#include <math.h>

enum { MAX_ROBOTS = 64, HOUR_MS = 60 * WATCH_MINUTE_MS, DAY_MS = 24 * HOUR_MS };

static const int64_t monday_ms = 1767571200000;

struct robot {
    int number, change;
    void *world;
    struct core *core;
    uint64_t seq;
    int alarms; /* in this part */
    char first_cause[32], cause[32];
    int64_t blocks, first_block;
};

struct bench {
    const char *release;
    const struct watch_scene *scene;
    uint64_t robots, days, hours, step_min, frames;
    bool check;
    struct engine engine;
    struct runner_engine run;
    struct catalog catalog;
    struct robot robot[MAX_ROBOTS];
    int64_t spent_ns, seen;
    uint64_t ordinary_blocks;
    int ordinary_alarms;
};

/* ---- what the core wants ---- */

static struct bench bench = {.scene = &watch_warehouse, .robots = 8, .days = 2, .hours = 12, .step_min = 10};

static int load(const struct digest *release, struct subject_about *out, void *arg, struct err *err)
{
    (void)arg;
    return catalog_load(&bench.catalog, release, out, err);
}

static bool no_frame(uint64_t stream, uint64_t seq, struct core_frame *out, void *arg)
{
    (void)stream, (void)seq, (void)out, (void)arg;
    return false;
}

static bool not_still(uint64_t stream, uint64_t seq, void *arg)
{
    (void)stream, (void)seq, (void)arg;
    return false;
}

static int put(enum mailbox_kind kind, const void *data, size_t len, void *arg)
{
    struct robot *robot = arg;
    struct decision decision;
    struct err err = {0};
    if (kind != MAILBOX_EVENT || decision_parse(data, len, &decision, &err) < 0 ||
        decision.who != DECIDER_DRIFT)
        return 1;
    if (robot->alarms++ == 0) {
        str_copy(robot->first_cause, sizeof robot->first_cause, decision.rule);
        robot->first_block = robot->blocks;
    }
    str_copy(robot->cause, sizeof robot->cause, decision.rule);
    fprintf(stderr, "robot %d, block %lld: %s: %s\n", robot->number, (long long)robot->blocks, decision.rule,
            decision.because);
    return 1;
}

/* ---- robots ---- */

static int open_robot(int number, struct robot *robot, struct err *err)
{
    const struct core_options options = {.block_frames = (uint32_t)bench.frames,
                                         .burn_in = (uint32_t)(3 * 60 / bench.step_min),
                                         .window_ms = HOUR_MS,
                                         .choice = {.seed = (uint64_t)number}};
    const struct core_outside outside = {
        .load = load, .frame = no_frame, .still = not_still, .put = put, .arg = robot};
    *robot = (struct robot){.number = number, .change = number % WATCH_CHANGES};
    if (bench.scene->open(number, &robot->world, err) < 0)
        return -1;
    return core_new(&options, &outside, 0, monday_ms, &robot->core, err);
}

static int one_frame(struct robot *robot, int64_t time_ms, struct ring_verdict *out, struct err *err)
{
    static struct ring_result result;
    struct runner_frame frame;
    int64_t from_ns = clock_mono_ns();
    bench.scene->see(robot->world, time_ms, &frame);
    result.signals = (struct frame_signals){0};
    if (bench.run.run(bench.run.self, &frame, &result, err) < 0)
        return -1;
    bench.spent_ns += clock_mono_ns() - from_ns;
    bench.seen++;
    *out = (struct ring_verdict){.seq = ++robot->seq,
                                 .stream = 1,
                                 .release = bench.engine.image.digest,
                                 .status = RING_VERDICT_OK,
                                 .kind = result.kind,
                                 .count = result.count,
                                 .label_count = bench.scene->label_count,
                                 .signals = result.signals};
    memcpy(out->detections, result.detections, sizeof out->detections);
    out->signals.values[SIGNAL_RUN_MS] = NAN;
    return 0;
}

static int one_block(struct robot *robot, int64_t block_ms, struct err *err)
{
    static struct ring_verdict verdict;
    int64_t apart_ms = WATCH_MINUTE_MS / (int64_t)bench.frames, pair_ms = bench.scene->pair_ms;
    struct prng rng = prng_of((uint64_t)robot->number, 50000000 + (uint64_t)(block_ms / WATCH_MINUTE_MS));
    bench.scene->begin_block(robot->world, block_ms);
    robot->blocks++;
    for (uint64_t i = 0; i < bench.frames; i++) {
        int64_t time_ms = block_ms + (int64_t)i * apart_ms;
        time_ms += pair_ms ? pair_ms + prng_below(&rng, (int)apart_ms) : 0;
        if ((pair_ms && one_frame(robot, time_ms - pair_ms, &verdict, err) < 0) ||
            one_frame(robot, time_ms, &verdict, err) < 0)
            return -1;
        core_verdict(robot->core, &verdict, time_ms, monday_ms + time_ms);
        core_tick(robot->core, time_ms, monday_ms + time_ms);
    }
    return 0;
}

static int play(int64_t from_ms, int64_t until_ms, struct err *err)
{
    for (int64_t at_ms = from_ms; at_ms < until_ms; at_ms += (int64_t)bench.step_min * WATCH_MINUTE_MS) {
        for (uint64_t i = 0; i < bench.robots; i++)
            if (one_block(&bench.robot[i], at_ms, err) < 0)
                return -1;
        if (at_ms % DAY_MS == 0)
            fprintf(stderr, "day %lld\n", (long long)(at_ms / DAY_MS));
    }
    return 0;
}

static void end_ordinary(void)
{
    for (uint64_t i = 0; i < bench.robots; i++) {
        struct robot *robot = &bench.robot[i];
        bench.ordinary_blocks += (uint64_t)robot->blocks;
        bench.ordinary_alarms += robot->alarms;
        robot->alarms = 0;
        robot->blocks = 0;
        robot->cause[0] = robot->first_cause[0] = 0;
        bench.scene->set_change(robot->world, robot->change);
    }
}

/* ---- what came of it ---- */

static double evidence(const struct robot *robot, struct drift_report *out)
{
    return core_drift(robot->core, &bench.engine.image.digest, out) ? out->log10_e : NAN;
}

static const struct watch_change *change_of(const struct robot *robot)
{
    return &bench.scene->change[robot->change];
}

static bool stays(const struct robot *robot)
{
    return !change_of(robot)->cause[0];
}

static bool as_it_should(const struct robot *robot)
{
    return (robot->alarms == 0) == stays(robot) && str_eq(robot->cause, change_of(robot)->cause);
}

static void print_row(const struct robot *robot, bool last)
{
    struct drift_report report = {0};
    double log10_e = evidence(robot, &report);
    printf("  {\"robot\": %d, \"site\": \"%s\", \"change\": \"%s\", \"cause\": \"%s\", \"first_cause\": "
           "\"%s\", ",
           robot->number, bench.scene->site(robot->world), change_of(robot)->name, robot->cause,
           robot->first_cause);
    if (robot->alarms)
        printf("\"delay_blocks\": %lld, ", (long long)robot->first_block);
    printf("\"worst\": \"%s\", \"results_moved\": %s, \"log10_e\": %.2f}%s\n",
           signal_infos[report.worst].name, report.results_moved ? "true" : "false", log10_e,
           last ? "" : ",");
}

/* True if exactly the changed robots are pointed at. */
static bool print_pointed(void)
{
    double log10_e[MAX_ROBOTS];
    size_t order[MAX_ROBOTS];
    bool right = true;
    struct drift_report report;
    for (uint64_t i = 0; i < bench.robots; i++)
        log10_e[i] = evidence(&bench.robot[i], &report);
    size_t count = fleet_drift_point(log10_e, bench.robots, 0.05,
                                     drift_budget(1, 100, 90, WATCH_MINUTE_MS / 1e3), order);
    uint64_t expected = 0;
    for (uint64_t i = 0; i < bench.robots; i++)
        expected += !stays(&bench.robot[i]);
    printf(" \"pointed\": [");
    for (size_t i = 0; i < count; i++) {
        printf("%s%zu", i ? ", " : "", order[i]);
        right &= !stays(&bench.robot[order[i]]);
    }
    printf("],\n");
    return right && count == expected;
}

static bool print_report(void)
{
    bool right = bench.ordinary_alarms == 0;
    printf("{\"release\": \"%s %s\", \"world\": \"%s\", \"robots\": %llu, \"step_min\": %llu, "
           "\"frames_per_block\": %llu,\n",
           bench.engine.image.release.name, bench.engine.image.release.version, bench.scene->name,
           (unsigned long long)bench.robots, (unsigned long long)bench.step_min,
           (unsigned long long)bench.frames);
    printf(" \"ordinary\": {\"robot_days\": %llu, \"blocks\": %llu, \"false_alarms\": %d},\n",
           (unsigned long long)(bench.robots * bench.days), (unsigned long long)bench.ordinary_blocks,
           bench.ordinary_alarms);
    right &= print_pointed();
    printf(" \"frame_ms\": %.2f, \"rows\": [\n", (double)bench.spent_ns / 1e6 / (double)MAX(bench.seen, 1));
    for (uint64_t i = 0; i < bench.robots; i++) {
        print_row(&bench.robot[i], i + 1 == bench.robots);
        right &= as_it_should(&bench.robot[i]);
    }
    printf(" ],\n \"as_it_should\": %s}\n", right ? "true" : "false");
    return right;
}

static int work(struct err *err)
{
    int64_t ordinary_ms = (int64_t)bench.days * DAY_MS;
    bench.catalog = (struct catalog){.stores = {bench.release}, .count = 1};
    if (engine_open(&bench.engine, bench.release, NULL, &(struct pipeline_options){.threads = 1}, err) < 0)
        return -1;
    bench.run = engine_of(&bench.engine);
    for (uint64_t i = 0; i < bench.robots; i++)
        if (open_robot((int)i, &bench.robot[i], err) < 0)
            return -1;
    if (play(0, ordinary_ms, err) < 0)
        return -1;
    end_ordinary();
    return play(ordinary_ms, ordinary_ms + (int64_t)bench.hours * HOUR_MS, err);
}

static bool take_scene(const char *name)
{
    static const struct watch_scene *const scenes[] = {&watch_warehouse, &watch_falls};
    for (size_t i = 0; i < ARRAY_LEN(scenes); i++)
        if (str_eq(name, scenes[i]->name)) {
            bench.scene = scenes[i];
            return true;
        }
    return false;
}

static bool parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"release", required_argument, NULL, 'r'},
        {"world", required_argument, NULL, 'w'},
        {"robots", required_argument, NULL, 'n'},
        {"days", required_argument, NULL, 'd'},
        {"hours", required_argument, NULL, 'h'},
        {"step-min", required_argument, NULL, 's'},
        {"frames", required_argument, NULL, 'f'},
        {"check", no_argument, NULL, 'c'},
        {0},
    };
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        uint64_t *number = opt == 'n'   ? &bench.robots
                           : opt == 'd' ? &bench.days
                           : opt == 'h' ? &bench.hours
                           : opt == 's' ? &bench.step_min
                           : opt == 'f' ? &bench.frames
                                        : NULL;
        if (opt == '?' || (number && !str_to_u64(optarg, number)) || (opt == 'w' && !take_scene(optarg)))
            return false;
        bench.release = opt == 'r' ? optarg : bench.release;
        bench.check |= opt == 'c';
    }
    bench.frames = bench.frames ? bench.frames : bench.scene->block_frames;
    return bench.release && bench.robots >= 1 && bench.robots <= MAX_ROBOTS && bench.step_min >= 1 &&
           bench.step_min <= 180 && bench.frames <= 600 && bench.days <= 1000;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    usage_on_help(
        argc, argv,
        "usage: bench-watch --release DIR [--world warehouse|falls] [--robots N] [--days N] [--hours N]\n"
        "                   [--step-min N] [--frames N] [--check]\n"
        "example: muster pack models/detector-2.0.0/release.yaml -o /tmp/r && bench-watch --release /tmp/r\n"
        "         muster pack models/fall-2.0.0/release.yaml -o /tmp/f && bench-watch --release /tmp/f "
        "--world "
        "falls\n");
    if (!parse(argc, argv)) {
        fputs("bench-watch: an option is missing or wrong; see --help\n", stderr);
        return err_exit_status(ERR_USAGE);
    }
    int done = work(&err);
    bool right = done == 0 && print_report();
    if (done < 0)
        fprintf(stderr, "bench-watch: %s\n", err.text);
    for (uint64_t i = 0; i < bench.robots; i++) {
        if (bench.robot[i].core)
            core_free(bench.robot[i].core);
        if (bench.robot[i].world)
            bench.scene->close(bench.robot[i].world);
    }
    engine_close(&bench.engine);
    return done < 0 ? err_exit_status(err.code) : bench.check && !right;
}
