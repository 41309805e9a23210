#include "robot/agent/installer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "release/image.h"
#include "robot/agent/backoff.h"
#include "robot/agent/download.h"
#include "robot/agent/selftest.h"
#include "robot/agent/shelf.h"
#include "robot/decide/probation.h"
#include "trust/keyring.h"
#include "wire/release.h"

#include <stdarg.h>
#include <sys/random.h>

enum { MAX_TRIES = 3, REDO_MS = 1000 };

struct installer {
    struct installer_options options;
    struct fetch *fetch; /* NULL: offline */
    enum install_action action;
    int64_t redo_ms; /* the action could not be carried out: again then; 0: no */
    bool tidy;       /* the store was collected since the last change */

    struct download *download;
    uint64_t bytes; /* of all tries */
    struct backoff backoff;
    unsigned tries; /* of the present action, those that count */
    struct selftest selftest;
    bool testing;
    int64_t switch_since_ms, watch_since_ms; /* monotonic; 0: not begun */
    struct shelf shelf;
    bool shelf_complained;
};

static const struct install *state_of(const struct installer *installer)
{
    return &store_state(installer->options.store)->install;
}

static uint32_t random_bits(void)
{
    uint32_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) < 0)
        bits = (uint32_t)clock_mono_ns();
    return bits;
}

__attribute__((format(printf, 4, 5))) static void report(struct installer *installer, enum report_kind kind,
                                                         const struct install_slot *slot, const char *fmt,
                                                         ...)
{
    struct api_report out = {.kind = kind, .bytes = kind == REPORT_DOWNLOADED ? installer->bytes : 0};
    if (slot) {
        out.release = slot->release;
        str_copy(out.version, sizeof out.version, slot->version);
    }
    va_list args;
    va_start(args, fmt);
    vsnprintf(out.text, sizeof out.text, fmt, args);
    va_end(args);
    installer->options.report(&out, installer->options.arg);
}

/* Steps of the machine. */

static void begin(struct installer *installer, enum install_action action)
{
    download_free(TAKE_PTR(installer->download));
    selftest_cancel(&installer->selftest);
    installer->testing = false;
    installer->action = action;
    installer->redo_ms = 0;
    installer->tries = 0;
    installer->bytes = 0;
    installer->switch_since_ms = installer->watch_since_ms = 0;
    installer->tidy = false;
    backoff_reset(&installer->backoff);
}

/* Applies an event and keeps the new state. What cannot be kept has not happened: the phase's action is
 * repeated. */
static void step(struct installer *installer, const struct install_event *event, const char *blocked_reason)
{
    struct robot_state state = *store_state(installer->options.store);
    enum install_action action;
    struct err err = {0};
    bool changed = install_step(&state.install, event, &action);
    if (blocked_reason)
        str_copy(state.blocked_reason, sizeof state.blocked_reason, blocked_reason);
    if (changed && store_save(installer->options.store, &state, &err) < 0) {
        log_error("state: %s", err.text);
        installer->redo_ms = clock_mono_ms() + REDO_MS;
        return;
    }
    if (changed || event->kind == INSTALL_EV_RESTARTED)
        begin(installer, action);
}

static void step_kind(struct installer *installer, enum install_event_kind kind)
{
    struct install_event event = {.kind = kind, .now_ms = clock_wall_ms()};
    step(installer, &event, NULL);
}

static void refuse(struct installer *installer, const char *reason)
{
    struct install_event event = {.kind = INSTALL_EV_FAILED};
    const struct install_slot slot = state_of(installer)->candidate;
    log_error("%s %s: %s", slot.name, slot.version, reason);
    report(installer, REPORT_FAILED, &slot, "%s", reason);
    step(installer, &event, reason);
}

/* A failure that may pass: MAX_TRIES times. */
static void try_again(struct installer *installer, const struct err *err, int64_t now_ms)
{
    if (++installer->tries >= MAX_TRIES) {
        refuse(installer, err->text);
        return;
    }
    log_warn("%s: %s; trying again", install_phase_name(state_of(installer)->phase), err->text);
    backoff_failed(&installer->backoff, now_ms, random_bits());
}

