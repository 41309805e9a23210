#include "fleet/core/group.h"

#include "base/clock.h"
#include "base/log.h"
#include "sys/http.h"

#include <assert.h>
#include <event2/event.h>
#include <sys/queue.h>

struct parked {
    TAILQ_ENTRY(parked) link;
    struct http_request *request; /* NULL: the peer hung up */
    int status;                   /* 0: `err` is the reply */
    const char *type;
    char *body;
    size_t len;
    struct err err;
};
TAILQ_HEAD(parked_list, parked);

struct group {
    struct store *store;
    struct event *timer;
    struct parked_list parked;
    size_t parked_count;
    size_t watcher_count;
    struct {
        void (*committed)(void *arg);
        void *arg;
    } watchers[GROUP_MAX_WATCHERS];
    struct group_seal seal; /* zero: none */
    struct group_stats stats;
};

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct err err = {0};
    if (group_flush(arg, &err) < 0)
        log_error("commit: %s", err.text);
}

int group_new(struct event_base *base, struct store *store, struct group **out, struct err *err)
{
    struct group *group = mem_zalloc(1, sizeof *group);
    if (!group || !(group->timer = event_new(base, -1, 0, on_timer, group))) {
        free(group);
        return err_no_memory(err);
    }
    group->store = store;
    TAILQ_INIT(&group->parked);
    exphist_init(&group->stats.commit_ms);
    *out = group;
    return 0;
}

void group_free(struct group *group)
{
    if (!group)
        return;
    struct err err = {0};
    group->watcher_count = 0; /* they may be gone already */
    if (group_flush(group, &err) < 0)
        log_error("last commit: %s", err.text);
    event_free(group->timer);
    free(group);
}

static void send_now(struct http_request *request, int status, const char *type, const char *body, size_t len)
{
    if (!type)
        http_reply_json(request, status, body);
    else
        http_reply(request, status, type, body, len);
}

/* Sends what is parked; with `failure` that instead. */
static void release_parked(struct group *group, const struct err *failure)
{
    struct parked *one;
    while ((one = TAILQ_FIRST(&group->parked))) {
        TAILQ_REMOVE(&group->parked, one, link);
        group->parked_count--;
        if (one->request && (failure || !one->status))
            http_reply_error(one->request, failure ? failure : &one->err);
        else if (one->request)
            send_now(one->request, one->status, one->type, one->body, one->len);
        free(one->body);
        free(one);
    }
}

static void fail_all(struct group *group, const struct err *err)
{
    group->stats.failures++;
    event_del(group->timer);
    group->store->ops->rollback(group->store);
    if (group->seal.settle)
        group->seal.settle(group->seal.arg, false);
    release_parked(group, err);
}

int group_flush(struct group *group, struct err *err)
{
    if (!group->store->ops->active(group->store))
        return 0;
    event_del(group->timer);
    int64_t start_ns = clock_mono_ns();
    if ((group->seal.seal && group->seal.seal(group->seal.arg, err) < 0) ||
        group->store->ops->commit(group->store, err) < 0) {
        fail_all(group, err);
        return -1;
    }
    if (group->seal.settle)
        group->seal.settle(group->seal.arg, true);
    group->stats.commits++;
    exphist_add(&group->stats.commit_ms, (double)(clock_mono_ns() - start_ns) / 1e6, 1);
    release_parked(group, NULL);
    for (size_t i = 0; i < group->watcher_count; i++)
        group->watchers[i].committed(group->watchers[i].arg);
    return 0;
}

int group_enter(struct group *group, struct err *err)
{
    bool fresh = !group->store->ops->active(group->store);
    if (group->store->ops->begin(group->store, err) < 0)
        return -1;
    if (fresh) {
        struct timeval delay = {.tv_usec = GROUP_DELAY_MS * 1000};
        event_add(group->timer, &delay);
    }
    return group->store->ops->mark(group->store, err);
}

/* A write that failed badly may have ended the transaction under everybody. */
static void check_alive(struct group *group)
{
    if (group->store->ops->active(group->store))
        return;
    struct err err = {0};
    err_set(&err, ERR_NO_SPACE, "the database could not write and took everything back; send it again");
    fail_all(group, &err);
}

int group_leave(struct group *group, struct err *err)
{
    if (group->store->ops->keep(group->store, err) == 0)
        return 0;
    group_cancel(group);
    return -1;
}

void group_cancel(struct group *group)
{
    group->store->ops->undo(group->store);
    check_alive(group);
}

static void on_gone(struct http_request *request, void *arg)
{
    struct parked *one = arg;
    one->request = NULL;
}

static void park(struct group *group, struct parked *one)
{
    TAILQ_INSERT_TAIL(&group->parked, one, link);
    group->parked_count++;
    group->stats.parked++;
    http_hold(one->request, on_gone, one);
    if (group->parked_count >= GROUP_MAX_PARKED) {
        struct timeval now = {0};
        event_add(group->timer, &now); /* not here: the caller is still at work */
    }
}

void group_reply(struct group *group, struct http_request *request, int status, const char *type, char *body,
                 size_t len)
{
    assert(status > 0);
    struct parked *one = NULL;
    if (group->store->ops->active(group->store) && (one = mem_zalloc(1, sizeof *one))) {
        *one = (struct parked){.request = request, .status = status, .type = type, .body = body, .len = len};
        park(group, one);
        return;
    }
    if (group->store->ops->active(
            group->store)) { /* no memory to park it: say so rather than promise too early */
        struct err err = {0};
        (void)err_no_memory(&err);
        http_reply_error(request, &err);
    } else {
        send_now(request, status, type, body, len);
    }
    free(body);
}

void group_reply_error(struct group *group, struct http_request *request, const struct err *err)
{
    struct parked *one = NULL;
    if (group->store->ops->active(group->store) && (one = mem_zalloc(1, sizeof *one))) {
        *one = (struct parked){.request = request, .err = *err};
        park(group, one);
    } else {
        http_reply_error(request, err);
    }
}

void group_watch(struct group *group, void (*committed)(void *arg), void *arg)
{
    assert(group->watcher_count < GROUP_MAX_WATCHERS);
    group->watchers[group->watcher_count].committed = committed;
    group->watchers[group->watcher_count++].arg = arg;
}

void group_seal(struct group *group, const struct group_seal *seal)
{
    group->seal = *seal;
}

const struct group_stats *group_stats(const struct group *group)
{
    return &group->stats;
}
