/* GET /api/v1/alarms: how alarms are answered; and the event when some are not. */
#include "fleet/api/call.h"

#include "base/clock.h"
#include "base/log.h"
#include "fleet/review/duty.h"

enum { WEEK_MS = 7 * 24 * 3600 * 1000, MOST_ALARMS = 100000 };

struct watch {
    struct call *call; /* NULL: of all robots */
    struct duty *duty;
    int64_t now_ms;
};

static int on_alarm(const struct review_row *row, void *arg)
{
    struct watch *watch = arg;
    struct err denied = {0};
    bool old = row->verdict != REVIEW_OPEN && row->decided_ms < watch->now_ms - WEEK_MS;
    if (old || (watch->call && call_may_id(watch->call, RIGHT_SEE, row->robot, &denied) < 0))
        return 0;
    duty_add(watch->duty, row, watch->now_ms - WEEK_MS, watch->now_ms);
    return 0;
}

static int look(struct fleet *fleet, struct watch *watch, int open, struct err *err)
{
    const struct review_filter filter = {
        .robot = "", .open = open, .reason = SAMPLE_ALARM, .limit = MOST_ALARMS};
    watch->now_ms = clock_wall_ms();
    return fleet->store->ops->review_each(fleet->store, &filter, on_alarm, watch, err);
}

int alarms_get(struct call *call, struct err *err)
{
    cleanup_free struct duty *duty = mem_zalloc(1, sizeof *duty);
    struct watch watch = {.call = call, .duty = duty};
    if (!duty)
        return err_no_memory(err);
    if (look(call->fleet, &watch, -1, err) < 0)
        return -1;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "open", duty->open);
    jsonw_u64(&w, "unseen", duty->unseen);
    jsonw_u64(&w, "late", duty->late);
    jsonw_i64(&w, "late_after_s", DUTY_LATE_MS / 1000);
    if (duty->oldest.id)
        jsonw_u64(&w, "oldest", duty->oldest.id);
    else
        jsonw_nothing(&w, "oldest");
    jsonw_u64(&w, "answered", duty->answered);
    jsonw_u64(&w, "operator_hours", duty->operator_hours);
    jsonw_real(&w, "per_operator_hour", duty_fatigue(duty));
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}

/* ---- unanswered ones ---- */

static const char told_key[] = "told_late_alarm";

static int tell(struct fleet *fleet, const struct duty *duty, struct err *err)
{
    const struct review_row *oldest = &duty->oldest;
    if (fleet->store->ops->number_set(fleet->store, told_key, (int64_t)duty->late_newest, err) < 0)
        return -1;
    return fleet_event(fleet, "review", oldest->robot, err,
                       "alarms that wait for a verdict for more than %d minutes: %llu; the oldest is %llu",
                       DUTY_LATE_MS / 60000, (unsigned long long)duty->late, (unsigned long long)oldest->id);
}

static int look_for_late(struct fleet *fleet, struct duty *duty, struct err *err)
{
    struct watch watch = {.duty = duty};
    int64_t told = 0;
    if (look(fleet, &watch, 1, err) < 0 ||
        fleet->store->ops->number_get(fleet->store, told_key, &told, err) < 0)
        return -1;
    if (duty->late_newest <= (uint64_t)told)
        return 0;
    if (group_enter(fleet->group, err) < 0)
        return -1;
    if (tell(fleet, duty, err) == 0)
        return group_leave(fleet->group, err);
    group_cancel(fleet->group);
    return -1;
}

/* Once for each alarm, those of the same look together. */
void alarms_tick(struct api *api)
{
    cleanup_free struct duty *duty = mem_zalloc(1, sizeof *duty);
    struct err err = {0};
    if (duty && look_for_late(api->fleet, duty, &err) < 0)
        log_warn("alarms: %s", err.text);
}
