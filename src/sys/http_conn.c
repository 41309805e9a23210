#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/http_engine.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

enum {
    INPUT_BYTES = 64 * 1024, /* read ahead at most */
    FILE_PIECE_BYTES = 128 * 1024,
    BODY_BYTES_PER_S = 16 * 1024, /* slower bodies run into the deadline */
    LINGER_S = 2,
};

static void process_input(struct http_conn *conn);
static void on_write(struct bufferevent *bev, void *arg);

/* ---- deadlines ---- */

static void set_deadline(struct http_conn *conn, int64_t seconds)
{
    const struct timeval wait = {.tv_sec = (time_t)seconds};
    evtimer_add(conn->deadline, &wait);
}

void http_conn_watch_writing(struct http_conn *conn)
{
    conn->written_before = conn->written;
    set_deadline(conn, conn->server->timeout_s);
}

void http_conn_break(struct http_conn *conn)
{
    conn->broken = true;
    set_deadline(conn, 0);
}

static void count_written(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
    struct http_conn *conn = arg;
    conn->written += info->n_deleted;
}

static bool is_all_out(const struct http_conn *conn)
{
    return evbuffer_get_length(bufferevent_get_output(conn->bev)) == 0;
}

static bool peer_takes_bytes(const struct http_conn *conn)
{
    return conn->written != conn->written_before || is_all_out(conn);
}

/* ---- refusing ---- */

static void refuse(struct http_conn *conn, const struct err *error)
{
    int status = error->code == ERR_TIMEOUT ? 408 : err_http_status(error->code);
    if (conn->request)
        http_request_free(TAKE_PTR(conn->request));
    conn->close_after = conn->linger = true;
    http_conn_write_error(conn, status, error);
    http_conn_answered(conn);
}

static bool speaks(const struct http_conn *conn)
{
    SSL *ssl = bufferevent_openssl_get_ssl(conn->bev);
    return !ssl || SSL_is_init_finished(ssl);
}

static void too_late(struct http_conn *conn)
{
    struct err err;
    bool idle = conn->state == CONN_HEAD && evbuffer_get_length(bufferevent_get_input(conn->bev)) == 0;
    if (idle || !speaks(conn)) {
        http_conn_free(conn);
        return;
    }
    err_set(&err, ERR_TIMEOUT, "the request did not arrive in time");
    refuse(conn, &err);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct http_conn *conn = arg;
    if (!conn->broken && (conn->state == CONN_HEAD || conn->state == CONN_BODY))
        too_late(conn);
    else if (conn->broken || conn->state == CONN_LINGER || !peer_takes_bytes(conn))
        http_conn_free(conn);
    else if (conn->state == CONN_WRITE && is_all_out(conn))
        on_write(conn->bev, conn);
    else
        http_conn_watch_writing(conn);
}

/* ---- reading ---- */

static void dispatch(struct http_conn *conn)
{
    struct http_request *request = conn->request;
    struct err err;
    conn->state = CONN_WORK;
    evtimer_del(conn->deadline);
    bool known = http_method_parse(request->head.method, &request->method);
    if (http_target_split(request->head.target, &request->path, &request->query, &err) < 0 ||
        http_segments_init(&request->segments, request->path, &err) < 0) {
        http_reply_error(request, &err);
        return;
    }
    http_server_dispatch(conn->server, request, known);
    if (request->state == REQUEST_NEW) {
        log_error("http: the handler of %s gave no answer", request->path);
        err_set(&err, ERR_INTERNAL, "no answer from the handler");
        http_reply_error(request, &err);
    }
}

static struct http_request *request_new(struct http_conn *conn)
{
    struct http_request *request = mem_zalloc(1, sizeof *request);
    if (!request)
        return NULL;
    request->conn = conn;
    request->body.max = conn->server->max_body_bytes;
    request->extra_fields.max = HTTP_MAX_HEAD_BYTES;
    STAILQ_INIT(&request->values);
    return request;
}

void http_request_free(struct http_request *request)
{
    for (struct http_value *value; (value = STAILQ_FIRST(&request->values));) {
        STAILQ_REMOVE_HEAD(&request->values, next);
        free(value->text);
        free(value);
    }
    http_head_fini(&request->head);
    http_segments_fini(&request->segments);
    buf_fini(&request->body);
    buf_fini(&request->extra_fields);
    free(request->path);
    free(request->query);
    free(request);
}

