/* What drifts: opened by a robot's own alarm or by what the fleet says together, gathered into one per release and cause, acknowledged by people. */
#include "stats/drift/drift.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "wire/decision.h"
#include "wire/json.h"

#include <math.h>

enum { LIST_LIMIT = 200, MOST_OPEN_OF_A_ROBOT = 32 };

static void add_robot(struct drift_row *row, const char *robot)
{
    size_t used = strlen(row->robots);
    if (drift_row_names(row, robot))
        return;
    if (used + strlen(robot) + 2 >= sizeof row->robots)
        return; /* it could not be told whether it was counted before; fleet/engine/drift.h counts them all */
    row->robot_count++;
    snprintf(row->robots + used, sizeof row->robots - used, "%s%s", used ? " " : "", robot);
}

static enum drift_cause cause_of(const char *name)
{
    for (int i = 0; i < DRIFT_CAUSES; i++)
        if (str_eq(name, drift_cause_name((enum drift_cause)i)))
            return (enum drift_cause)i;
    return DRIFT_NONE;
}

struct opened {
    const char *robot;
    size_t count;
};

static int count_opened(const struct drift_row *row, void *arg)
{
    struct opened *opened = arg;
    opened->count += drift_row_names(row, opened->robot);
    return opened->count == MOST_OPEN_OF_A_ROBOT;
}

/* Only people close findings: a robot that names release after release must not fill their list. */
static int may_open(struct call *call, bool *out, struct err *err)
{
    struct store *store = call->fleet->store;
    struct opened opened = {.robot = call->robot.id};
    if (store->ops->drift_each(store, true, -1, count_opened, &opened, err) < 0)
        return -1;
    *out = opened.count < MOST_OPEN_OF_A_ROBOT;
    return 0;
}

static int extend(struct call *call, struct drift_row *row, const struct decision *alarm, struct err *err)
{
    struct store *store = call->fleet->store;
    add_robot(row, call->robot.id);
    row->updated_ms = clock_wall_ms();
    row->log10_e = isfinite(alarm->value) ? MAX(row->log10_e, alarm->value) : row->log10_e;
    if (row->id)
        return store->ops->drift_save(store, row, err);
    return store->ops->drift_add(store, row, &row->id, err);
}

int drift_take(struct call *call, const struct api_report *report, struct err *err)
{
    struct store *store = call->fleet->store;
    struct decision alarm;
    struct err bad = {0};
    struct drift_row row;
    if (decision_take(call, report, err) < 0)
        return -1;
    if (decision_parse(report->detail, strlen(report->detail), &alarm, &bad) < 0 ||
        alarm.who != DECIDER_DRIFT || cause_of(alarm.rule) == DRIFT_NONE)
        return 0;
    if (store->ops->drift_open(store, &alarm.release, alarm.rule, &row, &bad) < 0) {
        if (bad.code != ERR_NOT_FOUND)
            return *err = bad, -1;
        bool may = false;
        if (may_open(call, &may, err) < 0)
            return -1;
        if (!may)
            return 0;
        row = (struct drift_row){.release = alarm.release, .opened_ms = clock_wall_ms()};
        str_copy(row.cause, sizeof row.cause, alarm.rule);
        str_copy(row.text, sizeof row.text, alarm.because);
    }
    if (extend(call, &row, &alarm, err) < 0 ||
        store->ops->drift_alarm_save(store, row.id, call->robot.id, MAX(alarm.time_ms, 1), err) < 0)
        return -1;
    return fleet_event(call->fleet, "drift", call->robot.id, err, "%s: %s", row.cause, alarm.because);
}

/* ---- shown ---- */

static void view(struct json_writer *w, struct call *call, const struct drift_row *row)
{
    char names[sizeof row->robots], *rest = names, *name;
    str_copy(names, sizeof names, row->robots);
    jsonw_u64(w, "id", row->id);
    jsonw_boolean(w, "common", row->common);
    view_release_ref(w, "release", call->fleet, &row->release);
    jsonw_text(w, "cause", row->cause);
    jsonw_text(w, "text", row->text);
    jsonw_text(w, "remedy", drift_remedy(cause_of(row->cause)));
    jsonw_i64(w, "opened_ms", row->opened_ms);
    jsonw_i64(w, "updated_ms", row->updated_ms);
    jsonw_i64(w, "closed_ms", row->closed_ms);
    jsonw_i64(w, "acknowledged_ms", row->acknowledged_ms);
    jsonw_text(w, "acknowledged_by", row->acknowledged_by);
    jsonw_real(w, "log10_e", row->log10_e);
    jsonw_u64(w, "robot_count", row->robot_count);
    jsonw_array(w, "robots");
    while ((name = strsep(&rest, " ")) != NULL)
        if (name[0] && call_sees(call, name))
            jsonw_text(w, NULL, name);
    jsonw_close(w);
}

