/* The next version of root or targets, before anybody signs it. */
#include "trust/repo/inside.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "wire/tuf/format.h"

#include <inttypes.h>

static void drop_signatures(struct tuf_metadata *metadata)
{
    for (size_t i = 0; i < metadata->signature_count; i++) {
        free(metadata->signatures[i].keyid);
        free(metadata->signatures[i].sig);
    }
    free(metadata->signatures);
    metadata->signatures = NULL;
    metadata->signature_count = 0;
}

/* What is pending for the version after `current`, else what is published; *out_there false: neither. */
static int begin(const struct repo *repo, const char *role, int64_t current, struct tuf_metadata *edit,
                 bool *out_there, struct err *err)
{
    *out_there = false;
    if (repo_load(repo, "pending/", role, current + 1, edit, err) < 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        *err = (struct err){0};
        if (current == 0)
            return 0;
        if (repo_load(repo, "", role, current, edit, err) < 0)
            return -1;
    }
    *out_there = true;
    edit->version = current + 1;
    drop_signatures(edit);
    return 0;
}

int repo_edit_root(const struct repo *repo, struct tuf_metadata *edit, struct err *err)
{
    bool there = false;
    if (begin(repo, "root", repo->has_root ? repo->root.version : 0, edit, &there, err) < 0)
        return -1;
    return there ? 0 : err_set(err, ERR_NOT_FOUND, "%s: no root of trust is here", repo->dir);
}

int repo_edit_targets(const struct repo *repo, const char *role, struct tuf_metadata *edit, struct err *err)
{
    int64_t current = 0;
    bool there = false;
    if (repo_kind_of(role) != TUF_TARGETS || !repo_role_is_known(role))
        return err_set(err, ERR_INVALID, "%.70s is no role of targets", role);
    if (repo_newest(repo, role, &current, err) < 0 || begin(repo, role, current, edit, &there, err) < 0)
        return -1;
    if (!there)
        *edit = (struct tuf_metadata){.kind = TUF_TARGETS, .version = 1};
    return 0;
}

/* ---- targets ---- */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct tuf_target *)a)->path, ((const struct tuf_target *)b)->path);
}

static struct tuf_target *find_target(struct tuf_targets *targets, const char *path)
{
    struct tuf_target wanted = {.path = (char *)(uintptr_t)path};
    return targets->count ? bsearch(&wanted, targets->targets, targets->count, sizeof wanted, by_path) : NULL;
}

static struct tuf_target *add_target(struct tuf_targets *targets, const char *path, struct err *err)
{
    struct tuf_target *grown = mem_grow(targets->targets, targets->count + 1, sizeof *grown);
    char *own_path = grown ? mem_strdup(path) : NULL;
    targets->targets = grown ? grown : targets->targets;
    if (!own_path) {
        err_no_memory(err);
        return NULL;
    }
    grown[targets->count++] = (struct tuf_target){.path = own_path};
    qsort(grown, targets->count, sizeof *grown, by_path);
    return find_target(targets, path);
}

int repo_set_target(struct tuf_metadata *edit, const char *path, uint64_t length, const struct digest *sha256,
                    const char *custom_json, struct err *err)
{
    cleanup_free char *custom = NULL;
    size_t custom_len = 0;
    if (path[0] == 0)
        return err_set(err, ERR_INVALID, "a target needs a path");
    if (custom_json && !(custom = tuf_canonical(custom_json, strlen(custom_json), &custom_len, err)))
        return err_prefix(err, "custom of %.100s", path);
    struct tuf_target *target = find_target(&edit->targets, path);
    if (!target && !(target = add_target(&edit->targets, path, err)))
        return -1;
    free(target->custom);
    target->custom = TAKE_PTR(custom);
    target->length = length;
    target->hashes = (struct tuf_hashes){.has_sha256 = true};
    memcpy(target->hashes.sha256, sha256->bytes, sizeof sha256->bytes);
    return 0;
}

int repo_remove_target(struct tuf_metadata *edit, const char *path, struct err *err)
{
    struct tuf_targets *targets = &edit->targets;
    struct tuf_target *target = find_target(targets, path);
    if (!target)
        return err_set(err, ERR_NOT_FOUND, "no target %.150s", path);
    free(target->path);
    free(target->custom);
    size_t behind = targets->count - (size_t)(target - targets->targets) - 1;
    memmove(target, target + 1, behind * sizeof *target);
    targets->count--;
    return 0;
}

/* ---- the keys of a root ---- */

struct tuf_keyset *repo_keyset(struct tuf_metadata *root, const char *role)
{
    for (int kind = 0; kind < TUF_KIND_COUNT; kind++)
        if (str_eq(role, tuf_kind_name(kind)))
            return &root->root.roles[kind];
    if (str_eq(role, "director"))
        return &root->root.director;
    return str_eq(role, "audit") ? &root->root.audit : NULL;
}

const struct tuf_key *repo_key(const struct tuf_metadata *root, const char *keyid)
{
    for (size_t i = 0; i < root->root.key_count; i++)
        if (str_eq(root->root.keys[i].id, keyid))
            return &root->root.keys[i];
    return NULL;
}

