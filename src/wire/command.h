/* What a human orders a robot to do: a document signed with the operator's own key, which the robot checks for itself.
 *
 * {"schema": 1, "robots": ["r1", "r7"], "verb": "override", "operator": "alice", "reason": "blocked aisle",
 *  "nonce": "32 hex digits", "issued_ms": …, "expires_ms": …, "lease": 0, "ttl_ms": 5000}
 *
 * verb       hold release override renew fallback rollback stop reset restart service
 * robots     1 … 1024 ids, sorted, no doubles: one signature for all of them. No wildcard: who signs names whom he means.
 * operator   the name of the key in the robot's operator keyring; a signature of another key does not count for it
 * nonce      never used before; a robot remembers those that have not expired
 * expires_ms wall clock; at most 5 minutes after issued_ms. A robot takes a command only between the two (with
 *            COMMAND_SKEW_MS of grace before), so what was held back on the way is void.
 * lease      renew, release of an override: the number of the lease on that robot (then `robots` has one member); else 0
 * ttl_ms     override, renew: 200 … 60000; else 0
 *
 * On the wire it travels in an envelope: {"command": "base64 of exactly these bytes", "signatures": [{"keyid", "sig"}]}; the signature is
 * Ed25519 over "muster-command-v1\n" and the bytes (trust/command.h).
 */
#ifndef MUSTER_WIRE_COMMAND_H
#define MUSTER_WIRE_COMMAND_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COMMAND_MAX_ROBOTS = 1024, COMMAND_MAX_LIFE_MS = 300000, COMMAND_SKEW_MS = 30000 };

enum command_verb {
    COMMAND_HOLD,
    COMMAND_RELEASE,
    COMMAND_OVERRIDE,
    COMMAND_RENEW,
    COMMAND_FALLBACK,
    COMMAND_ROLLBACK, /* the agent: back to the previous release now; the guard answers with the fallback meanwhile */
    COMMAND_STOP,
    COMMAND_RESET,
    COMMAND_RESTART,
    COMMAND_SERVICE,
    COMMAND_VERB_COUNT
};

struct command {
    size_t robot_count;
    char (*robots)[64]; /* owned */
    enum command_verb verb;
    char operator_name[48];
    char reason[112]; /* one line, not empty */
    char nonce[33];
    int64_t issued_ms, expires_ms;
    uint64_t lease;
    uint32_t ttl_ms;
};

/* Strict. Errors: INVALID naming the member. After -1 nothing is owned. */
int command_parse(const void *text, size_t len, struct command *out, struct err *err) must_check;
char *command_format(const struct command *command); /* canonical JSON; free() it; NULL: out of memory */
void command_fini(struct command *command);
#define cleanup_command __attribute__((cleanup(command_fini)))
bool command_names(const struct command *command, const char *robot);
const char *command_verb_name(enum command_verb verb);
bool command_verb_parse(const char *text, enum command_verb *out);

#endif
