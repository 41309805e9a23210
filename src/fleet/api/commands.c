/* What people order: taken in as they signed it, stored with one row per robot, offered to the robots (orders.c), and shown with
 * what became of it. The robot decides whether it obeys; here only what cannot be meant is turned away. */
#include "base/clock.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "fleet/engine/consent.h"
#include "trust/command.h"

enum { LIST_LIMIT = 200, LIST_DEFAULT = 50 };

/* ---- views ---- */

struct robots_view {
    struct json_writer *w; /* NULL: only look */
    const struct call *call;
    bool seen; /* one at least */
};

static int write_robot(const struct command_robot_row *row, void *arg)
{
    struct robots_view *view = arg;
    struct json_writer *w = view->w;
    if (!call_sees(view->call, row->robot))
        return 0;
    view->seen = true;
    if (!w)
        return 1;
    jsonw_object(w, NULL);
    jsonw_text(w, "robot", row->robot);
    jsonw_text(w, "state", command_state_name(row->state));
    jsonw_i64(w, "state_ms", row->state_ms);
    jsonw_u64(w, "lease", row->lease);
    jsonw_u64(w, "generation", row->generation);
    jsonw_digest(w, "release", &row->release);
    jsonw_text(w, "text", row->text);
    jsonw_close(w);
    return 0;
}

/* Whether the command concerns a robot that the operator sees; nobody is told of others. */
static bool concerns(const struct call *call, uint64_t command, struct err *err)
{
    struct robots_view view = {.call = call};
    struct store *store = call->fleet->store;
    return store->ops->command_robot_each(store, command, write_robot, &view, err) == 0 && view.seen;
}

static int write_command(struct json_writer *w, const struct call *call, const struct command_row *row,
                         struct err *err)
{
    struct store *store = call->fleet->store;
    struct robots_view view = {.w = w, .call = call};
    jsonw_object(w, NULL);
    jsonw_u64(w, "id", row->id);
    jsonw_text(w, "verb", command_verb_name(row->verb));
    jsonw_text(w, "operator", row->operator_name);
    jsonw_text(w, "reason", row->reason);
    jsonw_text(w, "nonce", row->nonce);
    jsonw_text(w, "sent_by", row->sent_by);
    jsonw_i64(w, "created_ms", row->created_ms);
    jsonw_i64(w, "issued_ms", row->issued_ms);
    jsonw_i64(w, "expires_ms", row->expires_ms);
    jsonw_u64(w, "lease", row->lease);
    jsonw_u64(w, "ttl_ms", row->ttl_ms);
    jsonw_array(w, "robots");
    if (store->ops->command_robot_each(store, row->id, write_robot, &view, err) < 0)
        return -1;
    jsonw_close(w);
    jsonw_close(w);
    return 0;
}

static int reply_command(struct call *call, int status, uint64_t id, struct err *err)
{
    struct store *store = call->fleet->store;
    cleanup_command_row struct command_row row = {0};
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    if (store->ops->command_get(store, id, &row, err) < 0 || write_command(&w, call, &row, err) < 0)
        return -1;
    return call_writer(call, status, &w, err);
}

int command_show(struct call *call, struct err *err)
{
    uint64_t id;
    if (call_id(call, &id, err) < 0)
        return -1;
    if (!concerns(call, id, err))
        return err->code != ERR_NONE
                   ? -1
                   : err_set(err, ERR_NOT_FOUND, "command %llu is not known", (unsigned long long)id);
    return reply_command(call, 200, id, err);
}

struct listing {
    struct json_writer *w;
    const struct call *call;
    int64_t left;
    int rc;
    struct err *err;
};

static int list_one(const struct command_row *row, void *arg)
{
    struct listing *listing = arg;
    if (!concerns(listing->call, row->id, listing->err)) {
        listing->rc = listing->err->code == ERR_NONE ? 0 : -1;
        return listing->rc;
    }
    listing->rc = write_command(listing->w, listing->call, row, listing->err);
    return listing->rc < 0 || --listing->left == 0;
}

