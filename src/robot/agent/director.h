/* What the director assigns to this robot, and whether it may be installed (trust/admission.h).
 *
 *   GET /api/v1/director?after=N&wait=S ──▶ assignment, approvals
 *        │ GET /api/v1/blobs/PLAN, if it follows a plan
 *        ▼ anchor: the chain brought up to date, the target looked for
 *   admission_assignment ──▶ its version kept: nothing older is accepted any more
 *        ▼
 *   admission_target ──▶ the installer: digest and size; kept together with the floor that the terms set
 *
 * - N is the version last accepted, once that assignment is settled: admitted, or nothing is assigned, or what was admitted is assigned again (a
 *   renewal, which is no news: a release that failed here is not tried again because of it). Until then N is also 0 now and then, at a slower
 *   and slower pace (0.5 … 60 s), since approvals may come, and the chain may change, without a new version.
 *   The same once after each update of the chain that nobody sought, also where it is settled: under a new director key numbers may have begun
 *   anew below N.
 * - However fast answers come, there are at most 32 questions at once, and then one in 500 ms.
 * - A refusal is reported once per rule and assignment (robot/agent/refusals.h): kind `failed`, its text begins with the rule; one of the chain once
 *   per rule, until the chain was well again. The assignment is judged again when it, its approvals or the chain have changed, and in any case now and then (5 s … 5 min).
 * - That the way is bad, or the disk full, refuses nothing: it is tried again.
 * - The count of versions begins anew when root names other director keys: a thief of the old ones cannot have used it up for ever.
 * - Whatever is refused or expires: what runs goes on. */
#ifndef MUSTER_ROBOT_AGENT_DIRECTOR_H
#define MUSTER_ROBOT_AGENT_DIRECTOR_H

#include "base/err.h"
#include "base/mem.h"
#include "robot/agent/anchor.h"
#include "robot/store/store.h"
#include "sys/fetch.h"
#include "wire/api.h"

#include <stdbool.h>
#include <stdint.h>

struct admitted; /* installer.h */
struct director;

struct director_options {
    struct fetch *fetch; /* borrowed, as everything here */
    const char *server;
    const char *robot; /* its id, as its certificate says */
    struct anchor *anchor;
    struct store *store;
    int64_t poll_wait_s;
    void (*report)(const struct api_report *report, void *arg);
    /* installer_admitted; false: it could not be kept and has to be said again */
    bool (*admitted)(const struct admitted *admitted, void *arg);
    void *arg;
};

int director_new(const struct director_options *options, struct director **out, struct err *err) must_check;
void director_free(struct director *director);
MUSTER_CLEANUP(struct director *, director_free)
#define cleanup_director __attribute__((cleanup(director_freep)))

void director_tick(struct director *director, int64_t now_ms);
int64_t director_next_ms(const struct director *director); /* monotonic */

/* What became of an update of the chain that nobody sought (anchor_options.updated): a refusal is reported, once; NULL: all is well, and what was
 * refused may be judged anew. */
void director_chain_updated(struct director *director, const struct err *err);

#endif
