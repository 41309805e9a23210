#include "fleet/engine/engine.h"

#include "base/clock.h"
#include "base/str.h"
#include "stats/drift/drift.h"

#include <math.h>

void engine_view_fini(struct engine_view *view)
{
    free(view->robots);
    free(view->more);
    *view = (struct engine_view){0};
}

struct loader {
    struct fleet *fleet;
    const struct rollout *rollout;
    struct engine_view *out;
    int64_t mono_ms;
    bool no_memory;
};

static int grow(struct engine_view *view)
{
    size_t cap = view->cap ? view->cap * 2 : 32;
    struct fleet_robot *robots = mem_grow(view->robots, cap, sizeof *robots);
    if (robots)
        view->robots = robots;
    struct engine_robot *more = mem_grow(view->more, cap, sizeof *more);
    if (more)
        view->more = more;
    if (!robots || !more)
        return -1;
    view->cap = cap;
    return 0;
}

static int add_robot(const struct robot_row *row, void *arg)
{
    struct loader *loader = arg;
    struct engine_view *out = loader->out;
    const struct digest *release = &loader->rollout->release;
    if (row->revoked || row->quarantined_ms ||
        !rollout_selects(&loader->rollout->spec, row->labels, row->label_count))
        return 0;
    struct roster_entry *entry = roster_get(loader->fleet->roster, row->id);
    if (!entry || (out->view.count == out->cap && grow(out) < 0)) {
        loader->no_memory = true;
        return 1;
    }
    struct engine_robot *more = &out->more[out->view.count];
    *more = (struct engine_robot){.member = {.rollout = loader->rollout->id, .wave = -1},
                                  .target_plan = row->target_plan};
    str_copy(more->id, sizeof more->id, row->id);
    str_copy(more->member.robot, sizeof more->member.robot, row->id);
    out->robots[out->view.count++] = (struct fleet_robot){
        .live = roster_presence(entry, loader->mono_ms) == PRESENCE_LIVE,
        .wave = -1,
        .planned = -1,
        .running = row->running,
        .target = row->target,
        .committed = !digest_is_zero(&row->running) && digest_equal(&row->running, &row->committed),
        .failed = (row->phase == PHASE_ROLLED_BACK || row->phase == PHASE_FAILED) &&
                  digest_equal(&row->phase_release, release),
    };
    return 0;
}

static int by_id(const void *key, const void *item)
{
    return strcmp(key, ((const struct engine_robot *)item)->id);
}

static int join_member(const struct rollout_robot_row *row, void *arg)
{
    struct engine_view *out = arg;
    struct engine_robot *more = bsearch(row->robot, out->more, out->view.count, sizeof *more, by_id);
    if (!more)
        return 0; /* revoked since, or its labels changed */
    struct fleet_robot *robot = &out->robots[more - out->more];
    more->newly_failed = robot->failed && !row->failed;
    more->member = *row;
    robot->wave = row->wave;
    robot->before = row->before;
    robot->failed = robot->failed || row->failed;
    return 0;
}

static int join_plan(const char *robot, int wave, void *arg)
{
    struct engine_view *out = arg;
    struct engine_robot *more = bsearch(robot, out->more, out->view.count, sizeof *more, by_id);
    if (more)
        out->robots[more - out->more].planned = wave;
    return 0;
}

static uint64_t since(uint64_t now, uint64_t baseline)
{
    return now > baseline ? now - baseline : 0;
}

static struct rollout_evidence evidence_of(const struct telemetry_row *row, double budget_ms)
{
    struct rollout_evidence shown = {.frames = row->frames,
                                     .inferences = row->latency_ms.count,
                                     .over_budget = exphist_count_above(&row->latency_ms, budget_ms),
                                     .tp = row->score_tp,
                                     .fp = row->score_fp,
                                     .fn = row->score_fn};
    for (int i = 0; i < OTLP_REASONS; i++)
        shown.interventions += i == OTLP_REASON_OVERSIGHT ? 0 : row->interventions[i];
    return shown;
}

/* A frame counts as intervened on at most once, whatever a robot's counters say. */
static void subtract(struct rollout_evidence *out, const struct rollout_evidence *now,
                     const struct rollout_evidence *base)
{
    *out = (struct rollout_evidence){.frames = since(now->frames, base->frames),
                                     .interventions = since(now->interventions, base->interventions),
                                     .inferences = since(now->inferences, base->inferences),
                                     .over_budget = since(now->over_budget, base->over_budget),
                                     .tp = since(now->tp, base->tp),
                                     .fp = since(now->fp, base->fp),
                                     .fn = since(now->fn, base->fn)};
    out->interventions = MIN(out->interventions, out->frames);
    out->over_budget = MIN(out->over_budget, out->inferences);
}

static bool asks_people(const struct rollout_gates *gates)
{
    return gates->min_recall >= 0 || gates->min_precision >= 0 || gates->max_false_alarms_per_hour >= 0 ||
           gates->max_false_alarm_ratio >= 0;
}