struct listing {
    struct call *call;
    struct json_writer w;
};

/* Who sees none of its robots does not see it. */
static bool concerns(const struct call *call, const struct drift_row *row)
{
    char names[sizeof row->robots], *rest = names, *name;
    str_copy(names, sizeof names, row->robots);
    while ((name = strsep(&rest, " ")) != NULL)
        if (name[0] && call_sees(call, name))
            return true;
    return row->robots[0] == 0;
}

static int view_one(const struct drift_row *row, void *arg)
{
    struct listing *listing = arg;
    if (!concerns(listing->call, row))
        return 0;
    jsonw_object(&listing->w, NULL);
    view(&listing->w, listing->call, row);
    jsonw_close(&listing->w);
    return 0;
}

int drift_list(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct listing listing = {.call = call};
    const char *state = http_query(call->request, "state");
    if (state && !str_eq(state, "open") && !str_eq(state, "all"))
        return err_set(err, ERR_INVALID, "state: open or all");
    jsonw_init(&listing.w);
    jsonw_object(&listing.w, NULL);
    jsonw_array(&listing.w, "drift");
    int done =
        store->ops->drift_each(store, state && str_eq(state, "open"), LIST_LIMIT, view_one, &listing, err);
    jsonw_close(&listing.w);
    jsonw_close(&listing.w);
    if (done == 0)
        done = call_writer(call, 200, &listing.w, err);
    jsonw_fini(&listing.w);
    return done;
}

int drift_get(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct drift_row row;
    uint64_t id;
    if (call_id(call, &id, err) < 0 || store->ops->drift_get(store, id, &row, err) < 0)
        return -1;
    if (!concerns(call, &row))
        return err_set(err, ERR_NOT_FOUND, "there is no such drift; see muster drift list");
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    view(&w, call, &row);
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}

/* An empty body says nothing. */
static int parse_note(struct call *call, char *out, size_t size, struct err *err)
{
    size_t len;
    const uint8_t *body = http_body(call->request, &len);
    struct json_reader reader;
    if (len == 0)
        return 0;
    if (json_read(&reader, "request", body, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "note");
    if (json_has(root, "note"))
        json_get_line(root, "note", out, size);
    return json_finish(&reader, err);
}

/* The robots that raised it themselves hear of it with their next question for commands (orders.c): a number says how far each has come. A server that
 * was put back goes on with numbers that it did not give before. */
static int carry(struct call *call, struct drift_row *row, struct err *err)
{
    struct store *store = call->fleet->store;
    uint64_t last = 0;
    if (store->ops->drift_seen_last(store, &last, err) < 0)
        return -1;
    row->acknowledgement = MAX((uint64_t)MAX(row->acknowledged_ms, 1), last + 1);
    return store->ops->drift_save(store, row, err);
}

/* Acknowledged is closed: what is news after that opens another one (fleet/engine/drift.c). */
int drift_acknowledge_post(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct drift_row row;
    char note[112] = "";
    uint64_t id;
    if (call_id(call, &id, err) < 0 || parse_note(call, note, sizeof note, err) < 0 ||
        store->ops->drift_get(store, id, &row, err) < 0)
        return -1;
    if (row.closed_ms)
        return err_set(err, ERR_CONFLICT, "drift %llu is closed already", (unsigned long long)id);
    row.closed_ms = row.acknowledged_ms = clock_wall_ms();
    str_copy(row.acknowledged_by, sizeof row.acknowledged_by, call->operator_name);
    const struct audit_entry entry = {.kind = "drift",
                                      .what = "acknowledged",
                                      .who = call->operator_name,
                                      .why = note,
                                      .release = row.release,
                                      .text = row.cause};
    if (fleet_audit(call->fleet, &entry, err) < 0 || carry(call, &row, err) < 0)
        return -1;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    view(&w, call, &row);
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}
