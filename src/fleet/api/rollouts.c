/* Rollouts: start, list, one, pause, resume, abort. */
#include "base/clock.h"
#include "fleet/api/call.h"
#include "fleet/engine/engine.h"

struct member_list {
    struct json_writer *w;
    int wave;
};

static int list_member(const struct rollout_robot_row *row, void *arg)
{
    struct member_list *list = arg;
    if (row->wave == list->wave)
        jsonw_text(list->w, NULL, row->robot);
    return 0;
}

static const char *wave_state(const struct rollout *rollout, size_t wave)
{
    if (rollout->state == ROLLOUT_DONE || wave < rollout->wave)
        return "passed";
    if (wave > rollout->wave)
        return "pending";
    return rollout->state == ROLLOUT_ROLLING_BACK || rollout->state == ROLLOUT_ROLLED_BACK ? "failed"
                                                                                           : "running";
}

static int write_wave(struct json_writer *w, struct fleet *fleet, const struct rollout *rollout, size_t index,
                      struct err *err)
{
    const struct rollout_wave *wave = &rollout->spec.waves[index];
    struct member_list list = {.w = w, .wave = (int)index};
    bool bakes = rollout->state == ROLLOUT_RUNNING && index == rollout->wave && rollout->bake_started_ms;
    int64_t left_ms = wave->bake_s * 1000 - (clock_wall_ms() - rollout->bake_started_ms);
    jsonw_object(w, NULL);
    jsonw_text(w, "name", wave->name);
    jsonw_array(w, "robots");
    if (fleet->store->ops->rollout_robot_each(fleet->store, rollout->id, list_member, &list, err) < 0)
        return -1;
    jsonw_close(w);
    jsonw_text(w, "state", wave_state(rollout, index));
    if (bakes)
        jsonw_i64(w, "bake_left_s", MAX((left_ms + 999) / 1000, (int64_t)0));
    else
        jsonw_nothing(w, "bake_left_s");
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

static int write_rollout(struct json_writer *w, struct fleet *fleet, const struct rollout_row *row,
                         struct err *err)
{
    const struct rollout *rollout = &row->rollout;
    jsonw_object(w, NULL);
    jsonw_u64(w, "id", rollout->id);
    jsonw_text(w, "name", rollout->spec.name);
    view_release_ref(w, "release", fleet, &rollout->release);
    jsonw_text(w, "state", rollout_state_name(rollout->state));
    jsonw_u64(w, "wave", rollout->wave);
    jsonw_array(w, "waves");
    for (size_t i = 0; i < rollout->spec.wave_count; i++)
        if (write_wave(w, fleet, rollout, i, err) < 0)
            return -1;
    jsonw_close(w);
    if (write_gates(w, fleet, row, err) < 0)
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
        write_rollout(&w, call->fleet, &row, err) < 0)
        return -1;
    return call_writer(call, 200, &w, err);
}

struct id_list {
    size_t count;
    uint64_t ids[200]; /* the newest; older ones by their id */
};

static int collect_id(const struct rollout_row *row, void *arg)
{
    struct id_list *list = arg;
    list->ids[list->count++] = row->rollout.id;
    return list->count == ARRAY_LEN(list->ids);
}

int rollout_list(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct id_list list = {0};
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_array(&w, "rollouts");
    if (store->ops->rollout_each(store, false, collect_id, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < list.count; i++) {
        cleanup_rollout_row struct rollout_row row = {0};
        if (store->ops->rollout_get(store, list.ids[i], &row, err) < 0 ||
            write_rollout(&w, call->fleet, &row, err) < 0)
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
        engine_begin(call->fleet, spec, call->operator_name, &id, err) < 0)
        return -1;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "id", id);
    jsonw_close(&w);
    return call_writer(call, 201, &w, err);
}

static int wish(struct call *call, enum engine_wish what, struct err *err)
{
    uint64_t id;
    if (call_id(call, &id, err) < 0 || engine_wish(call->fleet, id, what, call->operator_name, err) < 0)
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
