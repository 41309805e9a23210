/* GET /api/v1/director: what this robot is to run, signed by the director, with the approvals that its terms may ask for. The long poll of
 * hold.c: a held question is woken by the commit that changed the robot's assignment.
 *
 *     counter > after ────────────────────────────────────▶ the assignment as it was issued: the same bytes each time
 *     counter = after, in the last half of its time ──────▶ renewed: the counter grows
 *     counter < after (a server from a backup) ───────────▶ jumps over it, if it is not further ahead than a backup can explain: whoever has a
 *                                                           robot's key for a minute must not use up the numbers that it will ever get
 *
 * A release that the targets do not name any more is not renewed; robots that run it go on. */
#include "wire/director.h"
#include "base/clock.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "fleet/authority/authority.h"
#include "fleet/engine/consent.h"

#include <inttypes.h>

enum { MAX_JUMP = 1 << 20 };

static int fill_target(struct fleet *fleet, const struct robot_row *row, struct assignment *out,
                       struct err *err)
{
    struct release_row release = {0};
    if (digest_is_zero(&row->target))
        return 0;
    if (fleet->store->ops->release_get(fleet->store, &row->target, &release, err) < 0)
        return -1;
    snprintf(out->path, sizeof out->path, "%s/%s", release.name, release.version);
    out->length = release.manifest_bytes;
    out->release = row->target;
    out->rollback = row->target_rollback;
    out->plan = row->target_plan;
    return 0;
}

/* When it was issued stands in the row, so that the same assignment is the same bytes each time. */
static char *sign(struct fleet *fleet, const struct robot_row *row, struct err *err)
{
    int64_t issued_ms = row->issued_ms ? row->issued_ms : row->target_ms;
    struct assignment assignment = {.version = row->counter, .issued_s = issued_ms / 1000};
    assignment.expires_s = assignment.issued_s + authority_assignment_valid_s(fleet->authority);
    str_copy(assignment.robot, sizeof assignment.robot, row->id);
    return fill_target(fleet, row, &assignment, err) < 0 ? NULL
                                                         : authority_sign(fleet->authority, &assignment, err);
}

struct approvals {
    const struct robot_row *row;
    int64_t now_ms;
    size_t count;
    char *envelopes[ASSIGNMENT_MAX_APPROVALS];
};

/* Those that hold longest come first. */
static int add_approval(const struct approval_row *approval, void *arg)
{
    struct approvals *list = arg;
    bool fits = digest_is_zero(&approval->plan) || digest_equal(&approval->plan, &list->row->target_plan);
    if (approval->expires_ms <= list->now_ms)
        return 1;
    if (fits && (list->envelopes[list->count] = mem_strdup(approval->envelope)))
        list->count++;
    return list->count == ASSIGNMENT_MAX_APPROVALS;
}

static char *director_text(struct fleet *fleet, const struct robot_row *row, struct err *err)
{
    cleanup_free char *envelope = sign(fleet, row, err);
    struct approvals list = {.row = row, .now_ms = clock_wall_ms()};
    char *text = NULL;
    if (!envelope)
        return NULL;
    if (digest_is_zero(&row->target) ||
        fleet->store->ops->approval_each(fleet->store, &row->target, add_approval, &list, err) == 0) {
        text = director_answer_format(envelope, (const char *const *)list.envelopes, list.count);
        if (!text)
            (void)err_no_memory(err);
    }
    for (size_t i = 0; i < list.count; i++)
        free(list.envelopes[i]);
    return text;
}

static int reissue(struct fleet *fleet, struct robot_row *row, uint64_t beyond, struct err *err)
{
    if (group_enter(fleet->group, err) < 0)
        return -1;
    if (fleet_reissue(fleet, row, beyond, err) < 0) {
        group_cancel(fleet->group);
        return -1;
    }
    return group_leave(fleet->group, err);
}

/* In the last half of its time, and still released. */
static int renewal_is_due(struct fleet *fleet, const struct robot_row *row, bool *out, struct err *err)
{
    struct consent consent = {0};
    int64_t age_ms = clock_wall_ms() - row->issued_ms;
    *out = false;
    if (digest_is_zero(&row->target) ||
        (age_ms >= 0 && age_ms < authority_assignment_valid_s(fleet->authority) * 500))
        return 0;
    if (consent_ask(fleet, &row->target, &row->target_plan, &consent, err) < 0)
        return -1;
    *out = !consent.withdrawn;
    return 0;
}

static int check_jump(const struct robot_row *row, uint64_t after, struct err *err)
{
    if (after <= row->counter || after - row->counter <= MAX_JUMP)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "robot %s says that it has seen assignment %" PRIu64 ", the newest is %" PRIu64
                   ": no backup is that old; revoke it and enroll it again with an empty state directory",
                   row->id, after, row->counter);
}

int director_get(struct call *call, struct err *err)
{
    struct fleet *fleet = call->fleet;
    struct robot_row *row = &call->robot;
    uint64_t after, wait_s;
    bool due = false;
    if (call_query_u64(call, "after", 0, INT64_MAX - 1, &after, err) < 0 ||
        call_query_u64(call, "wait", 0, HOLD_MAX_WAIT_S, &wait_s, err) < 0 ||
        check_jump(row, after, err) < 0 || renewal_is_due(fleet, row, &due, err) < 0)
        return -1;
    if ((due || after > row->counter) && reissue(fleet, row, after, err) < 0)
        return -1;
    if (row->counter > after)
        return call_json(call, 200, director_text(fleet, row, err), err);
    return hold_question(call, ROSTER_DIRECTOR, after, wait_s, err);
}

static void answer_held(struct fleet *fleet, struct roster_entry *entry)
{
    struct roster_held *held = &entry->held[ROSTER_DIRECTOR];
    struct err err = {0};
    struct robot_row row;
    char *text = NULL;
    if (fleet->store->ops->robot_get(fleet->store, entry->id, &row, &err) == 0 &&
        device_refusal(&row, &err) == 0) {
        if (row.counter <= held->after)
            return; /* not for this question */
        text = director_text(fleet, &row, &err);
    }
    struct http_request *request = hold_take(held);
    if (text)
        group_reply(fleet->group, request, 200, NULL, text, strlen(text));
    else
        group_reply_error(fleet->group, request, &err);
}

static void wake_one(struct roster_entry *entry, void *arg)
{
    struct roster_held *held = &entry->held[ROSTER_DIRECTOR];
    bool changed = held->changed;
    held->changed = false;
    if (changed && held->request)
        answer_held(arg, entry);
}

void director_wake(struct api *api)
{
    if (!api->fleet->changed[ROSTER_DIRECTOR])
        return;
    api->fleet->changed[ROSTER_DIRECTOR] = false;
    roster_each(api->fleet->roster, wake_one, api->fleet);
}
