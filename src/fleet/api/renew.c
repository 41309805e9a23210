/* POST /api/v1/renew: a new certificate for a robot that has one.
 *
 *     robot   request (kept on its disk) ──▶ server   next_serial, with the request's digest and the answer
 *             ◀── answer ──                          present and next one are both good
 *             first request with the new one ──▶     the next one is the present one; the old one is refused
 *
 * The same request has the same answer until that was used, however often and late it comes: an answer may be lost. */
#include "base/clock.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "sys/hash.h"
#include "trust/ca.h"

/* Over half of its time an answer that nobody came for is no use any more. */
static bool is_fresh(const struct device_row *device)
{
    struct err err = {0};
    int64_t from_s, until_s;
    if (cert_validity_pem(device->certificate, strlen(device->certificate), &from_s, &until_s, &err) < 0)
        return false;
    return clock_wall_ms() / 1000 < from_s + (until_s - from_s) / 2;
}

/* A robot that enrolled before there were renewals has no row yet. */
static int load_device(struct call *call, struct device_row *out, struct err *err)
{
    struct store *store = call->fleet->store;
    struct err absent = {0};
    if (store->ops->device_get(store, call->robot.id, out, &absent) == 0)
        return 0;
    if (absent.code != ERR_NOT_FOUND)
        return *err = absent, -1;
    *out = (struct device_row){0};
    str_copy(out->robot, sizeof out->robot, call->robot.id);
    return 0;
}

/* Somebody else asks, with the present certificate, before what was issued is used. A robot that lost its request would; a copy would, too, and
 * is found as soon as the other one uses what it has. */
static int drop_unused(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct robot_row *row = &call->robot;
    int64_t until_ms = clock_wall_ms() + (call->fleet->certificate_s + call->fleet->grace_s) * 1000;
    struct roster_entry *entry = roster_get(call->fleet->roster, row->id);
    if (!row->next_serial[0])
        return 0;
    if (!entry)
        return err_no_memory(err);
    entry->certified_ns = clock_mono_ns();
    return store->ops->certificate_replace(store, row->id, row->next_serial, until_ms, err);
}

static int issue_next(struct call *call, const char *csr, struct device_row *device, struct api_enrolled *out,
                      struct err *err)
{
    struct store *store = call->fleet->store;
    struct robot_row *row = &call->robot;
    const char *robots[] = {row->id};
    if (call_spend(call, &call->api->renewals, row->id, err) < 0 || drop_unused(call, err) < 0 ||
        enroll_issue(call, csr, row->id, row->next_serial, out, err) < 0)
        return -1;
    str_copy(device->certificate, sizeof device->certificate, out->certificate);
    const struct audit_entry entry = {
        .kind = "renewed", .robots = robots, .robot_count = 1, .text = row->next_serial};
    if (store->ops->device_save(store, device, err) < 0 || store->ops->robot_save(store, row, err) < 0)
        return -1;
    return fleet_audit(call->fleet, &entry, err);
}

static int answer(struct call *call, const char *csr, struct device_row *device, struct api_enrolled *out,
                  struct err *err)
{
    struct digest request = hash_bytes(csr, strlen(csr)), key;
    char name[API_ID_SIZE];
    if (csr_read(csr, strlen(csr), name, sizeof name, &key, err) < 0)
        return -1;
    if (!str_eq(name, call->robot.id))
        return err_set(err, ERR_INVALID, "the request is for robot %s, the certificate is that of %s", name,
                       call->robot.id);
    if (call->robot.next_serial[0] && digest_equal(&request, &device->request) && is_fresh(device))
        return enroll_answer(call, call->robot.id, device->certificate, out, err);
    device->request = request;
    device->key = key;
    return issue_next(call, csr, device, out, err);
}

int renew_post(struct call *call, struct err *err)
{
    size_t len;
    const uint8_t *body = http_body(call->request, &len);
    cleanup_free struct api_renew *renew = mem_zalloc(1, sizeof *renew);
    cleanup_free struct api_enrolled *enrolled = mem_zalloc(1, sizeof *enrolled);
    cleanup_free struct device_row *device = mem_zalloc(1, sizeof *device);
    if (!renew || !enrolled || !device)
        return err_no_memory(err);
    if (api_renew_parse(body, len, renew, err) < 0 || load_device(call, device, err) < 0 ||
        answer(call, renew->csr, device, enrolled, err) < 0)
        return -1;
    return call_json(call, 200, api_enrolled_format(enrolled), err);
}
