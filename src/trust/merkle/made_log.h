/* For tests: a log in memory with its stored hashes, and the tree as RFC 6962 writes it down, slow and plain. */
#ifndef MUSTER_TRUST_MERKLE_MADE_LOG_H
#define MUSTER_TRUST_MERKLE_MADE_LOG_H

#include "base/testing.h"

#include "base/mem.h"
#include "sys/hash.h"
#include "trust/merkle/tree.h"

#include <stdio.h>
#include <string.h>

enum { MADE_MAX = 70000, MADE_ROWS = MADE_MAX / MERKLE_TILE_WIDTH + 1 };

struct made_log {
    struct merkle_tree tree;
    struct digest leaves[MADE_MAX], rows[3][MADE_ROWS]; /* rows[level] of levels 1 and 2 */
    size_t row_counts[3];
};

static inline int made_emit(unsigned level, uint64_t index, const struct digest *hash, void *arg,
                            struct err *err)
{
    struct made_log *log = arg;
    assert_in_range(level, 1, 2);
    assert_int_equal(index, log->row_counts[level]); /* each once, in order */
    log->rows[level][log->row_counts[level]++] = *hash;
    (void)err;
    return 0;
}

static inline int made_read(void *arg, unsigned level, uint64_t index, size_t count, struct digest *out,
                            struct err *err)
{
    struct made_log *log = arg;
    size_t have = level ? log->row_counts[level] : log->tree.size;
    assert_true(count <= MERKLE_TILE_WIDTH &&
                index / MERKLE_TILE_WIDTH == (index + count - 1) / MERKLE_TILE_WIDTH);
    if (index + count > have)
        return err_set(err, ERR_CORRUPT, "level %u: %zu hashes are stored", level, have);
    memcpy(out, (level ? log->rows[level] : log->leaves) + index, count * sizeof *out);
    return 0;
}

static inline struct made_log *made_new(size_t count)
{
    struct made_log *log = mem_zalloc(1, sizeof *log);
    struct err err = {0};
    for (size_t i = 0; i < count; i++) {
        char entry[32];
        snprintf(entry, sizeof entry, "entry %zu", i);
        log->leaves[i] = merkle_leaf(entry, strlen(entry));
        assert_ok(merkle_append(&log->tree, &log->leaves[i], made_emit, log, &err), err);
    }
    return log;
}

static inline struct merkle_source made_source(struct made_log *log)
{
    return (struct merkle_source){.read = made_read, .arg = log};
}

/* RFC 6962, section 2.1, word for word. */
static inline struct digest plain_root(const struct digest *leaves, size_t count)
{
    if (count == 0)
        return hash_bytes("", 0);
    if (count == 1)
        return leaves[0];
    size_t k = 1;
    while (k * 2 < count)
        k *= 2;
    struct digest left = plain_root(leaves, k), right = plain_root(leaves + k, count - k);
    return merkle_node(&left, &right);
}

static inline void assert_same(const struct digest *a, const struct digest *b)
{
    assert_memory_equal(a->bytes, b->bytes, sizeof a->bytes);
}

#endif
