/* The guard's interventions as decision records (wire/decision.h): what a rule looked at, its limit, by how much, and what would have passed. Taken from the
 * verdict's numbers (stats/cause.h), nothing is computed again. Alike ones (release, reason, rule) within a second are one record with their count; it tells of
 * the first. If they go on, each further record waits twice as long for its count, a minute at most: a robot that fails at every frame says so 60 times an
 * hour. Pure; no allocation.
 */
#ifndef MUSTER_ROBOT_WATCH_CASES_H
#define MUSTER_ROBOT_WATCH_CASES_H

#include "robot/ring/ring.h"
#include "wire/decision.h"

#include <stdbool.h>
#include <stdint.h>

enum { CASES_OPEN = 16, CASES_TOGETHER_MS = 1000, CASES_LONGEST_MS = 60000 };

struct cases_open {
    bool used;                /* a record waits */
    int64_t since_ms, due_ms; /* monotonic; not used: of the last one */
    int64_t together_ms;
    uint32_t reason, rule;
    struct decision decision;
};

struct cases {
    struct cases_open open[CASES_OPEN];
    size_t last;       /* taken */
    uint64_t left_out; /* more kinds at once than there is room for */
};

struct cases_about { /* the release that the verdict speaks of */
    const char *version, *engine;
};

bool case_is_one(const struct ring_verdict *verdict);
void cases_add(struct cases *cases, const struct ring_verdict *verdict, const struct cases_about *about,
               int64_t now_ms, int64_t wall_ms);
/* The next record that has waited long enough (`all`: any); false: none. */
bool cases_take(struct cases *cases, int64_t now_ms, bool all, struct decision *out);
/* The one that was taken last could not be told: it waits again, with what comes meanwhile. */
void cases_put_back(struct cases *cases, int64_t now_ms);
/* When the next one is due; INT64_MAX: none is open. */
int64_t cases_due_ms(const struct cases *cases);

#endif
