#include "trust/signature.h"
#include "base/buf.h"
#include "base/hex.h"
#include "base/str.h"
#include "wire/json.h"

#include <inttypes.h>

enum {
    SCHEMA = 1,
    MAX_ENVELOPE_BYTES = 16 * 1024,
    MAX_MANIFEST_BYTES = 1 << 30,
    MAX_SIGNATURES = ARRAY_LEN(((struct signature_envelope *)0)->items),
    SIGNED_TEXT_SIZE = 128,
};

/* The signed bytes: what they are for, then digest and size, a line each. */
static size_t signed_text(const struct digest *digest, uint64_t size, char out[SIGNED_TEXT_SIZE])
{
    struct digest_text text = digest_format(digest);
    int len = snprintf(out, SIGNED_TEXT_SIZE, "muster-release-v1\n%s\n%" PRIu64 "\n", text.text, size);
    return (size_t)len;
}

static struct signature_item *find_item(struct signature_envelope *envelope, const char *keyid)
{
    for (size_t i = 0; i < envelope->count; i++)
        if (strcmp(envelope->items[i].keyid, keyid) == 0)
            return &envelope->items[i];
    return NULL;
}

static bool is_keyid(const char *text)
{
    uint8_t raw[32];
    return strlen(text) == 64 && hex_decode(text, 64, raw);
}

static void read_item(struct json_at at, struct signature_envelope *envelope)
{
    static const char *const known[] = {"keyid", "sig", NULL};
    struct signature_item item = {0};
    char sig_hex[129] = "";
    json_only(at, known);
    json_get_string(at, "keyid", item.keyid, sizeof item.keyid);
    json_get_string(at, "sig", sig_hex, sizeof sig_hex);
    if (!is_keyid(item.keyid))
        json_fail(at, "keyid is not 64 lower-case hexadecimal digits");
    else if (strlen(sig_hex) != 128 || !hex_decode(sig_hex, 128, item.sig))
        json_fail(at, "sig is not 128 lower-case hexadecimal digits");
    else if (find_item(envelope, item.keyid))
        json_fail(at, "key %.16s… has signed twice; one signature per key", item.keyid);
    else
        envelope->items[envelope->count++] = item;
}

static void read_envelope(struct json_at root, struct signature_envelope *envelope)
{
    static const char *const known[] = {"schema", "digest", "size", "signatures", NULL};
    int64_t schema = SCHEMA, size = 0;
    char digest[DIGEST_TEXT_SIZE] = "";
    size_t count = 0;
    json_only(root, known);
    json_get_int(root, "schema", SCHEMA, SCHEMA, &schema);
    json_get_string(root, "digest", digest, sizeof digest);
    json_get_int(root, "size", 1, MAX_MANIFEST_BYTES, &size);
    struct json_at list = json_list(root, "signatures", MAX_SIGNATURES, &count);
    for (size_t i = 0; i < count; i++)
        read_item(json_as_object(json_item(list, i)), envelope);
    envelope->size = (uint64_t)size;
    if (!digest_parse(digest, &envelope->digest))
        json_fail(root, "digest is not 'sha256:' and 64 lower-case hexadecimal digits");
}

int signature_parse(const char *text, size_t len, struct signature_envelope *out, struct err *err)
{
    struct json_reader reader;
    if (len > MAX_ENVELOPE_BYTES)
        return err_set(err, ERR_TOO_BIG, "signature: %zu bytes, the limit is %d", len, MAX_ENVELOPE_BYTES);
    if (json_read(&reader, "signature", text, len, err) < 0)
        return -1;
    struct signature_envelope envelope = {0};
    read_envelope(json_root(&reader), &envelope);
    if (json_finish(&reader, err) < 0)
        return -1;
    *out = envelope;
    return 0;
}

