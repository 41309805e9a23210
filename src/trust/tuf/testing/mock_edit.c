/* What will be published: documents edited in place, targets, delegations. */
#include "base/hex.h"
#include "base/str.h"
#include "sys/hash.h"
#include "trust/tuf/testing/mock_inside.h"

static void edit(struct tuf_mock *mock, const char *name, const char *pointer, json_t *value)
{
    struct mock_role *role = mock_role(mock, name);
    if (!role) {
        json_decref(value);
        return;
    }
    role->edited = true;
    if (mock_point(role->body, pointer, value) < 0)
        mock_fail(mock, "%.60s has no place %.100s", name, pointer);
}

void tuf_mock_set(struct tuf_mock *mock, const char *role, const char *pointer, const char *json_format, ...)
{
    va_list args;
    va_start(args, json_format);
    json_t *value = mock_vparse(mock, json_format, args);
    va_end(args);
    if (value)
        edit(mock, role, pointer, value);
}

void tuf_mock_drop(struct tuf_mock *mock, const char *role, const char *pointer)
{
    edit(mock, role, pointer, NULL);
}

void tuf_mock_expire(struct tuf_mock *mock, const char *role, int64_t at_s)
{
    edit(mock, role, "/expires", mock_date(at_s));
}

static json_t *file_json(const void *bytes, size_t len)
{
    struct digest digest = hash_bytes(bytes, len);
    char hex[65];
    hex_encode(digest.bytes, sizeof digest.bytes, hex);
    return json_pack("{s:I, s:{s:s}}", "length", (json_int_t)len, "hashes", "sha256", hex);
}

void tuf_mock_target(struct tuf_mock *mock, const char *name, const char *path, const void *bytes, size_t len)
{
    struct mock_role *role = mock_role(mock, name);
    if (!role)
        return;
    role->edited = true;
    json_object_set_new(json_object_get(role->body, "targets"), path, file_json(bytes, len));
}

static json_t *targets_body(const struct tuf_mock *mock)
{
    return json_pack("{s:s, s:s, s:i, s:o, s:{}}", "_type", "targets", "spec_version", "1.0.34", "version", 1,
                     "expires", mock_date(mock->now_s + TUF_MOCK_VALID_S), "targets");
}

static json_t *delegations_of(struct mock_role *by)
{
    json_t *delegations = json_object_get(by->body, "delegations");
    if (delegations)
        return delegations;
    json_object_set_new(by->body, "delegations", json_pack("{s:{}}", "keys"));
    return json_object_get(by->body, "delegations");
}

static json_t *texts(const char *const *list)
{
    json_t *array = json_array();
    for (; list && *list; list++)
        json_array_append_new(array, json_string(*list));
    return array;
}

int tuf_mock_delegate(struct tuf_mock *mock, const char *by_name,
                      const struct tuf_mock_delegation *delegation)
{
    struct mock_role *by = mock_role(mock, by_name);
    if (!by)
        return 0;
    json_t *delegations = delegations_of(by);
    if (!json_object_get(delegations, "roles"))
        json_object_set_new(delegations, "roles", json_array());
    json_t *entry = json_pack("{s:s, s:[], s:i, s:b}", "name", delegation->name, "keyids", "threshold", 1,
                              "terminating", delegation->terminating);
    json_object_set_new(entry, delegation->prefixes ? "path_hash_prefixes" : "paths",
                        texts(delegation->prefixes ? delegation->prefixes : delegation->paths));
    json_array_append_new(json_object_get(delegations, "roles"), entry);
    if (!mock_role_find(mock, delegation->name))
        mock_role_add(mock, delegation->name, targets_body(mock));
    int key = tuf_mock_key(mock, TUF_ED25519);
    tuf_mock_trust(mock, by_name, delegation->name, key);
    tuf_mock_sign(mock, delegation->name, key);
    return key;
}

int tuf_mock_succinct(struct tuf_mock *mock, const char *by_name, int bit_length, const char *prefix)
{
    struct mock_role *by = mock_role(mock, by_name);
    if (!by)
        return 0;
    json_object_set_new(delegations_of(by), "succinct_roles",
                        json_pack("{s:[], s:i, s:i, s:s}", "keyids", "threshold", 1, "bit_length", bit_length,
                                  "name_prefix", prefix));
    int key = tuf_mock_key(mock, TUF_ED25519);
    tuf_mock_trust(mock, by_name, prefix, key);
    for (int64_t bin = 0; bin < INT64_C(1) << bit_length; bin++) {
        cleanup_free char *name = mem_printf("%s-%0*llx", prefix, (bit_length + 3) / 4, (long long)bin);
        if (name && mock_role_add(mock, name, targets_body(mock)))
            tuf_mock_sign(mock, name, key);
    }
    return key;
}
