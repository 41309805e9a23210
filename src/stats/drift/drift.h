/* Drift: has the world, the sensor or the model left what the release was made for? With a budget of false alarms that is kept on
 * streams as they are: video, whose frames are all alike for a second, and days with nights.
 *
 *     frame ─▶ block mean per signal ─▶ residual of its context ─▶ e-detectors, up and down, several sizes of shift ─┐
 *              (blocks longer than the     (hour of day …:          M ← (M + 1)·e, under a null that lets the mean    ├─▶ weighted average over all
 *               signal's own memory)        what was there before)  wander within a tolerance                         │   signals, alarm at M ≥ budget
 *           ─▶ counts in 8 bins of the reference ─▶ e-detector of the shape ────────────────────────────────────────┘
 *
 * e-detectors: Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection" (2023): the mean time to a false
 * alarm is at least the threshold, whatever the dependence between signals, so an average of them needs no correction. What is assumed is in drift.c, and
 * how it is checked on the stream itself (null replay).
 *
 * Pure and flat: no pointer, no allocation, fixed size; may be copied, saved and restored at any block.
 */
#ifndef MUSTER_STATS_DRIFT_H
#define MUSTER_STATS_DRIFT_H

#include "base/err.h"
#include "stats/signals.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DRIFT_BINS = 8, DRIFT_CONTEXTS = 24, DRIFT_STATE_MAX = 64 << 10 };

/* Of one signal, from calibration data (forge/profile); goes with the release (wire/profile.h). */
struct drift_reference {
    double mean, sd; /* of single frames; sd 0: not watched */
    double
        tolerance; /* the mean may wander by so much without being drift; at least what the reference itself is unsure of */
    double memory;               /* integrated autocorrelation time, frames; 1: independent */
    float edges[DRIFT_BINS - 1]; /* of bins that hold 1/8 of the reference each, ascending */
};

struct drift_options {
    uint32_t block_frames; /* at least; 0: from the references' memory */
    uint32_t contexts;     /* 1..DRIFT_CONTEXTS */
    uint32_t
        burn_in; /* blocks per context that are learned from before it is judged; 0: the reference is all there is */
    double arl_blocks; /* mean blocks to a false alarm, at least: the budget; see drift_budget */
    /* How far what is learned may lie from the reference, in sd of single frames: the mean over a site's contexts, and a context beside it. 0: ½ and 2.
     * What lies farther stays drift, so that an error of the first day is not learned for good. */
    double site_sd, context_sd;
};

/* Blocks until a false alarm that keeps "at most `alarms` per fleet of `robots` in `days`", at one block in block_s seconds. */
double drift_budget(double alarms, double robots, double days, double block_s);

enum drift_cause { /* triage */
                   DRIFT_NONE,
                   DRIFT_SENSOR, /* sharpness or clipping left their range and the rest follows: clean the lens, look at the camera */
                   DRIFT_ENVIRONMENT, /* the input changed; whether the results hold: results_moved */
                   DRIFT_MODEL,       /* the results changed */
                   DRIFT_NOVELTY,     /* something is there that the model has not seen */
                   DRIFT_MACHINE,     /* latency alone */
                   DRIFT_CAUSES
};
const char *drift_cause_name(enum drift_cause cause); /* "sensor" */
const char *drift_remedy(enum drift_cause cause);     /* one line: what a person does about it */

struct drift_signal_report {
    double log10_e; /* of the larger direction */
    double mean,
        expected; /* of the last blocks since the change seems to have begun; of its context; NaN: not watched */
    double shift;  /* (mean - expected) / sd of single frames */
    int direction; /* 1, -1; 0: its shape */
};
struct drift_report {
    uint64_t blocks; /* judged */
    double log10_e;  /* all signals together; alarm at log10(arl_blocks) */
    double log10_family[FAMILIES];
    bool alarm;             /* stays, until drift_acknowledge */
    bool learning;          /* this context is not known yet: only gross changes are seen */
    enum drift_cause cause; /* once alarmed; as of the newest block that showed one */
    bool results_moved;     /* the model's results too: harmful, not only different */
    uint32_t since_blocks;  /* ago: where the change seems to have begun */
    enum signal worst;
    struct drift_signal_report signals[SIGNALS];
};

struct drift; /* sizeof ≤ DRIFT_STATE_MAX: drift_size() */
size_t drift_size(void);
/* `memory`: drift_size() bytes, aligned as for malloc. NaN in references or options: INVALID. */
int drift_init(void *memory, const struct drift_reference references[SIGNALS],
               const struct drift_options *options, struct drift **out, struct err *err) must_check;
/* One frame; NaN is left out of its block and counted. True when a block was closed and judged. */
bool drift_frame(struct drift *drift, const float values[SIGNALS], uint32_t context);
void drift_read(const struct drift *drift, struct drift_report *out);
void drift_acknowledge(
    struct drift *drift); /* a person saw it: the detectors start anew; the references stay */
uint64_t drift_ignored(const struct drift *drift); /* values that were NaN or infinite */

/* As bytes with a checksum, and back (≤ DRIFT_STATE_MAX). Restored into a drift of other references or options: CONFLICT; damaged: CORRUPT. The
 * block that was open is not in it. */
size_t drift_save(const struct drift *drift, uint8_t *out, size_t max);
int drift_restore(struct drift *drift, const uint8_t *data, size_t len, struct err *err) must_check;

#endif
