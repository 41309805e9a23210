/* Enrolment: one-time tokens, and certificates for them. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "sys/file.h"
#include "trust/ca.h"
#include "wire/api.h"
#include "wire/json.h"

enum { TOKEN_VALID_S = 24 * 3600, TOKEN_MAX_VALID_S = 90 * 24 * 3600 };

static void add_label(const char *key, struct json_at value, void *arg)
{
    struct enroll_token_row *row = arg;
    if (row->label_count == API_MAX_LABELS) {
        json_fail(value, "more than %d labels", API_MAX_LABELS);
        return;
    }
    struct api_label *label = &row->labels[row->label_count++];
    if (!str_is_name(key, sizeof label->key - 1))
        json_fail(value, "a label's name wants 1 to %zu characters of [a-zA-Z0-9._-]", sizeof label->key - 1);
    str_copy(label->key, sizeof label->key, key);
    json_as_string(value, label->value, sizeof label->value);
    for (const char *c = label->value; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            json_fail(value, "control characters do not belong into a label");
}

static int parse_token_request(struct call *call, struct enroll_token_row *row, int64_t *valid_s,
                               struct err *err)
{
    size_t len;
    const uint8_t *body = http_body(call->request, &len);
    struct json_reader reader;
    *valid_s = TOKEN_VALID_S;
    if (json_read(&reader, "request", body, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    json_only(root, (const char *const[]){"robot", "labels", "valid_s", NULL});
    if (json_has(root, "robot"))
        json_get_name(root, "robot", row->robot, sizeof row->robot);
    if (json_has(root, "labels"))
        json_each(json_child(root, "labels"), add_label, row);
    if (json_has(root, "valid_s"))
        json_get_int(root, "valid_s", 1, TOKEN_MAX_VALID_S, valid_s);
    return json_finish(&reader, err);
}

/* The token itself is nobody's business; its hash tells later which one was used. */
static int record_token(struct call *call, const struct enroll_token_row *row, struct err *err)
{
    const char *robots[] = {row->robot};
    const struct digest_text hash = digest_format(&row->hash);
    const struct audit_entry entry = {.kind = "token",
                                      .who = call->operator_name,
                                      .what = "enroll",
                                      .robots = robots,
                                      .robot_count = row->robot[0] ? 1 : 0,
                                      .text = hash.text};
    return fleet_audit(call->fleet, &entry, err);
}

int enroll_token_post(struct call *call, struct err *err)
{
    struct enroll_token_row row = {.created_ms = clock_wall_ms()};
    char token[65];
    int64_t valid_s;
    if (parse_token_request(call, &row, &valid_s, err) < 0 || token_make(token, err) < 0)
        return -1;
    row.hash = token_digest(token);
    row.expires_ms = row.created_ms + valid_s * 1000;
    if (call->fleet->store->ops->enroll_add(call->fleet->store, &row, err) < 0 ||
        record_token(call, &row, err) < 0)
        return -1;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_text(&w, "token", token);
    if (row.robot[0])
        jsonw_text(&w, "robot", row.robot);
    else
        jsonw_nothing(&w, "robot");
    jsonw_i64(&w, "expires_ms", row.expires_ms);
    jsonw_close(&w);
    return call_writer(call, 201, &w, err);
}

/* It is looked up by its hash, so that no comparison tells how near a guess was. */
static int check_token(struct call *call, const struct api_enroll *enroll, struct enroll_token_row *token,
                       struct err *err)
{
    struct digest hash = token_digest(enroll->token);
    if (call->fleet->store->ops->enroll_get(call->fleet->store, &hash, token, err) < 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        err_set(err, ERR_DENIED, "the enrolment token is not known; make one with muster robot enroll-token");
        return call_guessed(call, err);
    }
    if (token->expires_ms <= clock_wall_ms())
        return err_set(err, ERR_DENIED, "the enrolment token has expired; ask for a new one");
    return 0;
}

/* The robot's row as it will be; an existing robot keeps what it is and gets a new certificate. */
static int prepare_robot(struct call *call, const char *common_name, const struct enroll_token_row *token,
                         struct robot_row *row, struct err *err)
{
    const char *id = token->robot[0] ? token->robot : common_name;
    struct err absent = {0};
    if (call->fleet->store->ops->robot_get(call->fleet->store, id, row, &absent) == 0) {
        if (!token->robot[0])
            return err_set(err, ERR_CONFLICT, "robot %s exists; a token made for it is needed", id);
    } else if (absent.code == ERR_NOT_FOUND) {
        *row = (struct robot_row){0};
        str_copy(row->id, sizeof row->id, id);
    } else {
        return *err = absent, -1;
    }
    if (token->label_count) {
        memcpy(row->labels, token->labels, sizeof row->labels);
        row->label_count = token->label_count;
    }
    return 0;
}

static int read_pem(struct fleet *fleet, const char *name, char *out, size_t size, struct err *err)
{
    cleanup_free char *path = fleet_path(fleet, name);
    cleanup_buf struct buf text = BUF_INIT(size - 1);
    if (!path)
        return err_no_memory(err);
    if (file_read(path, &text, err) < 0)
        return -1;
    str_copy(out, size, buf_text(&text));
    return 0;
}

