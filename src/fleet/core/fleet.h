/* The server's state, given to every handler, and the few acts that several of them share.
 *
 * One thread, one event loop. The truth is in the store; memory holds only contacts, held requests and
 * counters. */
#ifndef MUSTER_FLEET_CORE_FLEET_H
#define MUSTER_FLEET_CORE_FLEET_H

#include "base/digest.h"
#include "base/err.h"
#include "fleet/audit/ledger.h"
#include "fleet/blobs/blobs.h"
#include "fleet/core/absence.h"
#include "fleet/core/group.h"
#include "fleet/core/roster.h"
#include "fleet/store/store.h"
#include "trust/audit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct authority; /* fleet/authority/authority.h */
struct event_base;
struct numbers; /* fleet/core/numbers.h */

struct fleet_options {
    const char *dir;       /* ca.pem, ca.key, server.pem, server.key, muster.db, layout/, online/, trust/ */
    const char *operators; /* operators' keys; NULL: those that the targets publish, if any */
    const char *
        root; /* the first root of trust; NULL: what DIR/trust/ holds; without either no release is accepted */
    int64_t timestamp_valid_s, snapshot_valid_s, assignment_valid_s; /* 0: fleet/authority/authority.h */
    uint64_t max_blob_bytes;
    int64_t certificate_s,
        grace_s; /* how long a robot's certificate is good, and how long after that it may still be renewed */
    const char *remote_url, *remote_ca,
        *remote_token; /* Prometheus remote write (fleet/remote/remote.h); NULL: none */
};

struct fleet_counters {
    uint64_t robot_requests, operator_requests, refused; /* refused: 401 and 403 */
    uint64_t reports, report_replays, exports, export_replays, export_gaps;
};

struct fleet {
    struct event_base *base;
    struct store *store;
    struct blobs *blobs;
    struct authority *authority;
    struct blobs *samples;   /* frames for people to look at */
    struct blobs *incidents; /* files of robots' black boxes; not for robots to read */
    struct group *group;
    struct ledger *ledger; /* the audit log */
    struct roster *roster;
    struct numbers *numbers;
    char *dir, *operators;
    struct event *flush_timer, *audit_timer;
    struct event *tend_timer, *absence_timer;
    struct absence absence; /* who has fallen silent */
    unsigned flushes;
    bool dirty;                     /* something happened that a rollout may be waiting for */
    bool changed[ROSTER_QUESTIONS]; /* some roster entry is marked so */
    bool cut;                       /* as well */
    bool draining;
    int64_t certificate_s, grace_s;
    struct fleet_counters counters;
    int64_t started_ms;
};

int fleet_open(struct event_base *base, const struct fleet_options *options, struct fleet **out,
               struct err *err) must_check;
void fleet_close(struct fleet *fleet); /* commits; servers must be gone before */
MUSTER_CLEANUP(struct fleet *, fleet_close)
#define cleanup_fleet __attribute__((cleanup(fleet_closep)))

/* Path of a file in the server's directory; free() it; NULL: out of memory. */
char *fleet_path(const struct fleet *fleet, const char *name);

/* The following write: between group_enter and group_leave. */

/* An event of the fleet (robot NULL) or of one robot. Text is cut to the field. */
int fleet_event(struct fleet *fleet, const char *kind, const char *robot, struct err *err, const char *fmt,
                ...) __attribute__((format(printf, 5, 6))) must_check;

/* Gives a robot a release: next counter, phase assigned; its held question is answered after the commit. */
int fleet_assign(struct fleet *fleet, const char *robot, const struct digest *release, bool rollback,
                 const struct digest *plan, struct err *err) must_check;
/* The same assignment again, with the next counter (above `beyond`) and a new time: renewed, or with approvals that it did not have. */
int fleet_reissue(struct fleet *fleet, struct robot_row *row, uint64_t beyond, struct err *err) must_check;

/* The robot's held question is to be looked at after the commit. */
void fleet_changed(struct fleet *fleet, const char *robot);   /* for its assignment */
void fleet_commanded(struct fleet *fleet, const char *robot); /* for commands */

/* What this robot asks is answered, and its connections end, with the commit: its rights or its certificate have changed. */
void fleet_cut(struct fleet *fleet, const char *robot);

/* tend.c: keeps snapshot and timestamp fresh, and tells while the offline metadata are about to expire. By a timer; also at the start. */
int fleet_tend(struct fleet *fleet, int64_t now_ms, struct err *err) must_check;
int fleet_tend_start(struct fleet *fleet, struct err *err) must_check;

/* Appends to the audit log (fleet/audit/ledger.h); number and time are filled in there. */
int fleet_audit(struct fleet *fleet, const struct audit_entry *entry, struct err *err) must_check;

/* The newest checkpoint covers all that is in the log after this; its reply is parked like any other (ledger_checkpoint). */
int fleet_checkpoint(struct fleet *fleet, struct err *err) must_check;

#endif
