#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/fetch_engine.h"
#include "sys/tls.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>

enum {
    DEFAULT_STALL_S = 30,
    DEFAULT_MAX_BYTES = 8 << 20,
    MAX_REQUEST_BYTES = 64 << 20,
    MAX_IDLE = 2,
    IDLE_MS = 30000,
};

/* ---- the client ---- */

int fetch_new(const struct fetch_options *options, struct fetch **out, struct err *err)
{
    struct fetch *fetch = mem_zalloc(1, sizeof *fetch);
    if (!fetch)
        return err_no_memory(err);
    TAILQ_INIT(&fetch->transfers);
    TAILQ_INIT(&fetch->idle);
    fetch->parse_error = options->parse_error;
    fetch->clock_floor_s = options->clock_floor_s;
    fetch->fields = options->fields ? mem_strdup(options->fields) : NULL;
    signal(SIGPIPE, SIG_IGN);
    int rc = options->fields && !fetch->fields ? err_no_memory(err) : 0;
    if (rc == 0 && options->ca_path)
        rc = tls_client_context(options->ca_path, options->cert_path, options->key_path, &fetch->ctx, err);
    if (rc < 0) {
        fetch_free(fetch);
        return -1;
    }
    *out = fetch;
    return 0;
}

static void remove_transfer(struct fetch *fetch, struct fetch_transfer *transfer)
{
    TAILQ_REMOVE(&fetch->transfers, transfer, next);
    fetch_transfer_free(transfer);
}

static void drop_idle(struct fetch *fetch, struct fetch_link *link)
{
    TAILQ_REMOVE(&fetch->idle, link, next);
    fetch->idle_count--;
    fetch_link_free(link);
}

void fetch_free(struct fetch *fetch)
{
    if (!fetch)
        return;
    while (!TAILQ_EMPTY(&fetch->transfers))
        remove_transfer(fetch, TAILQ_FIRST(&fetch->transfers));
    while (!TAILQ_EMPTY(&fetch->idle))
        drop_idle(fetch, TAILQ_FIRST(&fetch->idle));
    tls_context_free(fetch->ctx);
    free(fetch->fields);
    free(fetch->polls);
    free(fetch);
}

/* ---- idle connections ---- */

static void drop_stale(struct fetch *fetch)
{
    int64_t now_ms = clock_mono_ms();
    struct fetch_link *link = TAILQ_FIRST(&fetch->idle);
    while (link) {
        struct fetch_link *following = TAILQ_NEXT(link, next);
        if (now_ms - link->idle_since_ms > IDLE_MS || !fetch_link_is_quiet(link))
            drop_idle(fetch, link);
        link = following;
    }
}

struct fetch_link *fetch_take_idle(struct fetch *fetch, const char *origin)
{
    struct fetch_link *link;
    drop_stale(fetch);
    TAILQ_FOREACH(link, &fetch->idle, next)
    {
        if (strcmp(link->origin, origin) == 0) {
            TAILQ_REMOVE(&fetch->idle, link, next);
            fetch->idle_count--;
            link->used_before = true;
            return link;
        }
    }
    return NULL;
}

void fetch_keep_idle(struct fetch *fetch, struct fetch_link *link)
{
    if (link->identity != fetch->identity && link->ssl) {
        fetch_link_free(link);
        return;
    }
    link->idle_since_ms = clock_mono_ms();
    TAILQ_INSERT_TAIL(&fetch->idle, link, next);
    fetch->idle_count++;
    if (fetch->idle_count > MAX_IDLE)
        drop_idle(fetch, TAILQ_FIRST(&fetch->idle));
}

/* It would show the certificate that was: after the new one was shown, that looks like somebody else's (docs/identity.md). */
static void begin_anew(struct fetch_transfer *transfer)
{
    bool begun = transfer->state > FETCH_SEND || transfer->sent > 0;
    if (begun || !transfer->link || !transfer->link->ssl)
        return;
    fetch_link_free(TAKE_PTR(transfer->link));
    transfer->state = FETCH_RESOLVE;
    transfer->runnable = true;
}

