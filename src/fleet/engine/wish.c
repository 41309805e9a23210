/* What people ask of the engine: begin, pause, resume, abort. */
#include "base/clock.h"
#include "base/str.h"
#include "fleet/engine/consent.h"
#include "fleet/engine/plan.h"

static int resolve_release(struct fleet *fleet, const char *text, struct digest *out, struct err *err)
{
    struct store *store = fleet->store;
    if (digest_parse(text, out)) {
        struct release_row row = {0};
        return store->ops->release_get(store, out, &row, err);
    }
    const char *colon = strchr(text, ':');
    char name[64];
    if (!colon || (size_t)(colon - text) >= sizeof name)
        return err_set(err, ERR_INVALID, "release \"%s\" is neither name:version nor a digest", text);
    memcpy(name, text, (size_t)(colon - text));
    name[colon - text] = 0;
    return store->ops->release_find(store, name, colon + 1, out, err);
}

struct overlap {
    const struct rollout_spec *spec, *other;
    char robot[API_ID_SIZE]; /* "" = none */
    size_t selected;
};

static int find_overlap(const struct robot_row *row, void *arg)
{
    struct overlap *overlap = arg;
    if (row->revoked || row->quarantined_ms || !rollout_selects(overlap->spec, row->labels, row->label_count))
        return 0;
    overlap->selected++;
    if (overlap->other && rollout_selects(overlap->other, row->labels, row->label_count))
        str_copy(overlap->robot, sizeof overlap->robot, row->id);
    return overlap->robot[0] != 0;
}

struct open_check {
    struct fleet *fleet;
    const struct rollout_spec *spec;
    int rc;
    struct err *err;
};

static int check_open(const struct rollout_row *row, void *arg)
{
    struct open_check *check = arg;
    struct store *store = check->fleet->store;
    struct overlap overlap = {.spec = check->spec, .other = &row->rollout.spec};
    check->rc = store->ops->robot_each(store, "", -1, find_overlap, &overlap, check->err);
    if (check->rc == 0 && overlap.robot[0])
        check->rc = err_set(check->err, ERR_CONFLICT,
                            "robot %s is in rollout %llu (%s), which is %s; end that one first",
                            overlap.robot, (unsigned long long)row->rollout.id, row->rollout.spec.name,
                            rollout_state_name(row->rollout.state));
    return check->rc;
}

static int check_robots(struct fleet *fleet, const struct rollout_spec *spec, struct err *err)
{
    struct store *store = fleet->store;
    struct overlap any = {.spec = spec};
    if (store->ops->robot_each(store, "", -1, find_overlap, &any, err) < 0)
        return -1;
    if (!any.selected)
        return err_set(err, ERR_INVALID,
                       "no robot has the labels that `select` asks for; muster robot list --json shows them");
    struct open_check check = {.fleet = fleet, .spec = spec, .err = err};
    if (store->ops->rollout_each(store, true, check_open, &check, err) < 0)
        return -1;
    return check.rc;
}

/* What the release's terms ask for, before anything starts. */
static int prepare(struct fleet *fleet, struct rollout *rollout, struct engine_view *view, struct err *err)
{
    struct consent consent;
    if (consent_ask(fleet, &rollout->release, &rollout->plan, &consent, err) < 0)
        return -1;
    if (consent.withdrawn)
        return err_set(err, ERR_CONFLICT, "release %s cannot be rolled out: %s", rollout->spec.release,
                       consent.why);
    if (consent.terms.threshold && consent.terms.scope == TERMS_OF_PLAN &&
        plan_make(fleet, rollout, view, err) < 0)
        return -1;
    if (consent.why[0]) {
        rollout->state = ROLLOUT_WAITING;
        str_copy(rollout->reason, sizeof rollout->reason, consent.why);
    }
    return 0;
}

int engine_begin(struct fleet *fleet, const struct rollout_spec *spec, const char *who, uint64_t *out_id,
                 struct err *err)
{
    int64_t now_ms = clock_wall_ms();
    cleanup_engine_view struct engine_view planned = {0};
    struct rollout_row row = {.rollout = {.spec = *spec, .state = ROLLOUT_RUNNING, .wave_started_ms = now_ms},
                              .started_ms = now_ms};
    if (resolve_release(fleet, spec->release, &row.rollout.release, err) < 0 ||
        check_robots(fleet, spec, err) < 0 || prepare(fleet, &row.rollout, &planned, err) < 0 ||
        fleet->store->ops->rollout_add(fleet->store, &row, out_id, err) < 0 ||
        plan_store(fleet, *out_id, &planned, err) < 0)
        return -1;
    fleet->dirty = true;
    if (engine_record(fleet, &row.rollout, who, "start", err) < 0)
        return -1;
    return fleet_event(fleet, "rollout", NULL, err, "%s was started by %s: %s%s%s", spec->name, who,
                       spec->release, row.rollout.reason[0] ? "; waiting: " : "", row.rollout.reason);
}

int engine_wish(struct fleet *fleet, uint64_t id, enum engine_wish wish, const char *who, struct err *err)
{
    cleanup_rollout_row struct rollout_row row = {0};
    if (fleet->store->ops->rollout_get(fleet->store, id, &row, err) < 0)
        return -1;
    int rc = wish == ENGINE_PAUSE    ? rollout_pause(&row.rollout, who, err)
             : wish == ENGINE_RESUME ? rollout_resume(&row.rollout, clock_wall_ms(), err)
                                     : rollout_abort(&row.rollout, who, err);
    if (rc < 0 || fleet->store->ops->rollout_save(fleet->store, &row, err) < 0)
        return -1;
    fleet->dirty = true;
    static const char *const words[] = {
        [ENGINE_PAUSE] = "pause", [ENGINE_RESUME] = "resume", [ENGINE_ABORT] = "abort"};
    if (engine_record(fleet, &row.rollout, who, words[wish], err) < 0)
        return -1;
    return fleet_event(fleet, "rollout", NULL, err, "%s is %s%s%s", row.rollout.spec.name,
                       rollout_state_name(row.rollout.state), row.rollout.reason[0] ? ": " : "",
                       row.rollout.reason);
}
