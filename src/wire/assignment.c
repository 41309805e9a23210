#include "wire/assignment.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/instant.h"
#include "wire/json.h"
#include "wire/json_tree.h"
#include "wire/json_write.h"
#include "wire/oci.h"
#include "wire/release.h"

enum { KEYID_SIZE = 129, SIG_MAX_BYTES = 512, MAX_SIGNATURES = 8 };

#define TYPE "assignment"
#define SPEC "1.0"

void assignment_envelope_fini(struct assignment_envelope *envelope)
{
    for (size_t i = 0; i < envelope->signature_count; i++) {
        free(envelope->signatures[i].keyid);
        free(envelope->signatures[i].sig);
    }
    free(envelope->signatures);
    free(envelope->signed_text);
    *envelope = (struct assignment_envelope){0};
}

bool assignment_path_split(const char *path, char name[64], char version[64])
{
    const char *slash = strchr(path, '/');
    if (!slash || (size_t)(slash - path) >= 64 || !str_copy(version, 64, slash + 1))
        return false;
    memcpy(name, path, (size_t)(slash - path));
    name[slash - path] = 0;
    return str_is_name(name, 63) && version_valid(version);
}

/* ---- reading ---- */

static void get_word(struct json_at at, const char *key, const char *want)
{
    char text[16] = "";
    json_get_string(at, key, text, sizeof text);
    if (!str_eq(text, want))
        json_fail(at, "%s: must be \"%s\"", key, want);
}

static void get_instant(struct json_at at, const char *key, int64_t *out_s)
{
    char text[INSTANT_SIZE] = "";
    json_get_string(at, key, text, sizeof text);
    if (!instant_parse(text, out_s))
        json_fail(at, "%s: must be like 2026-01-02T03:04:05Z", key);
}

static void get_sha256(struct json_at at, const char *key, struct digest *out)
{
    char text[65] = "";
    json_get_string(at, key, text, sizeof text);
    if (strlen(text) != 64 || !hex_decode(text, 64, out->bytes) || digest_is_zero(out))
        json_fail(at, "%s: must be 64 lower-case hexadecimal digits, not all 0", key);
}

static void read_target(struct json_at at, struct assignment *out)
{
    char name[64], version[64];
    JSON_ONLY(at, "path", "length", "sha256");
    json_get_string(at, "path", out->path, sizeof out->path);
    if (!assignment_path_split(out->path, name, version))
        json_fail(at, "path: must be NAME/VERSION of a release");
    json_get_u64(at, "length", OCI_MAX_MANIFEST_BYTES, &out->length);
    if (out->length == 0)
        json_fail(at, "length: must be at least 1");
    get_sha256(at, "sha256", &out->release);
}

static void read_times(struct json_at at, struct assignment *out)
{
    get_instant(at, "issued", &out->issued_s);
    get_instant(at, "expires", &out->expires_s);
    if (out->expires_s <= out->issued_s)
        json_fail(at, "expires: must be after issued");
}

static void read_signed(struct json_at at, struct assignment *out)
{
    JSON_ONLY(at, "_type", "spec_version", "fleet", "robot", "version", "issued", "expires", "target",
              "rollback", "plan");
    get_word(at, "_type", TYPE);
    get_word(at, "spec_version", SPEC);
    json_get_name(at, "fleet", out->fleet, sizeof out->fleet);
    json_get_name(at, "robot", out->robot, sizeof out->robot);
    json_get_u64(at, "version", INT64_MAX, &out->version);
    if (out->version == 0)
        json_fail(at, "version: must be at least 1");
    read_times(at, out);
    json_get_bool(at, "rollback", &out->rollback);
    json_get_digest_or_null(at, "plan", &out->plan);
    if (!json_has_null(at, "target"))
        read_target(json_child(at, "target"), out);
    else if (out->rollback || !digest_is_zero(&out->plan))
        json_fail(at, "target: is null, so rollback must be false and plan null");
}

static void read_hex(struct json_at at, struct tuf_signature *out)
{
    char text[2 * SIG_MAX_BYTES + 1] = "";
    json_get_string(at, "sig", text, sizeof text);
    size_t digits = strlen(text);
    out->sig = mem_zalloc(digits / 2 + 1, 1);
    if (!out->sig)
        json_fail(at, "out of memory");
    else if (digits == 0 || digits % 2 || !hex_decode(text, digits, out->sig))
        json_fail(at, "sig: must be lower-case hexadecimal digits");
    out->len = digits / 2;
}

