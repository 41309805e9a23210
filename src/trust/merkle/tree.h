/* A Merkle tree over the entries of a log (RFC 6962, section 2.1), kept so that appending and proving read little.
 *
 *     leaf(e)    = SHA-256(0x00 ‖ e)
 *     node(l, r) = SHA-256(0x01 ‖ l ‖ r)            the two can never pass as each other
 *     root of n leaves: split at the largest power of two below n; the root of none is SHA-256 of nothing
 *
 *                       root(7)
 *                    ┌─────┴─────┐
 *                  p[2]        ┌─┴──┐          peaks of 7 = 111b: complete subtrees of 4, 2 and 1 leaves. They are all that appending needs,
 *               ┌───┴───┐    p[1]  p[0]        and what is stored of a tree that is written once.
 *              ┌┴─┐   ┌─┴┐  ┌─┴┐    │
 *              0  1   2  3  4  5    6
 *
 * Hashes are stored in the tiles of C2SP tlog-tiles: level 0 is the leaves, the hash (L, i) of a level L is the root of the complete subtree of
 * the 256^L leaves from i * 256^L on. Everything between is computed from one row of at most 256.
 *
 * Sizes are at most INT64_MAX. Nothing here fails but by its callbacks, except where it says so. */
#ifndef MUSTER_TRUST_MERKLE_TREE_H
#define MUSTER_TRUST_MERKLE_TREE_H

#include "base/digest.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { MERKLE_TILE_HEIGHT = 8, MERKLE_TILE_WIDTH = 256, MERKLE_LEVELS = 8, MERKLE_PEAKS = 63 };

struct digest merkle_leaf(const void *entry, size_t len);
struct digest merkle_node(const struct digest *left, const struct digest *right);

struct merkle_tree { /* a zeroed one is empty */
    uint64_t size;
    struct digest
        peaks[MERKLE_PEAKS]; /* peaks[h]: the complete subtree of 2^h leaves, where bit h of size is set */
};

/* Is called with each hash of levels 1 and up that a leaf completes, lowest level first. */
typedef int merkle_emit(unsigned level, uint64_t index, const struct digest *hash, void *arg,
                        struct err *err);

/* `emit` may be NULL. If it fails the tree stays as it was. */
int merkle_append(struct merkle_tree *tree, const struct digest *leaf, merkle_emit *emit, void *arg,
                  struct err *err) must_check;
struct digest merkle_root(const struct merkle_tree *tree);

/* Where stored hashes come from: `count` of them (at most 256, of one tile) from (level, index) on. Fails with CORRUPT if one is missing. */
struct merkle_source {
    int (*read)(void *arg, unsigned level, uint64_t index, size_t count, struct digest *out, struct err *err);
    void *arg;
};

/* Root over the leaves begin … end-1, of a log that has at least `end`; begin is a multiple of the largest power of two that fits into the range
 * (every range of a proof is). */
int merkle_range(const struct merkle_source *source, uint64_t begin, uint64_t end, struct digest *out,
                 struct err *err) must_check;
/* The tree of the first `size` leaves. */
int merkle_restore(const struct merkle_source *source, uint64_t size, struct merkle_tree *out,
                   struct err *err) must_check;

#endif
