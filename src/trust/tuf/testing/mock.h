/* A TUF repository in memory that publishes what is right, and everything that is wrong: for tests, fuzzing and bench/attack.
 *
 *     role's `signed` ── publish: version + 1, sign ──▶ files "3.root.json" … ── pump ──▶ tuf_update ──▶ shelf
 *        ▲ set, drop,                                    ▲ patch, serve, hide, flood         │
 *          trust, rotate, delegate …                     └──────────── log of names ◀────────┘
 *
 *     struct tuf_mock *mock = tuf_mock_new(now_s);                  // root, targets, snapshot, timestamp: version 1, one key each
 *     tuf_mock_target(mock, "targets", "a/b", "bytes", 5);
 *     tuf_mock_release(mock);                                       // targets that changed, then snapshot, then timestamp
 *     tuf_mock_set(mock, "timestamp", "/meta/snapshot.json/version", "1");
 *     tuf_mock_publish(mock, "timestamp");                          // as it was edited: a rollback
 *     tuf_mock_refresh(mock, shelf, &err)                           → -1, "[timestamp.rollback] …"
 *
 * - Places in documents are JSON pointers (RFC 6901): "/roles/root/threshold", "/meta/a~1b.json", "/signatures/-" appends.
 * - Nothing here is checked: that is the point. What is asked wrongly (a role that is not there, text that is no JSON) sticks as the
 *   first error and comes out of the pump as INTERNAL, so that a test reads straight through.
 * - The canonical form that is signed is computed here once more, independently of wire/tuf.
 * - One thread; everything is deterministic but the keys.
 */
#ifndef MUSTER_TRUST_TUF_TESTING_MOCK_H
#define MUSTER_TRUST_TUF_TESTING_MOCK_H

#include "base/digest.h"
#include "trust/tuf/shelf.h"
#include "trust/tuf/signer.h"
#include "trust/tuf/update.h"

struct tuf_mock;

enum { TUF_MOCK_VALID_S = 30 * 86400 }; /* of everything that tuf_mock_new makes */

struct tuf_mock *tuf_mock_new(int64_t now_s); /* NULL: out of memory */
void tuf_mock_free(struct tuf_mock *mock);
MUSTER_CLEANUP(struct tuf_mock *, tuf_mock_free)
#define cleanup_tuf_mock __attribute__((cleanup(tuf_mock_freep)))
const struct err *tuf_mock_error(const struct tuf_mock *mock); /* the first one that stuck; code NONE: none */

int64_t tuf_mock_now(const struct tuf_mock *mock);
void tuf_mock_at(struct tuf_mock *mock, int64_t now_s); /* the client's clock from here on */

/* ---- keys: numbers; the four of a new mock are the TUF_ROOT … TUF_TARGETS of enum tuf_kind ---- */

int tuf_mock_key(struct tuf_mock *mock, enum tuf_scheme scheme);
int tuf_mock_key_named(struct tuf_mock *mock, enum tuf_scheme scheme,
                       const char *keyid); /* a keyid that is no hash of the key */
const struct tuf_signer *tuf_mock_signer(const struct tuf_mock *mock, int key);
const char *tuf_mock_keyid(const struct tuf_mock *mock, int key);

/* `by`: "root", or the role that delegates to `role` ("root" delegates to the four). Says who may sign … */
void tuf_mock_trust(struct tuf_mock *mock, const char *by, const char *role, int key);
void tuf_mock_distrust(struct tuf_mock *mock, const char *by, const char *role, int key);
void tuf_mock_threshold(struct tuf_mock *mock, const char *by, const char *role, int threshold);
/* … and who does. */
void tuf_mock_sign(struct tuf_mock *mock, const char *role, int key);
void tuf_mock_unsign(struct tuf_mock *mock, const char *role, int key);
/* A new key takes the place of all others. Those of root sign the next root once more, as the chain wants. Returns the key. */
int tuf_mock_rotate(struct tuf_mock *mock, const char *by, const char *role);

/* ---- what will be published ---- */

