/* The parts of the update machine (update.h): one file per phase. Private to trust/tuf.
 *
 *     enter ──▶ wants a file ──▶ take it ──┐          each phase: `enter` looks whether the shelf is enough, else names the file that is
 *       ▲                                  │          wanted; `take` checks it and puts it onto the shelf. Both move to another phase by
 *       └──────────── next phase ◀─────────┘          setting it. An error ends the update.
 */
#ifndef MUSTER_TRUST_TUF_UPDATE_INSIDE_H
#define MUSTER_TRUST_TUF_UPDATE_INSIDE_H

#include "trust/rule.h"
#include "trust/tuf/update.h"

enum tuf_phase {
    PHASE_IDLE,
    PHASE_ROOT,
    PHASE_TIMESTAMP,
    PHASE_SNAPSHOT,
    PHASE_TARGETS,
    PHASE_SEEK,
    PHASE_DONE,
    PHASE_FAILED,
    PHASE_COUNT
};
enum tuf_answer { ANSWER_NONE, ANSWER_GIVEN, ANSWER_LACK, ANSWER_OVERFLOW };

struct tuf_role { /* a targets role in memory: checked when it was taken */
    char *name;
    bool there;
    struct tuf_metadata metadata;
};

struct tuf_visit { /* an edge of the delegation graph still to be walked */
    char *role;
    const struct tuf_role *delegator; /* NULL: root */
};

struct tuf_update {
    struct tuf_update_options options; /* limits resolved */
    enum tuf_phase phase;
    bool refreshed;
    struct err err; /* of PHASE_FAILED */

    struct tuf_metadata root, timestamp, snapshot;
    bool has_timestamp, has_snapshot;
    int rotations; /* in this refresh */
    int64_t time_floor_s;
    size_t role_count;
    struct tuf_role **roles; /* "targets" and those delegated to; stay where they are */

    bool waiting; /* for `want` */
    char *want;
    uint64_t want_max;
    enum tuf_answer answer;
    struct buf given;

    char *path; /* that is sought; NULL: nothing */
    struct digest path_sha256;
    size_t depth, visited_count;
    struct tuf_visit *stack;
    char **visited;
    size_t found_count;
    struct tuf_target **found; /* all that were ever found: they live as long as the update */
    const struct tuf_target *target;
};

int tuf_root_enter(struct tuf_update *u, struct err *err);
int tuf_root_take(struct tuf_update *u, const void *bytes, size_t len, struct err *err);
int tuf_root_lack(struct tuf_update *u, struct err *err);
int tuf_timestamp_enter(struct tuf_update *u, struct err *err);
int tuf_timestamp_take(struct tuf_update *u, const void *bytes, size_t len, struct err *err);
void tuf_timestamp_raise_floor(struct tuf_update *u);
int tuf_snapshot_enter(struct tuf_update *u, struct err *err);
int tuf_snapshot_take(struct tuf_update *u, const void *bytes, size_t len, struct err *err);
int tuf_targets_enter(struct tuf_update *u, struct err *err);
int tuf_targets_take(struct tuf_update *u, const void *bytes, size_t len, struct err *err);
int tuf_seek_enter(struct tuf_update *u, struct err *err);
int tuf_seek_take(struct tuf_update *u, const void *bytes, size_t len, struct err *err);
int tuf_seek_start(struct tuf_update *u, struct err *err);

/* ---- what the shelf holds (local.c) ---- */

/* 1: there; 0: not there, or longer than `max`; -1: the shelf failed. */
int tuf_local_load(struct tuf_update *u, const char *role, uint64_t max, struct buf *out, struct err *err);
int tuf_local_root(struct tuf_update *u, struct err *err);
/* Timestamp, snapshot and targets as they are, expired or not, as far as they hold under the root of now. */
int tuf_local_rest(struct tuf_update *u, struct err *err);

/* ---- checks that phases share (check.c) ---- */

/* Parses; METADATA_FORM for what is malformed or of another kind. */
int tuf_check_form(enum tuf_kind kind, const char *what, const void *bytes, size_t len,
                   struct tuf_metadata *out, struct err *err);
/* Signed by root's keys for that top-level role. */
int tuf_check_signed(const struct tuf_metadata *root, const struct tuf_metadata *metadata, int rule,
                     struct err *err);
/* Length and hashes, if `meta` has them. */
int tuf_check_content(const struct tuf_file *meta, const char *what, const void *bytes, size_t len, int rule,
                      struct err *err);
bool tuf_is_expired(const struct tuf_update *u, const struct tuf_metadata *metadata);
int tuf_check_expiry(const struct tuf_update *u, const struct tuf_metadata *metadata, const char *what,
                     int rule, struct err *err);
void tuf_replace(struct tuf_metadata *slot, struct tuf_metadata *with); /* takes `with` over */

/* ---- wanting (update.c) ---- */

/* "7.role.json", or without a version where that is 0. `length`: what is announced, NULL for none; `limit` holds in any case. */
int tuf_want_file(struct tuf_update *u, int64_t version, const char *role, const struct tuf_file *length,
                  uint64_t limit, struct err *err);

/* ---- targets roles (targets.c) ---- */

/* Finds the role in memory or makes a place for it. NULL: out of memory. */
struct tuf_role *tuf_role_place(struct tuf_update *u, const char *name);
const struct tuf_role *tuf_role_find(const struct tuf_update *u, const char *name);
/* The role as delegated to by `delegator`, out of memory or from the shelf: 1 there, 0 it must be fetched, -1 an error. */
int tuf_role_local(struct tuf_update *u, const char *name, const struct tuf_role *delegator, struct err *err);
int tuf_role_want(struct tuf_update *u, const char *name, struct err *err);
int tuf_role_take(struct tuf_update *u, const char *name, const struct tuf_role *delegator, const void *bytes,
                  size_t len, struct err *err);

#endif
