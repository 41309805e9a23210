#include "trust/keyring.h"
#include "base/buf.h"
#include "base/hex.h"
#include "base/str.h"
#include "sys/file.h"
#include "wire/json.h"

enum { SCHEMA = 1, MAX_KEYRING_BYTES = 64 * 1024, MAX_KEYS = ARRAY_LEN(((struct keyring *)0)->entries) };

const struct keyring_entry *keyring_find(const struct keyring *ring, const char *keyid)
{
    for (size_t i = 0; i < ring->count; i++)
        if (strcmp(ring->entries[i].key.id, keyid) == 0)
            return &ring->entries[i];
    return NULL;
}

static struct keyring_entry *find_by_name(struct keyring *ring, const char *name)
{
    for (size_t i = 0; i < ring->count; i++)
        if (strcmp(ring->entries[i].name, name) == 0)
            return &ring->entries[i];
    return NULL;
}

/* Reads one key. A place after an error reads nothing, so all that follows fails as well and only the first
 * error counts. */
static void read_entry(struct json_at at, struct keyring *ring)
{
    static const char *const known[] = {"keyid", "algorithm", "public", "name", "revoked", NULL};
    struct keyring_entry entry = {0};
    char keyid[KEY_ID_SIZE] = "", algorithm[16] = "", public_hex[65] = "";
    uint8_t raw[32];
    json_only(at, known);
    json_get_string(at, "keyid", keyid, sizeof keyid);
    json_get_string(at, "algorithm", algorithm, sizeof algorithm);
    json_get_string(at, "public", public_hex, sizeof public_hex);
    json_get_name(at, "name", entry.name, sizeof entry.name);
    json_get_bool(at, "revoked", &entry.revoked);
    if (strcmp(algorithm, "ed25519") != 0) {
        json_fail(at, "algorithm '%s' is not supported, only ed25519", algorithm);
        return;
    }
    if (strlen(public_hex) != 64 || !hex_decode(public_hex, 64, raw)) {
        json_fail(at, "public is not 64 lower-case hexadecimal digits");
        return;
    }
    public_key_from_raw(raw, &entry.key);
    if (strcmp(entry.key.id, keyid) != 0)
        json_fail(at, "keyid is not the one of the public key, which has %s", entry.key.id);
    else if (keyring_find(ring, keyid) || find_by_name(ring, entry.name))
        json_fail(at, "the key or its name is there twice");
    else
        ring->entries[ring->count++] = entry;
}

static void read_ring(struct json_at root, struct keyring *ring)
{
    static const char *const known[] = {"schema", "keys", NULL};
    int64_t schema = SCHEMA;
    size_t count = 0;
    json_only(root, known);
    json_get_int(root, "schema", SCHEMA, SCHEMA, &schema);
    struct json_at keys = json_list(root, "keys", MAX_KEYS, &count);
    for (size_t i = 0; i < count; i++)
        read_entry(json_as_object(json_item(keys, i)), ring);
    if (count == 0)
        json_fail(root, "there are no keys in it");
}

int keyring_parse(const char *text, size_t len, struct keyring *out, struct err *err)
{
    struct json_reader reader;
    if (json_read(&reader, "keyring", text, len, err) < 0)
        return -1;
    struct keyring ring = {0};
    read_ring(json_root(&reader), &ring);
    if (json_finish(&reader, err) < 0)
        return -1;
    *out = ring;
    return 0;
}

static int format_entry(const struct keyring_entry *entry, struct buf *out, struct err *err)
{
    char public_hex[65];
    hex_encode(entry->key.raw, sizeof entry->key.raw, public_hex);
    return buf_printf(out, err,
                      "  {\"keyid\": \"%s\", \"algorithm\": \"ed25519\",\n"
                      "   \"public\": \"%s\", \"name\": \"%s\", \"revoked\": %s}",
                      entry->key.id, public_hex, entry->name, entry->revoked ? "true" : "false");
}

/* Names need no escaping: keyring_add and keyring_parse let only str_is_name in. */
char *keyring_format(const struct keyring *ring)
{
    cleanup_buf struct buf out = BUF_INIT(MAX_KEYRING_BYTES);
    struct err err = {0};
    if (buf_printf(&out, &err, "{\"schema\": %d, \"keys\": [", SCHEMA) < 0)
        return NULL;
    for (size_t i = 0; i < ring->count; i++)
        if (buf_puts(&out, i ? ",\n" : "\n", &err) < 0 || format_entry(&ring->entries[i], &out, &err) < 0)
            return NULL;
    return buf_puts(&out, "\n]}\n", &err) < 0 ? NULL : buf_take(&out);
}

int keyring_load(const char *path, struct keyring *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(MAX_KEYRING_BYTES);
    if (file_read(path, &text, err) < 0)
        return -1;
    if (keyring_parse(buf_text(&text), text.len, out, err) < 0)
        return err_prefix(err, "%s", path);
    return 0;
}

int keyring_save(const struct keyring *ring, const char *path, struct err *err)
{
    cleanup_free char *text = keyring_format(ring);
    return text ? file_replace(path, text, strlen(text), 0644, err) : err_no_memory(err);
}

int keyring_add(struct keyring *ring, const struct public_key *key, const char *name, struct err *err)
{
    if (!str_is_name(name, sizeof ring->entries[0].name - 1))
        return err_set(err, ERR_INVALID,
                       "'%.70s' is no name for a key: up to 63 of letters, digits, '.', '_', '-'", name);
    if (keyring_find(ring, key->id) || find_by_name(ring, name))
        return err_set(err, ERR_EXISTS, "the keyring has key %.16s… or the name %s already", key->id, name);
    if (ring->count == MAX_KEYS)
        return err_set(err, ERR_TOO_BIG, "the keyring is full (%zu keys)", ring->count);
    struct keyring_entry *entry = &ring->entries[ring->count++];
    *entry = (struct keyring_entry){.key = *key};
    str_copy(entry->name, sizeof entry->name, name);
    return 0;
}

int keyring_revoke(struct keyring *ring, const char *keyid_or_name, struct err *err)
{
    struct keyring_entry *entry = find_by_name(ring, keyid_or_name);
    for (size_t i = 0; i < ring->count && !entry; i++)
        if (strcmp(ring->entries[i].key.id, keyid_or_name) == 0)
            entry = &ring->entries[i];
    if (!entry)
        return err_set(err, ERR_NOT_FOUND, "no key '%.70s' in the keyring", keyid_or_name);
    entry->revoked = true;
    return 0;
}
