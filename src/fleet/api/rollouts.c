/* Rollouts: start, list, one, pause, resume, abort. */
#include "base/clock.h"
#include "fleet/api/call.h"
#include "fleet/engine/consent.h"
#include "fleet/engine/engine.h"

/* Waves are written in order and their members come in order, so one walk over the members does for all of
 * them. */
struct wave_walk {
    struct json_writer *w;
    const struct call *call;
    const struct rollout *rollout;
    size_t next; /* the wave that is not begun yet */
};

static const char *wave_state(const struct rollout *rollout, size_t wave)
{
    if (rollout->state == ROLLOUT_DONE || wave < rollout->wave)
        return "passed";
    if (wave > rollout->wave || rollout->state == ROLLOUT_WAITING)
        return "pending";
    return rollout->state == ROLLOUT_ROLLING_BACK || rollout->state == ROLLOUT_ROLLED_BACK ? "failed"
                                                                                           : "running";
}

static void end_wave(struct wave_walk *walk)
{
    struct json_writer *w = walk->w;
    const struct rollout *rollout = walk->rollout;
    size_t index = walk->next - 1;
    bool bakes = rollout->state == ROLLOUT_RUNNING && index == rollout->wave && rollout->bake_started_ms;
    int64_t left_ms = rollout->spec.waves[index].bake_s * 1000 - (clock_wall_ms() - rollout->bake_started_ms);
    jsonw_close(w);
    jsonw_text(w, "state", wave_state(rollout, index));
    if (bakes)
        jsonw_i64(w, "bake_left_s", MAX((left_ms + 999) / 1000, (int64_t)0));
    else
        jsonw_nothing(w, "bake_left_s");
    jsonw_close(w);
}

/* Begins every wave before `index`, and that one. */
static void reach_wave(struct wave_walk *walk, size_t index)
{
    while (walk->next <= index && walk->next < walk->rollout->spec.wave_count) {
        if (walk->next > 0)
            end_wave(walk);
        jsonw_object(walk->w, NULL);
        jsonw_text(walk->w, "name", walk->rollout->spec.waves[walk->next].name);
        jsonw_array(walk->w, "robots");
        walk->next++;
    }
}

static int write_member(const struct rollout_robot_row *row, void *arg)
{
    struct wave_walk *walk = arg;
    if (row->wave < 0)
        return 0;
    reach_wave(walk, (size_t)row->wave);
    if (call_sees(walk->call, row->robot))
        jsonw_text(walk->w, NULL, row->robot);
    return 0;
}

static int write_waves(struct json_writer *w, const struct call *call, const struct rollout *rollout,
                       struct err *err)
{
    struct store *store = call->fleet->store;
    struct wave_walk walk = {.w = w, .call = call, .rollout = rollout};
    jsonw_array(w, "waves");
    if (store->ops->rollout_robot_each(store, rollout->id, write_member, &walk, err) < 0)
        return -1;
    reach_wave(&walk, rollout->spec.wave_count - 1);
    end_wave(&walk);
    jsonw_close(w);
    return 0;
}

static int write_gates(struct json_writer *w, struct fleet *fleet, const struct rollout_row *row,
                       struct err *err)
{
    if (row->gates) {
        jsonw_raw(w, "gates", row->gates);
        return 0;
    }
    cleanup_engine_view struct engine_view view = {0};
    struct gate_result gates[ROLLOUT_MAX_GATES];
    if (engine_view_load(fleet, &row->rollout, &view, err) < 0)
        return -1;
    engine_write_gates(w, "gates", gates, rollout_gates(&row->rollout, &view.view, gates));
    return 0;
}

/* While robots are still to be taken in: what its terms ask for and who has approved. */
static int write_approvals(struct json_writer *w, struct fleet *fleet, const struct rollout *rollout,
                           struct err *err)
{
    struct consent consent = {0};
    bool open = rollout->state == ROLLOUT_RUNNING || rollout->state == ROLLOUT_WAITING ||
                rollout->state == ROLLOUT_PAUSED;
    if (open && consent_ask(fleet, &rollout->release, &rollout->plan, &consent, err) < 0)
        return -1;
    if (!consent.terms.threshold) {
        jsonw_nothing(w, "approvals");
        return 0;
    }
    jsonw_object(w, "approvals");
    jsonw_i64(w, "needed", consent.terms.threshold);
    jsonw_i64(w, "have", consent.have);
    jsonw_text(w, "of", consent.terms.scope == TERMS_OF_PLAN ? "plan" : "release");
    jsonw_array(w, "from");
    for (int i = 0; i < consent.have; i++)
        jsonw_text(w, NULL, consent.from[i]);
    jsonw_close(w);
    jsonw_close(w);
    return 0;
}

