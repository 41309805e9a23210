#include "wire/tuf/format.h"

#include "base/buf.h"
#include "base/hex.h"
#include "base/mem.h"
#include "wire/instant.h"
#include "wire/json_write.h"
#include "wire/tuf/tree.h"

enum { MAX_METADATA_BYTES = 8 << 20 };

/* ---- text ---- */

/* Canonical JSON has raw control characters in its strings, and nowhere else. As JSON has it they are escaped. */
static int put_escaped(struct buf *out, const char *canonical, size_t len, struct err *err)
{
    size_t done = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)canonical[i];
        if (c >= 0x20)
            continue;
        if (buf_put(out, canonical + done, i - done, err) < 0 || buf_printf(out, err, "\\u%04x", c) < 0)
            return -1;
        done = i + 1;
    }
    return buf_put(out, canonical + done, len - done, err);
}

static json_t *from_instant(int64_t s)
{
    char text[INSTANT_SIZE];
    if (s < 0 || s > INSTANT_MAX_S)
        return NULL;
    instant_format(s, text);
    return json_string(text);
}

/* ---- pieces; NULL wherever something cannot be written, which passes through to the end ---- */

/* Gives `value` up, also on failure. */
static int put(json_t *object, const char *key, json_t *value)
{
    return object && value ? json_object_set_new(object, key, value) : (json_decref(value), -1);
}

static json_t *done(json_t *value, int status)
{
    if (status == 0)
        return value;
    json_decref(value);
    return NULL;
}

static json_t *from_keys(const struct tuf_key *keys, size_t count)
{
    json_t *all = json_object();
    int status = 0;
    for (size_t i = 0; i < count && status == 0; i++)
        status = json_object_get(all, keys[i].id)
                     ? -1
                     : put(all, keys[i].id, tuf_key_tree(keys[i].scheme, keys[i].public_text));
    return done(all, status);
}

static json_t *from_texts(char *const *texts, size_t count)
{
    json_t *all = json_array();
    int status = 0;
    for (size_t i = 0; i < count && status == 0; i++)
        status = json_append(all, json_string(texts[i]));
    return done(all, status);
}

/* Adds keyids and threshold. */
static int put_keyset(json_t *object, const struct tuf_keyset *set)
{
    return put(object, "keyids", from_texts(set->keyids, set->count)) < 0
               ? -1
               : put(object, "threshold", json_integer(set->threshold));
}

static json_t *from_keyset(const struct tuf_keyset *set)
{
    json_t *object = json_object();
    return done(object, put_keyset(object, set));
}

static json_t *from_hex(const uint8_t *bytes, size_t len)
{
    char text[129];
    hex_encode(bytes, len, text);
    return json_string(text);
}

static json_t *from_hashes(const struct tuf_hashes *hashes)
{
    json_t *object = json_object();
    int status =
        hashes->has_sha256 ? put(object, "sha256", from_hex(hashes->sha256, sizeof hashes->sha256)) : 0;
    if (status == 0 && hashes->has_sha512)
        status = put(object, "sha512", from_hex(hashes->sha512, sizeof hashes->sha512));
    return done(object, status);
}

/* ---- the four kinds ---- */

static int put_extension(json_t *signed_part, const struct tuf_root *root)
{
    if (!root->fleet && root->director.threshold == 0 && root->audit.threshold == 0)
        return 0;
    json_t *extension = json_object();
    int status = root->fleet ? put(extension, "fleet", json_string(root->fleet)) : 0;
    if (status == 0 && root->director.threshold != 0)
        status = put(extension, "director", from_keyset(&root->director));
    if (status == 0 && root->audit.threshold != 0)
        status = put(extension, "audit", from_keyset(&root->audit));
    return put(signed_part, "x-muster", done(extension, status));
}

static int put_root(json_t *signed_part, const struct tuf_metadata *metadata)
{
    const struct tuf_root *root = &metadata->root;
    json_t *roles = json_object();
    int status = 0;
    for (int i = 0; i < TUF_KIND_COUNT && status == 0; i++)
        status = put(roles, tuf_kind_name(i), from_keyset(&root->roles[i]));
    if (put(signed_part, "roles", done(roles, status)) < 0 ||
        put(signed_part, "keys", from_keys(root->keys, root->key_count)) < 0 ||
        put(signed_part, "consistent_snapshot", json_boolean(root->consistent_snapshot)) < 0)
        return -1;
    return put_extension(signed_part, root);
}

