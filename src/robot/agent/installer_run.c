/* SELF_TEST, ACTIVATE and WATCH: from a release in the store to one that answers, and back if it fails. */
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "robot/agent/installer_inside.h"
#include "robot/decide/probation.h"

/* SELF_TEST */

void installer_selftest(struct installer *installer, int64_t now_ms)
{
    struct err err = {0};
    const struct agent_config *config = installer->options.config;
    const struct install_slot *candidate = &installer_state(installer)->candidate;
    if (!backoff_ready(&installer->backoff, now_ms))
        return;
    int result = 0;
    if (!installer->testing) {
        result = selftest_start(&installer->selftest, installer->options.spawn, &candidate->release,
                                now_ms + config->self_test_ms, &err);
        installer->testing = result == 0;
    } else {
        result = selftest_result(&installer->selftest, now_ms, &err);
    }
    if (result == 0)
        return;
    installer->testing = false;
    if (result > 0) {
        installer_report(installer, REPORT_SELF_TESTED, candidate, "golden cases hold");
        installer_event(installer, INSTALL_EV_SELF_TESTED);
    } else if (err.code == ERR_REFUSED) {
        installer_refuse(installer, err.text);
    } else {
        installer_try_again(installer, &err, now_ms);
    }
}

/* ACTIVATE */

void installer_activate(struct installer *installer, const struct ctl_status *status, int64_t now_ms)
{
    const struct install_slot *candidate = &installer_state(installer)->candidate;
    if (installer->switch_since_ms == 0)
        installer->switch_since_ms = now_ms;
    if (status && status->active_generation == candidate->generation) {
        installer_report(installer, REPORT_ACTIVATED, candidate, "answers as generation %llu",
                         (unsigned long long)candidate->generation);
        if (installer_state(installer)->rollback)
            installer_report(installer, REPORT_COMMITTED, candidate, "gone back to it, as ordered");
        installer_event(installer, INSTALL_EV_ACTIVATED);
        return;
    }
    char reason[ROBOT_REASON_SIZE], words[96];
    if (crew_failed_starts(installer->options.crew, candidate->generation) >= INSTALLER_MAX_TRIES) {
        crew_last_words(installer->options.crew, candidate->generation, words, sizeof words);
        snprintf(reason, sizeof reason, "its runner does not start: %s",
                 words[0] ? words : "it says nothing");
        installer_refuse(installer, reason);
    } else if (now_ms - installer->switch_since_ms >
               (INSTALLER_MAX_TRIES + 1) * installer->options.config->start_ms) {
        installer_refuse(installer, "its runner did not come up in time");
    }
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
        .elapsed_ms = MAX(by_wall, now_ms - installer->watch_since_ms),
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

void installer_watch(struct installer *installer, const struct ctl_status *status, int64_t now_ms)
{
    struct err err = {0};
    const struct agent_config *config = installer->options.config;
    const struct install_slot *current = &installer_state(installer)->current;
    if (installer->watch_since_ms == 0)
        installer->watch_since_ms = now_ms;
    if (!status)
        return;
    const struct shelf_item *item =
        shelf_get(&installer->shelf, store_layout(installer->options.store), &current->release, &err);
    if (!item) {
        roll_back(installer, err.text);
        return;
    }
    struct probation_limits limits = {
        .duration_ms = config->probation_ms,
        .min_frames = (uint64_t)config->min_frames,
        .latency_budget_ms = item->latency_budget_ms,
        .max_over_budget_share = config->max_over_budget_share,
        .max_intervention_share = item->max_intervention_share,
        .max_runner_losses = (uint32_t)config->max_runner_losses,
        .alpha = config->alpha,
    };
    struct probation_evidence seen = evidence(installer, status, item->latency_budget_ms, now_ms);
    char reason[ROBOT_REASON_SIZE];
    enum probation_verdict verdict = probation_judge(&limits, &seen, reason, sizeof reason);
    if (verdict == PROBATION_FAIL)
        roll_back(installer, reason);
    if (verdict != PROBATION_PASS)
        return;
    log_info("%s %s: committed", current->name, current->version);
    installer_report(installer, REPORT_COMMITTED, current, "probation passed: %llu frames, p99 %.1f ms",
                     (unsigned long long)seen.frames, seen.latency_p99_ms);
    installer_event(installer, INSTALL_EV_PROBATION_PASSED);
}
