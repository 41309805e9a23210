#include "base/mem.h"
#include "base/str.h"
#include "wire/tuf/tree.h"

/* A role of root, whose keys must be there. */
static void read_role(struct json_at at, const struct tuf_root *root, struct tuf_keyset *out)
{
    tuf_read_keyset(at, out);
    for (size_t i = 0; i < out->count; i++)
        if (!out->keyids || !out->keyids[i])
            return;
    if (!tuf_keys_have(root->keys, root->key_count, out))
        json_fail(at, "keyids names a key that is not in keys");
}

static void read_own(struct json_at at, struct tuf_root *out)
{
    if (json_has(at, "fleet"))
        out->fleet = tuf_read_text(at, "fleet");
    if (json_has(at, "director"))
        read_role(json_child(at, "director"), out, &out->director);
    if (json_has(at, "audit"))
        read_role(json_child(at, "audit"), out, &out->audit);
}

/* An id is missing only after an error, and then nothing can be looked up. */
static bool keys_complete(const struct tuf_root *root)
{
    for (size_t i = 0; i < root->key_count; i++)
        if (!root->keys[i].id)
            return false;
    return root->keys != NULL;
}

void tuf_read_root(struct json_at at, struct tuf_root *out)
{
    if (json_has(at, "consistent_snapshot"))
        json_get_bool(at, "consistent_snapshot", &out->consistent_snapshot);
    out->keys = tuf_read_keys(at, &out->key_count);
    struct json_at roles = json_child(at, "roles");
    if (!keys_complete(out) || !roles.value)
        return;
    if (json_object_size(roles.value) != TUF_KIND_COUNT)
        json_fail(roles, "must be root, timestamp, snapshot and targets, and nothing else");
    for (int i = 0; i < TUF_KIND_COUNT; i++)
        read_role(json_child(roles, tuf_kind_name(i)), out, &out->roles[i]);
    if (json_has(at, "x-muster"))
        read_own(json_child(at, "x-muster"), out);
}
