#include "trust/repo/online.h"

#include "base/buf.h"
#include "base/str.h"
#include "sys/file.h"
#include "wire/json.h"

#include <string.h>

enum { SCHEMA = 1, MAX_PUBLIC_BYTES = 16 << 10, HEX_KEY = 64 };

static const char *const role_names[ONLINE_ROLES] = {
    [ONLINE_TIMESTAMP] = "timestamp",
    [ONLINE_SNAPSHOT] = "snapshot",
    [ONLINE_DIRECTOR] = "director",
    [ONLINE_AUDIT] = "audit",
};

struct online {
    struct tuf_signer *signers[ONLINE_ROLES], *next[ONLINE_ROLES];
};

const char *online_role_name(enum online_role role)
{
    return (unsigned)role < ONLINE_ROLES ? role_names[role] : "unknown";
}

bool online_role_from_name(const char *name, enum online_role *out)
{
    for (int i = 0; i < ONLINE_ROLES; i++)
        if (str_eq(name, role_names[i])) {
            *out = (enum online_role)i;
            return true;
        }
    return false;
}

const struct tuf_keyset *online_keyset(const struct tuf_root *root, enum online_role role)
{
    const struct tuf_keyset *const sets[ONLINE_ROLES] = {
        [ONLINE_TIMESTAMP] = &root->roles[TUF_TIMESTAMP],
        [ONLINE_SNAPSHOT] = &root->roles[TUF_SNAPSHOT],
        [ONLINE_DIRECTOR] = &root->director,
        [ONLINE_AUDIT] = &root->audit,
    };
    return sets[role];
}

const struct tuf_signer *online_next(const struct online *online, enum online_role role)
{
    return online->next[role];
}

const struct tuf_signer *online_signer(const struct online *online, enum online_role role)
{
    return online->signers[role];
}

void online_free(struct online *online)
{
    for (int i = 0; online && i < ONLINE_ROLES; i++) {
        if (online->signers[i])
            tuf_signer_free(online->signers[i]);
        if (online->next[i])
            tuf_signer_free(online->next[i]);
    }
    free(online);
}

static char *key_path(const char *dir, enum online_role role, bool next)
{
    return mem_printf("%s/online/%s%s.key", dir, role_names[role], next ? ".next" : "");
}

/* ---- the private halves ---- */

static int make_key(const char *dir, enum online_role role, bool next, struct err *err)
{
    cleanup_free char *path = key_path(dir, role, next);
    cleanup_tuf_signer struct tuf_signer *signer = NULL;
    if (!path)
        return err_no_memory(err);
    if (file_exists(path))
        return 0;
    if (tuf_signer_generate(TUF_ED25519, &signer, err) < 0)
        return -1;
    return tuf_signer_save(signer, path, NULL, err);
}

static int load_key(const char *path, struct tuf_signer **out, struct err *err)
{
    if (tuf_signer_load(path, NULL, out, err) < 0)
        return -1;
    if (tuf_signer_public(*out)->scheme != TUF_ED25519)
        return err_set(err, ERR_INVALID, "%s is no Ed25519 key", path);
    return 0;
}

static int load_role(const char *dir, enum online_role role, struct online *online, struct err *err)
{
    cleanup_free char *path = key_path(dir, role, false), *next = key_path(dir, role, true);
    if (!path || !next)
        return err_no_memory(err);
    if (!file_exists(path))
        return err_set(err, ERR_NOT_FOUND, "%s is missing; musterd init --dir %s makes it", path, dir);
    if (load_key(path, &online->signers[role], err) < 0)
        return -1;
    return file_exists(next) ? load_key(next, &online->next[role], err) : 0;
}

int online_load(const char *dir, struct online **out, struct err *err)
{
    cleanup_online struct online *online = mem_zalloc(1, sizeof *online);
    if (!online)
        return err_no_memory(err);
    for (int i = 0; i < ONLINE_ROLES; i++)
        if (load_role(dir, (enum online_role)i, online, err) < 0)
            return -1;
    *out = TAKE_PTR(online);
    return 0;
}

/* What the next root is to name. */
static int write_public(const char *dir, struct err *err)
{
    cleanup_online struct online *online = NULL;
    struct online_public keys; /* borrows from the signers */
    if (online_load(dir, &online, err) < 0)
        return -1;
    for (int i = 0; i < ONLINE_ROLES; i++)
        keys.keys[i] = *tuf_signer_public(online->next[i] ? online->next[i] : online->signers[i]);
    cleanup_free char *text = online_public_format(&keys);
    cleanup_free char *path = file_join(dir, "online.json");
    if (!text || !path)
        return err_no_memory(err);
    return file_replace(path, text, strlen(text), 0644, err);
}

int online_make(const char *dir, struct err *err)
{
    cleanup_free char *keys = file_join(dir, "online");
    if (!keys)
        return err_no_memory(err);
    if (file_make_dirs(keys, 0700, err) < 0)
        return -1;
    for (int i = 0; i < ONLINE_ROLES; i++)
        if (make_key(dir, (enum online_role)i, false, err) < 0)
            return -1;
    return write_public(dir, err);
}

