/* Enrolment: one-time tokens, and certificates for them. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "sys/file.h"
#include "trust/ca.h"
#include "wire/api.h"
#include "wire/json.h"

enum { CERTIFICATE_VALID_S = 365 * 24 * 3600, TOKEN_VALID_S = 24 * 3600, TOKEN_MAX_VALID_S = 90 * 24 * 3600 };

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

int enroll_token_post(struct call *call, struct err *err)
{
    struct enroll_token_row row = {.created_ms = clock_wall_ms()};
    char token[65];
    int64_t valid_s;
    if (parse_token_request(call, &row, &valid_s, err) < 0 || token_make(token, err) < 0)
        return -1;
    row.hash = token_digest(token);
    row.expires_ms = row.created_ms + valid_s * 1000;
    if (call->fleet->store->ops->enroll_add(call->fleet->store, &row, err) < 0)
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

static int check_token(struct call *call, const struct api_enroll *enroll, struct enroll_token_row *token,
                       struct err *err)
{
    struct digest hash = token_digest(enroll->token);
    if (call->fleet->store->ops->enroll_get(call->fleet->store, &hash, token, err) < 0)
        return err->code == ERR_NOT_FOUND
                   ? err_set(err, ERR_DENIED,
                             "the enrolment token is not known; make one with muster robot enroll-token")
                   : -1;
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
    row->revoked = false;
    row->enrolled_ms = clock_wall_ms();
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

static int issue(struct call *call, const struct api_enroll *enroll, struct robot_row *row,
                 struct api_enrolled *out, struct err *err)
{
    cleanup_free char *certificate = NULL;
    char serial[CERT_SERIAL_SIZE];
    if (ca_sign_csr(call->fleet->dir, enroll->csr, strlen(enroll->csr), row->id, CERTIFICATE_VALID_S,
                    clock_wall_ms() / 1000, &certificate, serial, err) < 0)
        return -1;
    str_copy(row->serial, sizeof row->serial, serial);
    str_copy(out->robot, sizeof out->robot, row->id);
    if (!str_copy(out->certificate, sizeof out->certificate, certificate))
        return err_set(err, ERR_INTERNAL, "the certificate is too long");
    return read_pem(call->fleet, "ca.pem", out->ca, sizeof out->ca, err);
}

int enroll_post(struct call *call, struct err *err)
{
    size_t len;
    const uint8_t *body = http_body(call->request, &len);
    struct store *store = call->fleet->store;
    struct api_enroll enroll;
    struct api_enrolled enrolled = {0};
    struct enroll_token_row token;
    struct robot_row row;
    struct digest key;
    char name[API_ID_SIZE];
    if (api_enroll_parse(body, len, &enroll, err) < 0 || check_token(call, &enroll, &token, err) < 0 ||
        csr_read(enroll.csr, strlen(enroll.csr), name, sizeof name, &key, err) < 0 ||
        prepare_robot(call, name, &token, &row, err) < 0 ||
        store->ops->enroll_use(store, &token.hash, row.id, &key, clock_wall_ms(), err) < 0 ||
        issue(call, &enroll, &row, &enrolled, err) < 0 || store->ops->robot_save(store, &row, err) < 0 ||
        fleet_event(call->fleet, "enrolled", row.id, err, "certificate %s", row.serial) < 0)
        return -1;
    fleet_changed(call->fleet, row.id);
    return call_json(call, 200, api_enrolled_format(&enrolled), err);
}
