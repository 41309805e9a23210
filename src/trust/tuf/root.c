/* 5.3: the chain of roots, each signed by the keys of the one before and by its own. */
#include "trust/tuf/update_inside.h"

#include "base/str.h"

int tuf_root_enter(struct tuf_update *u, struct err *err)
{
    if (u->root.version == INT64_MAX)
        return tuf_root_lack(u, err);
    return tuf_want_file(u, u->root.version + 1, "root", NULL, u->options.limits.root, err);
}

/* 5.3.10: only the newest has to be valid now. */
int tuf_root_lack(struct tuf_update *u, struct err *err)
{
    u->phase = PHASE_TIMESTAMP;
    return tuf_check_expiry(u, &u->root, "root", TRUST_ROOT_EXPIRED, err);
}

static const char *public_text(const struct tuf_root *root, const char *keyid)
{
    for (size_t i = 0; i < root->key_count; i++)
        if (strcmp(root->keys[i].id, keyid) == 0)
            return root->keys[i].public_text;
    return NULL;
}

/* Whether a key that spoke for the role no longer does. One more key is no rotation: what is trusted stays so. */
static bool is_rotated(const struct tuf_root *before, const struct tuf_root *after, enum tuf_kind kind)
{
    const struct tuf_keyset *old = &before->roles[kind], *new = &after->roles[kind];
    for (size_t i = 0; i < old->count; i++) {
        bool found = false;
        for (size_t j = 0; j < new->count && !found; j++)
            found = strcmp(old->keyids[i], new->keyids[j]) == 0;
        if (!found || !str_eq(public_text(before, old->keyids[i]), public_text(after, old->keyids[i])))
            return true;
    }
    return false;
}

/* 5.3.11: whoever held the lost key may have driven versions up. Behind the storing of the root: after a cut before it, what is trusted is still
 * the baseline; after a cut behind it, tuf_local_rest sees that what is left is not signed by this root. The timestamp goes first, since a
 * snapshot of a lost key shows that, and a timestamp that names it may not. */
static int forget_rotated(struct tuf_update *u, bool rotated, struct err *err)
{
    struct tuf_shelf *shelf = u->options.shelf;
    if (!rotated)
        return 0;
    if (shelf->ops->remove(shelf, "timestamp", err) < 0 || shelf->ops->remove(shelf, "snapshot", err) < 0)
        return -1;
    u->has_timestamp = u->has_snapshot = false;
    return 0;
}

static int check(const struct tuf_update *u, const struct tuf_metadata *next, struct err *err)
{
    if (tuf_check_signed(&u->root, next, TRUST_ROOT_SIGNATURES, err) < 0)
        return -1;
    if (next->version != u->root.version + 1)
        return trust_refuse(err, TRUST_ROOT_VERSION, "root version %lld where %lld must come",
                            (long long)next->version, (long long)u->root.version + 1);
    return tuf_check_signed(next, next, TRUST_ROOT_SIGNATURES, err);
}

int tuf_root_take(struct tuf_update *u, const void *bytes, size_t len, struct err *err)
{
    struct tuf_shelf *shelf = u->options.shelf;
    cleanup_tuf_metadata struct tuf_metadata next = {0};
    if (u->rotations == u->options.limits.root_rotations)
        return trust_refuse(err, TRUST_ROOT_ROTATIONS,
                            "more than %d new roots; update again to go on from root %lld", u->rotations,
                            (long long)u->root.version);
    if (tuf_check_form(TUF_ROOT, "root", bytes, len, &next, err) < 0 || check(u, &next, err) < 0)
        return -1;
    bool rotated = is_rotated(&u->root.root, &next.root, TUF_TIMESTAMP) ||
                   is_rotated(&u->root.root, &next.root, TUF_SNAPSHOT);
    if (shelf->ops->store(shelf, "root", bytes, len, err) < 0 || forget_rotated(u, rotated, err) < 0)
        return -1;
    tuf_replace(&u->root, &next);
    u->rotations++;
    return 0;
}