static int read_filter(struct call *call, struct command_filter *out, struct err *err)
{
    const char *robot = http_query(call->request, "robot"), *state = http_query(call->request, "state");
    uint64_t limit;
    if (call_query_u64(call, "limit", LIST_DEFAULT, LIST_LIMIT, &limit, err) < 0 ||
        call_query_u64(call, "before", 0, INT64_MAX, &out->before, err) < 0)
        return -1;
    if (state && !str_eq(state, "open") && !str_eq(state, "all"))
        return err_set(err, ERR_INVALID, "query parameter state wants open or all");
    out->robot = robot ? robot : "";
    out->open = str_eq(state, "open");
    out->limit = (int64_t)limit;
    return 0;
}

int command_list(struct call *call, struct err *err)
{
    struct command_filter filter;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    struct store *store = call->fleet->store;
    if (read_filter(call, &filter, err) < 0)
        return -1;
    struct listing listing = {.w = &w, .call = call, .left = filter.limit, .err = err};
    filter.limit = INT64_MAX; /* the listing counts those that it shows */
    jsonw_object(&w, NULL);
    jsonw_array(&w, "commands");
    if (store->ops->command_each(store, &filter, list_one, &listing, err) < 0 || listing.rc < 0)
        return -1;
    jsonw_close(&w);
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}

/* ---- POST ---- */

/* With the operators' keyring (published, or of --operators) the signature is checked here already; the robots check it in any case. A
 * published keyring that cannot be read here must not keep a stop from robots. */
static int read_signed(struct call *call, const struct envelope *envelope, struct command *out,
                       struct err *err)
{
    struct err none = {0};
    cleanup_free struct keyring *ring = mem_zalloc(1, sizeof *ring);
    if (!ring)
        return err_no_memory(err);
    if (consent_operators(call->fleet, ring, &none) == 0)
        return command_open(envelope, ring, out, err);
    if (call->fleet->operators)
        return *err = none, -1;
    return command_parse(envelope->bytes, envelope->len, out, err);
}

static int check_robots(struct call *call, const struct command *command, struct err *err)
{
    struct store *store = call->fleet->store;
    struct robot_row row;
    for (size_t i = 0; i < command->robot_count; i++) {
        if (call_may_id(call, RIGHT_ORDER, command->robots[i], err) < 0 ||
            store->ops->robot_get(store, command->robots[i], &row, err) < 0)
            return -1;
        if (row.revoked)
            return err_set(err, ERR_REFUSED, "robot %s is revoked and hears nothing; leave it out", row.id);
    }
    return 0;
}

static int add_command(struct call *call, const struct envelope *envelope, const struct command *command,
                       uint64_t *out_id, struct err *err)
{
    cleanup_command_row struct command_row row = {.envelope = command_envelope_format(envelope),
                                                  .verb = command->verb,
                                                  .issued_ms = command->issued_ms,
                                                  .expires_ms = command->expires_ms,
                                                  .created_ms = clock_wall_ms(),
                                                  .lease = command->lease,
                                                  .ttl_ms = command->ttl_ms};
    if (!row.envelope)
        return err_no_memory(err);
    str_copy(row.operator_name, sizeof row.operator_name, command->operator_name);
    str_copy(row.reason, sizeof row.reason, command->reason);
    str_copy(row.nonce, sizeof row.nonce, command->nonce);
    str_copy(row.sent_by, sizeof row.sent_by, call->operator_name);
    if (call->fleet->store->ops->command_add(call->fleet->store, &row, out_id, err) == 0)
        return 0;
    return err->code == ERR_EXISTS ? err_set(err, ERR_EXISTS, "this command was sent before; sign a new one")
                                   : -1;
}

static int add_robots(struct call *call, const struct command *command, uint64_t id, struct err *err)
{
    struct store *store = call->fleet->store;
    for (size_t i = 0; i < command->robot_count; i++) {
        struct command_robot_row row = {.command = id,
                                        .state = COMMAND_QUEUED,
                                        .state_ms = clock_wall_ms(),
                                        .expires_ms = command->expires_ms};
        str_copy(row.robot, sizeof row.robot, command->robots[i]);
        if (store->ops->command_robot_save(store, &row, err) < 0)
            return -1;
        fleet_commanded(call->fleet, row.robot);
    }
    return 0;
}

