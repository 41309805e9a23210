#include "base/mem.h"
#include "base/str.h"
#include "sys/fetch_engine.h"

#include <netdb.h>

enum {
    CONNECT_MS = 10000,   /* per address */
    PIECES_PER_STEP = 32, /* then the others have their turn */
    ERROR_BODY_BYTES = 64 * 1024,
    RATE_SLACK_BYTES = FETCH_PIECE_BYTES,
};

/* A step of a state: go on with the next one at once, or wait. */
enum step { GO_ON, WAIT };

void fetch_transfer_free(struct fetch_transfer *transfer)
{
    fetch_resolve_free(transfer->resolve);
    if (transfer->addresses)
        freeaddrinfo(transfer->addresses);
    fetch_link_free(transfer->link);
    http_head_fini(&transfer->head);
    buf_fini(&transfer->out);
    buf_fini(&transfer->in);
    buf_fini(&transfer->response.body);
    free(transfer->url_text);
    free(transfer);
}

/* ---- ends ---- */

static enum step finish(struct fetch_transfer *transfer)
{
    transfer->state = FETCH_DONE;
    return WAIT;
}

static enum step fail(struct fetch_transfer *transfer, const struct err *error)
{
    transfer->response.err = *error;
    transfer->response.status = 0;
    fetch_link_free(TAKE_PTR(transfer->link));
    return finish(transfer);
}

/* A kept connection may have been closed by the server just now: nothing came back, so what may be repeated
 * is. */
static bool may_repeat(const struct fetch_transfer *transfer)
{
    return transfer->link->used_before && transfer->in.len == 0 && transfer->state <= FETCH_HEAD &&
           strcmp(transfer->method, "POST") != 0;
}

static enum step cut(struct fetch_transfer *transfer, const struct err *error)
{
    if (!may_repeat(transfer))
        return fail(transfer, error);
    fetch_link_free(TAKE_PTR(transfer->link));
    transfer->sent = 0;
    transfer->state = FETCH_RESOLVE;
    return GO_ON;
}

static void judge_status(struct fetch_transfer *transfer)
{
    struct fetch_response *response = &transfer->response;
    bool (*parse)(const void *, size_t, struct err *) = transfer->fetch->parse_error;
    if (response->status >= 200 && response->status < 300)
        return;
    if (parse && parse(buf_text(&response->body), response->body.len, &response->err))
        return;
    err_set(&response->err, err_code_from_http(response->status), "%s answered %d %s",
            transfer->url.authority, response->status, http_status_text(response->status));
}

static enum step complete(struct fetch_transfer *transfer)
{
    bool reusable = !transfer->head.close && transfer->in.len == 0 && transfer->sent == transfer->out.len;
    if (reusable)
        fetch_keep_idle(transfer->fetch, TAKE_PTR(transfer->link));
    judge_status(transfer);
    return finish(transfer);
}

/* ---- the way to a connection ---- */

static enum step step_resolve(struct fetch_transfer *transfer)
{
    struct err err;
    if (!transfer->resolve && !transfer->addresses) {
        transfer->link = fetch_take_idle(transfer->fetch, transfer->url.origin);
        if (transfer->link) {
            transfer->state = FETCH_SEND;
            return GO_ON;
        }
        transfer->addresses = fetch_numeric_address(transfer->url.host, transfer->url.port);
        if (!transfer->addresses &&
            fetch_resolve_start(transfer->url.host, transfer->url.port, &transfer->resolve, &err) < 0)
            return fail(transfer, &err);
    }
    if (!transfer->addresses) {
        int rc = fetch_resolve_result(transfer->resolve, &transfer->addresses, &err);
        if (rc <= 0)
            return rc == 0 ? WAIT : fail(transfer, &err);
    }
    transfer->address = transfer->addresses;
    transfer->state = FETCH_CONNECT;
    return GO_ON;
}

static enum step next_address(struct fetch_transfer *transfer, const struct err *error)
{
    fetch_link_free(TAKE_PTR(transfer->link));
    transfer->address = transfer->address->ai_next;
    return transfer->address ? GO_ON : fail(transfer, error);
}

