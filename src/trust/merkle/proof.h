/* Proofs about a Merkle tree (RFC 9162, section 2.1.3 and 2.1.4), made from stored hashes and checked with nothing but roots.
 *
 *     inclusion      this entry is number i of the log whose root is r          ≤ 63 hashes
 *     consistency    the log with root r is the one with root q, longer         ≤ 64 hashes
 *
 * What is checked here is foreign: any count and any bytes give a plain false. */
#ifndef MUSTER_TRUST_MERKLE_PROOF_H
#define MUSTER_TRUST_MERKLE_PROOF_H

#include "trust/merkle/tree.h"

#include <stdbool.h>

enum { MERKLE_PROOF_MAX = 64 };

struct merkle_proof {
    size_t count;
    struct digest hashes[MERKLE_PROOF_MAX];
};

/* index counts from 0. INVALID if index ≥ size; otherwise only what the source says. */
int merkle_prove_inclusion(const struct merkle_source *source, uint64_t index, uint64_t size,
                           struct merkle_proof *out, struct err *err) must_check;
/* INVALID if before > size. From nothing to something, and from a size to itself, the proof is empty. */
int merkle_prove_consistency(const struct merkle_source *source, uint64_t before, uint64_t size,
                             struct merkle_proof *out, struct err *err) must_check;

bool merkle_check_inclusion(const struct digest *leaf, uint64_t index, uint64_t size,
                            const struct digest *root, const struct merkle_proof *proof);
bool merkle_check_consistency(uint64_t before, const struct digest *before_root, uint64_t size,
                              const struct digest *root, const struct merkle_proof *proof);

#endif
