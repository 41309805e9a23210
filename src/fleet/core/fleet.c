#include "fleet/core/fleet.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "fleet/authority/authority.h"
#include "fleet/core/numbers.h"
#include "sys/file.h"
#include "trust/incident.h"
#include "wire/sample.h"

#include <event2/event.h>
#include <stdarg.h>

enum { FLUSH_PERIOD_S = 5, KEEP_EVENTS = 100000, PRUNE_EVERY = 120 /* flushes */ };
enum { DEFAULT_CERTIFICATE_S = 24 * 3600 };
enum { EXPIRE_BATCH = 256, ANSWER_GRACE_MS = 30000, KEEP_RENEWALS_MS = 3600000 };
static const int64_t KEEP_COMMANDS_MS = 90 * 86400000LL; /* what they did stays in the audit log */

char *fleet_path(const struct fleet *fleet, const char *name)
{
    return file_join(fleet->dir, name);
}

struct flush {
    struct fleet *fleet;
    int rc;
    struct err *err;
};

static void flush_one(struct roster_entry *entry, void *arg)
{
    struct flush *flush = arg;
    if (!entry->dirty || flush->rc < 0)
        return;
    struct store *store = flush->fleet->store;
    flush->rc = store->ops->robot_seen(store, entry->id, entry->seen_ms, flush->err);
    entry->dirty = flush->rc < 0;
}

/* Commands that nobody will carry out any more. A robot that got one may have answered in its last moment: its word is waited
 * for. */
struct overdue {
    struct fleet *fleet;
    size_t count;
    struct command_robot_row rows[EXPIRE_BATCH];
};

static int note_overdue(const struct command_robot_row *row, void *arg)
{
    struct overdue *overdue = arg;
    if (row->state == COMMAND_QUEUED || clock_wall_ms() > row->expires_ms + ANSWER_GRACE_MS)
        overdue->rows[overdue->count++] = *row;
    return overdue->count == EXPIRE_BATCH;
}

static int expire(struct fleet *fleet, struct command_robot_row *row, struct err *err)
{
    cleanup_command_row struct command_row command = {0};
    const char *robots[] = {row->robot};
    if (fleet->store->ops->command_get(fleet->store, row->command, &command, err) < 0)
        return -1;
    row->state = COMMAND_EXPIRED;
    row->state_ms = clock_wall_ms();
    str_copy(row->text, sizeof row->text, "the robot did not answer in time");
    const struct audit_entry entry = {.kind = "outcome",
                                      .who = command.operator_name,
                                      .what = command_verb_name(command.verb),
                                      .robots = robots,
                                      .robot_count = 1,
                                      .command = command.id,
                                      .text = "expired: the robot did not answer in time"};
    if (fleet->store->ops->command_robot_save(fleet->store, row, err) < 0)
        return -1;
    return command.verb == COMMAND_RENEW ? 0 : fleet_audit(fleet, &entry, err);
}

static int expire_commands(struct fleet *fleet, struct err *err)
{
    const struct store_ops *ops = fleet->store->ops;
    int64_t now_ms = clock_wall_ms();
    cleanup_free struct overdue *overdue = mem_zalloc(1, sizeof *overdue);
    if (!overdue)
        return err_no_memory(err);
    overdue->fleet = fleet;
    if (ops->command_overdue(fleet->store, now_ms, 4 * EXPIRE_BATCH, note_overdue, overdue, err) < 0)
        return -1;
    for (size_t i = 0; i < overdue->count; i++)
        if (expire(fleet, &overdue->rows[i], err) < 0)
            return -1;
    return 0;
}

/* What nobody asks for any more. */
static int prune(struct fleet *fleet, struct err *err)
{
    const struct store_ops *ops = fleet->store->ops;
    int64_t now_ms = clock_wall_ms();
    if (ops->event_prune(fleet->store, KEEP_EVENTS, err) < 0 ||
        ops->certificate_prune(fleet->store, now_ms, err) < 0)
        return -1;
    return ops->command_prune(fleet->store, now_ms - KEEP_RENEWALS_MS, now_ms - KEEP_COMMANDS_MS, err);
}

