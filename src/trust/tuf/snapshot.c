/* 5.5: the snapshot, which says what belongs together. */
#include "trust/tuf/update_inside.h"

static const struct tuf_file *announced(const struct tuf_update *u)
{
    return tuf_metadata_file(&u->timestamp, "snapshot.json");
}

/* 1: the snapshot on the shelf is the one that the timestamp names. */
static int is_current(struct tuf_update *u, struct err *err)
{
    struct err why = {0};
    cleanup_buf struct buf bytes = BUF_INIT(1);
    if (!u->has_snapshot || u->snapshot.version != announced(u)->version || tuf_is_expired(u, &u->snapshot))
        return 0;
    int rc = tuf_local_load(u, "snapshot", u->options.limits.snapshot, &bytes, err);
    if (rc <= 0)
        return rc;
    return tuf_check_content(announced(u), "snapshot", bytes.data, bytes.len, TRUST_SNAPSHOT_HASH, &why) == 0;
}

int tuf_snapshot_enter(struct tuf_update *u, struct err *err)
{
    int rc = is_current(u, err);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return tuf_want_file(u, announced(u)->version, "snapshot", announced(u), u->options.limits.snapshot,
                             err);
    u->phase = PHASE_TARGETS;
    return 0;
}

/* 5.5.5: against the snapshot that is trusted, be it expired. Its own version matters where the timestamp that named it was lost. */
static int check_rollback(const struct tuf_metadata *old, const struct tuf_metadata *new, struct err *err)
{
    if (new->version < old->version)
        return trust_refuse(err, TRUST_SNAPSHOT_ROLLBACK,
                            "snapshot version %lld is older than %lld, which is trusted",
                            (long long)new->version, (long long)old->version);
    for (size_t i = 0; i < old->meta.count; i++) {
        const struct tuf_file *before = &old->meta.files[i], *after = tuf_metadata_file(new, before->name);
        if (!after)
            return trust_refuse(err, TRUST_SNAPSHOT_ROLLBACK,
                                "snapshot version %lld no longer names file %zu of %zu",
                                (long long)new->version, i + 1, old->meta.count);
        if (after->version < before->version)
            return trust_refuse(err, TRUST_SNAPSHOT_ROLLBACK,
                                "snapshot version %lld names version %lld of file %zu of %zu, older than "
                                "%lld, which is trusted",
                                (long long)new->version, (long long)after->version, i + 1, old->meta.count,
                                (long long)before->version);
    }
    return 0;
}

static int check(const struct tuf_update *u, const struct tuf_metadata *next, struct err *err)
{
    if (tuf_check_signed(&u->root, next, TRUST_SNAPSHOT_SIGNATURES, err) < 0)
        return -1;
    if (next->version != announced(u)->version)
        return trust_refuse(err, TRUST_SNAPSHOT_VERSION,
                            "snapshot version %lld where the timestamp names %lld", (long long)next->version,
                            (long long)announced(u)->version);
    if (u->has_snapshot && check_rollback(&u->snapshot, next, err) < 0)
        return -1;
    return tuf_check_expiry(u, next, "snapshot", TRUST_SNAPSHOT_EXPIRED, err);
}

int tuf_snapshot_take(struct tuf_update *u, const void *bytes, size_t len, struct err *err)
{
    struct tuf_shelf *shelf = u->options.shelf;
    cleanup_tuf_metadata struct tuf_metadata next = {0};
    if (tuf_check_content(announced(u), "snapshot", bytes, len, TRUST_SNAPSHOT_HASH, err) < 0)
        return -1;
    if (tuf_check_form(TUF_SNAPSHOT, "snapshot", bytes, len, &next, err) < 0 || check(u, &next, err) < 0 ||
        shelf->ops->store(shelf, "snapshot", bytes, len, err) < 0)
        return -1;
    tuf_replace(&u->snapshot, &next);
    u->has_snapshot = true;
    u->phase = PHASE_TARGETS;
    return 0;
}
