#include "trust/merkle/tree.h"

#include "base/mem.h"
#include "sys/hash.h"

#include <assert.h>
#include <string.h>

struct digest merkle_leaf(const void *entry, size_t len)
{
    static const uint8_t zero = 0;
    cleanup_hash struct hash *hash = hash_new();
    if (!hash)
        abort(); /* as sys/hash.h: never go on with a digest that is wrong */
    hash_update(hash, &zero, 1);
    hash_update(hash, entry, len);
    return hash_finish(hash);
}

struct digest merkle_node(const struct digest *left, const struct digest *right)
{
    uint8_t bytes[1 + 2 * sizeof left->bytes] = {1};
    memcpy(bytes + 1, left->bytes, sizeof left->bytes);
    memcpy(bytes + 1 + sizeof left->bytes, right->bytes, sizeof right->bytes);
    return hash_bytes(bytes, sizeof bytes);
}

/* ---- appending ---- */

int merkle_append(struct merkle_tree *tree, const struct digest *leaf, merkle_emit *emit, void *arg,
                  struct err *err)
{
    struct digest hash = *leaf;
    uint64_t after = tree->size + 1;
    unsigned height = 0;
    assert(after <= INT64_MAX);
    for (; !(after >> height & 1); height++) { /* a carry, as in counting */
        if (height && height % MERKLE_TILE_HEIGHT == 0 && emit &&
            emit(height / MERKLE_TILE_HEIGHT, (after >> height) - 1, &hash, arg, err) < 0)
            return -1;
        hash = merkle_node(&tree->peaks[height], &hash);
    }
    if (height && height % MERKLE_TILE_HEIGHT == 0 && emit &&
        emit(height / MERKLE_TILE_HEIGHT, (after >> height) - 1, &hash, arg, err) < 0)
        return -1;
    tree->peaks[height] = hash;
    tree->size = after;
    return 0;
}

struct digest merkle_root(const struct merkle_tree *tree)
{
    struct digest root = {0};
    bool some = false;
    for (unsigned height = 0; height < MERKLE_PEAKS; height++) {
        if (!(tree->size >> height & 1))
            continue;
        root = some ? merkle_node(&tree->peaks[height], &root) : tree->peaks[height];
        some = true;
    }
    return some ? root : hash_bytes("", 0);
}

/* ---- from what is stored ---- */

/* The complete subtree of 2^height leaves, the index-th of its height: one row of a tile, folded. */
static int subtree(const struct merkle_source *source, unsigned height, uint64_t index, struct digest *out,
                   struct err *err)
{
    struct digest row[MERKLE_TILE_WIDTH];
    unsigned inside = height % MERKLE_TILE_HEIGHT;
    size_t count = (size_t)1 << inside;
    if (source->read(source->arg, height / MERKLE_TILE_HEIGHT, index << inside, count, row, err) < 0)
        return -1;
    for (; count > 1; count /= 2)
        for (size_t i = 0; i < count / 2; i++)
            row[i] = merkle_node(&row[2 * i], &row[2 * i + 1]);
    *out = row[0];
    return 0;
}

static unsigned highest_bit(uint64_t number)
{
    return 63 - (unsigned)__builtin_clzll(number);
}

/* Complete subtrees from the left, as long as something is left, folded from the right. */
int merkle_range(const struct merkle_source *source, uint64_t begin, uint64_t end, struct digest *out,
                 struct err *err)
{
    struct digest parts[MERKLE_PEAKS];
    size_t count = 0;
    assert(begin < end && end <= INT64_MAX);
    while (begin < end) {
        unsigned height = highest_bit(end - begin);
        assert((begin & (((uint64_t)1 << height) - 1)) == 0);
        if (subtree(source, height, begin >> height, &parts[count++], err) < 0)
            return -1;
        begin += (uint64_t)1 << height;
    }
    for (; count > 1; count--)
        parts[count - 2] = merkle_node(&parts[count - 2], &parts[count - 1]);
    *out = parts[0];
    return 0;
}

int merkle_restore(const struct merkle_source *source, uint64_t size, struct merkle_tree *out,
                   struct err *err)
{
    struct merkle_tree tree = {.size = size};
    for (unsigned height = 0; height < MERKLE_PEAKS; height++)
        if (size >> height & 1 && subtree(source, height, (size >> height) - 1, &tree.peaks[height], err) < 0)
            return -1;
    *out = tree;
    return 0;
}
