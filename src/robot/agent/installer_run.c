/* SHADOW, ACTIVATE and WATCH: from a release that is loaded to one that answers, and back if it fails; and the hold
 * time of the one before. */
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "robot/agent/installer_inside.h"
#include "robot/decide/probation.h"
#include "robot/decide/shadow.h"

enum { SHADOW_TOTAL_MS = 600000, PAUSE_KEPT_MS = 10000 };

const struct ctl_runner_status *installer_runner(const struct ctl_status *status, uint64_t generation)
{
    for (size_t i = 0; generation && i < CTL_MAX_RUNNERS; i++)
        if (status->runners[i].generation == generation)
            return &status->runners[i];
    return NULL;
}

/* SHADOW */

static struct shadow_evidence shadow_evidence(struct installer *installer, const struct ctl_status *status,
                                              int64_t now_ms)
{
    const struct install *install = installer_state(installer);
    const struct ctl_runner_status *runner = installer_runner(status, install->candidate.generation);
    struct shadow_evidence seen = {.alone = install->gap || digest_is_zero(&install->current.release)};
    if (installer->step_since_ms == 0) {
        installer->step_since_ms = installer->compared_ms = now_ms;
        installer->losses = runner ? runner->restarts : 0;
    }
    if (runner) {
        seen.compared = runner->shadow_frames;
        seen.agreed = runner->shadow_agreed;
        seen.unsound = runner->shadow_failed;
        seen.runner_losses = runner->restarts - MIN(runner->restarts, installer->losses);
    }
    if (seen.compared != installer->compared) {
        installer->compared = seen.compared;
        installer->compared_ms = now_ms;
    }
    seen.elapsed_ms = now_ms - installer->step_since_ms;
    seen.idle_ms = now_ms - installer->compared_ms;
    return seen;
}

void installer_shadow(struct installer *installer, const struct ctl_status *status, int64_t now_ms)
{
    struct err err = {0};
    char reason[ROBOT_REASON_SIZE];
    const struct install_slot *candidate = &installer_state(installer)->candidate;
    const struct agent_config *config = installer->options.config;
    const struct shelf_item *item = installer_shelf(installer, &candidate->release, &err);
    if (!item) {
        installer_refuse(installer, err.text);
        return;
    }
    if (!status || installer_runner_failed(installer, candidate->generation))
        return;
    struct shadow_limits limits = {.frames = (uint64_t)item->shadow_frames,
                                   .min_agreement = item->min_agreement,
                                   .wait_ms = config->shadow_wait_ms,
                                   .total_ms = MAX(SHADOW_TOTAL_MS, config->shadow_wait_ms),
                                   .max_runner_losses = (uint32_t)config->max_runner_losses};
    struct shadow_evidence seen = shadow_evidence(installer, status, now_ms);
    enum shadow_verdict verdict = shadow_judge(&limits, &seen, reason, sizeof reason);
    if (verdict == SHADOW_FAIL) {
        installer_refuse(installer, reason);
    } else if (verdict != SHADOW_WAIT) {
        if (reason[0] && installer_report(installer, REPORT_SHADOWED, candidate, "%s", reason))
            log_info("%s %s: %s", candidate->name, candidate->version, reason);
        installer_event(installer, INSTALL_EV_SHADOWED);
    }
}

/* ACTIVATE */

static void report_activated(struct installer *installer, const struct install_slot *candidate)
{
    installer_report(installer, REPORT_ACTIVATED, candidate, "answers as generation %llu",
                     (unsigned long long)candidate->generation);
    if (installer_state(installer)->rollback)
        installer_report(installer, REPORT_COMMITTED, candidate, "gone back to it, as ordered");
}

void installer_activate(struct installer *installer, const struct ctl_status *status, int64_t now_ms)
{
    const struct install_slot *candidate = &installer_state(installer)->candidate;
    const struct agent_config *config = installer->options.config;
    int64_t patience_ms =
        CTL_SEQUENCE_WAIT_MS + INSTALLER_MAX_TRIES * (config->start_ms + config->self_test_ms);
    bool forced = status && status->state == GUARD_FORCED;
    if (installer->step_since_ms == 0 || forced)
        installer->step_since_ms = now_ms;
    if (status && status->active_generation == candidate->generation) {
        report_activated(installer, candidate);
        installer_event(installer, INSTALL_EV_ACTIVATED);
        return;
    }
    if (forced && !installer->waits_for_human) {
        installer_report(installer, REPORT_GUARD, candidate,
                         "ready, but waits: a human has the fallback release answer");
        installer->waits_for_human = true;
    }
    if (!installer_runner_failed(installer, candidate->generation) &&
        now_ms - installer->step_since_ms > patience_ms)
        installer_refuse(installer, "its runner did not come up in time");
}

/* WATCH */

