/* A TUF repository in a directory: what the workstation edits and signs offline, and what musterd completes and serves.
 *
 *     DIR/1.root.json 2.root.json …  root.json (= the newest)     offline, root keys
 *     DIR/3.targets.json                                          offline, release keys
 *     DIR/7.NAME.json                                             delegated roles, if any
 *     DIR/5.snapshot.json  timestamp.json                         online, musterd
 *     DIR/pending/2.root.json …                                   signed by fewer than the threshold: not published yet
 *
 * consistent_snapshot is always true. Every change makes a new version; files of published versions are never rewritten (timestamp.json
 * is, by nature, and root.json, which is for people and not asked for by clients). A repository that a cut interrupted is still valid:
 * files first, then what names them.
 *
 * - One writer at a time: callers that share a directory lock it. Readers need no lock.
 * - Roles are "root", "targets", "snapshot", "timestamp" or the name of a delegated role, which is here a name (str_is_name) besides.
 * - Editing goes through structs: members of foreign metadata that wire/tuf/metadata.h does not know are not carried into the next version.
 */
#ifndef MUSTER_TRUST_REPO_REPO_H
#define MUSTER_TRUST_REPO_REPO_H

#include "base/buf.h"
#include "base/digest.h"
#include "trust/tuf/signer.h"
#include "trust/tuf/update.h"
#include "wire/tuf/metadata.h"

struct repo;

/* Errors: NOT_FOUND if there is no root, not even a pending one; CORRUPT. */
int repo_open(const char *dir, struct repo **out, struct err *err) must_check;
/* A server's repository begins with a root that it was given (any version, signed by its own keys): the anchor. Errors: EXISTS, UNTRUSTED. */
int repo_create(const char *dir, const void *root, size_t len, struct repo **out, struct err *err) must_check;
void repo_free(struct repo *repo);
MUSTER_CLEANUP(struct repo *, repo_free)
#define cleanup_repo __attribute__((cleanup(repo_freep)))

const struct tuf_metadata *
repo_root(const struct repo *repo); /* published; NULL: the first one is still pending */
const struct tuf_metadata *repo_targets(const struct repo *repo); /* published; NULL: none yet */

/* A new fleet. Keys are copied; those of the server (timestamp, snapshot, director, audit) may come later by repo_edit_root, but nothing is
 * installed before. */
struct repo_keys {
    const struct tuf_key *const *keys; /* public */
    size_t count;
    int64_t threshold; /* 0: 1 where there are keys or the role must be there */
};
struct repo_plan {
    const char *fleet;
    struct repo_keys root, targets, timestamp, snapshot, director, audit;
    int64_t root_expires_s, targets_expires_s;
};
/* Makes pending/1.root.json and pending/1.targets.json, unsigned. Errors: EXISTS. */
int repo_init(const char *dir, const struct repo_plan *plan, struct err *err) must_check;

/* Changing means: make the next version as pending, sign it, publish it. *edit is freed by the caller (tuf_metadata_fini); its version is the
 * next one, and what is pending already is what it begins with. */
int repo_edit_root(const struct repo *repo, struct tuf_metadata *edit, struct err *err) must_check;
int repo_edit_targets(const struct repo *repo, const char *role, struct tuf_metadata *edit,
                      struct err *err) must_check;
int repo_set_target(struct tuf_metadata *edit, const char *path, uint64_t length, const struct digest *sha256,
                    const char *custom_json, struct err *err) must_check;
int repo_remove_target(struct tuf_metadata *edit, const char *path,
                       struct err *err) must_check; /* NOT_FOUND */
/* Signatures that the pending version had are gone: it says something else now. */
int repo_put_pending(struct repo *repo, const char *role, struct tuf_metadata *edit,
                     struct err *err) must_check;

/* Who speaks for a role, in a root that is edited: "root", "targets", "timestamp", "snapshot", "director", "audit". NULL: no such role. */
struct tuf_keyset *repo_keyset(struct tuf_metadata *root, const char *role);
const struct tuf_key *repo_key(const struct tuf_metadata *root, const char *keyid); /* NULL: none */
/* EXISTS if it speaks for that role already. */
int repo_add_key(struct tuf_metadata *root, const char *role, const struct tuf_key *key,
                 struct err *err) must_check;
