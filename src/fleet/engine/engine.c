#include "fleet/engine/engine.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "fleet/engine/consent.h"
#include "fleet/engine/drift.h"

#include <event2/event.h>

enum {
    TICK_MS = 250,
    IDLE_TICKS = 4, /* looks once a second when nothing came in: time passes too */
    DRIFT_MS = 60000
};

struct engine {
    struct fleet *fleet;
    struct event *timer;
    int idle;
    int64_t drift_ms; /* the fleet is heard again then; monotonic */
};

static bool ended(enum rollout_state state)
{
    return state == ROLLOUT_ROLLED_BACK || state == ROLLOUT_DONE;
}

/* Takes robots in (remembering what they had and had shown before) or sends them back. */
static int carry_out_assign(struct fleet *fleet, const struct rollout *rollout,
                            const struct rollout_assign *assign, struct engine_view *view, struct err *err)
{
    struct engine_robot *more = &view->more[assign->robot];
    const struct digest plan = assign->rollback ? more->member.before_plan : rollout->plan;
    if (assign->wave >= 0) {
        more->member.wave = assign->wave;
        more->member.before = view->robots[assign->robot].target;
        more->member.before_plan = more->target_plan;
        more->member.baseline = more->shown;
        if (fleet->store->ops->rollout_robot_save(fleet->store, &more->member, err) < 0)
            return -1;
    }
    return fleet_assign(fleet, more->id, &assign->release, assign->rollback, &plan, err);
}

static int store_failures(struct fleet *fleet, struct engine_view *view, struct err *err)
{
    for (size_t i = 0; i < view->view.count; i++) {
        if (!view->more[i].newly_failed)
            continue;
        view->more[i].member.failed = true;
        if (fleet->store->ops->rollout_robot_save(fleet->store, &view->more[i].member, err) < 0)
            return -1;
    }
    return 0;
}

static char *final_gates(const struct rollout_actions *actions, struct err *err)
{
    struct json_writer w;
    jsonw_init(&w);
    engine_write_gates(&w, NULL, actions->gates, actions->gate_count);
    char *text = jsonw_take(&w, err);
    jsonw_fini(&w);
    return text;
}

int engine_record(struct fleet *fleet, const struct rollout *rollout, const char *who, const char *what,
                  struct err *err)
{
    const struct audit_entry entry = {.kind = "rollout",
                                      .who = who,
                                      .what = what,
                                      .why = rollout->reason,
                                      .release = rollout->release,
                                      .text = rollout->spec.name};
    return fleet_audit(fleet, &entry, err);
}

static int tell_changes(struct fleet *fleet, const struct rollout *old, const struct rollout *next,
                        struct err *err)
{
    const char *name = next->spec.name;
    if (next->state != old->state &&
        engine_record(fleet, next, NULL, rollout_state_name(next->state), err) < 0)
        return -1;
    if (next->state != old->state &&
        fleet_event(fleet, "rollout", NULL, err, "%s is %s%s%s", name, rollout_state_name(next->state),
                    next->reason[0] ? ": " : "", next->reason) < 0)
        return -1;
    if (next->wave != old->wave &&
        engine_record(fleet, next, NULL, next->spec.waves[next->wave].name, err) < 0)
        return -1;
    if (next->wave != old->wave &&
        fleet_event(fleet, "wave", NULL, err, "%s: wave %s passed, %s begins", name,
                    old->spec.waves[old->wave].name, next->spec.waves[next->wave].name) < 0)
        return -1;
    if (next->bake_started_ms && !old->bake_started_ms)
        return fleet_event(fleet, "wave", NULL, err, "%s: wave %s has committed and bakes for %lld s", name,
                           next->spec.waves[next->wave].name, (long long)next->spec.waves[next->wave].bake_s);
    return 0;
}

static int store_next(struct fleet *fleet, struct rollout_row *row, const struct rollout_actions *actions,
                      struct err *err)
{
    if (!actions->changed)
        return 0;
    if (tell_changes(fleet, &row->rollout, &actions->next, err) < 0 ||
        engine_why(fleet, &row->rollout, actions, err) < 0)
        return -1;
    row->rollout = actions->next;
    if (ended(row->rollout.state)) {
        row->ended_ms = clock_wall_ms();
        free(row->gates);
        if (!(row->gates = final_gates(actions, err)))
            return -1;
    }
    return fleet->store->ops->rollout_save(fleet->store, row, err);
}

