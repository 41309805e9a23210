#include "trust/tuf/update_inside.h"

int tuf_local_load(struct tuf_update *u, const char *role, uint64_t max, struct buf *out, struct err *err)
{
    struct tuf_shelf *shelf = u->options.shelf;
    struct err why = {0};
    buf_reset(out);
    out->max = (size_t)max;
    if (shelf->ops->load(shelf, role, out, &why) == 0)
        return 1;
    if (why.code == ERR_NOT_FOUND || why.code == ERR_TOO_BIG)
        return 0;
    *err = why;
    return -1;
}

int tuf_local_root(struct tuf_update *u, struct err *err)
{
    cleanup_buf struct buf bytes = BUF_INIT(1);
    int rc = tuf_local_load(u, "root", u->options.limits.root, &bytes, err);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no trusted root yet; give one that came by a safe way");
    if (tuf_check_form(TUF_ROOT, "the trusted root", bytes.data, bytes.len, &u->root, err) < 0) {
        if (err->code == ERR_UNTRUSTED)
            err->code = ERR_CORRUPT;
        return -1;
    }
    return tuf_check_signed(&u->root, &u->root, TRUST_ROOT_SIGNATURES, err);
}

/* Whether `slot` now holds what is on the shelf. Damaged, or no longer signed by the keys of now (*out_stale): as if it were not there. */
static int load_signed(struct tuf_update *u, enum tuf_kind kind, uint64_t max, struct tuf_metadata *slot,
                       bool *out_there, bool *out_stale, struct err *err)
{
    struct err why = {0};
    cleanup_buf struct buf bytes = BUF_INIT(1);
    cleanup_tuf_metadata struct tuf_metadata found = {0};
    *out_there = false;
    int rc = tuf_local_load(u, tuf_kind_name(kind), max, &bytes, err);
    if (rc <= 0)
        return rc;
    bool formed = tuf_check_form(kind, "shelf", bytes.data, bytes.len, &found, &why) == 0;
    if (!formed || tuf_check_signed(&u->root, &found, TRUST_METADATA_FORM, &why) < 0) {
        *out_stale |= formed;
        return why.code == ERR_NO_MEMORY ? err_no_memory(err) : 0;
    }
    tuf_replace(slot, &found);
    *out_there = true;
    return 0;
}

int tuf_local_rest(struct tuf_update *u, struct err *err)
{
    const struct tuf_limits *limits = &u->options.limits;
    struct tuf_role *targets = tuf_role_place(u, "targets");
    bool rotated = false, ignored = false;
    if (!targets)
        return err_no_memory(err);
    if (load_signed(u, TUF_TIMESTAMP, limits->timestamp, &u->timestamp, &u->has_timestamp, &rotated, err) <
            0 ||
        load_signed(u, TUF_SNAPSHOT, limits->snapshot, &u->snapshot, &u->has_snapshot, &rotated, err) < 0 ||
        load_signed(u, TUF_TARGETS, limits->targets, &targets->metadata, &targets->there, &ignored, err) < 0)
        return -1;
    if (rotated) /* a cut came between the root that took the key away and 5.3.11 */
        u->has_timestamp = u->has_snapshot = false;
    if (u->has_timestamp)
        tuf_timestamp_raise_floor(u);
    return 0;
}