static int load_alarms(struct fleet *fleet, const struct digest *release, const char *robot,
                       struct rollout_alarms *out, struct err *err)
{
    struct telemetry_row row;
    struct err absent = {0};
    if (digest_is_zero(release))
        return 0;
    if (fleet->store->ops->alarm_counts(fleet->store, release, robot, out, err) < 0)
        return -1;
    if (fleet->store->ops->telemetry_get(fleet->store, release, robot, &row, &absent) == 0)
        out->operating_ms = row.operating_ms;
    else if (absent.code != ERR_NOT_FOUND)
        return *err = absent, -1;
    return 0;
}

/* What people said, of this release and of the one before, on the robots that were taken in. */
static int load_words(struct fleet *fleet, const struct rollout *rollout, struct engine_view *out,
                      struct err *err)
{
    for (size_t i = 0; i < out->view.count; i++) {
        struct fleet_robot *robot = &out->robots[i];
        if (robot->wave < 0)
            continue;
        if (load_alarms(fleet, &rollout->release, out->more[i].id, &robot->alarms, err) < 0 ||
            (!digest_equal(&robot->before, &rollout->release) &&
             load_alarms(fleet, &robot->before, out->more[i].id, &robot->alarms_before, err) < 0))
            return -1;
    }
    return 0;
}

/* Open ones of the causes that speak of the model. People close them (muster drift acknowledge). */
static int load_drift(struct fleet *fleet, const struct rollout *rollout, struct engine_view *out,
                      struct err *err)
{
    static const enum drift_cause causes[] = {DRIFT_MODEL, DRIFT_NOVELTY};
    for (size_t i = 0; i < ARRAY_LEN(causes); i++) {
        struct drift_row row;
        struct err absent = {0};
        if (fleet->store->ops->drift_open(fleet->store, &rollout->release, drift_cause_name(causes[i]), &row,
                                          &absent) == 0)
            out->view.drift++;
        else if (absent.code != ERR_NOT_FOUND)
            return *err = absent, -1;
    }
    return 0;
}

static int load_evidence(struct fleet *fleet, const struct rollout *rollout, struct engine_view *out,
                         struct err *err)
{
    struct release_row release = {0};
    if (fleet->store->ops->release_get(fleet->store, &rollout->release, &release, err) < 0)
        return -1;
    for (size_t i = 0; i < out->view.count; i++) {
        struct telemetry_row row;
        struct err absent = {0};
        if (fleet->store->ops->telemetry_get(fleet->store, &rollout->release, out->more[i].id, &row,
                                             &absent) == 0)
            out->more[i].shown = evidence_of(&row, release.latency_p99_ms);
        else if (absent.code != ERR_NOT_FOUND)
            return *err = absent, -1;
        if (out->more[i].member.wave >= 0)
            subtract(&out->robots[i].evidence, &out->more[i].shown, &out->more[i].member.baseline);
    }
    return 0;
}

int engine_view_load(struct fleet *fleet, const struct rollout *rollout, struct engine_view *out,
                     struct err *err)
{
    struct store *store = fleet->store;
    *out = (struct engine_view){0};
    struct loader loader = {.fleet = fleet, .rollout = rollout, .out = out, .mono_ms = clock_mono_ms()};
    int rc = store->ops->robot_each(store, "", -1, add_robot, &loader, err);
    if (rc == 0 && loader.no_memory)
        rc = err_no_memory(err);
    if (rc == 0)
        rc = store->ops->rollout_robot_each(store, rollout->id, join_member, out, err);
    if (rc == 0)
        rc = load_evidence(fleet, rollout, out, err);
    if (rc == 0 && asks_people(&rollout->spec.gates))
        rc = load_words(fleet, rollout, out, err);
    if (rc == 0 && rollout->spec.gates.max_drift >= 0)
        rc = load_drift(fleet, rollout, out, err);
    if (rc == 0 && !digest_is_zero(&rollout->plan))
        rc = store->ops->rollout_plan_each(store, rollout->id, join_plan, out, err);
    if (rc < 0) {
        engine_view_fini(out);
        return -1;
    }
    for (size_t i = 0; i < out->view.count; i++)
        out->robots[i].id = out->more[i].id;
    out->view.robots = out->robots;
    return 0;
}

static const char *const verdict_names[] = {
    [GATE_WAITING] = "waiting", [GATE_PASS] = "pass", [GATE_FAIL] = "fail"};

void engine_write_gates(struct json_writer *w, const char *key, const struct gate_result *gates, size_t count)
{
    jsonw_array(w, key);
    for (size_t i = 0; i < count; i++) {
        jsonw_object(w, NULL);
        jsonw_text(w, "name", gates[i].name);
        jsonw_real(w, "value", gates[i].evidence ? gates[i].value : (double)NAN);
        jsonw_real(w, "limit", gates[i].limit);
        jsonw_real(w, "low", gates[i].low);
        jsonw_real(w, "high", gates[i].high);
        jsonw_u64(w, "evidence", gates[i].evidence);
        jsonw_text(w, "verdict", verdict_names[gates[i].verdict]);
        jsonw_close(w);
    }
    jsonw_close(w);
}
