/* Questions that wait for an answer: held in the roster, one of each kind per robot, until there are news, their time is over,
 * the robot hangs up or asks anew. */
#include "fleet/api/call.h"

#include <event2/event.h>

/* A robot that only waits must still be heard: a question is held for one presence period at most. */
enum { MAX_HOLD_S = PRESENCE_PERIOD_MS / 1000 };

struct waiting { /* argument of timer and gone callbacks */
    struct fleet *fleet;
    struct roster_entry *entry;
    uint64_t epoch;
    struct roster_held *held;
};

static void forget(struct roster_held *held)
{
    if (held->timer) {
        void *arg = event_get_callback_arg(held->timer);
        event_free(held->timer);
        free(arg);
    }
    held->timer = NULL;
    held->request = NULL;
}

struct http_request *hold_take(struct roster_held *held)
{
    struct http_request *request = held->request;
    forget(held);
    if (request)
        http_hold(request, NULL, NULL);
    return request;
}

static void answer_nothing(struct fleet *fleet, struct roster_held *held)
{
    struct http_request *request = hold_take(held);
    if (request)
        group_reply(fleet->group, request, 204, "application/json", NULL, 0);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    struct waiting waiting = *(struct waiting *)arg;
    answer_nothing(waiting.fleet, waiting.held);
}

static void on_gone(struct http_request *request, void *arg)
{
    struct waiting waiting = *(struct waiting *)arg;
    presence_closed(&waiting.entry->link,
                    waiting.epoch); /* unless it is back by another connection already */
    if (waiting.held->request == request)
        forget(waiting.held); /* the request is on its way out */
}

static int start(struct call *call, struct roster_entry *entry, struct roster_held *held, uint64_t after,
                 uint64_t wait_s, struct err *err)
{
    answer_nothing(call->fleet, held); /* an older question of the same robot */
    struct waiting *waiting = mem_zalloc(1, sizeof *waiting);
    if (!waiting || !(held->timer = evtimer_new(call->fleet->base, on_timeout, waiting))) {
        free(waiting);
        return err_no_memory(err);
    }
    *waiting = (struct waiting){
        .fleet = call->fleet, .entry = entry, .epoch = presence_opened(&entry->link), .held = held};
    struct timeval wait = {.tv_sec = (time_t)MIN(wait_s, (uint64_t)MAX_HOLD_S)};
    evtimer_add(held->timer, &wait);
    held->request = call->request;
    held->after = after;
    call->taken = true;
    http_hold(call->request, on_gone, waiting);
    return 0;
}

int hold_question(struct call *call, enum roster_question question, uint64_t after, uint64_t wait_s,
                  struct err *err)
{
    struct roster_entry *entry = roster_get(call->fleet->roster, call->robot.id);
    if (!entry)
        return err_no_memory(err);
    if (wait_s && !call->fleet->draining)
        return start(call, entry, &entry->held[question], after, wait_s, err);
    return call_bytes(call, 204, "application/json", NULL, 0);
}

static void drain_one(struct roster_entry *entry, void *arg)
{
    for (int i = 0; i < ROSTER_QUESTIONS; i++)
        answer_nothing(arg, &entry->held[i]);
}

void hold_drain(struct api *api)
{
    roster_each(api->fleet->roster, drain_one, api->fleet);
}