/* What is read goes to the next slot at once, so that the envelope owns it also after an error. */
static void read_signature(struct json_at at, struct assignment_envelope *out)
{
    char keyid[KEYID_SIZE] = "";
    JSON_ONLY(at, "keyid", "sig");
    json_get_line(at, "keyid", keyid, sizeof keyid);
    for (size_t i = 0; i < out->signature_count; i++)
        if (str_eq(out->signatures[i].keyid, keyid))
            json_fail(at, "keyid: %.16s… has signed twice; one signature per key", keyid);
    struct tuf_signature *item = &out->signatures[out->signature_count++];
    item->keyid = mem_strdup(keyid);
    if (!item->keyid)
        json_fail(at, "out of memory");
    read_hex(at, item);
}

static void read_signatures(struct json_at root, struct assignment_envelope *out)
{
    size_t count = 0;
    struct json_at list = json_list(root, "signatures", MAX_SIGNATURES, &count);
    out->signatures = mem_zalloc(count + 1, sizeof *out->signatures);
    if (!out->signatures) {
        json_fail(root, "out of memory");
        return;
    }
    for (size_t i = 0; i < count; i++)
        read_signature(json_as_object(json_item(list, i)), out);
}

/* Nothing in it is unknown, so the canonical bytes are those of what was read: what is verified is what is acted upon. */
static int parse(const void *text, size_t len, struct assignment_envelope *out, struct err *err)
{
    struct json_reader reader;
    if (json_read(&reader, TYPE, text, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "signed", "signatures");
    read_signed(json_child(root, "signed"), &out->assignment);
    read_signatures(root, out);
    if (json_finish(&reader, err) < 0)
        return -1;
    out->signed_text = assignment_signed_format(&out->assignment, &out->signed_len, err);
    return out->signed_text ? 0 : -1;
}

int assignment_parse(const void *text, size_t len, struct assignment_envelope *out, struct err *err)
{
    *out = (struct assignment_envelope){0};
    if (len > ASSIGNMENT_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "assignment: %zu bytes, the limit is %d", len, ASSIGNMENT_MAX_BYTES);
    if (parse(text, len, out, err) == 0)
        return 0;
    assignment_envelope_fini(out);
    return -1;
}

/* ---- writing ---- */

static json_t *from_target(const struct assignment *assignment)
{
    char sha256[65];
    if (!assignment->path[0])
        return json_null();
    hex_encode(assignment->release.bytes, sizeof assignment->release.bytes, sha256);
    return json_pack("{s:s, s:I, s:s}", "path", assignment->path, "length", (json_int_t)assignment->length,
                     "sha256", sha256);
}

char *assignment_signed_format(const struct assignment *assignment, size_t *out_len, struct err *err)
{
    char issued[INSTANT_SIZE], expires[INSTANT_SIZE];
    instant_format(assignment->issued_s, issued);
    instant_format(assignment->expires_s, expires);
    char *text = json_write_new(json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:o, s:b, s:o}", "_type", TYPE, "spec_version", SPEC, "fleet",
        assignment->fleet, "robot", assignment->robot, "version", (json_int_t)assignment->version, "issued",
        issued, "expires", expires, "target", from_target(assignment), "rollback", assignment->rollback,
        "plan", digest_is_zero(&assignment->plan) ? json_null() : json_from_digest(&assignment->plan)));
    if (text)
        *out_len = strlen(text);
    else
        (void)err_no_memory(err);
    return text;
}

static json_t *from_signature(const struct tuf_signature *signature)
{
    cleanup_free char *hex = mem_zalloc(2 * signature->len + 1, 1);
    if (!hex)
        return NULL;
    hex_encode(signature->sig, signature->len, hex);
    return json_pack("{s:s, s:s}", "keyid", signature->keyid, "sig", hex);
}

char *assignment_envelope_format(const char *signed_text, const struct tuf_signature *signatures,
                                 size_t count, struct err *err)
{
    cleanup_json json_t *list = json_array();
    int failed = list ? 0 : -1;
    for (size_t i = 0; i < count && failed == 0; i++)
        failed = json_append(list, from_signature(&signatures[i]));
    cleanup_free char *signed_by = failed == 0 ? json_write(list) : NULL;
    char *text = signed_by ? mem_printf("{\"signatures\":%s,\"signed\":%s}", signed_by, signed_text) : NULL;
    if (!text)
        (void)err_no_memory(err);
    return text;
}
