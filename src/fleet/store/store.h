/* What the fleet server remembers: one vtable of named operations. No SQL is known outside an implementation.
 *
 *     struct store *store = NULL;
 *     store_open_sqlite("/var/lib/muster/muster.db", &store, &err);
 *     store->ops->begin(store, &err);                          // opens the write transaction
 *     store->ops->mark(store, &err);                           // savepoint of one request
 *     store->ops->robot_save(store, &robot, &err);
 *     store->ops->keep(store, &err);  or  store->ops->undo(store);
 *     store->ops->commit(store, &err);                         // on disk when it returns 0
 *
 * - One connection, one thread. Reads see what the open transaction wrote: who reads inside one may not tell
 * the outside before the commit (core/group.h takes care of that).
 * - Writes want an open transaction (INTERNAL otherwise). A write that fails badly (disk full) may end the
 * transaction: `active` tells.
 * - Rows are plain structs. Text columns are cut by nobody: a caller that passes longer text than the field
 * holds has a bug.
 * - Errors: NOT_FOUND for a missing row, EXISTS for a duplicate, NO_SPACE, BUSY (another process writes),
 * CORRUPT, IO.
 * - uint64 values are kept as 63 bits.
 */
#ifndef MUSTER_FLEET_STORE_STORE_H
#define MUSTER_FLEET_STORE_STORE_H

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "fleet/decide/rollout.h"
#include "fleet/rights/rights.h"
#include "stats/exphist.h"
#include "wire/api.h"
#include "wire/command.h"
#include "wire/otlp.h"
#include "wire/sample.h"
#include "wire/seen.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STORE_SERIAL_SIZE = 48, STORE_REASON_SIZE = 240, STORE_ALARMS_PER_ROBOT = 64 };

/* How far a robot is with its newest assignment. */
enum robot_phase {
    PHASE_IDLE,
    PHASE_ASSIGNED,
    PHASE_DOWNLOADED,
    PHASE_VERIFIED,
    PHASE_SELF_TESTED,
    PHASE_PROBATION,
    PHASE_COMMITTED,
    PHASE_ROLLED_BACK,
    PHASE_FAILED,
    PHASE_COUNT
};
const char *robot_phase_name(enum robot_phase phase); /* "self_tested" */

struct operator_row { /* one token */
    struct digest hash;
    char name[API_ID_SIZE];
    char rights[RIGHTS_TEXT_SIZE];  /* fleet/rights/rights.h */
    int64_t created_ms, expires_ms; /* 0: never */
    int64_t revoked_ms;             /* 0: it holds */
};

struct robot_row {
    char id[API_ID_SIZE];
    size_t label_count;
    struct api_label labels[API_MAX_LABELS];
    char serial[STORE_SERIAL_SIZE]; /* of its certificate; upper-case hex */
    char
        next_serial[STORE_SERIAL_SIZE]; /* of the one it was given to follow and has not used yet; "": none */
    int64_t quarantined_ms;             /* 0: it is not; else since when, and why */
    char quarantine_text[API_MAX_SUMMARY];
    bool revoked;
    int64_t enrolled_ms;
    int64_t seen_ms; /* last contact, flushed now and then; 0: never */

    uint64_t counter; /* of the assignment; 0: none yet */
    struct digest target;
    bool target_rollback;
    int64_t target_ms;

    struct digest running;   /* what it runs; zero: nothing known */
    struct digest committed; /* what it last committed; zero: none */
    enum robot_phase phase;
    struct digest phase_release; /* the release `phase` speaks of */
    char phase_text[API_MAX_SUMMARY];
    int64_t phase_ms;

    enum api_guard guard; /* NONE: it never said */
    char guard_who[sizeof((struct api_report){0}.who)];
    char guard_text[API_MAX_SUMMARY];
    int64_t guard_ms; /* since when, by the robot's clock */

    int64_t issued_ms; /* when the assignment was made or renewed last; 0: before there were signed ones */
    struct digest target_plan; /* the approved plan that it follows; zero: none */
};

