#include "fleet/decide/rollout.h"
#include "base/mem.h"
#include "base/str.h"

#include <math.h>
#include <stdarg.h>

static const char *const state_names[ROLLOUT_STATE_COUNT] = {"running",     "paused", "rolling_back",
                                                             "rolled_back", "done",   "waiting"};

const char *rollout_state_name(enum rollout_state state)
{
    return (unsigned)state < ROLLOUT_STATE_COUNT ? state_names[state] : "unknown";
}

bool rollout_state_from_name(const char *name, enum rollout_state *out)
{
    for (int state = 0; state < ROLLOUT_STATE_COUNT; state++)
        if (str_eq(name, state_names[state])) {
            *out = (enum rollout_state)state;
            return true;
        }
    return false;
}

bool rollout_selects(const struct rollout_spec *spec, const struct api_label *labels, size_t label_count)
{
    for (size_t s = 0; s < spec->select_count; s++) {
        bool found = false;
        for (size_t i = 0; i < label_count && !found; i++)
            found =
                str_eq(spec->select[s].key, labels[i].key) && str_eq(spec->select[s].value, labels[i].value);
        if (!found)
            return false;
    }
    return true;
}

size_t rollout_wave_size(const struct rollout_spec *spec, size_t wave, size_t robots)
{
    size_t size = 0;
    for (size_t w = 0; w <= wave && w < spec->wave_count; w++) {
        const struct rollout_wave *row = &spec->waves[w];
        double wanted = row->count > 0 ? (double)row->count : ceil(row->percent / 100 * (double)robots);
        size = MAX(size + 1, (size_t)wanted);
    }
    return MIN(size, robots);
}

static size_t plan_those(const struct rollout_spec *spec, struct fleet_robot *robots, size_t count, bool live,
                         size_t done)
{
    size_t wave = 0;
    for (size_t i = 0; i < count; i++) {
        if (robots[i].live != live)
            continue;
        while (wave < spec->wave_count && done >= rollout_wave_size(spec, wave, count))
            wave++;
        robots[i].planned = wave < spec->wave_count ? (int)wave : -1;
        done += wave < spec->wave_count;
    }
    return done;
}

void rollout_plan(const struct rollout_spec *spec, struct fleet_robot *robots, size_t count)
{
    size_t done = plan_those(spec, robots, count, true, 0);
    plan_those(spec, robots, count, false, done);
}

static bool member(const struct fleet_robot *robot)
{
    return robot->wave >= 0;
}

/* A failed robot is accounted for by the failures gate; the wave does not wait for it. */
static bool settled(const struct rollout *rollout, const struct fleet_robot *robot)
{
    if (robot->failed)
        return true;
    return robot->committed && digest_equal(&robot->running, &rollout->release) &&
           robot->evidence.frames >= (uint64_t)MAX(rollout->spec.gates.min_frames, (int64_t)0);
}

