#include "trust/command.h"
#include "base/buf.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/json.h"
#include "wire/json_stream.h"

#include <openssl/evp.h>

static const char domain[] = "muster-command-v1\n";

enum { BASE64_MAX = (COMMAND_MAX_BYTES + 2) / 3 * 4 };

void command_envelope_fini(struct command_envelope *envelope)
{
    free(envelope->bytes);
    envelope->bytes = NULL;
    envelope->len = 0;
}

/* ---- base64 ---- */

static char *encode64(const uint8_t *data, size_t len)
{
    char *text = mem_zalloc((len + 2) / 3 * 4 + 1, 1);
    if (text && len)
        EVP_EncodeBlock((unsigned char *)text, data, (int)len);
    return text;
}

/* OpenSSL forgives blanks and odd padding; we take only what we would have written. */
static uint8_t *decode64(const char *text, size_t *out_len)
{
    size_t len = strlen(text), padding = len && text[len - 1] == '=';
    padding += padding && len > 1 && text[len - 2] == '=';
    if (len % 4 != 0 || len == 0)
        return NULL;
    cleanup_free uint8_t *data = mem_zalloc(len / 4 * 3 + 1, 1);
    int got = data ? EVP_DecodeBlock(data, (const unsigned char *)text, (int)len) : -1;
    if (got < 0 || (size_t)got < padding)
        return NULL;
    *out_len = (size_t)got - padding;
    cleanup_free char *again = encode64(data, *out_len);
    return again && strcmp(again, text) == 0 ? TAKE_PTR(data) : NULL;
}

/* ---- the envelope ---- */

static bool has_item(const struct command_envelope *envelope, const char *keyid)
{
    for (size_t i = 0; i < envelope->count; i++)
        if (strcmp(envelope->items[i].keyid, keyid) == 0)
            return true;
    return false;
}

static void read_item(struct json_at at, struct command_envelope *out)
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

static void read_envelope(struct json_at root, struct command_envelope *out)
{
    cleanup_free char *text = mem_zalloc(BASE64_MAX + 1, 1);
    size_t count = 0;
    JSON_ONLY(root, "command", "signatures");
    if (!text) {
        json_fail(root, "out of memory");
        return;
    }
    json_get_string(root, "command", text, BASE64_MAX + 1);
    struct json_at list = json_list(root, "signatures", COMMAND_MAX_SIGNATURES, &count);
    for (size_t i = 0; i < count; i++)
        read_item(json_as_object(json_item(list, i)), out);
    out->bytes = decode64(text, &out->len);
    if (!out->bytes)
        json_fail(root, "command: is not base64");
}

int command_envelope_parse(const void *text, size_t len, struct command_envelope *out, struct err *err)
{
    struct json_reader reader;
    *out = (struct command_envelope){0};
    if (len > COMMAND_MAX_ENVELOPE_BYTES)
        return err_set(err, ERR_TOO_BIG, "signed command: %zu bytes, the limit is %d", len,
                       COMMAND_MAX_ENVELOPE_BYTES);
    if (json_read(&reader, "signed command", text, len, err) < 0)
        return -1;
    read_envelope(json_root(&reader), out);
    if (json_finish(&reader, err) == 0)
        return 0;
    command_envelope_fini(out);
    return -1;
}

char *command_envelope_format(const struct command_envelope *envelope)
{
    cleanup_json_writer struct json_writer w;
    cleanup_free char *bytes = encode64(envelope->bytes, envelope->len);
    struct err err = {0};
    if (!bytes)
        return NULL;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_text(&w, "command", bytes);
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
static uint8_t *signed_bytes(const void *bytes, size_t len, size_t *out_len)
{
    uint8_t *all = mem_zalloc(sizeof domain - 1 + len, 1);
    if (!all)
        return NULL;
    memcpy(all, domain, sizeof domain - 1);
    memcpy(all + sizeof domain - 1, bytes, len);
    *out_len = sizeof domain - 1 + len;
    return all;
}

char *command_sign(const struct command *command, const struct signing_key *key, struct err *err)
{
    struct public_key public_key;
    size_t len = 0;
    cleanup_free char *text = command_format(command);
    cleanup_free uint8_t *message = text ? signed_bytes(text, strlen(text), &len) : NULL;
    if (!message) {
        err_set(err, ERR_INVALID, "the command cannot be written; is its reason UTF-8?");
        return NULL;
    }
    struct command_envelope envelope = {.bytes = (uint8_t *)text, .len = strlen(text), .count = 1};
    signing_key_public(key, &public_key);
    str_copy(envelope.items[0].keyid, sizeof envelope.items[0].keyid, public_key.id);
    if (signing_key_sign(key, message, len, envelope.items[0].sig, err) < 0)
        return NULL;
    char *out = command_envelope_format(&envelope);
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

static int check(const struct command_envelope *envelope, const struct keyring *operators, const char *name,
                 struct err *err)
{
    const struct keyring_entry *entry = find_operator(operators, name);
    if (envelope->count == 0)
        return err_set(err, ERR_UNTRUSTED, "the command is not signed; sign it with the operator's key");
    if (!entry)
        return err_set(err, ERR_UNTRUSTED,
                       "operator %s is not in the operators' keyring; add the key if you trust it", name);
    if (entry->revoked)
        return err_set(err, ERR_UNTRUSTED, "the key of operator %s is revoked; use one that is in use", name);
    size_t len = 0;
    cleanup_free uint8_t *message = signed_bytes(envelope->bytes, envelope->len, &len);
    if (!message)
        return err_no_memory(err);
    for (size_t i = 0; i < envelope->count; i++) {
        if (strcmp(envelope->items[i].keyid, entry->key.id) != 0)
            continue;
        if (public_key_verify(&entry->key, message, len, envelope->items[i].sig))
            return 0;
        return err_set(err, ERR_UNTRUSTED,
                       "the signature of operator %s does not fit the command; it was changed", name);
    }
    return err_set(err, ERR_UNTRUSTED,
                   "the command is not signed by the key of operator %s, in whose name it speaks", name);
}

int command_open(const struct command_envelope *envelope, const struct keyring *operators,
                 struct command *out, struct err *err)
{
    if (command_parse(envelope->bytes, envelope->len, out, err) < 0)
        return -1;
    if (check(envelope, operators, out->operator_name, err) == 0)
        return 0;
    command_fini(out);
    return -1;
}