static enum step step_connect(struct fetch_transfer *transfer, int64_t now_ms)
{
    struct err err;
    if (!transfer->link) {
        if (fetch_link_open(transfer->address, &transfer->url, &transfer->link, &err) < 0)
            return next_address(transfer, &err);
        transfer->connect_until_ms = now_ms + CONNECT_MS;
    }
    enum link_result result = fetch_link_connect(transfer->link, &transfer->url, &err);
    if (result == LINK_AGAIN && now_ms < transfer->connect_until_ms)
        return WAIT;
    if (result == LINK_AGAIN)
        err_set(&err, ERR_TIMEOUT, "cannot reach %s: no answer within %d s", transfer->url.authority,
                CONNECT_MS / 1000);
    if (result != LINK_OK)
        return next_address(transfer, &err);
    transfer->state = FETCH_SEND;
    if (!transfer->url.tls)
        return GO_ON;
    transfer->state = FETCH_HANDSHAKE;
    if (fetch_link_secure(transfer->link, transfer->fetch, &transfer->url, &err) < 0)
        return fail(transfer, &err);
    return GO_ON;
}

static enum step step_handshake(struct fetch_transfer *transfer)
{
    struct err err;
    enum link_result result = fetch_link_handshake(transfer->link, &transfer->url, &err);
    if (result == LINK_AGAIN)
        return WAIT;
    if (result == LINK_EOF)
        err_set(&err, ERR_UNREACHABLE, "%s hung up in the TLS handshake", transfer->url.authority);
    if (result != LINK_OK)
        return fail(transfer, &err);
    transfer->state = FETCH_SEND;
    return GO_ON;
}

/* ---- the exchange ---- */

/* Reads a piece into `in`. */
static enum link_result read_more(struct fetch_transfer *transfer, struct err *err)
{
    struct fetch *fetch = transfer->fetch;
    size_t got;
    enum link_result result = fetch_link_read(transfer->link, fetch->piece, sizeof fetch->piece, &got, err);
    transfer->window_bytes += got;
    if (result == LINK_OK && buf_put(&transfer->in, fetch->piece, got, err) < 0)
        return LINK_FAILED;
    return result;
}

static void eat(struct fetch_transfer *transfer, size_t len)
{
    struct buf *in = &transfer->in;
    memmove(in->data, in->data + len, in->len - len);
    in->len -= len;
    in->data[in->len] = 0;
}

static enum step step_send(struct fetch_transfer *transfer)
{
    struct err err;
    while (transfer->sent < transfer->out.len) {
        size_t put, left = MIN(transfer->out.len - transfer->sent, (size_t)FETCH_PIECE_BYTES);
        enum link_result result =
            fetch_link_write(transfer->link, transfer->out.data + transfer->sent, left, &put, &err);
        transfer->sent += put;
        transfer->window_bytes += put;
        if (result == LINK_AGAIN)
            return WAIT;
        if (result != LINK_OK) /* the server may have said why before it hung up */
            break;
    }
    transfer->state = FETCH_HEAD;
    return GO_ON;
}

/* An answer that comes before all is sent is a refusal (too big, not allowed): there is no point in sending
 * on. */
static void look_for_early_answer(struct fetch_transfer *transfer)
{
    struct err err;
    short want = transfer->link->want;
    if (fetch_link_is_quiet(transfer->link))
        return;
    enum link_result result = read_more(transfer, &err);
    transfer->link->want = want; /* it is still the sending that waits */
    if (result == LINK_AGAIN)
        return;
    transfer->state = FETCH_HEAD;
    transfer->runnable = true;
    if (result == LINK_FAILED)
        cut(transfer, &err);
}

static int check_resume(struct fetch_transfer *transfer, struct err *err)
{
    int status = transfer->response.status;
    if (transfer->resume_from == 0 || (status >= 300 && status != 416))
        return 0;
    char want[40];
    const char *range = http_head_find(&transfer->head, "content-range");
    snprintf(want, sizeof want, "bytes %llu-", (unsigned long long)transfer->resume_from);
    if (status == 206 && range && str_starts(range, want))
        return 0;
    return err_set(err, ERR_CONFLICT, "%s does not resume at byte %llu; start anew", transfer->url.authority,
                   (unsigned long long)transfer->resume_from);
}

static int too_big(const struct fetch_transfer *transfer, struct err *err)
{
    return err_set(err, ERR_TOO_BIG, "%s sends more than the %llu bytes expected", transfer->url.authority,
                   (unsigned long long)transfer->max_bytes);
}

static bool is_success(const struct fetch_transfer *transfer)
{
    return transfer->response.status >= 200 && transfer->response.status < 300;
}

