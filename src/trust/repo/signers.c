/* Whose signatures a role needs: root says it for the top-level roles, targets and delegated roles for those that they delegate to. */
#include "trust/repo/inside.h"

#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"

#include <inttypes.h>

typedef int signers_visitor(const struct tuf_keyset *set, const struct tuf_key *keys, size_t key_count,
                            void *arg);

/* prefix-0a of a role with 2^bit_length bins. */
static bool is_bin(const struct tuf_succinct *succinct, const char *role)
{
    size_t prefix = succinct->bit_length > 0 ? strlen(succinct->prefix) : 0;
    int digits = (succinct->bit_length + 3) / 4;
    if (succinct->bit_length == 0 || !str_starts(role, succinct->prefix) || role[prefix] != '-' ||
        strlen(role + prefix + 1) != (size_t)digits ||
        strspn(role + prefix + 1, "0123456789abcdef") != (size_t)digits)
        return false;
    return strtoull(role + prefix + 1, NULL, 16) >> succinct->bit_length == 0;
}

static int visit_delegator(const struct tuf_targets *targets, const char *role, signers_visitor *visit,
                           void *arg)
{
    for (size_t i = 0; i < targets->delegation_count; i++) {
        if (!str_eq(targets->delegations[i].name, role))
            continue;
        int status = visit(&targets->delegations[i].keys, targets->keys, targets->key_count, arg);
        if (status != 0)
            return status;
    }
    return is_bin(&targets->succinct, role)
               ? visit(&targets->succinct.keys, targets->keys, targets->key_count, arg)
               : 0;
}

/* Delegated roles may delegate further. */
static int visit_delegated(const struct repo *repo, const char *role, signers_visitor *visit, void *arg,
                           struct err *err)
{
    cleanup_repo_listing struct repo_listing all = {0};
    if (repo_list(repo->dir, &all, err) < 0)
        return -1;
    for (size_t i = 0; i < all.count; i++) {
        cleanup_tuf_metadata struct tuf_metadata delegator = {0};
        if (repo_kind_of(all.items[i].role) != TUF_TARGETS || str_eq(all.items[i].role, role))
            continue;
        if (repo_load(repo, "", all.items[i].role, all.items[i].version, &delegator, err) < 0)
            return -1;
        int status = visit_delegator(&delegator.targets, role, visit, arg);
        if (status != 0)
            return status;
    }
    return 0;
}

int repo_each_signers(const struct repo *repo, const char *role, signers_visitor *visit, void *arg,
                      struct err *err)
{
    enum tuf_kind kind = repo_kind_of(role);
    const struct tuf_root *root = &repo->root.root;
    if (kind == TUF_TARGETS && !str_eq(role, "targets"))
        return visit_delegated(repo, role, visit, arg, err);
    return repo->has_root ? visit(&root->roles[kind], root->keys, root->key_count, arg) : 0;
}

struct check {
    const struct tuf_metadata *metadata;
    const char *role;
    size_t sets;
    struct err *err;
};

static int check_set(const struct tuf_keyset *set, const struct tuf_key *keys, size_t key_count, void *arg)
{
    static const enum trust_rule rules[] = {[TUF_ROOT] = TRUST_ROOT_SIGNATURES,
                                            [TUF_TIMESTAMP] = TRUST_TIMESTAMP_SIGNATURES,
                                            [TUF_SNAPSHOT] = TRUST_SNAPSHOT_SIGNATURES,
                                            [TUF_TARGETS] = TRUST_TARGETS_SIGNATURES};
    struct check *check = arg;
    check->sets++;
    return tuf_verify(set, keys, key_count, check->metadata, (int)rules[check->metadata->kind], check->role,
                      check->err);
}

int repo_check_signers(const struct repo *repo, const char *role, const struct tuf_metadata *metadata,
                       struct err *err)
{
    struct check check = {.metadata = metadata, .role = role, .err = err};
    if (repo_each_signers(repo, role, check_set, &check, err) < 0)
        return -1;
    return check.sets > 0
               ? 0
               : trust_refuse(err, TRUST_TARGETS_SIGNATURES, "nobody delegates to a role %s", role);
}

size_t repo_targets_signers(const struct repo *repo, char (*out)[65], size_t max)
{
    const struct tuf_root *root = &repo->root.root;
    const struct tuf_keyset *set = &root->roles[TUF_TARGETS];
    size_t count = 0;
    for (size_t i = 0; repo->has_root && repo->has_targets && i < set->count && count < max; i++) {
        const struct tuf_keyset one = {.threshold = 1, .count = 1, .keyids = &set->keyids[i]};
        struct err ignored = {0};
        if (tuf_verify(&one, root->keys, root->key_count, &repo->targets, TRUST_TARGETS_SIGNATURES, "",
                       &ignored) == 0 &&
            str_copy(out[count], sizeof out[count], set->keyids[i]))
            count++;
    }
    return count;
}

int repo_holds(const struct repo *repo, const char *role, bool *out, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata newest = {0};
    int64_t version = 0;
    if (repo_newest(repo, role, &version, err) < 0)
        return -1;
    if (version == 0)
        return err_set(err, ERR_NOT_FOUND, "no version of %s is published", role);
    if (repo_load(repo, "", role, version, &newest, err) < 0)
        return -1;
    *out = repo_check_signers(repo, role, &newest, err) == 0;
    if (!*out && err->code != ERR_UNTRUSTED)
        return -1;
    *err = *out ? *err : (struct err){0};
    return 0;
}

int repo_check_root(const struct tuf_metadata *before, const struct tuf_metadata *root, struct err *err)
{
    const struct tuf_root *own = &root->root;
    if (before && root->version != before->version + 1)
        return trust_refuse(err, TRUST_ROOT_VERSION, "version %" PRId64 " does not follow %" PRId64,
                            root->version, before->version);
    if (before && tuf_verify(&before->root.roles[TUF_ROOT], before->root.keys, before->root.key_count, root,
                             TRUST_ROOT_SIGNATURES, "root, by the keys of the root before", err) < 0)
        return -1;
    return tuf_verify(&own->roles[TUF_ROOT], own->keys, own->key_count, root, TRUST_ROOT_SIGNATURES,
                      "root, by its own keys", err);
}
