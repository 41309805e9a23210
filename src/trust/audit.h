/* The audit log's chain: each entry's hash covers the one before it, so that a change anywhere shows and is located.
 *
 *     hash(n) = SHA-256( hash(n-1) ‖ entry(n) )          hash(0) = 32 zero bytes; numbers are 1, 2, 3, … without a hole
 *
 * An entry is one line of JSON; the hash is over these very bytes, whatever else would mean the same:
 *
 *     {"seq": 7, "time_ms": …, "kind": "command", "who": "alice", "what": "stop", "why": "smoke", "robots": ["r1"],
 *      "command": 12, "sent_by": "operator", "release": "sha256:…" or absent, "generation": 4, "lease": 0, "text": "…"}
 *
 * kind       command: somebody ordered something; outcome: what a robot made of it; local: a command given at the robot
 *            itself; guard: the guard of a robot changed its state; rollout, revoked: acts on the fleet
 * release    whose output was overridden (outcome, local)
 *
 * The chain tells what was changed, removed or slipped in between; that the *end* was cut off tells only who remembers how
 * far it went (muster audit verify --remember).
 */
#ifndef MUSTER_TRUST_AUDIT_H
#define MUSTER_TRUST_AUDIT_H

#include "base/digest.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct audit_chain { /* how far it is known to be sound; zero: from the beginning */
    uint64_t seq;
    struct digest head;
};

struct digest audit_hash(const struct digest *previous, const char *entry);

/* Takes the next record. Errors: CORRUPT with the first number that is wrong and how; the chain stays where it was. */
int audit_follow(struct audit_chain *chain, uint64_t seq, const char *entry, const struct digest *hash,
                 struct err *err) must_check;

struct audit_entry {
    uint64_t seq;
    int64_t time_ms;
    const char *kind, *who, *what, *why, *text, *sent_by; /* borrowed; NULL or "": left out */
    const char *const *robots;
    size_t robot_count;
    uint64_t command, generation, lease; /* 0: left out */
    struct digest release;               /* zero: left out */
};

char *audit_entry_format(const struct audit_entry *entry); /* free() it; NULL: out of memory */

#endif
