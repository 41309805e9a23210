/* GET /api/v1/events: the event table as a stream. Each subscriber remembers the last id it was sent; after a
 * commit it gets what is newer. So nothing is told before it is on disk, and a reader that comes back misses
 * nothing. A long backlog goes out in batches with a pause between them: a peer with too much unsent is cut
 * off. */
#include "base/clock.h"
#include "base/str.h"
#include "fleet/api/call.h"

#include <event2/event.h>

enum { MAX_SUBSCRIBERS = 64, REPLAY_DEFAULT = 50, PUSH_BATCH = 500, PUSH_PAUSE_MS = 20, ASK_EVERY_MS = 1000 };

struct subscriber {
    TAILQ_ENTRY(subscriber) link;
    struct api *api;
    struct http_request *request;
    struct rights rights;
    int64_t asked_ms; /* for them; a token that ends ends its streams, too */
    int64_t last_id;
    int batch; /* events sent in this push */
};

static void forget(struct subscriber *subscriber)
{
    TAILQ_REMOVE(&subscriber->api->subscribers, subscriber, link);
    subscriber->api->subscriber_count--;
    free(subscriber);
}

static void on_gone(struct http_request *request, void *arg)
{
    forget(arg);
}

static int send_event(const struct event_row *row, void *arg)
{
    struct subscriber *subscriber = arg;
    struct err err = {0};
    if (!rights_see(subscriber->api->fleet, &subscriber->rights, row->robot)) {
        subscriber->last_id = row->id;
        subscriber->batch++;
        return 0;
    }
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_i64(&w, "id", row->id);
    jsonw_i64(&w, "time_ms", row->time_ms);
    jsonw_text(&w, "kind", row->kind);
    jsonw_text(&w, "robot", row->robot);
    jsonw_text(&w, "text", row->text);
    jsonw_close(&w);
    cleanup_free char *data = jsonw_take(&w, &err);
    cleanup_free char *text = data ? mem_printf("id: %lld\ndata: %s\n\n", (long long)row->id, data) : NULL;
    if (!text)
        return 1; /* next time */
    http_stream_write(subscriber->request, text, strlen(text));
    subscriber->last_id = row->id;
    subscriber->batch++;
    return 0;
}

static void end(struct subscriber *subscriber)
{
    struct http_request *request = subscriber->request;
    http_hold(request, NULL, NULL);
    forget(subscriber);
    http_stream_end(request);
}

/* What its operator may now, before anything more is told. */
static bool still_may(struct subscriber *subscriber)
{
    struct err err = {0};
    int64_t now_ms = clock_mono_ms();
    if (now_ms - subscriber->asked_ms < ASK_EVERY_MS)
        return true;
    subscriber->asked_ms = now_ms;
    return rights_of_bearer(subscriber->api->fleet, subscriber->request, &subscriber->rights, &err) == 0 &&
           rights_somewhere(&subscriber->rights, RIGHT_SEE);
}

/* One batch. True if there may be more. */
static bool push(struct subscriber *subscriber)
{
    struct err err = {0};
    struct store *store = subscriber->api->fleet->store;
    subscriber->batch = 0;
    int rc = store->ops->event_after(store, subscriber->last_id, PUSH_BATCH, send_event, subscriber, &err);
    return rc == 0 && subscriber->batch == PUSH_BATCH;
}

void events_push(struct api *api)
{
    struct store *store = api->fleet->store;
    if (store->ops->active(store))
        return; /* what it holds may not come true; its commit comes here again */
    bool more = false;
    struct subscriber *one, *next;
    for (one = TAILQ_FIRST(&api->subscribers); one; one = next) {
        next = TAILQ_NEXT(one, link);
        if (still_may(one))
            more = push(one) || more;
        else
            end(one);
    }
    struct timeval pause = {.tv_usec = PUSH_PAUSE_MS * 1000};
    if (more)
        event_add(api->more, &pause);
}

void events_tick(struct api *api)
{
    struct subscriber *one;
    for (one = TAILQ_FIRST(&api->subscribers); one; one = TAILQ_NEXT(one, link))
        http_stream_write(one->request, ": still here\n\n", 14);
    events_push(api); /* what a failed commit or a lack of memory held up */
}

void events_drain(struct api *api)
{
    struct subscriber *one;
    while ((one = TAILQ_FIRST(&api->subscribers)))
        end(one);
}

/* Where the stream begins: behind Last-Event-ID or ?after=, else with the last few. */
static int first_id(struct call *call, int64_t *out, struct err *err)
{
    const char *text = http_header(call->request, "Last-Event-ID");
    text = text ? text : http_query(call->request, "after");
    if (text && (!str_to_i64(text, out) || *out < 0))
        return err_set(err, ERR_INVALID, "Last-Event-ID wants a number");
    if (text)
        return 0;
    if (call->fleet->store->ops->event_last_id(call->fleet->store, out, err) < 0)
        return -1;
    *out = MAX(*out - REPLAY_DEFAULT, (int64_t)0);
    return 0;
}

int events_get(struct call *call, struct err *err)
{
    struct api *api = call->api;
    int64_t from;
    if (first_id(call, &from, err) < 0)
        return -1;
    if (api->subscriber_count >= MAX_SUBSCRIBERS || call->fleet->draining)
        return err_set(err, ERR_BUSY, "%d event streams are open already; close one", MAX_SUBSCRIBERS);
    struct subscriber *subscriber = mem_zalloc(1, sizeof *subscriber);
    if (!subscriber)
        return err_no_memory(err);
    *subscriber = (struct subscriber){.api = api,
                                      .request = call->request,
                                      .rights = call->rights,
                                      .asked_ms = clock_mono_ms(),
                                      .last_id = from};
    TAILQ_INSERT_TAIL(&api->subscribers, subscriber, link);
    api->subscriber_count++;
    call->taken = true;
    http_set_header(call->request, "Cache-Control", "no-store");
    http_stream_start(call->request, 200, "text/event-stream");
    http_hold(call->request, on_gone, subscriber);
    http_stream_write(call->request, "retry: 2000\n\n", 13);
    events_push(api);
    return 0;
}
