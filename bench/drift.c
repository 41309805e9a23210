/* Mean run to a false alarm and delay of detection on streams that are as video and days are, ours beside others; then a fleet.
 *
 *     bench-drift [--runs N] [--cap SAMPLES] [--robots N] [--days D] [--only DETECTOR] [--json]
 *
 * Streams: a score of mean 0.80 and sd 0.12: independent; an autoregression of 0.95 (video); with a season of ± 0.05 in 4,800 samples (24 contexts). Each run
 * has a calibration of its own: 20,000 samples of the stream, from which mean, sd, memory and bins are estimated (tolerance 0.02 = 0.17 sd).
 * Ours: budget 300,000 samples; burn-in 300 blocks (24 contexts: 40 each). One signal is watched, so that it has no others' weight in it.
 *
 * arl0: mean of the samples to the first false alarm; a run ends at the cap without one and then counts as the cap (`censored` of them did), so the truth
 * is larger. delay: mean samples from a lasting shift down by 0.8 and 0.4 sd to the next alarm (at most 20,000); a detector that alarms all the time has a short one.
 *
 * Fleet: drift_fleet.c. One JSON object; exit status 1 if a reference implementation does not give the values from books that it is checked on. */
#include "drift.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "stats/drift/drift.h"
#include "usage.h"

#include <getopt.h>
#include <math.h>
#include <string.h>

enum { DELAYS_PER_RUN = 10, DELAY_MOST = 20000 };

struct bench {
    size_t runs, cap;
    struct fleet_setup fleet;
    const char *only;
    bool json, first;
};

/* ---- ours ---- */

enum { BUDGET_SAMPLES = 300000, BURN_IN = 300, BURN_IN_CONTEXT = 40 };

struct ours {
    struct drift *drift;
    _Alignas(16) uint8_t memory[DRIFT_STATE_MAX];
};

static struct drift *new_drift(void *memory, const struct calibration *calibration, bool seasonal)
{
    struct err err = {0};
    struct drift *drift;
    struct drift_reference references[SIGNALS] = {0}, *score = &references[SIGNAL_SCORE_MAX];
    *score = (struct drift_reference){.mean = calibration->mean,
                                      .sd = calibration->sd,
                                      .tolerance = calibration->tolerance,
                                      .memory = (float)calibration->memory};
    for (int i = 1; i < DRIFT_BINS; i++)
        score->edges[i - 1] = (float)calibration->sorted[CALIBRATION * i / DRIFT_BINS];
    double block = fmax(50, ceil(4 * calibration->memory));
    struct drift_options options = {.contexts = seasonal ? SEASON_CONTEXTS : 1,
                                    .block_frames = (uint32_t)block,
                                    .burn_in = seasonal ? BURN_IN_CONTEXT : BURN_IN,
                                    .arl_blocks = BUDGET_SAMPLES / block};
    if (drift_init(memory, references, &options, &drift, &err) < 0) {
        fprintf(stderr, "bench-drift: %s\n", err.text);
        exit(1);
    }
    return drift;
}

static bool ours_add(void *state, double value, uint32_t context)
{
    struct drift *drift = ((struct ours *)state)->drift;
    struct drift_report report;
    float values[SIGNALS];
    for (int i = 0; i < SIGNALS; i++)
        values[i] = NAN;
    values[SIGNAL_SCORE_MAX] = (float)value;
    if (!drift_frame(drift, values, context))
        return false;
    drift_read(drift, &report);
    return report.alarm;
}

static void ours_again(void *state)
{
    drift_acknowledge(((struct ours *)state)->drift);
}

/* Until every context is known. */
static void ours_begin(void *state, const struct calibration *calibration, struct stream *stream)
{
    struct ours *self = state;
    struct drift_report report;
    bool seasonal = stream->kind == STREAM_SEASONAL;
    size_t learned = 0;
    uint32_t context;
    self->drift = new_drift(self->memory, calibration, seasonal);
    while (learned < (seasonal ? 3 * SEASON_SAMPLES : 1000)) {
        double value = stream_next(stream, 0, &context);
        ours_add(self, value, context);
        drift_read(self->drift, &report);
        learned = report.learning || !report.blocks ? 0 : learned + 1;
    }
    drift_acknowledge(self->drift);
}

const struct detector ours = {"muster", sizeof(struct ours), ours_begin, ours_add, ours_again};

/* ---- run lengths ---- */