void tuf_mock_set(struct tuf_mock *mock, const char *role, const char *pointer, const char *json_format, ...)
    __attribute__((format(printf, 4, 5)));
void tuf_mock_drop(struct tuf_mock *mock, const char *role, const char *pointer);
void tuf_mock_expire(struct tuf_mock *mock, const char *role, int64_t at_s);
void tuf_mock_target(struct tuf_mock *mock, const char *role, const char *path, const void *bytes,
                     size_t len);

struct tuf_mock_delegation {
    const char *name;
    const char *const *paths; /* NULL-terminated; NULL: none */
    const char *const *prefixes;
    bool terminating;
};
/* The role is made if it is not there. Its key is new for every delegation, and both sign. Returns the key. */
int tuf_mock_delegate(struct tuf_mock *mock, const char *by, const struct tuf_mock_delegation *delegation);
/* 2^bit_length empty bins "prefix-00" …, all signed by one new key, which is returned. */
int tuf_mock_succinct(struct tuf_mock *mock, const char *by, int bit_length, const char *prefix);

/* ---- publishing ---- */

/* Signs and serves one role as it stands. Its version goes up by one unless it was edited since the last time. */
void tuf_mock_publish(struct tuf_mock *mock, const char *role);
void tuf_mock_republish(struct tuf_mock *mock,
                        const char *role); /* the same version once more, as it was edited */
/* Writes into snapshot or timestamp what they should name now. */
void tuf_mock_sync(struct tuf_mock *mock, const char *role);
void tuf_mock_with_hashes(struct tuf_mock *mock, bool yes); /* sync also writes length and sha256 */
/* Every targets role that was edited, then snapshot and timestamp. */
void tuf_mock_release(struct tuf_mock *mock);
int64_t tuf_mock_version(const struct tuf_mock *mock, const char *role); /* published last; 0: never */

/* ---- what the server gives ---- */

const struct buf *tuf_mock_file(const struct tuf_mock *mock, const char *name); /* NULL: none */
const struct buf *tuf_mock_past(const struct tuf_mock *mock, const char *role,
                                int64_t version); /* as it was published */
void tuf_mock_serve(struct tuf_mock *mock, const char *name, const void *bytes, size_t len); /* these bytes */
void tuf_mock_patch(struct tuf_mock *mock, const char *name, const char *pointer, const char *json_format,
                    ...)
    __attribute__((format(printf, 4,
                          5))); /* the whole file is edited, "/signed/version"; it is not signed again */
void tuf_mock_hide(struct tuf_mock *mock, const char *name);
void tuf_mock_flood(struct tuf_mock *mock, const char *name); /* endless data */
/* Called before each answer, e.g. to publish in the middle of an update. NULL: no more. */
void tuf_mock_on_want(struct tuf_mock *mock, void (*hook)(struct tuf_mock *mock, const char *name, void *arg),
                      void *arg);
const char *tuf_mock_log(const struct tuf_mock *mock); /* names asked for, "2.root.json timestamp.json" */
void tuf_mock_log_clear(struct tuf_mock *mock);

/* ---- the client ---- */

/* The newest root that was published becomes the shelf's anchor. */
int tuf_mock_anchor(const struct tuf_mock *mock, struct tuf_shelf *shelf, struct err *err) must_check;
/* Answers until the update ends. -1: it failed. */
int tuf_mock_pump(struct tuf_mock *mock, struct tuf_update *update, struct err *err) must_check;
int tuf_mock_refresh(struct tuf_mock *mock, struct tuf_shelf *shelf,
                     struct err *err) must_check; /* a new update, to its end */
/* *out may be NULL. UNTRUSTED targets.unknown if no role names the path. */
int tuf_mock_seek(struct tuf_mock *mock, struct tuf_shelf *shelf, const char *path, struct digest *out,
                  struct err *err) must_check;
/* The same with limits. `path` NULL: only refresh. */
int tuf_mock_run(struct tuf_mock *mock, struct tuf_shelf *shelf, const struct tuf_limits *limits,
                 const char *path, struct digest *out, struct err *err) must_check;

#endif