int installer_new(const struct installer_options *options, struct installer **out, struct err *err)
{
    struct installer *installer = mem_zalloc(1, sizeof *installer);
    if (!installer)
        return err_no_memory(err);
    installer->options = *options;
    installer->backoff = (struct backoff){.min_ms = 200, .max_ms = 5000};
    const struct install *install = state_of(installer);
    report(installer, REPORT_STARTED, &install->current, "agent started; %s",
           install->phase == INSTALL_IDLE ? "nothing under way" : install_phase_name(install->phase));
    step_kind(installer, INSTALL_EV_RESTARTED);
    *out = installer;
    return 0;
}

void installer_free(struct installer *installer)
{
    if (!installer)
        return;
    download_free(installer->download);
    selftest_cancel(&installer->selftest);
    free(installer);
}

void installer_go_online(struct installer *installer, struct fetch *fetch)
{
    if (!fetch)
        download_free(TAKE_PTR(installer->download));
    installer->fetch = fetch;
}

/* Assignments. */

static bool below_floor(const struct installer *installer, const char *version)
{
    const char *floor = store_state(installer->options.store)->floor;
    return floor[0] && version_compare(version, floor) < 0;
}

/* What an assignment means beyond its download: a probation that it ends, a release that runs already. */
static void report_meaning(struct installer *installer, const struct install *before,
                           const struct install *after, enum install_action action,
                           const struct install_slot *wanted)
{
    bool given_up = before->phase == INSTALL_PROBATION &&
                    !digest_equal(&before->current.release, &after->current.release);
    if (action == INSTALL_DO_REFUSE_OLDER)
        report(installer, REPORT_FAILED, wanted, "%s is older than %s, which runs; assign it as a rollback",
               wanted->version, before->current.version);
    if (given_up)
        report(installer, REPORT_ROLLED_BACK, &before->current,
               "given up on probation: the server wants %s %s", wanted->name, wanted->version);
    if (after->phase == INSTALL_IDLE && digest_equal(&after->current.release, &wanted->release))
        report(installer, REPORT_COMMITTED, &after->current, "%s",
               given_up ? "back to it" : "it runs already");
}

static void fill_event(const struct api_assignment *assignment, struct install_event *out)
{
    *out = (struct install_event){
        .kind = INSTALL_EV_ASSIGNED,
        .counter = assignment->counter,
        .rollback = assignment->rollback,
        .slot = {.release = assignment->release, .manifest_size = assignment->manifest_size},
    };
    str_copy(out->slot.name, sizeof out->slot.name, assignment->name);
    str_copy(out->slot.version, sizeof out->slot.version, assignment->version);
}

bool installer_assigned(struct installer *installer, const struct api_assignment *assignment)
{
    const struct install before = *state_of(installer);
    if (assignment->counter <= before.assignment_counter || digest_is_zero(&assignment->release))
        return true;
    struct install_event event;
    fill_event(assignment, &event);
    log_info("assigned %s %s%s", event.slot.name, event.slot.version, event.rollback ? " (rollback)" : "");
    report(installer, REPORT_ASSIGNED, &event.slot, "%s %s%s", event.slot.name, event.slot.version,
           event.rollback ? " (rollback)" : "");
    struct install after = before; /* what the machine will say: reports come before the state */
    enum install_action action;
    install_step(&after, &event, &action);
    report_meaning(installer, &before, &after, action, &event.slot);
    step(installer, &event, NULL);
    if (installer->action == INSTALL_DO_REFUSE_OLDER) /* said; what was under way goes on */
        step_kind(installer, INSTALL_EV_RESTARTED);
    return state_of(installer)->assignment_counter == assignment->counter;
}

/* FETCH */

static int load_keyring(const struct installer *installer, struct keyring *out, struct err *err)
{
    return keyring_load(installer->options.config->keyring, out, err);
}