struct enroll_token_row {
    struct digest hash;      /* SHA-256 of the token */
    char robot[API_ID_SIZE]; /* "" = any new robot */
    size_t label_count;
    struct api_label labels[API_MAX_LABELS];
    int64_t created_ms, expires_ms;
    int64_t used_ms; /* 0: still good for anybody who holds it */
};

/* What is known of a robot's key and of the renewal under way. One from each enrolment on. */
struct device_row {
    char robot[API_ID_SIZE];
    struct digest key;      /* SHA-256 of the public key (csr_read) that it was certified for last */
    struct digest request;  /* SHA-256 of the request that next_serial answers; zero: none */
    char certificate[4096]; /* the answer, PEM: the same request gets the same one again */
};

/* Numbered streams: how far each is applied. A robot's reports and its telemetry have streams of their own.
 */
enum stream_kind { STREAM_REPORTS = 1, STREAM_TELEMETRY = 2, STREAM_SAMPLES = 3 };
enum { STORE_STREAMS_PER_ROBOT = 32 }; /* and kind; the longest unused one is forgotten first */

struct report_row {
    char robot[API_ID_SIZE];
    char stream[33];
    int64_t received_ms;
    struct api_report report;
};

struct release_row {
    struct digest digest; /* of the manifest */
    char name[64], version[64];
    uint64_t manifest_bytes;
    uint64_t size_bytes;                /* of all blobs */
    double latency_p99_ms, deadline_ms; /* its budgets */
    int64_t memory_mib;
    double max_miss_share; /* its envelope */
    int64_t created_ms;
    char signed_by[16][65]; /* key ids: whose signatures of the targets held when it was pushed last */
    size_t signer_count;
};

/* All telemetry of one release on one robot; robot "" is the sum over the fleet. */
struct telemetry_row {
    struct digest release;
    char robot[API_ID_SIZE];
    uint64_t robots; /* fleet sum: how many robots have a row; else 1 */
    int64_t first_ms, last_ms;
    uint64_t frames, results, lost;
    uint64_t interventions[OTLP_REASONS];
    uint64_t score_frames, score_tp, score_fp, score_fn;
    uint64_t detections;
    double confidence_sum;
    int64_t operating_ms; /* of the windows in which there were frames */
    struct exphist latency_ms, frame_ms;
};

/* A rollout as the engine knows it, and what only people ask for. */
struct rollout_row {
    struct rollout rollout;
    int64_t started_ms, ended_ms; /* ended 0: not yet */
    char *gates;                  /* owned; JSON array of the gates as they stood at the end; NULL before */
};
void rollout_row_fini(struct rollout_row *row);
#define cleanup_rollout_row __attribute__((cleanup(rollout_row_fini)))

/* A member of a rollout: its place, what it was assigned before, and where the evidence starts. */
struct rollout_robot_row {
    uint64_t rollout;
    char robot[API_ID_SIZE];
    int wave;
    bool failed;                      /* once seen, stays */
    struct digest before;             /* its target before; zero: none */
    struct digest before_plan;        /* and the plan of that; zero: none */
    struct rollout_evidence baseline; /* what it had shown on this release before it was taken in */
};

/* An operator's signed word that a release may be installed (wire/approval.h): his newest one for this release and plan. */
struct approval_row {
    uint64_t id;                 /* grows with every approval */
    struct digest release, plan; /* plan zero: in any rollout */
    char operator_name[48], reason[112];
    int64_t issued_ms, expires_ms, created_ms;
    char sent_by[API_ID_SIZE]; /* whose token brought it */
    char *envelope;            /* as it was signed, JSON; owned; borrowed in approval_each */
};
void approval_row_fini(struct approval_row *row);
#define cleanup_approval_row __attribute__((cleanup(approval_row_fini)))

