/* Decision records: kept as robots and rollouts made them, and shown. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "wire/decision.h"

enum { DEFAULT_LIMIT = 50, MAX_LIMIT = 500, KEEP_OF_A_ROBOT = 1000, PRUNE_EVERY = 64 };

/* A record that is none stays in the report alone. */
int decision_take(struct call *call, const struct api_report *report, struct err *err)
{
    struct store *store = call->fleet->store;
    struct decision decision;
    struct err bad = {0};
    uint64_t id;
    if (decision_parse(report->detail, strlen(report->detail), &decision, &bad) < 0)
        return 0;
    struct decision_row row = {.release = decision.release,
                               .time_ms = report->time_ms,
                               .received_ms = clock_wall_ms(),
                               .detail = (char *)(uintptr_t)report->detail};
    str_copy(row.robot, sizeof row.robot, call->robot.id);
    str_copy(row.who, sizeof row.who, decider_name(decision.who));
    str_copy(row.rule, sizeof row.rule, decision.rule);
    if (store->ops->decision_add(store, &row, &id, err) < 0)
        return -1;
    return id % PRUNE_EVERY ? 0 : store->ops->decision_prune(store, call->robot.id, KEEP_OF_A_ROBOT, err);
}

struct listing {
    struct call *call;
    struct json_writer w;
    uint64_t left;
};

static int view_one(const struct decision_row *row, void *arg)
{
    struct listing *listing = arg;
    if (!call_sees(listing->call, row->robot))
        return 0;
    jsonw_object(&listing->w, NULL);
    jsonw_u64(&listing->w, "id", row->id);
    jsonw_text(&listing->w, "robot", row->robot);
    view_release_ref(&listing->w, "release", listing->call->fleet, &row->release);
    jsonw_u64(&listing->w, "rollout", row->rollout);
    jsonw_text(&listing->w, "who", row->who);
    jsonw_text(&listing->w, "rule", row->rule);
    jsonw_i64(&listing->w, "time_ms", row->time_ms);
    jsonw_i64(&listing->w, "received_ms", row->received_ms);
    jsonw_raw(&listing->w, "decision", row->detail);
    jsonw_close(&listing->w);
    return --listing->left == 0;
}

int decision_list(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct listing listing = {.call = call};
    const char *robot = http_query(call->request, "robot"), *release = http_query(call->request, "release");
    struct decision_filter filter = {.robot = robot ? robot : "", .limit = -1};
    if (release && !digest_parse(release, &filter.release))
        return err_set(err, ERR_INVALID, "release: sha256: and 64 hexadecimal digits are wanted");
    if (call_query_u64(call, "rollout", 0, INT64_MAX, &filter.rollout, err) < 0 ||
        call_query_u64(call, "before", 0, INT64_MAX, &filter.before, err) < 0 ||
        call_query_u64(call, "limit", DEFAULT_LIMIT, MAX_LIMIT, &listing.left, err) < 0)
        return -1;
    jsonw_init(&listing.w);
    jsonw_object(&listing.w, NULL);
    jsonw_array(&listing.w, "decisions");
    int done = listing.left ? store->ops->decision_each(store, &filter, view_one, &listing, err) : 0;
    jsonw_close(&listing.w);
    jsonw_close(&listing.w);
    if (done == 0)
        done = call_writer(call, 200, &listing.w, err);
    jsonw_fini(&listing.w);
    return done;
}
