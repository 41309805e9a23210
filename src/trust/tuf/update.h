/* The TUF client (1.0.34 section 5) without input and output: it says what it needs next and is given it. The same machine runs in
 * `muster tuf`, in the agent's event loop, in musterd (which checks what is pushed to it) and in bench/attack.
 *
 *     struct tuf_update *u;
 *     tuf_update_new(&options, &u, &err);                 loads and checks what the shelf holds; the clock is fixed from here on
 *     tuf_update_refresh(u);                              or tuf_update_seek(u, path), which refreshes first if that was not done
 *     while (tuf_update_step(u, &want, &err) == TUF_WANT) {
 *         fetch want.name, at most want.max_bytes         "3.root.json": below the metadata URL, percent-encoded already
 *         tuf_update_give(u, bytes, len)  or  tuf_update_lack(u)  (404 or 403)  or  tuf_update_overflow(u)  (more than max_bytes)
 *     }                                                   → TUF_DONE, or TUF_FAILED with *err, whose text names the rule (trust/rule.h)
 *     tuf_update_target(u)                                what seek found
 *
 *     root N+1, N+2 … ▶ timestamp ▶ snapshot ▶ targets ▶ (delegations, depth first, in order of preference)
 *
 * - Everything is checked against *trusted* metadata; a file gets onto the shelf, byte for byte, only after all its checks.
 *   What was stored stays valid whatever happens next (old-good or new-good after a cut at any instruction).
 * - Local metadata that has expired never blocks an update; new metadata that has expired is refused. When the keys of timestamp or snapshot
 *   change in a root, both leave the shelf (fast-forward recovery, 5.3.11).
 * - A timestamp of the same version is not an error and changes nothing. A cached delegated role is verified against the role that delegates
 *   to it *now*.
 * - `now_s` should be max(wall clock, what time_floor says): a clock that was set back cannot unexpire metadata.
 */
#ifndef MUSTER_TRUST_TUF_UPDATE_H
#define MUSTER_TRUST_TUF_UPDATE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "wire/tuf/metadata.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where trusted metadata is kept, by role name (any bytes; a directory encodes them). Implementations: shelf.h. */
struct tuf_shelf;
struct tuf_shelf_ops {
    int (*load)(struct tuf_shelf *shelf, const char *role, struct buf *out,
                struct err *err) must_check; /* NOT_FOUND */
    int (*store)(struct tuf_shelf *shelf, const char *role, const void *bytes, size_t len,
                 struct err *err) must_check; /* atomic and durable */
    int (*remove)(struct tuf_shelf *shelf, const char *role,
                  struct err *err) must_check; /* missing is fine */
};
struct tuf_shelf {
    const struct tuf_shelf_ops *ops;
};

struct tuf_limits {                              /* bytes; 0: the default, which is python-tuf's */
    uint64_t root, timestamp, snapshot, targets; /* 512000, 16384, 2000000, 5000000 */
    int root_rotations;                          /* 1024 */
    int delegations;                             /* 32 roles looked at for one target */
};

struct tuf_update_options {
    struct tuf_shelf *shelf; /* borrowed; must hold a root: tuf_trust */
    int64_t now_s;
    struct tuf_limits limits;
};

/* Takes a root as the trust anchor: signed by its own keys, stored. Errors: UNTRUSTED, INVALID, EXISTS if the shelf has a root. */
int tuf_trust(struct tuf_shelf *shelf, const void *root, size_t len, struct err *err) must_check;

struct tuf_update;
/* Errors: NOT_FOUND if the shelf has no root; UNTRUSTED, CORRUPT if its root is damaged. Damaged other metadata is as if it were not there. */
int tuf_update_new(const struct tuf_update_options *options, struct tuf_update **out,
                   struct err *err) must_check;
void tuf_update_free(struct tuf_update *update);
MUSTER_CLEANUP(struct tuf_update *, tuf_update_free)
#define cleanup_tuf_update __attribute__((cleanup(tuf_update_freep)))

void tuf_update_refresh(struct tuf_update *update);
void tuf_update_seek(struct tuf_update *update, const char *target_path);

enum tuf_step { TUF_WANT, TUF_DONE, TUF_FAILED };
struct tuf_want {
    const char *name; /* borrowed until the next call */
    uint64_t max_bytes;
};
enum tuf_step tuf_update_step(struct tuf_update *update, struct tuf_want *out, struct err *err);
void tuf_update_give(struct tuf_update *update, const void *bytes, size_t len); /* copied */
void tuf_update_lack(struct tuf_update *update);
void tuf_update_overflow(struct tuf_update *update);

/* What the last seek found, or NULL. Lives as long as `update`, also after the next seek. A seek that finds nothing has FAILED with
 * targets.unknown, and another one may follow. */
const struct tuf_target *tuf_update_target(const struct tuf_update *update);
/* Trusted now (NULL: not there yet). Before a refresh: what the shelf holds, perhaps expired; current only after TUF_DONE. */
const struct tuf_root *tuf_update_root(const struct tuf_update *update);
const struct tuf_metadata *tuf_update_role(const struct tuf_update *update,
                                           const char *role); /* "root", "targets", … */
/* The latest time that trusted metadata proves to have been reached; 0: none. For robots with a wrong clock. TUF metadata does not say when it
 * was signed: this is the `issued` of x-muster in timestamps that musterd signs, if any, but no later than the timestamp and the root expire
 * (who has the timestamp key could else put a robot's clock beyond any root). */
int64_t tuf_update_time_floor(const struct tuf_update *update);

#endif