struct event_row {
    int64_t id; /* grows, never repeats */
    int64_t time_ms;
    char kind[32];
    char robot[API_ID_SIZE]; /* "" = the fleet */
    char text[STORE_REASON_SIZE];
};

/* A signed command, and what became of it on each robot that it names. */
enum command_state {
    COMMAND_QUEUED,    /* the robot has not asked for it yet */
    COMMAND_DELIVERED, /* handed to the robot, which has not said anything yet */
    COMMAND_ACCEPTED,
    COMMAND_REFUSED,
    COMMAND_EXPIRED, /* its time ran out without a word of the robot, which will not carry it out any more */
    COMMAND_STATE_COUNT
};
const char *command_state_name(enum command_state state); /* "queued" */

struct command_row {
    uint64_t id;
    char *envelope; /* as the operator signed it, JSON; owned; NULL from command_each */
    enum command_verb verb;
    char operator_name[48], reason[112], nonce[33];
    char sent_by[API_ID_SIZE]; /* whose token brought it */
    int64_t issued_ms, expires_ms, created_ms;
    uint64_t lease;
    uint32_t ttl_ms;
};
void command_row_fini(struct command_row *row);
#define cleanup_command_row __attribute__((cleanup(command_row_fini)))

struct command_robot_row {
    uint64_t command;
    char robot[API_ID_SIZE];
    enum command_state state;
    int64_t state_ms, expires_ms;
    uint64_t lease, generation; /* as the robot said; 0: none */
    struct digest release;      /* whose output stood back; zero: nobody's */
    char text[API_MAX_SUMMARY]; /* refused: why */
};

struct command_filter {
    const char *robot; /* "": any */
    bool open;         /* only those that some robot has not answered yet */
    uint64_t before;   /* only older ones; 0: from the newest on */
    int64_t limit;
};

/* The audit log: trust/audit.h. It is only ever appended to. */
struct audit_row {
    uint64_t seq;       /* 1, 2, 3, … */
    char *entry;        /* JSON; owned; these bytes are the leaf */
    struct digest hash; /* of the leaf (trust/merkle/tree.h) */
};
void audit_row_fini(struct audit_row *row);
#define cleanup_audit_row __attribute__((cleanup(audit_row_fini)))

struct audit_checkpoint_row {
    uint64_t size; /* 0: none */
    int64_t time_ms;
    char *text; /* signed note (trust/merkle/checkpoint.h); owned */
};
void audit_checkpoint_row_fini(struct audit_checkpoint_row *row);
#define cleanup_audit_checkpoint_row __attribute__((cleanup(audit_checkpoint_row_fini)))

/* An incident that a robot sent: what its own signed file says; the file itself lies among the server's incidents. */
struct incident_row {
    uint64_t id; /* grows, never repeats */
    char robot[API_ID_SIZE];
    char name[80]; /* the robot's id of it; unique per robot */
    struct digest digest;
    uint64_t bytes;
    char cause[32], text[STORE_REASON_SIZE], who[48], reason[112];
    int severity; /* 0 … 3 */
    int64_t time_ms, from_ms, until_ms, received_ms;
    struct digest release; /* zero: none */
    uint64_t frames, verdicts;
};

/* A frame that a robot sent for people to look at (wire/sample.h), and what they said. The sample itself lies among the server's samples. */
enum review_verdict { REVIEW_OPEN, REVIEW_TRUE, REVIEW_FALSE, REVIEW_UNSURE, REVIEW_VERDICTS };
const char *review_verdict_name(enum review_verdict verdict); /* "true" */

struct review_row {
    uint64_t id;                       /* grows, never repeats */
    char robot[API_ID_SIZE], site[64]; /* its label "site" then; "" */
    struct digest release, sample;
    uint64_t bytes;
    int64_t time_ms, received_ms;
    int64_t from_ms, until_ms; /* of an alarm; else 0 */
    enum sample_reason reason;
    double probability;
    double score;    /* the best one that the model gave; NaN: none */
    uint32_t count;  /* detections or values */
    int64_t seen_ms; /* somebody looked at it; 0: nobody yet */
    enum review_verdict verdict;
    uint32_t missed; /* objects that the model did not find on this frame */
    char decided_by[API_ID_SIZE], note[112];
    int64_t decided_ms;
};

