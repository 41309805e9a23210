#include "wire/approval.h"
#include "wire/json.h"
#include "wire/json_tree.h"
#include "wire/json_write.h"
#include "wire/release.h"

enum { SCHEMA = 1, APPROVAL_MAX_BYTES = 4 << 10 };

static void read_times(struct json_at root, struct approval *out)
{
    json_get_int(root, "issued_ms", 0, INT64_MAX / 2, &out->issued_ms);
    json_get_int(root, "expires_ms", 0, INT64_MAX / 2, &out->expires_ms);
    if (out->expires_ms <= out->issued_ms || out->expires_ms - out->issued_ms > APPROVAL_MAX_LIFE_MS)
        json_fail(root, "expires_ms: must be after issued_ms, by at most %lld ms", APPROVAL_MAX_LIFE_MS);
}

static void read_what(struct json_at root, struct approval *out)
{
    json_get_name(root, "fleet", out->fleet, sizeof out->fleet);
    json_get_digest(root, "release", &out->release);
    json_get_name(root, "name", out->name, sizeof out->name);
    json_get_string(root, "version", out->version, sizeof out->version);
    json_get_digest_or_null(root, "plan", &out->plan);
    if (!version_valid(out->version))
        json_fail(root, "version: is none");
}

int approval_parse(const void *text, size_t len, struct approval *out, struct err *err)
{
    struct json_reader reader;
    int64_t schema = 0;
    *out = (struct approval){0};
    if (len > APPROVAL_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "approval: %zu bytes, the limit is %d", len, APPROVAL_MAX_BYTES);
    if (json_read(&reader, "approval", text, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "schema", "fleet", "release", "name", "version", "plan", "operator", "reason",
              "issued_ms", "expires_ms");
    json_get_int(root, "schema", SCHEMA, SCHEMA, &schema);
    read_what(root, out);
    json_get_name(root, "operator", out->operator_name, sizeof out->operator_name);
    json_get_line(root, "reason", out->reason, sizeof out->reason);
    if (!out->reason[0])
        json_fail(root, "reason: must not be empty");
    read_times(root, out);
    return json_finish(&reader, err);
}

char *approval_format(const struct approval *approval)
{
    return json_write_new(json_pack(
        "{s:i, s:s, s:o, s:s, s:s, s:o, s:s, s:s, s:I, s:I}", "schema", SCHEMA, "fleet", approval->fleet,
        "release", json_from_digest(&approval->release), "name", approval->name, "version", approval->version,
        "plan", digest_is_zero(&approval->plan) ? json_null() : json_from_digest(&approval->plan), "operator",
        approval->operator_name, "reason", approval->reason, "issued_ms", (json_int_t)approval->issued_ms,
        "expires_ms", (json_int_t)approval->expires_ms));
}