/* Last contacts and the server's own sign of life: one sorted batch. */
static int flush_contacts(struct fleet *fleet, struct err *err)
{
    if (group_enter(fleet->group, err) < 0)
        return -1;
    struct flush flush = {.fleet = fleet, .err = err};
    roster_each(fleet->roster, flush_one, &flush);
    if (flush.rc == 0)
        flush.rc = expire_commands(fleet, err);
    if (flush.rc == 0 && ++fleet->flushes % PRUNE_EVERY == 0)
        flush.rc = prune(fleet, err);
    if (flush.rc < 0 || fleet->store->ops->number_set(fleet->store, "alive_ms", clock_wall_ms(), err) < 0) {
        group_cancel(fleet->group);
        return -1;
    }
    return group_leave(fleet->group, err);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
    struct err err = {0};
    if (flush_contacts(arg, &err) < 0)
        log_error("contacts: %s", err.text);
}

/* A second after the last entry came its checkpoint is due, also if nobody writes any more. */
static void on_audit(evutil_socket_t fd, short what, void *arg)
{
    struct fleet *fleet = arg;
    struct err err = {0};
    if (ledger_due(fleet->ledger, clock_wall_ms()) && fleet_checkpoint(fleet, &err) < 0)
        log_error("audit log: %s", err.text);
}

static int seal(void *arg, struct err *err)
{
    return ledger_seal(arg, false, clock_wall_ms(), err);
}

static void settle(void *arg, bool kept)
{
    ledger_settle(arg, kept);
}

static int open_ledger(struct fleet *fleet, struct err *err)
{
    if (ledger_open(fleet->store, fleet->dir, &fleet->ledger, err) < 0)
        return -1;
    group_seal(fleet->group, &(struct group_seal){.seal = seal, .settle = settle, .arg = fleet->ledger});
    fleet->audit_timer = event_new(fleet->base, -1, EV_PERSIST, on_audit, fleet);
    if (!fleet->audit_timer)
        return err_no_memory(err);
    struct timeval period = {.tv_sec = LEDGER_EVERY_MS / 1000};
    event_add(fleet->audit_timer, &period);
    return 0;
}

struct restore {
    struct fleet *fleet;
    int64_t alive_ms;
};

static int restore_one(const struct robot_row *row, void *arg)
{
    struct restore *restore = arg;
    struct roster_entry *entry = roster_get(restore->fleet->roster, row->id);
    if (entry) {
        roster_restore(entry, row->seen_ms, restore->alive_ms, clock_mono_ms());
        roster_describe(entry, row->labels, row->label_count, row->revoked);
    }
    return entry ? 0 : 1;
}

static int restore_contacts(struct fleet *fleet, struct err *err)
{
    struct restore restore = {.fleet = fleet};
    if (fleet->store->ops->number_get(fleet->store, "alive_ms", &restore.alive_ms, err) < 0)
        return -1;
    return fleet->store->ops->robot_each(fleet->store, "", -1, restore_one, &restore, err);
}

static int tell_absence(const char *kind, const char *robot, const char *text, void *arg, struct err *err)
{
    return fleet_event(arg, kind, robot, err, "%s", text);
}

static int look_for_absence(struct fleet *fleet, int64_t mono_ms, struct err *err)
{
    if (group_enter(fleet->group, err) < 0)
        return -1;
    if (absence_look(&fleet->absence, fleet->roster, mono_ms, tell_absence, fleet, err) < 0) {
        group_cancel(fleet->group);
        return -1;
    }
    return group_leave(fleet->group, err);
}

static void on_absence(evutil_socket_t fd, short what, void *arg)
{
    struct err err = {0};
    if (look_for_absence(arg, clock_mono_ms(), &err) < 0)
        log_error("presence: %s", err.text);
}

static int start_absence(struct fleet *fleet, struct err *err)
{
    int64_t now_ms = clock_mono_ms();
    absence_init(&fleet->absence, now_ms);
    fleet->absence_timer = event_new(fleet->base, -1, EV_PERSIST, on_absence, fleet);
    if (!fleet->absence_timer)
        return err_no_memory(err);
    struct timeval period = {.tv_sec = ABSENCE_LOOK_S};
    event_add(fleet->absence_timer, &period);
    return look_for_absence(fleet, now_ms, err);
}

