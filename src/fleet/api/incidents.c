/* Incidents: what a robot's black box sealed. The robot sends the file in parts, then says that it is there; only what is whole,
 * of this robot and signed by its device key becomes an incident, and what is told about it comes from the file alone. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "trust/incident.h"
#include "wire/json.h"

#include <sys/mman.h>
#include <unistd.h>

enum { MOST_OF_A_ROBOT = 256, DEFAULT_LIMIT = 50, MAX_LIMIT = 200 };
static const uint64_t MOST_BYTES_OF_A_ROBOT = 1ull << 30;

/* ---- from the robot ---- */

/* One upload per robot: a new one forgets what the last one left. What is an incident already is nobody's upload. */
static int begin_upload(struct call *call, const struct digest *digest, struct err *err)
{
    struct store *store = call->fleet->store;
    struct incident_row row;
    struct digest before;
    struct err none = {0};
    if (store->ops->incident_by_digest(store, digest, &row, &none) == 0)
        return str_eq(row.robot, call->robot.id) ? 0
                                                 : err_set(err, ERR_CONFLICT, "this file is another robot's");
    if (none.code != ERR_NOT_FOUND) {
        *err = none;
        return -1;
    }
    if (store->ops->incident_upload_get(store, call->robot.id, &before, err) < 0)
        return -1;
    if (digest_equal(&before, digest))
        return 0;
    if (!digest_is_zero(&before))
        blobs_drop(call->fleet->incidents, &before);
    return store->ops->incident_upload_set(store, call->robot.id, digest, err);
}

int incident_put(struct call *call, struct err *err)
{
    struct blobs_part part = {0};
    uint64_t have = 0;
    part.data = http_body(call->request, &part.len);
    if (call_digest(call, &part.digest, err) < 0 ||
        call_query_u64(call, "offset", 0, INT64_MAX, &part.offset, err) < 0 ||
        call_query_u64(call, "total", part.offset + part.len, INT64_MAX, &part.total, err) < 0 ||
        begin_upload(call, &part.digest, err) < 0 || blobs_put(call->fleet->incidents, &part, &have, err) < 0)
        return -1;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "have", have);
    jsonw_u64(&w, "total", part.total);
    jsonw_close(&w);
    return call_writer(call, have == part.total ? 201 : 202, &w, err);
}

