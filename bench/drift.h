/* Parts of bench-drift: streams, detectors beside ours, the fleet. */
#ifndef MUSTER_BENCH_DRIFT_H
#define MUSTER_BENCH_DRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- streams (drift_streams.c): a score with mean 0.80 and sd 0.12, as of a detector's best box ---- */

enum stream_kind { STREAM_IID, STREAM_AR, STREAM_SEASONAL, STREAM_KINDS };
enum { SEASON_CONTEXTS = 24, SEASON_SAMPLES = 4800 };
extern const char *const stream_names[STREAM_KINDS];

struct stream {
    enum stream_kind kind;
    uint64_t random, time;
    double last, spare;
    bool has_spare;
};
void stream_init(struct stream *stream, enum stream_kind kind, uint64_t seed);
double stream_uniform(struct stream *stream);
double stream_normal(struct stream *stream);
/* The next value, lowered by `shift` sd; *out_context: the hour of a seasonal one, else 0. */
double stream_next(struct stream *stream, double shift, uint32_t *out_context);

/* What is known before: from a stretch of the stream itself. */
enum { CALIBRATION = 20000 };
struct calibration {
    double mean, sd, memory; /* memory: integrated autocorrelation time about the contexts' means */
    double tolerance;
    double sorted[CALIBRATION];
};
void calibrate(struct stream *stream, struct calibration *out);

/* ---- detectors ---- */

struct detector {
    const char *name;
    size_t size;
    /* Runs through as much of `stream` as it needs for learning. */
    void (*begin)(void *state, const struct calibration *calibration, struct stream *stream);
    bool (*add)(void *state, double value, uint32_t context);
    void (*again)(void *state); /* after an alarm */
};
extern const struct detector ours;
extern const struct detector peers[]; /* ends with a name of NULL */
/* Against values from books, by hand and of other implementations; says on stderr what does not fit. */
bool peers_check(void);

/* ---- a fleet (drift_fleet.c) ---- */

struct fleet_setup {
    size_t robots;
    double days;
    uint64_t seed;
};
struct fleet_result {
    uint64_t updates; /* blocks × signals × robots */
    uint64_t false_incidents, false_robots;
    double delay_min;  /* a common shift in a twentieth of the robots */
    size_t pointed_at; /* robots named by e-BH an hour after it; */
    size_t pointed_wrongly, drifted;
    double run_s;
};
int fleet_simulate(const struct fleet_setup *setup, struct fleet_result *out);

#endif