int fetch_use_identity(struct fetch *fetch, const char *ca_path, const char *cert_path, const char *key_path,
                       struct err *err)
{
    struct ssl_ctx_st *ctx = NULL;
    if (tls_client_context(ca_path, cert_path, key_path, &ctx, err) < 0)
        return -1;
    tls_context_free(fetch->ctx); /* connections hold theirs */
    fetch->ctx = ctx;
    fetch->identity++;
    while (!TAILQ_EMPTY(&fetch->idle))
        drop_idle(fetch, TAILQ_FIRST(&fetch->idle));
    struct fetch_transfer *transfer;
    TAILQ_FOREACH(transfer, &fetch->transfers, next)
    {
        begin_anew(transfer);
    }
    return 0;
}

void fetch_raise_clock_floor(struct fetch *fetch, int64_t clock_floor_s)
{
    fetch->clock_floor_s = MAX(fetch->clock_floor_s, clock_floor_s);
}

/* ---- starting and cancelling ---- */

static void copy_request(struct fetch_transfer *transfer, const struct fetch_request *request)
{
    int64_t now_ms = clock_mono_ms();
    str_copy(transfer->method, sizeof transfer->method, request->method);
    transfer->sink = request->sink;
    transfer->sink_arg = request->sink_arg;
    transfer->resume_from = request->resume_from;
    transfer->rate_limit = request->rate_limit;
    transfer->max_bytes = request->max_bytes ? request->max_bytes : DEFAULT_MAX_BYTES;
    transfer->stall_s = request->stall_s > 0 ? request->stall_s : DEFAULT_STALL_S;
    transfer->window_start_ms = now_ms;
    transfer->deadline_ms = request->timeout_ms > 0 ? now_ms + request->timeout_ms : 0;
    transfer->out.max = MAX_REQUEST_BYTES;
    transfer->in.max = HTTP_MAX_HEAD_BYTES + 2 * FETCH_PIECE_BYTES;
    transfer->response.body.max = 1;
    transfer->runnable = true;
}

int fetch_start(struct fetch *fetch, const struct fetch_request *request, fetch_done *done, void *arg,
                int *out_id, struct err *err)
{
    struct fetch_transfer *transfer = mem_zalloc(1, sizeof *transfer);
    if (!transfer)
        return err_no_memory(err);
    copy_request(transfer, request);
    transfer->fetch = fetch;
    transfer->done = done;
    transfer->arg = arg;
    transfer->url_text = mem_strdup(request->url);
    int rc =
        transfer->url_text ? fetch_url_parse(transfer->url_text, &transfer->url, err) : err_no_memory(err);
    if (rc == 0)
        rc = fetch_request_format(request, &transfer->url, fetch->fields, &transfer->out, err);
    if (rc < 0) {
        fetch_transfer_free(transfer);
        return -1;
    }
    fetch->last_id = fetch->last_id == INT_MAX ? 1 : fetch->last_id + 1;
    transfer->id = fetch->last_id;
    if (out_id)
        *out_id = transfer->id;
    TAILQ_INSERT_TAIL(&fetch->transfers, transfer, next);
    return 0;
}

/* Only marked here: it may be called from within a sink of the transfer itself. */
void fetch_cancel(struct fetch *fetch, int id)
{
    struct fetch_transfer *transfer;
    TAILQ_FOREACH(transfer, &fetch->transfers, next)
    {
        if (transfer->id == id)
            transfer->cancelled = true;
    }
}

/* ---- the loop ---- */

static struct fetch_transfer *find_ended(struct fetch *fetch)
{
    struct fetch_transfer *transfer;
    TAILQ_FOREACH(transfer, &fetch->transfers, next)
    {
        if (transfer->cancelled || transfer->state == FETCH_DONE)
            return transfer;
    }
    return NULL;
}

/* An answer, whatever it says, after none. */
static void note_end(struct fetch *fetch, const struct fetch_transfer *transfer)
{
    bool answered = transfer->response.status != 0;
    fetch->recovered += answered && fetch->cut_off;
    fetch->cut_off = !answered;
}