int online_rotate(const char *dir, enum online_role role, struct err *err)
{
    return make_key(dir, role, true, err) < 0 ? -1 : write_public(dir, err);
}

static bool names(const struct tuf_root *root, enum online_role role, const struct tuf_signer *signer)
{
    const struct tuf_keyset *set = online_keyset(root, role);
    for (size_t i = 0; i < set->count; i++)
        if (str_eq(set->keyids[i], tuf_signer_public(signer)->id))
            return true;
    return false;
}

static int settle(const char *dir, enum online_role role, struct err *err)
{
    cleanup_free char *path = key_path(dir, role, false), *next = key_path(dir, role, true);
    return path && next ? file_rename(next, path, err) : err_no_memory(err);
}

int online_settle(const char *dir, const struct tuf_root *root, struct err *err)
{
    cleanup_online struct online *online = NULL;
    if (online_load(dir, &online, err) < 0)
        return -1;
    for (int i = 0; i < ONLINE_ROLES; i++) {
        enum online_role role = (enum online_role)i;
        if (online->next[i] && names(root, role, online->next[i]) && !names(root, role, online->signers[i]) &&
            settle(dir, role, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the public halves ---- */

static bool is_hex_key(const char *text)
{
    return strlen(text) == HEX_KEY && strspn(text, "0123456789abcdef") == HEX_KEY;
}

static void read_word(struct json_at at, const char *key, const char *only)
{
    int index;
    json_get_choice(at, key, &only, 1, &index);
}

static void read_key(struct json_at at, char out[HEX_KEY + 1])
{
    JSON_ONLY(at, "keytype", "scheme", "keyval");
    read_word(at, "keytype", "ed25519");
    read_word(at, "scheme", "ed25519");
    struct json_at value = json_child(at, "keyval");
    JSON_ONLY(value, "public");
    json_get_string(value, "public", out, HEX_KEY + 1);
    if (at.reader->err.code == ERR_NONE && !is_hex_key(out))
        json_fail(value, "public is no key: 64 lower-case hexadecimal digits");
}

static void read_public(struct json_at root, char out[ONLINE_ROLES][HEX_KEY + 1])
{
    int64_t schema;
    JSON_ONLY(root, "schema", "timestamp", "snapshot", "director", "audit");
    json_get_int(root, "schema", SCHEMA, SCHEMA, &schema);
    for (int i = 0; i < ONLINE_ROLES; i++) {
        struct json_at at = json_child(root, role_names[i]);
        read_key(at, out[i]);
        for (int j = 0; j < i; j++)
            if (str_eq(out[i], out[j]))
                json_fail(at, "the key of %s is used twice; each role wants its own", role_names[j]);
    }
}

static int fill_key(const char *hex, struct tuf_key *out, struct err *err)
{
    char id[65];
    if (tuf_key_id(TUF_ED25519, hex, id, err) < 0)
        return -1;
    *out = (struct tuf_key){.scheme = TUF_ED25519, .id = mem_strdup(id), .public_text = mem_strdup(hex)};
    return out->id && out->public_text ? 0 : err_no_memory(err);
}

int online_public_parse(const void *text, size_t len, struct online_public *out, struct err *err)
{
    char hex[ONLINE_ROLES][HEX_KEY + 1] = {{0}};
    struct json_reader reader;
    *out = (struct online_public){0};
    if (json_read(&reader, "online.json", text, len, err) < 0)
        return -1;
    read_public(json_root(&reader), hex);
    if (json_finish(&reader, err) < 0)
        return -1;
    for (int i = 0; i < ONLINE_ROLES; i++)
        if (fill_key(hex[i], &out->keys[i], err) < 0) {
            online_public_fini(out);
            return -1;
        }
    return 0;
}

int online_public_load(const char *path, struct online_public *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(MAX_PUBLIC_BYTES);
    if (file_read(path, &text, err) < 0)
        return -1;
    if (online_public_parse(buf_text(&text), text.len, out, err) < 0)
        return err_prefix(err, "%s", path);
    return 0;
}

/* Hexadecimal digits need no escaping. */
char *online_public_format(const struct online_public *keys)
{
    cleanup_buf struct buf out = BUF_INIT(MAX_PUBLIC_BYTES);
    struct err err = {0};
    if (buf_printf(&out, &err, "{\"schema\": %d", SCHEMA) < 0)
        return NULL;
    for (int i = 0; i < ONLINE_ROLES; i++)
        if (buf_printf(&out, &err,
                       ",\n \"%s\": {\"keytype\": \"ed25519\", \"scheme\": \"ed25519\", \"keyval\": "
                       "{\"public\": \"%s\"}}",
                       role_names[i], keys->keys[i].public_text) < 0)
            return NULL;
    return buf_puts(&out, "}\n", &err) < 0 ? NULL : buf_take(&out);
}

void online_public_fini(struct online_public *keys)
{
    for (int i = 0; i < ONLINE_ROLES; i++) {
        free(keys->keys[i].id);
        free(keys->keys[i].public_text);
    }
    *keys = (struct online_public){0};
}