static void begin_body(struct http_conn *conn)
{
    const struct http_head *head = &conn->request->head;
    uint64_t max = conn->server->max_body_bytes;
    struct err err;
    if (head->framing == HTTP_LENGTH && head->content_length > max) {
        err_set(&err, ERR_TOO_BIG, "the body has %llu bytes, the limit is %llu",
                (unsigned long long)head->content_length, (unsigned long long)max);
        refuse(conn, &err);
        return;
    }
    if (head->framing == HTTP_NO_BODY || (head->framing == HTTP_LENGTH && head->content_length == 0)) {
        dispatch(conn);
        return;
    }
    conn->state = CONN_BODY;
    conn->body_left = head->content_length;
    conn->chunks = (struct http_chunks){0};
    uint64_t expected = head->framing == HTTP_LENGTH ? head->content_length : max;
    set_deadline(conn, conn->server->timeout_s + (int64_t)(expected / BODY_BYTES_PER_S));
    if (head->expect_continue && evbuffer_get_length(bufferevent_get_input(conn->bev)) == 0)
        evbuffer_add_printf(bufferevent_get_output(conn->bev), "HTTP/1.1 100 Continue\r\n\r\n");
}

/* Length of a whole head in the input, 0 if it is not whole yet. */
static size_t head_len(struct evbuffer *input)
{
    struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
    return end.pos < 0 ? 0 : (size_t)end.pos + 4;
}

/* Returns whether something was eaten, so that there may be more to do. */
static bool read_head(struct http_conn *conn, struct evbuffer *input)
{
    struct err err;
    size_t len = head_len(input);
    if (len == 0 && evbuffer_get_length(input) <= HTTP_MAX_HEAD_BYTES)
        return false;
    conn->request = request_new(conn);
    int rc = conn->request ? 0 : err_no_memory(&err);
    size_t take = len ? MIN(len, (size_t)HTTP_MAX_HEAD_BYTES + 1) : HTTP_MAX_HEAD_BYTES + 1;
    if (rc == 0)
        rc = http_head_parse_request(evbuffer_pullup(input, (ev_ssize_t)take), take, &conn->request->head,
                                     &err);
    if (rc < 0) {
        refuse(conn, &err);
        return false;
    }
    evbuffer_drain(input, len);
    conn->close_after = conn->request->head.close;
    begin_body(conn);
    return true;
}

static bool read_counted(struct http_conn *conn, struct evbuffer *input)
{
    struct buf *body = &conn->request->body;
    struct err err;
    size_t take = (size_t)MIN(conn->body_left, evbuffer_get_length(input));
    if (take == 0)
        return false;
    if (buf_reserve(body, take, &err) < 0) {
        refuse(conn, &err);
        return false;
    }
    evbuffer_remove(input, body->data + body->len, take);
    body->len += take;
    body->data[body->len] = 0;
    conn->body_left -= take;
    if (conn->body_left == 0)
        dispatch(conn);
    return true;
}

static bool read_chunked(struct http_conn *conn, struct evbuffer *input)
{
    struct evbuffer_iovec piece;
    struct http_span span;
    struct err err;
    size_t eaten = 0;
    if (evbuffer_peek(input, -1, NULL, &piece, 1) < 1 || piece.iov_len == 0)
        return false;
    int rc = http_chunks_next(&conn->chunks, piece.iov_base, piece.iov_len, &eaten, &span, &err);
    if (rc < 0 || buf_put(&conn->request->body, span.data, span.len, &err) < 0) {
        refuse(conn, &err);
        return false;
    }
    evbuffer_drain(input, eaten);
    if (rc == 1)
        dispatch(conn);
    return true;
}

static bool read_some(struct http_conn *conn, struct evbuffer *input)
{
    if (conn->broken)
        return false;
    switch (conn->state) {
    case CONN_HEAD:
        return read_head(conn, input);
    case CONN_BODY:
        return conn->request->head.framing == HTTP_CHUNKED ? read_chunked(conn, input)
                                                           : read_counted(conn, input);
    case CONN_LINGER:
        evbuffer_drain(input, evbuffer_get_length(input));
        return false;
    case CONN_WORK:
    case CONN_WRITE:
        break; /* the next request waits */
    }
    return false;
}

static void process_input(struct http_conn *conn)
{
    while (read_some(conn, bufferevent_get_input(conn->bev)))
        ;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    process_input(arg);
}

/* ---- writing ---- */

