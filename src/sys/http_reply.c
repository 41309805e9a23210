#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/http_engine.h"

#include <assert.h>
#include <ctype.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>

enum { MAX_UNSENT_BYTES = 1 << 20 };

/* ---- what handlers ask ---- */

const char *http_request_path(const struct http_request *request)
{
    return request->path;
}

const char *http_param(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->param_count; i++)
        if (strcmp(request->params[i].name, name) == 0)
            return request->params[i].value;
    return NULL;
}

const char *http_query(struct http_request *request, const char *name)
{
    cleanup_free char *text = http_query_find(request->query, name);
    struct http_value *value = text ? mem_zalloc(1, sizeof *value) : NULL;
    if (!value)
        return NULL;
    value->text = TAKE_PTR(text);
    STAILQ_INSERT_TAIL(&request->values, value, next);
    return value->text;
}

const char *http_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->head.field_count; i++)
        if (strcasecmp(request->head.fields[i].name, name) == 0)
            return request->head.fields[i].value;
    return NULL;
}

const uint8_t *http_body(const struct http_request *request, size_t *out_len)
{
    *out_len = request->body.len;
    return (const uint8_t *)buf_text(&request->body);
}

/* ---- heads of answers ---- */

static void put_line(struct evbuffer *out, const char *name, const char *value)
{
    evbuffer_add_printf(out, "%s: %s\r\n", name, value);
}

static void put_status(struct evbuffer *out, int status)
{
    char date[64];
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n", status, http_status_text(status));
    put_line(out, "Date", date);
    put_line(out, "X-Content-Type-Options", "nosniff");
}

static struct evbuffer *output_of(const struct http_request *request)
{
    return bufferevent_get_output(request->conn->bev);
}

/* All but the framing fields and the empty line. */
static void put_head(struct http_request *request, int status, const char *content_type)
{
    struct evbuffer *out = output_of(request);
    put_status(out, status);
    if (content_type)
        put_line(out, "Content-Type", content_type);
    evbuffer_add(out, buf_text(&request->extra_fields), request->extra_fields.len);
    if (request->conn->close_after)
        put_line(out, "Connection", "close");
}

static void put_length(struct evbuffer *out, uint64_t len)
{
    evbuffer_add_printf(out, "Content-Length: %llu\r\n\r\n", (unsigned long long)len);
}

void http_conn_write_error(struct http_conn *conn, int status, const struct err *error)
{
    struct evbuffer *out = bufferevent_get_output(conn->bev);
    cleanup_free char *json = http_error_json(error);
    const char *body = json ? json : "{}";
    put_status(out, status);
    put_line(out, "Content-Type", "application/json");
    put_line(out, "Connection", "close");
    put_length(out, strlen(body));
    evbuffer_add(out, body, strlen(body));
}

void http_set_header(struct http_request *request, const char *name, const char *value)
{
    struct err err;
    cleanup_free char *tame = mem_strdup(value);
    for (char *c = tame; c && *c; c++)
        if (iscntrl((unsigned char)*c))
            *c = ' ';
    if (!tame || buf_printf(&request->extra_fields, &err, "%s: %s\r\n", name, tame) < 0)
        log_warn("http: header %s was dropped", name);
}

/* ---- answers ---- */

/* Nobody there any more: the handle ends here. */
static bool is_orphan(struct http_request *request)
{
    assert(request->state != REQUEST_ANSWERED && "a request is answered once");
    if (request->conn)
        return false;
    http_request_free(request);
    return true;
}

static void answered(struct http_request *request)
{
    request->state = REQUEST_ANSWERED;
    request->gone = NULL;
    http_conn_answered(request->conn);
}

void http_reply(struct http_request *request, int status, const char *content_type, const void *body,
                size_t len)
{
    if (is_orphan(request))
        return;
    struct evbuffer *out = output_of(request);
    put_head(request, status, content_type);
    if (status == 204 || status == 304)
        evbuffer_add(out, "\r\n", 2);
    else
        put_length(out, len);
    if (len && request->method != HTTP_HEAD && status != 204 && status != 304)
        evbuffer_add(out, body, len);
    answered(request);
}

void http_reply_json(struct http_request *request, int status, const char *json_text)
{
    http_reply(request, status, "application/json", json_text, strlen(json_text));
}

