/* From `signed` to files: versions, signatures, names, and what snapshot and timestamp say of the others. */
#include "base/hex.h"
#include "base/str.h"
#include "sys/hash.h"
#include "trust/tuf/testing/mock_inside.h"

static json_t *signature(const struct tuf_mock *mock, int key, const char *text)
{
    struct err err = {0};
    struct tuf_signature made = {0};
    if (tuf_signer_sign(mock->keys[key].signer, text, strlen(text), &made, &err) < 0)
        return NULL;
    char *hex = mem_zalloc(2 * made.len + 1, 1);
    if (hex)
        hex_encode(made.sig, made.len, hex);
    json_t *entry = json_pack("{s:s, s:s}", "keyid", mock->keys[key].id, "sig", hex ? hex : "");
    free(hex);
    free(made.sig);
    free(made.keyid);
    return entry;
}

static char *sign(struct tuf_mock *mock, struct mock_role *role)
{
    cleanup_free char *text = mock_canonical(role->body);
    json_t *signatures = json_array();
    size_t kept = 0;
    for (size_t i = 0; text && i < role->signing_count; i++) {
        json_array_append_new(signatures, signature(mock, role->signings[i].key, text));
        if (!role->signings[i].leaving)
            role->signings[kept++] = role->signings[i];
    }
    role->signing_count = kept;
    json_t *whole = json_pack("{s:o, s:O}", "signatures", signatures, "signed", role->body);
    char *file = whole ? json_dumps(whole, JSON_INDENT(1))
                       : NULL; /* not the canonical form: a client has to make it */
    json_decref(whole);
    if (!file || !text)
        mock_fail(mock, "%.80s cannot be signed", role->name);
    return file;
}

/* As Python's quote(name, safe=""). */
static void encode(const char *name, char *out, size_t size)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t at = 0;
    for (; *name && at + 4 < size; name++) {
        if (strchr(plain, *name))
            out[at++] = *name;
        else
            at += (size_t)snprintf(out + at, size - at, "%%%02X", (unsigned)(unsigned char)*name);
    }
    out[at] = '\0';
}

static void file_name(const struct tuf_mock *mock, const char *role, int64_t version, char *out, size_t size)
{
    char encoded[300];
    encode(role, encoded, sizeof encoded);
    bool consistent =
        json_is_true(json_object_get(mock_role_find(mock, "root")->body, "consistent_snapshot"));
    if (str_eq(role, "root") || (consistent && !str_eq(role, "timestamp")))
        snprintf(out, size, "%lld.%s.json", (long long)version, encoded);
    else
        snprintf(out, size, "%s.json", encoded);
}

void tuf_mock_republish(struct tuf_mock *mock, const char *name)
{
    struct mock_role *role = mock_role(mock, name);
    const json_t *version = role ? json_object_get(role->body, "version") : NULL;
    cleanup_free char *file = role ? sign(mock, role) : NULL;
    char file_as[320];
    if (!file)
        return;
    role->published =
        json_is_integer(version) ? json_integer_value(version) : MIN(role->published, INT64_MAX - 1) + 1;
    role->edited = false;
    file_name(mock, name, role->published, file_as, sizeof file_as);
    mock_file_put(mock, file_as, name, role->published, MOCK_GIVE, file, strlen(file));
}

void tuf_mock_publish(struct tuf_mock *mock, const char *name)
{
    struct mock_role *role = mock_role(mock, name);
    const json_t *version = role ? json_object_get(role->body, "version") : NULL;
    bool known = json_is_integer(version) && json_integer_value(version) == role->published;
    if (known && role->published > 0 && role->published < INT64_MAX)
        json_object_set_new(role->body, "version", json_integer(role->published + 1));
    tuf_mock_republish(mock, name);
}

int64_t tuf_mock_version(const struct tuf_mock *mock, const char *name)
{
    const struct mock_role *role = mock_role_find(mock, name);
    return role ? role->published : 0;
}

void tuf_mock_with_hashes(struct tuf_mock *mock, bool yes)
{
    mock->with_hashes = yes;
}

static json_t *meta_entry(const struct tuf_mock *mock, const struct mock_role *role)
{
    json_t *entry = json_pack("{s:I}", "version", (json_int_t)role->published);
    const struct buf *bytes = mock->with_hashes ? tuf_mock_past(mock, role->name, role->published) : NULL;
    if (!entry || !bytes)
        return entry;
    struct digest digest = hash_bytes(bytes->data, bytes->len);
    char hex[65];
    hex_encode(digest.bytes, sizeof digest.bytes, hex);
    json_object_set_new(entry, "length", json_integer((json_int_t)bytes->len));
    json_object_set_new(entry, "hashes", json_pack("{s:s}", "sha256", hex));
    return entry;
}

static bool is_targets(const struct mock_role *role)
{
    return !str_eq(role->name, "root") && !str_eq(role->name, "timestamp") && !str_eq(role->name, "snapshot");
}

void tuf_mock_sync(struct tuf_mock *mock, const char *name)
{
    struct mock_role *role = mock_role(mock, name);
    bool snapshot = str_eq(name, "snapshot");
    json_t *meta = json_object();
    for (size_t i = 0; i < mock->role_count; i++) {
        const struct mock_role *other = &mock->roles[i];
        cleanup_free char *member = mem_printf("%s.json", other->name);
        if (member && other->published > 0 &&
            (snapshot ? is_targets(other) : str_eq(other->name, "snapshot")))
            json_object_set_new(meta, member, meta_entry(mock, other));
    }
    if (!role || json_object_set_new(role->body, "meta", meta) < 0)
        mock_fail(mock, "%.80s names nothing", name);
}

void tuf_mock_release(struct tuf_mock *mock)
{
    for (size_t i = 0; i < mock->role_count; i++)
        if (is_targets(&mock->roles[i]) && mock->roles[i].edited)
            tuf_mock_publish(mock, mock->roles[i].name);
    tuf_mock_sync(mock, "snapshot");
    tuf_mock_publish(mock, "snapshot");
    tuf_mock_sync(mock, "timestamp");
    tuf_mock_publish(mock, "timestamp");
}
