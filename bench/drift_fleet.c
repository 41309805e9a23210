/* A fleet whose robots each run the real detector. What is simulated are block means, one a minute (block_frames = 1): a block of 600 frames with the
 * memory of video (39 frames) has a mean of sd 0.25 σ, σ that of single frames. For each of a robot's signals:
 *
 *     0.25 σ · (√0.3 · noise of the robot + √0.7 · noise of the signal), with 0.2 of the robot's noise left from the block before
 *     + the robot's own offset, up to 0.4 σ either way (from 0.5 on it would be drift from the reference, which says so)
 *     + the day: up to 0.5 σ, own height and phase per signal, common to all robots
 *
 * and a tolerance of 0.17 σ, 24 contexts; the first day is burn-in (60 blocks per context). Budgets: one false fleet incident in 90 days (average of M, at
 * least 1 % of the robots speak for it); one false alarm of any of all robots in 90 days. At the end one signal of every twentieth robot falls by 0.4 σ.
 *
 * Each process takes a share of the robots through all days and adds what its robots say, block for block, to one table. */
#include "drift.h"

#include "base/clock.h"
#include "base/mem.h"
#include "stats/drift/drift.h"
#include "stats/drift/fleet.h"

#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS_PER_DAY = 1440, BURN_IN_BLOCKS = 60, AFTER = 120, AN_HOUR = 60, PROCESSES = 2, EVERY = 20 };
static const double BLOCK_SD = 0.25, TOLERANCE = 0.17, SHIFT = 0.4, QUARTER_DAYS = 90, DISCOVERIES = 0.05,
                    LEAST_SHARE = 0.01;

struct table { /* shared */
    size_t blocks, robots;
    double most;            /* that a robot's M may count for */
    double *sum[PROCESSES]; /* of M, per block */
    double *after_an_hour;  /* log10 M, per robot */
    uint64_t *false_alarms; /* per robot */
};

struct robot {
    struct drift *drift;
    struct stream noise;
    double last, offset[SIGNALS];
};

static double season_of(size_t signal, size_t block)
{
    double height = 0.5 * (double)(signal % 5) / 4;
    return height * sin(6.283185307179586 *
                        ((double)(block % BLOCKS_PER_DAY) / BLOCKS_PER_DAY + (double)signal / SIGNALS));
}

static int begin_robot(struct robot *robot, void *memory, size_t index, const struct fleet_setup *setup)
{
    struct drift_reference references[SIGNALS];
    struct err err = {0};
    stream_init(&robot->noise, STREAM_IID, setup->seed * 1000003 + index);
    for (int i = 0; i < SIGNALS; i++) {
        /* The reference's sd is that of what is one frame here: a block mean. */
        references[i] = (struct drift_reference){.sd = BLOCK_SD, .tolerance = TOLERANCE, .memory = 1};
        for (int k = 1; k < DRIFT_BINS; k++)
            references[i].edges[k - 1] = (float)(BLOCK_SD * (k - 4) * 0.36);
        robot->offset[i] = 0.8 * stream_uniform(&robot->noise) - 0.4;
    }
    struct drift_options options = {.block_frames = 1,
                                    .contexts = 24,
                                    .burn_in = BURN_IN_BLOCKS,
                                    .arl_blocks = drift_budget(1, (double)setup->robots, QUARTER_DAYS, 60),
                                    .site_sd = 0.5 / BLOCK_SD,
                                    .context_sd = 2 / BLOCK_SD};
    return drift_init(memory, references, &options, &robot->drift, &err);
}

static void make_block(struct robot *robot, size_t block, double shift, float values[SIGNALS])
{
    const double kept = 0.2;
    robot->last = kept * robot->last + sqrt(1 - kept * kept) * stream_normal(&robot->noise);
    for (size_t i = 0; i < SIGNALS; i++) {
        double noise = sqrt(0.3) * robot->last + sqrt(0.7) * stream_normal(&robot->noise);
        values[i] = (float)(BLOCK_SD * noise + robot->offset[i] + season_of(i, block));
    }
    values[SIGNAL_SCORE_MAX] -= (float)shift;
}