static int open_authority(struct fleet *fleet, const struct fleet_options *options, struct err *err)
{
    const struct authority_options authority = {.dir = options->dir,
                                                .root = options->root,
                                                .timestamp_valid_s = options->timestamp_valid_s,
                                                .snapshot_valid_s = options->snapshot_valid_s,
                                                .assignment_valid_s = options->assignment_valid_s};
    return authority_open(&authority, clock_wall_ms() / 1000, &fleet->authority, err);
}

static int open_numbers(struct fleet *fleet, const struct fleet_options *options, struct err *err)
{
    const struct remote_options remote = {
        .url = options->remote_url, .ca_path = options->remote_ca, .token_path = options->remote_token};
    return numbers_open(fleet, &remote, &fleet->numbers, err);
}

static int open_parts(struct fleet *fleet, const struct fleet_options *options, struct err *err)
{
    cleanup_free char *database = file_join(options->dir, "muster.db");
    cleanup_free char *layout = file_join(options->dir, "layout");
    cleanup_free char *incidents = file_join(options->dir, "incidents");
    cleanup_free char *samples = file_join(options->dir, "samples");
    fleet->dir = mem_strdup(options->dir);
    fleet->operators = options->operators ? mem_strdup(options->operators) : NULL;
    fleet->roster = roster_new();
    if (!database || !layout || !incidents || !samples || !fleet->dir || !fleet->roster ||
        (options->operators && !fleet->operators))
        return err_no_memory(err);
    if (!file_exists(database))
        return err_set(err, ERR_NOT_FOUND, "%s is no server directory; make one with musterd init --dir %s",
                       options->dir, options->dir);
    if (store_open_sqlite(database, &fleet->store, err) < 0 ||
        blobs_open(layout, options->max_blob_bytes, &fleet->blobs, err) < 0 ||
        blobs_open(incidents, INCIDENT_MAX_BYTES, &fleet->incidents, err) < 0 ||
        blobs_open(samples, SAMPLE_MAX_BYTES, &fleet->samples, err) < 0 ||
        open_authority(fleet, options, err) < 0 ||
        group_new(fleet->base, fleet->store, &fleet->group, err) < 0 || open_ledger(fleet, err) < 0 ||
        restore_contacts(fleet, err) < 0 || open_numbers(fleet, options, err) < 0)
        return -1;
    fleet->flush_timer = event_new(fleet->base, -1, EV_PERSIST, on_flush, fleet);
    if (!fleet->flush_timer)
        return err_no_memory(err);
    struct timeval period = {.tv_sec = FLUSH_PERIOD_S};
    event_add(fleet->flush_timer, &period);
    return start_absence(fleet, err) < 0 ? -1 : fleet_tend_start(fleet, err);
}

int fleet_open(struct event_base *base, const struct fleet_options *options, struct fleet **out,
               struct err *err)
{
    cleanup_fleet struct fleet *fleet = mem_zalloc(1, sizeof *fleet);
    if (!fleet)
        return err_no_memory(err);
    fleet->base = base;
    fleet->dirty = true;
    fleet->started_ms = clock_wall_ms();
    fleet->certificate_s = options->certificate_s ? options->certificate_s : DEFAULT_CERTIFICATE_S;
    fleet->grace_s = options->grace_s;
    if (open_parts(fleet, options, err) < 0)
        return -1;
    *out = TAKE_PTR(fleet);
    return 0;
}

void fleet_close(struct fleet *fleet)
{
    if (!fleet)
        return;
    struct err err = {0};
    if (fleet->flush_timer) {
        event_free(fleet->flush_timer);
        if (flush_contacts(fleet, &err) < 0)
            log_error("contacts: %s", err.text);
    }
    if (fleet->audit_timer)
        event_free(fleet->audit_timer);
    if (fleet->absence_timer)
        event_free(fleet->absence_timer);
    absence_fini(&fleet->absence);
    if (fleet->tend_timer)
        event_free(fleet->tend_timer);
    numbers_close(fleet->numbers);
    group_free(fleet->group);
    authority_free(fleet->authority);
    ledger_free(fleet->ledger);
    roster_free(fleet->roster);
    blobs_free(fleet->blobs);
    blobs_free(fleet->incidents);
    blobs_free(fleet->samples);
    store_free(fleet->store);
    free(fleet->dir);
    free(fleet->operators);
    free(fleet);
}