static int begin_body(struct fetch_transfer *transfer, struct err *err)
{
    const struct http_head *head = &transfer->head;
    transfer->response.status = head->status;
    if (strcmp(transfer->method, "HEAD") == 0)
        transfer->head.framing = HTTP_NO_BODY;
    if (check_resume(transfer, err) < 0)
        return -1;
    if (head->framing == HTTP_LENGTH && is_success(transfer) && head->content_length > transfer->max_bytes)
        return too_big(transfer, err);
    transfer->body_left = head->content_length;
    transfer->response.body.max = is_success(transfer) ? (size_t)transfer->max_bytes : ERROR_BODY_BYTES;
    transfer->state = FETCH_BODY;
    return 0;
}

/* A head of 1xx is skipped. Returns GO_ON when a final one has been read. */
static enum step parse_head(struct fetch_transfer *transfer, bool *out_parsed)
{
    struct err err;
    const uint8_t *end = transfer->in.len ? memmem(transfer->in.data, transfer->in.len, "\r\n\r\n", 4) : NULL;
    *out_parsed = end != NULL;
    if (!end && transfer->in.len <= HTTP_MAX_HEAD_BYTES)
        return GO_ON;
    size_t len = end ? (size_t)(end - transfer->in.data) + 4 : transfer->in.len;
    http_head_fini(&transfer->head);
    if (http_head_parse_answer(transfer->in.data, len, &transfer->head, &err) < 0) {
        err_prefix(&err, "%s", transfer->url.authority);
        return fail(transfer, &err);
    }
    eat(transfer, len);
    if (transfer->head.status >= 200 && begin_body(transfer, &err) < 0)
        return fail(transfer, &err);
    return GO_ON;
}

static enum step step_head(struct fetch_transfer *transfer, int64_t now_ms)
{
    struct err err;
    bool parsed;
    enum step step = parse_head(transfer, &parsed);
    if (parsed || step == WAIT) {
        transfer->body_start_ms = now_ms;
        return step;
    }
    enum link_result result = read_more(transfer, &err);
    if (result == LINK_AGAIN)
        return WAIT;
    if (result == LINK_OK)
        return GO_ON;
    if (result == LINK_EOF)
        err_set(&err, ERR_UNREACHABLE, "%s hung up without an answer", transfer->url.authority);
    return cut(transfer, &err);
}

static int deliver(struct fetch_transfer *transfer, const uint8_t *data, size_t len, struct err *err)
{
    struct buf *body = &transfer->response.body;
    if (len == 0)
        return 0;
    transfer->received += len;
    if (!is_success(transfer)) /* an error's text: what passes the limit is dropped */
        return buf_put(body, data, MIN(len, body->max - body->len), err);
    if (transfer->received > transfer->max_bytes)
        return too_big(transfer, err);
    if (!transfer->sink)
        return buf_put(body, data, len, err);
    *err = (struct err){0};
    if (transfer->sink(data, len, transfer->sink_arg, err) == 0)
        return 0;
    return err->code != ERR_NONE ? -1 : err_set(err, ERR_INTERNAL, "the receiver gave up");
}

/* Eats what is in `in`. Returns 1 if the body is complete, 0 if not, -1 on an error. */
static int take_body(struct fetch_transfer *transfer, struct err *err)
{
    struct buf *in = &transfer->in;
    size_t eaten = in->len;
    int rc = 0;
    if (transfer->head.framing == HTTP_NO_BODY)
        return 1;
    if (transfer->head.framing == HTTP_CHUNKED) {
        struct http_span span;
        rc = http_chunks_next(&transfer->chunks, in->data, in->len, &eaten, &span, err);
        if (rc >= 0 && deliver(transfer, span.data, span.len, err) < 0)
            rc = -1;
    } else {
        if (transfer->head.framing == HTTP_LENGTH)
            eaten = (size_t)MIN(transfer->body_left, in->len);
        transfer->body_left -= MIN(transfer->body_left, eaten);
        rc = deliver(transfer, in->data, eaten, err);
        if (rc == 0)
            rc = transfer->head.framing == HTTP_LENGTH && transfer->body_left == 0;
    }
    if (eaten)
        eat(transfer, eaten);
    return rc;
}

/* When the next byte may be read under the rate limit; 0: now. */
static int64_t rate_wait_until(const struct fetch_transfer *transfer, int64_t now_ms)
{
    if (transfer->rate_limit == 0 || transfer->received <= RATE_SLACK_BYTES)
        return 0;
    uint64_t due_ms = (transfer->received - RATE_SLACK_BYTES) * 1000 / transfer->rate_limit;
    int64_t until = transfer->body_start_ms + (int64_t)due_ms;
    return until > now_ms ? until : 0;
}

