/* Checks an audit log entry by entry and says where it first goes wrong.
 *
 *     entry 1, 2, 3, … ──▶ follow_entry     a number that is missing or comes twice, bytes that are not those of its hash, an entry that says
 *           │                               it is another one
 *           └─ at the size of a checkpoint ──▶ follow_checkpoint     everything up to here is what was signed
 *
 * What is wrong with an entry whose hash was changed along with it shows at the next checkpoint; the fault is then one of the entries since
 * the last that held. Who remembers the hash of each entry (follow_compare) is told the very entry, whoever rewrote what. */
#ifndef MUSTER_TRUST_MERKLE_FOLLOW_H
#define MUSTER_TRUST_MERKLE_FOLLOW_H

#include "trust/merkle/checkpoint.h"
#include "trust/merkle/tree.h"

struct follow { /* zeroed: from the beginning */
    struct merkle_tree tree;
    uint64_t held; /* up to here a checkpoint holds */
};

/* Errors: CORRUPT with the first number that is wrong and how; nothing is taken in then. */
int follow_entry(struct follow *follow, uint64_t seq, const char *entry, size_t len,
                 const struct digest *hash, struct err *err) must_check;

/* Of exactly the size that was followed. CORRUPT with the entries among which the wrong one is. */
int follow_checkpoint(struct follow *follow, const struct checkpoint *checkpoint, struct err *err) must_check;

/* The hash that entry `seq` had when it was looked at before. CORRUPT. */
int follow_compare(uint64_t seq, const struct digest *hash, const struct digest *before,
                   struct err *err) must_check;

#endif