int fleet_event(struct fleet *fleet, const char *kind, const char *robot, struct err *err, const char *fmt,
                ...)
{
    struct event_row row = {.time_ms = clock_wall_ms()};
    str_copy(row.kind, sizeof row.kind, kind);
    str_copy(row.robot, sizeof row.robot, robot ? robot : "");
    va_list args;
    va_start(args, fmt);
    vsnprintf(row.text, sizeof row.text, fmt, args);
    va_end(args);
    return fleet->store->ops->event_add(fleet->store, &row, &row.id, err);
}

void fleet_changed(struct fleet *fleet, const char *robot)
{
    struct roster_entry *entry = roster_get(fleet->roster, robot);
    if (entry)
        entry->held[ROSTER_DIRECTOR].changed = fleet->changed[ROSTER_DIRECTOR] = true;
    fleet->dirty = true;
}

void fleet_cut(struct fleet *fleet, const char *robot)
{
    struct roster_entry *entry = roster_get(fleet->roster, robot);
    if (entry)
        entry->cut = fleet->cut = true;
    fleet->dirty = true;
}

void fleet_commanded(struct fleet *fleet, const char *robot)
{
    struct roster_entry *entry = roster_get(fleet->roster, robot);
    if (entry)
        entry->held[ROSTER_COMMANDS].changed = fleet->changed[ROSTER_COMMANDS] = true;
}

int fleet_audit(struct fleet *fleet, const struct audit_entry *entry, struct err *err)
{
    return ledger_append(fleet->store, entry, err);
}

int fleet_checkpoint(struct fleet *fleet, struct err *err)
{
    if (group_enter(fleet->group, err) < 0)
        return -1;
    if (ledger_seal(fleet->ledger, true, clock_wall_ms(), err) < 0) {
        group_cancel(fleet->group);
        ledger_settle(fleet->ledger, false);
        return -1;
    }
    return group_leave(fleet->group, err);
}

static int record_assignment(struct fleet *fleet, const struct robot_row *row, const struct release_row *what,
                             struct err *err)
{
    const char *robots[] = {row->id};
    char text[160];
    snprintf(text, sizeof text, "%s %s%s", what->name, what->version, row->target_rollback ? " (back)" : "");
    const struct audit_entry entry = {.kind = "assigned",
                                      .robots = robots,
                                      .robot_count = 1,
                                      .release = row->target,
                                      .generation = row->counter,
                                      .text = text};
    return fleet_audit(fleet, &entry, err);
}

int fleet_assign(struct fleet *fleet, const char *robot, const struct digest *release, bool rollback,
                 const struct digest *plan, struct err *err)
{
    struct store *store = fleet->store;
    struct robot_row row;
    struct release_row what = {0};
    if (store->ops->robot_get(store, robot, &row, err) < 0 ||
        store->ops->release_get(store, release, &what, err) < 0)
        return -1;
    row.counter++;
    row.target = *release;
    row.target_rollback = rollback;
    row.target_plan = *plan;
    row.target_ms = row.issued_ms = clock_wall_ms();
    row.phase = PHASE_ASSIGNED;
    row.phase_release = *release;
    row.phase_ms = row.target_ms;
    str_copy(row.phase_text, sizeof row.phase_text, rollback ? "going back" : "");
    if (store->ops->robot_save(store, &row, err) < 0)
        return -1;
    fleet_changed(fleet, robot);
    if (record_assignment(fleet, &row, &what, err) < 0)
        return -1;
    return fleet_event(fleet, "assigned", robot, err, "%s %s%s", what.name, what.version,
                       rollback ? " (back)" : "");
}

int fleet_reissue(struct fleet *fleet, struct robot_row *row, uint64_t beyond, struct err *err)
{
    row->counter = MAX(row->counter, beyond) + 1;
    row->issued_ms = clock_wall_ms();
    if (fleet->store->ops->robot_save(fleet->store, row, err) < 0)
        return -1;
    fleet_changed(fleet, row->id);
    return 0;
}
