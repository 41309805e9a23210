/* What people say: a verdict on a frame or an alarm, and what no release noticed. Every word is on record (audit log) before it counts. */
#include "base/clock.h"
#include "base/str.h"
#include "fleet/api/reviews.h"
#include "wire/json.h"

enum { MOST_MISSED = 100, MISSED_LIST = 1000 };

static int record(struct call *call, const char *what, const char *robot, const struct digest *release,
                  const char *why, const char *text, struct err *err)
{
    const char *robots[] = {robot};
    const struct audit_entry entry = {.kind = "review",
                                      .what = what,
                                      .who = call->operator_name,
                                      .why = why,
                                      .robots = robots,
                                      .robot_count = 1,
                                      .release = *release,
                                      .text = text};
    return fleet_audit(call->fleet, &entry, err);
}

struct word {
    int verdict; /* enum review_verdict */
    int64_t missed;
    char note[112];
};

static int parse_word(struct call *call, struct word *out, struct err *err)
{
    static const char *const verdicts[] = {"seen", "true", "false",
                                           "unsure"}; /* in the order of enum review_verdict */
    size_t len;
    const uint8_t *body = http_body(call->request, &len);
    struct json_reader reader;
    *out = (struct word){0};
    if (json_read(&reader, "request", body, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "verdict", "missed", "note");
    json_get_choice(root, "verdict", verdicts, REVIEW_VERDICTS, &out->verdict);
    if (json_has(root, "missed"))
        json_get_int(root, "missed", 0, MOST_MISSED, &out->missed);
    if (json_has(root, "note"))
        json_get_line(root, "note", out->note, sizeof out->note);
    return json_finish(&reader, err);
}

/* "seen" opens an alarm's life; a verdict may be changed, each one is on record. */
int review_post(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct review_row row;
    struct word word;
    char text[64];
    if (parse_word(call, &word, err) < 0 || review_find(call, RIGHT_REVIEW, &row, err) < 0)
        return -1;
    int64_t now_ms = clock_wall_ms();
    row.seen_ms = row.seen_ms ? row.seen_ms : now_ms;
    if (word.verdict != REVIEW_OPEN) {
        row.verdict = (enum review_verdict)word.verdict;
        row.missed = (uint32_t)word.missed;
        row.decided_ms = now_ms;
        str_copy(row.decided_by, sizeof row.decided_by, call->operator_name);
        str_copy(row.note, sizeof row.note, word.note);
        snprintf(text, sizeof text, "review %llu: %s, %u missed", (unsigned long long)row.id,
                 review_verdict_name(row.verdict), row.missed);
        if (record(call, review_verdict_name(row.verdict), row.robot, &row.release, row.note, text, err) < 0)
            return -1;
    }
    if (store->ops->review_save(store, &row, err) < 0)
        return -1;
    call->fleet->dirty = true; /* a gate may be waiting for it */
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    review_view(&w, call->fleet, &row);
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}

/* ---- missed ---- */

static void view_missed(struct json_writer *w, struct fleet *fleet, const struct missed_row *row)
{
    jsonw_u64(w, "id", row->id);
    jsonw_text(w, "robot", row->robot);
    jsonw_text(w, "site", row->site);
    view_release_ref(w, "release", fleet, &row->release);
    jsonw_i64(w, "from_ms", row->from_ms);
    jsonw_i64(w, "until_ms", row->until_ms);
    jsonw_i64(w, "reported_ms", row->reported_ms);
    jsonw_text(w, "label", row->label);
    jsonw_text(w, "note", row->note);
    jsonw_text(w, "who", row->who);
}

static int parse_missed(struct call *call, struct missed_row *out, struct err *err)
{
    size_t len;
    const uint8_t *body = http_body(call->request, &len);
    struct json_reader reader;
    *out = (struct missed_row){.reported_ms = clock_wall_ms()};
    if (json_read(&reader, "request", body, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "robot", "from_ms", "until_ms", "label", "release", "note");
    json_get_name(root, "robot", out->robot, sizeof out->robot);
    json_get_int(root, "from_ms", 0, INT64_MAX, &out->from_ms);
    json_get_int(root, "until_ms", out->from_ms, INT64_MAX, &out->until_ms);
    json_get_line(root, "label", out->label, sizeof out->label);
    if (json_has(root, "release"))
        json_get_digest(root, "release", &out->release);
    if (json_has(root, "note"))
        json_get_line(root, "note", out->note, sizeof out->note);
    return json_finish(&reader, err);
}

/* Without a release it is what the robot runs now: say it for what is longer ago. */
static int complete(struct call *call, struct missed_row *row, struct err *err)
{
    struct store *store = call->fleet->store;
    struct robot_row robot;
    if (call_may_id(call, RIGHT_REVIEW, row->robot, err) < 0 ||
        store->ops->robot_get(store, row->robot, &robot, err) < 0)
        return -1;
    if (digest_is_zero(&row->release))
        row->release = robot.running;
    str_copy(row->site, sizeof row->site, view_site(&robot));
    str_copy(row->who, sizeof row->who, call->operator_name);
    return 0;
}

int missed_post(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct missed_row row;
    char text[64];
    if (parse_missed(call, &row, err) < 0 || complete(call, &row, err) < 0)
        return -1;
    snprintf(text, sizeof text, "missed: %s", row.label);
    if (record(call, "missed", row.robot, &row.release, row.note, text, err) < 0 ||
        store->ops->missed_add(store, &row, &row.id, err) < 0)
        return -1;
    call->fleet->dirty = true;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    view_missed(&w, call->fleet, &row);
    jsonw_close(&w);
    return call_writer(call, 201, &w, err);
}

struct listing {
    struct call *call;
    struct json_writer w;
    int left;
};

static int view_one(const struct missed_row *row, void *arg)
{
    struct listing *listing = arg;
    struct err err = {0};
    if (call_may_id(listing->call, RIGHT_SEE_RECORDINGS, row->robot, &err) < 0)
        return 0;
    jsonw_object(&listing->w, NULL);
    view_missed(&listing->w, listing->call->fleet, row);
    jsonw_close(&listing->w);
    return --listing->left == 0;
}

int missed_list(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct listing listing = {.call = call, .left = MISSED_LIST};
    const struct digest any = {0};
    jsonw_init(&listing.w);
    jsonw_object(&listing.w, NULL);
    jsonw_array(&listing.w, "missed");
    int done = store->ops->missed_each(store, &any, view_one, &listing, err);
    jsonw_close(&listing.w);
    jsonw_close(&listing.w);
    if (done == 0)
        done = call_writer(call, 200, &listing.w, err);
    jsonw_fini(&listing.w);
    return done;
}
