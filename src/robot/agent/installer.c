#include "robot/agent/installer_inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "release/image.h"

#include <stdarg.h>
#include <sys/random.h>

const struct install *installer_state(const struct installer *installer)
{
    return &store_state(installer->options.store)->install;
}

uint32_t installer_random(void)
{
    uint32_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) < 0)
        bits = (uint32_t)clock_mono_ns();
    return bits;
}

static bool said_already(struct installer *installer, const struct api_report *report)
{
    for (size_t i = 0; i < installer->said_count; i++)
        if (installer->said[i].kind == report->kind &&
            digest_equal(&installer->said[i].release, &report->release))
            return true;
    if (installer->said_count < INSTALLER_MAX_SAID)
        installer->said[installer->said_count++] =
            (struct installer_said){.kind = report->kind, .release = report->release};
    return false;
}

/* What the release computes on, in every report that names one whose runner is there. */
static void add_backend(const struct installer *installer, struct api_report *report)
{
    char backend[96];
    crew_backend(installer->options.crew, &report->release, backend, sizeof backend);
    size_t len = strlen(report->text);
    if (backend[0])
        snprintf(report->text + len, sizeof report->text - len, " [%s]", backend);
}

__attribute__((format(printf, 4, 5))) bool installer_report(struct installer *installer,
                                                            enum report_kind kind,
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
    if (said_already(installer, &out))
        return false;
    if (slot)
        add_backend(installer, &out);
    installer->options.report(&out, installer->options.arg);
    return true;
}

/* Steps of the machine. */

static void begin(struct installer *installer, enum install_action action)
{
    download_free(TAKE_PTR(installer->download));
    chore_cancel(&installer->verifying);
    installer->room_made = false;
    installer->compared = 0;
    installer->compared_ms = 0;
    installer->waits_for_human = installer->waits_for_occasion = false;
    installer->action = action;
    installer->redo_ms = 0;
    installer->tries = 0;
    installer->bytes = 0;
    installer->step_since_ms = installer->paused_ms = 0;
    installer->idle_since_ms = clock_mono_ms();
    installer->tidy = false;
    backoff_reset(&installer->backoff);
    crew_look_now(installer->options.crew);
}

static void keep_admitted(struct robot_trust *trust, const struct admitted *admitted)
{
    trust->admitted = admitted->release;
    trust->rollback = admitted->rollback;
    if (admitted->floor[0] && !robot_trust_raise_floor(trust, admitted->name, admitted->floor))
        log_error("state: no place for the floor of %s; %d names have one", admitted->name, ROBOT_MAX_FLOORS);
}

/* Applies an event and keeps the new state. What cannot be kept has not happened: the phase's action is
 * repeated. */
void installer_step(struct installer *installer, const struct install_event *event,
                    const char *blocked_reason)
{
    struct robot_state state = *store_state(installer->options.store);
    enum install_action action;
    struct err err = {0};
    bool changed = install_step(&state.install, event, &action);
    if (blocked_reason)
        str_copy(state.blocked_reason, sizeof state.blocked_reason, blocked_reason);
    if (installer->admitted)
        keep_admitted(&state.trust, installer->admitted);
    if (changed && store_save(installer->options.store, &state, &err) < 0) {
        if (!installer->unsaved)
            log_error("state: %s", err.text);
        installer->unsaved = true;
        installer->redo_ms = clock_mono_ms() + INSTALLER_REDO_MS;
        return;
    }
    if (changed) {
        installer->unsaved = false;
        installer->said_count = 0;
    }
    if (changed || event->kind == INSTALL_EV_RESTARTED)
        begin(installer, action);
}

void installer_event(struct installer *installer, enum install_event_kind kind)
{
    struct install_event event = {.kind = kind, .now_ms = clock_wall_ms()};
    installer_step(installer, &event, NULL);
}

void installer_refuse(struct installer *installer, const char *reason)
{
    struct install_event event = {.kind = INSTALL_EV_FAILED};
    const struct install_slot slot = installer_state(installer)->candidate;
    if (installer_report(installer, REPORT_FAILED, &slot, "%s", reason))
        log_error("%s %s: %s", slot.name, slot.version, reason);
    installer_step(installer, &event, reason);
}

