/* 5.6: a targets role, delegated to by root or by another one. */
#include "base/str.h"
#include "sys/hash.h"
#include "trust/tuf/name.h"
#include "trust/tuf/signer.h"
#include "trust/tuf/update_inside.h"

/* ---- roles in memory ---- */

const struct tuf_role *tuf_role_find(const struct tuf_update *u, const char *name)
{
    for (size_t i = 0; i < u->role_count; i++)
        if (strcmp(u->roles[i]->name, name) == 0)
            return u->roles[i];
    return NULL;
}

struct tuf_role *tuf_role_place(struct tuf_update *u, const char *name)
{
    struct tuf_role *role = (struct tuf_role *)tuf_role_find(u, name);
    if (role)
        return role;
    struct tuf_role **roles = mem_grow(u->roles, u->role_count + 1, sizeof *roles);
    if (!roles)
        return NULL;
    u->roles = roles;
    role = mem_zalloc(1, sizeof *role);
    if (role)
        role->name = mem_strdup(name);
    if (role && role->name)
        return u->roles[u->role_count++] = role;
    free(role);
    return NULL;
}

/* ---- edges ---- */

/* Who speaks for the role, says the delegator. NULL: it does not delegate to it. */
static const struct tuf_keyset *delegated_keys(const struct tuf_targets *targets, const char *name)
{
    for (size_t i = 0; i < targets->delegation_count; i++)
        if (strcmp(targets->delegations[i].name, name) == 0)
            return &targets->delegations[i].keys;
    return targets->succinct.bit_length ? &targets->succinct.keys : NULL;
}

static int check_edge(const struct tuf_update *u, const char *name, const struct tuf_role *delegator,
                      const struct tuf_metadata *metadata, struct err *err)
{
    if (!delegator)
        return tuf_check_signed(&u->root, metadata, TRUST_TARGETS_SIGNATURES, err);
    cleanup_free char *label = tuf_name_encode(name);
    const struct tuf_targets *targets = &delegator->metadata.targets;
    const struct tuf_keyset *keys = delegated_keys(targets, name);
    if (!label)
        return err_no_memory(err);
    if (!keys)
        return trust_refuse(err, TRUST_TARGETS_SIGNATURES, "nobody delegates to %.60s", label);
    if (strlen(label) > 60)
        label[60] = '\0';
    return tuf_verify(keys, targets->keys, targets->key_count, metadata, TRUST_TARGETS_SIGNATURES, label,
                      err);
}

static const struct tuf_file *announced(const struct tuf_update *u, const char *name)
{
    cleanup_free char *file = mem_printf("%s.json", name);
    return file ? tuf_metadata_file(&u->snapshot, file) : NULL;
}

static int check(const struct tuf_update *u, const char *name, const struct tuf_role *delegator,
                 const struct tuf_file *meta, const struct tuf_metadata *metadata, struct err *err)
{
    if (check_edge(u, name, delegator, metadata, err) < 0)
        return -1;
    if (metadata->version != meta->version)
        return trust_refuse(err, TRUST_TARGETS_VERSION, "version %lld where the snapshot names %lld",
                            (long long)metadata->version, (long long)meta->version);
    return tuf_check_expiry(u, metadata, "targets", TRUST_TARGETS_EXPIRED, err);
}

static int check_bytes(const struct tuf_update *u, const char *name, const struct tuf_role *delegator,
                       const void *bytes, size_t len, struct tuf_metadata *out, struct err *err)
{
    const struct tuf_file *meta = announced(u, name);
    if (!meta)
        return trust_refuse(err, TRUST_METADATA_MISSING, "the snapshot does not name it");
    if (tuf_check_content(meta, "targets", bytes, len, TRUST_TARGETS_HASH, err) < 0 ||
        tuf_check_form(TUF_TARGETS, "targets", bytes, len, out, err) < 0)
        return -1;
    if (check(u, name, delegator, meta, out, err) == 0)
        return 0;
    tuf_metadata_fini(out);
    return -1;
}

/* ---- memory, shelf, server ---- */

static bool holds_in_memory(struct tuf_update *u, const struct tuf_role *role,
                            const struct tuf_role *delegator)
{
    struct err why = {0};
    const struct tuf_file *meta = announced(u, role->name);
    return u->refreshed && role->there && meta &&
           check(u, role->name, delegator, meta, &role->metadata, &why) == 0;
}

int tuf_role_local(struct tuf_update *u, const char *name, const struct tuf_role *delegator, struct err *err)
{
    struct err why = {0};
    cleanup_buf struct buf bytes = BUF_INIT(1);
    cleanup_tuf_metadata struct tuf_metadata found = {0};
    struct tuf_role *role = tuf_role_place(u, name);
    if (!role)
        return err_no_memory(err);
    if (holds_in_memory(u, role, delegator))
        return 1;
    role->there = false;
    int rc = tuf_local_load(u, name, u->options.limits.targets, &bytes, err);
    if (rc <= 0)
        return rc;
    if (check_bytes(u, name, delegator, bytes.data, bytes.len, &found, &why) < 0)
        return why.code == ERR_NO_MEMORY ? err_no_memory(err) : 0;
    tuf_replace(&role->metadata, &found);
    role->there = true;
    return 1;
}

static int label(const char *name, struct err *err)
{
    cleanup_free char *text = tuf_name_encode(name);
    enum trust_rule rule = trust_rule_of(err->text);
    if (!text || err->code != ERR_UNTRUSTED)
        return -1;
    struct err why = *err;
    const char *rest = strchr(why.text, ']');
    return trust_refuse(err, rule, "%.60s:%s", text, rest ? rest + 1 : "");
}

int tuf_role_want(struct tuf_update *u, const char *name, struct err *err)
{
    const struct tuf_file *meta = announced(u, name);
    if (meta)
        return tuf_want_file(u, meta->version, name, meta, u->options.limits.targets, err);
    trust_refuse(err, TRUST_METADATA_MISSING, "the snapshot does not name it");
    return label(name, err);
}

int tuf_role_take(struct tuf_update *u, const char *name, const struct tuf_role *delegator, const void *bytes,
                  size_t len, struct err *err)
{
    struct tuf_shelf *shelf = u->options.shelf;
    cleanup_tuf_metadata struct tuf_metadata next = {0};
    struct tuf_role *role = tuf_role_place(u, name);
    if (!role)
        return err_no_memory(err);
    if (check_bytes(u, name, delegator, bytes, len, &next, err) < 0)
        return label(name, err);
    if (shelf->ops->store(shelf, name, bytes, len, err) < 0)
        return -1;
    tuf_replace(&role->metadata, &next);
    role->there = true;
    return 0;
}

/* ---- the phase: the top-level one ---- */

static void finish(struct tuf_update *u)
{
    u->refreshed = true;
    u->phase = u->path ? PHASE_SEEK : PHASE_DONE;
}

int tuf_targets_enter(struct tuf_update *u, struct err *err)
{
    int rc = tuf_role_local(u, "targets", NULL, err);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return tuf_role_want(u, "targets", err);
    finish(u);
    return 0;
}

int tuf_targets_take(struct tuf_update *u, const void *bytes, size_t len, struct err *err)
{
    if (tuf_role_take(u, "targets", NULL, bytes, len, err) < 0)
        return -1;
    finish(u);
    return 0;
}