static enum step end_of_body(struct fetch_transfer *transfer)
{
    struct err err;
    if (transfer->head.framing == HTTP_UNTIL_CLOSE)
        return complete(transfer);
    err_set(&err, ERR_UNREACHABLE, "%s hung up after %llu bytes of the body", transfer->url.authority,
            (unsigned long long)transfer->received);
    return fail(transfer, &err);
}

static enum step step_body(struct fetch_transfer *transfer, int64_t now_ms)
{
    struct err err;
    size_t before = transfer->in.len;
    int rc = take_body(transfer, &err);
    if (transfer->cancelled)
        return WAIT;
    if (rc != 0)
        return rc < 0 ? fail(transfer, &err) : complete(transfer);
    if (transfer->in.len > 0 && transfer->in.len < before)
        return GO_ON;
    if (rate_wait_until(transfer, now_ms) > 0)
        return WAIT;
    switch (read_more(transfer, &err)) {
    case LINK_OK:
        return GO_ON;
    case LINK_AGAIN:
        return WAIT;
    case LINK_EOF:
        return end_of_body(transfer);
    case LINK_FAILED:
        break;
    }
    return fail(transfer, &err);
}

/* ---- time ---- */

static bool in_time(struct fetch_transfer *transfer, int64_t now_ms)
{
    struct err err;
    int64_t window_ms = (int64_t)transfer->stall_s * 1000;
    bool late = transfer->deadline_ms > 0 && now_ms >= transfer->deadline_ms;
    bool window_over = now_ms >= transfer->window_start_ms + window_ms;
    bool stalled = window_over && transfer->window_bytes < (uint64_t)transfer->stall_s;
    if (window_over) {
        transfer->window_start_ms = now_ms;
        transfer->window_bytes = 0;
    }
    if (!late && !stalled)
        return true;
    if (late)
        err_set(&err, ERR_TIMEOUT, "%s did not finish in time", transfer->url.authority);
    else
        err_set(&err, ERR_TIMEOUT, "%s stalled: nothing moved for %d s", transfer->url.authority,
                transfer->stall_s);
    fail(transfer, &err);
    return false;
}

static enum step step_once(struct fetch_transfer *transfer, int64_t now_ms)
{
    switch (transfer->state) {
    case FETCH_RESOLVE:
        return step_resolve(transfer);
    case FETCH_CONNECT:
        return step_connect(transfer, now_ms);
    case FETCH_HANDSHAKE:
        return step_handshake(transfer);
    case FETCH_SEND:
        return step_send(transfer);
    case FETCH_HEAD:
        return step_head(transfer, now_ms);
    case FETCH_BODY:
        return step_body(transfer, now_ms);
    case FETCH_DONE:
        break;
    }
    return WAIT;
}

void fetch_transfer_step(struct fetch_transfer *transfer, int64_t now_ms)
{
    transfer->runnable = false;
    if (transfer->state == FETCH_DONE || !in_time(transfer, now_ms))
        return;
    enum step step = GO_ON;
    for (int i = 0; i < PIECES_PER_STEP && step == GO_ON; i++)
        step = step_once(transfer, now_ms);
    if (step == WAIT && transfer->state == FETCH_SEND)
        look_for_early_answer(transfer);
    if (step == GO_ON)
        transfer->runnable = true;
}

int64_t fetch_transfer_wait(const struct fetch_transfer *transfer, int64_t now_ms, struct pollfd *out)
{
    *out = (struct pollfd){.fd = -1};
    if (transfer->state == FETCH_DONE || transfer->runnable)
        return now_ms;
    int64_t until = transfer->window_start_ms + (int64_t)transfer->stall_s * 1000;
    if (transfer->deadline_ms > 0)
        until = MIN(until, transfer->deadline_ms);
    if (transfer->state == FETCH_CONNECT)
        until = MIN(until, transfer->connect_until_ms);
    int64_t rate_until = transfer->state == FETCH_BODY ? rate_wait_until(transfer, now_ms) : 0;
    if (rate_until > 0)
        return MIN(until, rate_until);
    if (transfer->state == FETCH_RESOLVE)
        *out = (struct pollfd){.fd = fetch_resolve_fd(transfer->resolve), .events = POLLIN};
    else
        *out = (struct pollfd){.fd = transfer->link->fd, .events = transfer->link->want};
    if (transfer->state == FETCH_SEND)
        out->events |= POLLIN;
    return until;
}