/* A failure that may pass: INSTALLER_MAX_TRIES times. */
void installer_try_again(struct installer *installer, const struct err *err, int64_t now_ms)
{
    if (++installer->tries >= INSTALLER_MAX_TRIES) {
        installer_refuse(installer, err->text);
        return;
    }
    log_warn("%s: %s; trying again", install_phase_name(installer_state(installer)->phase), err->text);
    backoff_failed(&installer->backoff, now_ms, installer_random());
}

int installer_new(const struct installer_options *options, struct installer **out, struct err *err)
{
    struct installer *installer = mem_zalloc(1, sizeof *installer);
    if (!installer)
        return err_no_memory(err);
    installer->options = *options;
    installer->backoff = (struct backoff){.min_ms = 200, .max_ms = 5000};
    const struct install *install = installer_state(installer);
    installer_report(
        installer, REPORT_STARTED, &install->current, "agent started; isolation: %s; %s", options->isolation,
        install->phase == INSTALL_IDLE ? "nothing under way" : install_phase_name(install->phase));
    installer_event(installer, INSTALL_EV_RESTARTED);
    *out = installer;
    return 0;
}

void installer_free(struct installer *installer)
{
    if (!installer)
        return;
    download_free(installer->download);
    chore_cancel(&installer->verifying);
    free(installer);
}

void installer_go_online(struct installer *installer, struct fetch *fetch)
{
    if (!fetch)
        download_free(TAKE_PTR(installer->download));
    installer->fetch = fetch;
}

/* Admitted releases. */

/* What an assignment means beyond its download: a probation that it ends, a release that runs already. */
static void report_meaning(struct installer *installer, const struct install *before,
                           const struct install *after, enum install_action action,
                           const struct install_slot *wanted)
{
    bool given_up = before->phase == INSTALL_PROBATION &&
                    !digest_equal(&before->current.release, &after->current.release);
    if (action == INSTALL_DO_REFUSE_OLDER)
        installer_report(installer, REPORT_FAILED, wanted,
                         "%s is older than %s, which runs; assign it as a rollback", wanted->version,
                         before->current.version);
    if (given_up)
        installer_report(installer, REPORT_ROLLED_BACK, &before->current,
                         "given up on probation: the server wants %s %s", wanted->name, wanted->version);
    if (after->phase == INSTALL_IDLE && digest_equal(&after->current.release, &wanted->release))
        installer_report(installer, REPORT_COMMITTED, &after->current, "%s",
                         given_up ? "back to it" : "it runs already");
}

/* The install machine counts what it is given by itself; the director's count is kept by director.h. */
static void fill_event(const struct admitted *admitted, uint64_t counter, struct install_event *out)
{
    *out = (struct install_event){
        .kind = INSTALL_EV_ASSIGNED,
        .counter = counter,
        .rollback = admitted->rollback,
        .slot = {.release = admitted->release, .manifest_size = admitted->manifest_size},
    };
    str_copy(out->slot.name, sizeof out->slot.name, admitted->name);
    str_copy(out->slot.version, sizeof out->slot.version, admitted->version);
}

static bool take(struct installer *installer, const struct admitted *admitted)
{
    const struct install before = *installer_state(installer);
    struct install_event event;
    fill_event(admitted, before.assignment_counter + 1, &event);
    const char *how = event.rollback ? " (rollback)" : "";
    if (installer_report(installer, REPORT_ASSIGNED, &event.slot, "%s %s%s", event.slot.name,
                         event.slot.version, how))
        log_info("assigned %s %s%s", event.slot.name, event.slot.version, how);
    struct install after = before; /* what the machine will say: reports come before the state */
    enum install_action action;
    install_step(&after, &event, &action);
    report_meaning(installer, &before, &after, action, &event.slot);
    installer_step(installer, &event, NULL);
    if (installer->action == INSTALL_DO_REFUSE_OLDER) /* said; what was under way goes on */
        installer_event(installer, INSTALL_EV_RESTARTED);
    return installer_state(installer)->assignment_counter == event.counter;
}