uint64_t fetch_recovered(const struct fetch *fetch)
{
    return fetch->recovered;
}

/* Off the list first: the callback may do anything with the others. */
static void report_ended(struct fetch *fetch)
{
    for (struct fetch_transfer *transfer; (transfer = find_ended(fetch));) {
        TAILQ_REMOVE(&fetch->transfers, transfer, next);
        if (!transfer->cancelled) {
            note_end(fetch, transfer);
            transfer->done(&transfer->response, transfer->arg);
        }
        fetch_transfer_free(transfer);
    }
}

static int grow_polls(struct fetch *fetch, struct err *err)
{
    size_t need = 1;
    struct fetch_transfer *transfer;
    TAILQ_FOREACH(transfer, &fetch->transfers, next)
    {
        need++;
    }
    if (need <= fetch->poll_space)
        return 0;
    struct pollfd *polls = mem_grow(fetch->polls, need * 2, sizeof *polls);
    if (!polls)
        return err_no_memory(err);
    fetch->polls = polls;
    fetch->poll_space = need * 2;
    return 0;
}

static int wait_ms(int64_t now_ms, int64_t until_ms)
{
    return (int)MAX((int64_t)0, MIN(until_ms - now_ms, (int64_t)INT_MAX));
}

/* Slot 0 is the caller's descriptor, the transfers follow in the order of their list. */
static int wait_for_events(struct fetch *fetch, int extra_fd, int timeout_ms, struct err *err)
{
    int64_t now_ms = clock_mono_ms(), until_ms = timeout_ms < 0 ? INT64_MAX : now_ms + timeout_ms;
    struct fetch_transfer *transfer;
    nfds_t count = 1;
    if (grow_polls(fetch, err) < 0)
        return -1;
    fetch->polls[0] = (struct pollfd){.fd = extra_fd, .events = POLLIN};
    TAILQ_FOREACH(transfer, &fetch->transfers, next)
    {
        until_ms = MIN(until_ms, fetch_transfer_wait(transfer, now_ms, &fetch->polls[count]));
        count++;
    }
    int wait = until_ms == INT64_MAX ? -1 : wait_ms(now_ms, until_ms);
    if (poll(fetch->polls, count, wait) < 0 && errno != EINTR)
        return err_errno(err, "cannot wait for transfers");
    return 0;
}

int fetch_poll(struct fetch *fetch, int extra_fd, int timeout_ms, struct err *err)
{
    report_ended(fetch);
    if (wait_for_events(fetch, extra_fd, timeout_ms, err) < 0)
        return -1;
    struct fetch_transfer *transfer;
    int64_t now_ms = clock_mono_ms();
    TAILQ_FOREACH(transfer, &fetch->transfers, next) /* a step without an event finds that out by itself */
    {
        if (!transfer->cancelled)
            fetch_transfer_step(transfer, now_ms);
    }
    report_ended(fetch);
    if (fetch->idle_count > 0)
        drop_stale(fetch);
    return 0;
}

/* ---- one request, waited for ---- */

struct once {
    bool done;
    struct fetch_response *response;
};

static void take_response(const struct fetch_response *response, void *arg)
{
    struct once *once = arg;
    struct err err;
    once->done = true;
    *once->response = *response;
    once->response->body = (struct buf){.max = MAX(response->body.len, (size_t)1)};
    bool some = response->body.len > 0;
    if (some && buf_put(&once->response->body, response->body.data, response->body.len, &err) < 0)
        once->response->err = err;
}

int fetch_once(struct fetch *fetch, const struct fetch_request *request, struct fetch_response *response,
               struct err *err)
{
    struct once once = {.response = response};
    int id = 0;
    *response = (struct fetch_response){.body = {.max = 1}};
    if (fetch_start(fetch, request, take_response, &once, &id, err) < 0) {
        response->err = *err;
        return -1;
    }
    while (!once.done) {
        if (fetch_poll(fetch, -1, 1000, err) < 0) {
            fetch_cancel(fetch, id);
            return -1;
        }
    }
    if (response->err.code == ERR_NONE)
        return 0;
    *err = response->err;
    return -1;
}
