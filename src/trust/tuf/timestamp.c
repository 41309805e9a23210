/* 5.4: the timestamp, which says what is newest. */
#include "trust/tuf/update_inside.h"

void tuf_timestamp_raise_floor(struct tuf_update *u)
{
    int64_t issued = MIN(u->timestamp.issued_s, u->timestamp.expires_s);
    u->time_floor_s = MAX(u->time_floor_s, MIN(issued, u->root.expires_s));
}

int tuf_timestamp_enter(struct tuf_update *u, struct err *err)
{
    if (u->rotations && tuf_local_rest(u, err) < 0) /* under the keys of the newest root */
        return -1;
    u->rotations = 0;
    return tuf_want_file(u, 0, "timestamp", NULL, u->options.limits.timestamp, err);
}

static int64_t snapshot_version(const struct tuf_metadata *timestamp)
{
    return tuf_metadata_file(timestamp, "snapshot.json")->version;
}

static int check_rollback(const struct tuf_metadata *old, const struct tuf_metadata *new, struct err *err)
{
    if (new->version < old->version)
        return trust_refuse(err, TRUST_TIMESTAMP_ROLLBACK,
                            "timestamp version %lld is older than %lld, which is trusted",
                            (long long)new->version, (long long)old->version);
    if (new->version > old->version && snapshot_version(new) < snapshot_version(old))
        return trust_refuse(err, TRUST_TIMESTAMP_ROLLBACK,
                            "timestamp version %lld names snapshot %lld, older than %lld, which is trusted",
                            (long long)new->version, (long long)snapshot_version(new),
                            (long long)snapshot_version(old));
    return 0;
}

/* 5.4.3: the same version again is what is trusted already, whatever it says now. */
int tuf_timestamp_take(struct tuf_update *u, const void *bytes, size_t len, struct err *err)
{
    struct tuf_shelf *shelf = u->options.shelf;
    cleanup_tuf_metadata struct tuf_metadata next = {0};
    if (tuf_check_form(TUF_TIMESTAMP, "timestamp", bytes, len, &next, err) < 0 ||
        tuf_check_signed(&u->root, &next, TRUST_TIMESTAMP_SIGNATURES, err) < 0)
        return -1;
    if (u->has_timestamp && check_rollback(&u->timestamp, &next, err) < 0)
        return -1;
    bool newer = !u->has_timestamp || next.version > u->timestamp.version;
    const struct tuf_metadata *final = newer ? &next : &u->timestamp;
    if (tuf_check_expiry(u, final, "timestamp", TRUST_TIMESTAMP_EXPIRED, err) < 0)
        return -1;
    u->phase = PHASE_SNAPSHOT;
    if (!newer)
        return 0;
    if (shelf->ops->store(shelf, "timestamp", bytes, len, err) < 0)
        return -1;
    tuf_replace(&u->timestamp, &next);
    u->has_timestamp = true;
    tuf_timestamp_raise_floor(u);
    return 0;
}