static int carry_out(struct fleet *fleet, struct rollout_row *row, struct engine_view *view,
                     const struct rollout_actions *actions, struct err *err)
{
    if (store_failures(fleet, view, err) < 0)
        return -1;
    for (size_t i = 0; i < actions->assign_count; i++)
        if (carry_out_assign(fleet, &row->rollout, &actions->assigns[i], view, err) < 0)
            return -1;
    return store_next(fleet, row, actions, err);
}

static bool anything_to_do(const struct engine_view *view, const struct rollout_actions *actions)
{
    bool failures = false;
    for (size_t i = 0; i < view->view.count; i++)
        failures = failures || view->more[i].newly_failed;
    return failures || actions->assign_count || actions->changed;
}

/* Only a rollout that may take robots in needs to know. */
static int ask_consent(struct fleet *fleet, const struct rollout *rollout, struct consent *out,
                       struct err *err)
{
    if (rollout->state != ROLLOUT_RUNNING && rollout->state != ROLLOUT_WAITING)
        return 0;
    return consent_ask(fleet, &rollout->release, &rollout->plan, out, err);
}

static int decide_one(struct fleet *fleet, struct rollout_row *row, struct err *err)
{
    cleanup_engine_view struct engine_view view = {0};
    struct consent consent = {0};
    if (engine_view_load(fleet, &row->rollout, &view, err) < 0 ||
        ask_consent(fleet, &row->rollout, &consent, err) < 0)
        return -1;
    view.view.withheld = consent.why[0] ? consent.why : NULL;
    cleanup_free struct rollout_assign *assigns = mem_zalloc(view.view.count, sizeof *assigns);
    cleanup_free struct rollout_actions *actions = mem_zalloc(1, sizeof *actions);
    if (!assigns || !actions)
        return err_no_memory(err);
    actions->assigns = assigns;
    if (rollout_decide(&row->rollout, &view.view, clock_wall_ms(), actions, err) < 0)
        return -1;
    if (!anything_to_do(&view, actions))
        return 0;
    if (group_enter(fleet->group, err) < 0)
        return -1;
    if (carry_out(fleet, row, &view, actions, err) < 0) {
        group_cancel(fleet->group);
        return -1;
    }
    fleet->dirty = true; /* look again soon: one step often allows the next */
    return group_leave(fleet->group, err);
}

static int look_at(struct fleet *fleet, uint64_t id, struct err *err)
{
    cleanup_rollout_row struct rollout_row row = {0};
    if (fleet->store->ops->rollout_get(fleet->store, id, &row, err) < 0)
        return -1;
    return decide_one(fleet, &row, err);
}

struct open_list {
    size_t count;
    uint64_t ids[256];
};

static int collect(const struct rollout_row *row, void *arg)
{
    struct open_list *list = arg;
    if (list->count == ARRAY_LEN(list->ids))
        return 1;
    list->ids[list->count++] = row->rollout.id;
    return 0;
}

int engine_step(struct fleet *fleet, struct err *err)
{
    struct open_list list = {0};
    if (fleet->store->ops->rollout_each(fleet->store, true, collect, &list, err) < 0)
        return -1;
    int rc = 0;
    for (size_t i = list.count; i-- > 0;) { /* oldest first */
        struct err failure = {0};
        if (look_at(fleet, list.ids[i], &failure) < 0 && rc == 0) {
            *err = failure;
            rc = err_prefix(err, "rollout %llu", (unsigned long long)list.ids[i]);
        }
    }
    return rc;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct engine *engine = arg;
    struct err err = {0}, unheard = {0};
    int64_t now_ms = clock_mono_ms();
    if (now_ms >= engine->drift_ms) {
        engine->drift_ms = now_ms + DRIFT_MS;
        if (engine_drift(engine->fleet, clock_wall_ms(), &unheard) < 0)
            log_error("drift: %s", unheard.text);
    }
    if (!engine->fleet->dirty && ++engine->idle < IDLE_TICKS)
        return;
    engine->idle = 0;
    engine->fleet->dirty = false;
    if (engine_step(engine->fleet, &err) < 0)
        log_error("%s", err.text); /* and again after IDLE_TICKS */
}

int engine_start(struct fleet *fleet, struct engine **out, struct err *err)
{
    cleanup_engine struct engine *engine = mem_zalloc(1, sizeof *engine);
    if (!engine || !(engine->timer = event_new(fleet->base, -1, EV_PERSIST, on_tick, engine)))
        return err_no_memory(err);
    engine->fleet = fleet;
    struct timeval period = {.tv_usec = TICK_MS * 1000};
    event_add(engine->timer, &period);
    *out = TAKE_PTR(engine);
    return 0;
}

void engine_stop(struct engine *engine)
{
    if (engine && engine->timer)
        event_free(engine->timer);
    free(engine);
}
