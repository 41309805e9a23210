/* The keys that a server holds: what the root delegates to it, and nothing more. With all of them an attacker can withhold and delay,
 * but not release (docs/trust.md).
 *
 *     DIR/online/timestamp.key   which snapshot is the newest       TUF role
 *     DIR/online/snapshot.key    which metadata belong together     TUF role
 *     DIR/online/director.key    which robot gets which release     x-muster of root
 *     DIR/online/audit.key       how long the audit log is          x-muster of root
 *     DIR/online.json            their public halves, for `muster keys init --online`; derived from the keys, may be given to anybody
 *
 * Keys are Ed25519, 0600, without a passphrase (the server starts alone). online.json:
 *
 *     {"schema": 1, "timestamp": {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "…64 hex…"}}, "snapshot": {…},
 *      "director": {…}, "audit": {…}}
 *
 * Strict: unknown members, other key types and one key for two roles are refused.
 *
 * Rotation needs no pause: the next key waits beside the one in use until a root names it.
 *
 *     online_rotate ─▶ ROLE.next.key, online.json names it ─▶ a root with it is signed offline and pushed ─▶ online_settle: it is the key
 */
#ifndef MUSTER_TRUST_REPO_ONLINE_H
#define MUSTER_TRUST_REPO_ONLINE_H

#include "base/err.h"
#include "base/mem.h"
#include "trust/tuf/signer.h"
#include "wire/tuf/metadata.h"

#include <stdbool.h>
#include <stddef.h>

enum online_role { ONLINE_TIMESTAMP, ONLINE_SNAPSHOT, ONLINE_DIRECTOR, ONLINE_AUDIT, ONLINE_ROLES };
const char *online_role_name(enum online_role role); /* "director" */

/* Makes the keys that are missing in DIR/online/ and writes DIR/online.json anew; a key that is there is kept. */
int online_make(const char *dir, struct err *err) must_check;

/* Makes the role's next key (one that waits already is kept) and writes online.json anew. */
int online_rotate(const char *dir, enum online_role role, struct err *err) must_check;
/* A next key that this root names, in place of one that it does not name any more, becomes the key. May be called again at any time. */
int online_settle(const char *dir, const struct tuf_root *root, struct err *err) must_check;
bool online_role_from_name(const char *name, enum online_role *out);

/* All four, with their private halves. Errors: NOT_FOUND (the server was made by an older version: musterd init makes them), INVALID,
 * REFUSED if group or others have any right to one. */
struct online;
int online_load(const char *dir, struct online **out, struct err *err) must_check;
void online_free(struct online *online);
MUSTER_CLEANUP(struct online *, online_free)
#define cleanup_online __attribute__((cleanup(online_freep)))

const struct tuf_signer *online_signer(const struct online *online,
                                       enum online_role role); /* tuf_signer_public: its public half */

const struct tuf_signer *online_next(const struct online *online,
                                     enum online_role role); /* NULL: none waits */
/* Who speaks for the role in this root. */
const struct tuf_keyset *online_keyset(const struct tuf_root *root, enum online_role role);

/* online.json on the workstation. Strings are owned; `id` is the default keyid. */
struct online_public {
    struct tuf_key keys[ONLINE_ROLES];
};
int online_public_parse(const void *text, size_t len, struct online_public *out, struct err *err) must_check;
int online_public_load(const char *path, struct online_public *out, struct err *err) must_check;
char *
online_public_format(const struct online_public *keys); /* stable JSON; free() it; NULL: out of memory */
void online_public_fini(struct online_public *keys);
#define cleanup_online_public __attribute__((cleanup(online_public_fini)))

#endif
