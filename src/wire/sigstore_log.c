#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/base64.h"
#include "wire/json_write.h"
#include "wire/oms_inside.h"
#include "wire/sigstore.h"

#include <inttypes.h>

/* ---- the entry ---- */

static void check_kind(struct json_at root)
{
    char kind[32] = "", version[32] = "";
    json_get_line(root, "kind", kind, sizeof kind);
    json_get_line(root, "apiVersion", version, sizeof version);
    if (root.reader->err.code == ERR_NONE && (!str_eq(kind, "dsse") || !str_eq(version, "0.0.1")))
        oms_unsupported(root, "is not of kind dsse 0.0.1, the only one that is understood");
}

static void read_payload_hash(struct json_at at, struct digest *out)
{
    char hex[66] = "";
    oms_expect(at, "algorithm", "sha256");
    json_get_string(at, "value", hex, sizeof hex);
    if (strlen(hex) != 64 || !hex_decode(hex, 64, out->bytes))
        json_fail(at, "value: must be 64 lower-case hexadecimal digits");
}

int sigstore_body_parse(const void *text, size_t len, struct sigstore_body *out, struct err *err)
{
    struct json_reader reader;
    size_t count = 0;
    *out = (struct sigstore_body){0};
    if (json_read(&reader, "entry of the transparency log", text, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader), spec = json_child(root, "spec");
    check_kind(root);
    read_payload_hash(json_child(spec, "payloadHash"), &out->payload);
    struct json_at list = json_list(spec, "signatures", 16, &count);
    if (count != 1)
        json_fail(list, "must hold one signature, not %zu", count);
    struct json_at one = json_as_object(json_item(list, 0));
    out->sig_len = oms_get_array(one, "signature", out->sig, sizeof out->sig);
    oms_get_bytes(one, "verifier", OMS_MAX_ENTRY_BYTES, &out->verifier);
    if (json_finish(&reader, err) == 0)
        return 0;
    sigstore_body_fini(out);
    return -1;
}

void sigstore_body_fini(struct sigstore_body *body)
{
    free(body->verifier.data);
    *body = (struct sigstore_body){0};
}

char *sigstore_promise(const struct oms_log_entry *entry)
{
    char log[65];
    hex_encode(entry->log_id.bytes, sizeof entry->log_id.bytes, log);
    return json_write_new(json_pack(
        "{s:o, s:I, s:s, s:I}", "body", oms_from_bytes(entry->body.data, entry->body.len), "integratedTime",
        (json_int_t)entry->time_s, "logID", log, "logIndex", (json_int_t)entry->log_index));
}

/* ---- the checkpoint ---- */

static const char dash[] = "\xe2\x80\x94 "; /* "— " */

/* Copies the next line; false: there is none, or it is too long. *at moves behind it. */
static bool take_line(const char **at, char *out, size_t size)
{
    const char *end = strchr(*at, '\n');
    size_t len = end ? (size_t)(end - *at) : 0;
    if (!end || len >= size)
        return false;
    memcpy(out, *at, len);
    out[len] = '\0';
    *at = end + 1;
    return true;
}

static bool read_size(const char *text, uint64_t *out)
{
    return str_to_u64(text, out) && *out <= INT64_MAX && (text[0] != '0' || !text[1]);
}

/* "— name base64"; false: it is none. */
static bool read_signature(const char *line, struct sigstore_note *out)
{
    uint8_t bytes[1024 / 4 * 3];
    size_t len = 0;
    const char *name = line + strlen(dash), *blank = str_starts(line, dash) ? strchr(name, ' ') : NULL;
    if (!blank || blank == name || strlen(blank + 1) > 1024 ||
        !base64_decode(blank + 1, strlen(blank + 1), bytes, &len) || len <= 4)
        return false;
    size_t hash_len = sizeof out->signatures[0].key_hash;
    if (len - hash_len > OMS_SIG_SIZE)
        return true;
    memcpy(out->signatures[out->count].key_hash, bytes, hash_len);
    memcpy(out->signatures[out->count].sig, bytes + hash_len, len - hash_len);
    out->signatures[out->count++].sig_len = len - hash_len;
    return true;
}

static int read_signatures(const char *at, struct sigstore_note *out, struct err *err)
{
    char line[1536];
    for (int lines = 0; *at; lines++) {
        if (lines == SIGSTORE_MAX_SIGNATURES)
            return err_set(err, ERR_INVALID, "checkpoint: more than %d signatures", SIGSTORE_MAX_SIGNATURES);
        if (!take_line(&at, line, sizeof line) || !read_signature(line, out))
            return err_set(err, ERR_INVALID, "checkpoint: one of its signatures is none");
    }
    return 0;
}

int sigstore_note_parse(const char *text, struct sigstore_note *out, struct err *err)
{
    char origin[256], size[24], root[OMS_HASH_TEXT];
    const char *at = text, *blank = strstr(text, "\n\n");
    *out = (struct sigstore_note){0};
    if (!blank)
        return err_set(err, ERR_INVALID, "checkpoint: no blank line before its signatures");
    out->text_len = (size_t)(blank - text) + 1;
    if (!take_line(&at, origin, sizeof origin) || !take_line(&at, size, sizeof size) ||
        !take_line(&at, root, sizeof root) || at > blank + 1 || !origin[0])
        return err_set(err, ERR_INVALID, "checkpoint: it wants a line for its log, its size and its root");
    if (!read_size(size, &out->size))
        return err_set(err, ERR_INVALID, "checkpoint: its size is no number");
    if (!oms_decode_hash(root, &out->root))
        return err_set(err, ERR_INVALID, "checkpoint: its root is not 32 bytes of base64");
    return read_signatures(blank + 2, out, err);
}