/* A lease that is kept alive is one act, not one every second. */
static int tell(struct call *call, const struct command *command, uint64_t id, struct err *err)
{
    if (command->verb == COMMAND_RENEW)
        return 0;
    cleanup_free const char **robots = mem_zalloc(command->robot_count, sizeof *robots);
    if (!robots)
        return err_no_memory(err);
    for (size_t i = 0; i < command->robot_count; i++)
        robots[i] = command->robots[i];
    const struct audit_entry entry = {.kind = "command",
                                      .who = command->operator_name,
                                      .what = command_verb_name(command->verb),
                                      .why = command->reason,
                                      .robots = robots,
                                      .robot_count = command->robot_count,
                                      .command = id,
                                      .lease = command->lease,
                                      .sent_by = call->operator_name};
    if (fleet_audit(call->fleet, &entry, err) < 0)
        return -1;
    if (command->robot_count == 1)
        return fleet_event(call->fleet, "command", robots[0], err, "%s by %s: %s", entry.what, entry.who,
                           entry.why);
    return fleet_event(call->fleet, "command", NULL, err, "%s by %s for %zu robots: %s", entry.what,
                       entry.who, command->robot_count, entry.why);
}

int command_post(struct call *call, struct err *err)
{
    size_t len;
    const uint8_t *body = http_body(call->request, &len);
    cleanup_envelope struct envelope envelope = {0};
    cleanup_command struct command command = {0};
    uint64_t id;
    if (command_envelope_parse(body, len, &envelope, err) < 0 ||
        read_signed(call, &envelope, &command, err) < 0)
        return -1;
    if (clock_wall_ms() >= command.expires_ms)
        return err_set(err, ERR_REFUSED, "the command has expired; sign a new one, and look at the clocks");
    if (check_robots(call, &command, err) < 0 || add_command(call, &envelope, &command, &id, err) < 0 ||
        add_robots(call, &command, id, err) < 0 || tell(call, &command, id, err) < 0)
        return -1;
    call->urgent = true;
    return reply_command(call, 201, id, err);
}

/* ---- what the robots say ---- */

static int audit_outcome(struct call *call, const struct api_report *report,
                         const struct command_outcome *outcome, const struct command_row *command,
                         struct err *err)
{
    const char *robots[] = {call->robot.id};
    char text[API_MAX_SUMMARY + 16];
    bool local = outcome->id == 0;
    snprintf(text, sizeof text, "%s%s%s", outcome->accepted ? "accepted" : "refused",
             outcome->accepted ? "" : ": ", outcome->accepted ? "" : outcome->text);
    const struct audit_entry entry = {.kind = local ? "local" : "outcome",
                                      .who = command ? command->operator_name : outcome->who,
                                      .what = command_verb_name(outcome->verb),
                                      .why = command ? command->reason
                                             : local ? outcome->text
                                                     : NULL,
                                      .robots = robots,
                                      .robot_count = 1,
                                      .command = outcome->id,
                                      .release = report->release,
                                      .generation = outcome->generation,
                                      .lease = outcome->lease,
                                      .text = text};
    return fleet_audit(call->fleet, &entry, err);
}

/* The robot's first word counts: a replay that it refused does not undo what it did. */
static int settle(struct call *call, const struct api_report *report, const struct command_outcome *outcome,
                  struct err *err)
{
    struct store *store = call->fleet->store;
    struct command_robot_row row;
    if (store->ops->command_robot_get(store, outcome->id, call->robot.id, &row, err) < 0)
        return -1;
    if (row.state == COMMAND_ACCEPTED || row.state == COMMAND_REFUSED)
        return 0;
    row.state = outcome->accepted ? COMMAND_ACCEPTED : COMMAND_REFUSED;
    row.state_ms = clock_wall_ms();
    row.lease = outcome->lease;
    row.generation = outcome->generation;
    row.release = report->release;
    str_copy(row.text, sizeof row.text, outcome->accepted ? "" : outcome->text);
    return store->ops->command_robot_save(store, &row, err);
}

int command_outcome(struct call *call, const struct api_report *report, struct err *err)
{
    struct store *store = call->fleet->store;
    struct command_outcome outcome;
    cleanup_command_row struct command_row command = {0};
    struct err unknown = {0};
    if (!command_outcome_parse(report->text, &outcome))
        outcome = (struct command_outcome){0};
    bool known = outcome.id && store->ops->command_get(store, outcome.id, &command, &unknown) == 0;
    if (known && settle(call, report, &outcome, &unknown) < 0 && unknown.code != ERR_NOT_FOUND) {
        *err = unknown;
        return -1;
    }
    if (outcome.accepted && outcome.verb == COMMAND_RENEW)
        return 0;
    return audit_outcome(call, report, &outcome, known ? &command : NULL, err);
}