struct review_filter {
    const char *robot;     /* "": any */
    struct digest release; /* zero: any */
    int open;              /* 1: open ones, alarms first; 0: decided ones; -1: all */
    int reason;            /* enum sample_reason; -1: any */
    uint64_t before;       /* only older ones; 0: from the newest on */
    int64_t limit;         /* -1: all */
};

/* Something that no release noticed, reported by people. */
struct missed_row {
    uint64_t id;
    char robot[API_ID_SIZE], site[64];
    struct digest release; /* what ran then, by the server's knowledge; zero: not known */
    int64_t from_ms, until_ms, reported_ms;
    char label[32], note[112], who[API_ID_SIZE];
};

/* A decision record (wire/decision.h): of a robot's guard, or of a rollout. */
struct decision_row {
    uint64_t id;
    char robot[API_ID_SIZE]; /* "": the fleet's */
    struct digest release;
    uint64_t rollout; /* 0: none */
    char who[16], rule[32];
    int64_t time_ms, received_ms;
    char *detail; /* JSON; owned; borrowed in decision_each */
};
struct decision_filter {
    const char *robot;        /* "": any */
    struct digest release;    /* zero: any */
    uint64_t rollout, before; /* 0: any; from the newest on */
    int64_t limit;
};

/* Something that drifts: on one robot, or in common. Open while closed_ms is 0; one per release and cause at a time. */
struct drift_row {
    uint64_t id;
    bool common;
    struct digest release;
    char cause[16]; /* drift_cause_name */
    int64_t opened_ms, updated_ms, closed_ms, acknowledged_ms;
    char acknowledged_by[API_ID_SIZE];
    double log10_e;    /* the largest so far */
    char robots[2048]; /* names, by spaces; the first that fit */
    uint64_t robot_count;
    char text[STORE_REASON_SIZE];
    uint64_t
        acknowledgement; /* grows with every finding that is acknowledged (wire/seen.h); 0: it is not, or was before there were numbers */
};
bool drift_row_names(const struct drift_row *row, const char *robot); /* among `robots` */

struct store;

/* `visit` functions return 0 to go on, anything else to stop (the operation still returns 0). Rows live
 * during the call. */
struct store_ops {
    void (*free)(struct store *store);

    /* Transactions. */
    int (*begin)(struct store *store, struct err *err) must_check;  /* no-op inside one */
    int (*commit)(struct store *store, struct err *err) must_check; /* on failure everything is rolled back */
    void (*rollback)(struct store *store);
    bool (*active)(struct store *store);
    int (*mark)(struct store *store, struct err *err) must_check; /* savepoint; not nested */
    int (*keep)(struct store *store, struct err *err) must_check;
    void (*undo)(struct store *store); /* back to the mark */

    /* Small numbers of the server itself. 0 if never set. */
    int (*number_get)(struct store *store, const char *key, int64_t *out, struct err *err) must_check;
    int (*number_set)(struct store *store, const char *key, int64_t value, struct err *err) must_check;

    /* Operator tokens, by hash. */
    int (*operator_add)(struct store *store, const struct operator_row *row,
                        struct err *err) must_check; /* EXISTS */
    int (*operator_find)(struct store *store, const struct digest *hash, struct operator_row *out,
                         struct err *err) must_check;
    int (*operator_each)(struct store *store, int (*visit)(const struct operator_row *row, void *arg),
                         void *arg, struct err *err) must_check; /* by name */
    /* All tokens of that name end now; how many there were. */
    int (*operator_revoke)(struct store *store, const char *name, int64_t now_ms, int64_t *out_count,
                           struct err *err) must_check;
    int (*operator_count)(struct store *store, int64_t *out, struct err *err) must_check;

