#include "base/mem.h"
#include "base/str.h"
#include "wire/base64.h"
#include "wire/json_write.h"
#include "wire/oms_inside.h"

/* ---- values ---- */

void oms_expect(struct json_at at, const char *key, const char *wanted)
{
    char text[128] = "";
    json_get_line(at, key, text, sizeof text);
    if (!str_eq(text, wanted))
        json_fail(at, "%s: must be %s", key, wanted);
}

void oms_unsupported(struct json_at at, const char *what)
{
    if (at.reader->err.code == ERR_NONE)
        (void)err_set(&at.reader->err, ERR_UNSUPPORTED, "%s: %s", at.reader->name, what);
}

void oms_get_bytes(struct json_at at, const char *key, size_t max, struct oms_bytes *out)
{
    cleanup_free char *text = mem_zalloc(1, BASE64_SIZE(max));
    cleanup_free uint8_t *bytes = mem_zalloc(1, BASE64_SIZE(max) / 4 * 3 + 1);
    size_t len = 0;
    *out = (struct oms_bytes){0};
    if (!text || !bytes) {
        (void)err_no_memory(&at.reader->err);
        return;
    }
    json_get_string(at, key, text, BASE64_SIZE(max));
    if (at.reader->err.code != ERR_NONE)
        return;
    if (!base64_decode(text, strlen(text), bytes, &len) || len == 0)
        json_fail(at, "%s: is no base64", key);
    else if (len > max)
        json_fail(at, "%s: %zu bytes, the limit is %zu", key, len, max);
    else
        *out = (struct oms_bytes){.data = TAKE_PTR(bytes), .len = len};
}

size_t oms_get_array(struct json_at at, const char *key, uint8_t *out, size_t max)
{
    struct oms_bytes bytes;
    oms_get_bytes(at, key, max, &bytes);
    if (bytes.len)
        memcpy(out, bytes.data, bytes.len);
    free(bytes.data);
    return bytes.len;
}

bool oms_decode_hash(const char *text, struct digest *out)
{
    uint8_t bytes[OMS_HASH_TEXT];
    size_t len = 0;
    if (strlen(text) >= OMS_HASH_TEXT || !base64_decode(text, strlen(text), bytes, &len) ||
        len != sizeof out->bytes)
        return false;
    memcpy(out->bytes, bytes, len);
    return true;
}

void oms_get_hash(struct json_at at, const char *key, struct digest *out)
{
    char text[OMS_HASH_TEXT] = "";
    json_get_string(at, key, text, sizeof text);
    if (!oms_decode_hash(text, out))
        json_fail(at, "%s: is no hash of 32 bytes", key);
}

void oms_get_number(struct json_at at, const char *key, uint64_t *out)
{
    char digits[24] = "";
    uint64_t value = 0;
    json_get_string(at, key, digits, sizeof digits);
    if (at.reader->err.code != ERR_NONE)
        return;
    if (!str_to_u64(digits, &value) || value > INT64_MAX || (digits[0] == '0' && digits[1]))
        json_fail(at, "%s: is no number in quotes", key);
    else
        *out = value;
}

json_t *oms_from_bytes(const void *data, size_t len)
{
    cleanup_free char *text = mem_zalloc(1, BASE64_SIZE(len));
    if (!text)
        return NULL;
    base64_encode(data, len, text);
    return json_string(text);
}

/* ---- verification material ---- */

static bool is_hex(const char *text)
{
    return text[strspn(text, "0123456789abcdef")] == '\0';
}

static void read_key(struct json_at key, struct oms_bundle *out)
{
    out->method = OMS_KEY;
    if (!json_has(key, "hint") && !json_has(key, "rawBytes"))
        json_fail(key, "has neither hint nor rawBytes");
    if (!json_has(key, "hint"))
        return;
    json_get_string(key, "hint", out->hint, sizeof out->hint);
    if (!is_hex(out->hint))
        json_fail(key, "hint: is no hexadecimal fingerprint");
}

static void read_certificate(struct json_at at, struct oms_bundle *out)
{
    oms_get_bytes(at, "rawBytes", OMS_MAX_CERTIFICATE_BYTES, &out->certificates[out->certificate_count]);
    if (at.reader->err.code == ERR_NONE)
        out->certificate_count++;
}

static void read_chain(struct json_at at, struct oms_bundle *out)
{
    size_t count = 0;
    out->method = OMS_CERTIFICATE;
    struct json_at list = json_list(at, "certificates", OMS_MAX_CERTIFICATES, &count);
    if (count == 0)
        json_fail(list, "holds no certificate");
    for (size_t i = 0; i < count && at.reader->err.code == ERR_NONE; i++)
        read_certificate(json_as_object(json_item(list, i)), out);
}

static void read_sigstore(struct json_at at, struct oms_bundle *out)
{
    size_t count = 0;
    out->method = OMS_SIGSTORE;
    read_certificate(json_child(at, "certificate"), out);
    struct json_at list = json_list(at, "tlogEntries", 16, &count);
    if (count == 0)
        json_fail(list, "holds no entry of a transparency log");
    else if (count > 1)
        oms_unsupported(list, "entries of several transparency logs; only one is understood");
    if (at.reader->err.code != ERR_NONE)
        return;
    out->entry = mem_zalloc(1, sizeof *out->entry);
    if (!out->entry)
        (void)err_no_memory(&at.reader->err);
    else
        oms_log_read(json_as_object(json_item(list, 0)), out->entry);
}

