/* Root and targets of a workstation, which has no snapshot and no timestamp, followed from a root that is trusted. */
#include "trust/repo/inside.h"

#include "base/mem.h"

#include <inttypes.h>

static int next_root(const struct repo *repo, struct tuf_metadata *root, struct err *err)
{
    struct tuf_metadata next = {0};
    if (repo_load(repo, "", "root", root->version + 1, &next, err) < 0)
        return -1;
    if (repo_check_root(root, &next, err) < 0) {
        tuf_metadata_fini(&next);
        return -1;
    }
    tuf_metadata_fini(root);
    *root = next;
    return 0;
}

static int check_targets(const struct repo *repo, const struct tuf_root *root, int64_t now_s, struct err *err)
{
    const struct tuf_metadata *targets = repo_targets(repo);
    if (!targets)
        return trust_refuse(err, TRUST_METADATA_MISSING, "no targets are published");
    if (tuf_verify(&root->roles[TUF_TARGETS], root->keys, root->key_count, targets, TRUST_TARGETS_SIGNATURES,
                   "targets", err) < 0)
        return -1;
    return targets->expires_s > now_s
               ? 0
               : trust_refuse(err, TRUST_TARGETS_EXPIRED, "targets version %" PRId64 " have expired",
                              targets->version);
}

int repo_verify(const struct repo *repo, const void *anchor, size_t len, int64_t now_s, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata root = {0};
    if (repo_parse_root(anchor, len, &root, err) < 0 || repo_check_root(NULL, &root, err) < 0)
        return -1;
    if (!repo->has_root || repo->root.version < root.version)
        return trust_refuse(err, TRUST_ROOT_VERSION,
                            "the root that is trusted is version %" PRId64 ", newer than any here",
                            root.version);
    while (root.version < repo->root.version)
        if (next_root(repo, &root, err) < 0)
            return -1;
    if (root.expires_s <= now_s)
        return trust_refuse(err, TRUST_ROOT_EXPIRED, "root version %" PRId64 " has expired", root.version);
    return check_targets(repo, &root.root, now_s, err);
}
