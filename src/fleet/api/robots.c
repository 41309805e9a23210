/* Robots: list, one, revoke. */
#include "base/str.h"
#include "fleet/api/call.h"

enum { LIST_LIMIT = 1000, SHOWN_REPORTS = 50 };

struct listing {
    struct json_writer *w;
    struct fleet *fleet;
    const struct call *call;
    uint64_t limit, count;
    char last[API_ID_SIZE], next[API_ID_SIZE];
};

static int list_one(const struct robot_row *row, void *arg)
{
    struct listing *listing = arg;
    if (!rights_on_robot(&listing->call->rights, RIGHT_SEE, row->labels, row->label_count))
        return 0;
    if (listing->count++ == listing->limit) { /* one more than was asked for: there is a next page */
        str_copy(listing->next, sizeof listing->next, listing->last);
        return 1;
    }
    jsonw_object(listing->w, NULL);
    view_robot(listing->w, listing->fleet, row);
    jsonw_close(listing->w);
    str_copy(listing->last, sizeof listing->last, row->id);
    return 0;
}

int robot_list(struct call *call, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    struct listing listing = {.w = &w, .fleet = call->fleet, .call = call};
    const char *after = http_query(call->request, "after");
    if (call_query_u64(call, "limit", LIST_LIMIT, LIST_LIMIT, &listing.limit, err) < 0)
        return -1;
    jsonw_object(&w, NULL);
    jsonw_array(&w, "robots");
    if (call->fleet->store->ops->robot_each(call->fleet->store, after ? after : "", INT64_MAX, list_one,
                                            &listing, err) < 0)
        return -1;
    jsonw_close(&w);
    if (listing.next[0])
        jsonw_text(&w, "next", listing.next);
    else
        jsonw_nothing(&w, "next");
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}

static int show_report(const struct report_row *row, void *arg)
{
    struct json_writer *w = arg;
    const struct api_report *report = &row->report;
    jsonw_object(w, NULL);
    jsonw_text(w, "stream", row->stream);
    jsonw_u64(w, "seq", report->seq);
    jsonw_i64(w, "time_ms", report->time_ms);
    jsonw_i64(w, "received_ms", row->received_ms);
    jsonw_text(w, "kind", report_kind_name(report->kind));
    jsonw_digest(w, "release", &report->release);
    jsonw_text(w, "version", report->version);
    jsonw_u64(w, "bytes", report->bytes);
    jsonw_text(w, "text", report->text);
    jsonw_close(w);
    return 0;
}

static int show_telemetry(const struct telemetry_row *row, void *arg)
{
    struct listing *listing = arg;
    struct json_writer *w = listing->w;
    double budget_ms = 0;
    if (view_budget(listing->fleet, &row->release, &budget_ms) < 0)
        return 0;
    jsonw_object(w, NULL);
    view_release_ref(w, "release", listing->fleet, &row->release);
    jsonw_i64(w, "first_ms", row->first_ms);
    jsonw_i64(w, "last_ms", row->last_ms);
    view_telemetry(w, row, budget_ms);
    jsonw_close(w);
    return 0;
}

/* For who encrypts something for this robot (muster grant). */
static void view_certificate(struct json_writer *w, struct store *store, const char *robot)
{
    cleanup_free struct device_row *device = mem_zalloc(1, sizeof *device);
    struct err none = {0};
    if (device && store->ops->device_get(store, robot, device, &none) == 0 && device->certificate[0])
        jsonw_text(w, "certificate", device->certificate);
    else
        jsonw_nothing(w, "certificate");
}

int robot_get(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct robot_row row;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    struct listing listing = {.w = &w, .fleet = call->fleet};
    if (store->ops->robot_get(store, http_param(call->request, "id"), &row, err) < 0)
        return -1;
    jsonw_object(&w, NULL);
    view_robot(&w, call->fleet, &row);
    view_certificate(&w, store, row.id);
    jsonw_array(&w, "reports");
    if (store->ops->report_last(store, row.id, SHOWN_REPORTS, show_report, &w, err) < 0)
        return -1;
    jsonw_close(&w);
    jsonw_array(&w, "telemetry");
    if (store->ops->telemetry_of_robot(store, row.id, show_telemetry, &listing, err) < 0)
        return -1;
    jsonw_close(&w);
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}

static int show_robot(struct call *call, const struct robot_row *row, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    view_robot(&w, call->fleet, row);
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}

int robot_revoke(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct robot_row row;
    if (store->ops->robot_get(store, http_param(call->request, "id"), &row, err) < 0)
        return -1;
    bool was = row.revoked;
    const char *robots[] = {row.id};
    const struct audit_entry entry = {
        .kind = "revoked", .who = call->operator_name, .robots = robots, .robot_count = 1};
    row.revoked = true;
    if (store->ops->robot_save(store, &row, err) < 0 || store->ops->enroll_void(store, row.id, err) < 0 ||
        (!was && fleet_event(call->fleet, "revoked", row.id, err, "by %s", call->operator_name) < 0) ||
        fleet_audit(call->fleet, &entry, err) < 0)
        return -1;
    struct roster_entry *known = roster_get(call->fleet->roster, row.id);
    if (known)
        known->expected = true; /* to be silent from now on */
    fleet_cut(call->fleet, row.id);
    fleet_changed(call->fleet, row.id);
    return show_robot(call, &row, err);
}

/* By somebody who knows that the copy is gone. If it is not, it is found again. */
int robot_release_quarantine(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct robot_row row;
    if (store->ops->robot_get(store, http_param(call->request, "id"), &row, err) < 0)
        return -1;
    if (!row.quarantined_ms)
        return err_set(err, ERR_CONFLICT, "robot %s is not quarantined", row.id);
    const char *robots[] = {row.id};
    const struct audit_entry entry = {.kind = "released",
                                      .who = call->operator_name,
                                      .what = "quarantine",
                                      .robots = robots,
                                      .robot_count = 1,
                                      .text = row.quarantine_text};
    struct roster_entry *known = roster_get(call->fleet->roster, row.id);
    if (!known)
        return err_no_memory(err);
    if (fleet_audit(call->fleet, &entry, err) < 0)
        return -1;
    row.quarantined_ms = 0;
    row.quarantine_text[0] = 0;
    if (store->ops->robot_save(store, &row, err) < 0 ||
        fleet_event(call->fleet, "released", row.id, err, "from quarantine by %s", call->operator_name) < 0)
        return -1;
    known->lives = (struct instance_watch){0};
    fleet_changed(call->fleet, row.id);
    return show_robot(call, &row, err);
}