static int write_rollout(struct json_writer *w, const struct call *call, const struct rollout_row *row,
                         struct err *err)
{
    struct fleet *fleet = call->fleet;
    const struct rollout *rollout = &row->rollout;
    jsonw_object(w, NULL);
    jsonw_u64(w, "id", rollout->id);
    jsonw_text(w, "name", rollout->spec.name);
    view_release_ref(w, "release", fleet, &rollout->release);
    jsonw_text(w, "state", rollout_state_name(rollout->state));
    jsonw_u64(w, "wave", rollout->wave);
    if (write_waves(w, call, rollout, err) < 0)
        return -1;
    if (write_gates(w, fleet, row, err) < 0)
        return -1;
    jsonw_digest(w, "plan", &rollout->plan);
    if (write_approvals(w, fleet, rollout, err) < 0)
        return -1;
    jsonw_text(w, "reason", rollout->reason);
    jsonw_i64(w, "started_ms", row->started_ms);
    if (row->ended_ms)
        jsonw_i64(w, "ended_ms", row->ended_ms);
    else
        jsonw_nothing(w, "ended_ms");
    jsonw_close(w);
    return 0;
}

static int reply_rollout(struct call *call, uint64_t id, struct err *err)
{
    cleanup_rollout_row struct rollout_row row = {0};
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    if (call->fleet->store->ops->rollout_get(call->fleet->store, id, &row, err) < 0 ||
        write_rollout(&w, call, &row, err) < 0)
        return -1;
    return call_writer(call, 200, &w, err);
}

enum { LIST_LIMIT = 200, LIST_DEFAULT = 50 };

struct id_list {
    size_t count, limit;
    uint64_t ids[LIST_LIMIT]; /* the newest; older ones by their id */
};

static int collect_id(const struct rollout_row *row, void *arg)
{
    struct id_list *list = arg;
    list->ids[list->count++] = row->rollout.id;
    return list->count == list->limit;
}

int rollout_list(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct id_list list = {0};
    uint64_t limit;
    if (call_query_u64(call, "limit", LIST_DEFAULT, LIST_LIMIT, &limit, err) < 0)
        return -1;
    list.limit = MAX((size_t)limit, (size_t)1);
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_array(&w, "rollouts");
    if (store->ops->rollout_each(store, false, collect_id, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < list.count; i++) {
        cleanup_rollout_row struct rollout_row row = {0};
        if (store->ops->rollout_get(store, list.ids[i], &row, err) < 0 ||
            write_rollout(&w, call, &row, err) < 0)
            return -1;
    }
    jsonw_close(&w);
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}

int rollout_get(struct call *call, struct err *err)
{
    uint64_t id;
    return call_id(call, &id, err) < 0 ? -1 : reply_rollout(call, id, err);
}

int rollout_post(struct call *call, struct err *err)
{
    size_t len;
    const uint8_t *body = http_body(call->request, &len);
    cleanup_free struct rollout_spec *spec = mem_zalloc(1, sizeof *spec);
    uint64_t id;
    if (!spec)
        return err_no_memory(err);
    if (rollout_spec_parse(body, len, spec, err) < 0 ||
        call_may_select(call, RIGHT_ROLL_OUT, spec->select, spec->select_count, err) < 0 ||
        engine_begin(call->fleet, spec, call->operator_name, &id, err) < 0)
        return -1;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "id", id);
    jsonw_close(&w);
    return call_writer(call, 201, &w, err);
}

static int may_touch(struct call *call, uint64_t id, enum right right, struct err *err)
{
    cleanup_rollout_row struct rollout_row row = {0};
    if (call->fleet->store->ops->rollout_get(call->fleet->store, id, &row, err) < 0)
        return -1;
    const struct rollout_spec *spec = &row.rollout.spec;
    return call_may_select(call, right, spec->select, spec->select_count, err);
}

static int wish(struct call *call, enum engine_wish what, struct err *err)
{
    uint64_t id;
    enum right right = what == ENGINE_RESUME ? RIGHT_ROLL_OUT : RIGHT_HOLD_BACK;
    if (call_id(call, &id, err) < 0 || may_touch(call, id, right, err) < 0 ||
        engine_wish(call->fleet, id, what, call->operator_name, err) < 0)
        return -1;
    return reply_rollout(call, id, err);
}

int rollout_pause_post(struct call *call, struct err *err)
{
    return wish(call, ENGINE_PAUSE, err);
}

int rollout_resume_post(struct call *call, struct err *err)
{
    return wish(call, ENGINE_RESUME, err);
}

int rollout_abort_post(struct call *call, struct err *err)
{
    return wish(call, ENGINE_ABORT, err);
}
