#include "base/mem.h"
#include "base/str.h"
#include "wire/tuf/tree.h"

enum { MAX_DELEGATIONS = 65536 };

/* ---- targets ---- */

static int compare_targets(const void *a, const void *b)
{
    const struct tuf_target *left = a, *right = b;
    return strcmp(left->path, right->path);
}

static void read_target(struct json_at at, const char *path, struct tuf_target *out)
{
    struct err why = {0};
    size_t len = 0;
    json_get_u64(at, "length", INT64_MAX, &out->length);
    tuf_read_hashes(at, &out->hashes);
    out->path = mem_strdup(path);
    if (!out->path)
        json_fail(at, "out of memory");
    if (!json_has(at, "custom"))
        return;
    out->custom = tuf_canonical_tree(json_object_get(at.value, "custom"), &len, &why);
    if (!out->custom)
        json_fail(at, "custom: %s", why.text);
}

static void read_list(struct json_at at, struct tuf_targets *out)
{
    struct json_at list = json_child(at, "targets");
    size_t count = list.value ? json_object_size(list.value) : 0;
    out->targets = mem_zalloc(count + 1, sizeof *out->targets);
    if (!out->targets)
        json_fail(at, "out of memory");
    for (void *it = json_object_iter(list.value); out->targets && it;
         it = json_object_iter_next(list.value, it)) {
        struct tuf_target *target = &out->targets[out->count++];
        const char *path = json_object_iter_key(it);
        read_target(json_child(list, path), path, target);
        if (!target->path)
            return;
    }
    if (out->count)
        qsort(out->targets, out->count, sizeof *out->targets, compare_targets);
}

const struct tuf_target *tuf_metadata_target(const struct tuf_metadata *metadata, const char *path)
{
    const struct tuf_targets *targets = &metadata->targets;
    const struct tuf_target wanted = {.path = (char *)path};
    if (targets->count == 0)
        return NULL;
    return bsearch(&wanted, targets->targets, targets->count, sizeof wanted, compare_targets);
}

/* ---- delegations ---- */

static bool is_top_level(const char *name)
{
    for (int i = 0; i < TUF_KIND_COUNT; i++)
        if (str_eq(name, tuf_kind_name(i)))
            return true;
    return false;
}

static void read_delegation(struct json_at at, struct tuf_delegation *out)
{
    bool paths = json_has(at, "paths"), prefixes = json_has(at, "path_hash_prefixes");
    out->name = tuf_read_text(at, "name");
    if (out->name && is_top_level(out->name))
        json_fail(at, "name is that of a top-level role");
    tuf_read_keyset(at, &out->keys);
    json_get_bool(at, "terminating", &out->terminating);
    if (paths == prefixes)
        json_fail(at, "must have either paths or path_hash_prefixes");
    else if (paths)
        out->paths = tuf_read_texts(at, "paths", &out->path_count);
    else
        out->prefixes = tuf_read_texts(at, "path_hash_prefixes", &out->prefix_count);
}

static void read_delegation_list(struct json_at at, struct tuf_targets *out)
{
    size_t count = 0;
    struct json_at list = json_list(at, "roles", MAX_DELEGATIONS, &count);
    cleanup_free char **names = mem_zalloc(count + 1, sizeof *names);
    out->delegations = mem_zalloc(count + 1, sizeof *out->delegations);
    if (!names || !out->delegations) {
        json_fail(at, "out of memory");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct tuf_delegation *delegation = &out->delegations[out->delegation_count++];
        read_delegation(json_as_object(json_item(list, i)), delegation);
        if (!delegation->name)
            return;
        names[i] = delegation->name;
    }
    if (!tuf_texts_unique(names, count))
        json_fail(at, "roles has a name twice");
}

static void read_succinct(struct json_at at, struct tuf_succinct *out)
{
    int64_t bits = 0;
    tuf_read_keyset(at, &out->keys);
    json_get_int(at, "bit_length", 1, 32, &bits);
    out->bit_length = (int)bits;
    out->prefix = tuf_read_text(at, "name_prefix");
}

void tuf_read_targets(struct json_at at, struct tuf_targets *out)
{
    read_list(at, out);
    if (!json_has(at, "delegations"))
        return;
    struct json_at delegations = json_child(at, "delegations");
    out->keys = tuf_read_keys(delegations, &out->key_count);
    if (json_has(delegations, "roles") == json_has(delegations, "succinct_roles"))
        json_fail(delegations, "must have either roles or succinct_roles");
    else if (json_has(delegations, "roles"))
        read_delegation_list(delegations, out);
    else
        read_succinct(json_child(delegations, "succinct_roles"), &out->succinct);
}

static void delegation_fini(struct tuf_delegation *delegation)
{
    tuf_keyset_fini(&delegation->keys);
    tuf_texts_free(delegation->paths, delegation->path_count);
    tuf_texts_free(delegation->prefixes, delegation->prefix_count);
    free(delegation->name);
}

void tuf_targets_fini(struct tuf_targets *targets)
{
    for (size_t i = 0; targets->targets && i < targets->count; i++) {
        free(targets->targets[i].path);
        free(targets->targets[i].custom);
    }
    for (size_t i = 0; targets->delegations && i < targets->delegation_count; i++)
        delegation_fini(&targets->delegations[i]);
    free(targets->targets);
    free(targets->delegations);
    tuf_keys_free(targets->keys, targets->key_count);
    tuf_keyset_fini(&targets->succinct.keys);
    free(targets->succinct.prefix);
}
