/* GET /api/v1/assignment: the long poll. A held question waits in the roster and is woken by the commit that
 * changed the robot's assignment, by its timer, or by a newer question of the same robot. */
#include "base/str.h"
#include "fleet/api/call.h"
#include "wire/api.h"

#include <event2/event.h>

/* A robot that only waits must still be heard: a question is held for one presence period at most. */
enum { MAX_WAIT_S = 60, MAX_HOLD_S = PRESENCE_PERIOD_MS / 1000 };

struct held { /* argument of timer and gone callbacks */
    struct fleet *fleet;
    struct roster_entry *entry;
};

static void unhold(struct roster_entry *entry)
{
    if (entry->held_timer) {
        void *arg = event_get_callback_arg(entry->held_timer);
        event_free(entry->held_timer);
        free(arg);
    }
    entry->held_timer = NULL;
    entry->held = NULL;
}

static void reply_nothing(struct fleet *fleet, struct http_request *request)
{
    group_reply(fleet->group, request, 204, "application/json", NULL, 0);
}

static void release_held(struct fleet *fleet, struct roster_entry *entry)
{
    struct http_request *request = entry->held;
    unhold(entry);
    if (!request)
        return;
    http_hold(request, NULL, NULL);
    reply_nothing(fleet, request);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    struct held held = *(struct held *)arg;
    release_held(held.fleet, held.entry);
}

static void on_gone(struct http_request *request, void *arg)
{
    struct roster_entry *entry = ((struct held *)arg)->entry;
    if (entry->held == request)
        unhold(entry);
}

static char *assignment_text(struct fleet *fleet, const struct robot_row *row, struct err *err)
{
    struct api_assignment out = {
        .counter = row->counter, .release = row->target, .rollback = row->target_rollback};
    if (!digest_is_zero(&row->target)) {
        cleanup_release_row struct release_row release = {0};
        if (fleet->store->ops->release_get(fleet->store, &row->target, &release, err) < 0)
            return NULL;
        out.manifest_size = release.manifest_bytes;
        str_copy(out.name, sizeof out.name, release.name);
        str_copy(out.version, sizeof out.version, release.version);
    }
    char *text = api_assignment_format(&out);
    if (!text)
        (void)err_no_memory(err);
    return text;
}

/* A robot that knows a later counter than the server (restored from a backup): jump over it. */
static int jump_ahead(struct fleet *fleet, struct robot_row *row, uint64_t after, struct err *err)
{
    row->counter = after + 1;
    if (group_enter(fleet->group, err) < 0)
        return -1;
    if (fleet->store->ops->robot_save(fleet->store, row, err) < 0) {
        group_cancel(fleet->group);
        return -1;
    }
    return group_leave(fleet->group, err);
}

static int hold(struct call *call, struct roster_entry *entry, uint64_t after, int wait_s, struct err *err)
{
    release_held(call->fleet, entry); /* an older question of the same robot */
    struct held *held = mem_zalloc(1, sizeof *held);
    if (!held || !(entry->held_timer = evtimer_new(call->fleet->base, on_timeout, held))) {
        free(held);
        return err_no_memory(err);
    }
    *held = (struct held){.fleet = call->fleet, .entry = entry};
    struct timeval wait = {.tv_sec = wait_s};
    evtimer_add(entry->held_timer, &wait);
    entry->held = call->request;
    entry->held_after = after;
    call->taken = true;
    http_hold(call->request, on_gone, held);
    return 0;
}

int assignment_get(struct call *call, struct err *err)
{
    uint64_t after, wait_s;
    if (call_query_u64(call, "after", 0, INT64_MAX - 1, &after, err) < 0 ||
        call_query_u64(call, "wait", 0, MAX_WAIT_S, &wait_s, err) < 0)
        return -1;
    struct robot_row *row = &call->robot;
    if (after > row->counter && jump_ahead(call->fleet, row, after, err) < 0)
        return -1;
    if (row->counter > after)
        return call_json(call, 200, assignment_text(call->fleet, row, err), err);
    struct roster_entry *entry = roster_get(call->fleet->roster, row->id);
    if (!entry)
        return err_no_memory(err);
    if (wait_s && !call->fleet->draining)
        return hold(call, entry, after, MIN((int)wait_s, MAX_HOLD_S), err);
    return call_bytes(call, 204, "application/json", NULL, 0);
}

static void answer_held(struct fleet *fleet, struct roster_entry *entry)
{
    struct err err = {0};
    struct robot_row row;
    if (fleet->store->ops->robot_get(fleet->store, entry->id, &row, &err) == 0 && !row.revoked &&
        row.counter <= entry->held_after)
        return; /* not for this question */
    struct http_request *request = entry->held;
    unhold(entry);
    http_hold(request, NULL, NULL);
    char *text = NULL;
    if (err.code == ERR_NONE && row.revoked)
        err_set(&err, ERR_DENIED, "robot %s is revoked; a new enrolment token would admit it again", row.id);
    else if (err.code == ERR_NONE)
        text = assignment_text(fleet, &row, &err);
    if (text)
        group_reply(fleet->group, request, 200, NULL, text, strlen(text));
    else
        group_reply_error(fleet->group, request, &err);
}

static void wake_one(struct roster_entry *entry, void *arg)
{
    bool changed = entry->changed;
    entry->changed = false;
    if (changed && entry->held)
        answer_held(arg, entry);
}

void assignment_wake(struct api *api)
{
    if (!api->fleet->changed)
        return;
    api->fleet->changed = false;
    roster_each(api->fleet->roster, wake_one, api->fleet);
}

static void drain_one(struct roster_entry *entry, void *arg)
{
    if (entry->held)
        release_held(arg, entry);
}

void assignment_drain(struct api *api)
{
    roster_each(api->fleet->roster, drain_one, api->fleet);
}