static int start_download(struct installer *installer, struct err *err)
{
    const struct install_slot *candidate = &state_of(installer)->candidate;
    cleanup_free struct keyring *ring = mem_zalloc(1, sizeof *ring);
    if (!ring)
        return err_no_memory(err);
    if (load_keyring(installer, ring, err) < 0)
        return -1;
    struct download_options options = {.fetch = installer->fetch,
                                       .store = installer->options.store,
                                       .server = installer->options.config->server,
                                       .ring = ring,
                                       .rate_limit = (uint64_t)installer->options.config->rate_limit,
                                       .stall_s = (int)installer->options.config->stall_s};
    return download_new(&options, &candidate->release, candidate->manifest_size, &installer->download, err);
}

static void download_failed(struct installer *installer, const struct err *err, int64_t now_ms)
{
    bool counted = err->code == ERR_CORRUPT || err->code == ERR_TOO_BIG || err->code == ERR_CONFLICT ||
                   err->code == ERR_NOT_FOUND;
    bool passing = err->code == ERR_DENIED || (err_retryable(err->code) && err->code != ERR_NO_SPACE);
    if (counted) {
        try_again(installer, err, now_ms);
    } else if (passing) {
        log_warn("download: %s; trying again", err->text);
        backoff_failed(&installer->backoff, now_ms, random_bits());
    } else {
        refuse(installer, err->text);
    }
}

static void tick_fetch(struct installer *installer, int64_t now_ms)
{
    struct err err = {0};
    if (!installer->fetch || !backoff_ready(&installer->backoff, now_ms))
        return;
    if (!installer->download && start_download(installer, &err) < 0) {
        download_failed(installer, &err, now_ms);
        return;
    }
    enum download_state state = download_tick(installer->download, &err);
    if (state == DOWNLOAD_RUNNING)
        return;
    uint64_t moved = download_bytes(installer->download);
    installer->bytes += moved;
    download_free(TAKE_PTR(installer->download));
    if (state == DOWNLOAD_FAILED) {
        if (moved > 0 && err_retryable(err.code))
            installer->backoff.tries = 0; /* it moves */
        download_failed(installer, &err, now_ms);
        return;
    }
    const struct install_slot *candidate = &state_of(installer)->candidate;
    report(installer, REPORT_DOWNLOADED, candidate, "%llu bytes", (unsigned long long)installer->bytes);
    step_kind(installer, INSTALL_EV_FETCHED);
}

/* VERIFY */

/* What release.json says counts, not what the server says about it. */
static int check_identity(const struct installer *installer, const struct image *image, struct err *err)
{
    const struct install *install = state_of(installer);
    const struct install_slot *candidate = &install->candidate, *current = &install->current;
    const struct release *release = &image->release;
    if (image->size != candidate->manifest_size)
        return err_set(err, ERR_CORRUPT, "the manifest has %llu bytes, the assignment says %llu",
                       (unsigned long long)image->size, (unsigned long long)candidate->manifest_size);
    if (!str_eq(release->version, candidate->version) || !str_eq(release->name, candidate->name))
        return err_set(err, ERR_REFUSED, "assigned as %s %s, but it is %s %s", candidate->name,
                       candidate->version, release->name, release->version);
    if (below_floor(installer, release->version))
        return err_set(err, ERR_REFUSED, "%s is older than %s, below which this robot never goes",
                       release->version, store_state(installer->options.store)->floor);
    if (!install->rollback && !digest_is_zero(&current->release) &&
        version_compare(release->version, current->version) < 0)
        return err_set(err, ERR_REFUSED, "%s is older than %s, which runs; assign it as a rollback",
                       release->version, current->version);
    return 0;
}

static int verify(const struct installer *installer, struct image *image, struct err *err)
{
    const struct install_slot *candidate = &state_of(installer)->candidate;
    cleanup_free struct keyring *ring = mem_zalloc(1, sizeof *ring);
    if (!ring)
        return err_no_memory(err);
    if (load_keyring(installer, ring, err) < 0 ||
        image_open(store_layout(installer->options.store), &candidate->release, image, err) < 0)
        return -1;
    if (image_verify(image, ring, installer->options.config->machine, err) < 0)
        return -1;
    return check_identity(installer, image, err);
}

