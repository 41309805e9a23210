/* Who has fallen silent, told so that a person wants to read it.
 *
 *     live, late ──3 T──▶ missing ──60 s──▶ told: robot.offline            back: robot.back
 *                            │
 *                            └── more than 20 % of a site (at least 3) within 60 s ──▶ one site.lost for all of them ──▶ 80 % are back: site.back
 *
 * - Who is expected to be away (label `maintenance`, or revoked) is not missed.
 * - Silence while the server was down is none (presence.h), and for 3 T after its start nobody is missed: all have to find it first.
 * - Robots without the label `site` are a site of their own.
 * Memory only; the clock is an argument. */
#ifndef MUSTER_FLEET_CORE_ABSENCE_H
#define MUSTER_FLEET_CORE_ABSENCE_H

#include "base/err.h"
#include "fleet/core/roster.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ABSENCE_TOGETHER_MS = 60000, ABSENCE_MIN_ROBOTS = 3, ABSENCE_LOOK_S = 5 };

struct absence_site {
    char name[64];
    size_t here, missing; /* missing: within ABSENCE_TOGETHER_MS */
    size_t whole;         /* when it was lost: how many there had been */
    bool lost;
};

struct absence {
    int64_t start_ms; /* monotonic */
    size_t count, room;
    struct absence_site *sites;
};

/* kind: "robot.offline" …; robot: NULL for a site's. */
typedef int absence_tell(const char *kind, const char *robot, const char *text, void *arg, struct err *err);

void absence_init(struct absence *absence, int64_t mono_ms);
void absence_fini(struct absence *absence);
/* Looks at all. -1: what `tell` or memory said; what was not told is told the next time. */
int absence_look(struct absence *absence, struct roster *roster, int64_t mono_ms, absence_tell *tell,
                 void *arg, struct err *err) must_check;

#endif