static void stop(struct rollout *next, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void stop(struct rollout *next, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(next->reason, sizeof next->reason, fmt, args);
    va_end(args);
    next->state = next->spec.pause_on_failure ? ROLLOUT_PAUSED : ROLLOUT_ROLLING_BACK;
    next->bake_started_ms = 0;
}

static bool has_plan(const struct rollout *rollout)
{
    return !digest_is_zero(&rollout->plan);
}

static bool due(const struct rollout *rollout, const struct fleet_robot *robot)
{
    return robot->planned >= 0 && (size_t)robot->planned <= rollout->wave;
}

/* How many members there are when this wave is full. */
static size_t wanted_members(const struct rollout *rollout, const struct fleet_view *view)
{
    size_t wanted = 0;
    if (!has_plan(rollout))
        return rollout_wave_size(&rollout->spec, rollout->wave, view->count);
    for (size_t i = 0; i < view->count; i++)
        wanted += member(&view->robots[i]) || due(rollout, &view->robots[i]);
    return wanted;
}

static void take_in(const struct rollout *rollout, const struct fleet_view *view, size_t wanted, bool live,
                    struct rollout_actions *out, size_t *members)
{
    for (size_t i = 0; i < view->count && *members < wanted; i++) {
        const struct fleet_robot *robot = &view->robots[i];
        if (member(robot) || robot->live != live || (has_plan(rollout) && !due(rollout, robot)))
            continue;
        out->assigns[out->assign_count++] =
            (struct rollout_assign){.robot = i, .release = rollout->release, .wave = (int)rollout->wave};
        (*members)++;
    }
}

static const struct gate_result *failed_gate(const struct rollout_actions *out)
{
    for (size_t i = 0; i < out->gate_count; i++)
        if (out->gates[i].verdict == GATE_FAIL)
            return &out->gates[i];
    return NULL;
}

/* A gate with evidence that stands on the wrong side of its limit and may still go either way. */
static const struct gate_result *open_gate(const struct rollout_actions *out)
{
    for (size_t i = 0; i < out->gate_count; i++)
        if (out->gates[i].verdict == GATE_WAITING && out->gates[i].evidence)
            return &out->gates[i];
    return NULL;
}

static const char *first_unsettled(const struct rollout *rollout, const struct fleet_view *view,
                                   size_t *out_count)
{
    const char *first = NULL;
    *out_count = 0;
    for (size_t i = 0; i < view->count; i++)
        if (member(&view->robots[i]) && !settled(rollout, &view->robots[i])) {
            first = first ? first : view->robots[i].id;
            (*out_count)++;
        }
    return first;
}

static void pass_wave(struct rollout *next, int64_t now_ms)
{
    next->bake_started_ms = 0;
    next->wave_started_ms = now_ms;
    if (next->wave + 1 < next->spec.wave_count)
        next->wave++;
    else
        next->state = ROLLOUT_DONE;
}

static void stop_at_gate(struct rollout *next, const struct gate_result *bad)
{
    stop(next, "gate %s failed in wave %s: %.4g against a limit of %.4g (%llu observations)", bad->name,
         next->spec.waves[next->wave].name, bad->value, bad->limit, (unsigned long long)bad->evidence);
}

static void wait_for(struct rollout *next, const char *why)
{
    next->state = ROLLOUT_WAITING;
    next->bake_started_ms = 0;
    str_copy(next->reason, sizeof next->reason, why);
}

/* Robots that were taken in before are still watched. */
static void decide_waiting(const struct fleet_view *view, int64_t now_ms, struct rollout_actions *out)
{
    struct rollout *next = &out->next;
    const struct gate_result *bad = failed_gate(out);
    if (bad) {
        stop_at_gate(next, bad);
    } else if (view->withheld) {
        wait_for(next, view->withheld);
    } else {
        next->state = ROLLOUT_RUNNING;
        next->wave_started_ms = now_ms;
        next->reason[0] = 0;
    }
}

static void decide_running(const struct rollout *rollout, const struct fleet_view *view, int64_t now_ms,
                           struct rollout_actions *out)
{
    struct rollout *next = &out->next;
    const struct gate_result *bad = failed_gate(out);
    if (bad) {
        stop_at_gate(next, bad);
        return;
    }
    size_t members = 0, waiting;
    for (size_t i = 0; i < view->count; i++)
        members += member(&view->robots[i]);
    size_t wanted = wanted_members(rollout, view);
    if (members < wanted && view->withheld) {
        wait_for(next, view->withheld);
        return;
    }
    if (members < wanted) {
        take_in(rollout, view, wanted, true, out, &members);
        take_in(rollout, view, wanted, false, out, &members);
        next->bake_started_ms = 0;
        return;
    }
    const char *late = first_unsettled(rollout, view, &waiting);
    if (late || !members) {
        next->bake_started_ms = 0;
        if (now_ms - rollout->wave_started_ms > rollout->spec.wave_timeout_s * 1000)
            stop(next, "wave %s did not finish within %lld s: waiting for %zu robots (%s …)",
                 rollout->spec.waves[rollout->wave].name, (long long)rollout->spec.wave_timeout_s, waiting,
                 late ? late : "none selected");
        return;
    }
    const struct gate_result *open = open_gate(out);
    if (open) {
        next->bake_started_ms = 0;
        if (now_ms - rollout->wave_started_ms > rollout->spec.wave_timeout_s * 1000)
            stop(next, "gate %s of wave %s stayed at %.4g against a limit of %.4g for %lld s", open->name,
                 rollout->spec.waves[rollout->wave].name, open->value, open->limit,
                 (long long)rollout->spec.wave_timeout_s);
        return;
    }
    if (!rollout->bake_started_ms)
        next->bake_started_ms = now_ms;
    if (now_ms - next->bake_started_ms >= rollout->spec.waves[rollout->wave].bake_s * 1000)
        pass_wave(next, now_ms);
}

/* A robot that had no release before keeps this one: "nothing" cannot be assigned, and its guard protects it.
 */
static void decide_rolling_back(const struct rollout *rollout, const struct fleet_view *view,
                                struct rollout_actions *out)
{
    size_t away = 0;
    for (size_t i = 0; i < view->count; i++) {
        const struct fleet_robot *robot = &view->robots[i];
        if (!member(robot) || digest_is_zero(&robot->before) ||
            digest_equal(&robot->before, &rollout->release))
            continue;
        bool assigned = digest_equal(&robot->target, &rollout->release);
        if (assigned)
            out->assigns[out->assign_count++] =
                (struct rollout_assign){.robot = i, .release = robot->before, .rollback = true, .wave = -1};
        away += assigned || digest_equal(&robot->running, &rollout->release);
    }
    if (!away)
        out->next.state = ROLLOUT_ROLLED_BACK;
}

int rollout_decide(const struct rollout *rollout, const struct fleet_view *view, int64_t now_ms,
                   struct rollout_actions *out, struct err *err)
{
    if (!rollout->spec.wave_count || rollout->wave >= rollout->spec.wave_count)
        return err_set(err, ERR_INVALID, "rollout %s has no wave %zu", rollout->spec.name, rollout->wave);
    out->assign_count = 0;
    out->next = *rollout;
    out->gate_count = rollout_gates(rollout, view, out->gates);
    if (rollout->state == ROLLOUT_RUNNING)
        decide_running(rollout, view, now_ms, out);
    else if (rollout->state == ROLLOUT_ROLLING_BACK)
        decide_rolling_back(rollout, view, out);
    else if (rollout->state == ROLLOUT_WAITING)
        decide_waiting(view, now_ms, out);
    const struct rollout *next = &out->next;
    out->changed = next->state != rollout->state || next->wave != rollout->wave ||
                   next->wave_started_ms != rollout->wave_started_ms ||
                   next->bake_started_ms != rollout->bake_started_ms ||
                   !str_eq(next->reason, rollout->reason);
    return 0;
}

int rollout_pause(struct rollout *rollout, const char *who, struct err *err)
{
    if (rollout->state != ROLLOUT_RUNNING && rollout->state != ROLLOUT_WAITING)
        return err_set(err, ERR_CONFLICT, "rollout %llu is %s, only a running or waiting one can be paused",
                       (unsigned long long)rollout->id, rollout_state_name(rollout->state));
    rollout->state = ROLLOUT_PAUSED;
    snprintf(rollout->reason, sizeof rollout->reason, "paused by %s", who);
    return 0;
}

int rollout_resume(struct rollout *rollout, int64_t now_ms, struct err *err)
{
    if (rollout->state != ROLLOUT_PAUSED)
        return err_set(err, ERR_CONFLICT, "rollout %llu is %s, only a paused one can be resumed",
                       (unsigned long long)rollout->id, rollout_state_name(rollout->state));
    rollout->state = ROLLOUT_RUNNING;
    rollout->wave_started_ms = now_ms;
    rollout->bake_started_ms = 0;
    rollout->reason[0] = 0;
    return 0;
}

int rollout_abort(struct rollout *rollout, const char *who, struct err *err)
{
    if (rollout->state != ROLLOUT_RUNNING && rollout->state != ROLLOUT_PAUSED &&
        rollout->state != ROLLOUT_WAITING)
        return err_set(err, ERR_CONFLICT, "rollout %llu is %s already", (unsigned long long)rollout->id,
                       rollout_state_name(rollout->state));
    rollout->state = ROLLOUT_ROLLING_BACK;
    snprintf(rollout->reason, sizeof rollout->reason, "aborted by %s", who);
    return 0;
}
