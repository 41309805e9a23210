#include "trust/merkle/follow.h"

#include "wire/json.h"

#include <assert.h>
#include <inttypes.h>

/* The number that the entry itself says; 0 if it says none. */
static uint64_t number_in(const char *entry, size_t len)
{
    struct json_reader reader;
    struct err err = {0};
    uint64_t seq = 0;
    if (json_read(&reader, "entry", entry, len, &err) < 0)
        return 0;
    json_get_u64(json_root(&reader), "seq", INT64_MAX, &seq);
    return json_finish(&reader, &err) < 0 ? 0 : seq;
}

static int check_number(uint64_t next, uint64_t seq, struct err *err)
{
    if (seq == next)
        return 0;
    if (seq < next)
        return err_set(err, ERR_CORRUPT, "entry %" PRIu64 " comes after entry %" PRIu64, seq, next - 1);
    if (seq - 1 > next)
        return err_set(err, ERR_CORRUPT, "entries %" PRIu64 " to %" PRIu64 " are missing", next, seq - 1);
    return err_set(err, ERR_CORRUPT, "entry %" PRIu64 " is missing", next);
}

int follow_entry(struct follow *follow, uint64_t seq, const char *entry, size_t len,
                 const struct digest *hash, struct err *err)
{
    if (follow->tree.size == INT64_MAX)
        return err_set(err, ERR_CORRUPT, "the log has no end");
    if (check_number(follow->tree.size + 1, seq, err) < 0)
        return -1;
    struct digest expected = merkle_leaf(entry, len);
    if (!digest_equal(&expected, hash))
        return err_set(err, ERR_CORRUPT, "entry %" PRIu64 " was changed, or an entry was put in its place",
                       seq);
    if (number_in(entry, len) != seq)
        return err_set(err, ERR_CORRUPT, "entry %" PRIu64 " says that it is another one", seq);
    return merkle_append(&follow->tree, hash, NULL, NULL, err);
}

int follow_checkpoint(struct follow *follow, const struct checkpoint *checkpoint, struct err *err)
{
    assert(checkpoint->size == follow->tree.size);
    struct digest root = merkle_root(&follow->tree);
    if (digest_equal(&root, &checkpoint->root)) {
        follow->held = checkpoint->size;
        return 0;
    }
    if (follow->held + 1 >= checkpoint->size)
        return err_set(err, ERR_CORRUPT, "entry %" PRIu64 " is not the one that was signed",
                       checkpoint->size);
    return err_set(err, ERR_CORRUPT,
                   "entries %" PRIu64 " to %" PRIu64
                   " are not those that were signed: one of them was changed, removed or slipped in",
                   follow->held + 1, checkpoint->size);
}

int follow_compare(uint64_t seq, const struct digest *hash, const struct digest *before, struct err *err)
{
    if (digest_equal(hash, before))
        return 0;
    return err_set(err, ERR_CORRUPT,
                   "entry %" PRIu64
                   " is not the one that was there before: it was changed, removed or another "
                   "was slipped in",
                   seq);
}