static struct probation_evidence evidence(struct installer *installer, const struct ctl_status *status,
                                          double budget_ms, int64_t now_ms)
{
    const struct install *install = installer_state(installer);
    uint64_t generation = install->current.generation;
    struct tally_total total = tally_total(installer->options.tally, generation, budget_ms);
    int64_t by_wall = clock_wall_ms() - install->probation_since_ms; /* spans restarts; may step */
    return (struct probation_evidence){
        .elapsed_ms = MAX(by_wall, now_ms - installer->step_since_ms),
        .program_attached = status->client_connected != 0,
        .frames = total.frames,
        .inferences = total.inferences,
        .over_budget = total.over_budget,
        .interventions = total.interventions,
        .runner_losses = total.runner_losses + crew_failed_starts(installer->options.crew, generation),
        .latency_p99_ms = total.latency_p99_ms,
    };
}

static void roll_back(struct installer *installer, const char *reason)
{
    struct install_event event = {.kind = INSTALL_EV_PROBATION_FAILED};
    const struct install install = *installer_state(installer);
    if (installer_report(installer, REPORT_ROLLED_BACK, &install.current, "%s", reason))
        log_error("%s %s: %s: rolled back", install.current.name, install.current.version, reason);
    installer_step(installer, &event, reason);
}

/* A human or a latch stands above the model: what the robot does is not the release's doing. */
static bool human_stands(const struct ctl_status *status)
{
    return status->state >= GUARD_FORCED && status->state < GUARD_STATE_COUNT;
}

/* Time that does not count: kept now and then, and when it is over. */
static void keep_pause(struct installer *installer, int64_t now_ms)
{
    struct install_event event = {.kind = INSTALL_EV_PROBATION_PAUSED,
                                  .pause_ms = now_ms - installer->paused_ms};
    const int64_t since_ms = installer->step_since_ms + event.pause_ms;
    installer_step(installer, &event, NULL);
    if (!installer->paused_ms) /* kept */
        installer->step_since_ms = since_ms;
}

/* True while the probation stands still. */
static bool pause_probation(struct installer *installer, const struct ctl_status *status, int64_t now_ms)
{
    bool stands = human_stands(status);
    if (!installer->paused_ms && !stands)
        return false;
    if (installer->paused_ms && (!stands || now_ms - installer->paused_ms > PAUSE_KEPT_MS))
        keep_pause(installer, now_ms); /* clears paused_ms */
    if (stands && !installer->paused_ms)
        installer->paused_ms = now_ms;
    return stands;
}

static struct probation_limits limits_of(const struct agent_config *config, const struct shelf_item *item)
{
    return (struct probation_limits){
        .duration_ms = config->probation_ms,
        .min_frames = (uint64_t)config->min_frames,
        .latency_budget_ms = item->latency_budget_ms,
        .max_over_budget_share = config->max_over_budget_share,
        .max_intervention_share = item->max_intervention_share,
        .max_runner_losses = (uint32_t)config->max_runner_losses,
        .alpha = config->alpha,
    };
}

static void commit(struct installer *installer, const struct probation_evidence *seen)
{
    const struct install_slot *current = &installer_state(installer)->current;
    log_info("%s %s: committed", current->name, current->version);
    installer_report(installer, REPORT_COMMITTED, current, "probation passed: %llu frames, p99 %.1f ms",
                     (unsigned long long)seen->frames, seen->latency_p99_ms);
    installer_event(installer, INSTALL_EV_PROBATION_PASSED);
}

/* Frames under a human are counted for nobody, so what was counted may be judged under him too; but nothing passes
 * then, and a fallback that he wants is not exchanged. */
void installer_watch(struct installer *installer, const struct ctl_status *status, int64_t now_ms)
{
    struct err err = {0};
    const struct install_slot *current = &installer_state(installer)->current;
    if (installer->step_since_ms == 0)
        installer->step_since_ms = now_ms;
    if (!status)
        return;
    bool paused = pause_probation(installer, status, now_ms);
    const struct shelf_item *item = installer_shelf(installer, &current->release, &err);
    if (status->state == GUARD_FORCED)
        return;
    if (!item) {
        roll_back(installer, err.text);
        return;
    }
    const struct probation_limits limits = limits_of(installer->options.config, item);
    struct probation_evidence seen = evidence(installer, status, item->latency_budget_ms, now_ms);
    char reason[ROBOT_REASON_SIZE];
    enum probation_verdict verdict = probation_judge(&limits, &seen, reason, sizeof reason);
    if (verdict == PROBATION_FAIL)
        roll_back(installer, reason);
    else if (verdict == PROBATION_PASS && !paused)
        commit(installer, &seen);
}

/* After the commit */

void installer_hold(struct installer *installer, int64_t now_ms)
{
    struct err ignored = {0};
    const struct install *install = installer_state(installer);
    if (!install_previous_hot(install) || digest_is_zero(&install->current.release))
        return;
    const struct shelf_item *item = installer_shelf(installer, &install->current.release, &ignored);
    int64_t by_wall = clock_wall_ms() - install->committed_ms; /* spans restarts; may step */
    int64_t held_ms = MAX(by_wall, now_ms - installer->idle_since_ms);
    if (!item || item->hold_s == 0 || held_ms < item->hold_s * 1000ll)
        return;
    log_info("%s %s is not kept hot any more", install->previous.name, install->previous.version);
    installer_event(installer, INSTALL_EV_HOLD_OVER);
}
