/* What the robot program writes down: sim/robot/LOG.md. One JSON object per line, one write(2) per line, so
 * that a kill at any instant leaves whole lines. */
#ifndef MUSTER_SIM_ROBOT_JOURNAL_H
#define MUSTER_SIM_ROBOT_JOURNAL_H

#include "base/err.h"
#include "muster/muster.h"
#include "stats/detection.h"

#include <stdbool.h>
#include <stddef.h>

enum { JOURNAL_RELEASES = 16, JOURNAL_LINE_BYTES = 32768 };

struct journal_totals { /* of one release, since this process started */
    char release[72];
    uint64_t frames, ok, fallback, safe, lost, unchecked;
    int64_t first_ms, last_ms;
    bool news;
};

struct journal {
    int fd; /* -1: nothing is written */
    char run[17];
    size_t count;
    struct journal_totals totals[JOURNAL_RELEASES];
    char placed[72]; /* the release of the last line of a place, and where that was */
    bool flew;
    char answered[72]; /* the release that answered last */
    char line[JOURNAL_LINE_BYTES];
};

int journal_open(const char *path, struct journal *out,
                 struct err *err) must_check; /* path NULL: nothing is written */
void journal_close(struct journal *journal);

/* Counts one frame's verdict. */
void journal_count(struct journal *journal, const struct muster_verdict *verdict, bool checked,
                   int64_t wall_ms);

/* A labelled frame; after journal_count of it. */
void journal_frame(struct journal *journal, const struct muster_verdict *verdict,
                   const struct detection *truth, size_t truth_count, int64_t wall_ms);

struct journal_act { /* something that happened, and whether the alarm was raised */
    const char *kind;
    bool fall, drill, alarmed, answered; /* answered: every window of it got a result */
    int64_t from_ms, until_ms;           /* wall clock */
    double delay_s;                      /* world time from the impact to the alarm */
};
void journal_act(struct journal *journal, const struct journal_act *act, int64_t wall_ms);

/* A line when another release answers than before, or the drone takes off or lands: who answered where. After journal_count. */
void journal_place(struct journal *journal, const struct muster_verdict *verdict, bool flying, double battery,
                   int64_t wall_ms);

/* A line for every release whose numbers changed since the last call. */
void journal_flush(struct journal *journal, int64_t wall_ms);

#endif
