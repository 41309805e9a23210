/* What this server may say in the name of its fleet, and what the offline keys said: its online keys (trust/repo/online.h) and the TUF repository
 * that it keeps in DIR/trust/ (trust/repo/repo.h). No network, no clock of its own.
 *
 *     root.json (given at the start) ─▶ DIR/trust/ ◀── authority_take: root, targets, delegated roles, signed offline, checked like on a robot
 *                                          │
 *                          authority_freshen: snapshot, then timestamp         authority_sign: an assignment of the director
 *                                          │
 *                          authority_read: what robots and workstations fetch
 *
 * - The first root is never taken over the network: without one there is no repository (authority_root is NULL) and the rest is refused.
 * - A root that does not name this server's keys is refused: it would leave the fleet without timestamps.
 * - What the targets say of a release is looked up as a robot would (tuf/update.h): what a robot refuses is not rolled out.
 */
#ifndef MUSTER_FLEET_AUTHORITY_AUTHORITY_H
#define MUSTER_FLEET_AUTHORITY_AUTHORITY_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "trust/repo/online.h"
#include "wire/assignment.h"
#include "wire/terms.h"
#include "wire/tuf/metadata.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct authority;

struct authority_options {
    const char *dir;  /* the server's */
    const char *root; /* file with the first root; NULL: none is given */
    int64_t timestamp_valid_s, snapshot_valid_s, assignment_valid_s; /* 0: a day, a week, a week */
};

/* Makes online keys where there is neither a key nor a repository (a directory of an older version). Finishes what a cut interrupted.
 * Errors: NOT_FOUND for a missing key; UNTRUSTED for a root that does not fit the repository. */
int authority_open(const struct authority_options *options, int64_t now_s, struct authority **out,
                   struct err *err) must_check;
void authority_free(struct authority *authority);
MUSTER_CLEANUP(struct authority *, authority_free)
#define cleanup_authority __attribute__((cleanup(authority_freep)))

const struct tuf_root *authority_root(const struct authority *authority); /* NULL: there is none */
const char *authority_fleet(const struct authority *authority);           /* "": no root, or it names none */
const struct online *authority_online(const struct authority *authority);
int64_t authority_assignment_valid_s(const struct authority *authority);
/* How often to call authority_freshen. */
int64_t authority_period_s(const struct authority *authority);

/* Whether metadata signed offline would be taken in; nothing changes. *out_version: its version; *out_known: it is there already.
 * Errors: CONFLICT without a root; UNTRUSTED that names its rule; REFUSED for roles that are the server's own, or a root without its keys. */
int authority_check(struct authority *authority, const char *role, const void *bytes, size_t len,
                    int64_t now_s, int64_t *out_version, bool *out_known, struct err *err) must_check;
/* Takes it in, and makes snapshot and timestamp anew. After -1 the old state stands, or the next authority_freshen ends what was begun. */
int authority_take(struct authority *authority, const char *role, const void *bytes, size_t len,
                   int64_t now_s, struct err *err) must_check;
int authority_freshen(struct authority *authority, int64_t now_s, bool *out_changed,
                      struct err *err) must_check;

/* A file by its name as clients ask for it; NOT_FOUND. */
int authority_read(const struct authority *authority, const char *name, struct buf *out,
                   struct err *err) must_check;

/* Role by role: when it expires. False: there is none. */
bool authority_expiry(const struct authority *authority, enum tuf_kind kind, int64_t *out_version,
                      int64_t *out_expires_s);

/* What the offline keys say of NAME/VERSION. UNTRUSTED: "[targets.unknown] …" if they do not name it, another rule if the chain does not
 * hold (expired); "[release.fleet] …" if it is not for this fleet; CONFLICT without a root. */
struct authority_release {
    struct digest digest; /* of the manifest */
    uint64_t length;
    struct terms terms;
};
int authority_release(struct authority *authority, const char *name, const char *version, int64_t now_s,
                      struct authority_release *out, struct err *err) must_check;
/* Whose signatures of the published targets hold: key ids. */
size_t authority_signers(const struct authority *authority, char (*out)[65], size_t max);
/* The operators' keyring of the fleet; NOT_FOUND if the targets have none. */
int authority_operators(struct authority *authority, int64_t now_s, struct digest *out,
                        struct err *err) must_check;

/* The envelope; free() it. NULL with *err: CONFLICT if root names no director or another one. `fleet` is filled in. */
char *authority_sign(const struct authority *authority, const struct assignment *assignment, struct err *err);

#endif
