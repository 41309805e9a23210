/* POST /api/v1/reports: numbered records, each applied exactly once, in order. */
#include "base/clock.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "wire/api.h"

enum { KEEP_REPORTS = 500, PRUNE_EVERY = 64 /* records */ };

/* What a record means for the robot's phase; PHASE_COUNT: nothing. */
static const enum robot_phase phase_of[REPORT_KIND_COUNT] = {
    [REPORT_STARTED] = PHASE_COUNT,
    [REPORT_ASSIGNED] = PHASE_ASSIGNED,
    [REPORT_DOWNLOADED] = PHASE_DOWNLOADED,
    [REPORT_VERIFIED] = PHASE_VERIFIED,
    [REPORT_SELF_TESTED] = PHASE_SELF_TESTED,
    [REPORT_ACTIVATED] = PHASE_PROBATION,
    [REPORT_COMMITTED] = PHASE_COMMITTED,
    [REPORT_ROLLED_BACK] = PHASE_ROLLED_BACK,
    [REPORT_FAILED] = PHASE_FAILED,
    [REPORT_GUARD] = PHASE_COUNT,
    [REPORT_RESTARTED] = PHASE_COUNT,
    [REPORT_OPERATOR] = PHASE_COUNT,
    [REPORT_SHADOWED] = PHASE_SELF_TESTED,
    [REPORT_WITNESS] = PHASE_COUNT,
    [REPORT_DRIFT] = PHASE_COUNT,
    [REPORT_DECISION] = PHASE_COUNT,
    [REPORT_GAP] = PHASE_COUNT,
};

/* What the robot runs after this record. */
static void update_running(struct robot_row *row, const struct api_report *report)
{
    bool named = !digest_is_zero(&report->release);
    if (report->kind == REPORT_ROLLED_BACK) {
        row->running = row->committed; /* `release` was left for what was committed before */
    } else if (named && (report->kind == REPORT_ACTIVATED || report->kind == REPORT_COMMITTED)) {
        row->running = report->release;
        row->committed = report->kind == REPORT_COMMITTED ? report->release : row->committed;
    } else if (named && report->kind == REPORT_STARTED) {
        row->running = report->release;
    }
}

static void update_guard(struct robot_row *row, const struct api_report *report)
{
    if (!report->guard)
        return;
    row->guard = report->guard;
    row->guard_ms = report->time_ms;
    str_copy(row->guard_who, sizeof row->guard_who, report->who);
    str_copy(row->guard_text, sizeof row->guard_text, report->text);
}

static void update_robot(struct robot_row *row, const struct api_report *report, int64_t now_ms)
{
    update_running(row, report);
    update_guard(row, report);
    if (phase_of[report->kind] == PHASE_COUNT)
        return;
    row->phase = phase_of[report->kind];
    row->phase_release = report->release;
    row->phase_ms = now_ms;
    str_copy(row->phase_text, sizeof row->phase_text, report->text);
}

static int tell(struct call *call, const struct api_report *report, struct err *err)
{
    char kind[32];
    snprintf(kind, sizeof kind, "report.%s", report_kind_name(report->kind));
    return fleet_event(call->fleet, kind, call->robot.id, err, "%s%s%s", report->version,
                       report->version[0] && report->text[0] ? ": " : "", report->text);
}

/* As what a record stands in the audit log; NULL: not at all. */
static const char *const audited_as[REPORT_KIND_COUNT] = {
    [REPORT_GUARD] = "guard",       [REPORT_ACTIVATED] = "robot", [REPORT_COMMITTED] = "robot",
    [REPORT_ROLLED_BACK] = "robot", [REPORT_FAILED] = "robot",    [REPORT_WITNESS] = "witness",
};

/* What people and guards did, and what became of releases. */
static int audit(struct call *call, const struct api_report *report, struct err *err)
{
    if (report->kind == REPORT_OPERATOR)
        return command_outcome(call, report, err);
    if (!audited_as[report->kind])
        return 0;
    const char *robots[] = {call->robot.id};
    const struct audit_entry entry = {.kind = audited_as[report->kind],
                                      .what = report->kind == REPORT_GUARD ? NULL
                                                                           : report_kind_name(report->kind),
                                      .robots = robots,
                                      .robot_count = 1,
                                      .release = report->release,
                                      .text = report->text};
    return fleet_audit(call->fleet, &entry, err);
}

static int apply(struct call *call, const char *stream, const struct api_report *report, int64_t now_ms,
                 struct err *err)
{
    struct report_row row = {.received_ms = now_ms, .report = *report};
    str_copy(row.robot, sizeof row.robot, call->robot.id);
    str_copy(row.stream, sizeof row.stream, stream);
    update_robot(&call->robot, report, now_ms);
    if (call->fleet->store->ops->report_add(call->fleet->store, &row, err) < 0 || tell(call, report, err) < 0)
        return -1;
    if ((report->kind == REPORT_DECISION && decision_take(call, report, err) < 0) ||
        (report->kind == REPORT_DRIFT && drift_take(call, report, err) < 0))
        return -1;
    call->fleet->counters.reports++;
    return audit(call, report, err);
}

/* Applies what follows on *acked without a hole. */
static int apply_new(struct call *call, const struct api_reports *reports, uint64_t *acked, struct err *err)
{
    int64_t now_ms = clock_wall_ms();
    struct store *store = call->fleet->store;
    uint64_t before = *acked;
    for (size_t i = 0; i < reports->count; i++) {
        const struct api_report *report = &reports->records[i];
        if (report->seq <= *acked) {
            call->fleet->counters.report_replays++;
            continue;
        }
        if (report->seq != *acked + 1)
            break;
        if (apply(call, reports->stream, report, now_ms, err) < 0)
            return -1;
        *acked = report->seq;
    }
    if (*acked == before)
        return 0;
    call->fleet->dirty = true;
    if (*acked / PRUNE_EVERY != before / PRUNE_EVERY &&
        store->ops->report_prune(store, call->robot.id, KEEP_REPORTS, err) < 0)
        return -1;
    if (store->ops->robot_save(store, &call->robot, err) < 0)
        return -1;
    return store->ops->stream_set(store, call->robot.id, STREAM_REPORTS, reports->stream, *acked, now_ms,
                                  err);
}

int reports_post(struct call *call, struct err *err)
{
    size_t len;
    const uint8_t *body = http_body(call->request, &len);
    cleanup_free struct api_reports *reports = mem_zalloc(1, sizeof *reports);
    if (!reports)
        return err_no_memory(err);
    uint64_t acked = 0;
    struct store *store = call->fleet->store;
    if (api_reports_parse(body, len, reports, err) < 0 ||
        store->ops->stream_get(store, call->robot.id, STREAM_REPORTS, reports->stream, &acked, err) < 0 ||
        apply_new(call, reports, &acked, err) < 0)
        return -1;
    return call_json(call, 200, api_acked_format(acked), err);
}
