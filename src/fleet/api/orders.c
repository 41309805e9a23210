/* GET /api/v1/commands on the robot port: what people order this robot to do, as they signed it. The long poll of hold.c.
 *
 *     queued ──handed over──▶ delivered ──the robot's report──▶ accepted | refused
 *        └───────────────expired, unanswered───────▶ expired
 *
 * A command that was handed over is not offered again behind its number; a robot that comes back from a restart asks from 0 and
 * is given what it never answered. It knows by the nonce what it has seen.
 *
 * A robot that asks with seen=N is told besides which of its alarms of drift people have acknowledged by a number larger than N (wire/seen.h). Nobody is woken
 * for that: the next question, at most 10 s later, finds it, so that a hundred thousand robots do not come at once. */
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "fleet/api/call.h"

enum { MAX_ORDERS = 16, MAX_ORDERS_BYTES = 512 << 10, MAX_SEEN = 16 };

#define SEEN_NOT_ASKED UINT64_MAX

struct question {
    uint64_t after, seen; /* seen: or SEEN_NOT_ASKED */
};

struct batch {
    struct json_writer *w;
    size_t count, bytes;
    uint64_t last;
};

static int add_order(const struct command_row *row, void *arg)
{
    struct batch *batch = arg;
    jsonw_object(batch->w, NULL);
    jsonw_u64(batch->w, "id", row->id);
    jsonw_raw(batch->w, "envelope", row->envelope);
    jsonw_close(batch->w);
    batch->last = row->id;
    batch->bytes += strlen(row->envelope);
    return ++batch->count == MAX_ORDERS || batch->bytes > MAX_ORDERS_BYTES;
}

static int add_seen(const struct seen_alarm *seen, void *arg)
{
    struct batch *batch = arg;
    seen_write(batch->w, seen);
    batch->count++;
    return 0;
}

/* A number that was never given: the server comes from a backup, and says all again. */
static int write_seen(struct fleet *fleet, const char *robot, uint64_t seen, struct batch *batch,
                      struct err *err)
{
    struct store *store = fleet->store;
    uint64_t last = 0;
    if (seen && store->ops->drift_seen_last(store, &last, err) < 0)
        return -1;
    jsonw_array(batch->w, "seen");
    if (store->ops->drift_seen_each(store, robot, seen > last ? 0 : seen, MAX_SEEN, add_seen, batch, err) < 0)
        return -1;
    jsonw_close(batch->w);
    return 0;
}

/* *out_text: the answer, free() it; NULL if there is nothing for this robot. *out_last: 0, no command is in it. */
static int orders_text(struct fleet *fleet, const char *robot, const struct question *question,
                       char **out_text, uint64_t *out_last, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    struct batch batch = {.w = &w};
    *out_text = NULL;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_array(&w, "commands");
    if (fleet->store->ops->command_due(fleet->store, robot, question->after, clock_wall_ms(), MAX_ORDERS,
                                       add_order, &batch, err) < 0)
        return -1;
    jsonw_close(&w);
    if (question->seen != SEEN_NOT_ASKED && write_seen(fleet, robot, question->seen, &batch, err) < 0)
        return -1;
    jsonw_close(&w);
    *out_last = batch.last;
    if (batch.count == 0)
        return 0;
    *out_text = jsonw_take(&w, err);
    return *out_text ? 0 : -1;
}

struct handed { /* over, up to this command */
    const char *robot;
    uint64_t last;
};

static int mark_delivered(struct fleet *fleet, const struct handed *handed, size_t count, struct err *err)
{
    if (group_enter(fleet->group, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (fleet->store->ops->command_delivered(fleet->store, handed[i].robot, handed[i].last,
                                                 clock_wall_ms(), err) < 0) {
            group_cancel(fleet->group);
            return -1;
        }
    return group_leave(fleet->group, err);
}

/* A robot that knows a later number than was ever given: the server comes from a backup. */
static int sane_after(struct fleet *fleet, uint64_t *after, struct err *err)
{
    uint64_t last = 0;
    if (*after && fleet->store->ops->command_last_id(fleet->store, &last, err) < 0)
        return -1;
    *after = *after > last ? 0 : *after;
    return 0;
}

int orders_get(struct call *call, struct err *err)
{
    struct fleet *fleet = call->fleet;
    struct question question;
    uint64_t wait_s, last;
    cleanup_free char *text = NULL;
    if (call_query_u64(call, "after", 0, INT64_MAX, &question.after, err) < 0 ||
        call_query_u64(call, "wait", 0, HOLD_MAX_WAIT_S, &wait_s, err) < 0 ||
        call_query_u64(call, "seen", SEEN_NOT_ASKED, INT64_MAX, &question.seen, err) < 0 ||
        sane_after(fleet, &question.after, err) < 0 ||
        orders_text(fleet, call->robot.id, &question, &text, &last, err) < 0)
        return -1;
    if (!text)
        return hold_question(call, ROSTER_COMMANDS, question.after, wait_s, err);
    const struct handed handed = {.robot = call->robot.id, .last = last};
    if (last && mark_delivered(fleet, &handed, 1, err) < 0)
        return -1;
    call->urgent = last > 0;
    return call_json(call, 200, TAKE_PTR(text), err);
}

struct wake {
    struct fleet *fleet;
    size_t count;
    struct handed *handed; /* owned; the robots' names are the roster's */
};

/* True if it was answered with what is due. */
static bool answer(struct fleet *fleet, struct roster_entry *entry, uint64_t *out_last)
{
    struct roster_held *held = &entry->held[ROSTER_COMMANDS];
    const struct question question = {.after = held->after, .seen = SEEN_NOT_ASKED};
    struct err err = {0};
    char *text = NULL;
    if (orders_text(fleet, entry->id, &question, &text, out_last, &err) < 0)
        log_error("commands for %s: %s", entry->id, err.text); /* its next question will find them */
    if (!text)
        return false;
    group_reply(fleet->group, hold_take(held), 200, NULL, text, strlen(text));
    return true;
}

static void wake_one(struct roster_entry *entry, void *arg)
{
    struct wake *wake = arg;
    struct roster_held *held = &entry->held[ROSTER_COMMANDS];
    uint64_t last = 0;
    bool changed = held->changed;
    held->changed = false;
    if (!changed || !held->request || !answer(wake->fleet, entry, &last))
        return;
    void *more = mem_grow(wake->handed, wake->count + 1, sizeof wake->handed[0]);
    if (!more)
        return; /* it stays queued, and is offered again */
    wake->handed = more;
    wake->handed[wake->count++] = (struct handed){.robot = entry->id, .last = last};
}

void orders_wake(struct api *api)
{
    struct fleet *fleet = api->fleet;
    struct wake wake = {.fleet = fleet};
    struct err err = {0};
    if (!fleet->changed[ROSTER_COMMANDS] || fleet->store->ops->active(fleet->store))
        return;
    fleet->changed[ROSTER_COMMANDS] = false;
    roster_each(fleet->roster, wake_one, &wake); /* first all answers, then the book-keeping */
    if (wake.count && mark_delivered(fleet, wake.handed, wake.count, &err) < 0)
        log_warn("commands: %s", err.text);
    free(wake.handed);
}
