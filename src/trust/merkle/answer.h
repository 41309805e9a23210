/* What a server says of its audit log when it is asked for a checkpoint (docs/api.md), and who may sign it.
 *
 *     GET /api/v1/audit/checkpoint?since=N
 *     {"checkpoint": "muster.audit/…\n1234\n…", "consistency": ["sha256:…"], "key": "name+hash+…", "broken": "…" or absent}
 *
 * consistency proves that the log of N entries is the beginning of this one. Everything is foreign. */
#ifndef MUSTER_TRUST_MERKLE_ANSWER_H
#define MUSTER_TRUST_MERKLE_ANSWER_H

#include "trust/merkle/checkpoint.h"
#include "trust/merkle/proof.h"
#include "wire/tuf/metadata.h"

enum { CHECKPOINT_ANSWER_MAX_BYTES = 64 << 10 };

struct checkpoint_answer {
    char text[CHECKPOINT_MAX_BYTES + 1]; /* the note */
    struct merkle_proof consistency;
    char key[CHECKPOINT_KEY_SIZE]; /* what the server says its key is: only its word */
    char broken[240];              /* what it says is wrong with its log; "": nothing */
};

/* Strict: unknown members are errors. Errors: TOO_BIG, INVALID. */
int checkpoint_answer_parse(const void *text, size_t len, struct checkpoint_answer *out,
                            struct err *err) must_check;

/* The audit keys that a root of trust names (x-muster); how many, at most `max`. */
size_t checkpoint_root_keys(const struct tuf_root *root, struct public_key *out, size_t max);

/* Whether what is given now goes on where `known` was. `known` is believed, its size may be 0 (nothing is known). *out is set as soon as the
 * checkpoint holds, also if the log is not that one. Errors: INVALID (malformed), else UNTRUSTED with its rule: [audit.signature]
 * [audit.fork] [audit.shrunk]. */
int checkpoint_follows(const struct checkpoint *known, const struct checkpoint_answer *answer,
                       const struct public_key *keys, size_t count, struct checkpoint *out,
                       struct err *err) must_check;

#endif