    /* Enrolment tokens. */
    int (*enroll_add)(struct store *store, const struct enroll_token_row *row, struct err *err) must_check;
    int (*enroll_get)(struct store *store, const struct digest *hash, struct enroll_token_row *out,
                      struct err *err) must_check;
    /* The token is this robot's, whose key is `key`. The same key may use it again: an answer that was lost
     * on the way is asked for once more. CONFLICT if another key used it. */
    int (*enroll_use)(struct store *store, const struct digest *hash, const char *robot,
                      const struct digest *key, int64_t now_ms, struct err *err) must_check;
    int (*enroll_void)(struct store *store, const char *robot,
                       struct err *err) must_check; /* drops its tokens, used or not */

    /* Keys and certificates of robots. device_begin is an enrolment: what was is forgotten. */
    int (*device_get)(struct store *store, const char *robot, struct device_row *out,
                      struct err *err) must_check; /* NOT_FOUND */
    int (*device_begin)(struct store *store, const struct device_row *row, struct err *err) must_check;
    int (*device_save)(struct store *store, const struct device_row *row, struct err *err) must_check;
    /* Certificates since its enrolment that have a successor. Those are forgotten that nobody could show any more at until_ms. */
    int (*certificate_replace)(struct store *store, const char *robot, const char *serial, int64_t until_ms,
                               struct err *err) must_check;
    int (*certificate_replaced)(struct store *store, const char *robot, const char *serial, bool *out,
                                struct err *err) must_check;
    int (*certificate_prune)(struct store *store, int64_t now_ms, struct err *err) must_check;

    /* Robots, in order of id. */
    int (*robot_get)(struct store *store, const char *id, struct robot_row *out, struct err *err) must_check;
    int (*robot_save)(struct store *store, const struct robot_row *row,
                      struct err *err) must_check; /* insert or replace */
    int (*robot_seen)(struct store *store, const char *id, int64_t seen_ms, struct err *err) must_check;
    int (*robot_each)(struct store *store, const char *after, int64_t limit,
                      int (*visit)(const struct robot_row *row, void *arg), void *arg,
                      struct err *err) must_check;

    /* Streams: the last applied number, 0 for an unknown stream. */
    int (*stream_get)(struct store *store, const char *robot, enum stream_kind kind, const char *stream,
                      uint64_t *out_seq, struct err *err) must_check;
    int (*stream_set)(struct store *store, const char *robot, enum stream_kind kind, const char *stream,
                      uint64_t seq, int64_t now_ms, struct err *err) must_check;
    int (*report_add)(struct store *store, const struct report_row *row,
                      struct err *err) must_check; /* EXISTS */
    int (*report_last)(struct store *store, const char *robot, int64_t limit,
                       int (*visit)(const struct report_row *row, void *arg), void *arg,
                       struct err *err) must_check;

    int (*report_prune)(struct store *store, const char *robot, int64_t keep,
                        struct err *err) must_check; /* its last ones */

    /* Releases, newest first. `name:version` is unique. */
    int (*release_add)(struct store *store, const struct release_row *row, struct err *err) must_check;
    int (*release_sign)(struct store *store, const struct release_row *row,
                        struct err *err) must_check; /* signed_by only */
    int (*release_get)(struct store *store, const struct digest *digest, struct release_row *out,
                       struct err *err) must_check;
    int (*release_find)(struct store *store, const char *name, const char *version, struct digest *out,
                        struct err *err) must_check;
    int (*release_each)(struct store *store, int (*visit)(const struct release_row *row, void *arg),
                        void *arg, struct err *err) must_check;

    /* Telemetry. */
    int (*telemetry_get)(struct store *store, const struct digest *release, const char *robot,
                         struct telemetry_row *out, struct err *err) must_check;
    int (*telemetry_save)(struct store *store, const struct telemetry_row *row, struct err *err) must_check;
    int (*telemetry_of_robot)(struct store *store, const char *robot,
                              int (*visit)(const struct telemetry_row *row, void *arg), void *arg,
                              struct err *err) must_check;