int enroll_answer(struct call *call, const char *robot, const char *certificate, struct api_enrolled *out,
                  struct err *err)
{
    str_copy(out->robot, sizeof out->robot, robot);
    if (!str_copy(out->certificate, sizeof out->certificate, certificate))
        return err_set(err, ERR_INTERNAL, "the certificate is too long");
    return read_pem(call->fleet, "ca.pem", out->ca, sizeof out->ca, err);
}

int enroll_issue(struct call *call, const char *csr, const char *robot, char out_serial[STORE_SERIAL_SIZE],
                 struct api_enrolled *out, struct err *err)
{
    cleanup_free char *certificate = NULL;
    char serial[CERT_SERIAL_SIZE];
    if (ca_sign_csr(call->fleet->dir, csr, strlen(csr), robot, call->fleet->certificate_s,
                    clock_wall_ms() / 1000, &certificate, serial, err) < 0)
        return -1;
    str_copy(out_serial, STORE_SERIAL_SIZE, serial);
    return enroll_answer(call, robot, certificate, out, err);
}

/* One enrolment on its way. */
struct enrolment {
    struct api_enroll request;
    struct api_enrolled answer;
    struct enroll_token_row token;
    struct robot_row robot;
    struct device_row device; /* as it was, then as it is */
    struct digest key;
    char common_name[API_ID_SIZE];
};

static int find_device(struct call *call, struct enrolment *e, struct err *err)
{
    struct err absent = {0};
    if (call->fleet->store->ops->device_get(call->fleet->store, e->robot.id, &e->device, &absent) == 0)
        return 0;
    if (absent.code != ERR_NOT_FOUND)
        return *err = absent, -1;
    e->device = (struct device_row){0};
    str_copy(e->device.robot, sizeof e->device.robot, e->robot.id);
    return 0;
}

/* The answer was lost on the way: the same one again, so that requests which overtake each other leave one certificate. */
static int answer_again(struct call *call, struct enrolment *e, struct err *err)
{
    bool kept = digest_equal(&e->device.request, &e->token.hash) && digest_equal(&e->device.key, &e->key);
    if (!kept || !e->device.certificate[0])
        return err_set(err, ERR_CONFLICT, "the enrolment token was used already; ask for a new one");
    return enroll_answer(call, e->robot.id, e->device.certificate, &e->answer, err);
}

static int record(struct call *call, const struct enrolment *e, struct err *err)
{
    const char *robots[] = {e->robot.id};
    char text[200];
    snprintf(text, sizeof text, "certificate %s for token %s", e->robot.serial,
             digest_format(&e->token.hash).text);
    const struct audit_entry entry = {.kind = "enrolled", .robots = robots, .robot_count = 1, .text = text};
    return fleet_audit(call->fleet, &entry, err);
}

/* Everything that was known of its certificates is over with this. */
static int admit(struct call *call, struct enrolment *e, struct err *err)
{
    struct store *store = call->fleet->store;
    struct robot_row *row = &e->robot;
    struct roster_entry *entry = roster_get(call->fleet->roster, row->id);
    if (!entry)
        return err_no_memory(err);
    if (row->quarantined_ms && digest_equal(&e->device.key, &e->key))
        return err_set(err, ERR_CONFLICT,
                       "robot %s is quarantined and its key may be in two places; make it a new one: remove "
                       "device.key from its state directory",
                       row->id);
    row->revoked = false;
    row->quarantined_ms = 0;
    row->quarantine_text[0] = row->next_serial[0] = 0;
    row->enrolled_ms = clock_wall_ms();
    if (enroll_issue(call, e->request.csr, row->id, row->serial, &e->answer, err) < 0)
        return -1;
    e->device.key = e->key;
    e->device.request = e->token.hash;
    str_copy(e->device.certificate, sizeof e->device.certificate, e->answer.certificate);
    if (store->ops->robot_save(store, row, err) < 0 || store->ops->device_begin(store, &e->device, err) < 0 ||
        fleet_event(call->fleet, "enrolled", row->id, err, "certificate %s", row->serial) < 0 ||
        record(call, e, err) < 0)
        return -1;
    entry->lives = (struct instance_watch){0};
    entry->certified_ns = clock_mono_ns();
    fleet_cut(call->fleet, row->id);
    fleet_changed(call->fleet, row->id);
    return 0;
}

int enroll_post(struct call *call, struct err *err)
{
    size_t len;
    const uint8_t *body = http_body(call->request, &len);
    struct store *store = call->fleet->store;
    cleanup_free struct enrolment *e = mem_zalloc(1, sizeof *e);
    if (!e)
        return err_no_memory(err);
    if (api_enroll_parse(body, len, &e->request, err) < 0 ||
        check_token(call, &e->request, &e->token, err) < 0 ||
        csr_read(e->request.csr, strlen(e->request.csr), e->common_name, sizeof e->common_name, &e->key,
                 err) < 0 ||
        prepare_robot(call, e->common_name, &e->token, &e->robot, err) < 0 || find_device(call, e, err) < 0 ||
        store->ops->enroll_use(store, &e->token.hash, e->robot.id, &e->key, clock_wall_ms(), err) < 0)
        return -1;
    if ((e->token.used_ms ? answer_again(call, e, err) : admit(call, e, err)) < 0)
        return -1;
    return call_json(call, 200, api_enrolled_format(&e->answer), err);
}