static void do_verify(struct installer *installer, int64_t now_ms)
{
    struct err err = {0};
    struct image *image = mem_zalloc(1, sizeof *image);
    if (!image || !backoff_ready(&installer->backoff, now_ms)) {
        free(image);
        return;
    }
    if (verify(installer, image, &err) < 0) {
        if (err_retryable(err.code))
            try_again(installer, &err, now_ms);
        else
            refuse(installer, err.text);
    } else {
        struct install_event event = {.kind = INSTALL_EV_VERIFIED};
        str_copy(event.slot.name, sizeof event.slot.name, image->release.name);
        str_copy(event.slot.version, sizeof event.slot.version, image->release.version);
        report(installer, REPORT_VERIFIED, &state_of(installer)->candidate,
               "signature, blobs and model hold");
        step(installer, &event, NULL);
    }
    image_close(image);
    free(image);
}

/* SELF_TEST */

static void tick_selftest(struct installer *installer, int64_t now_ms)
{
    struct err err = {0};
    const struct agent_config *config = installer->options.config;
    const struct install_slot *candidate = &state_of(installer)->candidate;
    if (!backoff_ready(&installer->backoff, now_ms))
        return;
    int result = 0;
    if (!installer->testing) {
        result = selftest_start(&installer->selftest, config->runner, store_layout(installer->options.store),
                                config->run_dir, &candidate->release, now_ms + config->self_test_ms, &err);
        installer->testing = result == 0;
    } else {
        result = selftest_result(&installer->selftest, now_ms, &err);
    }
    if (result == 0)
        return;
    installer->testing = false;
    if (result > 0) {
        report(installer, REPORT_SELF_TESTED, candidate, "golden cases hold");
        step_kind(installer, INSTALL_EV_SELF_TESTED);
    } else if (err.code == ERR_REFUSED) {
        refuse(installer, err.text);
    } else {
        try_again(installer, &err, now_ms);
    }
}

/* ACTIVATE */

static void tick_activate(struct installer *installer, const struct ctl_status *status, int64_t now_ms)
{
    const struct install_slot *candidate = &state_of(installer)->candidate;
    if (installer->switch_since_ms == 0)
        installer->switch_since_ms = now_ms;
    if (status && status->active_generation == candidate->generation) {
        report(installer, REPORT_ACTIVATED, candidate, "answers as generation %llu",
               (unsigned long long)candidate->generation);
        if (state_of(installer)->rollback)
            report(installer, REPORT_COMMITTED, candidate, "gone back to it, as ordered");
        step_kind(installer, INSTALL_EV_ACTIVATED);
        return;
    }
    char reason[ROBOT_REASON_SIZE], words[96];
    if (crew_failed_starts(installer->options.crew, candidate->generation) >= MAX_TRIES) {
        crew_last_words(installer->options.crew, candidate->generation, words, sizeof words);
        snprintf(reason, sizeof reason, "its runner does not start: %s",
                 words[0] ? words : "it says nothing");
        refuse(installer, reason);
    } else if (now_ms - installer->switch_since_ms > (MAX_TRIES + 1) * installer->options.config->start_ms) {
        refuse(installer, "its runner did not come up in time");
    }
}

/* WATCH */

static struct probation_evidence evidence(struct installer *installer, const struct ctl_status *status,
                                          double budget_ms, int64_t now_ms)
{
    const struct install *install = state_of(installer);
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
    const struct install install = *state_of(installer);
    log_error("%s %s: %s: rolled back", install.current.name, install.current.version, reason);
    report(installer, REPORT_ROLLED_BACK, &install.current, "%s", reason);
    step(installer, &event, reason);
}

static void watch(struct installer *installer, const struct ctl_status *status, int64_t now_ms)
{
    struct err err = {0};
    const struct agent_config *config = installer->options.config;
    const struct install_slot *current = &state_of(installer)->current;
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
    report(installer, REPORT_COMMITTED, current, "probation passed: %llu frames, p99 %.1f ms",
           (unsigned long long)seen.frames, seen.latency_p99_ms);
    step_kind(installer, INSTALL_EV_PROBATION_PASSED);
}

