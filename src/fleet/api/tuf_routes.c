/* The TUF repository: what robots and workstations fetch, and what is signed offline and pushed. */
#include "base/buf.h"
#include "base/clock.h"
#include "fleet/api/call.h"
#include "fleet/authority/authority.h"
#include "sys/hash.h"

#include <inttypes.h>

enum { MAX_METADATA_BYTES = 5000000 };

int tuf_get(struct call *call, struct err *err)
{
    cleanup_buf struct buf bytes = BUF_INIT(MAX_METADATA_BYTES);
    const char *name = http_param(call->request, "file");
    if (!name || authority_read(call->fleet->authority, name, &bytes, err) < 0)
        return name ? -1 : err_set(err, ERR_NOT_FOUND, "the path wants a file");
    size_t len = bytes.len;
    char *text = buf_take(&bytes);
    return text ? call_bytes(call, 200, "application/json", text, len) : err_no_memory(err);
}

/* On the disk before anything is published. */
static int put_on_record(struct call *call, const char *role, int64_t version, const void *bytes, size_t len,
                         struct err *err)
{
    struct digest digest = hash_bytes(bytes, len);
    char text[160];
    snprintf(text, sizeof text, "version %" PRId64 ", %s", version, digest_format(&digest).text);
    const struct audit_entry entry = {
        .kind = "metadata", .who = call->operator_name, .what = role, .text = text};
    if (group_enter(call->fleet->group, err) < 0)
        return -1;
    if (fleet_audit(call->fleet, &entry, err) < 0) {
        group_cancel(call->fleet->group);
        return -1;
    }
    return group_leave(call->fleet->group, err) < 0 ? -1 : group_flush(call->fleet->group, err);
}

static int tell(struct call *call, const char *role, int64_t version, struct err *err)
{
    if (group_enter(call->fleet->group, err) < 0)
        return -1;
    if (fleet_event(call->fleet, "trust", NULL, err, "%s version %" PRId64 " was published by %s", role,
                    version, call->operator_name) < 0) {
        group_cancel(call->fleet->group);
        return -1;
    }
    return group_leave(call->fleet->group, err);
}

static int publish(struct call *call, const char *role, int64_t version, struct err *err)
{
    size_t len;
    const uint8_t *bytes = http_body(call->request, &len);
    if (put_on_record(call, role, version, bytes, len, err) < 0 ||
        authority_take(call->fleet->authority, role, bytes, len, clock_wall_ms() / 1000, err) < 0)
        return -1;
    call->fleet->dirty = true; /* a rollout may wait for it */
    return tell(call, role, version, err);
}

int tuf_post(struct call *call, struct err *err)
{
    size_t len;
    const uint8_t *bytes = http_body(call->request, &len);
    const char *role = http_param(call->request, "role");
    int64_t version = 0;
    bool known = false;
    if (!role)
        return err_set(err, ERR_INVALID, "the path wants a role");
    if (authority_check(call->fleet->authority, role, bytes, len, clock_wall_ms() / 1000, &version, &known,
                        err) < 0)
        return -1;
    if (!known && publish(call, role, version, err) < 0)
        return -1;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_text(&w, "role", role);
    jsonw_i64(&w, "version", version);
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}
