#include "wire/api.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/json.h"
#include "wire/json_tree.h"
#include "wire/json_write.h"

static const char *const report_words[REPORT_KIND_COUNT] = {
    [REPORT_STARTED] = "started",
    [REPORT_ASSIGNED] = "assigned",
    [REPORT_DOWNLOADED] = "downloaded",
    [REPORT_VERIFIED] = "verified",
    [REPORT_SELF_TESTED] = "self_tested",
    [REPORT_ACTIVATED] = "activated",
    [REPORT_COMMITTED] = "committed",
    [REPORT_ROLLED_BACK] = "rolled_back",
    [REPORT_FAILED] = "failed",
    [REPORT_GUARD] = "guard",
    [REPORT_RESTARTED] = "restarted",
    [REPORT_OPERATOR] = "operator",
    [REPORT_SHADOWED] = "shadowed",
    [REPORT_WITNESS] = "witness",
    [REPORT_DRIFT] = "drift",
    [REPORT_DECISION] = "decision",
    [REPORT_GAP] = "gap",
};

static const char *const guard_words[API_GUARD_COUNT] = {
    [API_GUARD_NONE] = "",
    [API_GUARD_INIT] = "init",
    [API_GUARD_STANDBY] = "standby",
    [API_GUARD_AUTO] = "auto",
    [API_GUARD_DEGRADED] = "degraded",
    [API_GUARD_FALLBACK] = "fallback",
    [API_GUARD_FORCED] = "forced",
    [API_GUARD_HOLD] = "hold",
    [API_GUARD_OVERRIDE] = "override",
    [API_GUARD_SAFE_STOP] = "safe_stop",
    [API_GUARD_ESTOP] = "estop",
    [API_GUARD_ACK_WAIT] = "ack_wait",
    [API_GUARD_SERVICE] = "service",
    [API_GUARD_GONE] = "gone",
};

const char *api_guard_name(enum api_guard state)
{
    return (unsigned)state < API_GUARD_COUNT ? guard_words[state] : "";
}

const char *report_kind_name(enum report_kind kind)
{
    return (unsigned)kind < REPORT_KIND_COUNT ? report_words[kind] : "unknown";
}

/* ---- enrolment ---- */

/* Visible ASCII: hexadecimal and every kind of base64. */
static void get_token(struct json_at at, char *out, size_t out_size)
{
    json_get_string(at, "token", out, out_size);
    bool visible = out[0] != 0;
    for (const char *c = out; *c; c++)
        visible = visible && *c > 0x20 && *c < 0x7f;
    if (!visible)
        json_fail(at, "token: must be of visible ASCII characters");
}

/* One PEM block or more: printable ASCII and newlines, framed as PEM is. */
static void get_pem(struct json_at at, const char *key, char *out, size_t out_size)
{
    json_get_string(at, key, out, out_size);
    bool clean = str_starts(out, "-----BEGIN ");
    for (const char *c = out; *c; c++)
        clean = clean && ((*c >= 0x20 && *c < 0x7f) || *c == '\n' || *c == '\r');
    if (!clean)
        json_fail(at, "%s: must be PEM text", key);
}

int api_enroll_parse(const void *text, size_t len, struct api_enroll *out, struct err *err)
{
    struct json_reader reader;
    if (json_read(&reader, "enrolment request", text, len, err) < 0)
        return -1;
    memset(out, 0, sizeof *out);
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "token", "csr");
    get_token(root, out->token, sizeof out->token);
    get_pem(root, "csr", out->csr, sizeof out->csr);
    return json_finish(&reader, err);
}

char *api_enroll_format(const struct api_enroll *enroll)
{
    return json_write_new(json_pack("{s:s, s:s}", "token", enroll->token, "csr", enroll->csr));
}

int api_renew_parse(const void *text, size_t len, struct api_renew *out, struct err *err)
{
    struct json_reader reader;
    if (json_read(&reader, "renewal request", text, len, err) < 0)
        return -1;
    memset(out, 0, sizeof *out);
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "csr");
    get_pem(root, "csr", out->csr, sizeof out->csr);
    return json_finish(&reader, err);
}

char *api_renew_format(const struct api_renew *renew)
{
    return json_write_new(json_pack("{s:s}", "csr", renew->csr));
}