/* NOTHING */

/* Once after each change, when no release is on its way any more. */
static void tidy_up(struct installer *installer)
{
    struct err err = {0};
    uint64_t bytes = 0;
    if (installer->tidy)
        return;
    installer->tidy = true;
    if (store_collect(installer->options.store, &bytes, &err) < 0)
        log_warn("collection: %s", err.text);
    else if (bytes > 0)
        log_info("collection: %llu KiB freed", (unsigned long long)(bytes >> 10));
}

void installer_tick(struct installer *installer, const struct ctl_status *status, bool fresh, int64_t now_ms)
{
    if (installer->redo_ms) {
        if (now_ms < installer->redo_ms)
            return;
        installer->redo_ms = 0;
        step_kind(installer, INSTALL_EV_RESTARTED);
    }
    switch (installer->action) {
    case INSTALL_DO_FETCH:
        tick_fetch(installer, now_ms);
        break;
    case INSTALL_DO_VERIFY:
        do_verify(installer, now_ms);
        break;
    case INSTALL_DO_SELF_TEST:
        tick_selftest(installer, now_ms);
        break;
    case INSTALL_DO_ACTIVATE:
        tick_activate(installer, status, now_ms);
        break;
    case INSTALL_DO_WATCH:
        if (fresh)
            watch(installer, status, now_ms);
        break;
    case INSTALL_DO_NOTHING:
    case INSTALL_DO_REFUSE_OLDER:
        tidy_up(installer);
        break;
    }
}

int64_t installer_next_ms(const struct installer *installer)
{
    if (installer->redo_ms)
        return installer->redo_ms;
    if (installer->action == INSTALL_DO_FETCH)
        return !installer->fetch ||
                       (installer->download && backoff_ready(&installer->backoff, clock_mono_ms()))
                   ? INT64_MAX
                   : installer->backoff.until_ms;
    if (installer->action == INSTALL_DO_SELF_TEST && installer->testing)
        return installer->selftest.until_ms;
    if (installer->action == INSTALL_DO_VERIFY || installer->action == INSTALL_DO_SELF_TEST)
        return installer->backoff.until_ms;
    if (installer->action == INSTALL_DO_NOTHING && !installer->tidy)
        return 0;
    return INT64_MAX; /* the guard's next answer is soon enough */
}

bool installer_reaped(struct installer *installer, pid_t pid, int status)
{
    return selftest_reaped(&installer->selftest, pid, status);
}

/* Wanted. */

static void want(struct installer *installer, const struct install_slot *slot, struct wanted *out)
{
    struct err err = {0};
    if (digest_is_zero(&slot->release) || slot->generation == 0)
        return;
    for (size_t i = 0; i < out->count; i++)
        if (out->items[i].generation == slot->generation)
            return;
    const struct shelf_item *item =
        shelf_get(&installer->shelf, store_layout(installer->options.store), &slot->release, &err);
    if (!item) {
        if (!installer->shelf_complained)
            log_error("%s %s cannot be read from the store: %s", slot->name, slot->version, err.text);
        installer->shelf_complained = true;
        return;
    }
    tally_name(installer->options.tally, &slot->release, item->version);
    out->items[out->count++] = (struct wanted_item){
        .generation = slot->generation, .release = slot->release, .limits = item->limits};
}

void installer_wanted(struct installer *installer, struct wanted *out)
{
    const struct install *install = state_of(installer);
    out->count = 0;
    if (install->phase == INSTALL_ACTIVATE)
        want(installer, &install->candidate, out);
    want(installer, &install->current, out);
    if (!installer->options.config->no_fallback)
        want(installer, &install->previous, out);
}

bool installer_hurries(const struct installer *installer, const struct ctl_status *status)
{
    const struct install *install = state_of(installer);
    if (install->phase == INSTALL_ACTIVATE)
        return true;
    return status && install->current.generation != 0 &&
           status->active_generation != install->current.generation;
}
