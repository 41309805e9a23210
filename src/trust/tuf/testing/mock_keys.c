/* Keys, who may sign and who does. */
#include "base/str.h"
#include "trust/tuf/testing/mock_inside.h"

static const struct {
    const char *keytype, *scheme;
} scheme_words[] = {
    [TUF_ED25519] = {"ed25519", "ed25519"},
    [TUF_ECDSA_P256] = {"ecdsa", "ecdsa-sha2-nistp256"},
    [TUF_RSA_PSS] = {"rsa", "rsassa-pss-sha256"},
    [TUF_RSA_PKCS1] = {"rsa", "rsa-pkcs1v15-sha256"},
};

int tuf_mock_key_named(struct tuf_mock *mock, enum tuf_scheme scheme, const char *keyid)
{
    struct mock_key *keys = mem_grow(mock->keys, mock->key_count + 1, sizeof keys[0]);
    if (keys)
        mock->keys = keys;
    struct mock_key key = {0};
    if (!keys || tuf_signer_generate(scheme, &key.signer, &mock->err) < 0) {
        mock_fail(mock, "no key");
        return 0;
    }
    key.id = mem_strdup(keyid ? keyid : tuf_signer_public(key.signer)->id);
    keys[mock->key_count] = key;
    return (int)mock->key_count++;
}

int tuf_mock_key(struct tuf_mock *mock, enum tuf_scheme scheme)
{
    return tuf_mock_key_named(mock, scheme, NULL);
}

const struct tuf_signer *tuf_mock_signer(const struct tuf_mock *mock, int key)
{
    return mock->keys[key].signer;
}

const char *tuf_mock_keyid(const struct tuf_mock *mock, int key)
{
    return mock->keys[key].id;
}

json_t *mock_key_json(const struct tuf_mock *mock, int key)
{
    const struct tuf_key *public = tuf_signer_public(mock->keys[key].signer);
    return json_pack("{s:s, s:s, s:{s:s}}", "keytype", scheme_words[public->scheme].keytype, "scheme",
                     scheme_words[public->scheme].scheme, "keyval", "public", public->public_text);
}

/* Where `by` says who speaks for `role`: an object with keyids and threshold; NULL: nowhere. */
static json_t *keyset(struct tuf_mock *mock, struct mock_role *by, const char *role)
{
    size_t i;
    json_t *entry, *delegations = json_object_get(by->body, "delegations");
    json_t *roles = json_object_get(by->body, "roles");
    if (roles)
        return json_object_get(roles, role);
    json_array_foreach(
        json_object_get(delegations, "roles"), i,
        entry) if (str_eq(json_string_value(json_object_get(entry, "name")), role)) return entry;
    entry = json_object_get(delegations, "succinct_roles");
    if (!entry)
        mock_fail(mock, "%.80s does not delegate to %.80s", by->name, role);
    return entry;
}

static json_t *known_keys(struct mock_role *by)
{
    json_t *keys = json_object_get(by->body, "keys");
    return keys ? keys : json_object_get(json_object_get(by->body, "delegations"), "keys");
}

void tuf_mock_trust(struct tuf_mock *mock, const char *by, const char *role, int key)
{
    struct mock_role *from = mock_role(mock, by);
    json_t *set = from ? keyset(mock, from, role) : NULL;
    if (!set)
        return;
    from->edited = true;
    json_object_set_new(known_keys(from), mock->keys[key].id, mock_key_json(mock, key));
    json_array_append_new(json_object_get(set, "keyids"), json_string(mock->keys[key].id));
}

void tuf_mock_distrust(struct tuf_mock *mock, const char *by, const char *role, int key)
{
    struct mock_role *from = mock_role(mock, by);
    json_t *keyids = from ? json_object_get(keyset(mock, from, role), "keyids") : NULL;
    for (size_t i = json_array_size(keyids); i-- > 0;)
        if (str_eq(json_string_value(json_array_get(keyids, i)), mock->keys[key].id))
            json_array_remove(keyids, i);
    if (from)
        from->edited = true;
}

void tuf_mock_threshold(struct tuf_mock *mock, const char *by, const char *role, int threshold)
{
    struct mock_role *from = mock_role(mock, by);
    json_t *set = from ? keyset(mock, from, role) : NULL;
    if (!set)
        return;
    from->edited = true;
    json_object_set_new(set, "threshold", json_integer(threshold));
}

void tuf_mock_sign(struct tuf_mock *mock, const char *name, int key)
{
    struct mock_role *role = mock_role(mock, name);
    struct mock_signing *more =
        role ? mem_grow(role->signings, role->signing_count + 1, sizeof more[0]) : NULL;
    if (!more)
        return;
    role->signings = more;
    role->edited = true;
    more[role->signing_count++] = (struct mock_signing){.key = key};
}

void tuf_mock_unsign(struct tuf_mock *mock, const char *name, int key)
{
    struct mock_role *role = mock_role(mock, name);
    size_t kept = 0;
    for (size_t i = 0; role && i < role->signing_count; i++)
        if (role->signings[i].key != key)
            role->signings[kept++] = role->signings[i];
    if (role)
        role->signing_count = kept;
}

static bool is_named(json_t *keyset_of_role, const char *keyid)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(keyset_of_role, "keyids"), i,
                       entry) if (str_eq(json_string_value(entry), keyid)) return true;
    return false;
}

/* Keys that no role names any more go, so that a thousand rotations do not make a root of a thousand keys. */
static void drop_unnamed(struct mock_role *by)
{
    const char *keyid, *name;
    json_t *key, *set, *roles = json_object_get(by->body, "roles");
    void *next;
    json_object_foreach_safe(roles ? known_keys(by) : NULL, next, keyid, key)
    {
        bool named = false;
        json_object_foreach(roles, name, set) named |= is_named(set, keyid);
        if (!named)
            json_object_del(known_keys(by), keyid);
    }
}

int tuf_mock_rotate(struct tuf_mock *mock, const char *by, const char *name)
{
    struct mock_role *role = mock_role(mock, name), *from = mock_role(mock, by);
    if (!role || !from)
        return 0;
    int key = tuf_mock_key(mock, TUF_ED25519);
    json_t *set = keyset(mock, from, name);
    if (str_eq(name, "root")) {
        for (size_t i = 0; i < role->signing_count; i++)
            role->signings[i].leaving = true;
    } else {
        role->signing_count = 0;
    }
    json_array_clear(json_object_get(set, "keyids"));
    json_object_set_new(set, "threshold", json_integer(1));
    tuf_mock_trust(mock, by, name, key);
    tuf_mock_sign(mock, name, key);
    drop_unnamed(from);
    return key;
}