static void read_material(struct json_at at, struct oms_bundle *out)
{
    bool key = json_has(at, "publicKey"), chain = json_has(at, "x509CertificateChain"),
         one = json_has(at, "certificate");
    if (key + chain + one != 1)
        json_fail(at, "must hold one of publicKey, x509CertificateChain and certificate");
    else if (key)
        read_key(json_child(at, "publicKey"), out);
    else if (chain)
        read_chain(json_child(at, "x509CertificateChain"), out);
    else
        read_sigstore(at, out);
}

static json_t *from_certificates(const struct oms_bundle *bundle)
{
    cleanup_json json_t *list = json_array();
    for (size_t i = 0; i < bundle->certificate_count; i++) {
        const struct oms_bytes *one = &bundle->certificates[i];
        if (json_append(list, json_pack("{s:o}", "rawBytes", oms_from_bytes(one->data, one->len))) < 0)
            return NULL;
    }
    return json_incref(list);
}

static json_t *from_material(const struct oms_bundle *bundle)
{
    const struct oms_bytes *first = &bundle->certificates[0];
    switch (bundle->method) {
    case OMS_KEY:
        return json_pack("{s:{s:s}, s:[]}", "publicKey", "hint", bundle->hint, "tlogEntries");
    case OMS_CERTIFICATE:
        return json_pack("{s:{s:o}, s:[]}", "x509CertificateChain", "certificates", from_certificates(bundle),
                         "tlogEntries");
    case OMS_SIGSTORE:
        return json_pack("{s:{s:o}, s:[o]}", "certificate", "rawBytes",
                         oms_from_bytes(first->data, first->len), "tlogEntries",
                         oms_log_format(bundle->entry));
    }
    return NULL;
}

/* ---- the bundle ---- */

static void read_signature(struct json_at at, struct oms_bundle *out)
{
    char keyid[256];
    if (json_has(at, "keyid")) /* nobody uses it */
        json_get_string(at, "keyid", keyid, sizeof keyid);
    out->sig_len = oms_get_array(at, "sig", out->sig, sizeof out->sig);
}

static void read_envelope(struct json_at at, size_t text_len, struct oms_bundle *out)
{
    size_t count = 0;
    struct oms_bytes payload;
    oms_expect(at, "payloadType", OMS_PAYLOAD_TYPE);
    oms_get_bytes(at, "payload", text_len, &payload);
    out->payload = payload.data;
    out->payload_len = payload.len;
    struct json_at signatures = json_list(at, "signatures", 16, &count);
    if (count != 1)
        json_fail(signatures, "must hold one signature, not %zu", count);
    else
        read_signature(json_as_object(json_item(signatures, 0)), out);
}

int oms_bundle_parse(const void *text, size_t len, struct oms_bundle *out, struct err *err)
{
    struct json_reader reader;
    *out = (struct oms_bundle){0};
    if (len > OMS_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "model signature: %zu bytes, the limit is %d", len, OMS_MAX_BYTES);
    if (json_read(&reader, "model signature", text, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    oms_expect(root, "mediaType", OMS_BUNDLE_TYPE);
    read_material(json_child(root, "verificationMaterial"), out);
    if (json_has(root, "messageSignature"))
        json_fail(root, "messageSignature: has no place beside dsseEnvelope");
    read_envelope(json_child(root, "dsseEnvelope"), len, out);
    if (json_finish(&reader, err) == 0)
        return 0;
    oms_bundle_fini(out);
    return -1;
}

char *oms_bundle_format(const struct oms_bundle *bundle)
{
    return json_write_new(json_pack("{s:s, s:o, s:{s:o, s:s, s:[{s:o, s:s}]}}", "mediaType", OMS_BUNDLE_TYPE,
                                    "verificationMaterial", from_material(bundle), "dsseEnvelope", "payload",
                                    oms_from_bytes(bundle->payload, bundle->payload_len), "payloadType",
                                    OMS_PAYLOAD_TYPE, "signatures", "sig",
                                    oms_from_bytes(bundle->sig, bundle->sig_len), "keyid", ""));
}

void oms_bundle_fini(struct oms_bundle *bundle)
{
    for (size_t i = 0; i < bundle->certificate_count; i++)
        free(bundle->certificates[i].data);
    if (bundle->entry)
        oms_log_fini(bundle->entry);
    free(bundle->entry);
    free(bundle->payload);
    *bundle = (struct oms_bundle){0};
}

int oms_pae(const struct oms_bundle *bundle, struct buf *out, struct err *err)
{
    if (buf_printf(out, err, "DSSEv1 %zu %s %zu ", strlen(OMS_PAYLOAD_TYPE), OMS_PAYLOAD_TYPE,
                   bundle->payload_len) < 0)
        return -1;
    return buf_put(out, bundle->payload, bundle->payload_len, err);
}
