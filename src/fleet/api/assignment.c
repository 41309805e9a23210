/* GET /api/v1/assignment: the long poll. A held question waits in the roster and is woken by the commit that
 * changed the robot's assignment (hold.c: or by its timer, or by a newer question). */
#include "base/str.h"
#include "fleet/api/call.h"
#include "wire/api.h"

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

int assignment_get(struct call *call, struct err *err)
{
    uint64_t after, wait_s;
    if (call_query_u64(call, "after", 0, INT64_MAX - 1, &after, err) < 0 ||
        call_query_u64(call, "wait", 0, HOLD_MAX_WAIT_S, &wait_s, err) < 0)
        return -1;
    struct robot_row *row = &call->robot;
    if (after > row->counter && jump_ahead(call->fleet, row, after, err) < 0)
        return -1;
    if (row->counter > after)
        return call_json(call, 200, assignment_text(call->fleet, row, err), err);
    return hold_question(call, ROSTER_ASSIGNMENT, after, wait_s, err);
}

static void answer_held(struct fleet *fleet, struct roster_entry *entry)
{
    struct roster_held *held = &entry->held[ROSTER_ASSIGNMENT];
    struct err err = {0};
    struct robot_row row;
    if (fleet->store->ops->robot_get(fleet->store, entry->id, &row, &err) == 0 && !row.revoked &&
        row.counter <= held->after)
        return; /* not for this question */
    struct http_request *request = hold_take(held);
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
    struct roster_held *held = &entry->held[ROSTER_ASSIGNMENT];
    bool changed = held->changed;
    held->changed = false;
    if (changed && held->request)
        answer_held(arg, entry);
}

void assignment_wake(struct api *api)
{
    if (!api->fleet->changed[ROSTER_ASSIGNMENT])
        return;
    api->fleet->changed[ROSTER_ASSIGNMENT] = false;
    roster_each(api->fleet->roster, wake_one, api->fleet);
}