bool http_conn_pump_file(struct http_conn *conn)
{
    struct evbuffer *output = bufferevent_get_output(conn->bev);
    struct evbuffer_iovec space;
    size_t want = (size_t)MIN(conn->file_left, (uint64_t)FILE_PIECE_BYTES);
    if (evbuffer_reserve_space(output, (ev_ssize_t)want, &space, 1) < 1)
        return false;
    ssize_t got = read(conn->file_fd, space.iov_base, want);
    if (got <= 0) /* unreadable, or shorter than it was */
        return false;
    space.iov_len = (size_t)got;
    conn->file_left -= (uint64_t)got;
    return evbuffer_commit_space(output, &space, 1) == 0;
}

void http_conn_answered(struct http_conn *conn)
{
    conn->state = CONN_WRITE;
    conn->told_ns = clock_mono_ns();
    http_conn_watch_writing(conn);
    if (is_all_out(conn)) /* the end of a stream that HEAD asked for: no write will tell of it */
        set_deadline(conn, 0);
}

static void finish_request(struct http_conn *conn)
{
    if (conn->request)
        http_request_free(TAKE_PTR(conn->request));
    if (conn->file_fd >= 0)
        close(TAKE_FD(conn->file_fd));
    if (conn->linger) {
        conn->state = CONN_LINGER;
        set_deadline(conn, LINGER_S);
    } else if (conn->close_after) {
        http_conn_free(conn);
        return;
    } else {
        conn->state = CONN_HEAD;
        set_deadline(conn, conn->server->timeout_s);
    }
    process_input(conn);
}

static void on_write(struct bufferevent *bev, void *arg)
{
    struct http_conn *conn = arg;
    if (conn->state != CONN_WRITE || conn->broken || !is_all_out(conn))
        return;
    if (conn->file_left == 0)
        finish_request(conn);
    else if (!http_conn_pump_file(conn))
        http_conn_free(conn);
}

/* ---- beginning and end ---- */

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    ERR_clear_error();
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
        http_conn_free(arg);
}

static struct bufferevent *new_bufferevent(struct http_server *server, int fd)
{
    const int flags =
        BEV_OPT_CLOSE_ON_FREE; /* without an underlying bufferevent nothing is called but from the loop */
    if (!server->tls)
        return bufferevent_socket_new(server->base, fd, flags);
    SSL *ssl = SSL_new(server->tls);
    if (!ssl)
        return NULL;
    struct bufferevent *bev =
        bufferevent_openssl_socket_new(server->base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, flags);
    if (!bev)
        SSL_free(ssl);
    else
        bufferevent_openssl_set_allow_dirty_shutdown(
            bev, 1); /* lengths are told, so a missing goodbye cuts nothing */
    return bev;
}

void http_conn_open(struct http_server *server, int fd)
{
    struct http_conn *conn = mem_zalloc(1, sizeof *conn);
    struct bufferevent *bev = conn ? new_bufferevent(server, fd) : NULL;
    struct event *deadline = bev ? evtimer_new(server->base, on_deadline, conn) : NULL;
    if (!deadline) {
        if (bev)
            bufferevent_free(bev);
        else
            close(fd);
        free(conn);
        return;
    }
    conn->server = server;
    conn->bev = bev;
    conn->deadline = deadline;
    conn->file_fd = -1;
    conn->told_ns = clock_mono_ns();
    LIST_INSERT_HEAD(&server->conns, conn, link);
    bufferevent_setcb(bev, on_read, on_write, on_event, conn);
    bufferevent_setwatermark(bev, EV_READ, 0, INPUT_BYTES);
    evbuffer_add_cb(bufferevent_get_output(bev), count_written, conn);
    set_deadline(conn, server->timeout_s);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* Its holder is told, or keeps the handle until it answers. */
static void part_from_request(struct http_request *request)
{
    request->conn = NULL;
    bool open = request->state == REQUEST_HELD || request->state == REQUEST_STREAMING;
    if (open && !request->gone)
        return;
    request->state = REQUEST_ANSWERED;
    if (open)
        request->gone(request, request->gone_arg);
    http_request_free(request);
}

static void say_goodbye(struct bufferevent *bev)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    if (ssl && SSL_is_init_finished(ssl))
        SSL_shutdown(ssl);
    ERR_clear_error();
}

void http_conn_free(struct http_conn *conn)
{
    LIST_REMOVE(conn, link);
    if (conn->request)
        part_from_request(TAKE_PTR(conn->request));
    event_free(conn->deadline);
    if (conn->file_fd >= 0)
        close(conn->file_fd);
    evbuffer_remove_cb(bufferevent_get_output(conn->bev), count_written, conn);
    say_goodbye(conn->bev);
    bufferevent_free(conn->bev);
    free(conn->client_name);
    free(conn->client_serial);
    free(conn);
}