int api_enrolled_parse(const void *text, size_t len, struct api_enrolled *out, struct err *err)
{
    struct json_reader reader;
    if (json_read(&reader, "enrolment answer", text, len, err) < 0)
        return -1;
    memset(out, 0, sizeof *out);
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "robot", "certificate", "ca");
    json_get_name(root, "robot", out->robot, sizeof out->robot);
    get_pem(root, "certificate", out->certificate, sizeof out->certificate);
    get_pem(root, "ca", out->ca, sizeof out->ca);
    return json_finish(&reader, err);
}

char *api_enrolled_format(const struct api_enrolled *enrolled)
{
    return json_write_new(json_pack("{s:s, s:s, s:s}", "robot", enrolled->robot, "certificate",
                                    enrolled->certificate, "ca", enrolled->ca));
}

/* ---- reports ---- */

/* Who stands behind a state is said with the state. */
static void decode_guard(struct json_at at, struct api_report *out)
{
    int state = 0;
    if (json_has(at, "guard"))
        json_get_choice(at, "guard", guard_words + 1, API_GUARD_COUNT - 1, &state);
    out->guard = json_has(at, "guard") ? (enum api_guard)(state + 1) : API_GUARD_NONE;
    if (json_has(at, "who"))
        json_get_line(at, "who", out->who, sizeof out->who);
    if (out->who[0] && !out->guard)
        json_fail(at, "who: goes with guard only");
}

/* A value as canonical text into a fixed place. */
static void get_canonical(struct json_at at, const char *name, char *out, size_t out_size)
{
    cleanup_free char *text = json_canonical(at);
    if (!text)
        return;
    if (strlen(text) >= out_size)
        json_fail(at, "%s: at most %zu bytes of JSON", name, out_size - 1);
    else
        str_copy(out, out_size, text);
}

static void decode_report(struct json_at at, struct api_report *out)
{
    JSON_ONLY(at, "seq", "time_ms", "kind", "release", "version", "bytes", "text", "guard", "who", "detail");
    int kind = 0;
    json_get_u64(at, "seq", INT64_MAX, &out->seq);
    json_get_int(at, "time_ms", 0, INT64_MAX, &out->time_ms);
    json_get_choice(at, "kind", report_words, REPORT_KIND_COUNT, &kind);
    out->kind = (enum report_kind)kind;
    if (json_has(at, "release"))
        json_get_digest(at, "release", &out->release);
    if (json_has(at, "version"))
        json_get_name(at, "version", out->version, sizeof out->version);
    if (json_has(at, "bytes"))
        json_get_u64(at, "bytes", INT64_MAX, &out->bytes);
    if (json_has(at, "text"))
        json_get_line(at, "text", out->text, sizeof out->text);
    decode_guard(at, out);
    if (json_has(at, "detail"))
        get_canonical(json_child(at, "detail"), "detail", out->detail, sizeof out->detail);
}

static bool is_stream(const char *text)
{
    return strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

static void decode_records(struct json_at root, struct api_reports *out)
{
    struct json_at list = json_list(root, "records", API_MAX_RECORDS, &out->count);
    for (size_t i = 0; i < out->count; i++) {
        struct json_at at = json_as_object(json_item(list, i));
        decode_report(at, &out->records[i]);
        if (out->records[i].seq != (i ? out->records[i - 1].seq + 1 : MAX(out->records[i].seq, (uint64_t)1)))
            json_fail(at, "seq: must start at 1 or later and grow by one");
    }
}

int api_reports_parse(const void *text, size_t len, struct api_reports *out, struct err *err)
{
    struct json_reader reader;
    if (json_read(&reader, "reports", text, len, err) < 0)
        return -1;
    memset(out, 0, sizeof *out);
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "stream", "records");
    json_get_string(root, "stream", out->stream, sizeof out->stream);
    if (!is_stream(out->stream))
        json_fail(root, "stream: must be 32 lower-case hexadecimal digits");
    decode_records(root, out);
    return json_finish(&reader, err);
}

static int put_detail(json_t *out, const char *detail)
{
    json_t *object = detail[0] ? json_loads(detail, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!json_is_object(object)) {
        json_decref(object);
        return 0;
    }
    return json_object_set_new(out, "detail", object);
}