static json_t *from_file(const struct tuf_file *file)
{
    json_t *object = json_object();
    int status = put(object, "version", json_integer(file->version));
    if (status == 0 && file->has_length)
        status = put(object, "length", json_integer((json_int_t)file->length));
    if (status == 0 && (file->hashes.has_sha256 || file->hashes.has_sha512))
        status = put(object, "hashes", from_hashes(&file->hashes));
    return done(object, status);
}

static int put_meta(json_t *signed_part, const struct tuf_metadata *metadata)
{
    json_t *meta = json_object();
    int status = 0;
    for (size_t i = 0; i < metadata->meta.count && status == 0; i++) {
        const struct tuf_file *file = &metadata->meta.files[i];
        status = json_object_get(meta, file->name) ? -1 : put(meta, file->name, from_file(file));
    }
    return put(signed_part, "meta", done(meta, status));
}

static int put_timestamp(json_t *signed_part, const struct tuf_metadata *metadata)
{
    if (metadata->issued_s != 0) {
        json_t *extension = json_object();
        if (put(signed_part, "x-muster",
                done(extension, put(extension, "issued", from_instant(metadata->issued_s)))) < 0)
            return -1;
    }
    return put_meta(signed_part, metadata);
}

static json_t *from_custom(const char *canonical)
{
    cleanup_buf struct buf text = BUF_INIT(MAX_METADATA_BYTES);
    struct err ignored = {0};
    if (put_escaped(&text, canonical, strlen(canonical), &ignored) < 0)
        return NULL;
    return json_loadb(buf_text(&text), text.len, JSON_REJECT_DUPLICATES, NULL);
}

static json_t *from_target(const struct tuf_target *target)
{
    json_t *object = json_object();
    int status = put(object, "length", json_integer((json_int_t)target->length));
    if (status == 0)
        status = put(object, "hashes", from_hashes(&target->hashes));
    if (status == 0 && target->custom)
        status = put(object, "custom", from_custom(target->custom));
    return done(object, status);
}

static json_t *from_delegation(const struct tuf_delegation *delegation)
{
    json_t *object = json_object();
    int status = put(object, "name", json_string(delegation->name));
    if (status == 0)
        status = put_keyset(object, &delegation->keys);
    if (status == 0)
        status = put(object, "terminating", json_boolean(delegation->terminating));
    if (status == 0 && delegation->prefix_count == 0)
        status = put(object, "paths", from_texts(delegation->paths, delegation->path_count));
    if (status == 0 && delegation->prefix_count > 0)
        status =
            put(object, "path_hash_prefixes", from_texts(delegation->prefixes, delegation->prefix_count));
    return done(object, status);
}

static json_t *from_succinct(const struct tuf_succinct *succinct)
{
    json_t *object = json_object();
    int status = put_keyset(object, &succinct->keys);
    if (status == 0)
        status = put(object, "bit_length", json_integer(succinct->bit_length));
    if (status == 0)
        status = put(object, "name_prefix", json_string(succinct->prefix));
    return done(object, status);
}

static json_t *from_roles(const struct tuf_targets *targets)
{
    json_t *roles = json_array();
    int status = 0;
    for (size_t i = 0; i < targets->delegation_count && status == 0; i++)
        status = json_append(roles, from_delegation(&targets->delegations[i]));
    return done(roles, status);
}

static int put_delegations(json_t *signed_part, const struct tuf_targets *targets)
{
    if (targets->delegation_count == 0 && targets->succinct.bit_length == 0)
        return 0;
    json_t *object = json_object();
    int status = put(object, "keys", from_keys(targets->keys, targets->key_count));
    if (status == 0 && targets->delegation_count > 0)
        status = put(object, "roles", from_roles(targets));
    if (status == 0 && targets->succinct.bit_length > 0)
        status = put(object, "succinct_roles", from_succinct(&targets->succinct));
    return put(signed_part, "delegations", done(object, status));
}