char *signature_format(const struct signature_envelope *envelope)
{
    cleanup_buf struct buf out = BUF_INIT(MAX_ENVELOPE_BYTES);
    struct err err = {0};
    struct digest_text digest = digest_format(&envelope->digest);
    int rc = buf_printf(&out, &err,
                        "{\"schema\": %d, \"digest\": \"%s\", \"size\": %" PRIu64 ",\n \"signatures\": [",
                        SCHEMA, digest.text, envelope->size);
    for (size_t i = 0; i < envelope->count && rc == 0; i++) {
        char sig_hex[129];
        hex_encode(envelope->items[i].sig, sizeof envelope->items[i].sig, sig_hex);
        rc = buf_printf(&out, &err, "%s\n  {\"keyid\": \"%s\", \"sig\": \"%s\"}", i ? "," : "",
                        envelope->items[i].keyid, sig_hex);
    }
    return rc < 0 || buf_puts(&out, "\n]}\n", &err) < 0 ? NULL : buf_take(&out);
}

int signature_add(struct signature_envelope *envelope, const struct signing_key *key, struct err *err)
{
    struct public_key public_key;
    signing_key_public(key, &public_key);
    struct signature_item item = {0};
    str_copy(item.keyid, sizeof item.keyid, public_key.id);
    struct signature_item *slot = find_item(envelope, item.keyid);
    if (!slot && envelope->count == MAX_SIGNATURES)
        return err_set(err, ERR_TOO_BIG, "the release has %zu signatures, and that is the limit",
                       envelope->count);
    char text[SIGNED_TEXT_SIZE];
    size_t len = signed_text(&envelope->digest, envelope->size, text);
    if (signing_key_sign(key, text, len, item.sig, err) < 0)
        return -1;
    if (!slot)
        slot = &envelope->items[envelope->count++];
    *slot = item;
    return 0;
}

/* One signature. Returns 0 if it counts; else -1 and why not. */
static int check_item(const struct signature_item *item, const char *text, size_t len,
                      const struct keyring *ring, struct err *err)
{
    const struct keyring_entry *entry = keyring_find(ring, item->keyid);
    if (!entry)
        return err_set(err, ERR_UNTRUSTED, "key %.16s… is unknown; add it to the keyring if you trust it",
                       item->keyid);
    if (entry->revoked)
        return err_set(err, ERR_UNTRUSTED, "key %.16s… (%s) is revoked; sign the release with a key in use",
                       item->keyid, entry->name);
    if (!public_key_verify(&entry->key, text, len, item->sig))
        return err_set(err, ERR_UNTRUSTED,
                       "signature of key %.16s… (%s) does not fit the manifest; one of the two was changed",
                       item->keyid, entry->name);
    return 0;
}

static int count_good(const struct signature_envelope *envelope, const struct keyring *ring,
                      struct err *first_bad)
{
    char text[SIGNED_TEXT_SIZE];
    size_t len = signed_text(&envelope->digest, envelope->size, text);
    int good = 0;
    for (size_t i = 0; i < envelope->count; i++) {
        struct err err = {0};
        bool twice = false; /* parse refuses this; a caller's own envelope must not count twice either */
        for (size_t j = 0; j < i; j++)
            twice = twice || strcmp(envelope->items[i].keyid, envelope->items[j].keyid) == 0;
        if (!twice && check_item(&envelope->items[i], text, len, ring, &err) == 0)
            good++;
        else if (first_bad->code == ERR_NONE && err.code != ERR_NONE)
            *first_bad = err;
    }
    return good;
}

int signature_verify(const struct signature_envelope *envelope, const struct digest *digest, uint64_t size,
                     const struct keyring *ring, struct err *err)
{
    if (envelope->count == 0)
        return err_set(err, ERR_UNTRUSTED, "not signed; run `muster sign` with a release key");
    if (!digest_equal(&envelope->digest, digest) || envelope->size != size) {
        struct digest_text theirs = digest_format(&envelope->digest), ours = digest_format(digest);
        return err_set(err, ERR_UNTRUSTED,
                       "signature is for manifest %.19s… (%" PRIu64 " bytes), this one is %.19s… (%" PRIu64
                       " bytes)",
                       theirs.text, envelope->size, ours.text, size);
    }
    struct err bad = {0};
    int good = count_good(envelope, ring, &bad);
    int needed = MAX(ring->threshold, 1);
    if (good >= needed)
        return 0;
    *err = bad;
    if (needed == 1)
        return -1;
    if (bad.code == ERR_NONE)
        return err_set(err, ERR_UNTRUSTED, "%d of %d signatures by distinct keys; more keys must sign", good,
                       needed);
    return err_prefix(err, "%d of %d signatures hold", good, needed);
}