static json_t *from_report(const struct api_report *report)
{
    cleanup_json json_t *out = json_pack("{s:I, s:I, s:s}", "seq", (json_int_t)report->seq, "time_ms",
                                         (json_int_t)report->time_ms, "kind", report_kind_name(report->kind));
    if (!out || json_put_text(out, "version", report->version) < 0)
        return NULL;
    if (!digest_is_zero(&report->release) &&
        json_object_set_new(out, "release", json_from_digest(&report->release)) < 0)
        return NULL;
    if (report->bytes && json_object_set_new(out, "bytes", json_integer((json_int_t)report->bytes)) < 0)
        return NULL;
    if (report->text[0] && json_object_set_new(out, "text", json_from_line(report->text)) < 0)
        return NULL;
    if (json_put_text(out, "guard", api_guard_name(report->guard)) < 0)
        return NULL;
    if (report->guard && report->who[0] && json_object_set_new(out, "who", json_from_line(report->who)) < 0)
        return NULL;
    if (put_detail(out, report->detail) < 0)
        return NULL;
    return TAKE_PTR(out);
}

char *api_reports_format(const struct api_reports *reports)
{
    cleanup_json json_t *list = json_array();
    for (size_t i = 0; i < reports->count; i++)
        if (json_append(list, from_report(&reports->records[i])) < 0)
            return NULL;
    return json_write_new(json_pack("{s:s, s:O}", "stream", reports->stream, "records", list));
}

int api_report_parse(const void *text, size_t len, struct api_report *out, struct err *err)
{
    struct json_reader reader;
    if (json_read(&reader, "report", text, len, err) < 0)
        return -1;
    memset(out, 0, sizeof *out);
    decode_report(json_root(&reader), out);
    return json_finish(&reader, err);
}

char *api_report_format(const struct api_report *report)
{
    return json_write_new(from_report(report));
}

int api_report_from_event(const void *text, size_t len, struct api_report *out, struct err *err)
{
    struct json_reader reader;
    char who[16] = "";
    if (json_read(&reader, "event", text, len, err) < 0)
        return -1;
    *out = (struct api_report){0};
    struct json_at root = json_root(&reader);
    json_get_int(root, "time_ms", 0, INT64_MAX, &out->time_ms);
    json_get_string(root, "who", who, sizeof who);
    out->kind = str_eq(who, "drift") ? REPORT_DRIFT : REPORT_DECISION;
    if (json_has(root, "release"))
        json_get_digest(root, "release", &out->release);
    if (json_has(root, "version"))
        json_get_name(root, "version", out->version, sizeof out->version);
    if (json_has(root, "because"))
        json_get_line(root, "because", out->text, sizeof out->text);
    get_canonical(root, "event", out->detail, sizeof out->detail);
    return json_finish(&reader, err);
}

int api_acked_parse(const void *text, size_t len, uint64_t *out_acked, struct err *err)
{
    struct json_reader reader;
    if (json_read(&reader, "acknowledgement", text, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "acked");
    json_get_u64(root, "acked", INT64_MAX, out_acked);
    return json_finish(&reader, err);
}

char *api_acked_format(uint64_t acked)
{
    return json_write_new(json_pack("{s:I}", "acked", (json_int_t)acked));
}

/* ---- errors ---- */

char *api_error_format(const struct err *err)
{
    return json_write_new(json_pack("{s:{s:s, s:o}}", "error", "code", err_code_name(err->code), "message",
                                    json_from_line(err->text)));
}

bool api_error_parse(const void *text, size_t len, struct err *out)
{
    struct err ignored = {0};
    struct json_reader reader;
    if (json_read(&reader, "error", text, len, &ignored) < 0)
        return false;
    char code[32] = "";
    char message[sizeof out->text] = "";
    struct json_at error = json_child(json_root(&reader), "error");
    json_get_string(error, "code", code, sizeof code);
    json_get_string(error, "message", message, sizeof message);
    if (json_finish(&reader, &ignored) < 0)
        return false;
    enum err_code known = err_code_from_name(code);
    json_tame(message);
    err_set(out, known == ERR_NONE ? ERR_INTERNAL : known, "%s", message);
    return true;
}