static int verify(const struct fleet *fleet, const struct digest *digest, struct incident_verdict *out,
                  uint64_t *out_bytes, struct err *err)
{
    cleanup_free char *ca = fleet_path(fleet, "ca.pem");
    cleanup_close int fd = -1;
    if (!ca)
        return err_no_memory(err);
    if (blobs_read(fleet->incidents, digest, &fd, out_bytes, err) < 0)
        return -1;
    if (*out_bytes == 0)
        return err_set(err, ERR_INVALID, "the file is empty");
    void *data = mmap(NULL, (size_t)*out_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return err_errno(err, "cannot map the incident");
    int done = incident_verify(data, (size_t)*out_bytes, ca, out, err);
    munmap(data, (size_t)*out_bytes);
    if (done == 0 && out->signature != INCIDENT_TRUSTED)
        return err_set(err, ERR_UNTRUSTED, "the incident is not signed");
    return done;
}

static struct incident_row row_of(const struct call *call, const struct digest *digest, uint64_t bytes,
                                  const struct incident_facts *facts)
{
    struct incident_row row = {.digest = *digest,
                               .bytes = bytes,
                               .severity = facts->severity,
                               .time_ms = facts->time_ms,
                               .from_ms = facts->from_ms,
                               .until_ms = facts->until_ms,
                               .received_ms = clock_wall_ms(),
                               .release = facts->release,
                               .frames = facts->frames,
                               .verdicts = facts->verdicts};
    str_copy(row.robot, sizeof row.robot, call->robot.id);
    str_copy(row.name, sizeof row.name, facts->id);
    str_copy(row.cause, sizeof row.cause, facts->cause);
    str_copy(row.text, sizeof row.text, facts->text);
    str_copy(row.who, sizeof row.who, facts->who);
    str_copy(row.reason, sizeof row.reason, facts->reason);
    return row;
}

/* A robot's oldest lesser ones go for a new one; a grave one never goes for a lesser one. */
static int make_room(struct call *call, const struct incident_row *row, struct err *err)
{
    struct store *store = call->fleet->store;
    for (;;) {
        uint64_t count = 0, bytes = 0;
        struct incident_row victim;
        if (store->ops->incident_sum(store, row->robot, &count, &bytes, err) < 0)
            return -1;
        if (count == 0 || (count < MOST_OF_A_ROBOT && bytes + row->bytes <= MOST_BYTES_OF_A_ROBOT))
            return 0;
        if (store->ops->incident_victim(store, row->robot, &victim, err) < 0)
            return -1;
        if (victim.severity > row->severity)
            return err_set(err, ERR_REFUSED,
                           "the server keeps %d incidents of a robot, and all of them are graver",
                           MOST_OF_A_ROBOT);
        if (store->ops->incident_drop(store, victim.id, err) < 0)
            return -1;
        blobs_drop(call->fleet->incidents, &victim.digest);
    }
}

static int parse_digest(struct call *call, struct digest *out, struct err *err)
{
    size_t len;
    const uint8_t *body = http_body(call->request, &len);
    struct json_reader reader;
    if (json_read(&reader, "request", body, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "digest");
    json_get_digest(root, "digest", out);
    return json_finish(&reader, err);
}

static int reply_id(struct call *call, int status, uint64_t id, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "id", id);
    jsonw_close(&w);
    return call_writer(call, status, &w, err);
}

static int record(struct call *call, const struct incident_row *row, struct err *err)
{
    const char *robots[] = {row->robot};
    char text[sizeof row->name + DIGEST_TEXT_SIZE + 2];
    snprintf(text, sizeof text, "%s, %s", row->name, digest_format(&row->digest).text);
    const struct audit_entry entry = {.kind = "incident",
                                      .what = row->cause,
                                      .who = row->who,
                                      .why = row->reason,
                                      .robots = robots,
                                      .robot_count = 1,
                                      .release = row->release,
                                      .text = text};
    return fleet_audit(call->fleet, &entry, err);
}

/* Takes the file in. A name that is known: an answer was lost on the way, or the robot began to count anew; the first one stays. */
static int take_in(struct call *call, const struct digest *digest, const struct incident_verdict *verdict,
                   uint64_t bytes, struct err *err)
{
    struct store *store = call->fleet->store;
    struct incident_row row = row_of(call, digest, bytes, &verdict->facts);
    static const struct digest none;
    if (make_room(call, &row, err) < 0 || store->ops->incident_add(store, &row, &row.id, err) < 0 ||
        store->ops->incident_upload_set(store, row.robot, &none, err) < 0 ||
        fleet_event(call->fleet, "incident", row.robot, err, "%s%s%s%s%s", row.cause, row.text[0] ? ": " : "",
                    row.text, row.who[0] ? ", by " : "", row.who) < 0 ||
        record(call, &row, err) < 0)
        return -1;
    return reply_id(call, 201, row.id, err);
}

int incident_post(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct digest digest, upload;
    struct incident_row known;
    struct incident_verdict verdict;
    struct err none = {0};
    uint64_t bytes = 0;
    if (parse_digest(call, &digest, err) < 0)
        return -1;
    if (store->ops->incident_by_digest(store, &digest, &known, &none) == 0 &&
        str_eq(known.robot, call->robot.id))
        return reply_id(call, 200, known.id, err);
    if (store->ops->incident_upload_get(store, call->robot.id, &upload, err) < 0)
        return -1;
    if (!digest_equal(&upload, &digest))
        return err_set(err, ERR_NOT_FOUND, "the file of this incident is not here; send it first");
    if (verify(call->fleet, &digest, &verdict, &bytes, err) == 0) {
        if (str_eq(verdict.signer, call->robot.id))
            return take_in(call, &digest, &verdict, bytes, err);
        err_set(err, ERR_UNTRUSTED, "the incident is of robot %s", verdict.signer);
    }
    if (err->code == ERR_UNTRUSTED || err->code == ERR_CORRUPT || err->code == ERR_INVALID)
        blobs_drop(call->fleet->incidents, &digest);
    return -1;
}

/* ---- to the operator ---- */

static void view(struct json_writer *w, struct fleet *fleet, const struct incident_row *row)
{
    jsonw_u64(w, "id", row->id);
    jsonw_text(w, "robot", row->robot);
    jsonw_text(w, "name", row->name);
    jsonw_text(w, "cause", row->cause);
    jsonw_i64(w, "severity", row->severity);
    jsonw_text(w, "text", row->text);
    jsonw_text(w, "who", row->who);
    jsonw_text(w, "reason", row->reason);
    jsonw_i64(w, "time_ms", row->time_ms);
    jsonw_i64(w, "from_ms", row->from_ms);
    jsonw_i64(w, "until_ms", row->until_ms);
    jsonw_i64(w, "received_ms", row->received_ms);
    view_release_ref(w, "release", fleet, &row->release);
    jsonw_u64(w, "frames", row->frames);
    jsonw_u64(w, "verdicts", row->verdicts);
    jsonw_u64(w, "bytes", row->bytes);
    jsonw_digest(w, "digest", &row->digest);
}

struct listing {
    struct json_writer w;
    const struct call *call;
    uint64_t left;
};

static bool shown(const struct call *call, const char *robot)
{
    struct err err = {0};
    return call_may_id(call, RIGHT_SEE_RECORDINGS, robot, &err) == 0;
}

static int view_one(const struct incident_row *row, void *arg)
{
    struct listing *listing = arg;
    if (!shown(listing->call, row->robot))
        return 0;
    if (listing->left-- == 0)
        return 1;
    jsonw_object(&listing->w, NULL);
    view(&listing->w, listing->call->fleet, row);
    jsonw_close(&listing->w);
    return 0;
}

int incident_list(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    const char *robot = http_query(call->request, "robot");
    uint64_t before = 0, limit = 0;
    if (robot && !str_is_name(robot, API_ID_SIZE - 1))
        return err_set(err, ERR_INVALID, "query parameter robot wants a robot id");
    if (call_query_u64(call, "before", 0, INT64_MAX, &before, err) < 0 ||
        call_query_u64(call, "limit", DEFAULT_LIMIT, MAX_LIMIT, &limit, err) < 0)
        return -1;
    struct listing listing = {.call = call, .left = limit};
    jsonw_init(&listing.w);
    jsonw_object(&listing.w, NULL);
    jsonw_array(&listing.w, "incidents");
    int done =
        store->ops->incident_each(store, robot ? robot : "", before, INT64_MAX, view_one, &listing, err);
    jsonw_close(&listing.w);
    jsonw_close(&listing.w);
    if (done == 0)
        done = call_writer(call, 200, &listing.w, err);
    jsonw_fini(&listing.w);
    return done;
}

/* The incident :id, if the operator may see what that robot recorded; the same words for one that he may not, and for none. */
static int find_incident(struct call *call, struct incident_row *out, struct err *err)
{
    struct store *store = call->fleet->store;
    uint64_t id;
    if (call_id(call, &id, err) < 0)
        return -1;
    if (store->ops->incident_get(store, id, out, err) == 0 && shown(call, out->robot))
        return 0;
    if (err->code != ERR_NONE && err->code != ERR_NOT_FOUND)
        return -1;
    return err_set(err, ERR_NOT_FOUND, "incident %llu is not known", (unsigned long long)id);
}

int incident_get(struct call *call, struct err *err)
{
    struct incident_row row;
    if (find_incident(call, &row, err) < 0)
        return -1;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    view(&w, call->fleet, &row);
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}

int incident_file_get(struct call *call, struct err *err)
{
    struct incident_row row;
    uint64_t size;
    int fd;
    if (find_incident(call, &row, err) < 0 ||
        blobs_read(call->fleet->incidents, &row.digest, &fd, &size, err) < 0)
        return -1;
    struct digest_text text = digest_format(&row.digest);
    char etag[DIGEST_TEXT_SIZE + 2], name[160];
    snprintf(etag, sizeof etag, "\"%s\"", text.text);
    snprintf(name, sizeof name, "attachment; filename=\"%s-%s.mcap\"", row.robot, row.name);
    http_set_header(call->request, "Content-Disposition", name);
    call->taken = true;
    http_reply_file(call->request, fd, size, "application/octet-stream", etag);
    return 0;
}