static int find_keyid(const struct tuf_keyset *set, const char *keyid)
{
    for (size_t i = 0; i < set->count; i++)
        if (str_eq(set->keyids[i], keyid))
            return (int)i;
    return -1;
}

static int know_key(struct tuf_root *root, const struct tuf_key *key, struct err *err)
{
    struct tuf_key *grown = mem_grow(root->keys, root->key_count + 1, sizeof *grown);
    if (!grown)
        return err_no_memory(err);
    root->keys = grown;
    struct tuf_key copy = {
        .id = mem_strdup(key->id), .scheme = key->scheme, .public_text = mem_strdup(key->public_text)};
    if (copy.id && copy.public_text) {
        grown[root->key_count++] = copy;
        return 0;
    }
    free(copy.id);
    free(copy.public_text);
    return err_no_memory(err);
}

int repo_add_key(struct tuf_metadata *root, const char *role, const struct tuf_key *key, struct err *err)
{
    struct tuf_keyset *set = repo_keyset(root, role);
    if (!set)
        return err_set(err, ERR_INVALID, "%.60s is no role of a root", role);
    if (find_keyid(set, key->id) >= 0)
        return err_set(err, ERR_EXISTS, "key %.16s… speaks for %s already", key->id, role);
    if (!repo_key(root, key->id) && know_key(&root->root, key, err) < 0)
        return -1;
    char **grown = mem_grow(set->keyids, set->count + 1, sizeof *grown);
    char *id = grown ? mem_strdup(key->id) : NULL;
    set->keyids = grown ? grown : set->keyids;
    if (!id)
        return err_no_memory(err);
    set->keyids[set->count++] = id;
    set->threshold = MAX(set->threshold, 1);
    return 0;
}

static bool is_used(struct tuf_metadata *root, const char *keyid)
{
    static const char *const roles[] = {"root", "targets", "timestamp", "snapshot", "director", "audit"};
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        if (find_keyid(repo_keyset(root, roles[i]), keyid) >= 0)
            return true;
    return false;
}

static void forget_key(struct tuf_root *root, const char *keyid)
{
    for (size_t i = 0; i < root->key_count; i++) {
        if (!str_eq(root->keys[i].id, keyid))
            continue;
        free(root->keys[i].id);
        free(root->keys[i].public_text);
        root->keys[i] = root->keys[--root->key_count];
        return;
    }
}

int repo_remove_key(struct tuf_metadata *root, const char *role, const char *keyid, struct err *err)
{
    struct tuf_keyset *set = repo_keyset(root, role);
    int at = set ? find_keyid(set, keyid) : -1;
    if (at < 0)
        return err_set(err, ERR_NOT_FOUND, "no key %.70s speaks for %.60s", keyid, role);
    cleanup_free char *gone = set->keyids[at];
    set->keyids[at] = set->keyids[--set->count];
    if (!is_used(root, gone))
        forget_key(&root->root, gone);
    return 0;
}

/* ---- a new fleet ---- */

static int add_keys(struct tuf_metadata *root, const char *role, const struct repo_keys *keys,
                    struct err *err)
{
    struct tuf_keyset *set = repo_keyset(root, role);
    for (size_t i = 0; i < keys->count; i++)
        if (repo_add_key(root, role, keys->keys[i], err) < 0)
            return -1;
    bool must_be = repo_kind_of(role) != TUF_TARGETS || str_eq(role, "targets");
    set->threshold = keys->threshold ? keys->threshold : keys->count > 0 || must_be ? 1 : 0;
    return 0;
}

static int plan_root(const struct repo_plan *plan, struct tuf_metadata *root, struct err *err)
{
    const struct {
        const char *role;
        const struct repo_keys *keys;
    } all[] = {{"root", &plan->root},         {"targets", &plan->targets},   {"timestamp", &plan->timestamp},
               {"snapshot", &plan->snapshot}, {"director", &plan->director}, {"audit", &plan->audit}};
    *root = (struct tuf_metadata){.kind = TUF_ROOT, .version = 1, .expires_s = plan->root_expires_s};
    root->root.consistent_snapshot = true;
    root->root.fleet = mem_strdup(plan->fleet);
    if (!root->root.fleet)
        return err_no_memory(err);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (add_keys(root, all[i].role, all[i].keys, err) < 0)
            return -1;
    return 0;
}

int repo_init(const char *dir, const struct repo_plan *plan, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata root = {0}, targets = {.kind = TUF_TARGETS,
                                                                    .version = 1,
                                                                    .expires_s = plan->targets_expires_s};
    struct repo repo = {.dir = (char *)(uintptr_t)dir};
    cleanup_repo struct repo *there = NULL;
    if (repo_open(dir, &there, err) == 0)
        return err_set(err, ERR_EXISTS, "%s holds a root of trust already", dir);
    if (err->code != ERR_NOT_FOUND)
        return -1;
    *err = (struct err){0};
    if (plan_root(plan, &root, err) < 0 || file_make_dirs(dir, 0755, err) < 0 ||
        repo_put_pending(&repo, "targets", &targets, err) < 0)
        return -1;
    return repo_put_pending(&repo, "root", &root, err);
}
