/* Which robot asks, and whether it may: on every request, before anything else.
 *
 *     handshake     a certificate of our CA, in date or over within the grace                          sys/tls.h
 *     row           known, not revoked, not in quarantine
 *     certificate   the present one, or the one that was issued to follow it: its first use makes it the present one.
 *                   One that has a successor in use is refused; shown by somebody who was alive after that, it is a copy's
 *     date          over: it may be renewed, and nothing else
 *     life          one agent at a time                                                                fleet/decide/instance.h
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "fleet/api/call.h"

static bool same_serial(const char *a, const char *b)
{
    return strcasecmp(a + strspn(a, "0"), b + strspn(b, "0")) == 0;
}

int device_refusal(const struct robot_row *row, struct err *err)
{
    if (row->revoked)
        return err_set(err, ERR_DENIED, "robot %s is revoked; a new enrolment token would admit it again",
                       row->id);
    if (row->quarantined_ms)
        return err_set(
            err, ERR_DENIED,
            "quarantined: %s; switch the copy off, then enroll robot %.40s with a new token and a new key",
            row->quarantine_text, row->id);
    return 0;
}

/* ---- quarantine ---- */

static int write_quarantine(struct call *call, struct err *err)
{
    struct robot_row *row = &call->robot;
    const char *robots[] = {row->id};
    const struct audit_entry entry = {
        .kind = "quarantined", .robots = robots, .robot_count = 1, .text = row->quarantine_text};
    struct store *store = call->fleet->store;
    if (store->ops->robot_save(store, row, err) < 0 || store->ops->enroll_void(store, row->id, err) < 0 ||
        fleet_event(call->fleet, "quarantined", row->id, err, "%s", row->quarantine_text) < 0)
        return -1;
    return fleet_audit(call->fleet, &entry, err);
}

/* Both of them: which one is the robot nobody can tell from here. */
static int quarantine(struct call *call, const char *why, struct err *err)
{
    struct robot_row *row = &call->robot;
    row->quarantined_ms = clock_wall_ms();
    str_copy(row->quarantine_text, sizeof row->quarantine_text, why);
    log_warn("robot %s is quarantined: %s", row->id, why);
    if (group_enter(call->fleet->group, err) < 0)
        return -1;
    if (write_quarantine(call, err) < 0) {
        group_cancel(call->fleet->group);
        return -1;
    }
    fleet_cut(call->fleet, row->id);
    return group_leave(call->fleet->group, err) < 0 ? -1 : device_refusal(row, err);
}

/* ---- its certificate ---- */

static int write_successor(struct call *call, int64_t now_ms, struct err *err)
{
    struct store *store = call->fleet->store;
    struct robot_row *row = &call->robot;
    cleanup_free struct device_row *device = mem_zalloc(1, sizeof *device);
    int64_t until_ms = now_ms + (call->fleet->certificate_s + call->fleet->grace_s) * 1000;
    if (!device)
        return err_no_memory(err);
    if (store->ops->certificate_replace(store, row->id, row->serial, until_ms, err) < 0 ||
        store->ops->device_get(store, row->id, device, err) < 0)
        return -1;
    str_copy(row->serial, sizeof row->serial, row->next_serial);
    row->next_serial[0] = 0;
    device->request = (struct digest){0}; /* the next request is another one, whatever it says */
    device->certificate[0] = 0;
    return store->ops->device_save(store, device, err) < 0 ? -1 : store->ops->robot_save(store, row, err);
}

/* The first use of what was issued: from now on it is the only one. */
static int take_successor(struct call *call, struct roster_entry *entry, struct err *err)
{
    if (group_enter(call->fleet->group, err) < 0)
        return -1;
    if (write_successor(call, clock_wall_ms(), err) < 0) {
        group_cancel(call->fleet->group);
        return -1;
    }
    entry->certified_ns = clock_mono_ns();
    return group_leave(call->fleet->group, err);
}

static int refuse_certificate(struct call *call, const char *serial, const struct roster_entry *entry,
                              struct err *err)
{
    struct store *store = call->fleet->store;
    bool replaced = false;
    if (store->ops->certificate_replaced(store, call->robot.id, serial, &replaced, err) < 0)
        return -1;
    if (replaced && http_client_told_ns(call->request) > entry->certified_ns)
        return quarantine(call, "a certificate was shown after its successor was: there are two of it", err);
    return err_set(
        err, ERR_DENIED,
        "this certificate of robot %s was replaced by a newer one; use that one, or enroll it again",
        call->robot.id);
}

static int check_certificate(struct call *call, struct roster_entry *entry, struct err *err)
{
    const char *serial = http_client_serial(call->request);
    const struct robot_row *row = &call->robot;
    if (same_serial(serial, row->serial))
        return 0;
    if (row->next_serial[0] && same_serial(serial, row->next_serial))
        return take_successor(call, entry, err);
    return refuse_certificate(call, serial, entry, err);
}