    /* Rollouts, newest first. */
    /* rollout_get: rollout_row_fini. rollout_each gives no `gates`. */
    int (*rollout_add)(struct store *store, const struct rollout_row *row, uint64_t *out_id,
                       struct err *err) must_check;
    int (*rollout_save)(struct store *store, const struct rollout_row *row, struct err *err) must_check;
    int (*rollout_get)(struct store *store, uint64_t id, struct rollout_row *out, struct err *err) must_check;
    int (*rollout_each)(struct store *store, bool open_only,
                        int (*visit)(const struct rollout_row *row, void *arg), void *arg,
                        struct err *err) must_check;
    int (*rollout_robot_save)(struct store *store, const struct rollout_robot_row *row,
                              struct err *err) must_check;
    int (*rollout_robot_each)(struct store *store, uint64_t rollout,
                              int (*visit)(const struct rollout_robot_row *row, void *arg), void *arg,
                              struct err *err) must_check; /* by wave, then id */

    /* The plan that people approved: which wave takes which robot in. By robot. */
    int (*rollout_plan_add)(struct store *store, uint64_t rollout, const char *robot, int wave,
                            struct err *err) must_check;
    int (*rollout_plan_each)(struct store *store, uint64_t rollout,
                             int (*visit)(const char *robot, int wave, void *arg), void *arg,
                             struct err *err) must_check;

    /* Approvals. Saving replaces an older one of the same operator for the same release and plan; CONFLICT if there is a newer one. */
    int (*approval_save)(struct store *store, const struct approval_row *row, struct err *err) must_check;
    int (*approval_each)(struct store *store, const struct digest *release,
                         int (*visit)(const struct approval_row *row, void *arg), void *arg, struct err *err)
        must_check; /* those that hold longest first; release NULL: of all */

    /* Events. */
    int (*event_add)(struct store *store, const struct event_row *row, int64_t *out_id,
                     struct err *err) must_check;
    int (*event_after)(struct store *store, int64_t after, int64_t limit,
                       int (*visit)(const struct event_row *row, void *arg), void *arg,
                       struct err *err) must_check;
    int (*event_last_id)(struct store *store, int64_t *out, struct err *err) must_check;
    int (*event_prune)(struct store *store, int64_t keep,
                       struct err *err) must_check; /* the last ones stay */

    /* Commands. */
    int (*command_add)(struct store *store, const struct command_row *row, uint64_t *out_id,
                       struct err *err) must_check; /* EXISTS: the nonce was used before */
    int (*command_get)(struct store *store, uint64_t id, struct command_row *out,
                       struct err *err) must_check; /* command_row_fini */
    int (*command_each)(struct store *store, const struct command_filter *filter,
                        int (*visit)(const struct command_row *row, void *arg), void *arg,
                        struct err *err) must_check; /* newest first */
    int (*command_robot_save)(struct store *store, const struct command_robot_row *row,
                              struct err *err) must_check; /* insert or replace */
    int (*command_robot_get)(struct store *store, uint64_t command, const char *robot,
                             struct command_robot_row *out, struct err *err) must_check;
    int (*command_robot_each)(struct store *store, uint64_t command,
                              int (*visit)(const struct command_robot_row *row, void *arg), void *arg,
                              struct err *err) must_check; /* by robot */
    /* What this robot has not answered, has not expired and is newer than `after`, or was never handed to it; oldest first.
     * With the envelope, which lives during the call. */
    int (*command_due)(struct store *store, const char *robot, uint64_t after, int64_t now_ms, int64_t limit,
                       int (*visit)(const struct command_row *row, void *arg), void *arg,
                       struct err *err) must_check;
    int (*command_delivered)(struct store *store, const char *robot, uint64_t up_to, int64_t now_ms,
                             struct err *err) must_check; /* what was queued up to there */
    int (*command_overdue)(struct store *store, int64_t before_ms, int64_t limit,
                           int (*visit)(const struct command_robot_row *row, void *arg), void *arg,
                           struct err *err) must_check; /* unanswered, and expired before then */
    int (*command_last_id)(struct store *store, uint64_t *out, struct err *err) must_check; /* ever given */
    /* Forgets renewals older than `renewals_ms` and all commands older than `all_ms`. */
    int (*command_prune)(struct store *store, int64_t renewals_ms, int64_t all_ms,
                         struct err *err) must_check;