struct row {
    double arl0, delay[2];
    size_t censored;
};

static double run_to_alarm(const struct detector *detector, void *state, struct stream *stream, double shift,
                           size_t most)
{
    uint32_t context;
    for (size_t i = 1; i <= most; i++) {
        double value = stream_next(stream, shift, &context);
        if (detector->add(state, value, context))
            return (double)i;
    }
    return INFINITY;
}

/* A while of ordinary life of random length, with as many false alarms as there are. */
static void live(const struct detector *detector, void *state, struct stream *stream)
{
    uint32_t context;
    size_t samples = 2000 + (size_t)(2000 * stream_uniform(stream));
    for (size_t i = 0; i < samples; i++) {
        double value = stream_next(stream, 0, &context);
        if (detector->add(state, value, context))
            detector->again(state);
    }
}

static void measure_run(const struct bench *bench, const struct detector *detector, struct stream *stream,
                        void *state, struct row *row)
{
    static struct calibration calibration;
    static const double shifts[] = {0.8, 0.4};
    calibrate(stream, &calibration);
    detector->begin(state, &calibration, stream);
    double run = run_to_alarm(detector, state, stream, 0, bench->cap);
    row->censored += isinf(run);
    row->arl0 += fmin(run, (double)bench->cap) / (double)bench->runs;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < DELAYS_PER_RUN; k++) {
            detector->again(state);
            live(detector, state, stream);
            run = run_to_alarm(detector, state, stream, shifts[i], DELAY_MOST);
            row->delay[i] += fmin(run, DELAY_MOST) / DELAYS_PER_RUN / (double)bench->runs;
        }
}

static void measure(struct bench *bench, const struct detector *detector, enum stream_kind kind)
{
    cleanup_free void *state = mem_zalloc(1, detector->size);
    struct row row = {0};
    struct stream stream;
    for (size_t run = 0; state && run < bench->runs; run++) {
        stream_init(&stream, kind, run + 1);
        measure_run(bench, detector, &stream, state, &row);
    }
    if (bench->json)
        printf("%s\n  {\"detector\": \"%s\", \"stream\": \"%s\", \"runs\": %zu, \"cap_samples\": %zu, "
               "\"arl0\": %.0f, "
               "\"censored\": %zu, \"delay_0_8_sigma\": %.0f, \"delay_0_4_sigma\": %.0f}",
               bench->first ? "" : ",", detector->name, stream_names[kind], bench->runs, bench->cap, row.arl0,
               row.censored, row.delay[0], row.delay[1]);
    else
        printf("%-14s %-10s %s%9.0f   %5.0f   %5.0f\n", detector->name, stream_names[kind],
               row.censored ? "≥" : " ", row.arl0, row.delay[0], row.delay[1]);
    bench->first = false;
    fflush(stdout);
}

static void measure_all(struct bench *bench)
{
    if (bench->json)
        printf("{\"bench\": \"drift\", \"rows\": [");
    else
        printf("detector       stream          arl0   0.8 sd  0.4 sd   (samples)\n");
    for (int kind = 0; kind < STREAM_KINDS; kind++) {
        for (const struct detector *peer = NULL; !peer || peer->name; peer = peer ? peer + 1 : peers) {
            const struct detector *detector = peer ? peer : &ours;
            if (!bench->only || str_eq(bench->only, detector->name))
                measure(bench, detector, (enum stream_kind)kind);
        }
    }
    if (bench->json)
        printf("],\n");
}

/* ---- cost ---- */

static double frame_ns(void)
{
    enum { FRAMES = 400000 };
    cleanup_free void *memory = mem_zalloc(1, drift_size());
    struct drift_reference references[SIGNALS];
    struct drift_options options = {.contexts = 24, .burn_in = 60, .block_frames = 50, .arl_blocks = 1e6};
    struct drift *drift;
    struct err err = {0};
    for (int i = 0; i < SIGNALS; i++)
        references[i] = (struct drift_reference){.mean = 0.5,
                                                 .sd = 0.3,
                                                 .tolerance = 0.05,
                                                 .memory = 1,
                                                 .edges = {0.1F, 0.2F, 0.35F, 0.5F, 0.65F, 0.8F, 0.9F}};
    if (!memory || drift_init(memory, references, &options, &drift, &err) < 0)
        return NAN;
    struct stream stream;
    float values[64][SIGNALS];
    stream_init(&stream, STREAM_IID, 5);
    for (int i = 0; i < 64; i++)
        for (int k = 0; k < SIGNALS; k++)
            values[i][k] = (float)stream_uniform(&stream);
    int64_t start_ns = clock_mono_ns();
    for (uint32_t i = 0; i < FRAMES; i++)
        drift_frame(drift, values[i % 64], i / 5000 % 24);
    return (double)(clock_mono_ns() - start_ns) / FRAMES;
}