static void live_robot(struct robot *robot, size_t index, const struct table *table, double *sum)
{
    size_t quiet = table->blocks - AFTER;
    struct drift_report report;
    float values[SIGNALS];
    for (size_t block = 0; block < table->blocks; block++) {
        bool drifted = block >= quiet && index % EVERY == 0;
        make_block(robot, block, drifted ? SHIFT : 0, values);
        drift_frame(robot->drift, values, (uint32_t)(block % BLOCKS_PER_DAY / 60));
        drift_read(robot->drift, &report);
        sum[block] += fmin(pow(10, report.log10_e), table->most); /* as fleet_drift_common() */
        if (block + 1 == quiet + AN_HOUR)
            table->after_an_hour[index] = report.log10_e;
        if (!report.alarm || drifted)
            continue;
        table->false_alarms[index]++;
        drift_acknowledge(robot->drift);
    }
}

static int live_share(const struct fleet_setup *setup, const struct table *table, size_t process)
{
    cleanup_free void *memory = mem_zalloc(1, drift_size());
    struct robot robot = {0};
    if (!memory)
        return -1;
    for (size_t i = process; i < setup->robots; i += PROCESSES) {
        robot.last = 0;
        if (begin_robot(&robot, memory, i, setup) < 0)
            return -1;
        live_robot(&robot, i, table, table->sum[process]);
    }
    return 0;
}

static void judge(const struct fleet_setup *setup, const struct table *table, struct fleet_result *out)
{
    double limit = drift_budget(1, 1, QUARTER_DAYS, 60);
    size_t quiet = table->blocks - AFTER;
    bool above = false;
    out->delay_min = INFINITY;
    for (size_t block = 0; block < table->blocks; block++) {
        double sum = 0;
        for (int i = 0; i < PROCESSES; i++)
            sum += table->sum[i][block];
        bool now = sum / (double)setup->robots >= limit;
        out->false_incidents += now && !above && block < quiet;
        if (now && block >= quiet && isinf(out->delay_min))
            out->delay_min = (double)(block - quiet + 1);
        above = now;
    }
    for (size_t i = 0; i < setup->robots; i++)
        out->false_robots += table->false_alarms[i];
}

static int point(const struct fleet_setup *setup, const struct table *table, struct fleet_result *out)
{
    cleanup_free size_t *order = mem_zalloc(setup->robots, sizeof *order);
    if (!order)
        return -1;
    double arl = drift_budget(1, 1, QUARTER_DAYS, 60);
    out->pointed_at = fleet_drift_point(table->after_an_hour, setup->robots, DISCOVERIES, arl, order);
    for (size_t i = 0; i < out->pointed_at; i++)
        out->pointed_wrongly += order[i] % EVERY != 0;
    out->drifted = (setup->robots + EVERY - 1) / EVERY;
    return 0;
}

static int live_all(const struct fleet_setup *setup, const struct table *table)
{
    pid_t children[PROCESSES];
    int failed = 0, status;
    for (size_t i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(live_share(setup, table, i) < 0);
    }
    for (size_t i = 0; i < PROCESSES; i++)
        failed |= children[i] < 0 || waitpid(children[i], &status, 0) < 0 || !WIFEXITED(status) ||
                  WEXITSTATUS(status);
    return failed ? -1 : 0;
}

int fleet_simulate(const struct fleet_setup *setup, struct fleet_result *out)
{
    struct table table = {.blocks = (size_t)(setup->days * BLOCKS_PER_DAY) + AFTER,
                          .robots = setup->robots,
                          .most = drift_budget(1, 1, QUARTER_DAYS, 60) / LEAST_SHARE};
    size_t numbers = table.blocks * PROCESSES + 2 * setup->robots;
    double *shared =
        mmap(NULL, numbers * sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *out = (struct fleet_result){.updates = (uint64_t)setup->robots * table.blocks * SIGNALS};
    if (shared == MAP_FAILED)
        return -1;
    for (int i = 0; i < PROCESSES; i++)
        table.sum[i] = shared + (size_t)i * table.blocks;
    table.after_an_hour = shared + PROCESSES * table.blocks;
    table.false_alarms = (uint64_t *)(table.after_an_hour + setup->robots);
    int64_t start_ns = clock_mono_ns();
    fflush(stdout);
    int rc = live_all(setup, &table);
    out->run_s = (double)(clock_mono_ns() - start_ns) / 1e9;
    if (rc == 0)
        judge(setup, &table, out);
    rc = rc < 0 ? rc : point(setup, &table, out);
    munmap(shared, numbers * sizeof *shared);
    return rc;
}
