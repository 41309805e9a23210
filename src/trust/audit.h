/* An entry of the audit log: one line of JSON, written once. These very bytes are a leaf of the log's Merkle tree (trust/merkle/tree.h),
 * whatever else would mean the same; trust/merkle/follow.h checks a log entry by entry.
 *
 *     {"seq": 7, "time_ms": …, "kind": "command", "who": "alice", "what": "stop", "why": "smoke", "robots": ["r1"],
 *      "command": 12, "sent_by": "operator", "release": "sha256:…" or absent, "generation": 4, "lease": 0, "text": "…"}
 *
 * seq        1, 2, 3, …: entry n is leaf n-1
 * kind       command: somebody ordered something; outcome: what a robot made of it; local: a command given at the robot itself;
 *            guard: the guard of a robot changed its state; robot: what became of a release on a robot; identity: tokens, enrolments,
 *            renewals, revocations; release, metadata, approval: what was taken in; rollout: what was begun, held, ended, and by whom;
 *            incident: a recording was taken in; witness: a robot says that this log is not the one it knows; audit: the log itself
 * release    whose output was overridden (outcome, local); what it is about (release, rollout, robot)
 */
#ifndef MUSTER_TRUST_AUDIT_H
#define MUSTER_TRUST_AUDIT_H

#include "base/digest.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { AUDIT_ENTRY_ROBOTS = 256 }; /* so that an entry fits into a bundle of tlog-tiles (64 KiB) */

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
