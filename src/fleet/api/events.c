/* GET /api/v1/events: the event table as a stream. Each subscriber remembers the last id it was sent; after a
 * commit it gets what is newer. So nothing is told before it is on disk, and a reader that comes back misses
 * nothing. */
#include "base/str.h"
#include "fleet/api/call.h"

enum { MAX_SUBSCRIBERS = 64, REPLAY_DEFAULT = 50, PUSH_BATCH = 500 };

struct subscriber {
    TAILQ_ENTRY(subscriber) link;
    struct api *api;
    struct http_request *request;
    int64_t last_id;
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
    return 0;
}

static void push(struct subscriber *subscriber)
{
    struct err err = {0};
    struct store *store = subscriber->api->fleet->store;
    int64_t before;
    do {
        before = subscriber->last_id;
        if (store->ops->event_after(store, before, PUSH_BATCH, send_event, subscriber, &err) < 0)
            return;
    } while (subscriber->last_id >= before + PUSH_BATCH);
}

void events_push(struct api *api)
{
    struct subscriber *one, *next;
    for (one = TAILQ_FIRST(&api->subscribers); one; one = next) {
        next = TAILQ_NEXT(one, link);
        push(one);
    }
}

void events_tick(struct api *api)
{
    struct subscriber *one, *next;
    for (one = TAILQ_FIRST(&api->subscribers); one; one = next) {
        next = TAILQ_NEXT(one, link);
        http_stream_write(one->request, ": still here\n\n", 14);
    }
}

void events_drain(struct api *api)
{
    struct subscriber *one;
    while ((one = TAILQ_FIRST(&api->subscribers))) {
        struct http_request *request = one->request;
        http_hold(request, NULL, NULL);
        forget(one);
        http_stream_end(request);
    }
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
    *subscriber = (struct subscriber){.api = api, .request = call->request, .last_id = from};
    TAILQ_INSERT_TAIL(&api->subscribers, subscriber, link);
    api->subscriber_count++;
    call->taken = true;
    http_set_header(call->request, "Cache-Control", "no-store");
    http_stream_start(call->request, 200, "text/event-stream");
    http_hold(call->request, on_gone, subscriber);
    http_stream_write(call->request, "retry: 2000\n\n", 13);
    if (!call->fleet->store->ops->active(call->fleet->store))
        push(subscriber); /* else the coming commit does it */
    return 0;
}