bool installer_admitted(struct installer *installer, const struct admitted *admitted)
{
    const struct robot_trust *trust = &store_state(installer->options.store)->trust;
    if (digest_equal(&trust->admitted, &admitted->release) && trust->rollback == admitted->rollback)
        return true;
    installer->admitted = admitted;
    bool kept = take(installer, admitted);
    installer->admitted = NULL;
    return kept;
}

/* NOTHING */

/* Once after each change, when no release is on its way any more. */
static void tidy_up(struct installer *installer)
{
    struct err err = {0};
    uint64_t bytes = 0;
    if (installer->tidy || !installer->looked)
        return;
    installer->tidy = true;
    if (store_collect(installer->options.store, &bytes, &err) < 0)
        log_warn("collection: %s", err.text);
    else if (bytes > 0)
        log_info("collection: %llu KiB freed", (unsigned long long)(bytes >> 10));
}

static bool changes_model(enum install_action action)
{
    return action == INSTALL_DO_SELF_TEST || action == INSTALL_DO_SHADOW || action == INSTALL_DO_ACTIVATE;
}

void installer_tick(struct installer *installer, const struct ctl_status *status, bool fresh, int64_t now_ms)
{
    if (installer->options.occasion && !changes_model(installer->action))
        occasion_over(installer->options.occasion);
    if (status && !installer->looked)
        installer_take_over(installer, status);
    if (installer->redo_ms) {
        if (now_ms < installer->redo_ms)
            return;
        installer->redo_ms = 0;
        installer_event(installer, INSTALL_EV_RESTARTED);
    }
    switch (installer->action) {
    case INSTALL_DO_FETCH:
        installer_fetch(installer, now_ms);
        break;
    case INSTALL_DO_VERIFY:
        installer_verify(installer, now_ms);
        break;
    case INSTALL_DO_SELF_TEST:
        installer_selftest(installer, status, now_ms);
        break;
    case INSTALL_DO_SHADOW:
        installer_shadow(installer, status, now_ms);
        break;
    case INSTALL_DO_ACTIVATE:
        installer_activate(installer, status, now_ms);
        break;
    case INSTALL_DO_WATCH:
        if (fresh)
            installer_watch(installer, status, now_ms);
        break;
    case INSTALL_DO_NOTHING:
    case INSTALL_DO_REFUSE_OLDER:
        tidy_up(installer);
        installer_hold(installer, now_ms);
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
    if (installer->action == INSTALL_DO_VERIFY)
        return installer->verifying.pid ? INT64_MAX : installer->backoff.until_ms; /* its end is a signal */
    if (installer->action == INSTALL_DO_NOTHING && !installer->tidy && installer->looked)
        return 0;
    return INT64_MAX; /* the guard's next answer is soon enough */
}

/* What cannot be loaded is not gone back to: the release that is to go would stay where it is. */
static int can_go_back(struct installer *installer, const struct install_slot *previous, struct err *err)
{
    if (install_previous_hot(installer_state(installer)) &&
        installer_shelf(installer, &previous->release, err))
        return 0;
    cleanup_free struct image *image = mem_zalloc(1, sizeof *image);
    if (!image)
        return err_no_memory(err);
    *err = (struct err){0};
    if (image_open(store_layout(installer->options.store), &previous->release, image, err) < 0)
        return err_prefix(err, "%s %s cannot be read from the store", previous->name, previous->version);
    image_close(image);
    return 0;
}

int installer_roll_back(struct installer *installer, const char *who, struct err *err)
{
    struct install_event event = {.kind = INSTALL_EV_ROLL_BACK};
    const struct install before = *installer_state(installer);
    if (digest_is_zero(&before.previous.release))
        return err_set(err, ERR_NOT_FOUND, "no release is known to go back to: assign one as a rollback");
    if (can_go_back(installer, &before.previous, err) < 0)
        return -1;
    char reason[ROBOT_REASON_SIZE];
    snprintf(reason, sizeof reason, "rolled back by %s", who);
    installer_report(installer, REPORT_ROLLED_BACK, &before.current, "%s", reason);
    installer_step(installer, &event, reason);
    if (installer->unsaved)
        return err_set(err, ERR_BUSY, "the state cannot be kept now (disk full?): say it again");
    log_warn("%s %s: %s", before.current.name, before.current.version, reason);
    installer_report(installer, REPORT_COMMITTED, &before.previous, "gone back to it");
    return 0;
}

/* Wanted. */

const struct shelf_item *installer_shelf(struct installer *installer, const struct digest *release,
                                         struct err *err)
{
    return shelf_get(&installer->shelf, store_layout(installer->options.store), release, err);
}

/* False: its release cannot be read from the store. */
static bool want(struct installer *installer, const struct install_slot *slot, struct wanted *out)
{
    struct err err = {0};
    if (digest_is_zero(&slot->release) || slot->generation == 0)
        return true;
    for (size_t i = 0; i < out->count; i++)
        if (out->items[i].generation == slot->generation)
            return true;
    const struct shelf_item *item = installer_shelf(installer, &slot->release, &err);
    if (!item) {
        if (!installer->shelf_complained)
            log_error("%s %s cannot be read from the store: %s", slot->name, slot->version, err.text);
        installer->shelf_complained = true;
        return false;
    }
    tally_name(installer->options.tally, &slot->release, item->version);
    out->items[out->count++] = (struct wanted_item){
        .generation = slot->generation,
        .release = slot->release,
        .limits = item->limits,
        .alone = installer_state(installer)->gap,
    };
    return true;
}

/* The candidate before it may answer: loaded as soon as there is room, then a shadow. */
static void want_standby(struct installer *installer, struct wanted *out)
{
    struct err ignored = {0};
    const struct install *install = installer_state(installer);
    size_t before = out->count;
    if (!want(installer, &install->candidate, out) || out->count == before)
        return;
    struct wanted_item *item = &out->items[before];
    const struct shelf_item *release = installer_shelf(installer, &install->candidate.release, &ignored);
    item->standby = true;
    item->patient = install->phase == INSTALL_SELF_TEST && !installer->room_made;
    if (install->phase == INSTALL_SHADOW && !install->gap && release)
        item->shadow = (uint32_t)release->shadow_frames;
}

static void want_active(struct installer *installer, struct wanted *out)
{
    struct err ignored = {0};
    const struct install *install = installer_state(installer);
    if (!want(installer, &install->candidate, out) || out->count == 0)
        return;
    const struct shelf_item *release = installer_shelf(installer, &install->candidate.release, &ignored);
    out->items[0].at_sequence_end = !install->rollback && release && release->at_sequence_end;
}

/* A current release that cannot be read now is no reason to stop the runner that holds it in its memory. Nor
 * is an empty state, before a look at what runs. */
void installer_wanted(struct installer *installer, struct wanted *out)
{
    const struct install *install = installer_state(installer);
    const bool installing = install->phase >= INSTALL_SELF_TEST && install->phase <= INSTALL_ACTIVATE;
    out->count = 0;
    out->unknown = false;
    if (install->phase == INSTALL_ACTIVATE)
        want_active(installer, out);
    if (!(installing && install->gap))
        out->unknown = !want(installer, &install->current, out);
    out->unknown |= !installer->looked && digest_is_zero(&install->current.release);
    if (!installer->options.config->no_fallback && install_previous_hot(install))
        want(installer, &install->previous, out);
    if (installing && install->phase != INSTALL_ACTIVATE)
        want_standby(installer, out);
}

bool installer_hurries(const struct installer *installer, const struct ctl_status *status)
{
    const struct install *install = installer_state(installer);
    if (install->phase >= INSTALL_SELF_TEST && install->phase <= INSTALL_ACTIVATE)
        return true;
    return status && install->current.generation != 0 &&
           status->active_generation != install->current.generation;
}
