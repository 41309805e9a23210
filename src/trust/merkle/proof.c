#include "trust/merkle/proof.h"

#include "base/mem.h"

#include <assert.h>

/* The largest power of two below n; n > 1. */
static uint64_t split(uint64_t n)
{
    return (uint64_t)1 << (63 - __builtin_clzll(n - 1));
}

static int add(const struct merkle_source *source, uint64_t begin, uint64_t end, struct merkle_proof *proof,
               struct err *err)
{
    assert(proof->count < MERKLE_PROOF_MAX);
    return merkle_range(source, begin, end, &proof->hashes[proof->count++], err);
}

static void reverse(struct merkle_proof *proof)
{
    for (size_t i = 0; i < proof->count / 2; i++) {
        struct digest hash = proof->hashes[i];
        proof->hashes[i] = proof->hashes[proof->count - 1 - i];
        proof->hashes[proof->count - 1 - i] = hash;
    }
}

/* From the root down: at each step the half that the way does not take. */
int merkle_prove_inclusion(const struct merkle_source *source, uint64_t index, uint64_t size,
                           struct merkle_proof *out, struct err *err)
{
    uint64_t begin = 0, end = size;
    out->count = 0;
    if (index >= size || size > INT64_MAX)
        return err_set(err, ERR_INVALID, "entry %llu is not among the first %llu",
                       (unsigned long long)index + 1, (unsigned long long)size);
    while (end - begin > 1) {
        uint64_t middle = begin + split(end - begin);
        bool left = index < middle;
        if (add(source, left ? middle : begin, left ? end : middle, out, err) < 0)
            return -1;
        begin = left ? begin : middle;
        end = left ? middle : end;
    }
    reverse(out);
    return 0;
}

/* The same on the way to where the old tree ends; the last subtree itself, unless the old root is it. */
int merkle_prove_consistency(const struct merkle_source *source, uint64_t before, uint64_t size,
                             struct merkle_proof *out, struct err *err)
{
    uint64_t begin = 0, end = size;
    out->count = 0;
    if (before > size || size > INT64_MAX)
        return err_set(err, ERR_INVALID, "the log has %llu entries, not %llu", (unsigned long long)size,
                       (unsigned long long)before);
    if (before == 0 || before == size)
        return 0;
    while (end != before) {
        uint64_t middle = begin + split(end - begin);
        bool left = before <= middle;
        if (add(source, left ? middle : begin, left ? end : middle, out, err) < 0)
            return -1;
        begin = left ? begin : middle;
        end = left ? middle : end;
    }
    if (begin != 0 && add(source, begin, end, out, err) < 0)
        return -1;
    reverse(out);
    return 0;
}

/* RFC 9162, 2.1.3.2. */
bool merkle_check_inclusion(const struct digest *leaf, uint64_t index, uint64_t size,
                            const struct digest *root, const struct merkle_proof *proof)
{
    if (index >= size || proof->count > MERKLE_PROOF_MAX)
        return false;
    uint64_t at = index, last = size - 1;
    struct digest hash = *leaf;
    for (size_t i = 0; i < proof->count; i++) {
        if (last == 0)
            return false;
        if (at & 1 || at == last) {
            hash = merkle_node(&proof->hashes[i], &hash);
            for (; !(at & 1) && at != 0; at >>= 1)
                last >>= 1;
        } else {
            hash = merkle_node(&hash, &proof->hashes[i]);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0 && digest_equal(&hash, root);
}

/* RFC 9162, 2.1.4.2, with the hashes of the old tree in `old` and of the new one in `now`. */
static bool climb(uint64_t before, uint64_t size, const struct digest *first,
                  const struct merkle_proof *proof, size_t from, const struct digest *before_root,
                  const struct digest *root)
{
    uint64_t at = before - 1, last = size - 1;
    struct digest old = *first, now = *first;
    for (; at & 1; at >>= 1)
        last >>= 1;
    for (size_t i = from; i < proof->count; i++) {
        if (last == 0)
            return false;
        if (at & 1 || at == last) {
            old = merkle_node(&proof->hashes[i], &old);
            now = merkle_node(&proof->hashes[i], &now);
            for (; !(at & 1) && at != 0; at >>= 1)
                last >>= 1;
        } else {
            now = merkle_node(&now, &proof->hashes[i]);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0 && digest_equal(&old, before_root) && digest_equal(&now, root);
}

bool merkle_check_consistency(uint64_t before, const struct digest *before_root, uint64_t size,
                              const struct digest *root, const struct merkle_proof *proof)
{
    if (before > size || size > INT64_MAX || proof->count > MERKLE_PROOF_MAX)
        return false;
    if (before == size)
        return proof->count == 0 && digest_equal(before_root, root);
    if (before == 0) {
        const struct merkle_tree empty = {0};
        struct digest none = merkle_root(&empty);
        return proof->count == 0 && digest_equal(before_root, &none);
    }
    bool whole = (before & (before - 1)) == 0; /* then the old root is the first hash itself */
    if (!whole && proof->count == 0)
        return false;
    return climb(before, size, whole ? before_root : &proof->hashes[0], proof, whole ? 0 : 1, before_root,
                 root);
}