static int check_date(struct call *call, bool renews, struct err *err)
{
    int64_t over_s = clock_wall_ms() / 1000 - http_client_until_s(call->request);
    if (over_s <= 0)
        return 0;
    if (over_s > call->fleet->grace_s) /* it was not when the connection was made */
        return err_set(err, ERR_DENIED,
                       "the certificate of robot %s is over for too long to be renewed; enroll it again with "
                       "a new token",
                       call->robot.id);
    if (!renews)
        return err_set(err, ERR_DENIED,
                       "the certificate of robot %s is over and good for nothing but POST /api/v1/renew",
                       call->robot.id);
    return 0;
}

/* ---- its life ---- */

/* "Muster-Instance: 0123456789abcdef". 0: it names none. */
static int read_number(struct call *call, uint64_t *out, struct err *err)
{
    const char *text = http_header(call->request, "Muster-Instance");
    *out = 0;
    for (size_t i = 0; text && text[i]; i++) {
        const char *digit = memchr("0123456789abcdef", text[i], 16);
        if (!digit || i == 16)
            return err_set(err, ERR_INVALID, "Muster-Instance wants up to 16 lower-case hexadecimal digits");
        *out = *out << 4 | (uint64_t)(digit - strchr("0123456789abcdef", '0'));
    }
    return 0;
}

static int check_life(struct call *call, struct roster_entry *entry, struct err *err)
{
    uint64_t number, before = 0;
    if (read_number(call, &number, err) < 0)
        return -1;
    http_client_mark(call->request, number);
    enum instance_verdict verdict =
        instance_heard(&entry->lives, number, http_client_told_ns(call->request), clock_mono_ns(), &before);
    if (verdict == INSTANCE_CLONE)
        return quarantine(call, "two agents live with its identity at the same time", err);
    if (verdict == INSTANCE_NEW && before && call->api->robots)
        http_server_cut(call->api->robots, call->robot.id, before); /* of the one that must be dead by now */
    return 0;
}

/* ---- all of it ---- */

static int find_robot(struct call *call, struct err *err)
{
    const char *name = http_client_name(call->request);
    if (!name || !http_client_serial(call->request))
        return err_set(err, ERR_DENIED, "a client certificate is required; enroll the robot");
    if (call->fleet->store->ops->robot_get(call->fleet->store, name, &call->robot, err) == 0)
        return 0;
    return err->code == ERR_NOT_FOUND ? err_set(err, ERR_DENIED, "robot %.60s is not known; enroll it", name)
                                      : -1;
}

int device_admit(struct call *call, bool renews, struct err *err)
{
    if (find_robot(call, err) < 0 || device_refusal(&call->robot, err) < 0)
        return -1;
    struct roster_entry *entry = roster_get(call->fleet->roster, call->robot.id);
    if (!entry)
        return err_no_memory(err);
    if (check_certificate(call, entry, err) < 0 || check_date(call, renews, err) < 0 ||
        check_life(call, entry, err) < 0)
        return -1;
    bool was_there = roster_presence(entry, clock_mono_ms()) == PRESENCE_LIVE;
    roster_touch(entry, clock_wall_ms(), clock_mono_ms());
    roster_describe(entry, call->robot.labels, call->robot.label_count, call->robot.revoked);
    call->fleet->dirty = call->fleet->dirty || !was_there;
    call->fleet->counters.robot_requests++;
    return 0;
}

/* ---- those who are shut out ---- */

static void answer_held(struct fleet *fleet, struct roster_entry *entry, const struct err *refusal)
{
    for (int i = 0; i < ROSTER_QUESTIONS; i++) {
        struct http_request *request = hold_take(&entry->held[i]);
        if (request && refusal->code != ERR_NONE)
            group_reply_error(fleet->group, request, refusal);
        else if (request)
            group_reply(fleet->group, request, 204, "application/json", NULL, 0);
    }
}

static void wake_one(struct roster_entry *entry, void *arg)
{
    struct api *api = arg;
    struct err err = {0};
    struct robot_row row;
    if (!entry->cut)
        return;
    entry->cut = false;
    if (api->fleet->store->ops->robot_get(api->fleet->store, entry->id, &row, &err) == 0)
        (void)device_refusal(&row, &err);
    if (api->robots)
        http_server_cut(api->robots, entry->id, 0); /* first, so that the answers are the last words */
    answer_held(api->fleet, entry, &err);
}

void device_wake(struct api *api)
{
    if (!api->fleet->cut)
        return;
    api->fleet->cut = false;
    roster_each(api->fleet->roster, wake_one, api);
}