/* NOT_FOUND; a key that speaks for no role any more leaves the root. A role with fewer keys than its threshold cannot be put as pending. */
int repo_remove_key(struct tuf_metadata *root, const char *role, const char *keyid,
                    struct err *err) must_check;

/* Adds a signature to what is pending for the role (a new root also wants signatures of the old root's keys).
 * Errors: NOT_FOUND if nothing is pending; REFUSED if this key speaks for nothing here. */
int repo_sign_pending(struct repo *repo, const char *role, const struct tuf_signer *signer,
                      struct err *err) must_check;
/* Takes the signatures that hold from another copy of what is pending (signed on another machine). CONFLICT: it says something else. */
int repo_merge_pending(struct repo *repo, const char *role, const void *bytes, size_t len,
                       struct err *err) must_check;
/* What is pending. NOT_FOUND. */
int repo_pending(const struct repo *repo, const char *role, struct tuf_metadata *out,
                 struct err *err) must_check;
struct repo_signatures {
    int64_t have, need;
    int64_t before_have, before_need; /* root: of the keys of the root before it; 0: there is none */
};
int repo_count_signatures(const struct repo *repo, const char *role, struct repo_signatures *out,
                          struct err *err) must_check;
/* Whether this key speaks for what is pending and has not signed it yet. NOT_FOUND if nothing is pending. */
int repo_wants(const struct repo *repo, const char *role, const struct tuf_key *key, bool *out,
               struct err *err) must_check;
/* Publishes what is pending and has its threshold. NOT_FOUND; CONFLICT "1 of 2 signatures …" if it has not. */
int repo_publish(struct repo *repo, const char *role, struct err *err) must_check;

/* musterd's part: takes in metadata made elsewhere, checked exactly as a robot would (next root versions, targets signed, not older, not expired);
 * writes nothing if anything is wrong. UNTRUSTED names the rule. What is there already, byte for byte, is fine. An expired root is taken, as a
 * robot takes it on its way to the next one; roots before the anchor are taken from the anchor backwards. */
int repo_take(struct repo *repo, const char *role, const void *bytes, size_t len, int64_t now_s,
              struct err *err) must_check;
/* The same checks, and nothing is written: what is to be on record before it happens (an audit log) is checked first. *out: what it says
 * (tuf_metadata_fini); *out_known: it is there already, byte for byte. */
int repo_check(const struct repo *repo, const char *role, const void *bytes, size_t len, int64_t now_s,
               struct tuf_metadata *out, bool *out_known, struct err *err) must_check;
/* Makes snapshot and timestamp anew where something changed or will have expired by now + margin; does nothing otherwise, and nothing while there
 * are no targets. CONFLICT if root does not name these keys (they were made anew, and root was not). */
struct repo_online {
    const struct tuf_signer *snapshot, *timestamp;
    int64_t snapshot_valid_s, timestamp_valid_s, margin_s;
};
int repo_freshen(struct repo *repo, const struct repo_online *online, int64_t now_s, bool *out_changed,
                 struct err *err) must_check;

/* Whether root and targets here follow from a root that is trusted: every root signed by the one before, the newest and the targets in time. For
 * repositories without snapshot and timestamp, a workstation's; others are followed by a client (tuf/update.h). UNTRUSTED names the rule. */
int repo_verify(const struct repo *repo, const void *anchor, size_t len, int64_t now_s,
                struct err *err) must_check;

/* Whether the newest published version of a role is signed by those who speak for it now: not after its keys were changed. */
int repo_holds(const struct repo *repo, const char *role, bool *out, struct err *err) must_check;

/* Whose signatures of the published targets hold: key ids, as root lists them. */
size_t repo_targets_signers(const struct repo *repo, char (*out)[65], size_t max);

/* A file as a client asks for it ("timestamp.json", "3.root.json"); NOT_FOUND. Names with '/' or a leading '.' are NOT_FOUND. */
int repo_read(const struct repo *repo, const char *name, struct buf *out, struct err *err) must_check;

#endif
