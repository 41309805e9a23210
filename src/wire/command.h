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
 * lease      the number of the lease that the operator holds on that robot (then `robots` has one member): needed to renew it
 *            and, while it is held, for all but stop; else 0
 * ttl_ms     override, renew: 200 … 60000; else 0
 *
 * Members are strict (json.h), the order is any: the signature is over the bytes as they came.
 * On the wire it travels in an envelope: {"command": "base64 of exactly these bytes", "signatures": [{"keyid", "sig"}]}; the signature is
 * Ed25519 over "muster-command-v1\n" and the bytes (trust/command.h).
 *
 * What became of it is told in one line, the text of a REPORT_OPERATOR record (wire/api.h); `release` of that record is the
 * release whose output stood back:
 *
 *     override accepted (command 12, lease 7, generation 4) by alice: blocked aisle
 *     release refused (command 13, lease 0, generation 4) by bob: alice holds lease 7 …
 *     stop accepted (command 0, lease 0, generation 4) by local: …            command 0: given at the robot itself
 */
#ifndef MUSTER_WIRE_COMMAND_H
#define MUSTER_WIRE_COMMAND_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    COMMAND_MAX_ROBOTS = 1024,
    COMMAND_MAX_LIFE_MS = 300000,
    COMMAND_SKEW_MS = 30000,
    COMMAND_MAX_BYTES = 96 << 10,
    COMMAND_MIN_TTL_MS = 200,
    COMMAND_MAX_TTL_MS = 60000
};

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

/* Strict; up to COMMAND_MAX_BYTES. Errors: INVALID naming the member. After -1 nothing is owned. */
int command_parse(const void *text, size_t len, struct command *out, struct err *err) must_check;
char *command_format(const struct command *command); /* canonical JSON; free() it; NULL: out of memory */
void command_fini(struct command *command);
#define cleanup_command __attribute__((cleanup(command_fini)))
bool command_names(const struct command *command, const char *robot);
const char *command_verb_name(enum command_verb verb);
bool command_verb_parse(const char *text, enum command_verb *out);

/* Whether the robot may take it now, by its own wall clock: REFUSED with what is wrong (expired, not yet). */
int command_timely(const struct command *command, int64_t now_ms, struct err *err) must_check;

struct command_outcome {
    uint64_t id; /* the server's number of the command on this robot; 0: given at the robot */
    enum command_verb verb;
    bool accepted;
    uint64_t lease;      /* given or kept; 0: none */
    uint64_t generation; /* who answered until then; 0: nobody */
    char who[48];
    char text[160]; /* accepted: the reason that was given; refused: why it was */
};

/* One line, cut at its end to `out_size` (at least 128). */
void command_outcome_format(const struct command_outcome *outcome, char *out, size_t out_size);
/* False: it is no such line. `who` and `text` may have been cut. */
bool command_outcome_parse(const char *text, struct command_outcome *out);

#endif