    /* The audit log. */
    int (*audit_add)(struct store *store, const struct audit_row *row,
                     struct err *err) must_check; /* EXISTS if the number is taken */
    int (*audit_after)(struct store *store, uint64_t after, int64_t limit,
                       int (*visit)(const struct audit_row *row, void *arg), void *arg,
                       struct err *err) must_check;
    int (*audit_last)(struct store *store, uint64_t *out_seq, struct err *err) must_check; /* 0: empty */
    /* Stored hashes of its tree: level 0 are those of the entries; those above are added as they are completed (one that is
     * there already stays as it is). Reading: CORRUPT if one of `count` from `at` on is missing. */
    int (*audit_hash_add)(struct store *store, unsigned level, uint64_t at, const struct digest *hash,
                          struct err *err) must_check;
    int (*audit_hashes)(struct store *store, unsigned level, uint64_t at, size_t count, struct digest *out,
                        struct err *err) must_check;
    int (*audit_hash_count)(struct store *store, unsigned level, uint64_t *out, struct err *err) must_check;
    /* Signed checkpoints, by size; one of a size that is there already is not added again. */
    int (*audit_checkpoint_add)(struct store *store, const struct audit_checkpoint_row *row,
                                struct err *err) must_check;
    int (*audit_checkpoint_after)(struct store *store, uint64_t size, int64_t limit,
                                  int (*visit)(const struct audit_checkpoint_row *row, void *arg), void *arg,
                                  struct err *err) must_check;
    int (*audit_checkpoint_last)(struct store *store, struct audit_checkpoint_row *out,
                                 struct err *err) must_check; /* size 0: none; audit_checkpoint_row_fini */

    /* Incidents. */
    int (*incident_add)(struct store *store, const struct incident_row *row, uint64_t *out_id,
                        struct err *err) must_check; /* EXISTS: this robot sent one of that name */
    int (*incident_get)(struct store *store, uint64_t id, struct incident_row *out,
                        struct err *err) must_check;
    int (*incident_find)(struct store *store, const char *robot, const char *name, struct incident_row *out,
                         struct err *err) must_check;
    int (*incident_by_digest)(struct store *store, const struct digest *digest, struct incident_row *out,
                              struct err *err) must_check;
    /* Newest first; robot "": of all; before 0: from the newest. */
    int (*incident_each)(struct store *store, const char *robot, uint64_t before, int64_t limit,
                         int (*visit)(const struct incident_row *row, void *arg), void *arg,
                         struct err *err) must_check;
    /* How many and how large a robot's are, and which goes first: the least grave, of these the oldest (NOT_FOUND: none). */
    int (*incident_sum)(struct store *store, const char *robot, uint64_t *out_count, uint64_t *out_bytes,
                        struct err *err) must_check;
    int (*incident_victim)(struct store *store, const char *robot, struct incident_row *out,
                           struct err *err) must_check;
    int (*incident_drop)(struct store *store, uint64_t id, struct err *err) must_check;
    /* The one upload that a robot has begun; zero: none. */
    int (*incident_upload_get)(struct store *store, const char *robot, struct digest *out,
                               struct err *err) must_check;
    int (*incident_upload_set)(struct store *store, const char *robot, const struct digest *digest,
                               struct err *err) must_check;