/* ---- all together ---- */

static int report_fleet(const struct bench *bench)
{
    struct fleet_result fleet;
    if (fleet_simulate(&bench->fleet, &fleet) < 0)
        return -1;
    if (bench->json)
        printf(" \"fleet\": {\"robots\": %zu, \"signals\": %d, \"days\": %g, \"block_s\": 60, \"updates\": "
               "%.3g, "
               "\"false_fleet_incidents\": %llu, \"false_robot_alarms\": %llu, \"drifted_robots\": %zu, "
               "\"shift_sigma\": 0.4, \"delay_min\": %.0f, \"pointed_at\": %zu, \"pointed_wrongly\": %zu, "
               "\"run_s\": %.1f},\n",
               bench->fleet.robots, SIGNALS, bench->fleet.days, (double)fleet.updates,
               (unsigned long long)fleet.false_incidents, (unsigned long long)fleet.false_robots,
               fleet.drifted, fleet.delay_min, fleet.pointed_at, fleet.pointed_wrongly, fleet.run_s);
    else
        printf("fleet: %zu robots, %d signals, %g days: %llu false fleet incidents, %llu false alarms of "
               "robots; 0.4 sd on %zu "
               "robots found after %.0f min; an hour after it e-BH names %zu, %zu of them wrongly (%.1f s)\n",
               bench->fleet.robots, SIGNALS, bench->fleet.days, (unsigned long long)fleet.false_incidents,
               (unsigned long long)fleet.false_robots, fleet.drifted, fleet.delay_min, fleet.pointed_at,
               fleet.pointed_wrongly, fleet.run_s);
    return 0;
}

static int parse(int argc, char **argv, struct bench *bench)
{
    static const struct option options[] = {{"runs", required_argument, NULL, 'r'},
                                            {"cap", required_argument, NULL, 'c'},
                                            {"robots", required_argument, NULL, 'n'},
                                            {"days", required_argument, NULL, 'd'},
                                            {"only", required_argument, NULL, 'o'},
                                            {"json", no_argument, NULL, 'j'},
                                            {0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        uint64_t number = c == 'j' || c == 'o' || c == '?' ? 1 : strtoull(optarg, NULL, 10);
        if (c == '?' || number < 1)
            return -1;
        bench->json |= c == 'j';
        bench->only = c == 'o' ? optarg : bench->only;
        bench->runs = c == 'r' ? number : bench->runs;
        bench->cap = c == 'c' ? number : bench->cap;
        bench->fleet.robots = c == 'n' ? number : bench->fleet.robots;
        bench->fleet.days = c == 'd' ? (double)number : bench->fleet.days;
    }
    return 0;
}

int main(int argc, char **argv)
{
    usage_on_help(
        argc, argv,
        "usage: bench-drift [--runs N] [--cap SAMPLES] [--robots N] [--days D] [--only DETECTOR] [--json]\n"
        "False alarms and delay of drift detection, beside other detectors, and in a fleet.\n"
        "  bench-drift --json\n"
        "  bench-drift --robots 1000 --days 90 --json   # the fleet in full: some minutes\n");
    struct bench bench = {
        .runs = 20, .cap = 500000, .fleet = {.robots = 1000, .days = 2, .seed = 1}, .first = true};
    if (parse(argc, argv, &bench) < 0) {
        fprintf(stderr, "bench-drift: see bench-drift --help\n");
        return 2;
    }
    bool fine = peers_check();
    measure_all(&bench);
    if (report_fleet(&bench) < 0)
        return 1;
    if (bench.json)
        printf(" \"cost\": {\"frame_ns\": %.0f, \"state_bytes\": %zu}, \"peers_checked\": %s}\n", frame_ns(),
               drift_size(), fine ? "true" : "false");
    else
        printf("cost: %.0f ns per frame with %d signals, %zu bytes\n", frame_ns(), SIGNALS, drift_size());
    return fine ? 0 : 1;
}
