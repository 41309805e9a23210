/* A TUF repository in a directory: what the workstation edits and signs offline, and what musterd completes and serves.
 *
 *     DIR/1.root.json 2.root.json …  root.json (= the newest)     offline, root keys
 *     DIR/3.targets.json                                          offline, release keys
 *     DIR/7.NAME.json                                             delegated roles, if any
 *     DIR/5.snapshot.json  timestamp.json                         online, musterd
 *     DIR/pending/…                                               signed by fewer than the threshold: not published yet
 *
 * consistent_snapshot is always true. Every change makes a new version; files of published versions are never rewritten (timestamp.json
 * is, by nature). A repository that a cut interrupted is still valid: files first, then what names them.
 */
#ifndef MUSTER_TRUST_REPO_REPO_H
#define MUSTER_TRUST_REPO_REPO_H

#include "base/digest.h"
#include "trust/tuf/signer.h"
#include "trust/tuf/update.h"
#include "wire/tuf/metadata.h"

struct repo;

int repo_open(const char *dir, struct repo **out, struct err *err) must_check; /* NOT_FOUND if there is no root */
void repo_free(struct repo *repo);
MUSTER_CLEANUP(struct repo *, repo_free)
#define cleanup_repo __attribute__((cleanup(repo_freep)))

const struct tuf_metadata *repo_root(const struct repo *repo);
const struct tuf_metadata *repo_targets(const struct repo *repo); /* NULL: none yet */

/* A new fleet. `roles` gives keys (copied) and thresholds of root and targets; timestamp, snapshot, director and audit may come later by repo_edit_root. */
struct repo_keys {
    const struct tuf_key *const *keys; /* public */
    size_t count;
    int64_t threshold;
};
struct repo_plan {
    const char *fleet;
    struct repo_keys root, targets, timestamp, snapshot, director, audit;
    int64_t root_expires_s, targets_expires_s;
};
int repo_init(const char *dir, const struct repo_plan *plan, struct err *err) must_check; /* makes pending/1.root.json, unsigned; EXISTS */

/* Changing means: make the next version as pending, sign it, publish it. *edit is freed by the caller (tuf_metadata_fini); its version is the next. */
int repo_edit_root(const struct repo *repo, struct tuf_metadata *edit, struct err *err) must_check;
int repo_edit_targets(const struct repo *repo, const char *role, struct tuf_metadata *edit, struct err *err) must_check;
int repo_set_target(struct tuf_metadata *edit, const char *path, uint64_t length, const struct digest *sha256, const char *custom_json,
                    struct err *err) must_check;
int repo_remove_target(struct tuf_metadata *edit, const char *path, struct err *err) must_check; /* NOT_FOUND */
int repo_put_pending(struct repo *repo, const char *role, struct tuf_metadata *edit, struct err *err) must_check;

/* Adds a signature to what is pending for the role (a new root also wants signatures of the old root's keys). */
int repo_sign_pending(struct repo *repo, const char *role, const struct tuf_signer *signer, struct err *err) must_check;
/* Publishes what is pending and has its threshold. CONFLICT "1 of 2 signatures …" if it has not. */
int repo_publish(struct repo *repo, const char *role, struct err *err) must_check;

/* musterd's part: takes in metadata made elsewhere, checked exactly as a robot would (next root versions, targets signed, not older, not expired);
 * writes nothing if anything is wrong. UNTRUSTED names the rule. */
int repo_take(struct repo *repo, const char *role, const void *bytes, size_t len, int64_t now_s, struct err *err) must_check;
/* Makes snapshot and timestamp anew where something changed or will have expired by now + margin; does nothing otherwise. */
struct repo_online {
    const struct tuf_signer *snapshot, *timestamp;
    int64_t snapshot_valid_s, timestamp_valid_s, margin_s;
};
int repo_freshen(struct repo *repo, const struct repo_online *online, int64_t now_s, bool *out_changed, struct err *err) must_check;

/* A file as a client asks for it ("timestamp.json", "3.root.json"); NOT_FOUND. Names with '/' or a leading '.' are NOT_FOUND. */
int repo_read(const struct repo *repo, const char *name, struct buf *out, struct err *err) must_check;

#endif