static int put_targets(json_t *signed_part, const struct tuf_metadata *metadata)
{
    const struct tuf_targets *targets = &metadata->targets;
    json_t *object = json_object();
    int status = 0;
    for (size_t i = 0; i < targets->count && status == 0; i++) {
        const struct tuf_target *target = &targets->targets[i];
        status = json_object_get(object, target->path) ? -1 : put(object, target->path, from_target(target));
    }
    return put(signed_part, "targets", done(object, status)) < 0 ? -1 : put_delegations(signed_part, targets);
}

/* ---- whole files ---- */

static json_t *from_signed(const struct tuf_metadata *metadata)
{
    static int (*const put_kind[])(json_t *, const struct tuf_metadata *) = {
        [TUF_ROOT] = put_root,
        [TUF_TIMESTAMP] = put_timestamp,
        [TUF_SNAPSHOT] = put_meta,
        [TUF_TARGETS] = put_targets,
    };
    if (metadata->kind >= TUF_KIND_COUNT)
        return NULL;
    json_t *root = json_object();
    int status = put(root, "_type", json_string(tuf_kind_name(metadata->kind)));
    if (status == 0)
        status = put(root, "spec_version",
                     json_string(metadata->spec_version[0] ? metadata->spec_version : "1.0.34"));
    if (status == 0)
        status = put(root, "version", json_integer(metadata->version));
    if (status == 0)
        status = put(root, "expires", from_instant(metadata->expires_s));
    if (status == 0)
        status = put_kind[metadata->kind](root, metadata);
    return done(root, status);
}

static int put_signatures(struct buf *out, const struct tuf_metadata *metadata, struct err *err)
{
    json_t *all = json_array();
    int status = 0;
    for (size_t i = 0; i < metadata->signature_count && status == 0; i++) {
        const struct tuf_signature *signature = &metadata->signatures[i];
        cleanup_free char *hex = mem_zalloc(2, signature->len + 1);
        if (hex)
            hex_encode(signature->sig, signature->len, hex);
        status = json_append(all, json_pack("{s:s, s:s}", "keyid", signature->keyid, "sig", hex ? hex : ""));
        status = hex ? status : -1;
    }
    cleanup_free char *text = json_write_new(done(all, status));
    return text ? buf_puts(out, text, err) : err_no_memory(err);
}

char *tuf_envelope_format(const struct tuf_metadata *metadata, struct err *err)
{
    cleanup_buf struct buf out = BUF_INIT(MAX_METADATA_BYTES);
    if (buf_puts(&out, "{\"signatures\":", err) < 0 || put_signatures(&out, metadata, err) < 0 ||
        buf_puts(&out, ",\"signed\":", err) < 0 ||
        put_escaped(&out, metadata->signed_text, metadata->signed_len, err) < 0 ||
        buf_puts(&out, "}\n", err) < 0)
        return NULL;
    return buf_take(&out);
}

/* What is written must be what the parser takes: one place knows the rules. */
static int check_signed(char *canonical, size_t len, struct err *err)
{
    struct tuf_metadata unsigned_file = {.signed_text = canonical, .signed_len = len};
    cleanup_free char *text = tuf_envelope_format(&unsigned_file, err);
    cleanup_tuf_metadata struct tuf_metadata parsed = {0};
    return text ? tuf_metadata_parse(text, strlen(text), &parsed, err) : -1;
}

char *tuf_signed_format(const struct tuf_metadata *metadata, size_t *out_len, struct err *err)
{
    cleanup_json json_t *tree = from_signed(metadata);
    if (!tree) {
        err_set(err, ERR_INVALID,
                "%s version %lld cannot be written: a member is missing, twice there or out of range",
                metadata->kind < TUF_KIND_COUNT ? tuf_kind_name(metadata->kind) : "metadata",
                (long long)metadata->version);
        return NULL;
    }
    cleanup_free char *plain = json_dumps(tree, JSON_COMPACT);
    if (!plain) {
        err_no_memory(err);
        return NULL;
    }
    size_t len = 0;
    cleanup_free char *canonical = tuf_canonical(plain, strlen(plain), &len, err);
    if (!canonical || check_signed(canonical, len, err) < 0)
        return NULL;
    *out_len = len;
    return TAKE_PTR(canonical);
}
