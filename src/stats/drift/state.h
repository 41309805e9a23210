/* What a drift detector holds, for the files of this room alone.
 *
 *     struct drift ── struct channel × SIGNALS ── learned × contexts   means and shares of bins from burn-in
 *                                              ├─ null × contexts      what is expected of a block: mean, sd, tolerance (settled from the above)
 *                                              ├─ replay               how much more the means of many blocks vary than independent blocks would
 *                                              ├─ track × 2 · SIZES    e-SR upwards and downwards for several sizes of shift
 *                                              └─ shape                e-SR of the counts in bins
 */
#ifndef MUSTER_STATS_DRIFT_STATE_H
#define MUSTER_STATS_DRIFT_STATE_H

#include "stats/drift/drift.h"

enum { SIZES = 5, TRACKS = 2 * SIZES, REPLAY_LEVELS = 5, RECENT_BLOCKS = 16 };

struct learned {
    uint32_t blocks;
    double mean, m2; /* of block means; m2: sum of squares about the mean */
    float share[DRIFT_BINS];
};

struct null {
    double mean, sd, tolerance; /* of the mean of a whole block */
    bool known;                 /* false: the reference with all that a site may add */
};

struct replay { /* level k: sums of 2^k residuals in a row */
    uint32_t count[REPLAY_LEVELS];
    double squares[REPLAY_LEVELS], half[REPLAY_LEVELS]; /* half: the first of two, while `waiting` says so */
    uint32_t waiting;
};

struct tails { /* e-values that ordinary blocks of burn-in would have had, as they were, without tolerance */
    uint32_t count;
    double sum[TRACKS];
};

struct track {
    double m;   /* e-SR; at most most_m */
    double run; /* log of the largest product of e-values up to now: begins anew at 0, which gives `since` */
    double sum; /* of (block mean - expected) since then */
    uint32_t since; /* block */
    uint32_t count;
};

struct shape {
    double m, run;
    uint32_t since;
    double weight;             /* of recent blocks */
    double excess[DRIFT_BINS]; /* recent sum of (share - expected share) */
    double dispersion;         /* sum over burn-in of Pearson's statistic per degree of freedom */
    uint32_t dispersion_count;
};

struct
    recent { /* the last blocks' distance from what is expected, in sd of a block; in a ring, by block; not saved */
    float z[RECENT_BLOCKS]; /* NaN: not judged, or in a context that is not known */
};

struct channel {
    struct drift_reference reference;
    bool watched, continuous; /* continuous: no two edges are the same */
    struct learned learned[DRIFT_CONTEXTS];
    struct null null[DRIFT_CONTEXTS];
    struct replay replay;
    double inflation; /* of the variance, from the replay; ≥ 1 */
    struct tails tails;
    double discount[TRACKS], log_discount[TRACKS]; /* of e-values, from the tails; ≤ 1 */
    struct track tracks[TRACKS];
    struct shape shape;
    struct recent recent;
    double sum; /* of the open block */
    uint32_t frames, bins[DRIFT_BINS];
};

struct drift {
    struct drift_options options;   /* with every default filled in */
    uint64_t print;                 /* of references and options */
    double log_cap, most_e, most_m; /* e of one block, its log; M: so much and no more */
    uint64_t blocks, ignored;
    uint32_t open_frames, context; /* of the open block */
    uint32_t last_context;         /* of the last judged block */
    uint32_t seen[DRIFT_CONTEXTS]; /* blocks */
    bool cycle;                    /* every context that was ever seen is known, and one of them came back */
    bool alarm, results_moved;
    enum drift_cause cause;
    double total_weight;
    double weight[SIGNALS];
    struct channel channels[SIGNALS];
};

struct block { /* of one signal, closed */
    double mean;
    uint32_t frames;
    double share[DRIFT_BINS];
};

/* learn.c */
void learn_block(struct drift *drift, struct channel *channel, uint32_t context, const struct block *block);
void learn_settle(const struct drift *drift, struct channel *channel);
bool learn_known(const struct drift *drift, const struct channel *channel, uint32_t context);
/* Blocks of `context` go on: has the site been seen as a whole? */
void learn_cycle(struct drift *drift, uint32_t context);
/* Expected shares, and the total variation by which prior and least share moved them from those that were seen; false: they are not known. */
bool learn_shares(const struct drift *drift, const struct channel *channel, uint32_t context,
                  double out[DRIFT_BINS], double *out_moved);

/* evidence.c */
extern const double evidence_sizes[SIZES]; /* of shifts, in sd of a block mean */
/* exp(size·z - size²/2) for every size; z is bounded first. */
void evidence_values(double z, double out[SIZES]);
void evidence_judge(const struct drift *drift, struct channel *channel, uint32_t context,
                    const struct block *block);
void evidence_clear(struct drift *drift);
/* Averages of M. */
double evidence_signal(const struct channel *channel);
double evidence_total(const struct drift *drift);
double evidence_family(const struct drift *drift, enum signal_family family);
double evidence_log10(double m); /* at least -99 */
void evidence_report(const struct drift *drift, enum signal signal, struct drift_signal_report *out,
                     uint32_t *out_since);

/* The signal that has most of all evidence, and the block in which its change seems to have begun. */
enum signal evidence_worst(const struct drift *drift, uint32_t *out_since);
void evidence_recent_clear(struct channel *channel);
/* Of the newest `blocks` (at most RECENT_BLOCKS): the sum of z, of how many. */
uint32_t evidence_recent(const struct drift *drift, const struct channel *channel, uint32_t blocks,
                         double *out_sum);

/* triage.c */
enum drift_cause triage(const struct drift *drift, bool *out_results_moved);

#endif
