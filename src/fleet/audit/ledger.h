/* The server's audit log: entries in the store, a Merkle tree over them, and checkpoints signed with the audit key.
 *
 *     request ── ledger_append ──┐                                      same transaction as what the entry tells of
 *     request ── ledger_append ──┼─▶ ledger_seal ─▶ COMMIT ─▶ replies   the tree takes in what is new; a checkpoint if one is due
 *                                └─▶ fails ─▶ ledger_settle(false)      and the memory goes back to what is on the disk
 *
 * - An entry is durable before anybody hears of what it tells: the reply waits for the commit (core/group.h).
 * - A checkpoint is due after 256 entries or one second with a new one, and whenever somebody asks. It is on the disk before it is given
 *   out, so that no crash can make the log go back behind it.
 * - Checkpoints only extend each other: a log that does not hold its own newest checkpoint is never signed again. Then the old
 *   checkpoint is what is given out, entries go on being written, and `muster audit verify` finds what is wrong.
 * - The key may be replaced while the server runs (trust/repo/online.h): the next checkpoint is signed with the new one.
 * - Appending needs no tree and no key: `musterd token` does it beside a server that runs. */
#ifndef MUSTER_FLEET_AUDIT_LEDGER_H
#define MUSTER_FLEET_AUDIT_LEDGER_H

#include "base/err.h"
#include "base/mem.h"
#include "fleet/store/store.h"
#include "trust/audit.h"
#include "trust/key.h"
#include "trust/merkle/checkpoint.h"
#include "trust/merkle/tree.h"

#include <stdbool.h>
#include <stdint.h>

enum { LEDGER_EVERY_ENTRIES = 256, LEDGER_EVERY_MS = 1000 };

/* Number and time are filled in here. Robots of one entry are at most AUDIT_ENTRY_ROBOTS: more become more entries. Wants an open transaction. */
int ledger_append(struct store *store, const struct audit_entry *entry, struct err *err) must_check;

struct ledger;

/* The key is DIR/online/audit.key (trust/repo/online.h); it is made if it is not there. The store is borrowed. */
int ledger_open(struct store *store, const char *dir, struct ledger **out, struct err *err) must_check;
void ledger_free(struct ledger *ledger);
MUSTER_CLEANUP(struct ledger *, ledger_free)
#define cleanup_ledger __attribute__((cleanup(ledger_freep)))

/* In an open transaction, as the last thing before it is committed, or to have a checkpoint of all that is in it (`now`). After a commit
 * that succeeded ledger_settle(true), after one that failed, or a request that was taken back behind this, ledger_settle(false). */
int ledger_seal(struct ledger *ledger, bool now, int64_t now_ms, struct err *err) must_check;
void ledger_settle(struct ledger *ledger, bool kept);
bool ledger_due(const struct ledger *ledger,
                int64_t now_ms); /* the last entries wait for a checkpoint long enough */

/* The newest checkpoint, sealed in this transaction or before; size 0 and "" if there is none. Valid until the next call that seals or settles. */
uint64_t ledger_size(const struct ledger *ledger);
const char *ledger_checkpoint(const struct ledger *ledger);
/* NULL: sound. Else why it is not signed any more. */
const char *ledger_broken(const struct ledger *ledger);

struct merkle_source ledger_source(const struct ledger *ledger);
const struct public_key *ledger_key(const struct ledger *ledger);
const char *ledger_origin(const struct ledger *ledger); /* the log's name in its checkpoints */

#endif
