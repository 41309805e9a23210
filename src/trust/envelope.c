#include "trust/envelope.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/base64.h"
#include "wire/json.h"
#include "wire/json_stream.h"

enum { SIGNATURES_MAX_BYTES = 4 << 10 }; /* what stands in an envelope beside the bytes */

void envelope_fini(struct envelope *envelope)
{
    free(envelope->bytes);
    envelope->bytes = NULL;
    envelope->len = 0;
}

/* ---- reading ---- */

static bool has_item(const struct envelope *envelope, const char *keyid)
{
    for (size_t i = 0; i < envelope->count; i++)
        if (strcmp(envelope->items[i].keyid, keyid) == 0)
            return true;
    return false;
}

static void read_item(struct json_at at, struct envelope *out)
{
    struct signature_item item = {0};
    char sig_hex[129] = "";
    uint8_t raw[32];
    JSON_ONLY(at, "keyid", "sig");
    json_get_string(at, "keyid", item.keyid, sizeof item.keyid);
    json_get_string(at, "sig", sig_hex, sizeof sig_hex);
    if (strlen(item.keyid) != 64 || !hex_decode(item.keyid, 64, raw))
        json_fail(at, "keyid is not 64 lower-case hexadecimal digits");
    else if (strlen(sig_hex) != 128 || !hex_decode(sig_hex, 128, item.sig))
        json_fail(at, "sig is not 128 lower-case hexadecimal digits");
    else if (has_item(out, item.keyid))
        json_fail(at, "key %.16s… has signed twice; one signature per key", item.keyid);
    else
        out->items[out->count++] = item;
}

static void read_bytes(const struct envelope_form *form, struct json_at root, struct envelope *out)
{
    size_t size = BASE64_SIZE(form->max_bytes);
    cleanup_free char *text = mem_zalloc(size, 1);
    if (!text) {
        json_fail(root, "out of memory");
        return;
    }
    json_get_string(root, form->noun, text, size);
    out->bytes = mem_zalloc(strlen(text) + 1, 1);
    if (!out->bytes || !text[0] || !base64_decode(text, strlen(text), out->bytes, &out->len))
        json_fail(root, "%s: is not base64", form->noun);
}

static void read_envelope(const struct envelope_form *form, struct json_at root, struct envelope *out)
{
    size_t count = 0;
    JSON_ONLY(root, form->noun, "signatures");
    read_bytes(form, root, out);
    struct json_at list = json_list(root, "signatures", ENVELOPE_MAX_SIGNATURES, &count);
    for (size_t i = 0; i < count; i++)
        read_item(json_as_object(json_item(list, i)), out);
}

int envelope_parse(const struct envelope_form *form, const void *text, size_t len, struct envelope *out,
                   struct err *err)
{
    struct json_reader reader;
    char name[40];
    size_t max = BASE64_SIZE(form->max_bytes) + SIGNATURES_MAX_BYTES;
    *out = (struct envelope){0};
    snprintf(name, sizeof name, "signed %s", form->noun);
    if (len > max)
        return err_set(err, ERR_TOO_BIG, "%s: %zu bytes, the limit is %zu", name, len, max);
    if (json_read(&reader, name, text, len, err) < 0)
        return -1;
    read_envelope(form, json_root(&reader), out);
    if (json_finish(&reader, err) == 0)
        return 0;
    envelope_fini(out);
    return -1;
}

/* ---- writing ---- */

char *envelope_format(const struct envelope_form *form, const struct envelope *envelope)
{
    cleanup_json_writer struct json_writer w;
    cleanup_free char *bytes = mem_zalloc(BASE64_SIZE(envelope->len), 1);
    struct err err = {0};
    if (!bytes)
        return NULL;
    base64_encode(envelope->bytes, envelope->len, bytes);
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_text(&w, form->noun, bytes);
    jsonw_array(&w, "signatures");
    for (size_t i = 0; i < envelope->count; i++) {
        char sig_hex[129];
        hex_encode(envelope->items[i].sig, sizeof envelope->items[i].sig, sig_hex);
        jsonw_object(&w, NULL);
        jsonw_text(&w, "keyid", envelope->items[i].keyid);
        jsonw_text(&w, "sig", sig_hex);
        jsonw_close(&w);
    }
    jsonw_close(&w);
    jsonw_close(&w);
    return jsonw_take(&w, &err);
}

/* ---- signatures ---- */

/* domain + bytes; free() it. */
static uint8_t *signed_bytes(const struct envelope_form *form, const void *bytes, size_t len, size_t *out_len)
{
    size_t domain = strlen(form->domain);
    uint8_t *all = mem_zalloc(domain + len, 1);
    if (!all)
        return NULL;
    memcpy(all, form->domain, domain);
    memcpy(all + domain, bytes, len);
    *out_len = domain + len;
    return all;
}

char *envelope_sign(const struct envelope_form *form, const void *bytes, size_t len,
                    const struct signing_key *key, struct err *err)
{
    struct public_key public_key;
    struct envelope envelope = {.bytes = (uint8_t *)bytes, .len = len, .count = 1};
    size_t message_len = 0;
    cleanup_free uint8_t *message = signed_bytes(form, bytes, len, &message_len);
    signing_key_public(key, &public_key);
    str_copy(envelope.items[0].keyid, sizeof envelope.items[0].keyid, public_key.id);
    if (message && signing_key_sign(key, message, message_len, envelope.items[0].sig, err) < 0)
        return NULL;
    char *out = message ? envelope_format(form, &envelope) : NULL;
    if (!out)
        (void)err_no_memory(err);
    return out;
}

static const struct keyring_entry *find_operator(const struct keyring *ring, const char *name)
{
    for (size_t i = 0; i < ring->count; i++)
        if (strcmp(ring->entries[i].name, name) == 0)
            return &ring->entries[i];
    return NULL;
}

static int check_signature(const struct envelope_form *form, const struct envelope *envelope,
                           const struct keyring_entry *entry, struct err *err)
{
    size_t len = 0;
    cleanup_free uint8_t *message = signed_bytes(form, envelope->bytes, envelope->len, &len);
    if (!message)
        return err_no_memory(err);
    for (size_t i = 0; i < envelope->count; i++) {
        if (strcmp(envelope->items[i].keyid, entry->key.id) != 0)
            continue;
        if (public_key_verify(&entry->key, message, len, envelope->items[i].sig))
            return 0;
        return err_set(err, ERR_UNTRUSTED, "the signature of operator %s does not fit the %s; it was changed",
                       entry->name, form->noun);
    }
    return err_set(err, ERR_UNTRUSTED,
                   "the %s is not signed by the key of operator %s, in whose name it speaks", form->noun,
                   entry->name);
}

int envelope_check(const struct envelope_form *form, const struct envelope *envelope,
                   const struct keyring *operators, const char *name, struct err *err)
{
    const struct keyring_entry *entry = find_operator(operators, name);
    if (envelope->count == 0)
        return err_set(err, ERR_UNTRUSTED, "the %s is not signed; sign it with the operator's key",
                       form->noun);
    if (!entry)
        return err_set(err, ERR_UNTRUSTED,
                       "operator %s is not in the operators' keyring; add the key if you trust it", name);
    if (entry->revoked)
        return err_set(err, ERR_UNTRUSTED, "the key of operator %s is revoked; use one that is in use", name);
    return check_signature(form, envelope, entry, err);
}