void http_reply_error(struct http_request *request, const struct err *err)
{
    cleanup_free char *json = http_error_json(err);
    http_reply_json(request, err_http_status(err->code), json ? json : "{}");
}

/* What of the file is wanted. If-Range with another ETag means: of the file as it is now, all. */
static enum http_range range_of(const struct http_request *request, uint64_t size, const char *quoted_etag,
                                uint64_t *out_first, uint64_t *out_last)
{
    const char *condition = http_head_find(&request->head, "if-range");
    if (condition && strcmp(condition, quoted_etag) != 0)
        return HTTP_RANGE_NONE;
    return http_range_parse(http_head_find(&request->head, "range"), size, out_first, out_last);
}

static void send_file(struct http_request *request, int fd, uint64_t first, uint64_t len)
{
    struct http_conn *conn = request->conn;
    put_length(output_of(request), len);
    if (request->method == HTTP_HEAD || len == 0) {
        close(fd);
    } else {
        conn->file_fd = fd;
        conn->file_left = len;
        if (lseek(fd, (off_t)first, SEEK_SET) < 0 || !http_conn_pump_file(conn))
            http_conn_break(conn); /* the length is told already: only a cut can say that it does not hold */
    }
    bool broken = conn->broken;
    answered(request);
    if (broken)
        http_conn_break(conn);
}

void http_reply_file(struct http_request *request, int fd, uint64_t size, const char *content_type,
                     const char *etag)
{
    if (is_orphan(request)) {
        close(fd);
        return;
    }
    char quoted[160] = "", content_range[80];
    uint64_t first = 0, last = size - 1;
    if (etag)
        snprintf(quoted, sizeof quoted, "\"%s\"", etag);
    enum http_range range = range_of(request, size, quoted, &first, &last);
    if (etag)
        http_set_header(request, "ETag", quoted);
    http_set_header(request, "Accept-Ranges", "bytes");
    if (range == HTTP_RANGE_BAD) {
        snprintf(content_range, sizeof content_range, "bytes */%llu", (unsigned long long)size);
        http_set_header(request, "Content-Range", content_range);
        close(fd);
        http_reply(request, 416, NULL, "", 0);
        return;
    }
    if (range == HTTP_RANGE_PART) {
        snprintf(content_range, sizeof content_range, "bytes %llu-%llu/%llu", (unsigned long long)first,
                 (unsigned long long)last, (unsigned long long)size);
        http_set_header(request, "Content-Range", content_range);
    }
    put_head(request, range == HTTP_RANGE_PART ? 206 : 200, content_type);
    send_file(request, fd, first, range == HTTP_RANGE_PART ? last - first + 1 : size);
}

/* ---- later, and endlessly ---- */

void http_hold(struct http_request *request, void (*gone)(struct http_request *request, void *arg), void *arg)
{
    assert(request->state != REQUEST_ANSWERED);
    if (request->state == REQUEST_NEW)
        request->state = REQUEST_HELD;
    request->gone = gone;
    request->gone_arg = arg;
}

void http_stream_start(struct http_request *request, int status, const char *content_type)
{
    assert(request->state == REQUEST_NEW || request->state == REQUEST_HELD);
    request->state = REQUEST_STREAMING;
    if (!request->conn)
        return;
    http_set_header(request, "Cache-Control", "no-store");
    put_head(request, status, content_type);
    evbuffer_add_printf(output_of(request), "Transfer-Encoding: chunked\r\n\r\n");
    http_conn_watch_writing(request->conn);
}

void http_stream_write(struct http_request *request, const void *data, size_t len)
{
    assert(request->state == REQUEST_STREAMING);
    if (!request->conn || request->conn->broken || len == 0 || request->method == HTTP_HEAD)
        return;
    struct evbuffer *out = output_of(request);
    evbuffer_add_printf(out, "%zx\r\n", len);
    evbuffer_add(out, data, len);
    evbuffer_add(out, "\r\n", 2);
    if (evbuffer_get_length(out) > MAX_UNSENT_BYTES)
        http_conn_break(request->conn);
}

void http_stream_end(struct http_request *request)
{
    assert(request->state == REQUEST_STREAMING);
    if (is_orphan(request))
        return;
    if (request->method != HTTP_HEAD)
        evbuffer_add_printf(output_of(request), "0\r\n\r\n");
    bool broken = request->conn->broken;
    struct http_conn *conn = request->conn;
    answered(request);
    if (broken)
        http_conn_break(conn);
}