    /* Decisions and drift. */
    int (*decision_add)(struct store *store, const struct decision_row *row, uint64_t *out_id,
                        struct err *err) must_check;
    int (*decision_each)(struct store *store, const struct decision_filter *filter,
                         int (*visit)(const struct decision_row *row, void *arg), void *arg,
                         struct err *err) must_check; /* newest first */
    int (*decision_prune)(struct store *store, const char *robot, int64_t keep,
                          struct err *err) must_check; /* of this robot; "": of the fleet */
    int (*drift_add)(struct store *store, const struct drift_row *row, uint64_t *out_id,
                     struct err *err) must_check;
    int (*drift_save)(struct store *store, const struct drift_row *row, struct err *err) must_check;
    int (*drift_get)(struct store *store, uint64_t id, struct drift_row *out, struct err *err) must_check;
    int (*drift_open)(struct store *store, const struct digest *release, const char *cause,
                      struct drift_row *out, struct err *err) must_check; /* the open one; NOT_FOUND */
    int (*drift_each)(struct store *store, bool open_only, int64_t limit,
                      int (*visit)(const struct drift_row *row, void *arg), void *arg,
                      struct err *err) must_check; /* newest first */
    /* The newest alarm that this robot raised itself of a finding, by the robot's clock. The last STORE_ALARMS_PER_ROBOT findings of a robot are kept. */
    int (*drift_alarm_save)(struct store *store, uint64_t finding, const char *robot, int64_t time_ms,
                            struct err *err) must_check;
    /* Alarms of this robot that people acknowledged by a number larger than `after`, smallest first. */
    int (*drift_seen_each)(struct store *store, const char *robot, uint64_t after, int64_t limit,
                           int (*visit)(const struct seen_alarm *seen, void *arg), void *arg,
                           struct err *err) must_check;
    int (*drift_seen_last)(struct store *store, uint64_t *out, struct err *err) must_check; /* 0: none yet */

    /* Reviews. */
    int (*review_add)(struct store *store, const struct review_row *row, uint64_t *out_id,
                      struct err *err) must_check;
    int (*review_get)(struct store *store, uint64_t id, struct review_row *out,
                      struct err *err) must_check; /* NOT_FOUND */
    int (*review_save)(struct store *store, const struct review_row *row,
                       struct err *err) must_check; /* what people said of it */
    int (*review_each)(struct store *store, const struct review_filter *filter,
                       int (*visit)(const struct review_row *row, void *arg), void *arg,
                       struct err *err) must_check;
    int (*review_sum)(struct store *store, const char *robot, uint64_t *out_count, uint64_t *out_bytes,
                      struct err *err) must_check;
    /* Which one of a robot goes first: decided before open, everything before alarms, then the oldest. NOT_FOUND: none. */
    int (*review_victim)(struct store *store, const char *robot, struct review_row *out,
                         struct err *err) must_check;
    /* Its picture; a verdict stays. *out_last: no other review has the same picture. */
    int (*review_forget)(struct store *store, uint64_t id, bool *out_last, struct err *err) must_check;
    /* Alarms of this release on this robot that people judged, and what they reported as missed. */
    int (*alarm_counts)(struct store *store, const struct digest *release, const char *robot,
                        struct rollout_alarms *out, struct err *err) must_check; /* operating_ms stays 0 */
    int (*missed_add)(struct store *store, const struct missed_row *row, uint64_t *out_id,
                      struct err *err) must_check;
    int (*missed_each)(struct store *store, const struct digest *release,
                       int (*visit)(const struct missed_row *row, void *arg), void *arg,
                       struct err *err) must_check; /* zero: of all; oldest first */
};

struct store {
    const struct store_ops *ops;
};

/* Opens or creates the database; ":memory:" for one that ends with the process. Migrates older versions;
 * refuses newer ones and files that are not ours (UNSUPPORTED, CORRUPT). */
int store_open_sqlite(const char *path, struct store **out, struct err *err) must_check;
void store_free(struct store *store);
MUSTER_CLEANUP(struct store *, store_free)
#define cleanup_store __attribute__((cleanup(store_freep)))

#endif
